"""What each treatment was given: light, masks, dose; and how many cells answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from faro.view.journal import of_kind
from faro.view.response import finite
from faro.view.wording import count_text, duration_text, short

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from faro.model import CellTable
    from faro.storage import Run
    from faro.view.journal import Floats, Line
    from faro.view.numbers import Facts
    from faro.view.response import Arm

DOSE, DOSE_UNIT = "dose_", "_ms"
"""A column ``dose_CHANNEL_ms`` is the light that a cell has received so far."""


@dataclass(frozen=True, slots=True)
class Treatment:
    """One line of the table of treatments.

    Attributes
    ----------
    responses
        Mean and standard deviation over FOVs of each response, in their order.
    """

    name: str
    fovs: str
    tracks: str
    responses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Given:
    """One line of the table of light: a treatment and a channel.

    Attributes
    ----------
    fired
        Stimulations.
    exposure
        Summed over them.
    lit
        Part of the field that a mask lit: median and range.
    """

    treatment: str
    channel: str
    fired: str
    exposure: str
    lit: str


@dataclass(frozen=True, slots=True)
class Dose:
    """One line of the table of dose: what cells had received when last seen."""

    treatment: str
    channel: str
    median: str
    most: str
    cells: str


@dataclass(frozen=True, slots=True)
class Treated:
    """What each treatment was given, and what came of it.

    Attributes
    ----------
    responses
        Names of the responses of a `Treatment`, in their order.
    """

    treatments: tuple[Treatment, ...]
    responses: tuple[str, ...]
    light: tuple[Given, ...]
    doses: tuple[Dose, ...]


def treated_of(run: Run, facts: Facts) -> Treated:
    """Return the tables of treatments; those of FOVs without a name have no first."""
    cells, named = run.cells, any(arm.name for arm in facts.answer.arms)
    return Treated(
        treatments=tuple(treatments_of(facts, cells)) if named else (),
        responses=tuple(response.name for response in facts.answer.responses),
        light=tuple(light_of(facts, run.journal)),
        doses=tuple(doses_of(facts, cells)),
    )


def treatments_of(facts: Facts, cells: CellTable) -> Iterator[Treatment]:
    """Yield what came of each treatment; the unit is the FOV."""
    for arm in facts.answer.arms:
        told = []
        for response in facts.answer.responses:
            ends = finite(response.of(arm)[1])
            told.append(_spread(ends, response.unit))
        n_tracks = len(_tracks(cells, arm))
        yield Treatment(
            arm.title, str(len(arm.fovs)), count_text(n_tracks), tuple(told)
        )


def light_of(facts: Facts, journal: Sequence[Line]) -> Iterator[Given]:
    """Yield what light each treatment was given, channel by channel, as it fired."""
    armed: dict[tuple[Any, ...], Line] = {}
    for line in of_kind(journal, "stim_armed"):
        armed[_place(line)] = line
    fired = [armed.get(_place(n), n) for n in of_kind(journal, "stim_confirmed")]
    for arm in facts.answer.arms:
        for channel in facts.light.channels:
            lines = [
                line
                for line in fired
                if line["fov"] in arm.fovs and line.get("channel", "") == channel
            ]
            if lines:
                yield _given(arm, channel, lines)


def doses_of(facts: Facts, cells: CellTable) -> Iterator[Dose]:
    """Yield the dose of the cells of each treatment, as each was last seen."""
    names = [n for n in cells.names if n.startswith(DOSE) and n.endswith(DOSE_UNIT)]
    for arm in facts.answer.arms if names else ():
        rows = _tracks(cells, arm)
        for name in names:
            values = finite(cells[name][rows].astype(np.float64))
            n_lit = int((values > 0).sum())
            if values.size:
                yield Dose(
                    arm.title,
                    name.removeprefix(DOSE).removesuffix(DOSE_UNIT),
                    f"{short(float(np.median(values)))} ms",
                    f"{short(float(values.max()))} ms",
                    f"{count_text(n_lit)} of {count_text(len(values))}",
                )


def _given(arm: Arm, channel: str, lines: Sequence[Line]) -> Given:
    exposures_ms = [line.get("exposure_ms") for line in lines]
    known_ms = [float(ms) for ms in exposures_ms if ms is not None]
    lit = [line.get("lit_fraction") for line in lines if not line.get("whole_field")]
    fractions = np.array([f for f in lit if f is not None], np.float64)
    whole = any(line.get("whole_field") for line in lines)
    return Given(
        arm.title,
        channel,
        count_text(len(lines)),
        duration_text(sum(known_ms) / 1e3) if known_ms else "unknown",
        _percent(fractions) if fractions.size else ("whole field" if whole else ""),
    )


def _percent(fractions: Floats) -> str:
    """Return the median and the range of (n,) fractions, in percent."""
    low, middle, high = (
        float(100 * f) for f in (fractions.min(), np.median(fractions), fractions.max())
    )
    if low == high:
        return f"{short(middle)} %"
    return f"{short(middle)} % ({short(low)} to {short(high)})"


def _tracks(cells: CellTable, arm: Arm) -> Any:
    """Return the last row of each track of an arm, (n,) indices."""
    if not {"fov", "track_id", "timestep"} <= set(cells.names):
        return np.zeros(0, np.intp)
    track = cells["track_id"].astype(np.int64)
    here = np.flatnonzero(np.isin(cells["fov"], arm.fovs) & (track >= 1))
    order = np.lexsort((cells["timestep"][here], track[here], cells["fov"][here]))
    rows = here[order]
    keys = np.stack([cells["fov"][rows], track[rows]], axis=1)
    last = np.r_[(keys[1:] != keys[:-1]).any(axis=1), True][: len(rows)]
    return rows[last]


def _spread(ends: Floats, unit: str) -> str:
    """Return mean and standard deviation of (n,) values."""
    if not ends.size:
        return "unknown"
    mean = short(float(ends.mean())).replace("-", "\N{MINUS SIGN}")
    if ends.size == 1:
        return f"{mean} {unit}".strip()
    spread = short(float(ends.std(ddof=1)))
    return f"{mean} \N{PLUS-MINUS SIGN} {spread} {unit}".strip()


def _place(line: Line) -> tuple[Any, ...]:
    return line["fov"], line["timestep"], line.get("channel", "")
