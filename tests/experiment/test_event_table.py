"""Tables of the public FARO project say what they said there, or are refused."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faro.experiment import (
    Channel,
    ExperimentError,
    PowerChannel,
    RTMEvent,
    RTMSequence,
    events_from_table,
    load_events,
    save_events,
)
from faro.experiment.event import MORE
from faro.testing.sequences import Words, executable_words

DAPI = {"config": "DAPI", "exposure": 50, "group": "TTL"}
CYAN = {"config": "Cyan", "exposure": 20, "group": "TTL", "power": 5}
NUMBERS = st.integers(-(10**4), 10**4).map(lambda n: n / 16)


def rows(events: list[RTMEvent]) -> list[dict[str, Any]]:
    """Return the table that the public project makes of these events."""
    return [
        {
            "fov": e.fov,
            "timestep": e.timestep,
            "time": e.min_start_time,
            "fov_x": e.x_pos,
            "fov_y": e.y_pos,
            "fov_z": e.z_pos,
            "fov_name": e.pos_name,
            "channels": [c.words() for c in e.channels],
            "stim": e.has_stim,
            "stim_channels": [c.words() for c in e.stim_channels],
            "ref_channels": [c.words() for c in e.ref_channels],
            **e.metadata,
        }
        for e in events
    ]


@st.composite
def experiments(draw: st.DrawFn) -> list[RTMEvent]:
    n = draw(st.integers(1, 3))
    place = st.fixed_dictionaries(
        {"x": NUMBERS, "y": NUMBERS, "z": NUMBERS | st.none()},
        optional={"name": st.sampled_from(["A1_0001", "left, top", "q"])},
    )
    frames = st.lists(st.integers(0, n - 1), unique=True)
    sequence = RTMSequence(
        channels=[Channel("A", draw(st.none() | st.integers(1, 9))), DAPI],
        stage_positions=draw(st.lists(place, max_size=3)),
        time_plan={"interval": draw(st.sampled_from([0, 0.5, 7])), "loops": n},
        stim_channels=[CYAN],
        stim_frames=draw(frames),
        ref_channels=[PowerChannel("R", 3, power=1)],
        ref_frames=draw(frames),
        rtm_metadata={"cell_line": "3T3", "dose": draw(st.integers(0, 9) | NUMBERS)},
    )
    return list(sequence)


@given(experiments())
def test_what_was_written_is_read(events: list[RTMEvent]) -> None:
    table = rows(events)
    columns = {name: [row[name] for row in table] for name in table[0]}
    assert list(events_from_table(columns)) == events
    assert list(events_from_table(pd.DataFrame(table))) == events


@given(experiments())
def test_a_csv_file_loses_nothing(events: list[RTMEvent]) -> None:
    text = pd.DataFrame(rows(events)).to_csv(index=False)
    assert list(events_from_table(text)) == events


@settings(max_examples=25)
@given(executable_words())
def test_every_sequence_goes_through_its_file_and_through_a_table(
    tmp_path_factory: pytest.TempPathFactory, said: Words
) -> None:
    """Planes, focus, shutter, properties and clock as well."""
    events = list(RTMSequence(**said))
    folder = tmp_path_factory.getbasetemp()
    assert list(load_events(save_events(events, folder / "events.json"))) == events
    table = [row | more(event) for row, event in zip(rows(events), events, strict=True)]
    frame = pd.DataFrame(table)
    assert list(events_from_table(frame)) == events
    assert list(events_from_table(frame.to_csv(index=False))) == events


def more(event: RTMEvent) -> dict[str, Any]:
    """Return the newer words of an event, each in a column; None where it has none."""
    said = event.words()
    return {name: said.get(name) for name in sorted(MORE)}


@pytest.mark.parametrize(
    ("column", "cell", "words"),
    [
        ("z_planes", "deep", "'deep' is not allowed"),
        ("z_planes", "[1, 2", r"'?\[1, 2 cannot be read"),
        ("image_order", "zz", "should be 'cz' or 'zc'"),
        ("autofocus_at", ["never"], "should be 'start', 'c' or 'z'"),
        ("keep_shutter_open", "perhaps", "should be a valid boolean"),
    ],
)
def test_a_newer_word_that_is_wrong_is_named(
    column: str, cell: Any, words: str
) -> None:
    with pytest.raises(ExperimentError, match=f"row 0/{column}.*{words}"):
        read(**{column: cell})


def read(**columns: Any) -> RTMEvent:
    said = {"fov": 0, "timestep": 0, "channels": (DAPI,), **columns}
    (event,) = events_from_table({name: [cell] for name, cell in said.items()})
    return event


class TestLight:
    FLAT: ClassVar[dict[str, Any]] = {
        "stim_channel_name": "Cyan",
        "stim_channel_group": "TTL",
        "stim_channel_device_name": "LED",
        "stim_channel_power_property_name": "Level",
        "stim_exposure": 30,
        "stim_power": 5,
    }

    def test_flat_columns(self) -> None:
        lit = (PowerChannel("Cyan", 30, "TTL", 5),)
        assert read(**self.FLAT, stim=True).stim_channels == lit
        assert read(**self.FLAT).stim_channels == lit
        assert read(**self.FLAT, stim=True).metadata == {}

    def test_an_exposure_of_the_row_replaces_that_of_the_channels(self) -> None:
        event = read(stim_channels=(CYAN, DAPI), stim=True, stim_exposure=7)
        assert [c.exposure for c in event.stim_channels] == [7, 7]
        assert event.stim_channels[0].power == 5

    @pytest.mark.parametrize(
        "off", [False, None, np.nan, "False", 0, np.bool_(0)], ids=range(6)
    )
    def test_a_switch_that_is_off_or_empty_is_dark(self, off: Any) -> None:
        assert read(stim_channels=(CYAN,), stim=off).stim_channels == ()
        assert read(**self.FLAT, stim=off).stim_channels == ()

    @pytest.mark.parametrize("name", ["stim_exposure", "stim_power"])
    def test_none_of_it_is_dark(self, name: str) -> None:
        assert read(**{**self.FLAT, name: 0}, stim=True).stim_channels == ()

    def test_references(self) -> None:
        assert read(ref_channels=["R"]).ref_channels == (Channel("R"),)
        assert read(ref_channels=["R"], ref=False).ref_channels == ()
        older = {"optocheck_channels": ["R"]}
        assert read(**older, optocheck=True).ref_channels == (Channel("R"),)
        assert read(**older, optocheck=False).ref_channels == ()


class TestCells:
    def test_channels_in_any_spelling(self) -> None:
        named = {"name": "DAPI", "exposure": 50, "group": "TTL", "device_name": None}
        text = "({'config': 'DAPI', 'exposure': 50, 'group': 'TTL'},)"
        for cell in [[DAPI], (DAPI,), DAPI, (named,), text, np.array([DAPI])]:
            assert read(channels=cell).channels == (Channel("DAPI", 50, "TTL"),)
        assert read(channels="DAPI").channels == (Channel("DAPI"),)

    def test_metadata_is_what_is_left(self, tmp_path: Any) -> None:
        event = read(
            fname="000_00000",
            stim_timestep=(1, 2),
            dose=np.float64(2.5),
            drug=None,
            empty=np.nan,
            fov_object=object(),
        )
        said = {"fname": "000_00000", "stim_timestep": [1, 2], "dose": 2.5}
        assert event.metadata == said
        assert load_events(save_events([event], tmp_path / "e.json")) == (event,)

    def test_polars(self) -> None:
        frame = pl.DataFrame(
            {"fov": [0, 1], "timestep": [0, 0], "channels": [[DAPI], [DAPI]]}
        )
        events = events_from_table(frame)
        assert [e.fov for e in events] == [0, 1]
        assert events[0].channels == (Channel("DAPI", 50, "TTL"),)

    def test_without_a_time_it_starts_as_soon_as_possible(self) -> None:
        assert read().min_start_time is None
        assert read(time=np.int64(4)).min_start_time == 4


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"fov": 1.5}, "table/row 0/fov: 1.5 is not a whole number from 0"),
        ({"fov": None}, "row 0/fov: None is not a whole number"),
        ({"timestep": -1}, "row 0/timestep: -1 is not"),
        ({"fov_x": "left"}, "row 0/fov_x: could not convert"),
        ({"time": -1}, "row 0/min_start_time: -1.0 is not allowed"),
        ({"stim": "maybe"}, "row 0/stim: 'maybe' is neither true nor false"),
        ({"stim": True}, "row 0/stim: there should be light, but no channel gives"),
        (
            {"stim": True, "stim_channel_name": "Cyan"},
            "row 0/stim_exposure: Cyan has no exposure",
        ),
        ({"channels": "[{"}, r"row 0/channels: \[{ cannot be read"),
        ({"channels": [{"exposure": 5}]}, "row 0/config: .* names no preset"),
        ({"channels": [{"config": "A", "exposur": 5}]}, "Did you mean 'exposure'"),
        ({"channels": [{"config": "A", "exposure": -5}]}, "row 0/exposure: -5"),
    ],
)
def test_a_wrong_row_is_refused(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(ExperimentError, match=message):
        read(**columns)


def test_all_mistakes_are_reported_together_with_their_lines() -> None:
    text = "fov;timestep;channels\n0;q;DAPI\n\n0;1;DAPI\n-1;2;[\n"
    with pytest.raises(ExperimentError) as caught:
        events_from_table(text)
    places = [problem.where for problem in caught.value.problems]
    assert places == [
        "table/line 2/timestep",
        "table/line 5/fov",
        "table/line 5/channels",
    ]


def test_missing_columns_are_named() -> None:
    with pytest.raises(
        ExperimentError, match="no column timestep, channels, only: fov"
    ):
        events_from_table({"fov": [1]})


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(ExperimentError, match="table: a int is not a table"):
        events_from_table(5)  # type: ignore[arg-type]  # that is the point
