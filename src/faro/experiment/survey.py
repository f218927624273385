"""One walk over the events, so that a mistake is reported once and not per event."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from faro.experiment.waiting import WAIT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from faro.experiment.channel import Channel
    from faro.experiment.event import RTMEvent

    Place = tuple[int, int]


@dataclass(slots=True)
class Survey:
    """What the events of an experiment use, each with where it is used first.

    Places are (timestep, fov).

    Attributes
    ----------
    n_events
        Number of events.
    uses
        ``channels``, ``stim_channels``, ``ref_channels`` to the channels used.
    layouts
        Names of the imaging channels, in order, to the first place.
    lit_twice
        Names of channels that give light twice in one event.
    times_seen
        How often each place is visited.
    names
        FOV to its names.
    unordered
        Places whose timestep does not come after the one before of the FOV.
    unwritable
        Metadata that cannot be said in JSON: name to value.
    waits
        Place to what is waited for before it.
    settings
        (device, property) that are set, to the first place.
    focusings
        Names of autofocus devices, None for the one of the rig, to the first place.
    """

    n_events: int = 0
    uses: dict[str, dict[Channel, Place]] = field(default_factory=dict)
    layouts: dict[tuple[str, ...], Place] = field(default_factory=dict)
    lit_twice: set[str] = field(default_factory=set)
    times_seen: Counter[Place] = field(default_factory=Counter)
    names: dict[int, dict[str, None]] = field(default_factory=dict)
    unordered: list[Place] = field(default_factory=list)
    unwritable: dict[str, object] = field(default_factory=dict)
    waits: dict[Place, object] = field(default_factory=dict)
    settings: dict[tuple[str, str], Place] = field(default_factory=dict)
    focusings: dict[str | None, Place] = field(default_factory=dict)

    @property
    def repeated(self) -> list[Place]:
        """Places that are visited more than once."""
        return [place for place, times in self.times_seen.items() if times > 1]


def survey(events: Iterable[RTMEvent]) -> Survey:
    """Return what ``events`` use."""
    found = Survey()
    last: dict[int, int] = {}
    for event in events:
        place = event.timestep, event.fov
        found.n_events += 1
        found.times_seen[place] += 1
        if event.timestep < last.get(event.fov, -1):
            found.unordered.append(place)
        last[event.fov] = event.timestep
        if event.pos_name:
            found.names.setdefault(event.fov, {})[event.pos_name] = None
        found.layouts.setdefault(tuple(c.config for c in event.channels), place)
        lights = Counter(c.config for c in event.stim_channels)
        found.lit_twice |= {name for name, times in lights.items() if times > 1}
        _note_channels(found, "channels", event.channels, place)
        _note_channels(found, "stim_channels", event.stim_channels, place)
        _note_channels(found, "ref_channels", event.ref_channels, place)
        _note_metadata(found, event)
        if WAIT in event.metadata:
            found.waits.setdefault(place, event.metadata[WAIT])
        for device, name, _ in event.properties or ():
            found.settings.setdefault((device, name), place)
        if event.autofocus is not None and event.autofocus_at:
            focus = event.autofocus.autofocus_device_name
            found.focusings.setdefault(focus, place)
    return found


def _note_channels(
    found: Survey, role: str, channels: tuple[Channel, ...], place: Place
) -> None:
    used = found.uses.setdefault(role, {})
    for channel in channels:
        used.setdefault(channel, place)


def _note_metadata(found: Survey, event: RTMEvent) -> None:
    """Remember metadata that cannot be stored."""
    if _writable(event.metadata):
        return
    for name, value in event.metadata.items():
        if not _writable({name: value}):
            found.unwritable.setdefault(name, value)


def _writable(metadata: dict[str, object]) -> bool:
    try:
        json.dumps(metadata, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True
