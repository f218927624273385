"""Experiment files: what they say, in three formats, as events."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
import useq
from hypothesis import given
from hypothesis import strategies as st

from faro.experiment import (
    PowerChannel,
    RTMSequence,
    Treatment,
    Wait,
    arrange,
    combine,
    waits,
)
from faro.experiment.document import Component, ExperimentFile, words_of
from faro.experiment.document_events import events_of
from faro.experiment.document_problems import checked, moved
from faro.experiment.document_text import (
    document_from,
    format_of,
    load_experiment,
    parsed,
    read_data,
    save_experiment,
    text_of,
)
from faro.experiment.document_values import place_of, plain
from faro.experiment.refusal import ExperimentError

if TYPE_CHECKING:
    from pathlib import Path

CHANNELS = [{"config": "DAPI", "exposure": 50}]
LIGHT = [{"config": "Cyan", "exposure": 100, "power": 10}]
EVERY = {"interval": 5, "loops": 4}
SEQUENCE: dict[str, Any] = {
    "channels": CHANNELS,
    "stage_positions": [[0, 0], [10, 0]],
    "time_plan": EVERY,
    "stim_channels": LIGHT,
    "stim_frames": [1, 2],
}
SIMULATED = {"microscope": "simulated"}

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
scalars = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
    ),
    max_leaves=8,
)
tables = st.dictionaries(texts, values, max_size=4)


def document(**words: Any) -> ExperimentFile:
    return document_from({**SIMULATED, "sequence": SEQUENCE, **words})


@pytest.mark.parametrize("kind", ["toml", "yaml", "json"])
@given(notes=tables, parameters=tables, metadata=tables, name=texts | st.none())
def test_a_document_is_the_same_in_every_format(
    kind: str,
    notes: dict[str, Any],
    parameters: dict[str, Any],
    metadata: dict[str, Any],
    name: str | None,
) -> None:
    one = document(
        name=name,
        notes=notes,
        sequence={**SEQUENCE, "rtm_metadata": metadata},
        pipeline={"stimulator": {"component": "X", "parameters": parameters}},
    )
    assert document_from(parsed(text_of(one, kind), kind)) == one


@pytest.mark.parametrize(
    "text", ["a\x85b", "\u2028", "\ufeff", "1e3", "no", "~", "\r\n"]
)
def test_text_that_looks_like_something_else_stays_text(text: str) -> None:
    one = document(notes={text: [text]})
    for kind in ("toml", "yaml", "json"):
        assert document_from(parsed(text_of(one, kind), kind)) == one


def test_null_is_said_in_yaml_and_json_and_refused_in_toml() -> None:
    one = document(notes={"a": {"b": [None]}})
    for kind in ("yaml", "json"):
        assert document_from(parsed(text_of(one, kind), kind)) == one
    with pytest.raises(ExperimentError, match=r"notes\.a\.b\[0\]: TOML has no null"):
        text_of(one, "toml")


def test_null_in_a_sequence_says_nothing_but_in_metadata_it_does() -> None:
    words = {**SEQUENCE, "stim_exposure": None, "rtm_metadata": {"drug": None}}
    words["channels"] = [{"config": "DAPI", "exposure": 50, "group": None}]
    one = document(sequence=words)
    assert one.sequence == {**SEQUENCE, "rtm_metadata": {"drug": None}}


def test_a_name_stands_for_a_table_that_only_names() -> None:
    one = document(pipeline={"tracker": "A", "features": ["B"], "segmenters": ["C"]})
    table = document(
        microscope={"rig": "simulated"},
        pipeline={
            "tracker": {"component": "A"},
            "features": [{"component": "B"}],
            "segmenters": [{"component": "C"}],
        },
    )
    assert one == table


def test_a_sequence_in_a_file_is_the_sequence_in_python() -> None:
    python = RTMSequence(
        channels=[PowerChannel("DAPI", 50)],
        stage_positions=[(0, 0), (10, 0)],
        time_plan={"interval": 5, "loops": 4},
        stim_channels=[PowerChannel("Cyan", 100, power=10)],
        stim_frames=[1, 2],
    )
    assert events_of(document()) == tuple(python)


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ({"stop": 3}, [0, 1, 2]),
        ({"start": 1, "stop": 4, "step": 2}, [1, 3]),
        ({"start": -1, "stop": -3, "step": -1}, [2, 3]),
        ([-1], [3]),
    ],
)
def test_timepoints_are_a_list_or_a_range(frames: Any, expected: list[int]) -> None:
    events = events_of(document(sequence={**SEQUENCE, "stim_frames": frames}))
    assert sorted({e.timestep for e in events if e.has_stim}) == expected


def test_phases_and_arms_are_combined_and_begin_with_what_is_shared() -> None:
    shared = {"channels": CHANNELS, "stage_positions": [[0, 0]]}
    first = {"time_plan": EVERY}
    second = {"time_plan": {"interval": 2, "loops": 2}, "rtm_metadata": {"phase": 2}}
    sequences = [
        RTMSequence(**{**shared, "stage_positions": [(0, 0)]}, **words)
        for words in (first, second)
    ]
    words = {**SIMULATED, "shared": shared}
    phases = document_from({**words, "phases": [first, second]})
    assert events_of(phases) == combine(*sequences)
    arms = document_from({**words, "arms": [first, {"phases": [first, second]}]})
    both = combine(sequences[0], combine(*sequences), axis="p")
    assert events_of(arms) == both


def test_treatments_are_arranged_by_name_or_index() -> None:
    groups: dict[str, Any] = {"light": {}, "dark": {"stim_frames": []}}
    by_index = document(
        treatments={"groups": groups, "layout": {"0": "light", "1": "dark"}}
    )
    sequence = RTMSequence(**{**SEQUENCE, "stage_positions": [(0, 0), (10, 0)]})
    treatments = [Treatment("light"), Treatment("dark", stim_frames=[])]
    expected = arrange(sequence, treatments, {0: "light", 1: "dark"})
    assert events_of(by_index) == expected
    drawn = document(
        treatments={
            "groups": groups,
            "seed": 3,
            "tables": {"line": {"0": "A", "1": "A"}},
            "within": "line",
        }
    )
    said = [event.metadata["treatment"] for event in events_of(drawn)][:2]
    assert sorted(said) == ["dark", "light"]
    assert {event.metadata["line"] for event in events_of(drawn)} == {"A"}


def test_batches_make_positions_wait() -> None:
    one = document(batching={"time_per_fov_s": 3})
    starts_s = [e.min_start_time for e in events_of(one) if e.fov == 1]
    assert starts_s[0] is not None
    assert starts_s[0] >= 15


@pytest.mark.parametrize(
    ("words", "place", "fix"),
    [
        ({"arms": [{"phases": [], "channels": ["a"]}]}, "arms[0].phases", "a list of"),
        (
            {"arms": [{"phases": [{"channels": ["a"]}], "stim_frames": []}]},
            "arms[0].stim_frames",
            "into each phase",
        ),
        ({"phases": {"channels": ["a"]}}, "phases", "[[phases]]"),
        ({"phases": ["a"]}, "phases[0]", "Give a table"),
        (
            {"arms": [{"channels": ["a"]}], "treatments": {"groups": {"x": {}}}},
            "file",
            "with sequence or phases",
        ),
        ({"sequence": {"channels": [{"config": date(2026, 1, 2)}]}}, "", "in quotes"),
    ],
)
def test_what_cannot_be_combined_is_refused_with_its_place(
    words: dict[str, Any], place: str, fix: str
) -> None:
    with pytest.raises(ExperimentError) as caught:
        document_from({**SIMULATED, **words})
    found = [p for p in caught.value.problems if p.where == place or not place]
    assert any(fix in str(problem) for problem in found), str(caught.value)


def test_a_part_can_be_checked_alone() -> None:
    found, problems = checked({"component": "A", "parametrs": {}}, Component, "here")
    assert found is None
    assert [str(p) for p in problems] == [
        "here.parametrs: there is no 'parametrs'. Did you mean 'parameters'?"
    ]
    assert checked("text", Component, "here")[1][0].remedy.startswith("Give a table")
    assert checked({3: 1}, Component)[1][0].remedy == 'Put it in quotes: "3".'


def test_values_of_python_become_values_of_files() -> None:
    assert plain({"a": (1, {2}), "b": range(2)}) == {"a": [1, [2]], "b": [0, 1]}
    with pytest.raises(ExperimentError, match="b/1: nan cannot be written"):
        plain({"a": 1, "b": [1, float("nan")]})
    with pytest.raises(ExperimentError, match="the key 3 is not text"):
        plain({3: 1})
    with pytest.raises(ExperimentError, match="cannot be written in every format"):
        plain("\ud800")


def test_words_that_equal_the_default_are_left_out_or_said() -> None:
    one = document()
    assert set(words_of(one)) == {"microscope", "sequence"}
    full = words_of(one, full=True)
    assert full["storage"] == {"layout": "collection", "durability": "auto"}
    assert full["stim_mode"] == "current"
    assert document_from(full) == one


def test_places_are_said_as_people_say_them() -> None:
    assert place_of("a", ["b", 0, "c"]) == "a.b[0].c"
    assert place_of("", ["b", "0"]) == "b[0]"
    assert moved([], "here") == []


def test_a_file_with_a_mark_of_its_encoding_is_read(tmp_path: Any) -> None:
    path = tmp_path / "windows.yml"
    path.write_text("microscope: simulated\n", encoding="utf-8-sig")
    assert format_of(path) == "yaml"
    assert read_data(path) == SIMULATED


def test_yaml_may_merge_and_override() -> None:
    text = "a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  x: 3\n"
    assert parsed(text, "yaml")["b"] == {"x": 3, "y": 2}


CHANNEL = st.builds(
    PowerChannel,
    st.sampled_from("AB"),
    exposure=st.none() | st.integers(1, 500),
    group=st.sampled_from([None, "TTL"]),
    power=st.none() | st.integers(0, 100),
)
PLATE = useq.WellPlatePlan.model_validate(
    {"plate": "96-well", "a1_center_xy": (1, 2), "selected_wells": ([1, 1], [1, 2])}
)
PLACES = (
    st.just(PLATE)
    | st.just([useq.Position(x=1, y=2, name="a"), (3, 4, 5)])
    | st.lists(st.tuples(st.floats(-9e4, 9e4), st.floats(-9e4, 9e4)), max_size=3)
)
PLANS = st.sampled_from(
    [
        useq.TIntervalLoops.model_validate({"interval": 2.5, "loops": 4}),
        {"phases": [{"interval": 1, "loops": 2}, {"interval": 0.3, "loops": 2}]},
        useq.TDurationLoops.model_validate({"duration": 7, "loops": 4}),
    ]
)


@given(
    st.lists(CHANNEL, min_size=1, max_size=1),
    PLACES,
    PLANS,
    st.permutations(range(3)),
    st.integers(0, 3),
    st.sampled_from(["tpcz", "ptcz"]),
)
def test_a_sequence_of_python_goes_into_a_file_and_comes_back(
    channels: Any, places: Any, plan: Any, frames: Any, n_lit: int, order: str
) -> None:
    sequence = RTMSequence(
        channels=channels,
        stage_positions=places,
        time_plan=plan,
        axis_order=order,
        stim_channels=channels if n_lit else (),
        stim_frames=frames[:n_lit],
        stim_exposure=[10.0 + i for i in range(n_lit)] or None,
        rtm_metadata={"drug": "none", "dose": [1, 2.5]},
    )
    made = ExperimentFile.model_validate({**SIMULATED, "sequence": sequence})
    for kind in ("toml", "yaml", "json"):
        read = document_from(parsed(text_of(made, kind), kind))
        assert read == made
        assert tuple(events_of(read)) == tuple(sequence)


def test_groups_and_phases_of_python_go_into_a_file(tmp_path: Path) -> None:
    dark, lit = Treatment("dark", stim_frames=[]), Treatment("lit", stim_frames=[1])
    words: Any = {**SEQUENCE, "stim_frames": [], "stage_positions": [(0, 0), (9, 0)]}
    sequence = RTMSequence(**words)
    phases = [sequence, sequence]
    groups = {"dark": dark, "lit": lit}
    treatments = {"groups": groups, "layout": {"0": "dark", "1": "lit"}}
    made = ExperimentFile.model_validate(
        {**SIMULATED, "phases": phases, "treatments": treatments}
    )
    expected = combine(
        *(arrange(s, [dark, lit], {0: "dark", 1: "lit"}) for s in phases)
    )
    path = save_experiment(made, tmp_path / "e.yaml")
    assert events_of(load_experiment(path)) == expected


def test_a_group_is_dark_in_a_phase_without_light() -> None:
    base = {key: SEQUENCE[key] for key in ("channels", "stage_positions", "time_plan")}
    groups = {"dark": {"stim_frames": []}, "lit": {"stim_frames": [1, 3]}}
    words = {
        **SIMULATED,
        "phases": [base, {**base, "stim_channels": LIGHT}],
        "treatments": {"groups": groups, "layout": {"0": "dark", "1": "lit"}},
    }
    events = events_of(document_from(words))
    assert [(e.fov, e.timestep) for e in events if e.has_stim] == [(1, 5), (1, 7)]
    assert {e.metadata["treatment"] for e in events} == {"dark", "lit"}
    no_light = {**words, "phases": [base, base]}
    with pytest.raises(ExperimentError, match=r"groups\.lit\.stim_channels"):
        document_from(no_light)


def test_a_wait_is_said_beside_its_phase() -> None:
    first = {**SEQUENCE, "start_at": "18:30"}
    second = {**SEQUENCE, "pause_before": "Add the drug."}
    events = events_of(document_from({**SIMULATED, "phases": [first, second]}))
    assert waits(events) == (
        Wait(0, 0, start_at="18:30"),
        Wait(4, 0, pause_before="Add the drug."),
    )


def test_what_an_mda_widget_says_is_a_sequence_and_goes_into_a_file() -> None:
    value = useq.MDASequence.model_validate(
        {
            "axis_order": "tpcz",
            "stage_positions": [{"x": 1, "y": 2, "z": 3, "name": "a"}, (4, 5, 6)],
            "channels": [{"config": "DAPI", "group": "Channel", "exposure": 20}],
            "time_plan": {"interval": 2, "loops": 3},
            "metadata": {"pymmcore_widgets": {"version": "0.9", "should_save": False}},
        }
    )
    lit = {"stim_channels": ["Cyan"], "stim_frames": [1]}
    sequence = RTMSequence(**value.model_dump(), **lit)
    theirs = [(e.index["t"], e.index["p"], e.x_pos, e.z_pos) for e in value]
    assert [(e.timestep, e.fov, e.x_pos, e.z_pos) for e in sequence] == theirs
    made = ExperimentFile.model_validate({**SIMULATED, "sequence": sequence})
    read = document_from(parsed(text_of(made, "toml"), "toml"))
    assert tuple(events_of(read)) == tuple(sequence)
