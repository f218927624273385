"""The light meter of a run: asked before every exposure, told which cells were there.

It keeps a `faro.policies.DoseLedger` up to date and writes what that is folded from
into the journal, before the light is given: a run that is killed has its whole account.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from faro.errors import FaroError
from faro.model import FrameRole, Stimulus
from faro.policies import CellShares, DoseLedger, DoseRules, Light

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from faro.analysis import PixelCells
    from faro.experiment import PlannedEvent, RTMEvent
    from faro.experiment.channel import Channel
    from faro.model import Decision, HardwareFacts, Stack
    from faro.model.cells import Column
    from faro.policies import Verdict
    from faro.run.clock import RunClock
    from faro.run.recorder import Recorder

PERCENT = 100.0
FULL = 255.0
STEPS_PER_MS = 1000
"""Exposures are shortened to whole microseconds."""


class DoseCeilingError(FaroError, RuntimeError):
    """An exposure was left out, because the sample has had its light."""


@dataclass(frozen=True, slots=True, eq=False)
class Firing:
    """What is left of an exposure after the ceilings.

    Attributes
    ----------
    event, stimulus
        What is fired; no stimulus for images and references.
    refused
        Why it is not fired; empty if it is.
    facts
        What the ceilings took away, for the journal; empty if nothing.
    """

    event: PlannedEvent
    stimulus: Stimulus | None
    refused: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class _Paint:
    """The lit pixels of the cells of a frame, to dim them one by one.

    ``flat`` (m,) where they are, ``cell`` (m,) the place of their cell in the shares,
    ``area_px`` (n,) of these cells.
    """

    flat: npt.NDArray[np.int32]
    cell: npt.NDArray[np.int32]
    area_px: npt.NDArray[np.float64]


class LightMeter:
    """Counts the light of a run, and keeps it within its ceilings. Thread-safe.

    Parameters
    ----------
    rules
        What is allowed.
    recorder, clock
        Of the run.
    facts
        Of the microscope: limits of power and exposure.
    ledger
        Of the run so far, where one is continued.
    """

    def __init__(
        self,
        rules: DoseRules,
        recorder: Recorder,
        clock: RunClock,
        facts: HardwareFacts,
        ledger: DoseLedger | None = None,
    ) -> None:
        self._rules, self._recorder, self._clock = rules, recorder, clock
        self._powers = facts.power_limits
        self._shortest_ms = (facts.exposure_limits_ms or (0.0, 0.0))[0]
        self._ledger = ledger or DoseLedger(rules)
        self._paints: dict[tuple[int, str], tuple[int, _Paint]] = {}
        self._lock = threading.Lock()
        of_cells = any(ceiling.of == "cell" for ceiling in rules.ceilings)
        self._dims = of_cells and rules.when_over == "clip"

    def expect(self, events: Iterable[RTMEvent]) -> None:
        """Have a column for every channel of ``events``, also where it was dark."""
        names = {c.config for event in events for c in channels_of(event)}
        with self._lock:
            self._ledger.expect(sorted(names))

    def allow(
        self,
        event: PlannedEvent,
        stimulus: Stimulus | None = None,
        *,
        substitute: bool = False,
    ) -> Firing:
        """Return what of an exposure may be fired, and count it; the camera's thread.

        Parameters
        ----------
        event
            What is about to be fired.
        stimulus
            Its light; None for images and references.
        substitute
            Whether it stands in for the mask of this frame.
        """
        with self._lock:
            light = self._light(event, stimulus, substitute=substitute)
            verdict = self._ledger.verdict(light)
            firing = Firing(event, stimulus)
            if not verdict.whole:
                firing, light = self._reduced(firing, light, verdict)
            if not firing.refused:
                self._ledger.given(light)
        if not firing.refused:
            self._recorder.note("light", **words_of(light))
        return firing

    def aimed(self, decision: Decision, cells: PixelCells) -> None:
        """Take note of what a mask gives each cell of a frame that was seen."""
        stimulus, at = decision.stimulus, (decision.fov, decision.timestep)
        channel = decision.channel
        if stimulus is None or stimulus.mask is None:
            return
        level = np.nan_to_num(cells.mean(stimulus.mask)) / FULL
        shares = CellShares.of(cells.track_id, level)
        if self._dims:
            paint = _paint(cells, stimulus.mask, shares)
            self._paints[decision.fov, channel] = decision.timestep, paint
        with self._lock:
            late = self._ledger.aimed(*at, channel, shares)
        if late:
            facts = dict(zip(("fov", "timestep"), at, strict=True), channel=channel)
            self._recorder.note("light_on_cells", **facts, **_listed(shares))

    def seen(self, stack: Stack, cells: PixelCells) -> dict[str, Column]:
        """Take note of the tracked cells of a frame, before its mask can fire.

        Returns
        -------
        What each has received up to the last image of this frame, columns (n,).
        """
        at, tracks = (stack.fov, stack.timestep), cells.track_id
        parents = np.asarray(cells["parent_id"], np.int64)
        with self._lock:
            self._ledger.seen(*at, tracks, parents)
            found = self._ledger.received(stack.fov, tracks, stack.timestep)
        return {dose_column(name): values for name, values in found.items()}

    def totals(self) -> dict[int, dict[str, float]]:
        """Return the mean dose of each position by channel, ms of full light."""
        with self._lock:
            return self._ledger.totals()

    def _light(
        self, event: PlannedEvent, stimulus: Stimulus | None, *, substitute: bool
    ) -> Light:
        """Return the light of an exposure."""
        channel = event.channel
        light = Light(
            fov=event.fov,
            timestep=event.timestep,
            channel=channel.config,
            role=str(event.role),
            at_s=round(self._clock.now_s(), 3),
            full_ms=(channel.exposure or 0.0) * part_of_full(channel, self._powers),
        )
        if stimulus is None or stimulus.mask is None:
            return light
        source = event.mask_from if not substitute else None
        timestep = None if source is None else source[1]
        shares = None
        if source is not None:
            shares = self._ledger.shares(*source, channel.config)
        peak = float(stimulus.mask.max()) / FULL
        return replace(
            light,
            mean=stimulus.lit_fraction,
            peak=peak,
            from_timestep=timestep,
            cells=shares,
        )

    def _reduced(
        self, firing: Firing, light: Light, verdict: Verdict
    ) -> tuple[Firing, Light]:
        """Return what is left of an exposure that is too much, by the policy."""
        event, stimulus = firing.event, firing.stimulus
        refused = replace(firing, refused=f"dose: no more than {verdict.ceiling}")
        if self._rules.when_over == "refuse" or event.role is not FrameRole.STIM:
            return refused, light
        facts: dict[str, Any] = {"dose_ceiling": verdict.ceiling}
        if verdict.cells is not None and (verdict.cells < 1.0).any():
            dimmed = self._dimmed(light, stimulus, verdict)
            if dimmed is None:
                return refused, light
            stimulus, light, facts["cells_dimmed"] = dimmed
            verdict = self._ledger.verdict(light)
        if verdict.field < 1.0:
            exposure = event.channel.exposure or 0.0
            steps = math.floor(exposure * verdict.field * STEPS_PER_MS)
            shorter = steps / STEPS_PER_MS
            if shorter < max(self._shortest_ms, 1.0 / STEPS_PER_MS):
                return refused, light
            event = replace(event, channel=event.channel.exposed(shorter))
            light = replace(light, full_ms=light.full_ms * shorter / exposure)
            facts["exposure_wanted_ms"] = exposure
        return Firing(event, stimulus, facts=facts), light

    def _dimmed(
        self, light: Light, stimulus: Stimulus | None, verdict: Verdict
    ) -> tuple[Stimulus, Light, int] | None:
        """Return a mask with the cells dimmed that have had enough, None if dark."""
        timestep, paint = self._paints.get((light.fov, light.channel), (-1, None))
        if stimulus is None or stimulus.mask is None or light.cells is None:
            return None
        if paint is None or timestep != light.from_timestep or verdict.cells is None:
            return None
        mask, parts = stimulus.mask, verdict.cells
        values = mask.ravel()[paint.flat]
        dark = np.where(parts < 1.0, 0.0, 1.0)
        grey = bool(((values > 0) & (values < FULL)).any())
        new, less = _repainted(mask, light, paint, parts if grey else dark)
        after = self._ledger.verdict(less).cells
        if after is not None and (after < 1.0).any():
            new, less = _repainted(mask, light, paint, dark)
        if not new.any():
            return None
        new.setflags(write=False)
        return replace(stimulus, mask=new), less, int((dark < 1.0).sum())


def _repainted(
    mask: npt.NDArray[np.uint8],
    light: Light,
    paint: _Paint,
    parts: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.uint8], Light]:
    """Return a mask (Y, X) with a part (n,) of each cell's light, and its light."""
    new = mask.copy()
    dimmed = np.floor(mask.ravel()[paint.flat] * parts[paint.cell])
    new.ravel()[paint.flat] = dimmed.astype(np.uint8)
    level = np.bincount(paint.cell, dimmed, len(parts)) / paint.area_px / FULL
    known = light.cells
    shares = None if known is None else CellShares.of(known.track_id, level)
    return new, replace(light, cells=shares, mean=float(new.mean()) / FULL)


