"""A sequence says an experiment once, and yields every event of it."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import useq

from faro.experiment import Channel, ExperimentError, PowerChannel, RTMSequence

FIVE = {"interval": 10, "loops": 5}
LIT: dict[str, Any] = {
    "channels": ["A"],
    "time_plan": FIVE,
    "stim_channels": [PowerChannel("Cyan", 50, "TTL", 10), Channel("Red", 20)],
}


def stim_exposures(sequence: RTMSequence) -> dict[int, list[float | None]]:
    return {
        event.timestep: [channel.exposure for channel in event.stim_channels]
        for event in sequence
        if event.has_stim
    }


class TestWhatReachesTheEvents:
    def test_positions_names_times_and_metadata(self) -> None:
        sequence = RTMSequence(
            channels=["A"],
            stage_positions=[useq.Position(x=1, y=2, z=3, name="left"), (4, 5)],
            time_plan=FIVE,
            rtm_metadata={"arm": "control"},
        )
        events = list(sequence)
        assert len(events) == len(sequence) == 10
        assert [e.pos_name for e in events[:2]] == ["left", None]
        assert [e.position_um for e in events[:2]] == [(1, 2, 3), (4, 5, None)]
        assert [e.min_start_time for e in events[::2]] == [0, 10, 20, 30, 40]
        assert all(e.metadata == {"arm": "control"} for e in events)

    def test_power_group_and_exposure_of_every_role(self) -> None:
        full = PowerChannel("A", 50, "TTL", 10)
        sequence = RTMSequence(
            channels=[full],
            time_plan=FIVE,
            stim_channels=[full],
            stim_frames=[1],
            stim_exposure=99,
            ref_channels=[full],
            ref_frames=[1],
        )
        event = list(sequence)[1]
        assert event.channels == event.ref_channels == (full,)
        assert event.stim_channels == (PowerChannel("A", 99, "TTL", 10),)

    def test_events_do_not_share_their_metadata(self) -> None:
        sequence = RTMSequence(channels=["A"], time_plan=FIVE, rtm_metadata={"a": 1})
        first, second, *_ = sequence
        first.metadata["a"] = 2
        assert second.metadata == sequence.rtm_metadata == {"a": 1}

    def test_an_empty_sequence_has_no_events(self) -> None:
        assert list(RTMSequence()) == []
        assert len(RTMSequence()) == 0

    def test_one_moment_at_one_place_is_one_event(self) -> None:
        (event,) = RTMSequence(channels=["A"])
        assert (event.timestep, event.fov, event.min_start_time) == (0, 0, None)


class TestSchedules:
    @pytest.mark.parametrize(
        ("frames", "lit"),
        [
            ({0, 3}, [0, 3]),
            (range(1, 5, 2), [1, 3]),
            ([-1, 0], [0, 4]),
            ([], []),
        ],
        ids=str,
    )
    def test_light_is_given_at_the_frames_and_nowhere_else(
        self, frames: object, lit: list[int]
    ) -> None:
        assert list(stim_exposures(RTMSequence(**LIT, stim_frames=frames))) == lit

    def test_references_are_taken_at_the_frames_and_nowhere_else(self) -> None:
        sequence = RTMSequence(
            channels=["A"], time_plan=FIVE, ref_channels=["B"], ref_frames={-1}
        )
        assert [bool(e.ref_channels) for e in sequence] == [False] * 4 + [True]

    def test_without_stim_exposure_each_channel_keeps_its_own(self) -> None:
        sequence = RTMSequence(**LIT, stim_frames=[2])
        assert stim_exposures(sequence) == {2: [50, 20]}

    def test_one_exposure_is_for_all(self) -> None:
        sequence = RTMSequence(**LIT, stim_frames=[2, 0], stim_exposure=7)
        assert stim_exposures(sequence) == {0: [7, 7], 2: [7, 7]}

    @pytest.mark.parametrize(
        ("frames", "expected"),
        [([3, 1, -1], {1: 2, 3: 1, 4: 3}), ({3, 1, 4}, {1: 1, 3: 2, 4: 3})],
        ids=["as_given", "a_set_ascending"],
    )
    def test_a_list_of_exposures_goes_with_the_frames(
        self, frames: object, expected: dict[int, float]
    ) -> None:
        sequence = RTMSequence(**LIT, stim_frames=frames, stim_exposure=[1, 2, 3])
        assert {t: v[0] for t, v in stim_exposures(sequence).items()} == expected


class TestOrder:
    PLACES: Any = ((0, 0), (1, 1))

    def test_time_first_shares_the_clock(self) -> None:
        sequence = RTMSequence(
            channels=["A"],
            stage_positions=self.PLACES,
            time_plan={"interval": 3, "loops": 2},
            axis_order="tpcz",
        )
        found = [(e.timestep, e.fov, e.min_start_time) for e in sequence]
        assert found == [(0, 0, 0), (0, 1, 0), (1, 0, 3), (1, 1, 3)]

    def test_position_first_starts_one_interval_after_the_one_before(self) -> None:
        sequence = RTMSequence(
            channels=["A"],
            stage_positions=self.PLACES,
            time_plan={"interval": 3, "loops": 2},
            axis_order="ptcz",
        )
        found = [(e.timestep, e.fov, e.min_start_time) for e in sequence]
        assert found == [(0, 0, 0), (1, 0, 3), (0, 1, 6), (1, 1, 9)]

    def test_the_clock_restarts_where_the_next_position_begins(self) -> None:
        words: Any = {"channels": ["A"], "stage_positions": self.PLACES}
        words["time_plan"] = {"interval": 3, "loops": 2}
        restarts = [e.reset_event_timer for e in RTMSequence(**words, axis_order="ptc")]
        assert restarts == [False, False, True, False]
        assert not any(
            e.reset_event_timer for e in RTMSequence(**words, axis_order="tpc")
        )

    @pytest.mark.parametrize("order", ["tpcz", "ptcz"])
    def test_without_an_interval_the_order_stays(self, order: str) -> None:
        sequence = RTMSequence(
            channels=["A"],
            stage_positions=self.PLACES,
            time_plan={"interval": 0, "loops": 2},
            axis_order=order,
        )
        expected = [(0, 0), (0, 1), (1, 0), (1, 1)]
        if order == "ptcz":
            expected = [(t, p) for p, t in expected]
        assert [(e.timestep, e.fov) for e in sequence] == expected


class TestSequencesOfPositions:
    PLACE: ClassVar[dict[str, Any]] = {"x": 1, "y": 2, "z": 3}

    def test_a_channel_is_completed_by_the_one_of_the_whole_with_its_name(self) -> None:
        own = {"channels": [{"config": "A", "exposure": 7}, {"config": "C"}]}
        sequence = RTMSequence(
            channels=[PowerChannel("B", 5, "G", 3), PowerChannel("A", 5, "H", 4)],
            stage_positions=[self.PLACE, {**self.PLACE, "sequence": own}],
        )
        first, second = sequence
        assert first.channels == sequence.channels
        assert second.channels == (PowerChannel("A", 7, "H", 4), Channel("C"))
        again = RTMSequence.model_validate_json(sequence.model_dump_json())
        assert list(again) == [first, second]

    def test_a_group_that_is_said_is_kept(self) -> None:
        own = {"channels": [{"config": "A", "group": "Channel"}]}
        sequence = RTMSequence(
            channels=[PowerChannel("A", 5, "H", 4)],
            stage_positions=[{**self.PLACE, "sequence": own}],
        )
        (event,) = sequence
        assert event.channels == (PowerChannel("A", 5, "Channel", 4),)
        again = RTMSequence.model_validate_json(sequence.model_dump_json())
        assert list(again) == [event]


class TestFiles:
    SEQUENCE = RTMSequence(
        channels=["A", PowerChannel("B", 5, "G", 3)],
        stage_positions=[(0, 0, 0), {"x": 1, "name": "q"}],
        time_plan=[{"interval": 1, "loops": 5}, {"interval": 2, "duration": 10}],
        stim_channels=["B"],
        stim_frames=[-1, 2],
        stim_exposure=[1, 2],
        ref_channels=[PowerChannel("A", 5, "G", 3)],
        ref_frames={0},
        axis_order="ptcz",
        rtm_metadata={"a": {"b": [1, None]}},
        metadata={"who": "me"},
    )

    def test_json_loses_nothing(self) -> None:
        again = RTMSequence.model_validate_json(self.SEQUENCE.model_dump_json())
        assert again == self.SEQUENCE
        assert list(again) == list(self.SEQUENCE)

    def test_a_copy_with_changes_is_checked(self) -> None:
        assert len(self.SEQUENCE.replace(stage_positions=[])) == 10
        with pytest.raises(ExperimentError, match="2 is outside the 1 timepoints"):
            self.SEQUENCE.replace(time_plan=None)

    def test_useq_reads_it_too(self) -> None:
        events = list(self.SEQUENCE.iter_events())
        assert len(events) == 2 * len(self.SEQUENCE)
        assert self.SEQUENCE.estimate_duration().total_duration > 10
