"""A disk that fills up: the run waits, dark, says so, and goes on when it can."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from faro.run import Controller, RunState
from faro.run.room import DiskRoom
from faro.testing.discs import disc_sequence
from faro.testing.killing import can_cut, fragile_disk

if TYPE_CHECKING:
    from faro.testing.canned import CannedMicroscope
    from faro.testing.memory import MemorySink


def test_a_run_waits_dark_for_room_and_then_goes_on(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    controller = Controller(microscope, writer=sink)
    seen: list[tuple[str, bool, RunState]] = []

    def fill(timestep: int, _fov: int) -> None:
        if timestep == 1 and not seen:
            sink.free = 300_000_000

    def paused(what: str) -> None:
        seen.append((what, bool(microscope.dark), controller.state))
        sink.free = 10**12

    controller.notices.acquiring.connect(fill)
    controller.notices.paused.connect(paused)
    plan = disc_sequence(6, 1, time_plan={"interval": 0.05, "loops": 6}, stim_frames=[])
    assert controller.run_experiment(plan, stim_mode="current").completed
    assert len(sink.stacks) == 6
    ((what, dark, state),) = seen
    assert "nearly full (300 MB free, 500 MB are reserved)" in what
    assert (dark, state) == (True, RunState.WAITING)
    (line,) = sink.kinds("room_lacking")
    assert line["timestep"] >= 1
    assert len(sink.kinds("resumed")) == 1


def test_a_run_that_waits_for_room_can_be_stopped(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    sink.free = 0
    controller = Controller(microscope, writer=sink)
    controller.notices.paused.connect(lambda _: controller.stop_run())
    summary = controller.run_experiment(disc_sequence(6, 1, stim_frames=[]))
    assert summary.reason == "stopped by the user"
    assert sink.stacks == []
    assert microscope.dark


def test_what_is_queued_counts_and_a_little_more_must_be_free_to_go_on() -> None:
    free, queued = 1000, 0
    room = DiskRoom(lambda: free, lambda: queued, 900)
    assert room.lacking() == ""
    queued = 200
    assert "nearly full" in room.lacking()
    free, queued = 920, 0
    assert "nearly full" in room.lacking()
    free = 950
    assert room.lacking() == ""
    free = 920
    assert room.lacking() == ""


def test_a_disk_that_cannot_be_asked_does_not_hold_the_run() -> None:
    def fails() -> int:
        raise OSError

    assert DiskRoom(fails, lambda: 0, 900).lacking() == ""


FILLING = """
import sys
from faro.errors import StorageError
from faro.storage import OmeZarrWriter
from faro.model import RunNeeds, Stack
import numpy as np

writer = OmeZarrWriter(sys.argv[1], durability=sys.argv[2])
writer.open(RunNeeds(9, (0,), ("a",), (512, 512)), {})
rng, refused = np.random.default_rng(0), 0
for number in range(100_000):
    pixels = rng.integers(0, 65536, (1, 512, 512), dtype=np.uint16)
    try:
        writer.store_stack(Stack(pixels, ("a",), 0, number), {})
        sys.stdout.write(f"{number} {int(pixels.sum())}\\n")
    except StorageError:
        refused += 1
        if refused == 3:
            break
"""


@pytest.mark.skipif(not can_cut(), reason="needs root and a loop device")
@pytest.mark.long
@pytest.mark.parametrize("durability", ["process", "power-loss"])
def test_on_a_full_disk_what_was_acknowledged_stays_readable(durability: str) -> None:
    from faro.storage import open_run

    with fragile_disk(megabytes=60) as disk:
        path = disk.path / "run"
        done = subprocess.run(
            [sys.executable, "-c", FILLING, str(path), durability],
            capture_output=True,
            text=True,
            check=True,
        )
        lines = [line.split() for line in done.stdout.splitlines()]
        told = {int(timestep): int(total) for timestep, total in lines}
        assert len(told) > 10
        assert shutil.disk_usage(disk.path).free < 5_000_000
        run = open_run(path)
        found = {t: int(run.frame(0, t, "a").sum()) for t in told}
        assert found == told
        del run
