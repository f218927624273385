"""The light that a simulated sample had, given again as a run goes on.

A simulated sample is made anew with its microscope. It is given the light of the past
at the times that were planned then, in the order of the plan, also between frames that
are taken again. What was armed counts as fired: the sample has no other past.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from useq import MDAEvent

    Place = tuple[int, int]


class Reliving:
    """Iterator of events, with lights of the past before those that they come before.

    Nothing is given before the first event is asked for, and nothing once the events
    have ended. The frames of the lights belong to no run.

    Parameters
    ----------
    events
        Of the run that goes on.
    lights
        Of its past, in order.
    order
        (fov, timestep) to its place in the plan.
    """

    def __init__(
        self,
        events: Iterator[MDAEvent],
        lights: Iterable[MDAEvent],
        order: Mapping[Place, int],
    ) -> None:
        self._events, self._order = events, order
        self._lights = deque(lights)
        self._next: MDAEvent | None = None

    def __iter__(self) -> Iterator[MDAEvent]:
        return self

    def __next__(self) -> MDAEvent:
        if self._next is None:
            self._next = next(self._events)
        if self._lights and self._at(self._lights[0]) <= self._at(self._next):
            return self._lights.popleft()
        event, self._next = self._next, None
        return event

    def _at(self, event: MDAEvent) -> int:
        facts = event.metadata["faro"]
        return self._order[facts["fov"], facts["timestep"]]
