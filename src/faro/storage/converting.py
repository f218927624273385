"""Any run as one of ours, in another layout: frames, labels, cells; verified."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from faro.errors import StorageError
from faro.model import CellTable, FrameRole, RunNeeds, StackNeeds
from faro.storage.adopting import adopt_cells, adopt_frames, adopt_labels, adopt_words
from faro.storage.opening import open_run

if TYPE_CHECKING:
    import numpy.typing as npt

    from faro.storage.reader import Run
    from faro.storage.writer import RunWriter

Told = Callable[[int, int], object]
"""Takes the positions that are done, and all of them."""


COUNTED: Final = ("n_stimulated", "n_skipped", "n_errors")
"""What the summary of a run counts."""


@dataclass(slots=True)
class Converted:
    """What was taken over.

    Attributes
    ----------
    n_frames, n_labels
        Stacks and label images, each compared with the source afterwards.
    n_cells
        Rows of the table.
    n_renamed
        Rows whose track id had to change, because two cells of a frame had it.
    """

    n_frames: int = 0
    n_labels: int = 0
    n_cells: int = 0
    n_renamed: int = 0
    problems: list[str] = field(default_factory=list)


def convert(
    source: Run,
    writer: RunWriter,
    *,
    frames_only: bool = False,
    told: Told | None = None,
) -> Converted:
    """Write a run anew with ``writer``, then compare every frame with the source.

    Parameters
    ----------
    source
        Ours, or one of the public FARO project, whose track ids are kept in the column
        ``particle``.
    frames_only
        Leave out labels and cells.
    told
        Called after every position.

    Raises
    ------
    StorageError
        If something cannot be read or written, or differs afterwards.
    """
    before = dict(source.info.get("description") or {})
    writer.open(needs_of(source), {**before, "converted_from": str(source.path)})
    done = Converted()
    fovs = source.fovs
    for count, fov in enumerate(fovs, 1):
        frames = adopt_frames(writer, source, fov)
        done.n_frames += frames.linked + frames.stored
        if not frames_only:
            _take_over(writer, source, fov, done)
        if told is not None:
            told(count, len(fovs))
    ended = source.summary or {"reason": "converted from a run that was not closed"}
    writer.record("run_finished", reason=ended.get("reason", ""))
    found = {"n_stacks": done.n_frames, "n_cells": done.n_cells}
    writer.close({**dict.fromkeys(COUNTED, 0), **ended, **found})
    _compare(source, open_run(writer.path), done, frames_only=frames_only)
    if done.problems:
        problem = f"{writer.path} differs from {source.path}: {done.problems[0]}."
        raise StorageError(problem, remedy="Check the disk, delete it and try again.")
    return done


def needs_of(source: Run) -> RunNeeds:
    """Return what a run has on disk, as a plan of it."""
    channels: dict[FrameRole, dict[str, None]] = {role: {} for role in FrameRole}
    stacks: dict[int, tuple[StackNeeds, ...]] = {}
    for fov in source.fovs:
        for role in FrameRole:
            found = _first_stacks(source, fov, role)
            for stack in found:
                channels[role].update(dict.fromkeys(stack.channels))
            if role is FrameRole.IMAGE and found:
                stacks[fov] = tuple(found)
    said = source.info.get("needs") or {}
    names = said.get("channels") or channels[FrameRole.IMAGE]
    return RunNeeds(
        n_timepoints=source.n_timepoints,
        fovs=source.fovs,
        channels=tuple(names),
        stim_channels=tuple(channels[FrameRole.STIM]),
        ref_channels=tuple(channels[FrameRole.REF]),
        image_shape=source.image_shape,
        image_dtype=source.image_dtype,
        labels=source.label_names,
        pixel_size_um=source.pixel_size_um,
        interval_s=said.get("interval_s"),
        fov_names=source.fov_names,
        fov_wells={int(p): w for p, w in (said.get("fov_wells") or {}).items()},
        fov_positions_um={
            int(p): tuple(at) for p, at in (said.get("fov_positions_um") or {}).items()
        },
        stacks=stacks,
    )


def _first_stacks(source: Run, fov: int, role: FrameRole) -> list[StackNeeds]:
    """Return what the stacks of a position look like, at its first timepoint."""
    for timestep in range(source.n_timepoints):
        found = source.stacks(fov, timestep, role=role)
        if found:
            return [StackNeeds(s.channels, s.n_z, _step_um(s.z_um)) for s in found]
    return []


def _step_um(z_um: tuple[float, ...]) -> float | None:
    """Return the distance between planes, None if it is uneven or unknown."""
    steps = {round(abs(b - a), 6) for a, b in pairwise(z_um)}
    return steps.pop() if len(steps) == 1 else None


def _take_over(writer: RunWriter, source: Run, fov: int, done: Converted) -> None:
    """Take over labels, cells and words of a position."""
    names = source.images.label_names(fov)
    if any(line["kind"] == "labels" for line in source.journal):
        labels = adopt_labels(writer, source, fov, names)
        done.n_labels += labels.linked + labels.stored
        done.n_cells += adopt_cells(writer, source, fov)
        adopt_words(writer, source, fov)
        return
    for name in names:
        for timestep in range(source.n_timepoints):
            found = source.images.labels(name, fov, timestep)
            if found is not None:
                writer.store_labels(name, fov, timestep, found)
                done.n_labels += 1
    cells = source.cells
    if "fov" not in cells:
        return
    ids, n_renamed = _unique_ids(cells, fov)
    done.n_renamed += n_renamed
    rows = np.flatnonzero(cells["fov"] == fov)
    for timestep in np.unique(cells["timestep"][rows]).tolist():
        at = rows[cells["timestep"][rows] == timestep]
        table = {name: cells[name][at] for name in cells.names}
        table |= {"track_id": ids[at], "particle": cells["track_id"][at] - 1}
        writer.store_cells(fov, timestep, CellTable(table))
        done.n_cells += len(at)


def _unique_ids(cells: CellTable, fov: int) -> tuple[npt.NDArray[np.int64], int]:
    """Return the track ids (n,) of all rows; a second cell of a frame gets its own."""
    ids = np.array(cells["track_id"], np.int64)
    rows = np.flatnonzero(cells["fov"] == fov)
    keys = np.stack([cells["timestep"][rows], ids[rows]], axis=1)
    _, first = np.unique(keys, axis=0, return_index=True)
    again = np.setdiff1d(np.arange(len(rows)), first)
    ids[rows[again]] = ids.max(initial=0) + 1 + np.arange(len(again))
    return ids, len(again)


def _compare(source: Run, made: Run, done: Converted, *, frames_only: bool) -> None:
    """Note every frame and label image that is not as in the source."""
    for fov in source.fovs:
        for timestep in range(source.n_timepoints):
            for role in FrameRole:
                for stack in source.stacks(fov, timestep, role=role):
                    _same(made, stack, done)
            for name in () if frames_only else source.images.label_names(fov):
                then = source.images.labels(name, fov, timestep)
                now = made.images.labels(name, fov, timestep)
                if then is not None and (now is None or not np.array_equal(then, now)):
                    done.problems.append(f"labels {name} of fov {fov}, t {timestep}")


def _same(made: Run, stack: Any, done: Converted) -> None:
    """Note a stack that differs."""
    for row, channel in enumerate(stack.channels):
        now = made.volume(stack.fov, stack.timestep, channel, role=stack.role)
        then = stack.pixels[row]
        if not np.array_equal(then if then.ndim > now.ndim - 1 else then[None], now):
            where = f"fov {stack.fov}, t {stack.timestep}, {channel}"
            done.problems.append(f"the frame of {where}")
