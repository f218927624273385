"""Planned exposures in the words of useq, as the engine of a microscope takes them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import useq

from faro.model import FrameRole

if TYPE_CHECKING:
    from faro.experiment import PlannedEvent
    from faro.model import Stimulus
    from faro.protocols import MaskWarp, Microscope

EXPOSURE_DIGITS: Final = 3
"""Parts of exposures are rounded to microseconds."""
PAST: Final = -2
"""Number of the events that belong to the past: their frames are none of the run."""


def exposure(
    event: PlannedEvent,
    microscope: Microscope,
    seq: int,
    image: useq.SLMImage | None = None,
) -> useq.MDAEvent:
    """Return ``event`` in the words of useq.

    Parameters
    ----------
    event
        What is taken; its ``planned_s`` is the moment that the record says.
    microscope
        Looks up config group and light level.
    seq
        Number of the event, by which its frame is known.
    image
        What the SLM shows.
    """
    channel = event.channel
    group = channel.group or microscope.resolve_group(channel.config)
    power = microscope.resolve_power(channel)
    x_um, y_um, z_um = event.position_um
    index: Any = {"t": event.timestep, "p": event.fov}
    if event.role is FrameRole.IMAGE:
        index["c"] = event.channel_index
    if event.n_z:
        index["z"] = event.z_index
    settings = [*event.properties]
    if power:
        settings.append(useq.PropertyTuple(*power))
    facts = {
        "seq": seq,
        "role": str(event.role),
        "fov": event.fov,
        "timestep": event.timestep,
        "channel": channel.config,
        "planned_s": event.planned_s,
    }
    return useq.MDAEvent(
        index=index,
        channel=useq.EventChannel(config=channel.config, group=group),
        exposure=channel.exposure,
        x_pos=x_um,
        y_pos=y_um,
        z_pos=z_um,
        properties=settings or None,
        keep_shutter_open=event.keep_shutter_open,
        pos_name=event.pos_name,
        slm_image=image,
        metadata={"faro": facts},
    )


def shortened(event: PlannedEvent, stimulus: Stimulus) -> PlannedEvent:
    """Return ``event`` with the part of its exposure that ``stimulus`` asks for."""
    whole_ms = event.channel.exposure
    if stimulus.exposure_fraction == 1.0 or whole_ms is None:
        return event
    part_ms = round(whole_ms * stimulus.exposure_fraction, EXPOSURE_DIGITS)
    part_ms = max(part_ms, 10.0**-EXPOSURE_DIGITS)
    return replace(event, channel=event.channel.exposed(part_ms))


def slm_image(
    stimulus: Stimulus, dmd: MaskWarp | None, exposure_ms: float | None
) -> useq.SLMImage | None:
    """Return what the SLM shows, None where there is no SLM or no way to it."""
    if dmd is None:
        return None
    data = True if stimulus.mask is None else dmd.warp(stimulus.mask)
    return useq.SLMImage(data=data, exposure=exposure_ms)
