"""The core's buffer holds a burst and an image of any size, and is no larger."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faro.errors import HardwareError
from faro.microscope import MMDemo
from faro.microscope.buffer import MB, MOST_MB, ImageBuffer, buffer_mb
from faro.microscope.mmcore import LEAST_MB
from faro.microscope.policy import EnginePolicy
from faro.testing.microscope import event_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faro.model.frame import PixelArray

BURST = 30
WAIT_S = 30.0


class SingleDemo(MMDemo):
    """The demo camera, with room for one image."""

    POLICY = EnginePolicy(buffered_images=1)


class BurstDemo(MMDemo):
    """The demo camera, for bursts of 30 images."""

    POLICY = EnginePolicy(buffered_images=BURST)


def camera(size_px: int) -> list[tuple[str, str, str | int]]:
    return [
        ("Camera", "PixelType", "16bit"),
        ("Camera", "OnCameraCCDXSize", size_px),
        ("Camera", "OnCameraCCDYSize", size_px),
        ("Camera", "FastImage", "1"),
    ]


def taken(demo: MMDemo, *events: dict[str, object]) -> list[PixelArray]:
    frames: list[PixelArray] = []

    def keep(pixels: PixelArray, *_: object) -> None:
        frames.append(pixels)

    demo.connect_frame(keep)
    thread = demo.run_mda(iter([event_of(**event) for event in events]))
    thread.join(WAIT_S)
    demo.disconnect_frame(keep)
    assert thread.error is None
    return frames


@given(image_bytes=st.integers(1, 1 << 31), images=st.integers(1, 1000))
def test_an_image_always_fits_and_a_burst_up_to_the_bound(
    image_bytes: int, images: int
) -> None:
    size = buffer_mb(image_bytes, images)
    held = size * MB // image_bytes
    assert held >= 1
    assert size >= LEAST_MB
    assert held >= images or size <= max(MOST_MB, -(-image_bytes // MB))
    if size > max(LEAST_MB, -(-image_bytes // MB)):
        assert (size - 1) * MB < image_bytes * images


@pytest.fixture
def demo() -> Iterator[BurstDemo]:
    with BurstDemo() as microscope:
        yield microscope


def test_a_burst_that_nobody_takes_out_is_held_whole(demo: BurstDemo) -> None:
    core = demo.mmc
    assert core.getCircularBufferMemoryFootprint() == LEAST_MB
    for device, prop, value in camera(1024):
        core.setProperty(device, prop, value)
    taken(demo, {"exposure": 1.0})
    core.startSequenceAcquisition(BURST, 0, True)  # noqa: FBT003  a C++ signature
    deadline_s = time.monotonic() + WAIT_S
    while core.isSequenceRunning():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    assert core.getRemainingImageCount() == BURST
    assert not core.isBufferOverflowed()
    assert core.getCircularBufferMemoryFootprint() == BURST * 2


def test_an_image_that_grows_during_a_run_finds_a_place() -> None:
    with SingleDemo() as demo:
        small, large, again = taken(
            demo,
            {"exposure": 150.0, "properties": camera(64)},
            {"exposure": 150.0, "properties": camera(3000)},
            {"exposure": 150.0, "properties": camera(64)},
        )
        assert demo.mmc.getCircularBufferMemoryFootprint() == LEAST_MB
    assert (small.shape, large.shape) == ((64, 64), (3000, 3000))
    assert again.shape == (64, 64)


def test_a_buffer_that_cannot_be_had_is_an_error_that_says_so() -> None:
    class Full:
        def getImageBufferSize(self) -> int:  # noqa: N802  as in C++
            return 8 * MB

        def getCircularBufferMemoryFootprint(self) -> int:  # noqa: N802
            return 16

        def setCircularBufferMemoryFootprint(self, size_mb: int) -> None:  # noqa: N802
            message = f"no {size_mb}"
            raise MemoryError(message)

    full: object = Full()
    with pytest.raises(HardwareError, match="no buffer of 32 MB for images: no 32"):
        ImageBuffer(full, 4).fit()  # type: ignore[arg-type]
