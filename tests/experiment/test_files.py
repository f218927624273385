"""Events are read and written as the public FARO project does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from faro.experiment import (
    Channel,
    ExperimentError,
    PowerChannel,
    RTMEvent,
    RTMSequence,
    load_events,
    save_events,
)

SEQUENCE = RTMSequence(
    channels=[Channel("A", 5), PowerChannel("B", 5, "G", 3)],
    stage_positions=[(0, 0, 0), {"x": 1, "name": "q"}],
    time_plan={"interval": 1.5, "loops": 3},
    stim_channels=["S"],
    stim_frames=[-1],
    rtm_metadata={"arm": "lit", "dose": [1, None]},
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = save_events(SEQUENCE, tmp_path / "events.json")
    assert load_events(path) == tuple(SEQUENCE)
    assert [file.name for file in tmp_path.iterdir()] == ["events.json"]


def test_the_words_are_those_of_the_public_project(tmp_path: Path) -> None:
    path = save_events(SEQUENCE, tmp_path / "events.json")
    first = json.loads(path.read_text(encoding="utf-8"))[0]
    assert first == {
        "index": {"t": 0, "p": 0},
        "channels": [
            {"config": "A", "exposure": 5.0, "group": None},
            {"config": "B", "exposure": 5.0, "group": "G", "power": 3.0},
        ],
        "stim_channels": [],
        "ref_channels": [],
        "x_pos": 0.0,
        "y_pos": 0.0,
        "z_pos": 0.0,
        "pos_name": None,
        "min_start_time": 0.0,
        "metadata": {"arm": "lit", "dose": [1, None]},
    }


def test_a_public_recording_is_read_and_written_without_loss(
    shared_data: Path, tmp_path: Path
) -> None:
    recorded = shared_data / "erk_ktr" / "events.json"
    events = load_events(recorded)
    assert len(events) == 6
    assert events[-1].ref_channels[0] == PowerChannel("mCitrine", 600, "TTL_ERK", 99)
    written = save_events(events, tmp_path / "events.json")
    before, after = (json.loads(p.read_text("utf-8")) for p in (recorded, written))
    assert after == before


@pytest.mark.parametrize("value", [float("nan"), Path("x"), {1, 2}])
def test_metadata_that_json_cannot_say_is_refused(value: Any, tmp_path: Path) -> None:
    event = RTMEvent(index={"t": 0, "p": 0}, metadata={"dose": value})
    with pytest.raises(
        ExperimentError, match=r"metadata: .* cannot be written as JSON"
    ):
        save_events([event], tmp_path / "events.json")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("{}", "does not hold a list of events"),
        ("[1]", "events.json/0/event: 1 is not an event"),
        ('[{"index": {"t": 0, "p": 0}, "chanels": []}]', "Did you mean 'channels'"),
        ('[{"index": {"t": 0}}]', "events.json/0/index: .*one timestep"),
        ("\xff", "is not JSON"),
    ],
    ids=["torn", "no_list", "no_event", "misspelt", "no_position", "binary"],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "events.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ExperimentError, match=message):
        load_events(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match=r"nowhere\.json: cannot be read"):
        load_events(tmp_path / "nowhere.json")


def test_all_mistakes_of_a_file_are_reported_together(tmp_path: Path) -> None:
    path = tmp_path / "events.json"
    path.write_text('[{"index": {"t": 0}}, {"chanels": []}]', encoding="utf-8")
    with pytest.raises(ExperimentError) as caught:
        load_events(path)
    places = [problem.where for problem in caught.value.problems]
    assert places == [f"events.json/{p}" for p in ("0/index", "1/settings", "1/index")]
