"""Runs that are cut off at any line of their journal, as the end of a process does."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from itertools import filterfalse
from typing import TYPE_CHECKING, Any

import numpy as np

from faro.analysis import MovementFeatures
from faro.model import Stimulus, TrackValues
from faro.run import ImageProcessingPipeline
from faro.run.dosing import is_dose
from faro.storage import OmeZarrWriter, open_run
from faro.storage.kept import write_mask
from faro.storage.layout import RunLayout
from faro.testing.canned import CannedMicroscope
from faro.testing.discs import SHAPE, disc_frame, segment_discs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from faro.microscope.dmd import DMD
    from faro.protocols import StimulationContext
    from faro.storage import Run


class Abandoned(OmeZarrWriter):
    """Leaves the run as it is, as the end of the process would; keeps every state."""

    def store_state(self, fov: int, state: Mapping[str, Any]) -> None:
        """Store a state, and keep a copy of the file beside the run."""
        super().store_state(fov, state)
        path = RunLayout(self.path).state(fov)
        told = json.loads(path.read_bytes())["journal"]
        kept = _states(self.path)
        kept.mkdir(exist_ok=True)
        shutil.copy(path, kept / f"{told['bytes']:09d}_{path.name}")

    def close(self, summary: Mapping[str, Any]) -> None:
        """Let the run go, unfinished."""
        del summary
        self.let_go()


class Counting:
    """Lights what it has counted, with a memory of every kind; the more the later."""

    def __init__(self, needs: tuple[str, ...] = ("tracks",)) -> None:
        self.needs = needs

    def stimulate(self, context: StimulationContext) -> Stimulus:
        """Light one more row than the time before."""
        memory = context.memory
        memory["n"] = memory.get("n", 0) + 1
        before = memory.get("seen", np.zeros(3, np.float32))
        memory["seen"] = before + np.float32(0.1)
        if context.cells is not None and "tracks" in self.needs:
            ids = context.cells.track_id
            kept = memory.get("tracks", TrackValues())
            memory["tracks"] = kept.updated(ids, {"age": ids * 0.1 + memory["n"]})
        mask = np.zeros(SHAPE, np.uint8)
        mask[: memory["n"], :5] = 255
        lit = 0.0 if context.previous is None else context.previous.lit_fraction
        return Stimulus(mask, {"n": memory["n"], "before": round(lit, 6)})


def pipeline(needs: tuple[str, ...] = ("tracks",)) -> ImageProcessingPipeline:
    """Return a pipeline that counts."""
    measured = MovementFeatures()  # remembers where each track was and began
    return ImageProcessingPipeline(
        segment_discs, features=measured, stimulator=Counting(needs)
    )


def scope(dmd: DMD) -> CannedMicroscope:
    """Return a microscope that shows discs."""
    return CannedMicroscope(disc_frame, SHAPE, dmd=dmd)


def cut_to(
    source: Path, target: Path, n_lines: int, *, power: bool = False
) -> list[dict[str, Any]]:
    """Copy a run as it was after some lines of its journal; return these.

    With ``power`` the lines after them were lost with it: what was stored since is
    still there, also the states of the end.
    """
    shutil.copytree(source, target)
    journal = target / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)[:n_lines]
    journal.write_bytes(b"".join(lines))
    if not power:
        _put_states(source, target, sum(map(len, lines)))
    run = open_run(target)
    for line in run.journal:
        if line["kind"] == "stim_armed":
            place = line["fov"], line["timestep"]
            mask = run.labels("stim_mask", *place).astype(np.uint8)
            write_mask(RunLayout(target).kept_mask("stim_mask", *place), mask)
    return run.journal


def _states(path: Path) -> Path:
    """Return where the states of an abandoned run are kept."""
    return path.with_name(f"{path.name}-states")


def _put_states(source: Path, target: Path, n_bytes: int) -> None:
    """Give a run the states that were stored when its journal had so many bytes."""
    for path in target.glob("state/*.json"):
        path.unlink()
    for path in sorted(_states(source).glob("*.json")):
        stored, name = path.name.split("_", 1)
        if int(stored) <= n_bytes:
            shutil.copy(path, target / "state" / name)


def same(one: Run, other: Run) -> None:
    """Assert that two runs hold the same, each thing once."""
    names = {"nuclei", "tracks", "stim_mask"}
    for fov in one.fovs:
        for timestep in range(one.n_timepoints):
            place = fov, timestep
            np.testing.assert_array_equal(
                one.stack(*place).pixels, other.stack(*place).pixels
            )
            for name in names:
                mine, found = (r.images.labels(name, *place) for r in (one, other))
                assert (mine is None) == (found is None), (name, place)
                if mine is not None and found is not None:
                    np.testing.assert_array_equal(mine, found)
    tables = [run.cells for run in (one, other)]
    orders = [np.lexsort((t["label"], t["timestep"], t["fov"])) for t in tables]
    for name in filterfalse(is_dose, tables[0].names):
        values = [t[name][order] for t, order in zip(tables, orders, strict=True)]
        if "per_min" in name:  # the two runs took different times
            values = [np.isnan(column) for column in values]
        np.testing.assert_array_equal(values[0], values[1], name)
    counted = Counter(
        (x["kind"], x["fov"], x["timestep"], x.get("role"), x.get("channel"))
        for x in other.journal
        if x["kind"] in ("frame", "cells", "stim_armed", "stim_decided")
    )
    assert set(counted.values()) == {1}
