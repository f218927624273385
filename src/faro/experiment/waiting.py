"""Waiting inside an experiment: for a time of day, or for a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from faro.errors import Problem
from faro.experiment.phase import Phase, interval_after_s
from faro.experiment.refusal import ExperimentError, unknown_words

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from faro.experiment.event import RTMEvent

WAIT = "wait"
"""Key of the metadata under which an event says what is waited for before it.

Its value is a table with one or both of ``start_at``, an ISO 8601 time with its zone,
and ``pause_before``, a text for the person who is waited for. The clock of the
experiment stands still while it waits: start times are counted on from the wait.
"""

KINDS = ("start_at", "pause_before")
TIME_REMEDY = "Give a time with its zone, like '2026-11-24T09:00:00+01:00'."
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Wait:
    """What is waited for before an event.

    Attributes
    ----------
    timestep, fov
        The event.
    start_at
        Time of day, with its zone; None if none is waited for.
    pause_before
        What a person is asked to do before going on; None if none is.
    """

    timestep: int
    fov: int
    start_at: datetime | None = None
    pause_before: str | None = None


def wait_before(
    events: Iterable[RTMEvent],
    timestep: int | None = None,
    *,
    start_at: str | datetime | None = None,
    pause_before: str | None = None,
) -> tuple[RTMEvent, ...]:
    """Return the events with a wait before the first one of ``timestep``.

    The wait is data, kept in ``metadata["wait"]``; `check` refuses it where a run
    does not execute it. Called twice for one timestep, both are waited for: the time
    of day first, then the person.

    Parameters
    ----------
    events
        The experiment, in execution order.
    timestep
        Time index; None for the start of the experiment.
    start_at
        Time of day with its zone: ISO 8601 text, or an aware datetime.
    pause_before
        What a person is asked to do, like "Add the drug, then go on."

    Raises
    ------
    ExperimentError
        If there is no such timestep, nothing to wait for, or it is said twice.

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
        if WAIT not in event.metadata:
            continue
        said = event.metadata[WAIT]
        mistakes = list(_mistakes(_place(event.timestep, event.fov), said))
        problems += mistakes
        if not mistakes:
            text = said.get("start_at")
            at = None if text is None else datetime.fromisoformat(text)
            text = said.get("pause_before")
            found.append(Wait(event.timestep, event.fov, at, text))
    if problems:
        raise ExperimentError(problems)
    return tuple(found)


def wait_problems(
    said: Mapping[tuple[int, int], object], executes: Collection[str]
) -> Iterator[Problem]:
    """Yield waits that are not understood, out of order, or not executed by a run.

    Parameters
    ----------
    said
        (timestep, fov) to what is waited for there, in execution order.
    executes
        What the run waits for: ``"start_at"``, ``"pause_before"``.
    """
    ignored: dict[str, list[str]] = {}
    latest: tuple[datetime, str] | None = None
    for (timestep, fov), value in said.items():
        where = _place(timestep, fov)
        mistakes = list(_mistakes(where, value))
        yield from mistakes
        if mistakes or not isinstance(value, Mapping):
            continue
        for kind in value:
            if kind not in executes:
                ignored.setdefault(kind, []).append(f"t={timestep}, p={fov}")
        if "start_at" in value:
            at = datetime.fromisoformat(value["start_at"])
            if latest and at < latest[0]:
                what = f"{value['start_at']} is before {latest[1]}, waited for earlier."
                yield Problem(f"{where}/start_at", what, "Give a later time.")
            latest = at, value["start_at"]
    for kind, places in ignored.items():
        more = f" and {len(places) - MOST_NAMED} more" if places[MOST_NAMED:] else ""
        what = f"at {'; '.join(places[:MOST_NAMED])}{more} is not yet executed."
        remedy = "Leave it out: run the part before, wait yourself, and continue."
        yield Problem(f"metadata/{WAIT}/{kind}", what, remedy)


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
    try:
        moment = datetime.fromisoformat(text)  # type: ignore[arg-type]  # a TypeError
    except (TypeError, ValueError):
        yield Problem(where, f"{text!r:.60} is no time of day.", TIME_REMEDY)
        return
    if moment.utcoffset() is None:
        yield Problem(where, f"{text} has no time zone.", TIME_REMEDY)


def _place(timestep: int, fov: int) -> str:
    return f"events/t={timestep},p={fov}/{WAIT}"
