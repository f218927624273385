"""All images of a run: its series, and which frame goes where."""

from __future__ import annotations

import threading
from dataclasses import replace
from itertools import pairwise
from math import isclose
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from faro.errors import StorageError
from faro.model import FrameRole, StackNeeds
from faro.storage.layout import SeriesKey
from faro.storage.ngff import DTYPE_MAX, N_PLANE_AXES, ImageFacts, Place, SeriesFormat
from faro.storage.omexml import SeriesFacts, frames_by_series
from faro.storage.told import Told, ToldStack

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy.typing as npt

    from faro.model import RunNeeds, Stack
    from faro.storage.chunks import StoredArray
    from faro.storage.imagetree import ImageTree
    from faro.storage.ngff import PositionUm, Window
    from faro.storage.series import Series

N_STACK_AXES: Final = (3, 4)
"""(C, Y, X) or (C, Z, Y, X)."""
NO_CHANNEL: Final = "none"
"""The one channel of the images of a run that takes none; labels need an image."""

UNKNOWN_POSITION: PositionUm = (None, None, None)
GROW_BY: Final = 32
"""Timepoints by which all series grow at once where they must stay equal."""


class ImageStore:
    """Creates series and puts stacks into them; thread-safe.

    A stack goes to the first series of its FOV and role that has its channels, shape
    and type and whose timepoint is free; where there is none, a new one is made. So
    nothing is ever overwritten, and a frame that differs never shifts others.

    Parameters
    ----------
    tree
        How the series lie on disk; its folder exists.
    uuid, created
        Of the run, for the metadata.
    stored
        What a run that was ended has stored, to go on with it.

    Attributes
    ----------
    by_name
        Path of a series in the folder of the images to the series.
    """

    def __init__(
        self,
        tree: ImageTree,
        needs: RunNeeds,
        *,
        uuid: str,
        created: str,
        stored: Told | None = None,
    ) -> None:
        self._tree, self._needs = tree, needs
        self._uuid, self._created = uuid, created
        self._lock = threading.RLock()
        self._series: dict[SeriesKey, Series] = {}
        self.by_name: dict[str, Series] = {}
        self._position_um: dict[int, PositionUm] = {}
        self._compress_less = False
        self._least_n_timepoints = 0 if stored is None else stored.n_timepoints
        for fov in needs.fovs:
            self._plan(fov)
        if stored is not None:
            self._restore(stored)
        self._list_series()

    def _restore(self, stored: Told) -> None:
        """Take up again what was stored, in the order in which it came."""
        for step in stored.steps:
            if isinstance(step, ToldStack):
                self._take_up(step)
            else:
                self._needs = step
                known = {key.fov for key in self._series}
                for fov in sorted(set(step.fovs) - known):
                    self._plan(fov)
        for key, series in self._series.items():
            ordinary = key == SeriesKey(key.fov)
            labels = stored.labels.get(key.fov, set()) if ordinary else set()
            series.restore(stored.frames.get(series.name, ()), labels)

    def _take_up(self, stack: ToldStack) -> None:
        """Open the series of a stack that is stored, unless it was planned."""
        key, form = stack.key, stack.format
        self._position_um.setdefault(key.fov, stack.position_um)
        if key not in self._series:
            if not key.number:
                form = self._planned_format(key.role, form)
            self._create(key, form, _z_step_um(stack))

    def extend(self, needs: RunNeeds) -> None:
        """Make room for the timepoints and FOVs of ``needs``; nothing shrinks."""
        with self._lock:
            self._needs = needs
            known = {key.fov for key in self._series}
            for fov in sorted(set(needs.fovs) - known):
                self._plan(fov)
            self._list_series()
            for series in self._series.values():
                series.grow(needs.n_timepoints)

    def compress_less(self, on: bool) -> None:  # noqa: FBT001  a switch
        """Have the next stacks cost little work, or few bytes again."""
        with self._lock:
            self._compress_less = on
            for series in self._series.values():
                series.compress_less = on

    def store(self, stack: Stack) -> tuple[str, list[int]]:
        """Store a stack (C, Y, X) or (C, Z, Y, X); return its series and channels.

        Readable when this returns.

        Raises
        ------
        StorageError
            If it cannot be written.
        """
        series, at = self._place(stack)
        first = not series.window_of
        try:
            series.write(stack, at)
        except BaseException:
            series.release(stack.timestep)
            raise
        if first:
            self._describe(series)
        return series.name, at

    def link(self, stack: Stack, source: StoredArray, at: list[int]) -> str | None:
        """Store a stack by sharing the file of another array; return its series.

        Parameters
        ----------
        stack
            What is known of it; its pixels (C, Y, X) or (C, Z, Y, X) are not looked at.
        source
            The array that has it.
        at
            Where its channels are there; None is returned if they would be elsewhere
            here, or the arrays are coded in different ways.
        """
        series, here = self._place(stack)
        first = not series.window_of
        if here != at or not series.link(stack, source):
            series.release(stack.timestep)
            return None
        if first:
            self._describe(series)
        return series.name

    def link_labels(self, place: tuple[str, int, int], source: StoredArray) -> bool:
        """Store labels of (name, fov, timestep) by sharing the file of another array.

        Returns whether that was possible.
        """
        name, fov, timestep = place
        like = np.broadcast_to(np.zeros((), source.dtype), source.shape[1:])
        series = self._for_labels(fov, like)
        if series.facts.format.n_z and source.shape[1] != series.facts.format.n_z:
            return False
        return series.link_labels(name, timestep, source)

    def note(self, record: Mapping[str, Any]) -> None:
        """Have the metadata tell of a stack whose record is in the journal."""
        self.by_name[record["series"]].note(record)

    def store_labels(
        self,
        name: str,
        fov: int,
        timestep: int,
        labels: npt.NDArray[np.integer[Any]],
    ) -> None:
        """Store labels (Y, X) or (Z, Y, X) with the images of ``fov``; again replaces.

        Raises
        ------
        StorageError
            If they cannot be written.
        """
        self._for_labels(fov, labels).write_labels(name, timestep, labels)

    def finish(self, journal: Iterable[Mapping[str, Any]]) -> None:
        """Complete the metadata: contrast, stage positions, a line per plane."""
        lines = frames_by_series(journal)
        with self._lock:
            for series in self._series.values():
                self._describe(series)
                series.finish(lines.get(series.name, ()))
            self._list_series(lines)

    def _describe(self, series: Series) -> None:
        """Have the metadata say what is known by now: contrast and position."""
        with self._lock:
            facts = series.facts
            fov, role = facts.faro["fov"], facts.faro["role"]
            alike = [
                other.window_of
                for other in self._series.values()
                if other.facts.format == facts.format
                and other.facts.faro["role"] == role
            ]
            known = replace(
                facts,
                windows=_windows(alike, facts.format),
                place=replace(facts.place, position_um=self._position(fov)),
            )
            if known != facts:
                series.describe(known)

    def _place(self, stack: Stack) -> tuple[Series, list[int]]:
        """Return the series that ``stack`` goes to, claimed, and its channels there."""
        form = _format_of(stack)
        with self._lock:
            self._position_um.setdefault(stack.fov, stack.position_um)
            number = 0
            while series := self._series.get(SeriesKey(stack.fov, stack.role, number)):
                at = series.channel_indices(stack.channels)
                same = replace(form, channels=()) == replace(
                    series.facts.format, channels=()
                )
                if same and at is not None and series.claim(stack.timestep):
                    self._make_room(stack.timestep)
                    return series, at
                number += 1
            if not number:
                form = self._planned_format(stack.role, form)
            key = SeriesKey(stack.fov, stack.role, number)
            series = self._create(key, form, _z_step_um(stack))
            self._list_series()
            self._make_room(stack.timestep)
            series.claim(stack.timestep)
            return series, series.channel_indices(stack.channels) or []

    def _make_room(self, timestep: int) -> None:
        """Grow all ordinary series at once, where they must stay equal."""
        if self._tree.equal_t and timestep >= self._n_timepoints():
            n_timepoints = -(-(timestep + 1) // GROW_BY) * GROW_BY
            for key, series in self._series.items():
                if key.role is FrameRole.IMAGE and not key.number:
                    series.grow(n_timepoints)

    def _n_timepoints(self) -> int:
        """Return the length of the time axis that ordinary series have or get."""
        planned = max(self._needs.n_timepoints, self._least_n_timepoints)
        if not self._tree.equal_t:
            return planned
        ordinary = (
            series.n_timepoints
            for key, series in self._series.items()
            if key.role is FrameRole.IMAGE and not key.number
        )
        return max(planned, *ordinary, 1)

    def _for_labels(self, fov: int, labels: npt.NDArray[np.integer[Any]]) -> Series:
        key = SeriesKey(fov)
        with self._lock:
            if key not in self._series:
                form = self._format(self._planned(fov)[0])
                shape = (*form.shape[:-N_PLANE_AXES], *labels.shape[-N_PLANE_AXES:])
                self._create(key, replace(form, shape=shape))
                self._list_series()
            return self._series[key]

    def _plan(self, fov: int) -> None:
        for number, planned in enumerate(self._planned(fov)):
            form = self._format(planned)
            self._create(SeriesKey(fov, number=number), form, planned.z_step_um)

    def _planned(self, fov: int) -> tuple[StackNeeds, ...]:
        """Return what the imaging stacks of a FOV will look like."""
        needs = self._needs
        usual = StackNeeds(needs.channels or (NO_CHANNEL,))
        return needs.stacks.get(fov) or (usual,)

    def _format(self, planned: StackNeeds) -> SeriesFormat:
        needs = self._needs
        n_z = (planned.n_z,) if planned.n_z else ()
        return SeriesFormat(
            planned.channels, (*n_z, *needs.image_shape), needs.image_dtype
        )

    def _planned_format(self, role: FrameRole, form: SeriesFormat) -> SeriesFormat:
        """Return ``form`` with all planned channels of its role, if it has no other."""
        planned = {
            FrameRole.IMAGE: self._needs.channels,
            FrameRole.STIM: self._needs.stim_channels,
            FrameRole.REF: self._needs.ref_channels,
        }[role]
        if set(form.channels) <= set(planned) and len(form.channels) <= len(planned):
            return replace(form, channels=tuple(planned))
        return form

    def _create(
        self, key: SeriesKey, form: SeriesFormat, z_step_um: float | None = None
    ) -> Series:
        needs, position_um = self._needs, self._position(key.fov)
        place = Place(needs.pixel_size_um, needs.interval_s, position_um, z_step_um)
        title = needs.fov_names.get(key.fov) or f"p{key.fov:03d}"
        about = {
            "fov": key.fov,
            "role": str(key.role),
            "number": key.number,
            "name": title,
            "well": needs.fov_wells.get(key.fov),
            "run": self._uuid,
            "created": self._created,
        }
        facts = ImageFacts(key.stem, form, place, faro=about)
        series = self._tree.create(key, facts, self._n_timepoints())
        series.compress_less = self._compress_less
        self._series[key] = self.by_name[series.name] = series
        return series

    def _position(self, fov: int) -> PositionUm:
        """Return the planned stage position, else that of the first stack."""
        planned = self._needs.fov_positions_um.get(fov, UNKNOWN_POSITION)
        seen = self._position_um.get(fov, UNKNOWN_POSITION)
        x, y, z = (s if p is None else p for p, s in zip(planned, seen, strict=True))
        return x, y, z

    def _list_series(
        self, lines: Mapping[str, list[Mapping[str, Any]]] | None = None
    ) -> None:
        """Write which series there are."""
        self._tree.list_series(
            [
                SeriesFacts(
                    s.name,
                    str(s.facts.faro["name"]),
                    s.facts.format,
                    s.facts.place,
                    s.n_timepoints,
                    (lines or {}).get(s.name, ()),
                )
                for s in (self._series[key] for key in sorted(self._series))
            ]
        )


def _windows(seen: list[dict[int, Window]], form: SeriesFormat) -> tuple[Window, ...]:
    """Return the grey values to show, per channel, common to series that are alike."""
    if not any(seen):
        return ()
    return tuple(
        _common([w[index] for w in seen if index in w], form.dtype)
        for index in range(len(form.channels))
    )


def _z_step_um(stack: Stack | ToldStack) -> float | None:
    """Return the distance between the planes of a stack, None if uneven or unknown."""
    steps = [b - a for a, b in pairwise(stack.z_um)]
    if not steps or not all(isclose(step, steps[0], abs_tol=1e-6) for step in steps):
        return None
    return abs(steps[0]) or None


def _common(windows: list[Window], dtype: str) -> Window:
    """Return a window that holds all; the full range where there is none."""
    lows, highs = zip(*windows, strict=True) if windows else ((0,), (DTYPE_MAX[dtype],))
    return min(lows), max(highs)


def _format_of(stack: Stack) -> SeriesFormat:
    """Return the format of a stack, or raise StorageError if it cannot be stored."""
    pixels, dtype = stack.pixels, str(stack.pixels.dtype)
    where = f"The stack of fov {stack.fov}, timepoint {stack.timestep}"
    if dtype not in DTYPE_MAX:
        problem = f"{where} has type {dtype}."
        raise StorageError(problem, remedy="Give uint8 or uint16.")
    if (
        pixels.ndim not in N_STACK_AXES
        or len(pixels) != len(stack.channels)
        or not pixels.size
    ):
        problem = f"{where} has shape {pixels.shape} and channels {stack.channels}."
        raise StorageError(problem, remedy="Give (C, Y, X) or (C, Z, Y, X).")
    return SeriesFormat(stack.channels, tuple(map(int, pixels.shape[1:])), dtype)
