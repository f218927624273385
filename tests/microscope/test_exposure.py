"""A long exposure does not keep the light on, nor the camera from being stopped."""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from faro.microscope import MMDemo
from faro.microscope.exposure import Exposure
from faro.microscope.missed import MissedFrame
from faro.microscope.mmcore import LEAST_MB
from faro.microscope.policy import EnginePolicy
from faro.testing.microscope import event_of

if TYPE_CHECKING:
    from collections.abc import Iterator


SLACK = 5
DARK_S = 0.2
LONG_MS = 3000.0


@pytest.fixture
def demo() -> Iterator[MMDemo]:
    with MMDemo() as microscope:
        yield microscope


def exposure_of(core: object, **policy: float) -> Exposure:
    """Return the exposures of a run on ``core``, with the camera's real settings."""
    made: Any = core
    return Exposure(made, EnginePolicy(**policy), threading.Event())  # type: ignore[arg-type]


def wait_for_exposure(demo: MMDemo) -> None:
    deadline_s = time.monotonic() + 20
    while not demo.mmc.isSequenceRunning():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_the_light_goes_out_during_an_exposure_of_its_own_library(demo: MMDemo) -> None:
    missing: list[Exception] = []
    demo.connect_missing(lambda _, error: missing.append(error))
    event = event_of(channel="DAPI", exposure=LONG_MS)
    thread = demo.run_mda(iter([event]))
    wait_for_exposure(demo)
    assert demo.mmc.getShutterOpen()
    start = time.monotonic()
    demo.cancel_mda()
    assert time.monotonic() - start < SLACK * DARK_S
    thread.join(20)
    assert thread.error is None
    assert not demo.mmc.getShutterOpen()
    assert "cancelled" in str(missing[0])


def test_a_run_after_one_that_was_cancelled_gets_its_own_frame(demo: MMDemo) -> None:
    frames: list[tuple[object, object]] = []
    demo.connect_frame(lambda pixels, _, meta: frames.append((pixels, meta)))
    thread = demo.run_mda(iter([event_of(channel="DAPI", exposure=600.0)]))
    wait_for_exposure(demo)
    demo.cancel_mda()
    thread.join(20)
    demo.run_mda(iter([event_of(channel="DAPI", exposure=250.0)])).join(20)
    ((pixels, meta),) = frames
    assert isinstance(pixels, np.ndarray)
    assert pixels.shape == (512, 512)
    assert not pixels.flags.writeable
    assert isinstance(meta, dict)
    assert meta["exposure_ms"] == 250
    assert not demo.mmc.isSequenceRunning()


@pytest.mark.parametrize(
    ("exposure_s", "longest_s", "sequence"),
    [(0.05, 1.0, 0), (0.2, 1.0, 1), (5.0, math.inf, 0)],
)
def test_what_is_long(
    exposure_s: float, longest_s: float, sequence: int, demo: MMDemo
) -> None:
    exposure = exposure_of(demo.mmc, longest_snap_s=longest_s)
    exposure.begin_run()
    exposure.prepare(exposure_s)
    demo.mmc.setExposure(10)
    exposure.take(0.01)
    assert demo.mmc.getRemainingImageCount() == sequence
    assert exposure.image().shape == (512, 512)
    assert {"Camera", "White Light Shutter"} <= exposure.beside_camera


class PretendedCore:
    """A core whose camera is told how to end, and writes down what it was told."""

    def __init__(self, ends: str) -> None:
        self.ends, self.diary = ends, list[str]()

    def __getattr__(self, name: str) -> Any:
        return lambda *_: self._note(name)

    def _note(self, name: str) -> str:
        self.diary.append(name)
        return ""

    def getLoadedDevices(self) -> tuple[str, ...]:  # noqa: N802  the core's name
        return ()

    def getCameraDevice(self) -> str:  # noqa: N802  the core's name
        return "Camera"

    def getImageBufferSize(self) -> int:  # noqa: N802  the core's name
        return 1

    def getCircularBufferMemoryFootprint(self) -> int:  # noqa: N802  the core's name
        return LEAST_MB

    def getLoadedDevicesOfType(self, kind: object) -> tuple[str, ...]:  # noqa: ARG002, N802
        return ()

    def isSequenceRunning(self) -> bool:  # noqa: N802  the core's name
        return self.ends != "without an image"

    def getRemainingImageCount(self) -> int:  # noqa: N802  the core's name
        return 0


def begun(core: PretendedCore) -> Exposure:
    exposure = exposure_of(core, longest_snap_s=0.1)
    exposure.begin_run()
    exposure.prepare(0.5)
    return exposure


def test_a_camera_that_stops_without_an_image_gave_none() -> None:
    core = PretendedCore("without an image")
    with pytest.raises(MissedFrame, match="stopped without one"):
        begun(core).take(0.0)
    assert core.diary[-1] == "stopSequenceAcquisition"


def test_a_camera_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faro.microscope.exposure.PATIENCE_S", 0.05)
    with pytest.raises(MissedFrame, match="hangs"):
        begun(PretendedCore("never")).take(0.0)


def test_the_camera_is_stopped_after_the_light_only() -> None:
    core = PretendedCore("never")
    cancelled = threading.Event()
    made: Any = core
    exposure = Exposure(made, EnginePolicy(longest_snap_s=0.1), cancelled)
    exposure.begin_run()
    exposure.prepare(0.5)
    cancelled.set()
    with pytest.raises(MissedFrame, match="cancelled"):
        exposure.take(0.5)
    stopper = threading.Thread(target=exposure.stop)
    stopper.start()
    stopper.join(0.1)
    assert "stopSequenceAcquisition" not in core.diary
    core.diary.append("dark")
    exposure.let_stop()
    stopper.join(10)
    assert core.diary[-2:] == ["dark", "stopSequenceAcquisition"]
    exposure.stop()
    assert core.diary[-2:] == ["dark", "stopSequenceAcquisition"]
