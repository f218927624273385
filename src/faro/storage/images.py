"""All images of a run: the NGFF collection, its series, and which frame goes where."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from faro.errors import StorageError
from faro.model import FrameRole
from faro.storage import disk, ngff
from faro.storage.jsontext import document
from faro.storage.layout import SeriesKey
from faro.storage.ngff import DTYPE_MAX, ImageFacts, Place, SeriesFormat
from faro.storage.omexml import SeriesFacts, frames_by_series, ome_xml
from faro.storage.series import Series, write_group

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    import numpy.typing as npt

    from faro.model import RunNeeds, Stack
    from faro.storage.disk import Durability
    from faro.storage.layout import RunLayout
    from faro.storage.ngff import PositionUm, Window

N_STACK_AXES: Final = 3
NO_CHANNEL: Final = "none"
"""The one channel of the images of a run that takes none; labels need an image."""

UNKNOWN_POSITION: PositionUm = (None, None, None)


class ImageStore:
    """Creates series and puts stacks into them; thread-safe.

    A stack goes to the first series of its FOV and role that has its channels, shape
    and type and whose timepoint is free; where there is none, a new one is made. So
    nothing is ever overwritten, and a frame that differs never shifts others.

    Parameters
    ----------
    layout
        Of the run; its folder exists.
    uuid, created
        Of the run, for the OME-XML.
    """

    def __init__(
        self,
        layout: RunLayout,
        needs: RunNeeds,
        durability: Durability,
        *,
        uuid: str,
        created: str,
    ) -> None:
        self._layout, self._needs, self._durability = layout, needs, durability
        self._uuid, self._created = uuid, created
        self._lock = threading.RLock()
        self._series: dict[SeriesKey, Series] = {}
        self._position_um: dict[int, PositionUm] = {}
        collection = ngff.group({"bioformats2raw.layout": 3})
        disk.make_folder(layout.series_list.parent)
        for fov in needs.fovs:
            self._plan(fov)
        self._list_series()
        disk.write_atomic(layout.images / "zarr.json", document(collection))

    def extend(self, needs: RunNeeds) -> None:
        """Make room for the timepoints and FOVs of ``needs``; nothing shrinks."""
        with self._lock:
            self._needs = needs
            known = {key.fov for key in self._series}
            for fov in set(needs.fovs) - known:
                self._plan(fov)
            self._list_series()
            for series in self._series.values():
                series.grow(needs.n_timepoints)

    def store(self, stack: Stack) -> tuple[str, list[int]]:
        """Store a stack (C, Y, X); return its series and channel indices.

        Readable when this returns.

        Raises
        ------
        StorageError
            If it cannot be written.
        """
        series, at = self._place(stack)
        try:
            series.write(stack.timestep, stack.pixels, at)
        except BaseException:
            series.release(stack.timestep)
            raise
        return series.path.name, at

    def store_labels(
        self,
        name: str,
        fov: int,
        timestep: int,
        labels: npt.NDArray[np.integer[Any]],
    ) -> None:
        """Store labels (Y, X) with the images of ``fov``; a second time replaces.

        Raises
        ------
        StorageError
            If they cannot be written.
        """
        series = self._for_labels(fov, labels)
        series.label(name, labels).write(timestep, labels)

    def finish(self, journal: Iterable[Mapping[str, Any]]) -> None:
        """Complete the metadata: contrast, stage positions, a line per plane."""
        with self._lock:
            windows = self._windows()
            for key, series in self._series.items():
                shown = windows[key.role, series.facts.format]
                place = replace(series.facts.place, position_um=self._position(key.fov))
                facts = replace(series.facts, windows=shown, place=place)
                if facts != series.facts:
                    series.describe(facts)
            self._list_series(frames_by_series(journal))

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
                    return series, at
                number += 1
            if not number:
                form = self._planned_format(stack.role, form)
            series = self._create(SeriesKey(stack.fov, stack.role, number), form)
            self._list_series()
            series.claim(stack.timestep)
            return series, series.channel_indices(stack.channels) or []

    def _for_labels(self, fov: int, labels: npt.NDArray[np.integer[Any]]) -> Series:
        key = SeriesKey(fov)
        with self._lock:
            if key not in self._series:
                shape = (int(labels.shape[0]), int(labels.shape[1]))
                form = replace(self._image_format(), shape=shape)
                self._create(key, form)
                self._list_series()
            return self._series[key]

    def _plan(self, fov: int) -> None:
        self._create(SeriesKey(fov), self._image_format())

    def _image_format(self) -> SeriesFormat:
        needs = self._needs
        channels = needs.channels or (NO_CHANNEL,)
        return SeriesFormat(channels, needs.image_shape, needs.image_dtype)

    def _planned_format(self, role: FrameRole, form: SeriesFormat) -> SeriesFormat:
        """Return ``form`` with all planned channels of ``role``, if it has no other."""
        planned = {
            FrameRole.IMAGE: self._needs.channels,
            FrameRole.STIM: self._needs.stim_channels,
            FrameRole.REF: self._needs.ref_channels,
        }[role]
        if set(form.channels) <= set(planned) and len(form.channels) <= len(planned):
            return replace(form, channels=tuple(planned))
        return form

    def _create(self, key: SeriesKey, form: SeriesFormat) -> Series:
        needs = self._needs
        place = Place(needs.pixel_size_um, needs.interval_s, self._position(key.fov))
        title = needs.fov_names.get(key.fov) or f"p{key.fov:03d}"
        about = {
            "fov": key.fov,
            "role": str(key.role),
            "name": title,
            "run": self._uuid,
        }
        name = key.name.removesuffix(".ome.zarr")
        facts = ImageFacts(name, form, place, faro=about)
        series = Series(
            self._layout.series(key.name), facts, needs.n_timepoints, self._durability
        )
        self._series[key] = series
        return series

    def _position(self, fov: int) -> PositionUm:
        """Return the planned stage position, else that of the first stack."""
        planned = self._needs.fov_positions_um.get(fov, UNKNOWN_POSITION)
        seen = self._position_um.get(fov, UNKNOWN_POSITION)
        x, y, z = (s if p is None else p for p, s in zip(planned, seen, strict=True))
        return x, y, z

    def _windows(self) -> dict[tuple[FrameRole, SeriesFormat], tuple[Window, ...]]:
        """Return the grey values to show, common to all FOVs."""
        found: dict[tuple[FrameRole, SeriesFormat], list[dict[int, Window]]] = {}
        for key, series in self._series.items():
            alike = found.setdefault((key.role, series.facts.format), [])
            alike.append(series.window_of)
        return {
            (role, form): tuple(
                _common([w[index] for w in seen if index in w], form.dtype)
                for index in range(len(form.channels))
            )
            for (role, form), seen in found.items()
        }

    def _list_series(
        self, lines: Mapping[str, list[Mapping[str, Any]]] | None = None
    ) -> None:
        """Write which series there are: for NGFF and as OME-XML."""
        series = [self._series[key] for key in sorted(self._series)]
        if not series:
            return
        names = [s.path.name for s in series]
        facts = [
            SeriesFacts(
                s.path.name,
                str(s.facts.faro["name"]),
                s.facts.format,
                s.facts.place,
                s.n_timepoints,
                (lines or {}).get(s.path.name, ()),
            )
            for s in series
        ]
        xml = ome_xml(facts, uuid=self._uuid, created=self._created)
        disk.write_atomic(self._layout.ome_xml, xml)
        write_group(self._layout.series_list.parent, ngff.group({"series": names}))


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
        pixels.ndim != N_STACK_AXES
        or len(pixels) != len(stack.channels)
        or not pixels.size
    ):
        problem = f"{where} has shape {pixels.shape} and channels {stack.channels}."
        raise StorageError(problem, remedy="Give (C, Y, X), one plane per channel.")
    return SeriesFormat(stack.channels, stack.shape, dtype)
