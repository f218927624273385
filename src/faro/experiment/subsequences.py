"""Planes, and sequences of single positions, that would not be what they look like."""

from __future__ import annotations

from math import lcm
from typing import TYPE_CHECKING

import useq

from faro.errors import Problem
from faro.experiment.channel import channel_from
from faro.experiment.imaging import imagings
from faro.experiment.refusal import ExperimentError
from faro.experiment.tiles import has_own_tiles
from faro.experiment.unread import power_problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from faro.experiment.imaging import Imaging

OWN_RUN = "Make one RTMSequence for each kind of position and combine them, axis='p'."
MOST_NAMED = 5

Shot = tuple[int, int | None, str, float | None]
"""p, g, preset and stage z of an image."""


def sub_problems(sequence: useq.MDASequence) -> Iterator[Problem]:
    """Yield what the sequence of a position asks for and is not executed."""
    richer: list[str] = []
    for number, position in enumerate(sequence.stage_positions):
        sub, where = position.sequence, f"stage_positions/{number}/sequence"
        if sub is None:
            continue
        problems = list(_own_problems(sub, where))
        yield from problems
        if problems:
            return
        if sub.channels or sub.z_plan or sub.autofocus_plan:
            richer.append(where)
    if richer and sequence.channels and not _empty_planes(sequence):
        yield from _unlike_useq(sequence, richer[0])


def _own_problems(sub: useq.MDASequence, where: str) -> Iterator[Problem]:
    """Yield words that the sequence of a position cannot say."""
    refused = {
        "time_plan": sub.time_plan,
        "setup": sub.setup,
        "metadata": sub.metadata,
        "stage_positions": len(sub.stage_positions),
    }
    for name in [name for name, value in refused.items() if value]:
        what = "a position has no time, place, setup or metadata of its own."
        yield Problem(f"{where}/{name}", what, OWN_RUN)
    for i, channel in enumerate(sub.channels):
        power = getattr(channel, "power", None)
        if power is not None:
            yield power_problem(f"{where}/channels/{i}/power", power)
    try:
        list(map(channel_from, sub.channels))
    except ExperimentError as error:
        for problem in error.problems:
            yield Problem(f"{where}/channels", problem.what, problem.remedy)


def without_unsaid_groups(written: object, places: Iterable[object]) -> object:
    """Return dumped positions without the groups that their channels do not say.

    useq fills in a group, which would count as said when it is read again.
    """
    if not isinstance(written, list | tuple):
        return written
    for words, place in zip(written, places, strict=True):
        own = words.get("sequence") if isinstance(words, dict) else None
        if not own or not isinstance(place, useq.Position) or not place.sequence:
            continue
        pairs = zip(own.get("channels", ()), place.sequence.channels, strict=False)
        for channel, said in pairs:
            if "group" not in said.model_fields_set:
                channel.pop("group", None)
    return written


def _unlike_useq(sequence: useq.MDASequence, where: str) -> Iterator[Problem]:
    """Yield a problem where useq itself would take other images than are planned."""
    times = range(_period(sequence))
    once = useq.MDASequence.model_validate(
        {
            "channels": [_bare(channel) for channel in sequence.channels],
            "stage_positions": list(sequence.stage_positions),
            "grid_plan": sequence.grid_plan,
            "z_plan": sequence.z_plan,
            "time_plan": {"interval": 0, "loops": len(times)},
            "axis_order": sequence.axis_order,
        }
    )
    theirs: list[list[Shot]] = [[] for _ in times]
    try:
        for e in once:
            if isinstance(e.action, useq.AcquireImage) and e.channel:
                shot = (e.index.get("p", 0), e.index.get("g"), e.channel.config)
                theirs[e.index["t"]].append((*shot, e.z_pos))
    except LookupError as error:
        what = f"useq itself cannot iterate it: {error!r}."
        yield Problem(where, what, OWN_RUN)
        return
    channels = tuple(channel_from(_bare(c)) for c in sequence.channels)
    visited = imagings(once, channels)
    ours = [[shot for i in visited for shot in _shots(i, t)] for t in times]
    own_tiles = has_own_tiles(sequence)
    if (_by_spot(ours) != _by_spot(theirs)) if own_tiles else ours != theirs:
        n_theirs, n_ours = sum(map(len, theirs)), sum(map(len, ours))
        what = f"useq itself takes other images here: {n_theirs}, not {n_ours}, "
        what += "or in another order."
        remedy = "Give the position channels and z_plan of its own, the autofocus plan "
        yield Problem(where, what, f"{remedy}to the whole sequence; or: {OWN_RUN}")


