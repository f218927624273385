"""What a run will put on disk, counted before it starts."""

from __future__ import annotations

from itertools import pairwise
from math import isclose, prod
from typing import TYPE_CHECKING

from faro.model import RunNeeds, StackNeeds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from faro.experiment.channel import Channel
    from faro.experiment.event import RTMEvent, Seconds
    from faro.experiment.plan import PositionUm
    from faro.model import HardwareFacts

LABEL_BYTES = 4
BYTES = {"uint8": 1, "uint16": 2}


def needs(
    events: Iterable[RTMEvent], facts: HardwareFacts, labels: Sequence[str] = ()
) -> RunNeeds:
    """Return what a run of ``events`` will put on disk. Pure, any thread.

    Parameters
    ----------
    events
        The experiment.
    facts
        Image shape and dtype of the instrument. Without a shape it counts as (0, 0);
        `check` reports it.
    labels
        Names of the label images that will be stored for every frame.

    Notes
    -----
    ``n_bytes`` is an upper bound of raw frames, int32 label images and fired masks,
    uncompressed; tables and journal are small beside them.
    """
    listed = tuple(events)
    shape = facts.image_shape or (0, 0)
    frames = sum(
        sum(max(1, n_planes(e, c)) for c in e.channels)
        + len(e.stim_channels)
        + len(e.ref_channels)
        for e in listed
    )
    masks = sum(len(e.stim_channels) for e in listed)
    per_pixel = frames * BYTES.get(facts.image_dtype, 2) + masks
    per_pixel += len(listed) * len(labels) * LABEL_BYTES
    first = {event.fov: event for event in reversed(listed)}
    return RunNeeds(
        n_timepoints=max((e.timestep for e in listed), default=-1) + 1,
        fovs=tuple(sorted(first)),
        channels=_names(e.channels for e in listed),
        stim_channels=_names(e.stim_channels for e in listed),
        ref_channels=_names(e.ref_channels for e in listed),
        image_shape=shape,
        image_dtype=facts.image_dtype,
        labels=tuple(labels),
        n_bytes=per_pixel * prod(shape),
        pixel_size_um=facts.pixel_size_um,
        interval_s=_interval_s(listed),
        fov_names={fov: name for fov in sorted(first) if (name := first[fov].pos_name)},
        fov_wells={
            fov: str(well)
            for fov in sorted(first)
            if (well := first[fov].metadata.get("well"))
        },
        fov_positions_um={fov: _place_um(first[fov]) for fov in sorted(first)},
        real_devices=facts.real_devices,
        stacks=_stacks(listed),
    )


def n_planes(event: RTMEvent, channel: Channel) -> int:
    """Return the planes of an imaging channel of ``event``, 0 without a z axis."""
    return len(event.z_planes) if channel.do_stack and len(event.z_planes) > 1 else 0


def _place_um(event: RTMEvent) -> PositionUm:
    """Return the stage position of an event; with planes, z of the first."""
    x_um, y_um, z_um = event.position_um
    return x_um, y_um, event.z_planes[0] if event.z_planes else z_um


def _stacks(events: Iterable[RTMEvent]) -> dict[int, tuple[StackNeeds, ...]]:
    """Return what the imaging stacks of each FOV look like, by number of planes."""
    names: dict[int, dict[int, dict[str, None]]] = {}
    steps_um: dict[tuple[int, int], set[float | None]] = {}
    for event in events:
        for channel in event.channels:
            n_z = n_planes(event, channel)
            of_fov = names.setdefault(event.fov, {})
            of_fov.setdefault(n_z, {})[channel.config] = None
            step_um = _step_um(event.z_planes) if n_z else None
            steps_um.setdefault((event.fov, n_z), set()).add(step_um)
    return {
        fov: tuple(
            StackNeeds(tuple(channels), n_z, _common(steps_um[fov, n_z]))
            for n_z, channels in of_fov.items()
        )
        for fov, of_fov in names.items()
    }


def _step_um(planes: Sequence[float]) -> float | None:
    """Return the distance between planes, None where it is uneven."""
    steps = [abs(upper - lower) for lower, upper in pairwise(planes)]
    even = all(isclose(step, steps[0], abs_tol=1e-6) for step in steps)
    return steps[0] if even and steps[0] > 0 else None


def _common(steps_um: set[float | None]) -> float | None:
    return next(iter(steps_um)) if len(steps_um) == 1 else None


def _names(uses: Iterable[Iterable[Channel]]) -> tuple[str, ...]:
    """Return the presets in the order in which they first appear."""
    found: dict[str, None] = {}
    for channels in uses:
        found.update(dict.fromkeys(channel.config for channel in channels))
    return tuple(found)


def _interval_s(events: Sequence[RTMEvent]) -> Seconds | None:
    """Return the time between timepoints, None where it is irregular or unplanned."""
    starts_s: dict[int, list[Seconds]] = {}
    for event in events:
        if event.min_start_time is None:
            return None
        starts_s.setdefault(event.fov, []).append(event.min_start_time)
    gaps_s = [
        later - earlier
        for starts in starts_s.values()
        for earlier, later in pairwise(starts)
    ]
    if not gaps_s or not all(isclose(gap, gaps_s[0], abs_tol=1e-6) for gap in gaps_s):
        return None
    return gaps_s[0]
