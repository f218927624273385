"""The account of light of a stored run, folded from its journal and its tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from faro.policies import CellShares, CellsSeen, DoseLedger, DoseRules, Light, fold
from faro.run.dosing import LightMeter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from faro.experiment import RTMEvent
    from faro.model import HardwareFacts
    from faro.run.clock import RunClock
    from faro.run.past import Past
    from faro.run.recorder import Recorder
    from faro.storage import Run


def ledger_of(run: Run, rules: DoseRules | None = None) -> DoseLedger:
    """Return what cells and positions have received in a stored run.

    The run may be going on, finished, or killed: light is in the journal before it is
    given. Cells of a frame whose rows were not written yet count from the next.

    Parameters
    ----------
    run
        From `faro.open_run`.
    rules
        Ceilings, and what daughters begin with.
    """
    journal = run.journal
    return fold(rules or DoseRules(), lights_of(journal), _frames(run, journal))


def new_meter(
    rules: DoseRules,
    recorder: Recorder,
    clock: RunClock,
    facts: HardwareFacts,
    events: Iterable[RTMEvent],
    past: Past | None = None,
) -> LightMeter:
    """Return the meter of a run, with the account so far of one that goes on."""
    ledger = None if past is None else ledger_of(past.run, rules)
    meter = LightMeter(rules, recorder, clock, facts, ledger)
    meter.expect(events)
    return meter


def lights_of(journal: Iterable[Mapping[str, Any]]) -> Iterator[Light]:
    """Yield the light that a journal tells of, in order."""
    for line in journal:
        if line["kind"] == "light":
            names = ("fov", "timestep", "channel", "role", "at_s", "full_ms")
            facts = {name: line[name] for name in names}
            more = {n: line[n] for n in ("mean", "peak", "from_timestep") if n in line}
            yield Light(**facts, **more, cells=_shares(line))


def _frames(run: Run, journal: Iterable[Mapping[str, Any]]) -> Iterator[CellsSeen]:
    """Yield the cells of the stored frames, position by position."""
    late: dict[tuple[int, int], dict[str, CellShares]] = {}
    for line in journal:
        shares = _shares(line) if line["kind"] == "light_on_cells" else None
        if shares is not None:
            at = line["fov"], line["timestep"]
            late.setdefault(at, {})[line["channel"]] = shares
    table = run.cells
    if not len(table):
        return
    names = ("fov", "timestep", "track_id", "parent_id")
    fov, timestep, track_id, parent_id = (np.asarray(table[n]) for n in names)
    order = np.lexsort((timestep, fov))
    moved = np.diff(fov[order]).astype(bool) | np.diff(timestep[order]).astype(bool)
    for rows in np.split(order, np.flatnonzero(moved) + 1):
        at = int(fov[rows[0]]), int(timestep[rows[0]])
        tracks = track_id[rows].astype(np.int64), parent_id[rows].astype(np.int64)
        yield CellsSeen(*at, *tracks, late.get(at, {}))


def _shares(line: Mapping[str, Any]) -> CellShares | None:
    if "track_id" not in line:
        return None
    track_id = np.array(line["track_id"], np.int64)
    return CellShares(track_id, np.array(line["level"], np.float64))
