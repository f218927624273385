"""SIGKILL at any moment: what was acknowledged is readable, whole and right."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
import yaozarrs

from faro.storage import open_run

if TYPE_CHECKING:
    from pathlib import Path

WRITING = """
import sys
import numpy as np
from faro.model import CellTable, RunNeeds, Stack
from faro.storage import OmeZarrWriter

path, close_at = sys.argv[1], int(sys.argv[2])
writer = OmeZarrWriter(path)
writer.open(RunNeeds(5, (0, 1), ("a", "b"), (128, 128)), {})
for number in range(100_000):
    fov, timestep = number % 2, number // 2
    pixels = np.random.default_rng(number).integers(
        0, 4096, (2, 128, 128), dtype=np.uint16
    )
    writer.store_stack(Stack(pixels, ("a", "b"), fov, timestep), {})
    sys.stdout.write(f"frame {number}\\n")
    writer.store_labels("nuclei", fov, timestep, pixels[0].astype(np.int32))
    sys.stdout.write(f"labels {number}\\n")
    label = np.arange(number % 7 + 1)
    columns = {"label": label, "value": label + 0.5 * number}
    writer.store_cells(fov, timestep, CellTable(columns))
    sys.stdout.write(f"cells {number}\\n")
    sys.stdout.flush()
    if number == close_at:
        writer.close({})
        break
"""


def killed_after(path: Path, pause_s: float, *, close_at: int = -1) -> list[str]:
    """Return the acknowledgements of a writer that was killed after ``pause_s``."""
    command = [sys.executable, "-u", "-c", WRITING, str(path), str(close_at)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(pause_s)
        process.kill()
        rest = process.stdout.read()
    told = first + rest
    return told[: told.rfind("\n") + 1].splitlines()


@pytest.mark.parametrize("pause_s", [0.05, 0.33, 0.71])
def test_no_acknowledged_frame_label_or_row_is_lost(
    tmp_path: Path, pause_s: float
) -> None:
    acknowledged = killed_after(tmp_path / "run", pause_s)
    assert acknowledged
    run = open_run(tmp_path / "run")
    cells = run.cells
    for text in acknowledged:
        kind, number = text.split()[0], int(text.split()[1])
        fov, timestep = number % 2, number // 2
        pixels = np.random.default_rng(number).integers(
            0, 4096, (2, 128, 128), dtype=np.uint16
        )
        if kind == "frame":
            np.testing.assert_array_equal(run.stack(fov, timestep).pixels, pixels)
        elif kind == "labels":
            labels = run.labels("nuclei", fov, timestep)
            np.testing.assert_array_equal(labels, pixels[0])
        else:
            mine = (cells["fov"] == fov) & (cells["timestep"] == timestep)
            expected = np.arange(number % 7 + 1) + 0.5 * number
            np.testing.assert_array_equal(cells["value"][mine], expected)
    frames = [line for line in run.journal if line["kind"] == "frame"]
    told = sum(text.startswith("frame") for text in acknowledged)
    assert told <= len(frames) <= told + 1
    assert run.summary is None
    yaozarrs.validate_zarr_store(str(tmp_path / "run" / "images.ome.zarr"))


@pytest.mark.parametrize("pause_s", [0.02, 0.06, 0.1])
def test_a_kill_around_closing_loses_nothing(tmp_path: Path, pause_s: float) -> None:
    acknowledged = killed_after(tmp_path / "run", pause_s, close_at=5)
    rows = sum(
        int(text.split()[1]) % 7 + 1
        for text in acknowledged
        if text.startswith("cells")
    )
    run = open_run(tmp_path / "run")
    assert len(run.cells) >= rows
    for text in acknowledged:
        number = int(text.split()[1])
        assert run.has(number % 2, number // 2)
