"""The account of all light: what every cell and position has received.

A ledger is a fold over two kinds of facts, in the order of a run: light that was given
(`Light`), and cells that were seen (`CellsSeen`). `fold` makes one from the record of a
run; a run keeps one up to date with the same two calls.

Rules: light on the whole field reaches every track from the frame in which it begins,
also while it is not seen. Light through a mask reaches the cells that it covered in
the frame that the mask was computed from; a track that was not seen there gets none.
Where the cells under a mask are not known, each counts with its brightest level. What
was about to fire counts as fired.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from faro.model import TrackValues
from faro.policies.dose import CellShares, DoseRules, Verdict
from faro.policies.window import SLOTS, Window

if TYPE_CHECKING:
    from collections.abc import Iterable

    from faro.policies.dose import DoseCeiling, Floats, Ints, Light

Sums: TypeAlias = dict[str, float]
FRAMES_KEPT = 64
"""How many timepoints the analysis may lag behind before births are dated later."""
KEEP_MISSED = 20
"""Frames for which a track that is not seen is remembered."""
ROUNDING = 1.0 + 1e-9


@dataclass(slots=True)
class _Place:
    """The account of one position, in ms of full light.

    ``own`` of a track is what it got beyond (or below) the light on the whole field.
    """

    everywhere: Sums = field(default_factory=dict)
    mean: Sums = field(default_factory=dict)
    before: dict[int, Sums] = field(default_factory=dict)
    imaged: dict[int, Sums] = field(default_factory=dict)
    own: TrackValues = field(default_factory=TrackValues)
    open: list[Light] = field(default_factory=list)
    aimed: dict[str, tuple[int, CellShares]] = field(default_factory=dict)
    windows: dict[int, Window] = field(default_factory=dict)


class DoseLedger:
    """What every cell and position has received. Not thread-safe.

    Parameters
    ----------
    rules
        The ceilings, and what daughters begin with.

    Examples
    --------
    >>> ledger = DoseLedger()
    >>> from faro.policies import Light
    >>> ledger.seen(0, 0, np.array([7]), np.array([0]))
    >>> ledger.given(Light(0, 0, "Cyan", "stim", at_s=1.0, full_ms=20.0))
    >>> ledger.received(0, np.array([7]))
    {'Cyan': array([20.])}
    """

    def __init__(self, rules: DoseRules | None = None) -> None:
        self.rules = rules or DoseRules()
        self._places: dict[int, _Place] = {}
        self._channels: dict[str, None] = {}

    def expect(self, channels: Iterable[str]) -> None:
        """Have an account for channels before they give any light."""
        self._channels.update(dict.fromkeys(channels))

    def given(self, light: Light) -> None:
        """Count light that is given, or about to be."""
        place = self._place(light.fov)
        self._channels.setdefault(light.channel)
        if light.timestep not in place.before:
            place.before[light.timestep] = dict(place.everywhere)
            _shorten(place.before)
        _add(place.mean, light.channel, light.full_ms * light.mean)
        for number, _ in self._counting(light.channel, of="fov"):
            window = place.windows[number]
            window.add(light.at_s, light.full_ms * light.mean)
        shares = light.cells
        if shares is None and light.from_timestep is not None:
            shares = self.shares(light.fov, light.from_timestep, light.channel)
            if shares is None:
                place.open.append(light)
                return
        self._credit(place, light, shares)
        if light.role == "image":
            place.imaged[light.timestep] = dict(place.everywhere)
            _shorten(place.imaged)

    def seen(
        self,
        fov: int,
        timestep: int,
        track_id: Ints,
        parent_id: Ints,
    ) -> None:
        """Count the cells of a frame in.

        Parameters
        ----------
        fov, timestep
            The frame; in order for each position.
        track_id, parent_id
            (n,) int64, 0 for no parent.
        """
        place = self._place(fov)
        names = self._columns(place)
        inherit = parent_id if self.rules.at_division == "inherit" else None
        old = place.own.rows(track_id, names, parent_id=inherit)
        known = place.own.knows(track_id)
        if inherit is not None:
            known |= (parent_id > 0) & place.own.knows(parent_id)
        base = place.before.get(timestep, place.everywhere)
        for name in names:
            begins = -base.get(name, 0.0) if name in self._channels else 0.0
            old[name] = np.where(known, np.nan_to_num(old[name]), begins)
        place.own = place.own.updated(track_id, old, KEEP_MISSED)
        waiting, place.open = place.open, []
        for light in waiting:
            if light.from_timestep is None or light.from_timestep < timestep:
                self._credit(place, light, None)
            else:
                place.open.append(light)

    def aimed(self, fov: int, timestep: int, channel: str, shares: CellShares) -> bool:
        """Say what each cell gets of the mask computed from a frame that was seen.

        Returns
        -------
        Whether that mask was fired before it was known whom it lights.
        """
        place = self._place(fov)
        place.aimed[channel] = timestep, shares
        of_mask = [light for light in place.open if light.channel == channel]
        fired = [light for light in of_mask if light.from_timestep == timestep]
        for light in fired:
            self._credit(place, light, shares)
            place.open.remove(light)
        return bool(fired)

    def settle(self) -> None:
        """Count masks whose cells will not be known any more, at their brightest."""
        for place in self._places.values():
            waiting, place.open = place.open, []
            for light in waiting:
                self._credit(place, light, None)

    def shares(self, fov: int, timestep: int, channel: str) -> CellShares | None:
        """Return what each cell gets of the mask of a frame; None if not known."""
        aimed = self._place(fov).aimed.get(channel)
        return aimed[1] if aimed is not None and aimed[0] == timestep else None

    def verdict(self, light: Light) -> Verdict:
        """Return how much of ``light`` is allowed now; nothing is counted."""
        field_part, met = 1.0, ""
        cells = None if light.cells is None else np.ones(len(light.cells.level))
        place = self._place(light.fov)
        for number, ceiling in enumerate(self.rules.ceilings):
            if not ceiling.counts(light.channel):
                continue
            if ceiling.of == "cell" and light.cells is not None and cells is not None:
                used = self._used(place, number, light.cells.track_id, light.at_s)
                part = _allowed(ceiling, used, light.full_ms * light.cells.level)
                over = bool((part < 1.0).any())
                cells = np.minimum(cells, part)
            else:
                part = self._field_part(place, number, light)
                over = bool(part[0] < 1.0)
                field_part = min(field_part, float(part[0]))
            met = met or (str(ceiling) if over else "")
        return Verdict(field_part, cells, met)

    def received(
        self, fov: int, track_id: Ints, timestep: int | None = None
    ) -> dict[str, Floats]:
        """Return what tracks have received, channel to (n,), ms of full light.

        Parameters
        ----------
        fov
            Position index.
        track_id
            (n,) int64; one that is not known counts as there from the start.
        timestep
            Up to the last image of this timepoint; None for all light so far.
        """
        place = self._place(fov)
        everywhere = place.everywhere
        if timestep is not None:
            everywhere = place.imaged.get(timestep, everywhere)
        own = place.own.rows(track_id, self._channels)
        return {
            name: np.maximum(np.nan_to_num(own[name]) + everywhere.get(name, 0.0), 0.0)
            for name in sorted(self._channels)
        }

    def totals(self) -> dict[int, Sums]:
        """Return the mean dose of each position by channel, ms of full light."""
        return {fov: dict(place.mean) for fov, place in self._places.items()}

    def _credit(self, place: _Place, light: Light, shares: CellShares | None) -> None:
        """Add light to the cells: to all of them where ``shares`` is None."""
        everyone_ms = light.full_ms * light.peak if shares is None else 0.0
        names = [light.channel]
        for number, _ in self._counting(light.channel):
            self._forget(place, number, light.at_s)
            slot = place.windows[number].add(light.at_s, everyone_ms)
            names.append(_slot(number, slot))
        if shares is None:
            _add(place.everywhere, light.channel, everyone_ms)
            return
        place.own = _with_tracks(place.own, shares.track_id)
        amounts = np.zeros(len(place.own.track_id))
        at = np.searchsorted(place.own.track_id, shares.track_id)
        amounts[at] = light.full_ms * shares.level
        columns = dict(place.own.columns)
        for name in names:
            old = columns.get(name, np.zeros(len(amounts)))
            columns[name] = np.nan_to_num(old) + amounts
        place.own = replace(place.own, columns=columns)

    def _used(self, place: _Place, number: int, track_id: Ints, at_s: float) -> Floats:
        """Return what tracks (n,) have used of a ceiling for cells."""
        ceiling = self.rules.ceilings[number]
        pending = sum(
            light.full_ms * light.peak
            for light in place.open
            if ceiling.counts(light.channel)
        )
        if ceiling.per_s:
            self._forget(place, number, at_s)
            names = [_slot(number, slot) for slot in range(SLOTS)]
            everywhere = place.windows[number].used(at_s)
        else:
            names = [name for name in self._channels if ceiling.counts(name)]
            everywhere = sum(place.everywhere.get(name, 0.0) for name in names)
        own = place.own.rows(track_id, [n for n in names if n in place.own.columns])
        used: Floats = np.full(len(track_id), everywhere + pending)
        for values in own.values():
            used += np.nan_to_num(values)
        return used

    def _field_part(self, place: _Place, number: int, light: Light) -> Floats:
        """Return the part of light (1,) that a ceiling allows of all of it."""
        ceiling = self.rules.ceilings[number]
        if ceiling.of == "fov":
            used = self._used_by_field(place, number, light.at_s)
            needed = light.full_ms * light.mean
        else:
            tracks = place.own.track_id
            most = self._used(place, number, tracks, light.at_s)
            unseen = self._used(place, number, np.zeros(1, np.int64), light.at_s)
            used = float(most.max() if len(most) else unseen[0])
            needed = light.full_ms * light.peak
        return _allowed(ceiling, np.array([used]), np.array([needed]))

    def _used_by_field(self, place: _Place, number: int, at_s: float) -> float:
        ceiling = self.rules.ceilings[number]
        if ceiling.per_s:
            return place.windows[number].used(at_s)
        return sum(ms for name, ms in place.mean.items() if ceiling.counts(name))

    def _forget(self, place: _Place, number: int, at_s: float) -> None:
        """Let what is too old leave the window of a ceiling for cells."""
        emptied = place.windows[number].forget(at_s)
        names = {_slot(number, slot) for slot in emptied}
        if names & set(place.own.columns):
            columns = {
                name: np.zeros(len(values)) if name in names else values
                for name, values in place.own.columns.items()
            }
            place.own = replace(place.own, columns=columns)

    def _columns(self, place: _Place) -> list[str]:
        """Return the names of what is remembered of each track."""
        slots = [name for name in place.own.columns if name not in self._channels]
        return [*self._channels, *slots]

    def _counting(
        self, channel: str, of: str = "cell"
    ) -> list[tuple[int, DoseCeiling]]:
        """Return the ceilings with a window that count a channel."""
        return [
            (number, ceiling)
            for number, ceiling in enumerate(self.rules.ceilings)
            if ceiling.per_s and ceiling.of == of and ceiling.counts(channel)
        ]

    def _place(self, fov: int) -> _Place:
        if fov not in self._places:
            ceilings = enumerate(self.rules.ceilings)
            windows = {n: Window(c.per_s) for n, c in ceilings if c.per_s}
            self._places[fov] = _Place(windows=windows)
        return self._places[fov]


def _allowed(ceiling: DoseCeiling, used: Floats, needed: Floats) -> Floats:
    """Return the part (n,) of what is needed that a ceiling still allows."""
    left = np.maximum(ceiling.most_ms - used, 0.0)
    part = np.ones(len(used))
    over = needed > left * ROUNDING
    part[over] = left[over] / needed[over]
    return part


def _with_tracks(values: TrackValues, track_id: Ints) -> TrackValues:
    """Return values that know tracks (n,) of which no row was stored, at 0."""
    new = track_id[~values.knows(track_id)]
    if not len(new):
        return values
    ids = np.concatenate([values.track_id, new])
    order = np.argsort(ids, kind="stable")
    more = np.zeros(len(new))
    columns = {n: np.concatenate([v, more])[order] for n, v in values.columns.items()}
    missed = np.concatenate([values.missed, more.astype(np.int64)])[order]
    return TrackValues(ids[order], columns, missed)


def _slot(number: int, slot: int) -> str:
    return f"/{number}/{slot}"


def _add(sums: Sums, channel: str, dose_ms: float) -> None:
    sums[channel] = sums.get(channel, 0.0) + dose_ms


def _shorten(kept: dict[int, Sums]) -> None:
    while len(kept) > FRAMES_KEPT:
        del kept[min(kept)]
