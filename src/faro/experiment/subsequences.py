"""Planes, and sequences of single positions, that would not be what they look like."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import useq

from faro.errors import Problem
from faro.experiment.channel import channel_from
from faro.experiment.imaging import imagings
from faro.experiment.refusal import ExperimentError

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    try:
        list(map(channel_from, sub.channels))
    except ExperimentError as error:
        for problem in error.problems:
            yield Problem(f"{where}/channels", problem.what, problem.remedy)


def _unlike_useq(sequence: useq.MDASequence, where: str) -> Iterator[Problem]:
    """Yield a problem where useq itself would take other images than are planned."""
    once = useq.MDASequence.model_validate(
        {
            "channels": [_timeless(channel) for channel in sequence.channels],
            "stage_positions": list(sequence.stage_positions),
            "grid_plan": sequence.grid_plan,
            "z_plan": sequence.z_plan,
            "axis_order": sequence.axis_order,
        }
    )
    try:
        theirs = [
            (e.index.get("p", 0), e.index.get("g"), e.channel.config, e.z_pos)
            for e in once
            if isinstance(e.action, useq.AcquireImage) and e.channel
        ]
    except KeyError as error:
        what = f"useq itself cannot iterate it: {error} is missing."
        yield Problem(where, what, OWN_RUN)
        return
    channels = tuple(channel_from(_timeless(c)) for c in sequence.channels)
    ours = [shot for i in imagings(once, channels) for shot in _shots(i)]
    tiled = any(g is not None for _, g, _, _ in ours)
    if (Counter(ours) != Counter(theirs)) if tiled else ours != theirs:
        what = f"useq itself takes other images here: {len(theirs)}, not {len(ours)}, "
        what += "or in another order."
        remedy = "Give the position channels and z_plan of its own, the autofocus plan "
        yield Problem(where, what, f"{remedy}to the whole sequence; or: {OWN_RUN}")


def _timeless(channel: useq.Channel) -> useq.Channel:
    said = {name: getattr(channel, name) for name in ("exposure", "do_stack")}
    return useq.Channel(config=channel.config, z_offset=channel.z_offset, **said)


def _shots(imaging: Imaging) -> Iterator[Shot]:
    """Yield the images of one visit."""
    spot, planes = imaging.spot, imaging.z_planes
    for image in imaging.images(0):
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
