"""Groups get what their table says, or what the lot gave them, and nothing else."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import useq
from hypothesis import given
from hypothesis import strategies as st

from faro.experiment import (
    Channel,
    ExperimentError,
    PowerChannel,
    RTMEvent,
    RTMSequence,
    Treatment,
    arrange,
    assign,
    check,
    combine,
    load_events,
    save_events,
)
from faro.model import HardwareFacts

SEEDS = st.integers(0, 2**32)
GROUPS = st.integers(1, 4).map(lambda n: [f"group {i}" for i in range(n)])
FRAMES = st.lists(st.integers(-4, 3), max_size=4, unique_by=lambda f: f % 4)
DARK = Treatment("dark", stim_frames=[])
PULSE = Treatment("pulse", stim_frames=[1], metadata={"dose": 2})


def plate(rows: int = 2, columns: int = 3, fields: int = 2) -> useq.WellPlatePlan:
    said = {
        "plate": 96,
        "a1_center_xy": (0, 0),
        "selected_wells": (slice(rows), slice(columns)),
        "well_points_plan": {
            "rows": 1,
            "columns": fields,
            "fov_width": 99,
            "fov_height": 99,
        },
    }
    return useq.WellPlatePlan.model_validate(said)


def shared(**more: Any) -> RTMSequence:
    said: dict[str, Any] = {
        "channels": [Channel("A", 20)],
        "stage_positions": plate(),
        "time_plan": {"interval": 5, "loops": 4},
        "stim_channels": [PowerChannel("S", 10, power=3)],
    }
    return RTMSequence(**{**said, **more})


def lit(events: tuple[RTMEvent, ...]) -> set[tuple[str, int]]:
    return {(e.metadata["well"], e.timestep) for e in events if e.has_stim}


class TestLots:
    @given(GROUPS, st.integers(0, 30), SEEDS)
    def test_balanced_groups_stay_balanced_all_along(
        self, groups: list[str], more: int, seed: int
    ) -> None:
        units = range(len(groups) + more)
        drawn = assign(units, groups, seed=seed)
        assert list(drawn) == list(units)
        for end in range(1, len(units) + 1):
            counts = Counter(drawn[unit] for unit in units[:end])
            sizes = [counts[group] for group in groups]
            assert max(sizes) - min(sizes) <= 1

    @given(GROUPS, st.lists(st.sampled_from("xyz"), min_size=4, max_size=30), SEEDS)
    def test_balance_holds_inside_each_stratum(
        self, groups: list[str], strata: list[str], seed: int
    ) -> None:
        within = dict(enumerate(strata))
        drawn = assign(within, groups, seed=seed, within=within)
        for stratum in set(strata):
            counts = Counter(drawn[u] for u, own in within.items() if own == stratum)
            sizes = [counts[group] for group in groups]
            assert max(sizes) - min(sizes) <= 1

    @given(SEEDS, st.booleans())
    def test_a_seed_gives_the_same_lots_again(self, seed: int, balanced: bool) -> None:  # noqa: FBT001  hypothesis
        units = range(20)
        first = assign(units, ["a", "b"], seed=seed, balanced=balanced)
        assert assign(units, ["a", "b"], seed=seed, balanced=balanced) == first

    def test_every_order_is_drawn(self) -> None:
        orders = {tuple(assign("xyz", "abc", seed=s).values()) for s in range(100)}
        assert len(orders) == 6

    def test_without_balance_sizes_differ(self) -> None:
        drawn = [assign(range(8), "ab", seed=s, balanced=False) for s in range(20)]
        sizes = {Counter(lots.values())["a"] for lots in drawn}
        assert len(sizes) > 2

    @pytest.mark.parametrize(
        ("units", "groups", "more", "message"),
        [
            ("xy", [], {}, "groups: there are none"),
            ("xy", ["a", "a"], {}, "groups: given more than once: a. Give each once"),
            ("xx", ["a"], {}, "units: given more than once: x"),
            ("x", ["a", "b"], {}, "groups: 2 groups for 1 wells or positions"),
            ("xy", ["a"], {"within": {"x": 1}}, "within: says nothing about y"),
        ],
    )
    def test_a_lot_that_cannot_be_drawn_is_refused(
        self, units: str, groups: list[str], more: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(ExperimentError, match=message):
            assign(units, groups, seed=1, **more)


class TestArrangement:
    def test_each_well_gets_its_light_and_says_so(self) -> None:
        layout = {"A1:A3": "dark", "B1:B3": "pulse"}
        cells = {"A1:B1": "wild type", "A2:B3": "mutant"}
        events = arrange(shared(), [DARK, PULSE], layout, tables={"cell_line": cells})
        assert lit(events) == {("B1", 1), ("B2", 1), ("B3", 1)}
        last = events[-1].metadata
        assert (last["treatment"], last["dose"]) == ("pulse", 2)
        assert (last["cell_line"], last["well"]) == ("mutant", "B3")
        assert all("dose" not in e.metadata for e in events if e.metadata["row"] == "A")

    @given(st.lists(FRAMES, min_size=1, max_size=3), SEEDS, st.sampled_from("tp"))
    def test_each_position_is_as_if_its_treatment_were_the_only_one(
        self, schedules: list[list[int]], seed: int, first_axis: str
    ) -> None:
        order = "tpcz" if first_axis == "t" else "ptcz"
        sequence = shared(axis_order=order, rtm_metadata={"day": 1})
        groups = [
            Treatment(f"g{i}", stim_frames=frames, metadata={"group": i})
            for i, frames in enumerate(schedules)
        ]
        events = arrange(sequence, groups, seed=seed)
        plain = list(sequence)
        assert [(e.index, e.min_start_time, e.position_um) for e in events] == [
            (e.index, e.min_start_time, e.position_um) for e in plain
        ]
        of_well: dict[str, str] = {}
        for event, before in zip(events, plain, strict=True):
            name = event.metadata["treatment"]
            assert of_well.setdefault(event.metadata["well"], name) == name
            frames = {f % 4 for f in schedules[event.metadata["group"]]}
            assert event.has_stim == (event.timestep in frames)
            assert event.channels == before.channels
            assert {**before.metadata, **event.metadata} == event.metadata
        assert set(of_well.values()) == {group.name for group in groups}

    def test_light_channels_and_exposures_are_those_of_the_group(self) -> None:
        ramp = Treatment(
            "ramp",
            stim_channels=["T"],
            stim_frames=[2, 0],
            stim_exposure=[20, 5],
            ref_channels=["R"],
            ref_frames=[-1],
        )
        layout = {"A1:A3": "ramp", "B1:B3": "pulse"}
        events = arrange(shared(), [ramp, PULSE], layout)
        first = [e for e in events if e.fov == 0]
        shone = [[(c.config, c.exposure) for c in e.stim_channels] for e in first]
        assert shone == [[("T", 5)], [], [("T", 20)], []]
        assert [bool(e.ref_channels) for e in first] == [False, False, False, True]
        assert events[-1].ref_channels == ()
        (light,) = {c for e in events if e.fov == 11 for c in e.stim_channels}
        assert light == PowerChannel("S", 10, power=3)

    def test_what_a_treatment_leaves_out_is_as_in_the_sequence(self) -> None:
        sequence = shared(stim_frames=[3], stim_exposure=[50])
        plain = Treatment("plain")
        events = arrange(sequence, [plain, DARK], {"A1:A3": "plain", "B1:B3": "dark"})
        assert lit(events) == {("A1", 3), ("A2", 3), ("A3", 3)}
        assert {c.exposure for e in events for c in e.stim_channels} == {50}

    def test_positions_away_from_a_plate_are_treated_by_name_or_index(self) -> None:
        sequence = shared(stage_positions=[{"name": "left"}, {"x": 5}])
        layout: dict[str | int, str] = {"left": "dark", 1: "pulse"}
        events = arrange(sequence, [DARK, PULSE], layout)
        assert [(e.fov, e.timestep) for e in events if e.has_stim] == [(1, 1)]

    def test_without_positions_there_is_one(self) -> None:
        events = arrange(shared(stage_positions=[]), [PULSE], {0: "pulse"})
        assert [e.has_stim for e in events] == [False, True, False, False]

    def test_lots_are_balanced_within_a_table(self) -> None:
        sequence = shared(stage_positions=plate(2, 6, 1))
        cells = {"A1:A6": "wild type", "B1:B6": "mutant"}
        groups = [DARK, PULSE, Treatment("drug")]
        events = arrange(
            sequence, groups, seed=3, tables={"line": cells}, within="line"
        )
        pairs = {(e.fov, e.metadata["line"], e.metadata["treatment"]) for e in events}
        counts = Counter(pair[1:] for pair in pairs)
        assert set(counts.values()) == {2}
        assert len(counts) == 6

    def test_arranged_phases_are_combined_checked_and_saved(
        self, tmp_path: Any
    ) -> None:
        arms = {"A1:A3": "dark", "B1:B3": "pulse"}
        phase = arrange(shared(), [DARK, PULSE], arms)
        both = combine(phase, phase)
        assert [e.timestep for e in both if e.fov == 11 and e.has_stim] == [1, 5]
        facts = HardwareFacts(image_shape=(8, 8), power_limits={"S": (0, 100)})
        assert check(both, facts=facts, masked=False) == []
        assert load_events(save_events(both, tmp_path / "events.json")) == both


@pytest.mark.parametrize(
    ("groups", "more", "message"),
    [
        ([PULSE], {}, "layout: neither a layout nor a seed is given"),
        (
            [PULSE],
            {"layout": {"A1:H12": "pulse"}, "seed": 1},
            "layout: a layout and a lot .* are both given",
        ),
        (
            [PULSE],
            {"layout": {"A1:H12": "puls"}},
            "layout/A1:H12: there is no treatment 'puls'. Did you mean 'pulse'",
        ),
        ([PULSE, DARK], {"layout": {"A1:H12": "dark"}}, "treatments/pulse: no well"),
        ([PULSE], {"layout": {"A1": "pulse"}}, "layout: says nothing about A2, A3"),
        ([PULSE], {"layout": {"Z1": "pulse"}}, "layout/Z1: there is no such well"),
        ([PULSE, PULSE], {"seed": 1}, "treatments/pulse: 2 treatments have this"),
        ([], {"seed": 1}, "groups: there are none"),
        (
            [Treatment("late", stim_frames=[9])],
            {"seed": 1},
            "treatments/late/stim_frames: 9 is outside the 4 timepoints",
        ),
        (
            [Treatment("two", stim_frames=[1, 2], stim_exposure=[5])],
            {"seed": 1},
            "treatments/two/stim_exposure: 1 exposures for 2 stim_frames",
        ),
        (
            [Treatment("q", metadata={"well": "A1"})],
            {"seed": 1},
            "treatments/q/metadata/well: 'well' is set by faro itself",
        ),
        (
            [PULSE],
            {"seed": 1, "tables": {"dose": {"A1:H12": 1}}},
            "treatments/pulse/metadata/dose: a table says it too",
        ),
        (
            [PULSE],
            {"seed": 1, "tables": {"treatment": {"A1:H12": 1}}},
            "tables/treatment: 'treatment' is set by faro itself",
        ),
        (
            [PULSE],
            {"seed": 1, "tables": {"line": {"A1": 1}}},
            "tables/line: says nothing about A2, A3, B1, B2, B3",
        ),
        (
            [PULSE],
            {"seed": 1, "tables": {"line": {"A1:H12": 1}}, "within": "lin"},
            "within: there is no table 'lin'. Did you mean 'line'",
        ),
    ],
)
def test_a_wrong_arrangement_is_refused(
    groups: list[Treatment], more: dict[str, Any], message: str
) -> None:
    with pytest.raises(ExperimentError, match=message):
        arrange(shared(), groups, **more)


def test_all_mistakes_are_reported_together() -> None:
    late = Treatment("late", stim_frames=[9])
    with pytest.raises(ExperimentError) as caught:
        arrange(shared(), [late], {"A1": "lat"}, tables={"line": {"Z1": 1}})
    places = [problem.where for problem in caught.value.problems]
    assert places == [
        "tables/line/Z1",
        "tables/line",
        "treatments/late/stim_frames",
        "layout",
        "layout/A1",
        "treatments/late",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"stim_frame": [1]}, "Did you mean 'stim_frames'"),
        ({"stim_exposure": -1}, "stim_exposure: -1 is not understood. Give milli"),
        ({"stim_frames": 3}, "stim_frames: 3 is not allowed"),
        ({"name": ""}, "name: '' is not allowed"),
    ],
)
def test_a_wrong_treatment_is_refused(words: dict[str, Any], message: str) -> None:
    with pytest.raises(ExperimentError, match=message):
        Treatment(**{"name": "q", **words})


def test_a_treatment_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        PULSE.name = "other"


def test_a_stack_is_treated_and_light_where_nothing_is_imaged_is_refused() -> None:
    words: dict[str, Any] = {
        "channels": [{"config": "A", "acquire_every": 2, "z_offset": 1}],
        "stage_positions": [(0, 0, 5), (9, 0, 7)],
        "z_plan": {"range": 2, "step": 1},
        "time_plan": {"interval": 1, "loops": 4},
        "stim_channels": ["S"],
    }
    groups = [Treatment("dark"), Treatment("lit", stim_frames=[2])]
    events = arrange(RTMSequence(**words), groups, {0: "dark", 1: "lit"})
    assert [(e.timestep, e.fov) for e in events if e.has_stim] == [(2, 1)]
    assert list(events[0].z_planes) == [4, 5, 6]
    groups = [Treatment("dark"), Treatment("lit", stim_frames=[1])]
    message = "treatments/lit/stim_frames: nothing is imaged at t=1: no channel is due"
    with pytest.raises(ExperimentError, match=message):
        arrange(RTMSequence(**words), groups, {0: "dark", 1: "lit"})


def test_a_dark_group_stays_dark_where_only_the_others_have_light() -> None:
    sequence = RTMSequence(
        channels=[{"config": "A", "acquire_every": 2}],
        stage_positions=[(0, 0), (9, 0)],
        time_plan={"interval": 1, "loops": 3},
        stim_channels=["S"],
        stim_frames=[1],
    )
    groups = [Treatment("dark", stim_frames=[]), Treatment("lit")]
    events = arrange(sequence, groups, {0: "dark", 1: "lit"})
    assert [(e.timestep, e.fov) for e in events if e.has_stim] == [(1, 1)]
