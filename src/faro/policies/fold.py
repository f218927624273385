"""The account of light from the record of a run. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from faro.policies.ledger import DoseLedger

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from faro.policies.dose import CellShares, DoseRules, Ints, Light


@dataclass(frozen=True, slots=True, eq=False)
class CellsSeen:
    """The cells of one analysed frame.

    Attributes
    ----------
    fov, timestep
        The frame.
    track_id, parent_id
        (n,) int64; parents are 0 for none.
    shares
        What each got of the masks computed from it, by channel, where that was known
        only later.
    """

    fov: int
    timestep: int
    track_id: Ints
    parent_id: Ints
    shares: Mapping[str, CellShares] = field(default_factory=dict)


def fold(
    rules: DoseRules, lights: Iterable[Light], frames: Iterable[CellsSeen]
) -> DoseLedger:
    """Return the ledger of a run from its record. Pure.

    Parameters
    ----------
    rules
        As in the run that goes on.
    lights
        In the order in which they were given.
    frames
        Cells of the analysed frames; in order for each position.
    """
    ledger = DoseLedger(rules)
    waiting: dict[int, list[CellsSeen]] = {}
    for frame in frames:
        waiting.setdefault(frame.fov, []).append(frame)

    def catch_up(fov: int, until: int | None) -> None:
        left = waiting.get(fov, [])
        while left and (until is None or left[0].timestep < until):
            frame = left.pop(0)
            tracks = frame.track_id, frame.parent_id
            ledger.seen(fov, frame.timestep, *tracks)
            for channel, shares in frame.shares.items():
                ledger.aimed(fov, frame.timestep, channel, shares)

    for light in lights:
        known = light.from_timestep if light.cells is not None else None
        catch_up(light.fov, max(light.timestep, -1 if known is None else known + 1))
        ledger.given(light)
    for fov in waiting:
        catch_up(fov, None)
    ledger.settle()
    return ledger


def totals_by_channel(totals: Mapping[int, dict[str, float]]) -> dict[str, float]:
    """Return the sum over positions by channel, ms of full light on a field."""
    found: dict[str, float] = {}
    for sums in totals.values():
        for name, dose_ms in sums.items():
            found[name] = found.get(name, 0.0) + dose_ms
    return found
