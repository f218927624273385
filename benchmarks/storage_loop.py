"""What storing does to the loop: on a slow disk, and with the pixels after the mask."""

from __future__ import annotations

import shutil
import statistics
from typing import TYPE_CHECKING

import numpy as np
import pytest
from loop import run_loop

from faro.analysis import OtsuSegmenter
from faro.run import writing
from faro.testing.slow_disk_trial import FRAMES_PER_S, half_speed
from faro.testing.throttling import can_slow

if TYPE_CHECKING:
    from pathlib import Path

SIZE, CELLS, TIMEPOINTS, FIRST = 1024, 300, 80, 10


def slow(root: Path, rounds: int) -> list[str]:
    """Print what a disk at half of the needed speed for ten seconds does."""
    del root, rounds
    if not can_slow():
        return ["- A disk slowed to half for ten seconds: needs Linux, and root."]
    print("\n### A disk at half of the speed that the frames need, for ten seconds\n")
    print(f"Handing over 2 x 1024 x 1024 at {FRAMES_PER_S} frames a second, synced.\n")
    print("| disk | frames | p50 ms | p99 ms | longest ms |")
    print("| --- | --- | --- | --- | --- |")
    outcome = half_speed(bound=2**30)
    for name, chosen in (("as it is", False), ("slowed to half", True)):
        pairs = zip(outcome.taken_ms, outcome.slowed, strict=True)
        taken_ms = [ms for ms, slowed in pairs if slowed is chosen]
        p50, p99 = np.percentile(taken_ms, [50, 99])
        longest = max(taken_ms)
        print(f"| {name} | {len(taken_ms)} | {p50:.3f} | {p99:.3f} | {longest:.3f} |")
    waited = outcome.greatest_queue / 1e6
    print(f"\nAt most {waited:.0f} MB waited; lost: {len(outcome.lost)}.")
    kept = "kept" if not outcome.lost else "**not kept in this run**"
    return [f"- A disk slowed to half for ten seconds loses nothing: {kept}."]


def mask(root: Path, rounds: int) -> list[str]:
    """Print how long the mask takes where pixels are written after it, and at once."""
    ways = {"after its mask": writing.HOLD_S, "at once": 0.0}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(rounds):
        for name, hold_s in ways.items():
            folder = root / f"{name[:2]}-{number}"
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(writing, "HOLD_S", hold_s)
                result = run_loop(
                    OtsuSegmenter(),
                    size=SIZE,
                    cells=CELLS,
                    timepoints=TIMEPOINTS,
                    folder=folder,
                )
            shutil.rmtree(folder)
            lines = result["lines"]["latency"][FIRST:]
            to_mask = [line["frame_to_mask_ms"] for line in lines]
            p50, p95 = np.percentile(to_mask, [50, 95])
            found[name].append((float(p50), float(p95)))
    print("\n### From the frame in hand to its mask, 2 x 1024 x 1024, 300 cells\n")
    print("Frames follow each other as fast as the loop takes them.\n")
    print(
        "| the pixels of a frame are written | p50 ms | p95 ms |\n| --- | --- | --- |"
    )
    for name, pairs in found.items():
        p50, p95 = map(statistics.median, zip(*pairs, strict=True))
        print(f"| {name} | {p50:.1f} | {p95:.1f} |")
    both = zip(found["at once"], found["after its mask"], strict=True)
    saved = statistics.median(at_once[0] - after[0] for at_once, after in both)
    return [f"- Pixels after the mask: masks are {saved:+.1f} ms earlier (no promise)."]
