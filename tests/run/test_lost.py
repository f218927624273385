"""A lost camera or stage pauses the run, dark; nothing is taken at a wrong place."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest

from faro.experiment import Channel, RTMSequence
from faro.microscope.policy import EnginePolicy, RetryPolicy
from faro.run import Controller, ImageProcessingPipeline, RunLimits
from faro.run.state import RunState
from faro.testing.canned import CannedMicroscope
from faro.testing.devices import CAMERA_SHAPE, DiaryMicroscope, Faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import useq

    from faro.microscope.dmd import DMD
    from faro.testing.memory import MemorySink

NEVER_S = 20.0
ONCE = RetryPolicy(1, 0.0)
X_UM = (0.0, 100.0, 200.0)


class Impatient(DiaryMicroscope):
    """Tries everything once, and remembers where its stage was at every frame."""

    POLICY: ClassVar[EnginePolicy] = EnginePolicy(settings=ONCE, snap=ONCE)

    def __init__(self, faults: Faults | None = None) -> None:
        super().__init__(faults)
        self.places: list[tuple[int, float]] = []
        self.connect_frame(self._note_place)

    def _note_place(self, _: Any, event: useq.MDAEvent, __: Any) -> None:
        x_um = self.stage.get_position_um()[0]
        self.places.append((event.metadata["faro"]["fov"], x_um))


class Whims(Faults):
    """Fails moves and exposures at random."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.dice, self.on = random.Random(seed), False

    def check(self, line: str) -> None:
        """Raise RuntimeError now and then."""
        if line in {"slm send 0", "slm show 0"}:
            return  # what cannot be switched off ends the run
        chances = {"stage": 0.4, "snap": 0.2, "slm": 0.1, "Cyan": 0.1, "shutter o": 0.1}
        for start, chance in chances.items():
            if self.on and line.startswith(start) and self.dice.random() < chance:
                message = f"a whim: {line}"
                raise RuntimeError(message)


@pytest.fixture
def scope() -> Iterator[Impatient]:
    with Impatient() as microscope:
        yield microscope


def sequence(timepoints: int, n_channels: int = 2, **more: Any) -> RTMSequence:
    channels = [{"config": "Green", "exposure": 1}]
    channels += [{"config": "CyanStim", "exposure": 1}][: n_channels - 1]
    words: dict[str, Any] = {
        "channels": channels,
        "stage_positions": [(x_um, 0.0) for x_um in X_UM],
        "time_plan": {"interval": 0, "loops": timepoints},
    }
    return RTMSequence(**words | more)


def after(microscope: Any, n_frames: int, act: Callable[[], None]) -> None:
    """Have ``act`` called once so many frames have come, before the next one."""
    seen: list[object] = []

    def count(*_: object) -> None:
        seen.append(None)
        if len(seen) == n_frames:
            act()

    microscope.connect_frame(count)


def on_pause(controller: Controller, act: Callable[[], None]) -> None:
    """Have ``act`` called when the run is paused, then resume it; on its own thread."""

    def paused(_: str) -> None:
        act()
        controller.resume()

    controller.notices.paused.connect(paused)


@pytest.mark.parametrize("line", ["snap", "stage"])
def test_a_lost_device_pauses_the_run_dark_until_it_is_mended(
    scope: Impatient, sink: MemorySink, line: str
) -> None:
    controller = Controller(scope, writer=sink)
    found: list[Any] = []

    def lose() -> None:
        scope.faults.left[line] = 10**6

    def mend() -> None:
        found.extend([controller.state, controller.doing, scope.led.levels.copy()])
        found.append(scope.shutter.is_open)
        scope.faults.left.clear()

    after(scope, 7, lose)
    on_pause(controller, mend)
    assert controller.run_experiment(sequence(5)).completed
    assert found[0] is RunState.PAUSED
    assert "3 frames in a row are missing" in found[1]
    assert f"told to fail: {line}" in found[1]
    assert "then resume" in found[1]
    assert set(found[2].values()) == {0}
    assert found[3] is False
    missing = sink.kinds("frame_missing")
    assert len(missing) == 3
    (lost,) = sink.kinds("hardware_lost")
    assert lost["n_missing"] == 3
    assert [p["reason"] for p in sink.kinds("paused")] == [found[1][len("paused: ") :]]
    assert len(sink.kinds("resumed")) == 1
    assert len(scope.places) == 5 * 3 * 2 - 3
    assert all(x_um == X_UM[fov] for fov, x_um in scope.places)
    assert {e.stage for e in controller.background_errors} == {"hardware"}


