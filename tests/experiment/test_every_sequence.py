"""What holds for every sequence, against the iteration of useq itself."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import useq
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from faro.experiment import (
    ExperimentError,
    PlannedEvent,
    RTMSequence,
    Treatment,
    arrange,
    combine,
    plan,
    wait_before,
)
from faro.experiment.tiles import spots
from faro.model import FrameRole
from faro.testing.sequences import Words, as_useq, executable_words, sequence_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from faro.experiment import RTMEvent

FEW = settings(max_examples=40)
MODES = st.sampled_from(["current", "previous", "interleaved"])


def lit(said: Words, n: int) -> dict[int, float | None]:
    """Return the timesteps with light, each with its exposure if one is given."""
    frames = [f % n for f in said["stim_frames"]]
    exposures = said.get("stim_exposure")
    if isinstance(exposures, list):
        return dict(zip(frames, exposures, strict=True))
    return dict.fromkeys(frames, exposures)


def own(said: Words, p: int) -> Words:
    """Return what position number ``p`` says in its own sequence."""
    places = said.get("stage_positions", [])
    return (places[p].get("sequence") or {}) if places else {}


def has_own_tiles(said: Words) -> bool:
    return any("grid_plan" in own(said, p) for p in range(n_places(said)))


def n_places(said: Words) -> int:
    return len(said.get("stage_positions", []))


@dataclass
class Stage:
    """Where a stage is that goes where it is told; None until it is told."""

    at_um: tuple[float | None, ...] = (None, None, None)

    def go(self, *where_um: float | None) -> tuple[float | None, ...]:
        moved = zip(where_um, self.at_um, strict=True)
        self.at_um = tuple(b if a is None else a for a, b in moved)
        return self.at_um


Image = tuple[Any, ...]
NEVER = {"axes": ("never",)}


def without_shutter_and_focus(said: Words) -> Words:
    """Return words that useq can iterate; it takes the same images for them.

    With sequences of positions it mistakes their indices for those of the whole.
    """
    places = [{**place} for place in said["stage_positions"]]
    for place in places:
        if (place.get("sequence") or {}).get("autofocus_plan"):
            place["sequence"] = {**place["sequence"], "autofocus_plan": NEVER}
    focus = {"autofocus_plan": NEVER} if "autofocus_plan" in said else {}
    bare = {"keep_shutter_open_across": (), "stage_positions": places}
    return {**said, **bare, **focus}


def theirs(said: Words) -> Iterator[Image]:
    """Yield what is true of each image of useq's own iteration."""
    stage, focus = Stage(), None
    if any(own(said, p) for p in range(n_places(said))):
        said = without_shutter_and_focus(said)
    for event in as_useq(said):
        place = (event.x_pos, event.y_pos, event.z_pos)
        if isinstance(event.action, useq.HardwareAutofocus):
            focus = (event.action.autofocus_motor_offset, *place[:2])
            continue
        p = event.index.get("p", 0)
        assert event.channel is not None
        config = event.channel.config
        asked = [*own(said, p).get("channels", ()), *said["channels"]]
        light = tuple(
            next((c[word] for c in asked if c["config"] == config and word in c), None)
            for word in ("power", "group", "exposure")
        )
        t = event.index.get("t", 0)
        yield t, p, stage.go(*place), config, light, event.keep_shutter_open, focus
        focus = None


def ours(said: Words, planned: Iterable[PlannedEvent]) -> Iterator[Image]:
    """Yield the same of each planned image; light and references move the stage too."""
    stage = Stage()
    p_of = [spot.p for spot in spots(as_useq(said))] or [0]
    for event in planned:
        at_um = stage.go(*event.position_um)
        if event.role is not FrameRole.IMAGE:
            continue
        channel, focus = event.channel, None
        if event.autofocus:
            focus = (event.autofocus.autofocus_motor_offset, *at_um[:2])
        light = channel.power, channel.group, channel.exposure
        where = event.timestep, p_of[event.fov], at_um
        yield *where, channel.config, light, event.keep_shutter_open, focus


