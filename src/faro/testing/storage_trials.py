"""A process that writes a run until it is killed, and what became of it.

    python -m faro.testing.storage_trials FOLDER LAYOUT DURABILITY [CLOSE_AT]

What was acknowledged is printed, a line each, as soon as the writer has returned.
Everything is made from its number, so that whoever reads the lines knows what must be
on disk. `check` compares.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from faro.errors import FaroError
from faro.model import CellTable, FrameRole, RunNeeds, Stack
from faro.storage import (
    OmeZarrWriter,
    OmeZarrWriterPlate,
    TiffWriter,
    open_run,
    writer_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from faro.storage.disk import Durability
    from faro.storage.reader import Run
    from faro.storage.writer import RunWriter

LAYOUTS: Final[dict[str, type[RunWriter]]] = {
    "collection": OmeZarrWriter,
    "plate": OmeZarrWriterPlate,
    "tiff": TiffWriter,
}
CHANNELS: Final = ("a", "b")
N_FOVS: Final = 4
N_WORKERS: Final = 2
SHAPE: Final = (128, 128)
NAMES: Final = {0: "A1", 1: "A2", 2: "B1", 3: "B2"}


def pixels_of(number: int) -> npt.NDArray[np.uint16]:
    """Return the stack (C, Y, X) of a number; like cells, it compresses by half."""
    rng = np.random.default_rng(number)
    return rng.integers(0, 256, (len(CHANNELS), *SHAPE), dtype=np.uint16)


def labels_of(number: int) -> npt.NDArray[np.int32]:
    """Return the labels (Y, X) of a number."""
    bright = pixels_of(number)[0] > 128
    return np.where(bright, number + 1, 0).astype(np.int32)


def cells_of(number: int) -> CellTable:
    """Return the rows of a number, one at least."""
    label = np.arange(number % 7 + 1)
    return CellTable({"label": label, "value": label + 0.5 * number})


def write(path: Path, layout: str, durability: Durability, close_at: int = -1) -> None:
    """Write and tell of it until killed; close after frame ``close_at``, if it comes.

    Two threads write at once, as in a run; those of one FOV are in order. A run that
    was killed is gone on with.
    """
    writer, known = opened(path, layout, durability)

    def work(number: int) -> None:
        fov, timestep = number % N_FOVS, number // N_FOVS
        stack = Stack(pixels_of(number), CHANNELS, fov, timestep)
        steps: dict[str, Callable[[], object]] = {
            "frame": lambda: writer.store_stack(stack, {}),
            "labels": lambda: writer.store_labels(
                "nuclei", fov, timestep, labels_of(number)
            ),
            "cells": lambda: writer.store_cells(fov, timestep, cells_of(number)),
        }
        for kind, store in steps.items():
            if (kind, fov, timestep) not in known:
                store()
                _tell(f"{kind} {number}")

    with ThreadPoolExecutor(N_WORKERS) as pool:
        for start in range(0, 1_000_000, N_FOVS):
            list(pool.map(work, range(start, start + N_FOVS)))
            if 0 <= close_at < start + N_FOVS:
                break
    writer.close({})
    _tell("closed 0")


def opened(
    path: Path, layout: str, durability: Durability
) -> tuple[RunWriter, set[tuple[str, int, int]]]:
    """Return a writer of a new run or of one that was killed, and what it holds."""
    if not (path / "run.json").exists():
        writer = LAYOUTS[layout](path, durability=durability)
        needs = RunNeeds(5, tuple(range(N_FOVS)), CHANNELS, SHAPE, fov_names=NAMES)
        writer.open(needs, {})
        return writer, set()
    writer = writer_of(path)
    writer.reopen()
    lines = open_run(path).journal
    return writer, {(x["kind"], x["fov"], x["timestep"]) for x in lines if "fov" in x}


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@dataclass(slots=True)
class Outcome:
    """What is left of what was acknowledged.

    Attributes
    ----------
    acknowledged
        Kind to number of acknowledgements.
    lost
        What is missing or differs from what was written, in words.
    """

    acknowledged: dict[str, int] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        """Count another trial in."""
        for kind, number in other.acknowledged.items():
            self.acknowledged[kind] = self.acknowledged.get(kind, 0) + number
        self.lost += other.lost


def check(path: Path, acknowledged: Iterable[str]) -> Outcome:
    """Read everything that was acknowledged and compare it with what was written."""
    outcome = Outcome()
    told = [line.split() for line in acknowledged]
    for kind, _ in told:
        outcome.acknowledged[kind] = outcome.acknowledged.get(kind, 0) + 1
    try:
        run = open_run(path)
        cells = run.cells
        lines = {(x["kind"], x.get("fov"), x.get("timestep")) for x in run.journal}
    except (FaroError, OSError, ValueError) as error:
        outcome.lost += [f"{' '.join(words)}: {error}" for words in told]
        return outcome
    for kind, text in told:
        number = int(text)
        fov, timestep = number % N_FOVS, number // N_FOVS
        try:
            if kind != "closed" and (kind, fov, timestep) not in lines:
                outcome.lost.append(f"{kind} {number}: no line in the journal")
            elif not _is_there(run, cells, kind, number):
                outcome.lost.append(f"{kind} {number}: differs")
        except (FaroError, OSError, ValueError) as error:
            outcome.lost.append(f"{kind} {number}: {error}")
    return outcome


def _is_there(run: Run, cells: CellTable, kind: str, number: int) -> bool:
    fov, timestep = number % N_FOVS, number // N_FOVS
    if kind == "closed":
        return run.summary is not None
    if kind == "frame":
        found: Any = run.stack(fov, timestep, role=FrameRole.IMAGE).pixels
        return np.array_equal(found, pixels_of(number))
    if kind == "labels":
        return np.array_equal(run.labels("nuclei", fov, timestep), labels_of(number))
    mine = (cells["fov"] == fov) & (cells["timestep"] == timestep)
    return np.array_equal(cells["value"][mine], cells_of(number)["value"])


if __name__ == "__main__":
    folder, asked_layout, asked_durability, *more = sys.argv[1:]
    write(
        Path(folder),
        asked_layout,
        "power-loss" if asked_durability == "power-loss" else "process",
        *map(int, more),
    )
