"""Phases after one another, arms side by side."""

from __future__ import annotations

from collections import Counter
from heapq import merge
from typing import TYPE_CHECKING

from faro.errors import Problem
from faro.experiment.phase import Phase, interval_after_s
from faro.experiment.refusal import ExperimentError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from faro.experiment.event import RTMEvent, Seconds


def combine(*sources: Iterable[RTMEvent], axis: str = "t") -> tuple[RTMEvent, ...]:
    """Return the events of several sources as one experiment.

    Parameters
    ----------
    sources
        `RTMSequence` or events, also from `combine`; none and empty ones are fine.
    axis
        ``"t"``: one phase after the other. Timesteps are counted on, and a phase
        starts one interval after the last start of the one before.
        ``"p"``: side by side. Positions are counted on, the clock is shared; sorted
        by start time, then position. Each source keeps its own order. No source
        restarts the clock of the others.

    Raises
    ------
    ExperimentError
        If ``axis`` is another.

    Notes
    -----
    The sources may image different channels: stacks with other channels than those of
    their FOV before are stored as a series of their own.

    Examples
    --------
    >>> from faro.experiment import RTMSequence
    >>> phase = RTMSequence(
    ...     channels=["DAPI"], time_plan={"interval": 5, "loops": 2}, axis_order="tpcz"
    ... )
    >>> [(e.timestep, e.min_start_time) for e in combine(phase, phase)]
    [(0, 0.0), (1, 5.0), (2, 10.0), (3, 15.0)]
    """
    if axis not in {"t", "p"}:
        problem = Problem("axis", f"there is no axis {axis!r}.", "Use 't' or 'p'.")
        raise ExperimentError([problem])
    phases = [(tuple(source), interval_after_s(source)) for source in sources]
    phases = [(events, interval_s) for events, interval_s in phases if events]
    if axis == "t":
        return Phase(
            _one_after_the_other(phases), _every_s(*phases[-1]) if phases else None
        )
    return tuple(_side_by_side([events for events, _ in phases]))


def _one_after_the_other(
    phases: Sequence[tuple[Sequence[RTMEvent], Seconds | None]],
) -> Iterator[RTMEvent]:
    """Yield the phases, counted on in timesteps and seconds."""
    next_timestep, next_start_s = 0, 0.0
    for number, (events, interval_s) in enumerate(phases):
        shift = next_timestep - min(event.timestep for event in events)
        offset = shift if number else 0
        for event in events:
            start_s = event.min_start_time
            if number:
                start_s = _start_s(event) + next_start_s
            index = {"t": event.timestep + offset, "p": event.fov}
            yield event.model_copy(update={"index": index, "min_start_time": start_s})
        next_timestep = max(event.timestep for event in events) + offset + 1
        last_s = max(_start_s(event) for event in events)
        next_start_s += last_s + _every_s(events, interval_s)


def _side_by_side(arms: Sequence[Sequence[RTMEvent]]) -> Iterator[RTMEvent]:
    """Yield the arms on one clock, counted on in positions."""
    moved: list[list[RTMEvent]] = []
    offset, alone = 0, len(arms) == 1
    for events in arms:
        changes = (
            {
                "index": {"t": e.timestep, "p": e.fov + offset},
                "reset_event_timer": alone and e.reset_event_timer,
            }
            for e in events
        )
        pairs = zip(events, changes, strict=True)
        moved.append([event.model_copy(update=change) for event, change in pairs])
        offset += max(event.fov for event in events) + 1
    ranked = (_ranked(events) for events in moved)
    yield from (event for _, event in merge(*ranked, key=lambda pair: pair[0]))


def _ranked(
    events: Sequence[RTMEvent],
) -> Iterator[tuple[tuple[Seconds, int, int], RTMEvent]]:
    """Yield each event with its place in the merge: start, turn, position.

    The turn tells apart what one position does at one start time: without an interval
    all arms take their first timepoint before any takes its second.
    """
    turns: Counter[tuple[Seconds, int]] = Counter()
    for event in events:
        start_s = _start_s(event)
        turn = turns[start_s, event.fov]
        turns[start_s, event.fov] += 1
        yield (start_s, turn, event.fov), event


def _start_s(event: RTMEvent) -> Seconds:
    return event.min_start_time or 0.0


def _every_s(events: Sequence[RTMEvent], interval_s: Seconds | None) -> Seconds:
    """Return the planned interval, or the last one there was."""
    return _last_interval_s(events) if interval_s is None else interval_s


def _last_interval_s(events: Sequence[RTMEvent]) -> Seconds:
    """Return the time between the last two starts of the position that ends last."""
    last = max(events, key=_start_s)
    starts_s = sorted({_start_s(e) for e in events if e.fov == last.fov})
    return starts_s[-1] - starts_s[-2] if len(starts_s) > 1 else 0.0