def alone(said: Words) -> Words:
    """Return the words without light and references."""
    gone = {"stim_channels", "stim_frames", "stim_exposure"}
    gone |= {"ref_channels", "ref_frames"}
    return {key: value for key, value in said.items() if key not in gone}


@given(executable_words())
def test_images_alone_are_those_of_useq_with_their_shutter_and_focus(
    said: Words,
) -> None:
    sequence = RTMSequence(**alone(said))
    found = list(ours(said, plan(sequence)))
    if by_place(sequence):  # the next place starts later, and is waited for in the dark
        within = [a for a in said["keep_shutter_open_across"] if a not in "pg"]
        said = {**said, "keep_shutter_open_across": tuple(within)}
    if any(own(said, p) for p in range(n_places(said))):
        assert Counter(i[:5] for i in found) == Counter(i[:5] for i in theirs(said))
    else:
        assert found == dark_while_it_focuses(theirs(said))


def dark_while_it_focuses(images: Iterable[Image]) -> list[Image]:
    """Return images with the shutter closed where the autofocus comes next."""
    listed = list(images)
    follows = [*(focus for *_, focus in listed[1:]), None]
    return [
        (*rest, stays_open and after is None, focus)
        for (*rest, stays_open, focus), after in zip(listed, follows, strict=True)
    ]


@given(executable_words(), MODES)
def test_every_imaging_event_of_useq_is_planned_once_and_in_order(
    said: Words, stim_mode: str
) -> None:
    planned = plan(RTMSequence(**said), stim_mode=stim_mode)
    found = [image[:5] for image in ours(said, planned)]
    expected = [image[:5] for image in theirs(said)]
    if has_own_tiles(said):
        assert Counter(found) == Counter(expected)
    else:
        assert found == expected


@FEW
@given(executable_words())
def test_every_plane_says_its_number_and_its_height(said: Words) -> None:
    taken: dict[tuple[Any, ...], list[PlannedEvent]] = {}
    for event in plan(RTMSequence(**said)):
        if event.role is FrameRole.IMAGE:
            key = event.fov, event.timestep, event.channel_index
            taken.setdefault(key, []).append(event)
    for planes in taken.values():
        n = max(1, planes[0].n_z)
        assert [(p.z_index, p.n_z) for p in planes] == [
            (z, planes[0].n_z) for z in range(n)
        ]
        heights = [p.z_um for p in planes]
        assert len(set(heights)) == len(planes)


@FEW
@given(sequence_words())
def test_what_is_refused_is_refused_because_useq_does_otherwise(said: Words) -> None:
    try:
        RTMSequence(**said)
    except ExperimentError as error:
        for problem in error.problems:
            assert problem.what.startswith("useq itself ")
            assert own(said, int(problem.where.split("/")[1]))


@FEW
@given(executable_words())
def test_properties_are_set_when_a_position_is_reached_and_only_then(
    said: Words,
) -> None:
    before = None
    setup = said.get("setup", {}).get("properties", [])
    p_of = [spot.p for spot in spots(as_useq(said))] or [0]
    for event in RTMSequence(**said):
        expected = list(setup) if before is None else []
        p = p_of[event.fov]
        if p != before and n_places(said):
            expected += said["stage_positions"][p].get("properties", [])
        assert [tuple(setting) for setting in event.properties or ()] == expected
        before = p


@FEW
@given(executable_words())
def test_starts_are_those_of_useq_one_position_after_the_other(said: Words) -> None:
    sequence = RTMSequence(**said)
    one = {"channels": ["A"], "time_plan": said["time_plan"]}
    planned = [e.min_start_time or 0.0 for e in useq.MDASequence(**one)]
    lap_s = planned[-1] + sequence.interval_s if by_place(sequence) else 0.0
    for event in sequence:
        if said["time_plan"] is None:
            assert event.min_start_time is None
            continue
        expected = planned[event.timestep] + event.fov * lap_s
        assert event.min_start_time == pytest.approx(expected)


def by_place(sequence: RTMSequence) -> bool:
    """Return whether a position is finished before the next begins."""
    moved = [a for a in sequence.used_axes if a in "tpg"]
    return moved[:1] not in ([], ["t"]) and sequence.n_timepoints > 1


