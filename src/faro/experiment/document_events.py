"""From the words of an experiment file to its events. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faro.errors import Problem
from faro.experiment.batching import apply_fov_batching
from faro.experiment.combine import combine
from faro.experiment.document import BatchingPart, TreatmentsPart, words_of
from faro.experiment.document_problems import checked, moved
from faro.experiment.document_values import (
    FREE_WORDS,
    place_of,
    plain,
    without_nothing,
)
from faro.experiment.refusal import ExperimentError, nearest
from faro.experiment.sequence import RTMSequence
from faro.experiment.treatments import Treatment, arrange
from faro.experiment.waiting import KINDS, WAIT, wait_before

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from faro.experiment.document import ExperimentFile
    from faro.experiment.event import RTMEvent

WAIT_REMEDY = "Write start_at or pause_before beside it: they hold for the first event."
LIGHT = "stim_channels"
DURATION_REMEDY = "Leave it out: no timepoint is dropped, also where a run is late."
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
        With everything that is wrong in sequence, phases, arms and treatments.
    """
    events, problems = events_from(words_of(document))
    if problems:
        raise ExperimentError(problems)
    return events


def events_from(
    words: Mapping[str, Any],
) -> tuple[tuple[RTMEvent, ...], list[Problem]]:
    """Return the events of ``sequence``, ``phases`` or ``arms``, and what is wrong.

    Parameters
    ----------
    words
        What a file says, unchecked. Its other parts are not looked at.
    """
    reader = _Reader(words)
    events = tuple(reader.events())
    batching, _ = checked(words.get("batching"), BatchingPart)
    if batching is not None and not reader.problems:
        try:
            time_s, n_parallel = batching.time_per_fov_s, batching.n_parallel
            events = apply_fov_batching(events, time_s, n_parallel)
        except ExperimentError as error:
            reader.problems += [
                Problem("batching", p.what, p.remedy) for p in error.problems
            ]
    problems = list(dict.fromkeys(reader.problems))
    return () if problems else events, problems


