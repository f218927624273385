"""A run that was created and is not closed: what belongs to it, and what may follow."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from faro.errors import RefusedError
from faro.experiment import ExperimentError, needs
from faro.logs import log_to_file
from faro.run.description import described
from faro.run.one_run import OneRun
from faro.run.preflight import recheck

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from faro.errors import Problem
    from faro.experiment import RTMEvent
    from faro.experiment.document import StepTimes
    from faro.model import RunNeeds
    from faro.protocols import Sink
    from faro.run.growing import GrowingPlan
    from faro.run.one_run import RunParts
    from faro.run.past import Past

logger = logging.getLogger(__name__)


class OpenRun:
    """One run with its plan, its store and its log; made when it has been checked.

    Parameters
    ----------
    parts
        As given to the controller.
    plan
        What is taken.
    needed
        What the store has to make room for.
    times
        How long the steps take.
    notes
        JSON-able facts for the record.
    past
        What there is of it already; its store is open then.

    Attributes
    ----------
    run
        Its threads and queues.
    """

    def __init__(
        self,
        parts: RunParts,
        plan: GrowingPlan,
        needed: RunNeeds,
        times: StepTimes | None,
        notes: Mapping[str, Any],
        past: Past | None = None,
    ) -> None:
        self._parts, self._plan, self._times = parts, plan, times
        self._facts = parts.microscope.facts()
        self._stack = ExitStack()
        if parts.sink is not None and past is None:
            self._create(parts.sink, needed, notes)
        if parts.sink is not None:
            self._stack.enter_context(log_to_file(parts.sink.path / "run.log"))
        self.run = OneRun(parts, plan, needed.pixel_size_um, past)

    def _create(self, sink: Sink, needed: RunNeeds, notes: Mapping[str, Any]) -> None:
        """Create the run folder."""
        parts = self._parts
        events = self._plan.events
        said = described(events, parts.microscope, parts.pipeline, parts.limits)
        sink.open(needed, {"stim_mode": self._plan.stim_mode, **said, **notes})

    def joined(self, events: Iterable[RTMEvent]) -> tuple[RTMEvent, ...]:
        """Return the whole experiment with ``events`` at its end.

        The microscope is not asked: it may be busy.

        Raises
        ------
        RefusedError
            With all problems of ``events``.
        """
        try:
            joined = self._plan.followed_by(events)
        except ExperimentError as error:
            raise RefusedError(error.problems) from error
        more, pipeline = joined[len(self._plan.events) :], self._parts.pipeline
        mode = self._plan.stim_mode
        given = more, self._facts, pipeline, mode
        dose = self._parts.limits.dose
        warned(recheck(*given, times=self._times, dose=dose))
        return joined

    def enlarge(self, joined: tuple[RTMEvent, ...]) -> None:
        """Make room for more events, and write them down."""
        more, pipeline = joined[len(self._plan.events) :], self._parts.pipeline
        lights = (c.config for event in joined for c in event.stim_channels)
        labels = pipeline.labels_for(lights, self._plan.mask_labels) if pipeline else ()
        if self._parts.sink is not None:
            self._parts.sink.extend(needs(joined, self._facts, labels))
        words = [event.words() for event in more]
        self.run.recorder.note("experiment_extended", events=words)

    def close(self) -> None:
        """End the log."""
        self._stack.close()


def warned(problems: Iterable[Problem]) -> list[str]:
    """Log the warnings and return them.

    Raises
    ------
    RefusedError
        If there are errors; with all of them.
    """
    listed = list(problems)
    errors = [problem for problem in listed if problem.severity == "error"]
    if errors:
        raise RefusedError(errors)
    warnings = [str(problem) for problem in listed]
    for warning in warnings:
        logger.warning("%s", warning)
    return warnings