@FEW
@given(executable_words())
def test_the_clock_restarts_where_useq_restarts_it(said: Words) -> None:
    restarts = {
        (event.timestep, event.fov)
        for event in RTMSequence(**said)
        if event.reset_event_timer
    }
    always = [{**c, "acquire_every": 1} for c in said["channels"]]
    flat = {
        **said,
        "channels": always,
        "stage_positions": [*map(without_own, said.get("stage_positions", []))],
    }
    expected = {
        (event.index["t"], event.index.get("p", 0), event.index.get("g", 0))
        for event in as_useq(flat)
        if event.reset_event_timer and isinstance(event.action, useq.AcquireImage)
    }
    n_tiles = len({event.index.get("g", 0) for event in as_useq(flat)})
    fovs = {(t, p * n_tiles + g) for t, p, g in expected}
    assert restarts == {place for place in fovs if place != (0, 0)}


def without_own(place: Words) -> Words:
    """Return a position without a sequence of its own."""
    return {key: value for key, value in place.items() if key != "sequence"}


@given(executable_words(), MODES)
def test_light_and_references_are_where_they_should_be_and_nowhere_else(
    said: Words, stim_mode: str
) -> None:
    sequence = RTMSequence(**said)
    n = sequence.n_timepoints
    visited: dict[int, list[int]] = {}
    for event in sequence:
        visited.setdefault(event.fov, []).append(event.timestep)
    expected: Counter[tuple[Any, ...]] = Counter()
    for fov, times in visited.items():
        before = dict(zip(times[1:], times, strict=False))
        masks = dict(zip(times, times, strict=True))
        masks = before if stim_mode == "previous" else masks
        for t, exposure in lit(said, n).items():
            for c in map(Words, said["stim_channels"]) if t in masks else ():
                ms = c.get("exposure") if exposure is None else exposure
                light = c["config"], ms, c.get("power"), c.get("group")
                expected["stim", fov, t, *light, (fov, masks[t])] += 1
        for t in {f % n for f in said["ref_frames"]}:
            for c in said["ref_channels"]:
                light = c["config"], c.get("exposure"), c.get("power"), c.get("group")
                expected["ref", fov, t, *light, None] += 1
    found = Counter(
        (str(p.role), p.fov, p.timestep, c.config, c.exposure, c.power, c.group, mask)
        for p in plan(sequence, stim_mode=stim_mode)
        for c, mask in [(p.channel, p.mask_from)]
        if p.role is not FrameRole.IMAGE
    )
    assert found == expected


@FEW
@given(executable_words(), MODES)
def test_the_roles_of_one_moment_come_in_the_order_of_the_mode(
    said: Words, stim_mode: str
) -> None:
    modes = {
        "current": {"image": 0, "stim": 1, "ref": 2},
        "previous": {"stim": 0, "image": 1, "ref": 2},
        "interleaved": {"image": 0, "stim": 1, "ref": 1},
    }
    rank = modes[stim_mode]
    moments: dict[tuple[int, int], list[PlannedEvent]] = {}
    for planned in plan(RTMSequence(**said), stim_mode=stim_mode):
        moments.setdefault((planned.fov, planned.timestep), []).append(planned)
    for exposures in moments.values():
        ranks = [rank[p.role] for p in exposures]
        assert ranks == sorted(ranks)
        assert [p.first for p in exposures] == [True] + [False] * (len(exposures) - 1)
        for role in FrameRole:
            of_role = [p for p in exposures if p.role is role]
            numbers = {p.channel_index for p in of_role}
            assert numbers == set(range(len(numbers)))
            assert {p.n_channels for p in of_role} <= {len(numbers)}
            assert [p.last for p in of_role] == [False] * (len(of_role) - 1) + [
                True
            ] * bool(of_role)


@FEW
@given(executable_words(), MODES)
def test_a_mask_is_decided_before_the_light_that_waits_for_it(
    said: Words, stim_mode: str
) -> None:
    sequence = RTMSequence(**said)
    assume(all(event.channels for event in sequence))
    imaged: set[tuple[int, int]] = set()
    for planned in plan(sequence, stim_mode=stim_mode):
        if planned.role is FrameRole.IMAGE:
            imaged.add((planned.fov, planned.timestep))
        if planned.role is FrameRole.STIM:
            assert planned.mask_from in imaged
            current = (planned.fov, planned.timestep)
            assert (planned.mask_from == current) == (stim_mode != "previous")


