"""The experiment of a stored run, as far as a replay can carry it out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faro.errors import StorageError
from faro.experiment import RTMEvent
from faro.experiment.waiting import WAIT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from faro.experiment import Channel
    from faro.storage import Run

REMEDY = "Replay a run that a Controller wrote, or lay its events.json beside it."


def replayable_events(
    source: Run, *, light: bool = False
) -> tuple[list[RTMEvent], tuple[str, ...]]:
    """Return the imaging events of a stored run, and what was left out.

    A replay takes what is stored: it exposes no reference channel that the source does
    not hold, and gives no new light. All events start at once and
    nobody is waited for, so that a replay is as fast as the loop.

    Parameters
    ----------
    source
        A stored run.
    light
        Keep the stimulations, to have their masks computed again.

    Returns
    -------
    events
        In the recorded order, planned at 0 s.
    left_out
        Channels that are not replayed, by name.

    Raises
    ------
    StorageError
        If the source does not say what was acquired.
    """
    left_out: dict[str, None] = {}
    events = []
    for event in _stored_events(source):
        changes: dict[str, object] = {"ref_channels": (), "min_start_time": 0.0}
        if WAIT in event.metadata:
            kept = {k: v for k, v in event.metadata.items() if k != WAIT}
            changes["metadata"] = kept
        _note(event.ref_channels, left_out)
        if not light:
            changes |= {"stim_channels": ()}
            _note(event.stim_channels, left_out)
        events.append(event.replace(**changes))
    return events, tuple(left_out)


def _stored_events(source: Run) -> list[RTMEvent]:
    """Return the events of a recording, with their light and references."""
    words = source.info.get("description", {}).get("experiment")
    if not words:
        problem = f"{source.path} does not say which events were acquired."
        raise StorageError(problem, remedy=REMEDY)
    return [RTMEvent(**entry) for entry in words]


def _note(channels: Iterable[Channel], left_out: dict[str, None]) -> None:
    left_out.update(dict.fromkeys(channel.config for channel in channels))
