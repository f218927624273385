"""The example notebooks are executed in a real kernel, cell by cell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import start_new_kernel

from faro.cli.demo import carry_out, demo_events, simulated

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a small run of the demo."""
    path = tmp_path_factory.mktemp("notebook")
    events = demo_events(fovs_per_arm=1, timepoints=8, interval_s=0.3)
    carry_out(path / "faro-demo", 2, events, microscope=simulated(2, speed=5))
    return path


def executed(name: str, folder: Path) -> list[dict[str, Any]]:
    """Execute a notebook of the examples in ``folder``; return what its cells said."""
    cells = json.loads((EXAMPLES / name).read_text("utf-8"))["cells"]
    codes = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
    assert not any(c.get("outputs") for c in cells)
    manager, client = start_new_kernel(cwd=str(folder))
    said: list[dict[str, Any]] = []

    def listen(message: dict[str, Any]) -> None:
        said.append({"type": message["msg_type"], **message["content"]})

    try:
        for code in codes:
            reply = client.execute_interactive(code, timeout=60, output_hook=listen)
            content = reply["content"]
            told = "\n".join(content.get("traceback", []))
            assert content["status"] == "ok", told
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    return said


def shown(said: list[dict[str, Any]], kind: str) -> list[str]:
    """Return everything of a MIME type that was displayed."""
    return [data[kind] for one in said if kind in (data := one.get("data") or {})]


def test_a_run_is_analysed(folder: Path) -> None:
    said = executed("analyse_a_run.ipynb", folder)
    texts = "".join(str(one.get("text", "")) for one in said)
    assert "events of more than two cells" in texts
    assert len(shown(said, "image/png")) == 3


@pytest.mark.long
def test_a_run_is_started_and_watched(tmp_path: Path) -> None:
    said = executed("run_and_watch.ipynb", tmp_path)
    updates = [one for one in said if one["type"] == "update_display_data"]
    assert updates
    last = updates[-1]["data"]["text/html"]
    assert "<b>from-a-notebook</b> finished: completed" in last
    assert "10 of 10 positions and timepoints" in last
    assert "6 fired, 0 skipped" in last
    assert "position 1, timepoint 4" in last
    assert 'src="data:image/png;base64,' in last
    tables = [html for html in shown(said, "text/html") if "<caption" in html]
    controller, summary, run = tables
    for words in ("SimulatedMicroscope", "LocalThresholdSegmenter", "from-a-notebook"):
        assert words in controller
    assert "6 fired, 0 skipped" in summary
    assert "2 positions x 5 timepoints" in run
    assert "completed, no errors" in run