def dose_column(channel: str) -> str:
    """Return the name of the column of the dose by a channel.

    >>> dose_column("CyanStim"), is_dose(dose_column("CyanStim"))
    ('dose_CyanStim_ms', True)
    """
    return f"dose_{channel}_ms"


def is_dose(column: str) -> bool:
    """Return whether a column says what light cells received, and not what they are.

    It depends on what happened: an image that is taken again gives its light twice.
    """
    return column.startswith("dose_") and column.endswith("_ms")


def channels_of(event: RTMEvent) -> tuple[Channel, ...]:
    """Return all channels of an event, of whatever role."""
    return (*event.channels, *event.stim_channels, *event.ref_channels)


def part_of_full(channel: Channel, limits: Any) -> float:
    """Return the power of a channel as part of its highest, 0 to 1.

    A channel that does not say its power counts as full. Without known limits the
    power is taken for percent.
    """
    if channel.power is None:
        return 1.0
    highest = limits[channel.config][1] if channel.config in limits else PERCENT
    return float(channel.power) / float(highest or PERCENT)


def words_of(light: Light) -> dict[str, Any]:
    """Return light as a line of the journal says it."""
    facts: dict[str, Any] = {
        "fov": light.fov,
        "timestep": light.timestep,
        "channel": light.channel,
        "role": light.role,
        "at_s": light.at_s,
        "full_ms": light.full_ms,
    }
    if light.from_timestep is None and light.mean == light.peak == 1.0:
        return facts
    facts |= {"mean": light.mean, "peak": light.peak}
    facts["from_timestep"] = light.from_timestep
    return facts if light.cells is None else {**facts, **_listed(light.cells)}


def _listed(shares: CellShares) -> dict[str, list[Any]]:
    return {"track_id": shares.track_id.tolist(), "level": shares.level.tolist()}


def _paint(
    cells: PixelCells, mask: npt.NDArray[np.uint8], shares: CellShares
) -> _Paint:
    """Return where the mask (Y, X) lights which cells."""
    pixels = cells.pixels
    place = np.full(len(cells), -1, np.int32)
    order = np.argsort(shares.track_id)
    at = np.searchsorted(shares.track_id, cells.track_id, sorter=order)
    at = order[np.minimum(at, max(len(order) - 1, 0))] if len(order) else at
    if len(order):
        known = shares.track_id[at] == cells.track_id
        place[known] = at[known]
    where = place[pixels.cell]
    lit = (mask.ravel()[pixels.flat] > 0) & (where >= 0)
    area_px = np.zeros(len(order))
    area_px[place[place >= 0]] = cells.area[place >= 0]
    return _Paint(pixels.flat[lit].astype(np.int32), where[lit], area_px)
