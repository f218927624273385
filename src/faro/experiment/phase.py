"""Events that know how long after their last start the next phase begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

    from faro.experiment.event import RTMEvent, Seconds


class Phase(tuple["RTMEvent", ...]):
    """Events of one phase. Immutable; equal to a tuple of the same events.

    Parameters
    ----------
    events
        The events, in execution order.
    interval_s
        Seconds from the last start to that of a phase after it; None if unknown.

    Notes
    -----
    The starts alone do not say it: a phase of one timepoint has no two of them.
    """

    interval_s: Seconds | None

    def __new__(
        cls, events: Iterable[RTMEvent] = (), interval_s: Seconds | None = None
    ) -> Self:
        """Return the events as a tuple with an interval."""
        made = super().__new__(cls, events)
        made.interval_s = interval_s
        return made


def interval_after_s(source: object) -> Seconds | None:
    """Return `Phase.interval_s` of a sequence or a phase; None for other events."""
    interval_s = getattr(source, "rest_s", getattr(source, "interval_s", None))
    return float(interval_s) if isinstance(interval_s, int | float) else None
