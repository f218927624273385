"""Experiment files to runs, and runs to runs again."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import useq

import faro
from faro.errors import RefusedError
from faro.experiment.document_text import read_data
from faro.experiment.refusal import ExperimentError
from faro.run.files import COPY, KEY, load_words, prepare, problems_of
from faro.run.pipeline import ImageProcessingPipeline
from faro.run.stored_pipeline import recipe_for

if TYPE_CHECKING:
    from pathlib import Path

FILE = """
name = "twice"
notes = { operator = "me" }
microscope = { rig = "simulated", parameters = { seed = 4, image_shape = [128, 128] } }

[sequence]
stage_positions = [[0, 0], [700, 0]]
channels = [
  { config = "miRFP", exposure = 50 },
  { config = "mScarlet3", exposure = 50 },
]
time_plan = { interval = 0.1, loops = 5 }
stim_channels = [{ config = "CyanStim", exposure = 100, power = 10 }]
stim_frames = { start = 1, stop = 5 }
ref_channels = [{ config = "mScarlet3", exposure = 50 }]
ref_frames = [-1]

[pipeline]
features = [{ component = "erk_ktr_features", parameters = { channel = "mScarlet3" } }]
reference_features = [
  { component = "IntensityFeatures", parameters = { channels = ["mScarlet3"] } },
]
stimulator = { component = "brightest:Upper", parameters = { rows = 60 } }
"""
MODULE = '''
"""Lights the upper rows."""
import numpy as np

def edge(late, *, rows=2):
    mask = np.zeros(late.shape, bool)
    mask[:rows] = True
    return mask

class Same:
    def __init__(self, rows=3):
        self.rows = rows

    def __call__(self, late):
        return edge(late, rows=self.rows)

class Failing:
    def stimulate(self, context):
        raise RuntimeError("never a mask")

class Upper:
    def __init__(self, rows):
        self.rows = rows

    def stimulate(self, context):
        mask = np.zeros(context.shape, bool)
        mask[: self.rows] = True
        return mask
'''


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "brightest.py").write_text(MODULE, encoding="utf-8")
    path = tmp_path / "twice.toml"
    path.write_text(FILE, encoding="utf-8")
    sys.modules.pop("brightest", None)
    return path


def column(path: Path, name: str) -> list[Any]:
    values: list[Any] = faro.open_run(path).cells[name].tolist()
    return values


def test_a_run_is_started_again_from_what_it_holds(file: Path) -> None:
    entries = list(sys.path)
    first = prepare(file).run()
    assert sys.path == entries
    assert first.completed
    assert first.path == file.with_name("twice-run")
    assert first.n_stimulated == 8
    info = faro.open_run(first.path).info["description"]
    assert info["name"] == "twice"
    assert info["notes"] == {"operator": "me"}
    copy = read_data(first.path / COPY)
    assert copy == info[KEY]
    assert copy["pipeline"]["stimulator"] == {
        "component": "brightest:Upper",
        "parameters": {"rows": 60},
    }
    assert copy["microscope"]["parameters"]["time_scale"] == 60.0
    for source in (first.path, first.path / COPY, first.path / "run.json"):
        again = prepare(source).run().path
        assert again is not None
        names = "fov", "timestep", "label", "track_id", "y", "x", "cnr"
        for name in (*names, "ref_mean_mScarlet3_nuc"):
            assert column(again, name) == column(first.path, name)
    assert (file.parent / "twice-run_004").is_dir()


def test_what_toml_cannot_say_is_kept_as_json(file: Path) -> None:
    words = read_data(file)
    words["notes"] = {"batch": None}
    path = file.with_suffix(".json")
    path.write_text(json.dumps(words), encoding="utf-8")
    run = prepare(path).run().path
    assert run is not None
    assert not (run / COPY).exists()
    kept = read_data((run / COPY).with_suffix(".json"))
    assert kept["notes"] == {"batch": None}


def test_a_run_that_was_not_started_from_a_file_says_so(tmp_path: Path) -> None:
    sequence = faro.RTMSequence(channels=["miRFP"])
    with faro.SimulatedMicroscope(image_shape=(64, 64)) as microscope:
        writer = faro.OmeZarrWriter(tmp_path / "run")
        faro.Controller(microscope, writer=writer).run_experiment(sequence)
    with pytest.raises(ExperimentError, match="was not started from an experiment"):
        load_words(tmp_path / "run")


def test_a_used_folder_is_refused_when_asked_for(file: Path, tmp_path: Path) -> None:
    used = tmp_path / "used"
    used.mkdir()
    (used / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(RefusedError, match="used_002"):
        prepare(file).run(used)
    assert [p.name for p in used.iterdir()] == ["notes.txt"]


def test_a_module_of_that_name_from_elsewhere_is_not_taken(
    file: Path, tmp_path: Path
) -> None:
    assert isinstance(prepare(file).pipeline, ImageProcessingPipeline)
    other = tmp_path / "other"
    other.mkdir()
    (other / "brightest.py").write_text(MODULE, encoding="utf-8")
    moved = other / "twice.toml"
    moved.write_text(FILE, encoding="utf-8")
    with pytest.raises(ExperimentError, match="another module 'brightest' was loaded"):
        prepare(moved)


def test_modules_are_looked_up_in_the_folder_that_the_file_names(file: Path) -> None:
    folder = file.parent / "parts"
    folder.mkdir()
    (file.parent / "brightest.py").rename(folder / "brightest.py")
    assert [p.where for p in problems_of(file, offline=True)] == [
        "pipeline.stimulator.component"
    ]
    file.write_text(f'modules = "parts"\n{FILE}', encoding="utf-8")
    assert prepare(file).document.modules == str(folder)


def test_a_module_that_fails_says_why(file: Path) -> None:
    (file.parent / "brightest.py").write_text("1 / 0", encoding="utf-8")
    with pytest.raises(ExperimentError, match="ZeroDivisionError: division by zero"):
        prepare(file)


def test_presets_are_checked_though_the_pipeline_is_wrong(file: Path) -> None:
    text = FILE.replace('"miRFP"', '"miRPF"').replace("rows = 60", "row = 60")
    file.write_text(text, encoding="utf-8")
    found = {problem.where for problem in problems_of(file)}
    assert "pipeline.stimulator.parameters.row" in found
    assert "channels/miRPF" in found


def test_a_rig_that_cannot_be_made_is_a_problem_of_the_file(file: Path) -> None:
    text = FILE.replace("image_shape = [128, 128]", "cells_per_mm2 = -1")
    file.write_text(text, encoding="utf-8")
    found = problems_of(file)
    assert [problem.where for problem in found] == ["microscope.parameters"]
    assert "cells_per_mm2" in found[0].what


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.toml", None, "cannot be read"),
        ("odd.ini", b"", "Use .toml, .yaml, .yml or .json"),
        ("latin.yaml", b"a: \xe9", "UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(
    tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ExperimentError, match=words):
        prepare(path)


def test_an_experiment_of_python_is_prepared_as_a_file_is(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    document = faro.load_experiment(file)
    made = faro.ExperimentFile(**dict(document))
    assert made == document
    assert faro.prepare(made).events == faro.prepare(file).events


def test_positions_come_from_another_file_and_stay_in_the_run(tmp_path: Path) -> None:
    table = "name,x,y,well\nleft,0,0,A1\nright,700,0,B2\n"
    (tmp_path / "places.csv").write_text(table, encoding="utf-8")
    places = (useq.Position(x=1, y=2), useq.Position(x=3, y=4))
    sequence = useq.MDASequence(stage_positions=places)
    (tmp_path / "widget.json").write_text(sequence.model_dump_json(), encoding="utf-8")
    path = tmp_path / "experiment.toml"
    for name, expected in (
        ("places.csv", [(0.0, 0.0, "left", "A1"), (700.0, 0.0, "right", "B2")]),
        ("widget.json", [(1.0, 2.0, None, None), (3.0, 4.0, None, None)]),
    ):
        text = f"""
            microscope = "simulated"
            shared = {{ stage_positions = {{ file = "{name}" }} }}
            phases = [{{ channels = ["miRFP"] }}, {{ channels = ["miRFP"] }}]
        """
        path.write_text(text, encoding="utf-8")
        prepared = faro.prepare(path)
        found = [
            (e.x_pos, e.y_pos, e.pos_name, e.metadata.get("well"))
            for e in prepared.events
        ]
        assert found == expected * 2
        held = prepared.document.shared["stage_positions"]
        assert [(p["x"], p["y"]) for p in held] == [p[:2] for p in expected]


KILLED = """
import os, signal, sys
from pathlib import Path
import faro
from faro.storage.writer import RunWriter