@FEW
@given(executable_words())
def test_json_loses_nothing(said: Words) -> None:
    sequence = RTMSequence(**said)
    again = RTMSequence.model_validate_json(sequence.model_dump_json())
    assert again == sequence
    assert list(again) == list(sequence)


def phases() -> st.SearchStrategy[list[Words]]:
    """Return the words of several sequences."""
    return st.lists(executable_words(), max_size=3)


@FEW
@given(phases())
def test_phases_are_contiguous_in_timesteps_and_clock(sources: list[Words]) -> None:
    sequences = [RTMSequence(**said) for said in sources]
    events = combine(*sequences, axis="t")
    assert len(events) == sum(map(len, sequences))
    rest = list(events)
    timestep, start_s = 0, 0.0
    for sequence in sequences:
        part, rest = rest[: len(sequence)], rest[len(sequence) :]
        own = list(sequence)
        assert [e.timestep - timestep for e in part] == [e.timestep for e in own]
        ours = [e.min_start_time or 0 for e in part]
        assert ours == pytest.approx([start_s + (e.min_start_time or 0) for e in own])
        timestep += max(e.timestep for e in own) + 1
        planned = list(sequence.time_plan or [0.0])
        laps = 1 + max(e.fov for e in own) if by_place(sequence) else 1
        start_s += laps * (planned[-1] + sequence.interval_s)
    if all(len({e.timestep for e in s}) == s.n_timepoints for s in sequences):
        assert {e.timestep for e in events} == set(range(timestep))


@FEW
@given(phases())
def test_however_phases_are_put_together_the_clock_is_the_same(
    sources: list[Words],
) -> None:
    sequences = [RTMSequence(**said) for said in sources]
    at_once = combine(*sequences)
    nested: tuple[RTMEvent, ...] = ()
    for sequence in sequences:
        nested = combine(nested, sequence)
    assert nested == at_once
    arranged = [arrange(s, [Treatment("all")], seed=1) for s in sequences]
    waiting = [wait_before(events, pause_before="Look.") for events in arranged]
    again = combine(*waiting)
    assert [(e.index, e.min_start_time) for e in again] == [
        (e.index, e.min_start_time) for e in at_once
    ]


def bare(event: RTMEvent) -> Words:
    return {**event.words(), "index": None, "reset_event_timer": None}


@FEW
@given(phases())
def test_arms_share_the_clock_and_keep_what_they_say(sources: list[Words]) -> None:
    sequences = [RTMSequence(**said) for said in sources]
    events = combine(*sequences, axis="p")
    offset = 0
    for sequence in sequences:
        own = list(sequence)
        last = max(e.fov for e in own)
        part = [e for e in events if offset <= e.fov <= offset + last]
        assert [(e.timestep, e.fov - offset) for e in part] == [
            (e.timestep, e.fov) for e in own
        ]
        assert list(map(bare, part)) == list(map(bare, own))
        alone = len(sequences) == 1
        restarts = [e.reset_event_timer and alone for e in own]
        assert [e.reset_event_timer for e in part] == restarts
        offset += last + 1
    assert len(events) == sum(map(len, sequences))


@FEW
@given(phases())
def test_arms_are_sorted_by_start_then_position(sources: list[Words]) -> None:
    steady: Words = {"interval": 2, "loops": 3}
    dark: Words = {"stim_frames": [], "ref_frames": []}
    said = [
        {
            **s,
            **dark,
            "stage_positions": [*map(without_own, s.get("stage_positions", []))],
        }
        for s in sources
    ]
    timed = [
        RTMSequence(**{**source, "time_plan": steady, "stim_exposure": None})
        for source in said
    ]
    events = combine(*timed, axis="p")
    keys = [(e.min_start_time, e.fov) for e in events]
    assert all(earlier < later for earlier, later in pairwise(keys))
