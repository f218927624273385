"""Latency of the loop by stage, its slope over time, frames per second, memory.

    python benchmarks/loop.py [--timepoints 1001] [--size 1024] [--cells 300]

The ordinary Controller runs the demo's pipeline over synthetic frames, one field of
view, two channels, stimulated at every timepoint, stored as OME-Zarr and tables. The
microscope is `faro.testing.CannedMicroscope`: it hands over ready-made frames, so what
is measured is the loop alone. "displayed" is the moment the warped mask is with the
SLM. Latencies are wall time; a machine under load shows it in the p95.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from faro import Controller, ImageProcessingPipeline, OmeZarrWriter, open_run
from faro.analysis import (
    ErkKtrFeatures,
    LocalThresholdSegmenter,
    OtsuSegmenter,
    StreamingTracker,
)
from faro.microscope.dmd import DMD
from faro.stimulation import PercentageOfCell
from faro.testing.canned import CannedMicroscope
from faro.testing.discs import LIGHT, NUCLEI, REPORTER, disc_sequence
from faro.testing.movie import synthetic_stack

STAGES = ("started", "segmented", "tracked", "decided", "stored")
WINDOW = 40
SLM_SHAPE = (600, 800)
SHIFTS = (0, 1, 2, 1)


def run_loop(
    segmenter: object, *, size: int, cells: int, timepoints: int, folder: Path
) -> dict[str, Any]:
    """Run the loop once; return its journal by kind, seconds and path."""
    pixels, _ = synthetic_stack((size, size), cells, seed=1)
    moved = [np.roll(pixels, shift, axis=2) for shift in SHIFTS]
    index = {NUCLEI: 0, REPORTER: 1, LIGHT: 1}

    def frame(_fov: int, timestep: int, channel: str) -> Any:
        return moved[timestep % len(moved)][index[channel]]

    scale = np.diag([SLM_SHAPE[1] / size, SLM_SHAPE[0] / size, 1.0])
    microscope = CannedMicroscope(frame, (size, size), dmd=DMD(SLM_SHAPE, affine=scale))
    pipeline = ImageProcessingPipeline(
        segmenters=segmenter,
        features=ErkKtrFeatures(channel=REPORTER),
        tracker=StreamingTracker(),
        stimulator=PercentageOfCell(fraction=0.3, direction=(-1, 0)),
    )
    path = folder / type(segmenter).__name__
    controller = Controller(microscope, pipeline, writer=OmeZarrWriter(path))
    start = time.perf_counter()
    summary = controller.run_experiment(disc_sequence(timepoints, 1))
    seconds = time.perf_counter() - start
    if not summary.completed or summary.n_errors:
        message = f"The run did not complete cleanly: {summary}"
        raise SystemExit(message)
    lines: dict[str, list[dict[str, Any]]] = {}
    for line in open_run(path).journal:
        lines.setdefault(line["kind"], []).append(line)
    return {"lines": lines, "seconds": seconds, "cells": summary.n_cells}


def around(values: list[float], timepoint: int) -> np.ndarray:
    """Return the values of the window that starts at ``timepoint``."""
    return np.asarray(values[timepoint : timepoint + WINDOW])


def row(name: str, values: list[float], timepoints: list[int]) -> str:
    """Return one line of the table: p50 / p95 at each timepoint."""
    cells = []
    for timepoint in timepoints:
        window = around(values, timepoint)
        p50, p95 = np.percentile(window, [50, 95])
        cells.append(f"{p50:.1f} / {p95:.1f}")
    return f"| {name} | " + " | ".join(cells) + " |"


def report(name: str, result: dict[str, Any], timepoints: int) -> None:
    """Print the table of one segmenter."""
    latency = result["lines"]["latency"]
    at = [t for t in (1, 100, 1000) if t + 1 < timepoints]
    print(f"\n### {name}\n")
    print("| stage, ms (p50 / p95) | " + " | ".join(f"t = {t}" for t in at) + " |")
    print("| --- |" + " --- |" * len(at))
    for stage in STAGES:
        values = [line["stages_ms"].get(stage, 0.0) for line in latency]
        print(row(stage, values, at))
    to_mask = [line["frame_to_mask_ms"] for line in latency]
    confirmed = result["lines"]["stim_confirmed"]
    shown = [line["frame_to_display_ms"] for line in confirmed]
    print(row("**frame in hand -> mask ready**", to_mask, at))
    print(
        row("**frame in hand -> mask on the SLM**", shown, [max(t - 1, 0) for t in at])
    )
    t = np.arange(len(to_mask))
    slope = np.polyfit(t, to_mask, 1)[0] * 1000 if len(t) > 2 else float("nan")
    tenth = max(len(to_mask) // 10, 1)
    ratio = np.median(to_mask[-tenth:]) / np.median(to_mask[:tenth])
    print(
        f"\nslope {slope:+.2f} ms per 1,000 timepoints; last tenth / first tenth "
        f"{ratio:.2f}; {timepoints / result['seconds']:.1f} stacks/s sustained "
        f"(2 channels, stored); {result['cells'] / timepoints:.0f} cells a frame"
    )


def main() -> None:
    """Run the benchmark and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--timepoints", type=int, default=1 + 1000 + WINDOW)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--cells", type=int, default=300)
    parser.add_argument("--keep", type=Path, help="Keep the runs in this folder.")
    given = parser.parse_args()
    print(
        f"{given.size} x {given.size} uint16, 2 channels, {given.cells} cells; "
        f"{os.cpu_count()} cores ({platform.machine()}), Python "
        f"{platform.python_version()}; windows of {WINDOW} timepoints"
    )
    folder = given.keep or Path(tempfile.mkdtemp(prefix="faro-loop-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        for segmenter in (OtsuSegmenter(), LocalThresholdSegmenter()):
            result = run_loop(
                segmenter,
                size=given.size,
                cells=given.cells,
                timepoints=given.timepoints,
                folder=folder,
            )
            report(type(segmenter).__name__, result, given.timepoints)
    finally:
        if given.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    if sys.platform != "win32":
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"\npeak memory {peak:.0f} MiB")


if __name__ == "__main__":
    main()
