"""Events on disk: ``events.json`` as the public FARO project writes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from faro.errors import Problem
from faro.experiment.event import RTMEvent
from faro.experiment.refusal import ExperimentError

if TYPE_CHECKING:
    from collections.abc import Iterable


def save_events(events: Iterable[RTMEvent], path: str | Path) -> Path:
    """Write ``events`` to ``path`` as JSON and return it; a file there is replaced.

    Raises
    ------
    ExperimentError
        If the metadata cannot be said in JSON; nothing is written.
    OSError
        If the file cannot be written.
    """
    target = Path(path)
    words = [event.words() for event in events]
    try:
        text = json.dumps(words, indent=2, allow_nan=False)
    except (TypeError, ValueError) as error:
        what = f"the events cannot be written as JSON: {error}."
        remedy = "Use text, finite numbers, true/false, lists and tables as metadata."
        raise ExperimentError([Problem("metadata", what, remedy)]) from error
    unfinished = target.with_name(f"{target.name}.part")
    unfinished.write_text(text + "\n", encoding="utf-8", newline="\n")
    unfinished.replace(target)
    return target


def load_events(path: str | Path) -> tuple[RTMEvent, ...]:
    """Return the events that are written at ``path``, in their order.

    Raises
    ------
    ExperimentError
        If it is no such file, or says something wrong; all problems are listed.
    """
    source = Path(path)
    try:
        entries = json.loads(source.read_text(encoding="utf-8"))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise _unreadable(source, f"cannot be read: {reason}.") from error
    except ValueError as error:
        raise _unreadable(source, f"is not JSON: {error}.") from error
    if not isinstance(entries, list):
        raise _unreadable(source, "does not hold a list of events.")
    events: list[RTMEvent] = []
    problems: list[Problem] = []
    for number, entry in enumerate(entries):
        try:
            events.append(_event(entry))
        except ExperimentError as error:
            problems += [
                Problem(f"{source.name}/{number}/{p.where}", p.what, p.remedy)
                for p in error.problems
            ]
    if problems:
        raise ExperimentError(problems)
    return tuple(events)


def _event(entry: object) -> RTMEvent:
    """Return one entry of the file as an event."""
    if not isinstance(entry, dict):
        what = f"{entry!r} is not an event."
        raise ExperimentError([Problem("event", what, "Give {'index': ...}.")])
    return RTMEvent(**entry)


def _unreadable(source: Path, what: str) -> ExperimentError:
    remedy = "Give an events.json as save_events writes it."
    return ExperimentError([Problem(str(source), what, remedy)])
