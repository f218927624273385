"""An event says what happens at one place and time, and nothing that is dropped."""

from __future__ import annotations

from typing import Any

import pytest
import useq

from faro.experiment import Channel, ExperimentError, PowerChannel, RTMEvent

HERE: dict[str, Any] = {"index": {"t": 2, "p": 1}, "channels": [Channel("A", 5)]}


def test_an_event_says_where_and_when() -> None:
    event = RTMEvent(**HERE, x_pos=1, y_pos=2, pos_name="B3", min_start_time=4)
    assert (event.timestep, event.fov, event.min_start_time) == (2, 1, 4.0)
    assert event.position_um == (1.0, 2.0, None)
    assert event.pos_name == "B3"
    assert isinstance(event, useq.MDAEvent)


def test_light_is_given_where_there_are_stimulation_channels() -> None:
    assert not RTMEvent(**HERE).has_stim
    assert RTMEvent(**HERE, stim_channels=["Cyan"]).has_stim


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"channel": "A"}, r"channel: 'A' is not supported here. Use channels="),
        ({"exposure": 5}, "exposure: 5 is not supported here"),
        ({"slm_image": True}, "slm_image: True is not supported here"),
        ({"roi": (0, 0, 8, 8)}, "roi: .* Set the ROI before the run"),
        ({"action": {"type": "custom"}}, "action: .* is not supported here"),
        ({"image_order": "z"}, "image_order: 'z' is not allowed"),
        ({"autofocus_at": ["p"]}, "autofocus_at/0: 'p' is not allowed"),
        ({"z_planes": [float("inf")]}, "z_planes/0: inf is not allowed"),
        ({"channels": [{"config": "A", "acquire_every": 2}]}, "one timepoint"),
        ({"stim_channel": []}, "Did you mean 'stim_channels'"),
        ({"min_start_time": -1}, "min_start_time: -1 is not allowed"),
        ({"x_pos": float("nan")}, "x_pos: nan is not allowed"),
        ({"channels": [{"config": "A", "exposure": -1}]}, "channels/0/exposure: -1"),
        ({"index": {"t": 0, "p": 0, "z": 1}}, "An event has one timestep"),
        ({"index": {"t": 0}}, "An event has one timestep"),
        ({"index": {"t": -1, "p": 0}}, "index/t: -1 is not allowed"),
    ],
)
def test_what_cannot_be_executed_is_refused_by_name(
    words: dict[str, Any], message: str
) -> None:
    with pytest.raises(ExperimentError, match=message):
        RTMEvent(**{**HERE, **words})


def test_an_event_without_an_index_is_refused() -> None:
    with pytest.raises(ExperimentError, match="index: is missing"):
        RTMEvent()


def test_json_loses_nothing() -> None:
    event = RTMEvent(
        **HERE,
        stim_channels=[PowerChannel("Cyan", 50, "TTL", 10)],
        ref_channels=["GFP"],
        metadata={"arm": "control"},
        z_pos=3,
    )
    again = RTMEvent.model_validate_json(event.model_dump_json())
    assert again == event
    assert again.stim_channels[0].power == 10


def test_a_copy_with_changes_is_checked() -> None:
    event = RTMEvent(**HERE).replace(min_start_time=7)
    assert event.min_start_time == 7.0
    with pytest.raises(ExperimentError, match="min_start_time: -7"):
        event.replace(min_start_time=-7)
