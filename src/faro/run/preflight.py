"""Collects facts and returns every reason why a run cannot start, before any light."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from faro.errors import FaroError, Problem
from faro.experiment import check, needs
from faro.experiment.lateness import schedule_problems
from faro.experiment.visits import STIM_MODES
from faro.experiment.waiting import start_warnings
from faro.run.deciders import light_problems, lit_by, masked
from faro.run.dose_check import dose_problems
from faro.run.images import image_problems
from faro.run.rehearsal import rehearse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faro.experiment import RTMEvent
    from faro.experiment.document import StepTimes
    from faro.model import HardwareFacts, RunNeeds
    from faro.policies import DoseRules
    from faro.protocols import Microscope, Sink
    from faro.run.pipeline import ImageProcessingPipeline


def preflight(  # noqa: PLR0913  what a controller holds, and what it was told
    events: Sequence[RTMEvent],
    microscope: Microscope,
    pipeline: ImageProcessingPipeline | None,
    sink: Sink | None,
    stim_mode: str,
    *,
    times: StepTimes | None = None,
    dose: DoseRules | None = None,
    free: bool = True,
) -> tuple[list[Problem], RunNeeds | None]:
    """Return all problems of a run, and what it needs if that can be said.

    Reads the microscope, takes one frame in the dark if it is ``free``, tries the
    components on a synthetic image, asks the sink; nothing is created and no light is
    switched on.
    """
    facts = microscope.facts()
    problems = [*microscope.validate_hardware()]
    problems += recheck(events, facts, pipeline, stim_mode, times=times, dose=dose)
    problems += _rehearsed(events, facts, pipeline)
    problems += start_warnings(events, datetime.now(UTC))
    problems += _frame_problems(microscope, facts) if free else []
    needed: RunNeeds | None = None
    if events:
        lights = (c.config for event in events for c in event.stim_channels)
        labels = pipeline.labels_for(lights) if pipeline else ()
        needed = needs(events, facts, labels)
        if sink is not None:
            problems += sink.problems(needed)
    return problems, needed


def recheck(
    events: Sequence[RTMEvent],
    facts: HardwareFacts,
    pipeline: ImageProcessingPipeline | None,
    stim_mode: str,
    *,
    times: StepTimes | None = None,
    dose: DoseRules | None = None,
) -> list[Problem]:
    """Return what is wrong with events, by what is known of the microscope.

    Neither the microscope nor a component is used, so a run may be under way.
    """
    deciders = pipeline.deciders if pipeline is not None else ()
    shaped = masked(deciders)
    problems = [*check(events, stim_mode=stim_mode, facts=facts, masked=shaped)]
    problems += light_problems(events, deciders, facts)
    problems += dose_problems(events, facts, dose) if dose else []
    if pipeline is not None:
        problems += _missing_metadata(events, pipeline)
        problems += image_problems(pipeline, events)
    if stim_mode in STIM_MODES:
        problems += schedule_problems(
            events,
            times,
            stim_mode=stim_mode,
            exposures_take_time=facts.exposures_take_time,
        )
    return problems


def _rehearsed(
    events: Sequence[RTMEvent],
    facts: HardwareFacts,
    pipeline: ImageProcessingPipeline | None,
) -> list[Problem]:
    """Return what the components do wrong on a synthetic image."""
    if pipeline is None:
        return []
    missing = _missing_metadata(events, pipeline)
    return rehearse(pipeline, events, facts, light=not missing)


def _frame_problems(microscope: Microscope, facts: HardwareFacts) -> list[Problem]:
    """Return what a first frame, taken in the dark, says against the camera."""
    try:
        shape = microscope.frame_shape()
    except FaroError as error:
        return [Problem("camera", error.problem, error.remedy)]
    if shape is None or shape == facts.image_shape:
        return []
    what = f"it gives frames of {shape} (Y, X), and says {facts.image_shape}."
    remedy = "Set binning and then the ROI again: one of them is left from before."
    return [Problem("camera", what, remedy)]


def _missing_metadata(
    events: Sequence[RTMEvent], pipeline: ImageProcessingPipeline
) -> list[Problem]:
    """Return metadata that components need and events lack.

    What only a stimulator needs is looked for in events that give its light.
    """
    always = [*(m.segmenter for m in pipeline.segmenters), *pipeline.features]
    uses: list[tuple[object, Sequence[RTMEvent]]] = [(c, events) for c in always]
    uses += [(d.stimulator, lit_by(d, events)) for d in pipeline.deciders]
    problems: list[Problem] = []
    for component, asked in uses:
        required = set(getattr(component, "required_metadata", ()) or ())
        lacking = {
            name: event
            for event in reversed(asked if required else [])
            for name in required - set(event.metadata)
        }
        for name, event in sorted(lacking.items()):
            where = f"events/t={event.timestep},p={event.fov}/metadata"
            what = f"{type(component).__name__} needs {name!r}, which is not there."
            remedy = f"Add it with rtm_metadata={{{name!r}: ...}}."
            problems.append(Problem(where, what, remedy))
    return problems
