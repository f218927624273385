"""The documentation: every page can be reached, and its Python runs as it stands."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import yaml

import faro
from faro.analysis import ErkKtrFeatures
from faro.experiment.document_start import START
from faro.experiment.document_text import document_from, parsed, text_of
from faro.stimulation import PercentageOfCell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
NAMES = [page.relative_to(DOCS).as_posix() for page in PAGES]
BLOCK = re.compile(r"^```(python|py)\b([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
REASON = re.compile(r" notest: \w+")


def blocks(page: str) -> list[tuple[str, str]]:
    """Return note and code of every Python block of a page."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return [(note, code) for _, note, code in BLOCK.findall(text)]


def code_of(page: str) -> str:
    """Return what runs of a page, each line where it is on the page."""
    text = (DOCS / page).read_text(encoding="utf-8")
    lines = [""] * text.count("\n")
    for found in BLOCK.finditer(text):
        if not found[2].strip():
            first = text.count("\n", 0, found.start(3))
            code = found[3].splitlines()
            lines[first : first + len(code)] = code
    return "\n".join(lines)


RUN = [
    pytest.param(name, marks=[pytest.mark.long] * name.startswith("tutorial/"))
    for name in NAMES
    if code_of(name).strip()
]


# ----------------------------------------------------------- what pages start from


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a short run, made once."""
    folder = tmp_path_factory.mktemp("docs") / "my-run"
    sequence = faro.RTMSequence(
        stage_positions=[(0, 0), (1000, 0), (2000, 0)],
        time_plan={"interval": 0.05, "loops": 4},
        channels=[{"config": c, "exposure": 1} for c in ("miRFP", "mScarlet3")],
        stim_channels=[faro.PowerChannel("CyanStim", exposure=1, power=10)],
        stim_frames=[2, 3],
    )
    pipeline = faro.ImageProcessingPipeline(
        features=ErkKtrFeatures(channel="mScarlet3"),
        stimulator=PercentageOfCell(0.5),
    )
    with faro.SimulatedMicroscope(seed=1) as microscope:
        controller = faro.Controller(
            microscope,
            pipeline,
            writer=faro.OmeZarrWriter(folder),
        )
        controller.run_experiment(sequence)
    return folder


def a_run(recorded: Path) -> dict[str, Any]:
    """Put the run of the page into the folder."""
    shutil.copytree(recorded, "my-run")
    return {}


def a_run_called_run(recorded: Path) -> dict[str, Any]:
    """Put the run into the folder under the name that the page uses."""
    shutil.copytree(recorded, "run")
    return {}


def a_short_experiment(_: Path) -> dict[str, Any]:
    """Put an experiment file into the folder: the one to begin with, but short."""
    words = parsed(START, "toml")
    words["sequence"]["time_plan"] = {"interval": 0.1, "loops": 4}
    words["sequence"]["stim_frames"] = [2, 3]
    text = text_of(document_from(words), "toml")
    Path("experiment.toml").write_text(text, encoding="utf-8")
    return {}


def a_table(_: Path) -> dict[str, Any]:
    """Return cells that answer to light, as a run with switched light holds them."""
    minutes = np.arange(40)
    dose = np.where(minutes // 10 % 2 == 1, 1.0, 0.0)
    cnr = np.ones(len(minutes))
    for minute in minutes[1:]:
        cnr[minute] = 0.8 * cnr[minute - 1] + 0.2 + 0.4 * dose[minute - 1]
    cell = {"fov": 0, "track_id": 1, "timestep": minutes, "time_s": 60.0 * minutes}
    return {"table": pd.DataFrame({**cell, "cnr": cnr, "dose": dose})}


GIVEN: dict[str, Callable[[Path], dict[str, Any]]] = {
    "how-to/read-a-run.md": a_run,
    "how-to/replay-a-run.md": a_run,
    "how-to/write-a-stimulator.md": a_table,
    "how-to/write-an-experiment-file.md": a_short_experiment,
    "reference/run-folder.md": a_run_called_run,
    "storage.md": a_run,
}
"""What a page takes for granted: files in the working folder, and names."""


# ------------------------------------------------------------------------ the tests


@pytest.mark.parametrize("page", NAMES)
def test_blocks_that_do_not_run_say_why(page: str) -> None:
    silent = [n for n, _ in blocks(page) if n.strip() and not REASON.match(n)]
    assert not silent, f"Write: python notest: reason. Here: {silent}"


@pytest.mark.parametrize("page", RUN)
def test_the_python_of_the_page_runs(
    page: str,
    recorded: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    scope = GIVEN[page](recorded) if page in GIVEN else {}
    exec(compile(code_of(page), str(DOCS / page), "exec"), scope)


def reached(part: object) -> Iterator[str]:
    """Yield the pages that a part of the navigation names."""
    if isinstance(part, str):
        yield part
    elif isinstance(part, dict):
        for inner in part.values():
            yield from reached(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from reached(inner)


def test_every_page_is_in_the_navigation() -> None:
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    named = list(reached(settings["nav"]))
    missing = sorted(set(NAMES) - set(named))
    assert not missing, f"Give these a line in mkdocs.yml: {missing}"
    assert len(named) == len(set(named))
