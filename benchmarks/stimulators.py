"""What each stimulator costs: python benchmarks/stimulators.py [--cells N] [--edge N].

CPU milliseconds of the calling thread, best of several calls on fresh cells of one
frame. The pixel index is built once per frame, by the tracker at the latest, and is a
line of its own; nothing else is reused. The last column is the same with four times
the cells, which cover about as many pixels.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from faro.analysis import PixelCells
from faro.model import Stack, stimulus_from
from faro.protocols import StimulationContext, columns_needed
from faro.stimulation import (
    CellsByFeature,
    CellsByRank,
    Checkerboard,
    Circle,
    EdgeOfCell,
    Gradient,
    Lit,
    MovingLine,
    NoStimulus,
    PercentageOfCell,
    PercentageOfColony,
    RandomCells,
    Rectangle,
    RingAroundNucleus,
    ScheduledCells,
    ShiftedMask,
    StoredImage,
    WholeField,
)
from faro.testing.movie import synthetic_stack

if TYPE_CHECKING:
    from faro.protocols import Stimulator
    from faro.protocols.analysis import Labels

REPEATS = 7


def stimulators(edge: int, folder: Path) -> dict[str, Stimulator]:
    picture = folder / "picture.npy"
    np.save(picture, np.zeros((edge, edge), np.uint8))
    up = PercentageOfCell()
    return {
        "whole field": WholeField(),
        "nothing": NoStimulus(),
        "circle": Circle(radius_px=200),
        "rectangle, turned": Rectangle(size_px=(200, 400), angle_deg=30),
        "4 moving lines, slanted": MovingLine(1.0, 20.0, angle_deg=30, n_lines=4),
        "checkerboard": Checkerboard(square_px=20),
        "gradient, slanted": Gradient(angle_deg=30),
        "stored image": StoredImage(str(picture)),
        "percentage, image axis": up,
        "percentage, major axis": PercentageOfCell(direction="major_axis"),
        "percentage, movement": PercentageOfCell(direction="movement"),
        "percentage, to a point": PercentageOfCell(towards_px=(400.0, 300.0)),
        "top edge": EdgeOfCell(width_px=4),
        "front edge": EdgeOfCell(width_px=4, direction="movement"),
        "ring": RingAroundNucleus(),
        "cells by feature": CellsByFeature("area", at_least=300),
        "cells by rank": CellsByRank("area", fraction=0.1),
        "random cells": RandomCells(),
        "random cells, their tops": RandomCells(within=up),
        "scheduled cells": ScheduledCells((Lit(0, 60),), since="seen"),
        "percentage of a colony": PercentageOfColony(),
        "top of cells, elsewhere": ShiftedMask(up, (100, 100)),
    }


def milliseconds(stimulator: Stimulator, labels: Labels, stack: Stack) -> float:
    """Return the best CPU time of a call; movement has been seen once before."""
    best = float("inf")
    for _ in range(REPEATS):
        cells = [PixelCells(labels) for _ in range(2)]
        memory: dict[str, object] = {}
        for now in cells:
            now.set_tracks(np.arange(1, len(now) + 1))
            area = now.area.astype(float)
            now.set_features(dict.fromkeys(columns_needed(stimulator), area))
        spent = 0.0
        for now in cells:
            frame = StimulationContext(
                stack, now, {"nuclei": labels}, {}, memory=memory
            )
            start = time.thread_time()
            stimulus_from(stimulator.stimulate(frame), stack.shape)
            spent = time.thread_time() - start
        best = min(best, spent * 1e3)
    return best


def index_milliseconds(labels: Labels) -> float:
    """Return the best CPU time of grouping the pixels of a frame by cell."""
    best = float("inf")
    for _ in range(REPEATS):
        start = time.thread_time()
        len(PixelCells(labels))
        best = min(best, time.thread_time() - start)
    return best * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=300)
    parser.add_argument("--edge", type=int, default=1024)
    asked = parser.parse_args()
    shape = (asked.edge, asked.edge)
    pixels, few = synthetic_stack(shape, asked.cells, seed=1)
    _, many = synthetic_stack(shape, 4 * asked.cells, seed=1, radius_px=6.0)
    stack = Stack(pixels, ("a", "b"), 0, 0, planned_s=100.0, pixel_size_um=0.65)
    counts = [len(np.unique(labels)) - 1 for labels in (few, many)]
    print(f"{shape[0]} x {shape[1]} px, CPU ms, best of {REPEATS}")
    print(f"{'':26}{counts[0]:>8} cells{counts[1]:>8} cells")
    costs = [index_milliseconds(labels) for labels in (few, many)]
    print(f"{'(pixel index of a frame)':26}{costs[0]:>10.1f} ms{costs[1]:>11.1f} ms")
    with tempfile.TemporaryDirectory() as folder:
        for name, stimulator in stimulators(asked.edge, Path(folder)).items():
            costs = [milliseconds(stimulator, labels, stack) for labels in (few, many)]
            print(f"{name:26}{costs[0]:>10.1f} ms{costs[1]:>11.1f} ms")


if __name__ == "__main__":
    main()