class _Reader:
    """Makes sequences of words and collects what is wrong.

    Parameters
    ----------
    words
        What a file says, unchecked.

    Attributes
    ----------
    problems
        What is wrong, each with its place.
    """

    def __init__(self, words: Mapping[str, Any]) -> None:
        self.problems: list[Problem] = []
        self._words = words
        self._shared = self._table(words.get("shared"), "shared")
        part, _ = checked(words.get("treatments"), TreatmentsPart)
        self._treatments: TreatmentsPart | None = part
        self._groups = list(self._read_groups())

    def events(self) -> Iterable[RTMEvent]:
        words = self._words
        if words.get("sequence"):
            table = self._table(words["sequence"], "sequence")
            return self._sequence(table, "sequence")
        if words.get("arms"):
            return self._several(words["arms"], "arms", "p", self._arm)
        return self._several(words.get("phases"), "phases", "t", self._sequence)

    def _several(
        self,
        listed: object,
        place: str,
        axis: str,
        read: Callable[[dict[str, Any], str], Iterable[RTMEvent]],
    ) -> Iterable[RTMEvent]:
        """Return a list of sequences, put together along an axis."""
        if not isinstance(listed, list | tuple):
            if listed is not None:
                what = "is not a list of tables."
                self._wrong(place, what, f"Write [[{place}]] above each.")
            return ()
        sources = []
        for number, given in enumerate(listed):
            where = f"{place}[{number}]"
            sources.append(read(self._table(given, where), where))
        if self.problems:
            return ()
        try:
            return combine(*sources, axis=axis)
        except ExperimentError as error:
            for problem in error.problems:
                where = problem.where.removeprefix("sources/")
                where = place_of(place, where.split("/"))
                self._wrong(where, problem.what, problem.remedy)
            return ()

    def _arm(self, given: Mapping[str, Any], place: str) -> Iterable[RTMEvent]:
        if "phases" not in given:
            return self._sequence(given, place)
        for word in given:
            if word != "phases":
                what = f"{word!r} stands beside phases."
                remedy = "Write it into each phase, or into [shared]."
                self._wrong(f"{place}.{word}", what, remedy)
        where = f"{place}.phases"
        if not given["phases"]:
            self._wrong(where, "has no phases.", "Give a list of tables.")
        return self._several(given["phases"], where, "t", self._sequence)

    def _sequence(self, given: Mapping[str, Any], place: str) -> Iterable[RTMEvent]:
        if not given and any(p.where.startswith(place) for p in self.problems):
            return ()
        shared = {} if place == "sequence" else self._shared
        words = self._with_frames(without_nothing({**shared, **given}), place)
        places = words.get("stage_positions")
        if isinstance(places, list):  # useq takes a tuple for a place, files have lists
            listed = [tuple(p) if isinstance(p, list) else p for p in places]
            words["stage_positions"] = listed
        known = [*RTMSequence.model_fields, *KINDS]
        for word in [word for word in words if word not in known]:
            what = f"there is no {word!r}."
            self._wrong(f"{place}.{word}", what, nearest(word, known))
            del words[word]
        wait = {kind: words.pop(kind) for kind in KINDS if kind in words}
        if _drops_timepoints(words.get("time_plan")):
            what = "prioritize_duration is not executed by this version."
            self._wrong(f"{place}.time_plan", what, DURATION_REMEDY)
        for kind in FREE_WORDS:
            facts = words.get(kind)
            if isinstance(facts, dict) and WAIT in facts:
                what = "every event would wait."
                self._wrong(f"{place}.{kind}.{WAIT}", what, WAIT_REMEDY)
        try:
            sequence = RTMSequence(**words)
        except ExperimentError as error:
            self.problems += moved(error.problems, place)
            return ()
        treated = self._treatments is not None
        return self._waiting(
            self._arranged(sequence) if treated else sequence, wait, place
        )

    def _waiting(
        self, events: Iterable[RTMEvent], wait: Mapping[str, Any], place: str
    ) -> Iterable[RTMEvent]:
        """Return events that wait for what the words of their sequence say."""
        if not wait or self.problems:
            return events
        try:
            return wait_before(events, **wait)
        except ExperimentError as error:
            for problem in error.problems:
                where = problem.where.removeprefix("wait_before/")
                self._wrong(f"{place}.{where}", problem.what, problem.remedy)
            return ()

    def _arranged(self, sequence: RTMSequence) -> Iterable[RTMEvent]:
        """Return the events of a sequence, each position treated as its group."""
        part = self._treatments
        if part is None or len(self._groups) < len(part.groups):
            return ()
        tables = {name: _placed(table) for name, table in part.tables.items()}
        try:
            return arrange(
                sequence,
                self._groups_of(sequence),
                None if part.layout is None else _placed(part.layout),
                tables=tables,
                seed=part.seed,
                within=part.within,
            )
        except ExperimentError as error:
            for problem in error.problems:
                where = problem.where.replace("treatments/", "groups/")
                where = place_of("treatments", where.split("/"))
                self._wrong(where, problem.what, problem.remedy)
            return ()

    def _groups_of(self, sequence: RTMSequence) -> list[Treatment]:
        """Return the groups as they are in one phase: dark where all of it is dark."""
        phases = self._words.get("phases") or ()
        listed = [self._shared, *(p for p in phases if isinstance(p, dict))]
        if sequence.stim_channels or not any(p.get(LIGHT) for p in listed):
            return self._groups
        return [g if g.stim_channels else g.in_the_dark() for g in self._groups]

    def _read_groups(self) -> Iterable[Treatment]:
        groups = {} if self._treatments is None else self._treatments.groups
        for name, words in groups.items():
            place = f"treatments.groups.{name}"
            try:
                yield Treatment(**{"name": name, **self._with_frames(words, place)})
            except ExperimentError as error:
                self.problems += moved(error.problems, place)

    def _with_frames(self, words: Mapping[str, Any], place: str) -> dict[str, Any]:
        """Return words whose ranges of timepoints are lists."""
        found = dict(words)
        for name in FRAMES:
            if isinstance(found.get(name), dict):
                found[name] = self._frames(found[name], f"{place}.{name}")
        return found

    def _frames(self, words: Mapping[str, Any], place: str) -> list[int]:
        """Return the timepoints of ``{start, stop, step}``."""
        unknown = [word for word in words if word not in RANGE_WORDS]
        for word in unknown:
            remedy = nearest(word, RANGE_WORDS)
            self._wrong(f"{place}.{word}", f"there is no {word!r}.", remedy)
        values = [words.get("start", 0), words.get("stop"), words.get("step", 1)]
        whole = all(isinstance(v, int) and not isinstance(v, bool) for v in values)
        if unknown or (whole and values[2] != 0):
            return [] if unknown else list(range(*values))
        what = f"{dict(words)!r} is no range of timepoints."
        self._wrong(place, what, RANGE_REMEDY)
        return []

    def _table(self, given: object, place: str) -> dict[str, Any]:
        """Return a table of the file, an empty one where there is none."""
        if given is None:
            return {}
        if not isinstance(given, dict):
            what = f"{given!r:.60} is not allowed."
            self._wrong(place, what, "Give a table: names and values.")
            return {}
        try:
            table: dict[str, Any] = plain(given)
        except ExperimentError as error:
            self.problems += moved(error.problems, place)
            return {}
        return table

    def _wrong(self, where: str, what: str, remedy: str) -> None:
        self.problems.append(Problem(where, what, remedy))


def _drops_timepoints(plan: object) -> bool:
    """Return whether a time plan, or a phase of it, says ``prioritize_duration``.

    In useq it is the default of interval and duration, so a sequence does not know
    whether anybody said it.
    """
    listed = plan.get("phases", plan) if isinstance(plan, dict) else plan
    parts = [plan, *(listed if isinstance(listed, list | tuple) else ())]
    return any(isinstance(p, dict) and p.get("prioritize_duration") for p in parts)


def _placed(table: Mapping[str, Any]) -> dict[str | int, Any]:
    """Return a table of places; a number is the index of a position."""
    return {int(p) if p.isdecimal() else p: value for p, value in table.items()}
