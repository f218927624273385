"""What the analysis of one frame costs, step by step, and how equal it is.

    python benchmarks/analysis.py [--frames 12] [--repeats 5]

All work of a frame, as a run does it: segment, track, ring features with medians of two
channels, percentage-of-cell mask, warp to an 800x600 DMD, append to the table on disk,
track image. CPU milliseconds of the thread on one core (best of the frames, so that a
machine under load does not show), OpenCV and OpenMP with one thread. Cells move between
the frames. What one step costs alone, and the extractors that are not in every
pipeline, are below.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from faro.analysis import (
    BlobSegmenter,
    ErkKtrFeatures,
    IntensityFeatures,
    LocalThresholdSegmenter,
    MovementFeatures,
    NeighbourFeatures,
    OtsuSegmenter,
    PixelCells,
    PositionFeatures,
    RegionFeatures,
    SeededSegmenter,
    ShapeFeatures,
    StreamingTracker,
    normalise_labels,
    warm_up,
)
from faro.microscope.dmd import DMD
from faro.model import CellTable, Stack
from faro.storage.layout import RunLayout
from faro.storage.tables import CellWriter
from faro.testing.movie import synthetic_stack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from faro.protocols import Segmenter

CHANNELS = ("miRFP", "mScarlet3")
SIZES = ((1024, 300), (2048, 1000))
BUDGETS_MS = {
    ("OtsuSegmenter", 1024): 60,
    ("LocalThresholdSegmenter", 1024): 100,
    ("OtsuSegmenter", 2048): 160,
    ("LocalThresholdSegmenter", 2048): 280,
}
STEPS = (
    "segment",
    "cells",
    "track",
    "mask",
    "warp",
    "ring features",
    "table row append",
    "track image",
)
SLM_SHAPE = (600, 800)


class Frames:
    """All steps of the frames of one FOV, each with its CPU time."""

    def __init__(self, segmenter: Segmenter, size: int, folder: Path) -> None:
        self.segmenter, self.size = segmenter, size
        self.tracker, self.features = StreamingTracker(), ErkKtrFeatures("mScarlet3")
        scale = np.diag([SLM_SHAPE[1] / size, SLM_SHAPE[0] / size, 1.0])
        self.dmd = DMD(SLM_SHAPE, affine=scale)
        self.table = CellWriter(RunLayout(folder), {}, "process")
        self.spent: dict[str, list[float]] = {step: [] for step in STEPS}

    def timed(self, step: str, call: Callable[[], Any]) -> Any:
        """Return ``call()`` and note what it cost, ms of this thread."""
        begin = time.thread_time()
        answer = call()
        self.spent[step].append((time.thread_time() - begin) * 1e3)
        return answer

    def analyse(self, pixels: np.ndarray, timestep: int) -> int:
        """Do all work of one frame; return its cells."""
        stack = Stack(pixels, CHANNELS, fov=0, timestep=timestep)
        labels = self.timed(
            "segment",
            lambda: normalise_labels(
                self.segmenter.segment(stack["miRFP"]), stack.shape
            ),
        )
        cells = PixelCells(labels)
        self.timed("cells", lambda: (cells.y, cells.x, cells.area))
        ids = self.timed("track", lambda: self.tracker.update(timestep, cells))
        cells.set_tracks(ids)
        mask = self.timed("mask", lambda: cells.half((-1, 0), 0.3))
        self.timed("warp", lambda: self.dmd.warp(mask.view(np.uint8) * np.uint8(255)))
        columns = self.timed(
            "ring features", lambda: self.features.features(cells, stack)
        )
        first: dict[str, Any] = {
            "label": cells.label,
            "track_id": cells.track_id,
            "parent_id": self.tracker.parents,
            "y": cells.y,
            "x": cells.x,
            "area": cells.area,
        }
        table = CellTable({**first, **columns})
        self.timed("table row append", lambda: self.table.append(0, timestep, table))
        self.timed("track image", cells.track_image)
        return len(cells)


def frames_of(size: int, n_cells: int) -> list[np.ndarray]:
    """Return the images of a few moments, (C, Y, X) each: the field drifts."""
    pixels, _ = synthetic_stack((size, size), n_cells, seed=1)
    moved = [np.roll(pixels, shift, axis=2) for shift in (0, 1, 2, 1)]
    for image in moved:
        image.setflags(write=False)
    return moved


def whole_frames(n_frames: int) -> bool:
    """Print the table of all work of a frame; return whether the budgets are kept."""
    columns: list[tuple[str, dict[str, float], float, int]] = []
    for size, n_cells in SIZES:
        images = frames_of(size, n_cells)
        for segmenter in (OtsuSegmenter(), LocalThresholdSegmenter()):
            with tempfile.TemporaryDirectory() as folder:
                frames = Frames(segmenter, size, Path(folder))
                n = 0
                for timestep in range(n_frames):
                    n = frames.analyse(images[timestep % len(images)], timestep)
            best = {step: min(spent[1:]) for step, spent in frames.spent.items()}
            totals = np.sum([spent[1:] for spent in frames.spent.values()], axis=0)
            name = type(segmenter).__name__
            columns.append((f"{size}, {name}, {n} cells", best, float(totals.min()), n))
    print("| CPU ms | " + " | ".join(c[0] for c in columns) + " |")
    print("| --- |" + " ---: |" * len(columns))
    for step in STEPS:
        row = " | ".join(f"{best[step]:.1f}" for _, best, _, _ in columns)
        print(f"| {step} | {row} |")
    row = " | ".join(f"**{total:.1f}**" for _, _, total, _ in columns)
    print(f"| **all, best frame** | {row} |")
    limits = list(BUDGETS_MS.values())
    print("| budget | " + " | ".join(f"{limit}" for limit in limits) + " |")
    totals_ms = [total for _, _, total, _ in columns]
    return all(t <= limit for t, limit in zip(totals_ms, limits, strict=True))


def best_ms(call: Callable[[], object], repeats: int) -> float:
    """Return the CPU ms of the best of so many calls."""
    spent = []
    for _ in range(repeats):
        begin = time.thread_time()
        call()
        spent.append((time.thread_time() - begin) * 1e3)
    return min(spent)


def single_steps(repeats: int) -> None:
    """Print what segmenters and extractors cost alone."""
    rows: dict[str, list[str]] = {}
    for size, n_cells in SIZES:
        pixels, labels = synthetic_stack((size, size), n_cells, seed=1)
        stack = Stack(pixels, CHANNELS, fov=0, timestep=0, pixel_size_um=0.65)
        for name, segment in segmenters(pixels, labels).items():
            rows.setdefault(name, []).append(f"{best_ms(segment, repeats):.1f}")
        for name, extractor in extractors().items():

            def measure(extractor: Any = extractor) -> None:
                cells = PixelCells(labels)  # noqa: B023  called at once
                cells.set_tracks(np.arange(1, len(cells) + 1))
                extractor.features(cells, stack)  # noqa: B023  called at once

            rows.setdefault(name, []).append(f"{best_ms(measure, repeats):.1f}")
    print("\n| CPU ms, best, with the cells' pixel index | 1024, 300 | 2048, 1000 |")
    print("| --- | ---: | ---: |")
    for name, row in rows.items():
        print(f"| {name} | {' | '.join(row)} |")


def segmenters(
    pixels: np.ndarray, labels: np.ndarray
) -> dict[str, Callable[[], object]]:
    """Return calls of the segmenters by name."""
    shipped = (OtsuSegmenter(), LocalThresholdSegmenter(), BlobSegmenter())
    calls: dict[str, Callable[[], object]] = {
        type(s).__name__: partial(s.segment, pixels[0]) for s in shipped
    }
    seeded = partial(SeededSegmenter().segment, pixels[1], labels)
    return calls | {"SeededSegmenter": seeded}


def extractors() -> dict[str, Any]:
    """Return the extractors by name."""
    many: Sequence[str] = ("mean", "median", "std", "p5", "p95", "corrected_mean")
    return {
        "ErkKtrFeatures": ErkKtrFeatures("mScarlet3"),
        "IntensityFeatures (6 statistics)": IntensityFeatures(tuple(many)),
        "PositionFeatures": PositionFeatures(),
        "ShapeFeatures": ShapeFeatures(),
        "NeighbourFeatures": NeighbourFeatures(),
        "MovementFeatures": MovementFeatures(),
        "RegionFeatures (solidity)": RegionFeatures(("solidity",)),
    }


def main() -> None:
    """Print both tables as Markdown; fail where a budget is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    warm_up(1)
    print(
        f"Python {platform.python_version()}, OpenCV {cv2.__version__}, "
        f"numpy {np.__version__}, {platform.machine()}\n"
    )
    kept = whole_frames(given.frames)
    single_steps(given.repeats)
    if not kept:
        message = "A budget is not kept."
        raise SystemExit(message)


if __name__ == "__main__":
    main()
