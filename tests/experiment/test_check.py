"""Every mistake is found before any light, once, with the way out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from faro.experiment import Channel, PowerChannel, RTMEvent, RTMSequence, check, combine
from faro.model import HardwareFacts

FACTS = HardwareFacts(
    presets={"Channel": ("DAPI", "GFP"), "TTL": ("Cyan", "Red"), "Other": ("GFP",)},
    channel_group="Channel",
    image_shape=(64, 64),
    exposure_limits_ms=(1, 1000),
    power_limits={"Cyan": (0, 100), "DAPI": (0, 10)},
    slm_shape=(32, 32),
    dmd_calibrated=True,
)
GOOD: dict[str, Any] = {
    "channels": [Channel("DAPI", 50)],
    "stage_positions": [(0, 0), (1, 1)],
    "time_plan": {"interval": 5, "loops": 6},
    "stim_channels": [PowerChannel("Cyan", 100, power=10)],
    "stim_frames": {1, 3},
    "ref_channels": [Channel("GFP", 50)],
    "ref_frames": [-1],
}


def problems(words: dict[str, Any], **facts: Any) -> list[str]:
    sequence = RTMSequence(**{**GOOD, **words})
    return [str(p) for p in check(sequence, facts=replace(FACTS, **facts))]


def test_a_good_experiment_has_no_problem() -> None:
    assert problems({}) == []


@pytest.mark.parametrize(
    "words",
    [
        {"channels": [Channel("GFP", 50, "Other")]},
        {"channels": [PowerChannel("DAPI", 50, power=10)]},
        {"channels": [Channel("DAPI", 1), Channel("GFP", 1000)]},
        {"stim_exposure": [1, 1000]},
        {"axis_order": "ptcz"},
        {"rtm_metadata": {"arm": "lit", "dose": [1, 2.5, None]}},
        {"stage_positions": [{"x": 1, "name": "A1"}, {"x": 2, "name": "A1"}]},
    ],
    ids=str,
)
def test_other_good_experiments(words: dict[str, Any]) -> None:
    assert problems(words) == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            {"channels": [Channel("DAP1", 50)]},
            "channels/DAP1: there is no preset 'DAP1'. Did you mean 'DAPI'?",
        ),
        (
            {"channels": [Channel("DAPI", 50, "TTL")]},
            "channels/DAPI: there is no preset 'DAPI' in group 'TTL'. "
            "It is in group 'Channel'.",
        ),
        (
            {"channels": [Channel("zz", 50, "TTL")]},
            "channels/zz: there is no preset 'zz' in group 'TTL'. "
            "Use one of: 'Cyan', 'Red'.",
        ),
        (
            {"channels": [Channel("DAPI", 50, "TTTL")]},
            "channels/DAPI: there is no config group 'TTTL'. Did you mean 'TTL'?",
        ),
        (
            {"channels": [Channel("DAPI", 2000)]},
            "channels/DAPI: the camera cannot expose for 2000 ms. Use 1 to 1000 ms.",
        ),
        (
            {"stim_exposure": [0.5, 3000]},
            "stim_channels/Cyan: the camera cannot expose for 0.5 ms, 3000 ms. "
            "Use 1 to 1000 ms.",
        ),
        (
            {"stim_channels": [PowerChannel("Cyan", 5, power=120)]},
            "stim_channels/Cyan: the light cannot be set to 120. Use 0 to 100.",
        ),
        (
            {"stim_channels": [PowerChannel("Red", 5, power=1)]},
            "stim_channels/Red: its power cannot be set (to 1). "
            "Name its device and property in POWER_PROPERTIES, or use Channel.",
        ),
        (
            {"ref_channels": [Channel("GFP")]},
            "ref_channels/GFP: has no exposure, other channels have: it would get "
            "theirs. Give it an exposure in ms.",
        ),
        (
            {"ref_channels": [Channel("Cyan", 50)]},
            "ref_channels/Cyan: has no power here, but elsewhere: it would keep that. "
            "Give it a power in all places: PowerChannel(..., power=...).",
        ),
        (
            {"channels": [Channel("DAPI", 5), Channel("DAPI", 50)]},
            "channels/DAPI: is imaged twice in one event. Make a second preset, so "
            "that the two images have two names.",
        ),
        (
            {"channels": []},
            "channels: nothing is imaged at t=0, p=0. Give every event an imaging "
            "channel.",
        ),
        (
            {"rtm_metadata": {"when": {1}, "arm": 1}},
            "metadata/when: a set cannot be stored: {1}. Use text, a finite number",
        ),
        ({"rtm_metadata": {"dose": float("nan")}}, "metadata/dose: a float cannot be"),
    ],
    ids=str,
)
def test_each_mistake_is_reported_once_with_the_way_out(
    words: dict[str, Any], expected: str
) -> None:
    found = problems(words)
    assert len(found) == 1
    assert found[0].startswith(expected)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"slm_shape": None}, "stim_channels: the experiment shines masks, and the"),
        ({"dmd_calibrated": False}, "stim_channels: the DMD is not calibrated"),
        ({"image_shape": None}, "camera: the microscope has no camera"),
    ],
    ids=str,
)
def test_what_the_instrument_lacks_is_reported(
    facts: dict[str, Any], expected: str
) -> None:
    (found,) = problems({}, **facts)
    assert found.startswith(expected)


def test_light_to_the_whole_field_needs_no_slm() -> None:
    facts = replace(FACTS, slm_shape=None, dmd_calibrated=False)
    assert check(RTMSequence(**GOOD), facts=facts, masked=False) == []
    assert problems({"stim_frames": []}, slm_shape=None) == []


def test_what_the_instrument_does_not_say_is_not_checked() -> None:
    facts = HardwareFacts(image_shape=(8, 8))
    words = {**GOOD, "channels": [Channel("any", 1e9)], "stim_frames": []}
    assert check(RTMSequence(**words), facts=facts) == []


class TestEventsByHand:
    @staticmethod
    def event(timestep: int, fov: int = 0, **more: Any) -> RTMEvent:
        words = {"channels": [Channel("DAPI", 50)], **more}
        return RTMEvent(index={"t": timestep, "p": fov}, **words)

    def found(self, *events: RTMEvent) -> list[str]:
        return [str(problem) for problem in check(events, facts=FACTS)]

    def test_an_empty_experiment(self) -> None:
        (found,) = self.found()
        assert found.startswith("events: there is nothing to acquire")

    def test_a_moment_that_comes_twice(self) -> None:
        (found,) = self.found(self.event(0), self.event(0), self.event(1, 2))
        assert found.startswith("events: visited more than once: t=0, p=0.")

    def test_a_timepoint_that_comes_before_its_time(self) -> None:
        (found,) = self.found(self.event(1), self.event(0), self.event(0, 1))
        assert "the timepoints of a position go back: t=0, p=0" in found

    def test_other_channels_at_another_moment_are_no_problem(self) -> None:
        other = self.event(1, channels=[Channel("GFP", 50)])
        assert self.found(self.event(0), other) == []

    def test_one_position_with_two_names(self) -> None:
        (found,) = self.found(
            self.event(0, pos_name="a"), self.event(1, pos_name="b"), self.event(2)
        )
        expected = "events/p=0: the position has several names: 'a', 'b'."
        assert found.startswith(expected)


def test_an_unknown_mode_is_reported_with_the_rest() -> None:
    found = check([], stim_mode="nxt", facts=FACTS)
    assert [problem.where for problem in found] == ["stim_mode", "events"]


def test_all_mistakes_of_many_events_are_reported_once_and_together() -> None:
    wrong = RTMSequence(
        channels=[Channel("DAP1", 5000)],
        stage_positions=[(i, 0) for i in range(20)],
        time_plan={"interval": 1, "loops": 50},
        stim_channels=[PowerChannel("Red", 9000, power=5)],
        stim_frames=range(50),
    )
    found = check(combine(wrong, wrong), facts=replace(FACTS, dmd_calibrated=False))
    assert [problem.where for problem in found] == [
        "channels/DAP1",
        "channels/DAP1",
        "stim_channels/Red",
        "stim_channels/Red",
        "stim_channels",
    ]
