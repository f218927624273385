"""Random sequences for property tests; needs hypothesis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import useq
from hypothesis import assume
from hypothesis import strategies as st

from faro.experiment import ExperimentError, RTMSequence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Words: TypeAlias = dict[str, Any]

IMAGING = (
    *("time_plan", "stage_positions", "grid_plan", "z_plan", "axis_order", "setup"),
    *("autofocus_plan", "keep_shutter_open_across"),
)
"""What a sequence says of its images, in the words of useq; besides channels."""
COORDINATES = st.integers(-50, 50)
RELATIVE: tuple[Words, ...] = (
    {"range": 4, "step": 2},
    {"range": 3, "step": 3, "go_up": False},
    {"above": 2, "below": 1, "step": 1},
    {"relative": [3, -1]},
    {"relative": [0]},
)
ABSOLUTE: tuple[Words, ...] = (
    {"absolute": [5, 3, 9]},
    {"top": 9, "bottom": 1, "step": 4},
    {"top": 3, "bottom": 1, "step": 1, "go_up": False},
)
TILES: tuple[Words, ...] = (
    {"rows": 1, "columns": 2, "fov_width": 9, "fov_height": 8},
    {"rows": 2, "columns": 1, "fov_width": 9, "fov_height": 8, "overlap": 10},
    {"num_points": 2, "max_width": 90, "max_height": 90, "random_seed": 1},
)
MAP: Words = {
    "left": 0,
    "right": 10,
    "top": 5,
    "bottom": 0,
    "fov_width": 9,
    "fov_height": 8,
}
"""A grid that says itself where its tiles are."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What the sequences may name.

    Attributes
    ----------
    images, lights
        Presets that are imaged, and that give light or are references.
    groups
        Config groups of the presets; None leaves it to the rig.
    powered
        Presets that may have a power; those of a rig need one everywhere.
    optional
        Whether exposures and powers may be left out.
    longest
        Most timepoints of one time plan.
    properties
        (device, property, value) that positions and the setup set.
    """

    images: Sequence[str] = "ABC"
    lights: Sequence[str] = "ST"
    groups: Sequence[str | None] = (None, "TTL")
    powered: Sequence[str] = "ABCST"
    optional: bool = True
    longest: int = 4
    properties: Sequence[tuple[str, str, str]] = (("D", "P", "1"), ("D", "P", "2"))


ANY = Vocabulary()


@st.composite
def channels(
    draw: st.DrawFn,
    words: Vocabulary,
    names: Sequence[str],
    least: int = 1,
    *,
    planes: bool = False,
    timed: bool = False,
) -> list[Words]:
    """Return distinct channels, some with power, some with a group."""
    made: list[Words] = []
    for name in draw(st.lists(st.sampled_from(names), min_size=least, unique=True)):
        said: Words = {"config": name, "exposure": draw(st.integers(1, 9))}
        said["group"] = draw(st.sampled_from(words.groups))
        if name in words.powered:
            said["power"] = draw(st.integers(0, 8))
        if words.optional:
            left_out = draw(st.sets(st.sampled_from(["exposure", "group", "power"])))
            said = {key: said[key] for key in said if key not in left_out}
        if planes:
            said["do_stack"] = draw(st.booleans())
            said["z_offset"] = draw(st.sampled_from([0, 0, 1.5]))
        if timed:
            said["acquire_every"] = draw(st.sampled_from([1, 1, 2, 3]))
        made.append(said)
    return made


@st.composite
def time_plans(draw: st.DrawFn, longest: int = 4) -> Words | list[Words] | None:
    """Return a time plan of any kind."""
    interval = draw(st.sampled_from([0, 0.5, 1, 7]))
    loops = {"interval": interval, "loops": draw(st.integers(1, longest))}
    lasting = {"interval": 2, "duration": draw(st.integers(0, 2 * longest - 1))}
    spread: Words = {"duration": draw(st.integers(0, 9))}
    spread["loops"] = draw(st.integers(2, longest))
    plans: list[Any] = [None, loops, lasting, spread, [loops, lasting]]
    chosen: Words | list[Words] | None = draw(st.sampled_from(plans))
    return chosen


def focus_plans(axes: str = "tpgcz") -> st.SearchStrategy[Words]:
    """Return autofocus plans for any of ``axes``."""
    several = st.lists(st.sampled_from(axes), min_size=1, unique=True)
    offsets = st.none() | st.sampled_from([1.0, 2.5])
    return st.fixed_dictionaries(
        {"axes": several.map(tuple), "autofocus_motor_offset": offsets}
    )


@st.composite
def own_sequences(
    draw: st.DrawFn, words: Vocabulary, *, tiles: bool, focused: bool
) -> Words:
    """Return what one position says besides its place."""
    said: Words = {}
    if draw(st.booleans()):
        said["z_plan"] = draw(st.sampled_from(RELATIVE))
    if draw(st.booleans()):
        own = draw(channels(words, words.images, planes="z_plan" in said))
        said["channels"] = [
            {k: v for k, v in c.items() if k not in {"power", "group"}} for c in own
        ]
    if tiles and draw(st.booleans()):
        said["grid_plan"] = draw(st.sampled_from(TILES))
    if focused and draw(st.booleans()):
        said["autofocus_plan"] = draw(focus_plans())
    return said


@st.composite
def positions(
    draw: st.DrawFn, words: Vocabulary, *, least: int, tiles: bool, focused: bool
) -> list[Words]:
    """Return places, some with a name, settings or a sequence of their own."""
    found: list[Words] = []
    for _ in range(draw(st.integers(least, 3))):
        place: Words = {axis: draw(COORDINATES) for axis in "xyz"}
        if draw(st.booleans()):
            place["name"] = draw(st.sampled_from(["A1", "B2"]))
        if draw(st.integers(0, 3)) == 0:
            place["properties"] = [draw(st.sampled_from(words.properties))]
        if draw(st.integers(0, 2)) == 0:
            own = draw(own_sequences(words, tiles=tiles, focused=focused))
            place["sequence"] = own or None
        found.append(place)
    return found


@st.composite
def sequence_words(draw: st.DrawFn, words: Vocabulary = ANY) -> Words:
    """Return the words of any sequence: all that useq says, light and references."""
    kind = draw(st.sampled_from(["flat", "relative", "relative", "absolute"]))
    focused = kind != "absolute" and draw(st.booleans())
    grid = draw(st.sampled_from([None, None, None, "tiles", "map"]))
    if kind == "relative" and grid == "map":
        grid = "tiles"
    said: Words = {"time_plan": draw(time_plans(words.longest))}
    if kind != "flat":
        plans = RELATIVE if kind == "relative" else ABSOLUTE
        said["z_plan"] = draw(st.sampled_from(plans))
    timed = said["time_plan"] is not None and draw(st.booleans())
    imaged = channels(words, words.images, planes=kind != "flat", timed=timed)
    said["channels"] = draw(imaged)
    if grid != "map":
        least = int(kind == "relative" or bool(grid))
        own_tiles = grid is None and kind != "absolute"
        places = positions(words, least=least, tiles=own_tiles, focused=focused)
        said["stage_positions"] = draw(places)
    if grid:
        said["grid_plan"] = MAP if grid == "map" else draw(st.sampled_from(TILES))
    if focused and draw(st.booleans()):
        said["autofocus_plan"] = draw(focus_plans())
    said["axis_order"] = draw(orders(said))
    axes = st.sampled_from("pgcz")
    said["keep_shutter_open_across"] = tuple(draw(st.sets(axes, max_size=3)))
    if draw(st.integers(0, 3)) == 0:
        setup = {"properties": [draw(st.sampled_from(words.properties))]}
        said["setup"] = setup
    return {**said, **draw(light_and_references(said, words))}


def orders(said: Mapping[str, Any]) -> st.SearchStrategy[str]:
    """Return the orders in which what is said can be taken."""
    if said.get("grid_plan"):
        return st.sampled_from(["tpgcz", "tpgzc", "pgtcz", "pgtzc"])
    subs = [place.get("sequence") or {} for place in said.get("stage_positions", ())]
    orders = ["tpcz", "tpzc", "tpgcz"]
    if not any("grid_plan" in sub for sub in subs):
        orders += ["ptcz", "ptzc"]
    return st.sampled_from(orders)


@st.composite
def light_and_references(
    draw: st.DrawFn, said: Mapping[str, Any], words: Vocabulary
) -> Words:
    """Return schedules of light and references for a sequence."""
    plan = {"time_plan": said["time_plan"], "channels": ["A"]}
    n = RTMSequence(**plan).n_timepoints
    more: Words = {}
    for role in ("stim", "ref"):
        frames = draw(st.lists(st.integers(0, n - 1), unique=True))
        from_end = draw(st.booleans())
        more[f"{role}_frames"] = [f - n if from_end else f for f in frames]
        least = int(bool(frames))
        more[f"{role}_channels"] = draw(channels(words, words.lights, least))
    size = len(more["stim_frames"])
    several = st.lists(st.integers(1, 99), min_size=size, max_size=size)
    if more["stim_channels"]:
        more["stim_exposure"] = draw(st.none() | st.integers(1, 99) | several)
    more["rtm_metadata"] = draw(st.dictionaries(st.sampled_from("ab"), st.integers()))
    return more


@st.composite
def executable_words(draw: st.DrawFn, words: Vocabulary = ANY) -> Words:
    """Return the words of any sequence that is executed.

    Refused are only positions of whose own sequence useq itself takes other images.
    """
    said = draw(sequence_words(words))
    try:
        RTMSequence(**said)
    except ExperimentError as error:
        assume(not all(p.what.startswith("useq itself") for p in error.problems))
        raise
    return said


def as_useq(said: Mapping[str, Any]) -> useq.MDASequence:
    """Return the imaging part of words, as useq itself has it."""
    plain = {key: said[key] for key in IMAGING if key in said}
    names = ("config", "exposure", "do_stack", "z_offset", "acquire_every")
    plain["channels"] = [
        {name: channel[name] for name in names if name in channel}
        for channel in said["channels"]
    ]
    return useq.MDASequence.model_validate(plain)
