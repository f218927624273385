"""What holds for every sequence, against the iteration of useq itself."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import useq
from hypothesis import given
from hypothesis import strategies as st

from faro.experiment import (
    Channel,
    PlannedEvent,
    PowerChannel,
    RTMSequence,
    Treatment,
    arrange,
    combine,
    plan,
    wait_before,
)
from faro.model import FrameRole

if TYPE_CHECKING:
    from faro.experiment import RTMEvent

MODES = st.sampled_from(["current", "previous", "interleaved"])
ORDERS = st.sampled_from(["tpcz", "ptcz", "tpgcz"])
EXPOSURES = st.none() | st.integers(1, 500)
COORDINATES = st.none() | st.integers(-50, 50)
Words = dict[str, Any]


@st.composite
def channels(draw: st.DrawFn, names: str, least: int = 1) -> list[Channel]:
    """Return distinct channels, some with power, some with a group."""
    chosen = draw(st.lists(st.sampled_from(names), min_size=least, unique=True))
    made: list[Channel] = []
    for name in chosen:
        exposure, group = draw(EXPOSURES), draw(st.sampled_from([None, "TTL"]))
        power = draw(st.none() | st.integers(0, 100))
        made.append(PowerChannel(name, exposure, group, power))
    return made


@st.composite
def time_plans(draw: st.DrawFn) -> Words | list[Words] | None:
    """Return a time plan of any kind."""
    interval = draw(st.sampled_from([0, 0.5, 1, 7]))
    loops = {"interval": interval, "loops": draw(st.integers(1, 4))}
    lasting = {"interval": 2, "duration": draw(st.integers(0, 7))}
    spread = {"duration": draw(st.integers(0, 9)), "loops": draw(st.integers(2, 4))}
    plans: list[Any] = [None, loops, lasting, spread, [loops, lasting]]
    chosen: Words | list[Words] | None = draw(st.sampled_from(plans))
    return chosen


@st.composite
def positions(draw: st.DrawFn) -> list[Words]:
    """Return places, some with a name."""
    place = st.fixed_dictionaries(
        {"x": COORDINATES, "y": COORDINATES, "z": COORDINATES},
        optional={"name": st.sampled_from(["A1", "B2"])},
    )
    return draw(st.lists(place, max_size=3))


@st.composite
def words(draw: st.DrawFn) -> Words:
    """Return the words of any sequence that this version executes."""
    said: Words = {
        "channels": draw(channels("ABC")),
        "stage_positions": draw(positions()),
        "time_plan": draw(time_plans()),
        "axis_order": draw(ORDERS),
        "rtm_metadata": draw(st.dictionaries(st.sampled_from("ab"), st.integers())),
    }
    n = RTMSequence(**said).n_timepoints
    for role in ("stim", "ref"):
        frames = draw(st.lists(st.integers(0, n - 1), unique=True))
        from_end = draw(st.booleans())
        said[f"{role}_frames"] = [f - n if from_end else f for f in frames]
        said[f"{role}_channels"] = draw(channels("ST", least=int(bool(frames))))
    several = st.lists(
        st.integers(1, 99),
        min_size=len(said["stim_frames"]),
        max_size=len(said["stim_frames"]),
    )
    if said["stim_channels"]:
        said["stim_exposure"] = draw(st.none() | st.integers(1, 99) | several)
    return said


def as_useq(said: Words) -> useq.MDASequence:
    """Return the imaging part as useq itself would have it."""
    keys = ("stage_positions", "time_plan", "axis_order")
    names = [{"config": c.config, "exposure": c.exposure} for c in said["channels"]]
    plain = {"channels": names, **{key: said[key] for key in keys}}
    return useq.MDASequence(**plain)


def lit(said: Words, n: int) -> dict[int, float | None]:
    """Return the timesteps with light, each with its exposure if one is given."""
    frames = [f % n for f in said["stim_frames"]]
    exposures = said.get("stim_exposure")
    if isinstance(exposures, list):
        return dict(zip(frames, exposures, strict=True))
    return dict.fromkeys(frames, exposures)


@given(words(), MODES)
def test_every_imaging_event_of_useq_is_planned_once_and_in_order(
    said: Words, stim_mode: str
) -> None:
    known = {c.config: c for c in said["channels"]}
    planned = list(plan(RTMSequence(**said), stim_mode=stim_mode))
    ours = [p for p in planned if p.role is FrameRole.IMAGE]
    place = {(p.fov, p.timestep): p.position_um for p in planned if p.first}
    theirs = list(as_useq(said))
    assert len(ours) == len(theirs)
    for mine, event in zip(ours, theirs, strict=True):
        index = (event.index.get("p", 0), event.index.get("t", 0))
        assert (mine.fov, mine.timestep) == index
        assert place[index] == (event.x_pos, event.y_pos, event.z_pos)
        assert mine.pos_name == event.pos_name
        assert event.channel is not None
        asked = known[event.channel.config]
        assert mine.channel == asked
        assert (mine.channel.power, mine.channel.group) == (asked.power, asked.group)
        assert mine.channel.exposure == event.exposure


@given(words())
def test_starts_are_those_of_useq_one_position_after_the_other(said: Words) -> None:
    starts: dict[int, list[float]] = {}
    for event in RTMSequence(**said):
        if event.min_start_time is not None:
            starts.setdefault(event.fov, []).append(event.min_start_time)
    theirs = {e.index["t"]: e.min_start_time for e in as_useq(said) if "t" in e.index}
    for fov, ours in starts.items():
        assert [s - ours[0] for s in ours] == pytest.approx(list(theirs.values()))
        if said["axis_order"] != "ptcz" or fov == 0:
            assert ours[0] == 0
        elif len(ours) > 1:
            after = starts[fov - 1][-1] + ours[-1] - ours[-2]
            assert ours[0] == pytest.approx(after)


@given(words(), MODES)
def test_light_and_references_are_where_they_should_be_and_nowhere_else(
    said: Words, stim_mode: str
) -> None:
    sequence = RTMSequence(**said)
    n = sequence.n_timepoints
    expected: Counter[tuple[Any, ...]] = Counter()
    before = {t: t - 1 for t in range(1, n)}
    masks = before if stim_mode == "previous" else {t: t for t in range(n)}
    for fov in range(max(1, len(said["stage_positions"]))):
        for t, exposure in lit(said, n).items():
            for c in said["stim_channels"] if t in masks else ():
                ms = c.exposure if exposure is None else exposure
                mask = (fov, masks[t])
                expected["stim", fov, t, c.config, ms, c.power, c.group, mask] += 1
        for t in {f % n for f in said["ref_frames"]}:
            for c in said["ref_channels"]:
                ms = c.exposure
                expected["ref", fov, t, c.config, ms, c.power, c.group, None] += 1
    found = Counter(
        (str(p.role), p.fov, p.timestep, c.config, c.exposure, c.power, c.group, mask)
        for p in plan(sequence, stim_mode=stim_mode)
        for c, mask in [(p.channel, p.mask_from)]
        if p.role is not FrameRole.IMAGE
    )
    assert found == expected


@given(words(), MODES)
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
            assert [p.channel_index for p in of_role] == list(range(len(of_role)))
            assert {p.n_channels for p in of_role} <= {len(of_role)}


@given(words(), MODES)
def test_a_mask_is_decided_before_the_light_that_waits_for_it(
    said: Words, stim_mode: str
) -> None:
    imaged: set[tuple[int, int]] = set()
    for planned in plan(RTMSequence(**said), stim_mode=stim_mode):
        if planned.role is FrameRole.IMAGE:
            imaged.add((planned.fov, planned.timestep))
        if planned.role is FrameRole.STIM:
            assert planned.mask_from in imaged
            current = (planned.fov, planned.timestep)
            assert (planned.mask_from == current) == (stim_mode != "previous")


@given(words())
def test_json_loses_nothing(said: Words) -> None:
    sequence = RTMSequence(**said)
    again = RTMSequence.model_validate_json(sequence.model_dump_json())
    assert again == sequence
    assert list(again) == list(sequence)


def phases() -> st.SearchStrategy[list[Words]]:
    """Return sources that image the same channels."""
    same = [Channel("A", 5)]
    return st.lists(words().map(lambda said: {**said, "channels": same}), max_size=3)


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
        timestep += sequence.n_timepoints
        start_s = max(ours) + sequence.interval_s
    assert {e.timestep for e in events} == set(range(timestep))


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
    return {**event.words(), "index": None}


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
        offset += last + 1
    assert len(events) == sum(map(len, sequences))


@given(phases())
def test_arms_are_sorted_by_start_then_position(sources: list[Words]) -> None:
    steady: Words = {"interval": 2, "loops": 3}
    said = [{**source, "stim_frames": [], "ref_frames": []} for source in sources]
    timed = [
        RTMSequence(**{**source, "time_plan": steady, "stim_exposure": None})
        for source in said
    ]
    events = combine(*timed, axis="p")
    keys = [(e.min_start_time, e.fov) for e in events]
    assert all(earlier < later for earlier, later in pairwise(keys))
