"""A stored run as a camera: its own frames, or a word about what is missing."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from faro.errors import HardwareError, MissingFrameError, RunStateError
from faro.microscope import DMD, ReplayMicroscope
from faro.microscope.replay import ReplayedError
from faro.model import FrameRole
from faro.testing.microscope import event_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import useq

    from faro.model.frame import PixelArray


@dataclass
class Recording:
    """Two fields of view; channel "reporter" has no frame at timepoint 1."""

    channels: tuple[str, ...] = ("marker", "reporter")
    fovs: tuple[int, ...] = (0, 1)
    n_timepoints: int = 3
    image_shape: tuple[int, int] = (6, 8)
    image_dtype: str = "uint16"
    pixel_size_um: float | None = 0.65
    odd: bool = False
    stim_channels: tuple[str, ...] = ("CyanStim",)

    def frame(
        self,
        fov: int,
        timestep: int,
        channel: str,
        *,
        role: FrameRole = FrameRole.IMAGE,
        z: int | None = None,
    ) -> PixelArray:
        if channel == "reporter" and timestep == 1:
            problem = f"No frame at {fov}, {timestep}, {channel}."
            raise MissingFrameError(problem, remedy="")
        shape = (2, 2) if self.odd else self.image_shape
        value = 100 * fov + 10 * timestep + self.channels.index(channel)
        value += 1000 * (role is FrameRole.REF) + 2000 * (z or 0)
        return np.full(shape, value, np.uint16)


def event(
    fov: int, timestep: int, channel: str, role: str = "image", **more: Any
) -> useq.MDAEvent:
    facts = {"seq": 0, "role": role, "fov": fov, "timestep": timestep}
    facts |= {"channel": channel, "planned_s": 0.0}
    return event_of(
        index={"t": timestep, "p": fov},
        channel=channel,
        metadata={"faro": facts},
        **more,
    )


class Answers:
    """What a replay delivers: first pixels and errors, in order."""

    def __init__(self, microscope: ReplayMicroscope) -> None:
        self.values: list[int | Exception] = []
        microscope.connect_frame(self._frame)
        microscope.connect_missing(lambda _, error: self.values.append(error))

    def error(self) -> Exception:
        """Return the first answer, an error."""
        first = self.values[0]
        assert isinstance(first, Exception)
        return first

    def _frame(
        self, pixels: PixelArray, _: useq.MDAEvent, metadata: Mapping[str, Any]
    ) -> None:
        assert metadata["replayed"]
        self.values.append(int(pixels[0, 0]))


def test_every_event_is_answered_with_its_own_frame() -> None:
    with ReplayMicroscope(Recording()) as replay:
        answers = Answers(replay)
        wanted = [
            (0, 0, "marker"),
            (1, 2, "reporter"),
            (0, 1, "marker"),
            (1, 2, "marker"),
        ]
        thread = replay.run_mda(event(*which) for which in wanted)
        thread.join(10)
        assert thread.error is None
        assert answers.values == [0, 121, 10, 120]


def test_what_was_not_stored_is_missing_and_never_made_up() -> None:
    with ReplayMicroscope(Recording()) as replay:
        answers = Answers(replay)
        wanted = [(0, 0, "reporter"), (0, 1, "reporter"), (0, 2, "reporter")]
        replay.run_mda(event(*which) for which in wanted).join(10)
        assert [type(value) for value in answers.values] == [
            int,
            MissingFrameError,
            int,
        ]


def test_a_stimulation_is_reported_as_replayed() -> None:
    with ReplayMicroscope(Recording()) as replay:
        answers = Answers(replay)
        events = [event(0, 0, "CyanStim", "stim"), event(0, 0, "marker")]
        thread = replay.run_mda(iter(events))
        thread.join(10)
        assert thread.error is None
        assert answers.values[1] == 0
        with pytest.raises(ReplayedError, match="light of 'CyanStim' was not given"):
            raise answers.error()
        assert ReplayedError.reason == "replayed"
        assert not isinstance(answers.error(), HardwareError)


def test_facts_come_from_the_recording() -> None:
    replay = ReplayMicroscope(Recording())
    facts = replay.facts()
    assert facts.presets == {"Channel": ("marker", "reporter", "CyanStim")}
    assert (facts.image_shape, facts.image_dtype) == ((6, 8), "uint16")
    assert (facts.slm_shape, facts.dmd_calibrated) == (None, False)
    assert facts.pixel_size_um == 0.65
    assert replay.resolve_group("CyanStim") == "Channel"
    assert replay.describe()["source"] == "Recording"
    named = ReplayMicroscope(Recording(), presets=("Blue",), dmd=DMD((4, 5), np.eye(3)))
    assert "Blue" in named.facts().presets["Channel"]
    assert named.facts().slm_shape == (4, 5)


def test_recorded_speed_takes_the_exposure_time() -> None:
    with ReplayMicroscope(Recording(), speed="recorded") as replay:
        times: list[float] = []
        replay.connect_frame(lambda _p, _e, m: times.append(m["acquired_monotonic_s"]))
        events = [event(0, t, "marker", exposure=40) for t in range(3)]
        replay.run_mda(iter(events)).join(10)
        assert min(np.diff(times)) >= 0.04


def test_a_replay_can_be_faster_than_the_recording() -> None:
    with ReplayMicroscope(Recording(), speed=4) as replay:
        times: list[float] = []
        replay.connect_frame(lambda _p, _e, m: times.append(m["acquired_monotonic_s"]))
        events = [event(0, t, "marker", exposure=200) for t in range(2)]
        replay.run_mda(iter(events)).join(10)
        assert np.diff(times)[0] >= 0.05
    assert replay.facts().pace == 4
    assert ReplayMicroscope(Recording()).facts().pace == float("inf")


@pytest.mark.parametrize("speed", ["slow", 0, -1, True])
def test_what_is_no_speed_is_refused(speed: Any) -> None:
    with pytest.raises(HardwareError, match="no replay speed"):
        ReplayMicroscope(Recording(), speed=speed)


def test_references_and_planes_are_replayed_as_what_they_are() -> None:
    with ReplayMicroscope(Recording()) as replay:
        answers = Answers(replay)
        plane = event(0, 0, "marker")
        plane = plane.model_copy(update={"index": {**plane.index, "z": 3}})
        replay.run_mda(iter([event(0, 2, "marker", "ref"), plane])).join(10)
        assert answers.values == [1020, 6000]


def test_a_frame_that_is_not_as_announced_is_missing() -> None:
    with ReplayMicroscope(Recording(odd=True)) as replay:
        answers = Answers(replay)
        replay.run_mda(iter([event(0, 0, "marker")])).join(10)
        with pytest.raises(HardwareError, match="\\(2, 2\\), not as announced"):
            raise answers.error()


def test_an_event_that_names_no_frame_ends_the_run() -> None:
    with ReplayMicroscope(Recording()) as replay:
        thread = replay.run_mda(iter([event_of(channel="marker")]))
        thread.join(10)
        with pytest.raises(HardwareError, match="does not say which frame"):
            raise thread.error or AssertionError


def test_cancel_ends_a_long_exposure_and_a_blocked_iterator() -> None:
    never = threading.Event()

    def events(exposure_ms: float) -> Iterator[useq.MDAEvent]:
        yield event(0, 0, "marker", exposure=exposure_ms)
        never.wait(20)

    for exposure_ms in (1e6, 1.0):
        with ReplayMicroscope(Recording(), speed="recorded") as replay:
            thread = replay.run_mda(events(exposure_ms))
            replay.cancel_mda()
            thread.join(10)
            assert not thread.is_alive()
    never.set()


def test_a_replay_that_was_shut_down_runs_no_more() -> None:
    replay = ReplayMicroscope(Recording())
    replay.shutdown()
    with pytest.raises(RunStateError, match="was shut down"):
        replay.run_mda(iter(()))


def test_an_unknown_speed_is_refused() -> None:
    with pytest.raises(HardwareError, match="no replay speed 'warp'"):
        ReplayMicroscope(Recording(), speed="warp")  # type: ignore[arg-type]  # on purpose
