"""The plan of a run that may still grow: what is taken, and what comes after it."""

from __future__ import annotations

import threading
from itertools import chain, islice
from typing import TYPE_CHECKING

from faro.errors import RunStateError
from faro.experiment import combine, plan
from faro.run.deciders import stim_channels_of
from faro.run.mask_labels import mask_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from faro.experiment import PlannedEvent, RTMEvent
    from faro.model import StimChannel


class GrowingPlan:
    """Planned exposures, one after the other; more events can follow. Thread-safe.

    Parameters
    ----------
    events
        An `RTMSequence`, or events from `combine`.
    stim_mode
        As for `faro.experiment.plan`.
    left
        Returns those exposures that are to be taken; all of them where none was.
    mask_labels
        Names of label images that are given already.

    Attributes
    ----------
    stim_mode
        As given.
    mask_labels
        Stimulation channel to the name of the label image that holds its masks; it
        stays when more channels follow.
    """

    def __init__(
        self,
        events: Iterable[RTMEvent],
        stim_mode: str,
        left: Callable[[Iterable[PlannedEvent]], Iterator[PlannedEvent]] = iter,
        mask_labels: Mapping[str, str] | None = None,
    ) -> None:
        self._events, self.stim_mode, self._left = events, stim_mode, left
        self._listed = tuple(events)
        self._lock = threading.Lock()
        self._steps: Iterator[PlannedEvent] = iter(())
        self._n_steps = 0
        self._asked: dict[tuple[int, int], dict[str, StimChannel]] = {}
        self.mask_labels: dict[str, str] = dict(mask_labels or {})
        self._ended = False
        self._take_over(self._listed)

    @property
    def events(self) -> tuple[RTMEvent, ...]:
        """All events so far, in execution order."""
        return self._listed

    @property
    def asked(self) -> Mapping[tuple[int, int], Mapping[str, StimChannel]]:
        """The (fov, timestep) whose decision stimulations will use.

        Each with the channels that fire it, by name, in their order.
        """
        return self._asked

    def __iter__(self) -> Iterator[PlannedEvent]:
        return self

    def __next__(self) -> PlannedEvent:
        with self._lock:
            try:
                return next(self._steps)
            except StopIteration:
                self._ended = True
                raise

    def followed_by(self, events: Iterable[RTMEvent]) -> tuple[RTMEvent, ...]:
        """Return all events if ``events`` came next; nothing is changed.

        Raises
        ------
        ExperimentError
            If they image other channels.
        """
        return combine(self._events, events, axis="t")

    def grow(self, joined: tuple[RTMEvent, ...], *, reopen: bool = False) -> None:
        """Go on to the end of ``joined``, which is what `followed_by` returned.

        Parameters
        ----------
        reopen
            Whether a plan that has come to its end goes on.

        Raises
        ------
        RunStateError
            If the last exposure was given out already.
        """
        with self._lock:
            if self._ended and not reopen:
                problem = "The run has come to the end of its plan."
                remedy = "Extend it earlier, or run_experiment(..., finish=False)"
                remedy += " and continue_experiment."
                raise RunStateError(problem, remedy=remedy)
            self._ended = False
            self._take_over(joined)
            self._events = joined

    def _take_over(self, events: tuple[RTMEvent, ...]) -> None:
        """Append the exposures of ``events`` that are not in the plan yet."""
        steps = plan(events, stim_mode=self.stim_mode)
        self._steps = chain(self._steps, self._left(islice(steps, self._n_steps, None)))
        counted = list(plan(events, stim_mode=self.stim_mode))
        self._n_steps, self._listed = len(counted), events
        asked: dict[tuple[int, int], dict[str, StimChannel]] = {}
        for step in counted:
            if step.mask_from is not None:
                asked.setdefault(step.mask_from, {}).update(
                    stim_channels_of([step.channel])
                )
        self._asked = asked
        lights = (c.config for event in events for c in event.stim_channels)
        self.mask_labels = mask_labels(lights, self.mask_labels)
