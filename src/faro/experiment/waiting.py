"""Waiting inside an experiment: for a time of day, or for a person."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

from faro.errors import Problem
from faro.experiment.event import WAIT_KEY
from faro.experiment.phase import Phase, interval_after_s
from faro.experiment.refusal import ExperimentError, unknown_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from faro.experiment.event import RTMEvent
    from faro.experiment.plan import PlannedEvent

WAIT = WAIT_KEY
"""Key of the metadata under which an event says what is waited for before it.

Its value is a table with one or both of ``start_at``, a moment (see `moment`), and
``pause_before``, a text for the person who is waited for. A run begins to wait when
what comes before is done. Where the wait is over before the planned start of the event,
the schedule is kept; where it lasts longer, all later starts are moved by as much.
"""

TIME_OF_DAY = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?")
FAR = timedelta(hours=20)
KINDS = ("start_at", "pause_before")
TIME_REMEDY = "Give '18:30', or a date and a zone: '2026-11-24T18:30:00+01:00'."


@dataclass(frozen=True, slots=True)
class Wait:
    """What is waited for before an event.

    Attributes
    ----------
    timestep, fov
        The event.
    start_at
        The time that is waited for, as it was said; None if none is.
    pause_before
        What a person is asked to do before going on; None if none is.
    """

    timestep: int
    fov: int
    start_at: str | None = None
    pause_before: str | None = None


def moment(text: str, after: datetime) -> datetime:
    """Return the moment that ``text`` means, with its zone. Pure, any thread.

    Parameters
    ----------
    text
        ISO 8601 with a date and a zone; or a time of day like ``"18:30"``, by the
        clock of this computer: the next one from ``after`` on.
    after
        Aware.

    Raises
    ------
    ValueError
        If it is neither.

    Examples
    --------
    >>> from datetime import UTC
    >>> str(moment("2026-11-24T18:30+01:00", datetime(2026, 11, 24, tzinfo=UTC)))
    '2026-11-24 18:30:00+01:00'
    """
    if (of_day := _time_of_day(text)) is None:
        return datetime.fromisoformat(text)
    here = after.astimezone().replace(tzinfo=None)
    then = datetime.combine(here.date(), of_day)
    return (then if then >= here else then + timedelta(days=1)).astimezone()


def wait_of(event: RTMEvent | PlannedEvent) -> Wait | None:
    """Return what is waited for before an event; None if nothing.

    Raises
    ------
    ExperimentError
        If it is not understood; all problems are listed.
    """
    if WAIT not in event.metadata:
        return None
    said = event.metadata[WAIT]
    problems = list(_mistakes(_place(event.timestep, event.fov), said))
    if problems:
        raise ExperimentError(problems)
    return Wait(
        event.timestep, event.fov, said.get("start_at"), said.get("pause_before")
    )


def wait_before(
    events: Iterable[RTMEvent],
    timestep: int | None = None,
    *,
    start_at: str | datetime | None = None,
    pause_before: str | None = None,
) -> tuple[RTMEvent, ...]:
    """Return the events with a wait before the first one of ``timestep``.

    The wait is data, kept in ``metadata["wait"]``; see `WAIT`. Called twice for one
    timestep, both are waited for: the time first, then the person.

    Parameters
    ----------
    events
        The experiment, in execution order.
    timestep
        Time index; None for the start of the experiment.
    start_at
        An aware datetime, or a text as in `moment`.
    pause_before
        What a person is asked to do, like "Add the drug, then go on."

    Raises
    ------
    ExperimentError
        If there is no such timestep, nothing to wait for, or it is said twice.

    Examples
    --------
    >>> from faro.experiment import RTMSequence
    >>> sequence = RTMSequence(
    ...     channels=["DAPI"], time_plan={"interval": 60, "loops": 3}
    ... )
    >>> events = wait_before(sequence, 2, pause_before="Add the drug.")
    >>> [event.metadata for event in events]
    [{}, {}, {'wait': {'pause_before': 'Add the drug.'}}]
    """
    listed = list(events)
    at = start_at.isoformat() if isinstance(start_at, datetime) else start_at
    asked = {"start_at": at, "pause_before": pause_before}
    said = {kind: value for kind, value in asked.items() if value is not None}
    problems = list(_mistakes("wait_before", said))
    number = next(
        (i for i, e in enumerate(listed) if timestep in {None, e.timestep}), None
    )
    if number is None:
        last = max((event.timestep for event in listed), default=-1)
        what = f"there is no timestep {timestep}; the last one is {last}."
        problems.append(Problem("timestep", what, "Give a timestep of the events."))
        raise ExperimentError(problems)
    before = listed[number].metadata.get(WAIT, {})
    for kind in said if isinstance(before, Mapping) else ():
        if kind in before:
            what = f"the event waits for {before[kind]!r} already."
            problems.append(Problem(kind, what, "Say it once."))
    if problems:
        raise ExperimentError(problems)
    metadata = {**listed[number].metadata, WAIT: {**before, **said}}
    listed[number] = listed[number].model_copy(update={"metadata": metadata})
    return Phase(listed, interval_after_s(events))


def waits(events: Iterable[RTMEvent]) -> tuple[Wait, ...]:
    """Return every wait of ``events``, in their order.

    Raises
    ------
    ExperimentError
        If one is not understood; all problems are listed.
    """
    found: list[Wait] = []
    problems: list[Problem] = []
    for event in events:
        try:
            wait = wait_of(event)
        except ExperimentError as error:
            problems += error.problems
        else:
            found += [] if wait is None else [wait]
    if problems:
        raise ExperimentError(problems)
    return tuple(found)


def wait_problems(said: Mapping[tuple[int, int], object]) -> Iterator[Problem]:
    """Yield waits that are not understood, or out of order.

    Parameters
    ----------
    said
        (timestep, fov) to what is waited for there, in execution order.
    """
    latest: tuple[datetime, str] | None = None
    for (timestep, fov), value in said.items():
        where = _place(timestep, fov)
        mistakes = list(_mistakes(where, value))
        yield from mistakes
        if mistakes or not isinstance(value, Mapping) or "start_at" not in value:
            continue
        text = value["start_at"]
        if _time_of_day(text) is None:
            at = datetime.fromisoformat(text)
            if latest and at < latest[0]:
                what = f"{text} is before {latest[1]}, waited for earlier."
                yield Problem(f"{where}/start_at", what, "Give a later time.")
            latest = at, text


def start_warnings(events: Iterable[RTMEvent], now: datetime) -> list[Problem]:
    """Return warnings of times that are over, or not today. Pure, any thread.

    Parameters
    ----------
    events
        The experiment; what cannot be understood is passed over.
    now
        When it would start; aware.
    """
    found: list[Problem] = []
    latest = now
    for event in events:
        said = event.metadata.get(WAIT)
        if not isinstance(said, Mapping) or list(_mistakes("", said)):
            continue
        if "start_at" in said:
            text = said["start_at"]
            at = moment(text, latest)
            latest = max(latest, at)
            where = f"{_place(event.timestep, event.fov)}/start_at"
            found += _surprises(where, text, at, now)
    return found


def _surprises(where: str, text: str, at: datetime, now: datetime) -> Iterator[Problem]:
    """Yield what may not be meant about a time."""
    if at < now:
        what = f"{text} is over: nothing would be waited for."
        yield Problem(where, what, "Give a later time.", "warning")
    elif _time_of_day(text) is not None and at - now > FAR:
        hours = (at - now).total_seconds() / 3600
        what = f"{text} is {hours:.1f} hours from now, on {at:%d %B}."
        remedy = "Start before it, or give a date and a zone."
        yield Problem(where, what, remedy, "warning")


def _mistakes(where: str, said: object) -> Iterator[Problem]:
    """Yield what is wrong with one wait."""
    remedy = "Give start_at='...' or pause_before='...'."
    if not isinstance(said, Mapping):
        yield Problem(where, f"{said!r:.60} is no wait.", remedy)
        return
    if not said:
        yield Problem(where, "there is nothing to wait for.", remedy)
    yield from unknown_words(said, KINDS, where)
    if "start_at" in said:
        yield from _time_mistakes(f"{where}/start_at", said["start_at"])
    text = said.get("pause_before", remedy)
    if not isinstance(text, str) or not text.strip():
        what = f"{text!r:.60} tells nobody what to do."
        yield Problem(f"{where}/pause_before", what, "Give a sentence.")


def _time_mistakes(where: str, text: object) -> Iterator[Problem]:
    """Yield why a text is no moment."""
    if isinstance(text, str) and _time_of_day(text) is not None:
        return
    try:
        found = datetime.fromisoformat(text)  # type: ignore[arg-type]  # a TypeError
    except (TypeError, ValueError):
        yield Problem(where, f"{text!r:.60} is no time.", TIME_REMEDY)
        return
    if found.utcoffset() is None:
        yield Problem(where, f"{text} has no time zone.", TIME_REMEDY)


def _time_of_day(text: str) -> time | None:
    """Return a time of day like 18:30 or 18:30:05, None for any other text."""
    found = TIME_OF_DAY.fullmatch(text)
    if found is None:
        return None
    hour, minute, second = (int(part) for part in found.groups("0"))
    return time(hour, minute, second)


def _place(timestep: int, fov: int) -> str:
    return f"events/t={timestep},p={fov}/{WAIT}"
