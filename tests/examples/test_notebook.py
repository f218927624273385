"""The example notebook is executed in a real kernel, cell by cell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jupyter_client.manager import start_new_kernel

from faro.cli.demo import carry_out, demo_events, simulated

NOTEBOOK = Path(__file__).parent.parent.parent / "examples" / "analyse_a_run.ipynb"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a small run of the demo."""
    path = tmp_path_factory.mktemp("notebook")
    events = demo_events(fovs_per_arm=1, timepoints=8, interval_s=0.3)
    carry_out(path / "faro-demo", 2, events, microscope=simulated(2, speed=5))
    return path


def test_every_cell_of_the_notebook_runs(folder: Path) -> None:
    cells = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
    codes = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
    assert not any(c.get("outputs") for c in cells)
    manager, client = start_new_kernel(cwd=str(folder))
    said: list[str] = []
    pictures = 0

    def listen(message: dict[str, dict[str, object]]) -> None:
        nonlocal pictures
        content = message["content"]
        said.append(str(content.get("text", "")))
        pictures += "image/png" in dict(content.get("data") or {})  # type: ignore[call-overload]  # of a message

    try:
        for code in codes:
            reply = client.execute_interactive(code, timeout=60, output_hook=listen)
            content = reply["content"]
            told = "\n".join(content.get("traceback", []))
            assert content["status"] == "ok", told
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert "events of more than two cells" in "".join(said)
    assert pictures == 3