def store_stack(self, stack, times):
    os.kill(os.getpid(), signal.SIGKILL)

RunWriter.store_stack = store_stack
faro.prepare(Path(sys.argv[1])).run()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a rig of POSIX signals")
def test_a_run_killed_before_its_first_frame_has_all_of_its_provenance(
    file: Path,
) -> None:
    command = [sys.executable, "-c", KILLED, str(file)]
    assert subprocess.run(command, check=False).returncode == -9
    run = file.with_name("twice-run")
    names = {p.name for p in (run / "provenance").iterdir()}
    assert names == {"environment.json", "sources.json", "run.copy.json", COPY.name}
    kept = run / COPY
    said, _ = load_words(run)
    assert read_data(kept) == said
    assert prepare(kept).events == prepare(file).events
    sources = json.loads((run / "provenance" / "sources.json").read_text("utf-8"))
    assert [m["module"] for m in sources["modules"]] == ["brightest"]
    assert json.loads((run / "run.json").read_text("utf-8"))["description"][KEY] == said


@pytest.mark.parametrize(
    ("fallback", "rows"),
    [
        ('"brightest:edge"', 2),
        ('{ component = "brightest:edge", parameters = { rows = 5 } }', 5),
        ('{ component = "brightest:Same" }', 3),
    ],
)
def test_a_file_names_what_fires_instead_of_a_mask(
    file: Path, fallback: str, rows: int
) -> None:
    stimulator = '"brightest:Upper", parameters = { rows = 60 }'
    text = FILE.replace(stimulator, '"brightest:Failing"')
    file.write_text(text + f"fallback = {fallback}\n", encoding="utf-8")
    done = prepare(file).run()
    assert done.n_stimulated == 8
    assert done.path is not None
    run = faro.open_run(done.path)
    policies = {x["policy"] for x in run.journal if x["kind"] == "stim_armed"}
    assert policies == {"fallback"}
    mask = run.labels("stim_mask", 1, 4)
    assert (mask[:rows] > 0).all()
    assert not mask[rows:].any()
    again = prepare(done.path)
    assert again.document.pipeline is not None
    said = again.document.pipeline.fallback
    assert said is not None
    assert said.parameters.get("rows", 2) == rows
    recipe = recipe_for(done.path, None)
    assert recipe.make().fallback is not None


@pytest.mark.parametrize(
    ("fallback", "word"),
    [
        ('"brightest:Upper"', "brightest:Upper is no fallback"),
        ('"brightest:edges"', "has no 'edges'"),
        ('{ component = "brightest:edge", parameters = { row = 5 } }', "row"),
    ],
)
def test_a_fallback_that_is_none_is_a_problem_of_the_file(
    file: Path, fallback: str, word: str
) -> None:
    file.write_text(FILE + f"fallback = {fallback}\n", encoding="utf-8")
    (found,) = problems_of(file, offline=True)
    assert found.where.startswith("pipeline.fallback")
    assert word in found.what
