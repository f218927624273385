"""Words that useq would pass over: each is refused with the nearest right one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, get_args

import useq
from pydantic import BaseModel, TypeAdapter, ValidationError

from faro.errors import Problem
from faro.experiment.refusal import nearest, unknown_words

if TYPE_CHECKING:
    from collections.abc import Iterator

TIME_WORDS = frozenset({"interval", "loops", "duration", "prioritize_duration"})
TIME_REMEDY = (
    "Give two of interval, loops and duration (s, or text like 'PT5M'; loops 1 or "
    "more), or a list of such phases."
)
Z_REMEDY = (
    "Give range and step, or above, below and step, or top, bottom and step, or a list "
    "as relative or absolute."
)
GRID_REMEDY = "Give rows, columns, fov_width and fov_height, or another grid of useq."
REMEDIES = {"z_plan": Z_REMEDY, "grid_plan": GRID_REMEDY}
POSITION_WORDS = frozenset({*useq.Position.model_fields, "row", "col"})
PLATE_WORDS = frozenset({*useq.WellPlatePlan.model_fields, "file"})
CHANNEL_WORDS = frozenset({*useq.Channel.model_fields, "power"})
PLANS = ("z_plan", "grid_plan", "autofocus_plan", "setup")
"""Fields that are one plan, of one of several kinds."""


def unread_words(given: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield words inside the plans of a sequence that useq would pass over.

    Parameters
    ----------
    given
        The words of a sequence. Plans that are no tables are not looked into.
    """
    yield from _unread(given, "")


def _unread(given: Mapping[str, Any], inside: str) -> Iterator[Problem]:
    yield from _in_positions(given.get("stage_positions"), f"{inside}stage_positions")
    yield from _in_times(given.get("time_plan"), f"{inside}time_plan")
    for name in PLANS:
        plan = given.get(name)
        if isinstance(plan, Mapping):
            yield from _in_plan(name, plan, f"{inside}{name}")


def _in_positions(given: object, where: str) -> Iterator[Problem]:
    """Yield what is passed over in positions, and in sequences of their own."""
    if isinstance(given, Mapping):
        yield from unknown_words(given, PLATE_WORDS, where)
        yield from _unknown_plate(given.get("plate"), f"{where}/plate")
    for i, position in enumerate(given if isinstance(given, list | tuple) else ()):
        if isinstance(position, Mapping):
            yield from unread_in_position(position, f"{where}/{i}")
        elif isinstance(position, list | tuple) and len(position) > len("xyz"):
            what = f"{position!r} has {len(position)} coordinates."
            yield Problem(f"{where}/{i}", what, "Give x, y and z in um.")


def _unknown_plate(name: object, where: str) -> Iterator[Problem]:
    """Yield the name of a plate that nobody knows."""
    known = sorted(useq.registered_well_plate_keys())
    if isinstance(name, str) and name not in known:
        yield Problem(where, f"there is no plate {name!r}.", nearest(name, known))


def unread_in_position(given: Mapping[str, Any], where: str) -> Iterator[Problem]:
    """Yield words of one position, and of its own sequence, that are passed over."""
    yield from unknown_words(given, POSITION_WORDS, where)
    own, inside = given.get("sequence"), f"{where}/sequence"
    if isinstance(own, Mapping):
        yield from unknown_words(own, useq.MDASequence.model_fields, inside)
        yield from _unread(own, f"{inside}/")
        yield from _in_channels(own.get("channels"), f"{inside}/channels")


def _in_channels(given: object, where: str) -> Iterator[Problem]:
    """Yield what is passed over in the channels of a position."""
    for i, channel in enumerate(given if isinstance(given, list | tuple) else ()):
        if isinstance(channel, Mapping):
            yield from unknown_words(channel, CHANNEL_WORDS, f"{where}/{i}")
            if channel.get("power") is not None:
                yield power_problem(f"{where}/{i}/power", channel["power"])


def power_problem(where: str, power: object) -> Problem:
    """Return why a position cannot say the power of a channel."""
    what = f"{power!r} would be lost: useq knows no power."
    remedy = "Say it in channels of the whole: a channel of that name has it too. "
    remedy += "For another power make an RTMSequence of its own and combine them, "
    return Problem(where, what, f"{remedy}axis='p'.")


def _in_times(plan: object, where: str) -> Iterator[Problem]:
    """Yield what is passed over in a time plan and its phases."""
    if isinstance(plan, Mapping) and "phases" in plan:
        yield from unknown_words(plan, {"phases", "prioritize_duration"}, where)
        plan = plan["phases"]
    phases = plan if isinstance(plan, list | tuple) else [plan]
    for phase in phases:
        if isinstance(phase, Mapping):
            yield from unknown_words(phase, TIME_WORDS, where)
            if {"interval", "loops", "duration"} <= set(phase):
                what = f"{dict(phase)} says the same thing twice."
                yield Problem(where, what, TIME_REMEDY)


def _in_plan(name: str, plan: Mapping[str, Any], where: str) -> Iterator[Problem]:
    """Yield what is passed over in a plan, which is of the kind it is most like."""
    try:
        read = type(_reader(name).validate_python(plan))
    except ValidationError:
        read = None

    def likeness(kind: type[BaseModel]) -> tuple[int, bool]:
        return len(plan.keys() & kind.model_fields.keys()), kind is read

    kinds = _kinds(name)
    like = max(kinds, key=likeness)
    alike = [kind for kind in kinds if likeness(kind)[0] == likeness(like)[0]]
    known = (
        like.model_fields
        if read is like
        else {w for k in alike for w in k.model_fields}
    )
    problems = list(unknown_words(plan, known, where))
    yield from problems
    if read not in (None, like) and not problems:
        remedy = REMEDIES.get(name, "Look its words up in useq.")
        yield Problem(where, f"{dict(plan)!r:.60} is not understood.", remedy)


@cache
def _reader(name: str) -> TypeAdapter[Any]:
    return TypeAdapter(useq.MDASequence.model_fields[name].annotation)


@cache
def _kinds(name: str) -> tuple[type[BaseModel], ...]:
    """Return the models that a field may hold."""
    found: list[type[BaseModel]] = []
    pending: list[Any] = [useq.MDASequence.model_fields[name].annotation]
    while pending:
        kind = pending.pop(0)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found.append(kind)
        pending += get_args(kind)
    return tuple(found)
