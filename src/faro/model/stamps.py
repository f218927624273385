"""Time stamps of one frame on its way through the loop."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class Latency(NamedTuple):
    """How long one stage took, in milliseconds."""

    stage: str
    ms: float


@dataclass(slots=True)
class Stamps:
    """Marks of one stack, in the order in which they were made.

    The first mark is ``"acquired"`` (end of the last exposure, stack in hand); then
    ``"started"`` (a worker took it), ``"segmented"``, ``"tracked"``, ``"measured"``,
    ``"decided"`` (mask ready), ``"displayed"`` (mask on the SLM, light on).
    Not thread-safe: one stack is in one pair of hands at a time.
    """

    clock: Callable[[], float]
    marks: dict[str, float] = field(default_factory=dict)

    def mark(self, name: str) -> float:
        """Record now as ``name``; return it in seconds of the clock."""
        now = self.clock()
        self.marks[name] = now
        return now

    def copy(self) -> Stamps:
        """Return the marks so far, to go on with apart from these."""
        return Stamps(self.clock, dict(self.marks))

    def between_ms(self, start: str, end: str) -> float | None:
        """Return the milliseconds from ``start`` to ``end``, None where unknown."""
        if start in self.marks and end in self.marks:
            return (self.marks[end] - self.marks[start]) * 1e3
        return None

    def stages(self) -> list[Latency]:
        """Return how long each stage took, by the name of its last mark."""
        ordered = list(self.marks.items())
        steps = pairwise(ordered)
        return [Latency(name, (b - a) * 1e3) for (_, a), (name, b) in steps]
