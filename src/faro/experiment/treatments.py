"""Which wells and positions get what: named groups, laid out by hand or by lot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from faro.errors import Problem
from faro.experiment.channel import AnyChannel, Channel
from faro.experiment.frames import Frames
from faro.experiment.phase import Phase
from faro.experiment.refusal import ExperimentError, Refusing, nearest
from faro.experiment.sequence import EXPOSURE_REMEDY, Exposures, RTMSequence
from faro.experiment.waiting import WAIT
from faro.experiment.wells import WELL_FACTS, places, spots_of, spread

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from faro.experiment.event import RTMEvent
    from faro.experiment.wells import Place, Table

    Unit = TypeVar("Unit", bound=Hashable)

TREATMENT = "treatment"
"""Key of the metadata under which an event names its treatment."""

SCHEDULE = ("stim_channels", "stim_frames", "stim_exposure", "ref_channels")
NOWHERE: Mapping[str, Any] = {
    "stage_positions": (),
    "grid_plan": None,
    "z_plan": None,
}
RESERVED = (TREATMENT, WAIT, *WELL_FACTS)


class Treatment(Refusing, BaseModel):
    """What one group of wells or positions gets. Frozen, any thread.

    What is not given is as the sequence says; an empty list means none.

    Parameters
    ----------
    name
        Name of the group; positional or keyword.
    stim_channels, stim_frames, stim_exposure, ref_channels, ref_frames
        As in `RTMSequence`, for this group only.
    metadata
        Copied to the metadata of the events of this group, JSON-able.

    Raises
    ------
    ExperimentError
        If a value is out of range or a word is unknown.

    Examples
    --------
    >>> Treatment("dark", stim_frames=[]).metadata
    {}
    """

    model_config = ConfigDict(frozen=True)
    expected: ClassVar[Mapping[str, str]] = {"stim_exposure": EXPOSURE_REMEDY}

    name: str = Field(min_length=1)
    stim_channels: tuple[AnyChannel, ...] = ()
    stim_frames: Frames = ()
    stim_exposure: Exposures = None
    ref_channels: tuple[AnyChannel, ...] = ()
    ref_frames: Frames = ()
    metadata: dict[str, Any] = Field(default_factory=dict)

    def __init__(self, name: str, **given: Any) -> None:
        super().__init__(name=name, **given)

    @property
    def schedule(self) -> dict[str, Any]:
        """The words of `RTMSequence` that this treatment replaces."""
        names = (*SCHEDULE, "ref_frames")
        said = {n: getattr(self, n) for n in names if n in self.model_fields_set}
        if said.get("stim_frames") == ():
            said.setdefault("stim_exposure", None)
        return said

    def in_the_dark(self) -> Treatment:
        """Return this treatment without its times and exposures of light."""
        said = {name: getattr(self, name) for name in self.model_fields_set}
        kept = {n: v for n, v in said.items() if n not in {*SCHEDULE[:3], "name"}}
        return Treatment(self.name, **kept)


def assign(
    units: Iterable[Unit],
    groups: Iterable[str | Treatment],
    *,
    seed: int,
    balanced: bool = True,
    within: Mapping[Unit, Hashable] | None = None,
) -> dict[Unit, str]:
    """Return a group for each unit, drawn by lot. Pure, any thread.

    Parameters
    ----------
    units
        Wells, positions, or anything else; see `places`.
    groups
        Names of groups, or treatments.
    seed
        The same seed gives the same lots, on every computer.
    balanced
        Draw in blocks: each run of as many units as there are groups holds every group
        once, so the sizes differ by one at most, and no group gets the edge of the
        plate or the end of the round. False: each unit is drawn by itself.
    within
        Unit to stratum (a cell line, a donor): blocks are drawn inside each stratum.

    Raises
    ------
    ExperimentError
        If units or groups come twice, are missing, or are fewer than the groups.

    Examples
    --------
    >>> assign(["A1", "A2", "A3", "A4"], ["drug", "control"], seed=1)
    {'A1': 'drug', 'A2': 'control', 'A3': 'control', 'A4': 'drug'}
    """
    listed = list(units)
    names = [g.name if isinstance(g, Treatment) else g for g in groups]
    problems = [*_lot_problems(listed, names), *_stratum_problems(listed, within)]
    if problems:
        raise ExperimentError(problems)
    lots = Random(seed)
    if not balanced:
        return {unit: names[int(lots.random() * len(names))] for unit in listed}
    strata: dict[Hashable, list[Unit]] = {}
    for unit in listed:
        strata.setdefault(within[unit] if within else None, []).append(unit)
    drawn: dict[Unit, str] = {}
    for stratum in strata.values():
        for start in range(0, len(stratum), len(names)):
            block = sorted(names, key=lambda _: lots.random())
            drawn.update(zip(stratum[start : start + len(names)], block, strict=False))
    return {unit: drawn[unit] for unit in listed}


def arrange(
    sequence: RTMSequence,
    treatments: Iterable[Treatment],
    layout: Table[str] | None = None,
    *,
    tables: Mapping[str, Table[Any]] | None = None,
    seed: int | None = None,
    within: str | None = None,
) -> tuple[RTMEvent, ...]:
    """Return the events of ``sequence``, each position treated as its group.

    Every event says its treatment, its well and what the tables say in its metadata.
    Order and clock are those of ``sequence``; several phases that were arranged are
    put together by `combine`.

    Parameters
    ----------
    sequence
        Where and when, and what all groups share.
    treatments
        The groups.
    layout
        Place to the name of a treatment. A place is a well (``"A1"``), a block of
        wells (``"A1:B6"``), or a position by name or index. None to draw by ``seed``.
    tables
        Further facts by name, each from place to value, like ``{"cell_line": {...}}``.
    seed
        Draws wells, or positions away from a plate, by lot; see `assign`.
    within
        Name of a table; lots are balanced inside each of its values.

    Raises
    ------
    ExperimentError
        With every mistake in treatments, layout and tables.

    Examples
    --------
    >>> sequence = RTMSequence(
    ...     channels=["DAPI"],
    ...     stage_positions=[{"name": "left"}, {"name": "right"}],
    ...     time_plan={"interval": 60, "loops": 2},
    ...     stim_channels=["Cyan"],
    ... )
    >>> groups = [Treatment("dark"), Treatment("pulse", stim_frames=[1])]
    >>> events = arrange(sequence, groups, {"left": "dark", "right": "pulse"})
    >>> [(e.pos_name, e.timestep, e.has_stim) for e in events]
    [('left', 0, False), ('right', 0, False), ('left', 1, False), ('right', 1, True)]
    """
    groups = list(treatments)
    facts, problems = _facts(sequence, tables or {})
    problems += _group_problems(groups, tables or {})
    scheduled = _schedules(sequence, groups, problems)
    if layout is not None and (seed is not None or within is not None):
        what = "a layout and a lot (seed, within) are both given."
        problems.append(Problem("layout", what, "Give a layout or a seed."))
    if layout is None:
        layout = _by_lot(sequence, groups, facts, (seed, within), problems)
    known = {group.name: group for group in groups}
    given = spread("layout", layout, spots_of(sequence))
    problems += [] if not layout else given.problems
    problems += _name_problems(layout, known)
    if problems:
        raise ExperimentError(problems)
    treated = [
        _treated(event, known[name], scheduled[name], facts[event.fov])
        for event in sequence
        for name in [given.by_fov[event.fov]]
    ]
    problems += _unvisited(treated, given.by_fov, scheduled)
    if problems:
        raise ExperimentError(problems)
    return Phase(treated, sequence.rest_s)


def _unvisited(
    events: Iterable[RTMEvent],
    name_of: Mapping[int, str],
    scheduled: Mapping[str, Mapping[int, RTMEvent]],
) -> Iterator[Problem]:
    """Yield light and references at timepoints at which no channel is due."""
    visited: dict[int, set[int]] = {}
    for event in events:
        visited.setdefault(event.fov, set()).add(event.timestep)
    lost: dict[str, set[int]] = {}
    for fov, name in name_of.items():
        said = {t for t, e in scheduled[name].items() if e.has_stim or e.ref_channels}
        lost.setdefault(name, set()).update(said - visited.get(fov, set()))
    for name, times in lost.items():
        if times:
            named = ", ".join(f"t={t}" for t in sorted(times))
            what = (
                f"nothing is imaged at {named:.60}: no channel is due (acquire_every)."
            )
            remedy = "Give timepoints at which a channel is imaged."
            yield Problem(f"treatments/{name}/stim_frames", what, remedy)


def _treated(
    event: RTMEvent,
    treatment: Treatment,
    schedule: Mapping[int, RTMEvent],
    facts: Mapping[str, Any],
) -> RTMEvent:
    """Return ``event`` with the light and the metadata of its treatment."""
    like = schedule.get(event.timestep)
    said = {**event.metadata, **facts, **treatment.metadata, TREATMENT: treatment.name}
    lit = {
        "stim_channels": like.stim_channels if like else (),
        "ref_channels": like.ref_channels if like else (),
    }
    return event.model_copy(update={**lit, "metadata": said})


def _schedules(
    sequence: RTMSequence, groups: Sequence[Treatment], problems: list[Problem]
) -> dict[str, dict[int, RTMEvent]]:
    """Return what each treatment does at each timestep; adds what is wrong with it."""
    found: dict[str, dict[int, RTMEvent]] = {}
    due = [Channel(c.config, acquire_every=c.acquire_every) for c in sequence.channels]
    for group in groups:
        try:
            alone = sequence.replace(**NOWHERE, channels=due, **group.schedule)
        except ExperimentError as error:
            problems += _placed(f"treatments/{group.name}", error.problems)
        else:
            found[group.name] = {event.timestep: event for event in alone}
    return found


def _facts(
    sequence: RTMSequence, tables: Mapping[str, Table[Any]]
) -> tuple[list[dict[str, Any]], list[Problem]]:
    """Return what the tables say about each position, and what is wrong with them."""
    spots = spots_of(sequence)
    facts: list[dict[str, Any]] = [{} for _ in spots]
    problems: list[Problem] = []
    for name, table in tables.items():
        found = spread(f"tables/{name}", table, spots)
        problems += found.problems
        for fov, value in found.by_fov.items():
            facts[fov][name] = value
        if name in RESERVED:
            problems.append(_reserved(f"tables/{name}", name))
    return facts, problems


def _by_lot(
    sequence: RTMSequence,
    groups: Sequence[Treatment],
    facts: Sequence[Mapping[str, Any]],
    lot: tuple[int | None, str | None],
    problems: list[Problem],
) -> dict[Place, str]:
    """Return a layout drawn by lot; empty with a problem where that cannot be."""
    seed, within = lot
    if seed is None:
        what = "neither a layout nor a seed is given."
        remedy = "Give layout={'A1': 'name', ...}, or seed=1 to draw lots."
        problems.append(Problem("layout", what, remedy))
        return {}
    units = places(sequence)
    strata: dict[Place, Hashable] | None = None
    if within is not None:
        of_unit = spread("", {u: u for u in units}, spots_of(sequence)).by_fov
        said = {u: facts[fov].get(within) for fov, u in of_unit.items()}
        strata = {unit: repr(value) for unit, value in said.items()}
        if not any(within in fact for fact in facts):
            known = {name for fact in facts for name in fact}
            what = f"there is no table {within!r}."
            problems.append(Problem("within", what, nearest(within, known)))
    try:
        return assign(units, groups, seed=seed, within=strata)
    except ExperimentError as error:
        problems += error.problems
        return {}


def _group_problems(
    groups: Sequence[Treatment], tables: Mapping[str, object]
) -> Iterator[Problem]:
    """Yield treatments that share a name, or say what is said elsewhere."""
    names = [group.name for group in groups]
    for name in sorted({n for n in names if names.count(n) > 1}):
        what = f"{names.count(name)} treatments have this name."
        yield Problem(f"treatments/{name}", what, "Give each a name of its own.")
    for group in groups:
        for key in group.metadata:
            where = f"treatments/{group.name}/metadata/{key}"
            if key in RESERVED:
                yield _reserved(where, key)
            elif key in tables:
                yield Problem(where, "a table says it too.", "Say it in one of them.")


def _name_problems(
    layout: Table[str], known: Mapping[str, Treatment]
) -> Iterator[Problem]:
    """Yield names in the layout that are no treatment, and treatments never used."""
    for place, name in layout.items():
        if name not in known:
            what = f"there is no treatment {name!r}."
            yield Problem(f"layout/{place}", what, nearest(str(name), known))
    for name in known if layout else ():
        if name not in layout.values():
            what = "no well or position gets it."
            yield Problem(f"treatments/{name}", what, "Put it in the layout.")


def _lot_problems(units: Sequence[object], names: Sequence[str]) -> Iterator[Problem]:
    """Yield why there is nothing to draw from, or nothing sensible to draw."""
    if not names:
        yield Problem("groups", "there are none.", "Give at least one group.")
    for where, listed in (("groups", names), ("units", units)):
        twice = [item for item in dict.fromkeys(listed) if listed.count(item) > 1]
        if twice:
            what = f"given more than once: {', '.join(map(str, twice[:5]))}."
            yield Problem(where, what, "Give each once.")
    if len(units) < len(names):
        what = f"{len(names)} groups for {len(units)} wells or positions."
        yield Problem("groups", what, "Add wells or positions, or use fewer groups.")


def _stratum_problems(
    units: Sequence[Unit], within: Mapping[Unit, Hashable] | None
) -> Iterator[Problem]:
    """Yield units that are in no stratum."""
    missing = [str(u) for u in units if within is not None and u not in within]
    if missing:
        what = f"says nothing about {', '.join(missing[:5])}."
        yield Problem("within", what, "Give every unit its stratum.")


def _placed(where: str, problems: Iterable[Problem]) -> list[Problem]:
    return [Problem(f"{where}/{p.where}", p.what, p.remedy) for p in problems]


def _reserved(where: str, key: str) -> Problem:
    what = f"{key!r} is set by faro itself."
    return Problem(where, what, "Use another name.")
