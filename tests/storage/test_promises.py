"""Promises beyond single frames: no sync where none is meant, and many writers."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

from faro.model import RunNeeds, Stack
from faro.storage import OmeZarrWriter, open_run, verify

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

N_WORKERS = 4


def small(number: int) -> npt.NDArray[np.uint16]:
    """Return the stack (C, Y, X) of a number."""
    rng = np.random.default_rng(number)
    return rng.integers(0, 65536, (2, 16, 16), dtype=np.uint16)


@pytest.mark.parametrize(
    "n_frames", [400, pytest.param(10_000, marks=pytest.mark.long)]
)
@pytest.mark.timeout(600)
def test_frames_of_four_workers_in_random_order_are_all_there(
    tmp_path: Path, n_frames: int
) -> None:
    n_fovs = 10
    writer = OmeZarrWriter(tmp_path / "run")
    n_timepoints = n_frames // n_fovs
    # Half of them are planned: the others make the arrays grow while all write.
    writer.open(
        RunNeeds(n_timepoints // 2, tuple(range(n_fovs)), ("a", "b"), (16, 16)), {}
    )
    order = np.random.default_rng(0).permutation(n_frames).tolist()

    def store(number: int) -> str:
        pixels = small(number)
        fov, timestep = number % n_fovs, number // n_fovs
        writer.store_stack(Stack(pixels, ("a", "b"), fov, timestep), {})
        return hashlib.sha256(pixels.tobytes()).hexdigest()

    with ThreadPoolExecutor(N_WORKERS) as pool:
        given = dict(zip(order, pool.map(store, order), strict=True))
    run = open_run(writer.path)
    for number in range(n_frames):
        found = run.stack(number % n_fovs, number // n_fovs).pixels
        assert hashlib.sha256(found.tobytes()).hexdigest() == given[number]
    writer.close({})
    assert verify(writer.path) == []


WRITING = """
import sys
import numpy as np
from faro.model import CellTable, RunNeeds, Stack
from faro.storage import OmeZarrWriter

writer = OmeZarrWriter(sys.argv[1], durability=sys.argv[2])
writer.open(RunNeeds(40, (0,), ("a",), (64, 64)), {})
for number in range(12):
    if number == 2:
        sys.stderr.write("HOT PATH\\n")
        sys.stderr.flush()
    pixels = np.full((1, 64, 64), number, np.uint16)
    writer.store_stack(Stack(pixels, ("a",), 0, number), {})
    writer.store_labels("nuclei", 0, number, pixels[0])
    writer.store_cells(0, number, CellTable({"label": np.arange(3)}))
    writer.record("note", number=number)
    writer.sync()
sys.stderr.write("DONE\\n")
sys.stderr.flush()
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize(
    ("durability", "least", "most"), [("process", 0, 0), ("power-loss", 40, 200)]
)
def test_the_hot_path_syncs_only_where_power_loss_is_meant(
    tmp_path: Path, durability: str, least: int, most: int
) -> None:
    trace = tmp_path / "trace"
    calls = "trace=fsync,fdatasync,sync,syncfs,sync_file_range,write"
    command = ["strace", "-f", "-o", str(trace), "-e", calls, "-e", "signal=none"]
    python = [sys.executable, "-c", WRITING, str(tmp_path / "run"), durability]
    subprocess.run([*command, *python], check=True, capture_output=True)
    text = trace.read_text(errors="replace")
    hot = text[text.index("HOT PATH") : text.index("DONE")]
    syncs = re.findall(r"\b(?:fsync|fdatasync|sync|syncfs|sync_file_range)\(", hot)
    assert least <= len(syncs) <= most
