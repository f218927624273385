"""What useq can say and this version executes; the rest is refused by name."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import useq

from faro.errors import Problem
from faro.experiment.subsequences import plane_problems, sub_problems
from faro.experiment.tiles import has_own_tiles, tile_problems
from faro.experiment.unread import TIME_REMEDY

if TYPE_CHECKING:
    from collections.abc import Iterator

FLAT_ORDERS, GRID_ORDERS = "'tpcz' or 'ptcz'", "'tpgcz' or 'pgtcz'"
AXES = tuple("tpgcz")
SETUP = useq.CustomAction(name="setup")
SET_UP = frozenset({"properties", "action", "index", "metadata", "sequence"})
TILES_APART = ("gp", "tgp", "gtp", "gpt", "ptg")
POSITION_REMEDY = "Give a list of (x, y, z) in um or of Position(x, y, z, name)."


def unexecuted(sequence: useq.MDASequence) -> Iterator[Problem]:
    """Yield what a valid sequence asks for and this version does not execute."""
    yield from _time_problems(sequence)
    yield from _position_problems(sequence)
    yield from _order_problems(sequence)
    yield from _setup_problems(sequence)
    yield from _shutter_problems(sequence)
    yield from _focus_problems(sequence)
    if not isinstance(sequence.stage_positions, useq.WellPlatePlan):
        yield from sub_problems(sequence)
    yield from plane_problems(sequence)


def _setup_problems(sequence: useq.MDASequence) -> Iterator[Problem]:
    """Yield what a setup event asks for besides properties."""
    if sequence.setup is None:
        return
    for name in type(sequence.setup).model_fields:
        value = getattr(sequence.setup, name)
        default = useq.MDAEvent().model_copy(update={"action": SETUP})
        if name not in SET_UP and value != getattr(default, name):
            what = f"{value!r:.60} is not executed: events and facts are made before."
            remedy = "Give properties, and set up the rest before the run."
            yield Problem(f"setup/{name}", what, remedy)


def _shutter_problems(sequence: useq.MDASequence) -> Iterator[Problem]:
    """Yield axes across which the shutter cannot stay open."""
    across, starts_s = sequence.keep_shutter_open_across, times_s_or_none(sequence)
    yield from _unknown_axes(across, "keep_shutter_open_across")
    if "t" in across and len(set(starts_s)) > 1:
        what = "with 't' the light would be on while the run waits for a timepoint."
        yield Problem("keep_shutter_open_across", what, "Leave the 't' out.")


def _focus_problems(sequence: useq.MDASequence) -> Iterator[Problem]:
    """Yield axes whose changes never come, so that nothing would be focused."""
    plan = sequence.autofocus_plan
    if isinstance(plan, useq.AxesBasedAF):
        yield from _unknown_axes(plan.axes, "autofocus_plan/axes")


def _unknown_axes(axes: tuple[str, ...], where: str) -> Iterator[Problem]:
    for axis in axes:
        if axis not in AXES:
            remedy = f"Use some of: {', '.join(AXES)}."
            yield Problem(where, f"there is no axis {axis!r}.", remedy)


def times_s_or_none(sequence: useq.MDASequence) -> tuple[float, ...]:
    """Return `times_s`, or nothing of a plan that cannot be counted out."""
    try:
        return times_s(sequence)
    except ZeroDivisionError:
        return ()


def times_s(sequence: useq.MDASequence) -> tuple[float, ...]:
    """Return the planned starts of the timepoints, seconds; empty without a plan."""
    return tuple(sequence.time_plan) if sequence.time_plan is not None else ()


def _time_problems(sequence: useq.MDASequence) -> Iterator[Problem]:
    """Yield time plans that cannot be counted out."""
    plan = sequence.time_plan
    if plan is None:
        return
    try:
        starts_s = times_s(sequence)
    except ZeroDivisionError:
        what = f"{_said(plan)} has no end."
        yield Problem("time_plan", what, "Give interval and loops.")
        return
    if not starts_s:
        what = f"{_said(plan)} has no timepoint."
        yield Problem("time_plan", what, TIME_REMEDY)
    if any(later < earlier for earlier, later in pairwise(starts_s)):
        what = f"{_said(plan)} goes back in time."
        yield Problem("time_plan", what, "Give an interval of 0 s or more.")
    phases = plan.phases if isinstance(plan, useq.MultiPhaseTimePlan) else ()
    for part in (plan, *phases):
        if part.prioritize_duration and not isinstance(part, useq.TIntervalDuration):
            what = "prioritize_duration is not executed by this version."
            yield Problem("time_plan", what, "Leave it out: no timepoint is dropped.")


def _said(plan: useq.AnyTimePlan) -> str:
    """Return what a time plan says, in s."""
    return f"{plan.model_dump(exclude_defaults=True)}"


def _position_problems(sequence: useq.MDASequence) -> Iterator[Problem]:
    """Yield positions that ask for more than a place and a name."""
    positions = sequence.stage_positions
    if isinstance(positions, useq.WellPlatePlan):
        yield from plate_problems(positions)
        yield from tile_problems(sequence, "")
        return
    yield from tile_problems(sequence, "")


def plate_problems(plan: useq.WellPlatePlan) -> Iterator[Problem]:
    """Yield plate plans without wells, or whose points would not be as they look."""
    if not plan.selected_wells or not plan.selected_wells[0]:
        what = "the plate plan selects no well."
        yield Problem("stage_positions/selected_wells", what, "Select wells.")
    points, where = plan.well_points_plan, "stage_positions/well_points_plan"
    if isinstance(points, useq.RandomPoints) and points.random_seed is None:
        what = "random points without a seed are elsewhere after saving."
        yield Problem(f"{where}/random_seed", what, "Give RandomPoints(random_seed=1).")
    sized = points.fov_width is not None and points.fov_height is not None
    if isinstance(points, useq.GridRowsColumns) and not sized:
        what = "without the size of a field the tiles are 1 um apart."
        yield Problem(
            f"{where}/fov_width", what, "Give fov_width and fov_height in um."
        )
    if isinstance(points, useq.RelativePosition):
        if points.z:
            what = f"{points.z:g} um is relative to a z that a plate does not say."
            remedy = "Give [p.replace(z=...) for p in plan] as stage_positions."
            yield Problem(f"{where}/z", what, remedy)
        if points.sequence is not None or points.properties:
            what = "a sub-sequence or properties are not executed by this version."
            yield Problem(where, what, "Give x, y and name only.")


def _order_problems(sequence: useq.MDASequence) -> Iterator[Problem]:
    """Yield orders in which the channels of one place are not taken together."""
    order = sequence.axis_order
    said = {
        "t": ("time_plan", sequence.time_plan),
        "p": ("stage_positions", sequence.stage_positions),
        "g": ("grid_plan", sequence.grid_plan),
        "c": ("channels", sequence.channels),
        "z": ("z_plan", sequence.z_plan),
    }
    text = "".join(order)
    gridded = sequence.grid_plan
    remedy = f"Use {GRID_ORDERS if gridded else FLAT_ORDERS}."
    for axis, (name, plan) in said.items():
        if plan and axis not in order:
            what = f"{text!r} leaves out {axis!r}, so {name} would not be executed."
            yield Problem("axis_order", what, remedy)
    for axis, several, name in (
        ("c", len(sequence.channels) > 1, "channels"),
        ("z", sequence.z_plan is not None, "planes"),
    ):
        after = order[order.index(axis) + 1 :] if axis in order else ()
        if several and any(a in "tpg" and said[a][1] for a in after):
            what = f"{text!r} takes the {name} of one position apart."
            yield Problem("axis_order", what, remedy)
    moved = [axis for axis in order if axis in "tpg" and said[axis][1]]
    tiles_apart = "".join(moved) in TILES_APART
    if tiles_apart or (has_own_tiles(sequence) and moved == ["p", "t"]):
        what = f"{text!r} takes the tiles of one position apart."
        yield Problem("axis_order", what, remedy)