def _period(sequence: useq.MDASequence) -> int:
    """Return after how many timepoints the channels that are due come again."""
    owns = [p.sequence.channels for p in sequence.stage_positions if p.sequence]
    every = [c.acquire_every for own in (sequence.channels, *owns) for c in own]
    n_timepoints = len(tuple(sequence.time_plan)) if sequence.time_plan else 1
    return max(1, min(lcm(*every), n_timepoints))


def _by_spot(
    shots: Iterable[Iterable[Shot]],
) -> list[dict[tuple[int, int | None], list[Shot]]]:
    """Return the images of each timepoint by position and tile, in their order."""
    found: list[dict[tuple[int, int | None], list[Shot]]] = []
    for of_time in shots:
        found.append({})
        for shot in of_time:
            found[-1].setdefault(shot[:2], []).append(shot)
    return found


def _bare(channel: useq.Channel) -> useq.Channel:
    """Return what a channel says without its light."""
    names = ("exposure", "do_stack", "z_offset", "acquire_every")
    said = {name: getattr(channel, name) for name in names}
    return useq.Channel(config=channel.config, **said)


def _shots(imaging: Imaging, timestep: int) -> Iterator[Shot]:
    """Yield the images of one visit."""
    spot, planes = imaging.spot, imaging.z_planes
    for image in imaging.images(timestep):
        channel = imaging.channels[image["c"]]
        z_um = planes[image["z"]] + channel.z_offset if planes else spot.position.z
        yield spot.p, spot.g, channel.config, z_um


def _empty_planes(sequence: useq.MDASequence) -> bool:
    return any(not list(plan) for _, plan in _z_plans(sequence))


def _z_plans(sequence: useq.MDASequence) -> Iterator[tuple[str, useq.ZPlan]]:
    """Yield each z plan with its place."""
    if sequence.z_plan is not None:
        yield "z_plan", sequence.z_plan
    if isinstance(sequence.stage_positions, useq.WellPlatePlan):
        return
    for number, position in enumerate(sequence.stage_positions):
        if position.sequence and position.sequence.z_plan is not None:
            yield f"stage_positions/{number}/sequence/z_plan", position.sequence.z_plan


def plane_problems(sequence: useq.MDASequence) -> Iterator[Problem]:
    """Yield planes that are nowhere, and offsets and middles without planes."""
    plans = list(_z_plans(sequence))
    flat = [c.config for c in sequence.channels if not c.do_stack]
    for where, plan in plans:
        planes = list(plan)
        if not planes:
            what = f"{plan!r} has no plane."
            yield Problem(where, what, "Give a step above 0 and a range, or a list.")
        elif flat and plan.num_positions() // 2 != len(planes) // 2:
            what = f"{plan!r} has no middle plane for {', '.join(flat)} (do_stack)."
            yield Problem(where, what, "Give a step that divides the range.")
    for i, channel in enumerate(sequence.channels):
        if channel.z_offset and not plans:
            what = f"{channel.z_offset:g} um is passed over by useq without a z_plan."
            remedy = "Give a z_plan, for example ZRelativePositions(relative=[0])."
            yield Problem(f"channels/{i}/z_offset", what, remedy)
    if not any(not list(plan) for _, plan in plans):
        yield from _nowhere(sequence)


def _nowhere(sequence: useq.MDASequence) -> Iterator[Problem]:
    """Yield relative planes at positions that do not say their z."""
    positions = list(sequence.stage_positions)
    plate = isinstance(sequence.stage_positions, useq.WellPlatePlan)
    floating = [
        f"p={p}"
        for p, position in enumerate(positions or [useq.Position()])
        if (plate or position.z is None) and _relative(sequence, position)
    ]
    if floating:
        more = f" and {len(floating) - MOST_NAMED} more"
        named = ", ".join(floating[:MOST_NAMED])
        named += more if len(floating) > MOST_NAMED else ""
        what = f"the planes are relative to the z of positions that say none: {named}."
        remedy = "Give these positions a z (of a plate: [p.replace(z=...) for p in "
        yield Problem("z_plan", what, f"{remedy}plan]), or absolute planes.")


def _relative(sequence: useq.MDASequence, position: useq.Position) -> bool:
    own = position.sequence.z_plan if position.sequence else None
    plan = own or sequence.z_plan
    return plan is not None and plan.is_relative
