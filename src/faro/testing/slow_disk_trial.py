"""Frames at a steady pace onto a disk that is slowed to half of what they need.

Everything is real: writer threads, tensorstore, syncs, a file system on a block device.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from faro.model import RunNeeds, Stack
from faro.run.clock import RunClock
from faro.run.recorder import Recorder
from faro.run.writing import WritingPolicy
from faro.storage import OmeZarrWriter, open_run, verify
from faro.testing.killing import fragile_disk
from faro.testing.movie import synthetic_stack
from faro.testing.throttling import SlowDisk

if TYPE_CHECKING:
    from pathlib import Path

CHANNELS: Final = ("nuclei", "reporter")
SIZE: Final = 1024
FRAMES_PER_S: Final = 25
SLOW_FROM_S: Final = 1.0
SLOW_FOR_S: Final = 10.0
AFTER_S: Final = 3.0
N_FRAMES: Final = int((SLOW_FROM_S + SLOW_FOR_S + AFTER_S) * FRAMES_PER_S)
DISK_MB: Final = 1500


@dataclass(slots=True)
class SlowOutcome:
    """What became of the frames.

    Attributes
    ----------
    taken_ms
        How long handing over each took.
    slowed
        Which were handed over while the disk was slow.
    greatest_queue, bound
        Bytes that waited, at most, and that may.
    lost
        What is missing or differs from what was handed over, in words.
    kinds
        What the journal tells of.
    """

    bound: int
    taken_ms: list[float] = field(default_factory=list)
    slowed: list[bool] = field(default_factory=list)
    greatest_queue: int = 0
    lost: list[str] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)


def half_speed(bound: int = WritingPolicy().max_bytes) -> SlowOutcome:
    """Return what a disk at half of the needed speed for ten seconds leaves."""
    pixels, _ = synthetic_stack((SIZE, SIZE), 300, seed=1)
    stacks = [np.roll(pixels, shift, axis=2) for shift in (0, 3, 7, 12)]
    outcome = SlowOutcome(bound)
    with fragile_disk(megabytes=DISK_MB) as disk, SlowDisk(disk.path) as slow:
        path = disk.path / "run"
        failed: list[Exception] = []
        writer = OmeZarrWriter(path, durability="power-loss")
        writer.open(RunNeeds(N_FRAMES, (0,), CHANNELS, (SIZE, SIZE)), {})
        recorder = Recorder(writer, RunClock(), failed.append, WritingPolicy(bound))
        start_s = time.perf_counter()
        for number in range(N_FRAMES):
            due_s = start_s + number / FRAMES_PER_S
            time.sleep(max(0.0, due_s - time.perf_counter()))
            since_s = number / FRAMES_PER_S - SLOW_FROM_S
            if since_s in (0.0, SLOW_FOR_S):
                slow.limit(_half_of_the_need(path) if since_s == 0.0 else None)
            before_s = time.perf_counter()
            recorder.stack(Stack(stacks[number % 4], CHANNELS, 0, number), {})
            outcome.taken_ms.append((time.perf_counter() - before_s) * 1e3)
            outcome.slowed.append(0.0 <= since_s < SLOW_FOR_S)
            queued = recorder.queued_bytes
            outcome.greatest_queue = max(outcome.greatest_queue, queued)
        if not recorder.finish({}, 120.0):
            outcome.lost.append("the writer threads did not finish")
        outcome.lost += [str(error) for error in failed]
        _check(path, stacks, outcome)
    return outcome


def _half_of_the_need(path: Path) -> float:
    """Return half of the bytes a second that frames at this pace come to."""
    size = next(path.rglob("0/c.0.*")).stat().st_size
    return size * FRAMES_PER_S / 2


def _check(
    path: Path, stacks: list[npt.NDArray[np.uint16]], outcome: SlowOutcome
) -> None:
    """Compare every frame with what was handed over."""
    outcome.lost += [str(problem) for problem in verify(path)]
    run = open_run(path)
    outcome.kinds = {str(line["kind"]) for line in run.journal}
    for number in range(N_FRAMES):
        found: Any = run.stack(0, number).pixels if run.has(0, number) else None
        if not np.array_equal(found, stacks[number % 4]):
            outcome.lost.append(f"frame {number}")
