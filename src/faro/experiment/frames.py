"""Timepoints as people write them: sets, ranges, lists, counted from either end."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated

from pydantic import BeforeValidator

from faro.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MOST_NAMED = 5


def frames_from(value: object) -> tuple[int, ...]:
    """Return timepoints in the order given; those of a set ascending.

    Raises
    ------
    ValueError
        If it is not a set, range or list of whole numbers.

    Examples
    --------
    >>> frames_from({3, 1}), frames_from([3, -1]), frames_from(range(0, 6, 2))
    ((1, 3), (3, -1), (0, 2, 4))
    """
    message = "Give a set, range or list of whole numbers; -1 is the last timepoint"
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise ValueError(message)  # noqa: TRY004  pydantic collects only ValueError
    listed = list(value)
    try:
        frames = [operator.index(frame) for frame in listed]
    except TypeError:
        raise ValueError(message) from None
    if any(isinstance(frame, bool) for frame in listed):
        raise ValueError(message)
    return tuple(sorted(frames) if isinstance(value, set | frozenset) else frames)


Frames = Annotated[tuple[int, ...], BeforeValidator(frames_from)]
"""Field type: timepoints as given, negative ones counted from the end."""


def resolved(frames: Sequence[int], n_timepoints: int) -> tuple[int, ...]:
    """Return ``frames`` counted from the start, in their order.

    >>> resolved((-1, 0), 10)
    (9, 0)
    """
    return tuple(f + n_timepoints if f < 0 else f for f in frames)


def frame_problems(
    where: str, frames: Sequence[int], n_timepoints: int
) -> Iterator[Problem]:
    """Yield timepoints that are outside the experiment, or given twice."""
    outside = [f for f in frames if not -n_timepoints <= f < n_timepoints]
    if outside:
        named = _named(outside)
        are = "is" if len(outside) == 1 else "are"
        what = f"{named} {are} outside the {n_timepoints} timepoints."
        remedy = f"Use 0 to {n_timepoints - 1}, or {-n_timepoints} to -1."
        yield Problem(where, what, remedy)
    inside = [f for f in frames if f not in outside] if outside else frames
    seen: dict[int, int] = {}
    twice: list[str] = []
    for written, frame in zip(inside, resolved(inside, n_timepoints), strict=True):
        if frame in seen:
            twice.append(f"{frame} (written {seen[frame]} and {written})")
        seen.setdefault(frame, written)
    if twice:
        what = f"a timepoint is given twice: {_named(twice)}."
        yield Problem(where, what, "Give each timepoint once.")


def _named(items: Sequence[object]) -> str:
    more = f" and {len(items) - MOST_NAMED} more" if len(items) > MOST_NAMED else ""
    return ", ".join(str(item) for item in items[:MOST_NAMED]) + more
