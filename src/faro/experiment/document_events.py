"""From the words of an experiment file to its events. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faro.errors import Problem
from faro.experiment.combine import combine
from faro.experiment.document_problems import moved
from faro.experiment.document_values import plain, without_nothing
from faro.experiment.refusal import ExperimentError, nearest
from faro.experiment.sequence import RTMSequence

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from faro.experiment.document import ExperimentFile
    from faro.experiment.event import RTMEvent

FRAMES = ("stim_frames", "ref_frames")
RANGE_WORDS = ("start", "stop", "step")
RANGE_REMEDY = (
    "Give a list of whole numbers, or {start = 4, stop = 24, step = 1}; "
    "stop is not included."
)


def events_of(document: ExperimentFile) -> tuple[RTMEvent, ...]:
    """Return the events that a file describes.

    Raises
    ------
    ExperimentError
        With everything that is wrong in sequence, phases and groups.
    """
    tables = ("sequence", "phases", "groups", "shared")
    words = {name: getattr(document, name) for name in tables}
    events, problems = events_from(words)
    if problems:
        raise ExperimentError(problems)
    return events


def events_from(
    words: Mapping[str, Any],
) -> tuple[tuple[RTMEvent, ...], list[Problem]]:
    """Return the events of ``sequence``, ``phases`` or ``groups``, and what is wrong.

    Parameters
    ----------
    words
        The tables of a file; others than those and ``shared`` are not looked at.
    """
    problems: list[Problem] = []
    shared = _table(words.get("shared"), "shared", problems)
    if words.get("sequence"):
        found = _sequence(_table(words["sequence"], "sequence", problems), "sequence")
        return tuple(found[0]), [*problems, *found[1]]
    axis, name = ("p", "groups") if words.get("groups") else ("t", "phases")
    listed = words.get(name) or ()
    if not isinstance(listed, list | tuple):
        what = "is not a list of tables."
        return (), [*problems, Problem(name, what, f"Write [[{name}]] above each.")]
    sources = []
    for number, given in enumerate(listed):
        place = f"{name}[{number}]"
        part, wrong = _part(_table(given, place, problems), shared, place)
        sources.append(part)
        problems += wrong
    return _combined(sources, axis, name, problems)


def _combined(
    sources: Sequence[Iterable[RTMEvent]],
    axis: str,
    place: str,
    problems: list[Problem],
) -> tuple[tuple[RTMEvent, ...], list[Problem]]:
    if problems:
        return (), problems
    try:
        return combine(*sources, axis=axis), []
    except ExperimentError as error:
        return (), [
            Problem(p.where.replace("sources/", f"{place}/"), p.what, p.remedy)
            for p in error.problems
        ]


def _part(
    given: Mapping[str, Any], shared: Mapping[str, Any], place: str
) -> tuple[Iterable[RTMEvent], list[Problem]]:
    """Return the events of one phase or group; a group may have phases."""
    if place.startswith("groups") and "phases" in given:
        extra = [
            Problem(
                f"{place}.{word}",
                f"{word!r} stands beside phases.",
                "Write it into each phase, or into [shared].",
            )
            for word in given
            if word != "phases"
        ]
        phases = given["phases"] if isinstance(given["phases"], list | tuple) else ()
        parts = [
            _sequence(
                {**shared, **_table(words, f"{place}.phases[{i}]", extra)},
                f"{place}.phases[{i}]",
            )
            for i, words in enumerate(phases)
        ]
        problems = [*extra, *(p for _, wrong in parts for p in wrong)]
        if not phases:
            what = "has no phases."
            problems.append(Problem(f"{place}.phases", what, "Give a list of tables."))
        return _combined([part for part, _ in parts], "t", f"{place}.phases", problems)
    return _sequence({**shared, **given}, place)


def _sequence(
    given: Mapping[str, Any], place: str
) -> tuple[Iterable[RTMEvent], list[Problem]]:
    problems: list[Problem] = []
    words = without_nothing(given)
    for name in FRAMES:
        if isinstance(words.get(name), dict):
            words[name] = _frames(words[name], f"{place}.{name}", problems)
    places = words.get("stage_positions")
    if isinstance(places, list):  # useq takes a tuple for a place, files have lists
        listed = [tuple(p) if isinstance(p, list) else p for p in places]
        words["stage_positions"] = listed
    try:
        return RTMSequence(**words), problems
    except ExperimentError as error:
        return (), [*problems, *moved(error.problems, place)]


def _frames(words: Mapping[str, Any], place: str, problems: list[Problem]) -> list[int]:
    """Return the timepoints of ``{start, stop, step}``."""
    unknown = [word for word in words if word not in RANGE_WORDS]
    for word in unknown:
        what = f"there is no {word!r}."
        problems.append(Problem(f"{place}.{word}", what, nearest(word, RANGE_WORDS)))
    values = [words.get("start", 0), words.get("stop"), words.get("step", 1)]
    whole = all(isinstance(v, int) and not isinstance(v, bool) for v in values)
    if not unknown and (not whole or values[2] == 0):
        what = f"{dict(words)!r} is no range of timepoints."
        problems.append(Problem(place, what, RANGE_REMEDY))
    return [] if problems or not whole or not values[2] else list(range(*values))


def _table(given: object, place: str, problems: list[Problem]) -> dict[str, Any]:
    """Return a table of the file, an empty one where there is none."""
    if given is None:
        return {}
    if not isinstance(given, dict):
        what = f"{given!r:.60} is not a table."
        problems.append(Problem(place, what, "Give a table: names and values."))
        return {}
    try:
        table: dict[str, Any] = plain(given)
    except ExperimentError as error:
        problems += moved(error.problems, place)
        return {}
    return table