def test_a_lost_device_of_which_nothing_is_heard_again_can_be_stopped(
    scope: Impatient, sink: MemorySink
) -> None:
    controller = Controller(scope, writer=sink)
    after(scope, 2, lambda: scope.faults.left.update(snap=10**6))
    paused = threading.Event()
    controller.notices.paused.connect(lambda _: paused.set())
    handle = controller.run_experiment(sequence(50), block=False)
    assert paused.wait(NEVER_S)
    assert len(sink.kinds("frame_missing")) == 3
    controller.stop_run()
    assert handle.wait(NEVER_S).reason == "stopped by the user"


def test_single_frames_that_are_missing_pause_nothing(
    dmd: DMD, sink: MemorySink
) -> None:
    microscope = CannedMicroscope(
        lambda *_: np.ones((8, 8), np.uint16),
        (8, 8),
        dmd=dmd,
        fail=lambda event: event.metadata["faro"]["seq"] % 3 != 0,
    )
    events = RTMSequence(channels=["miRFP"], time_plan={"interval": 0, "loops": 30})
    assert Controller(microscope, writer=sink).run_experiment(events).completed
    assert len(sink.kinds("frame_missing")) == 20
    assert not sink.kinds("paused")


def test_how_many_may_be_missing_is_declared(dmd: DMD, sink: MemorySink) -> None:
    microscope = CannedMicroscope(
        lambda *_: np.ones((8, 8), np.uint16), (8, 8), dmd=dmd, fail=lambda _: True
    )
    limits = RunLimits(max_missing_in_a_row=0)
    events = RTMSequence(channels=["miRFP"], time_plan={"interval": 0, "loops": 30})
    controller = Controller(microscope, writer=sink, limits=limits)
    assert controller.run_experiment(events).completed
    assert len(sink.kinds("frame_missing")) == 30
    controller = Controller(
        microscope, writer=sink, limits=RunLimits(max_missing_in_a_row=10)
    )
    on_pause(controller, lambda: None)
    assert controller.run_experiment(events).completed
    assert [lost["n_missing"] for lost in sink.kinds("hardware_lost")] == [10] * 3


@pytest.mark.parametrize("stim_mode", ["current", "previous", "interleaved"])
def test_whatever_fails_nothing_is_taken_or_lit_at_a_wrong_place(
    sink: MemorySink, stim_mode: str
) -> None:
    def light(context: Any) -> Any:
        mask = np.zeros(CAMERA_SHAPE, bool)
        mask[10 * context.fov : 10 * context.fov + 5, : 3 * context.timestep + 3] = True
        return mask

    whims = Whims(seed=len(stim_mode))
    with Impatient(whims) as scope:
        events = sequence(
            12,
            2,
            stim_channels=[Channel("CyanStim", exposure=1)],
            stim_frames=range(12),
        )
        controller = Controller(
            scope,
            ImageProcessingPipeline(lambda image: image > 10**6, stimulator=light),
            writer=sink,
            limits=RunLimits(max_missing_in_a_row=0),
        )
        after(scope, 1, lambda: setattr(whims, "on", True))
        assert controller.run_experiment(events, stim_mode=stim_mode).completed
        whims.on = False
        assert all(x_um == X_UM[fov] for fov, x_um in scope.places)
    missing = [m for m in sink.kinds("frame_missing") if m["role"] == "stim"]
    armed = [(a["fov"], a["timestep"]) for a in sink.kinds("stim_armed")]
    ended = [
        (m["fov"], m["timestep"]) for m in [*sink.kinds("stim_confirmed"), *missing]
    ]
    assert sorted(armed) == sorted(ended)
    assert missing
    due = 12 * 3 - (3 if stim_mode == "previous" else 0)
    assert len(armed) + len(sink.kinds("stim_skipped")) == due
