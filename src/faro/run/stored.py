"""The experiment of a stored run, as far as a replay can carry it out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faro.errors import StorageError
from faro.experiment import Channel, RTMEvent
from faro.experiment.waiting import WAIT
from faro.model import FrameRole
from faro.run.mask_labels import mask_labels
from faro.storage.views import EXTENDED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from faro.storage import Run


def replayable_events(
    source: Run, *, light: bool = False, fovs: Collection[int] | None = None
) -> tuple[list[RTMEvent], tuple[str, ...]]:
    """Return the events of a stored run that can be replayed, and what was left out.

    A replay takes what is stored: reference channels where the source holds them, and
    no new light. Nobody is waited for. What comes after the last stored frame of a
    position is left out; a frame that is missing before it is asked for, so that the
    replay records it as missing too.

    Parameters
    ----------
    source
        A stored run. Of one that does not say which events were taken, the frames that
        it holds.
    light
        Keep the stimulations, to have their masks computed again.
    fovs
        Position indices, None for all.

    Returns
    -------
    events
        In the recorded order, at their planned times.
    left_out
        Channels that are not replayed, by name.

    Raises
    ------
    StorageError
        If no frame is stored.
    """
    known = source.fovs if fovs is None else [p for p in source.fovs if p in fovs]
    stored = {fov: _stored(source, fov) for fov in known}
    left_out: dict[str, None] = {}
    events = []
    for event in source.events or _of_frames(source, stored):
        if event.timestep > max(stored.get(event.fov, ()), default=-1):
            continue
        refs = tuple(c for c in event.ref_channels if _holds(source, event, c))
        _note((c for c in event.ref_channels if c not in refs), left_out)
        changes: dict[str, object] = {"ref_channels": _asked(refs)}
        changes["channels"] = _asked(event.channels)
        if light:
            changes["stim_channels"] = _asked(event.stim_channels)
        if WAIT in event.metadata:
            kept = {k: v for k, v in event.metadata.items() if k != WAIT}
            changes["metadata"] = kept
        if not light:
            changes |= {"stim_channels": ()}
            _note(event.stim_channels, left_out)
        events.append(event.replace(**changes))
    if not events:
        problem = f"{source.path} holds no frame that could be replayed."
        raise StorageError(problem, remedy="Give the folder of a run with images.")
    return events, tuple(left_out)


def stim_mode_of(source: Run) -> str:
    """Return the stimulation mode of a stored run."""
    return str(source.info.get("description", {}).get("stim_mode") or "current")


def mask_labels_of(source: Run) -> dict[str, str]:
    """Return the label image that holds the masks of each stimulation channel.

    Of the whole recording, with what followed its plan, so that each position of it
    has the same names.
    """
    said = source.info.get("description", {})
    phases = [said.get("experiment") or ()]
    phases += [x["events"] for x in source.journal if x["kind"] == EXTENDED]
    found: dict[str, str] = dict(said.get("mask_labels") or {})
    for events in phases:
        lights = (c["config"] for e in events for c in e.get("stim_channels") or ())
        found = mask_labels(lights, found)
    return found


def _of_frames(source: Run, stored: dict[int, set[int]]) -> list[RTMEvent]:
    """Return an event for every stored moment, by timepoint and position."""
    n_z: dict[tuple[int, str], int] = {}
    events = []
    for t, fov in sorted((t, fov) for fov, times in stored.items() for t in times):
        stacks = source.images.stacks(fov, t, FrameRole.IMAGE)
        names = list(dict.fromkeys(name for stack in stacks for name in stack.channels))
        for name in names:
            if (fov, name) not in n_z:
                n_z[fov, name] = len(source.volume(fov, t, name))
        deepest = max(n_z[fov, name] for name in names)
        channels = [Channel(name, do_stack=n_z[fov, name] > 1) for name in names]
        planes = tuple(range(deepest)) if deepest > 1 else ()
        index = {"t": t, "p": fov}
        events.append(RTMEvent(index=index, channels=channels, z_planes=planes))
    return events


def _stored(source: Run, fov: int) -> set[int]:
    """Return the timepoints of which a frame is stored."""
    return {t for t in range(source.n_timepoints) if source.has(fov, t)}


def _holds(source: Run, event: RTMEvent, channel: Channel) -> bool:
    place = event.fov, event.timestep
    return source.has(*place, channel.config, role=FrameRole.REF)


def _asked(channels: Iterable[Channel]) -> tuple[Channel, ...]:
    """Return channels without what only the instrument had: groups and powers."""
    return tuple(
        Channel(c.config, c.exposure, do_stack=c.do_stack, z_offset=c.z_offset)
        for c in channels
    )


def _note(channels: Iterable[Channel], left_out: dict[str, None]) -> None:
    left_out.update(dict.fromkeys(channel.config for channel in channels))
