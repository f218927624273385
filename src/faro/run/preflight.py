"""Collects facts and returns every reason why a run cannot start, before any light."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from faro.analysis import as_segmenter, normalise_labels
from faro.errors import ContractError, Problem
from faro.experiment import check, needs
from faro.experiment.lateness import schedule_problems
from faro.experiment.plan import STIM_MODES
from faro.experiment.waiting import start_warnings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faro.analysis import SegmentationMethod
    from faro.experiment import RTMEvent
    from faro.experiment.document import StepTimes
    from faro.model import HardwareFacts, RunNeeds
    from faro.model.frame import PixelArray
    from faro.protocols import Microscope, Sink
    from faro.run.pipeline import ImageProcessingPipeline

DEFAULT_SHAPE = (64, 64)
"""Shape of the probe image where the microscope does not tell its own."""


def preflight(
    events: Sequence[RTMEvent],
    microscope: Microscope,
    pipeline: ImageProcessingPipeline | None,
    sink: Sink | None,
    stim_mode: str,
    *,
    times: StepTimes | None = None,
) -> tuple[list[Problem], RunNeeds | None]:
    """Return all problems of a run, and what it needs if that can be said.

    Reads the microscope, calls every segmenter once on a synthetic image (which warms
    it up), asks the sink; nothing is created and no light is switched on.
    """
    facts = microscope.facts()
    stimulates = any(event.has_stim for event in events)
    problems = list(
        check(
            events,
            stim_mode=stim_mode,
            facts=facts,
            masked=pipeline is not None
            and getattr(pipeline.stimulator, "masked", True),
        )
    )
    problems += start_warnings(events, datetime.now(UTC))
    problems += _pipeline_problems(events, facts, pipeline, stimulates=stimulates)
    needed: RunNeeds | None = None
    if events:
        labels = pipeline.label_names if pipeline else ()
        needed = needs(events, facts, labels)
        if sink is not None:
            problems += sink.problems(needed)
    if stim_mode in STIM_MODES:
        problems += schedule_problems(
            events,
            times,
            stim_mode=stim_mode,
            exposures_take_time=facts.exposures_take_time,
        )
    return problems, needed


def _pipeline_problems(
    events: Sequence[RTMEvent],
    facts: HardwareFacts,
    pipeline: ImageProcessingPipeline | None,
    *,
    stimulates: bool,
) -> list[Problem]:
    """Return what is wrong with the components for these events."""
    if pipeline is None or pipeline.stimulator is None:
        if not stimulates:
            return []
        what = "the experiment stimulates, but nothing decides where."
        remedy = "Give the pipeline a stimulator, for example WholeField()."
        return [Problem("pipeline/stimulator", what, remedy)]
    problems = _missing_metadata(events, pipeline)
    return problems + _segmenter_problems(events, facts, pipeline)


def _missing_metadata(
    events: Sequence[RTMEvent], pipeline: ImageProcessingPipeline
) -> list[Problem]:
    """Return metadata that the stimulator needs and stimulation events lack."""
    required = set(getattr(pipeline.stimulator, "required_metadata", ()) or ())
    lacking = {
        name: event
        for event in reversed(events)
        if event.has_stim
        for name in required - set(event.metadata)
    }
    return [
        Problem(
            f"events/t={event.timestep},p={event.fov}/metadata",
            f"{type(pipeline.stimulator).__name__} needs {name!r}, which is not there.",
            f"Add it with rtm_metadata={{{name!r}: ...}}.",
        )
        for name, event in sorted(lacking.items())
    ]


def _segmenter_problems(
    events: Sequence[RTMEvent],
    facts: HardwareFacts,
    pipeline: ImageProcessingPipeline,
) -> list[Problem]:
    """Return segmenters that look at unknown channels or break their contract."""
    channels = tuple(c.config for c in events[0].channels) if events else ()
    return [
        problem
        for method in pipeline.segmenters
        for problem in _probe(method, channels, facts)
    ]


def _probe(
    method: SegmentationMethod, channels: tuple[str, ...], facts: HardwareFacts
) -> list[Problem]:
    """Return what is wrong with one segmenter, tried on a synthetic image."""
    where = f"pipeline/segmenters/{method.name}"
    chosen = method.use_channel
    several = isinstance(chosen, list | tuple)
    wanted = list(chosen) if isinstance(chosen, list | tuple) else [chosen]
    unknown = [
        c
        for c in wanted
        if (c not in channels if isinstance(c, str) else not 0 <= c < len(channels))
    ]
    if unknown and channels:
        names = ", ".join(repr(name) for name in channels)
        what = f"use_channel={unknown[0]!r} is not imaged."
        return [Problem(where, what, f"Use one of: {names}, or its index.")]
    plane = probe_image(facts.image_shape or DEFAULT_SHAPE, facts.image_dtype)
    pixels = np.stack([plane] * len(wanted)) if several else plane
    try:
        result = as_segmenter(method.segmenter).segment(pixels)
        normalise_labels(result, facts.image_shape or DEFAULT_SHAPE, method.name)
    except ContractError as error:
        return [Problem(where, error.problem, error.remedy)]
    except Exception:  # noqa: BLE001  what only fails on synthetic cells may still run
        return []
    return []


def probe_image(shape: tuple[int, int], dtype: str) -> PixelArray:
    """Return a synthetic image (Y, X) of a few bright discs, read-only."""
    height, width = shape
    y, x = np.mgrid[:height, :width]
    pitch = max(16, min(shape) // 6)
    radius = pitch // 4
    inside = (y % pitch - pitch // 2) ** 2 + (x % pitch - pitch // 2) ** 2 < radius**2
    top = 200 if dtype == "uint8" else 2000
    image = np.where(inside, top, top // 20).astype(dtype)
    image.setflags(write=False)
    return image
