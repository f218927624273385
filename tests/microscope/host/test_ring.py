"""A frame that somebody keeps never changes, and the host always finds a slot."""

from __future__ import annotations

import sys
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faro.errors import HardwareError
from faro.microscope.host.ring import ReadRing, WrittenRing
from faro.system.memory import TRACKS_BY_CHOICE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faro.model.frame import PixelArray

SHAPE = (4, 6)
SLOTS = 4


@pytest.fixture
def rings() -> Iterator[tuple[WrittenRing, ReadRing]]:
    written = WrittenRing(SLOTS, 4 * 6 * 2)
    read = ReadRing(written.name, written.slots, written.slot_bytes)
    if not TRACKS_BY_CHOICE and sys.platform != "win32":
        # Both sides are one process here, and the reader took the name off the list.
        resource_tracker.register(f"/{written.name}", "shared_memory")
    written.forget_name()
    yield written, read
    read.close()
    written.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keeps=st.lists(st.booleans(), max_size=20), drops=st.sets(st.integers(0, 19)))
def test_kept_frames_stay_and_slots_come_back(
    rings: tuple[WrittenRing, ReadRing], keeps: list[bool], drops: set[int]
) -> None:
    written, read = rings
    kept: dict[int, PixelArray] = {}
    for number, keep in enumerate(keeps):
        for slot in read.freed():
            written.freed(slot)
        place = written.take()
        assert place is not None
        written.write(place, np.full(SHAPE, number, np.uint16))
        pixels = read.read(place, SHAPE, "uint16")
        assert not pixels.flags.writeable
        if keep:
            kept[number] = pixels[1:]
        del pixels
        if number in drops:
            kept.pop(number - 1, None)
        assert all((frame == value).all() for value, frame in kept.items())
    kept.clear()
    for slot in read.freed():
        written.freed(slot)
    assert {written.take() for _ in range(SLOTS)} == set(range(SLOTS))
    assert written.take() is None
    for slot in range(SLOTS):
        written.freed(slot)


def test_a_kept_frame_outlives_its_ring(
    rings: tuple[WrittenRing, ReadRing],
) -> None:
    written, read = rings
    written.write(0, np.full(SHAPE, 7, np.uint8))
    frame = read.read(0, SHAPE, "uint8")
    read.close()
    written.close()
    assert (frame == 7).all()


def test_a_closed_ring_is_an_error(rings: tuple[WrittenRing, ReadRing]) -> None:
    _, read = rings
    read.close()
    with pytest.raises(HardwareError, match="was closed"):
        read.read(0, SHAPE, "uint8")


def test_a_slot_that_is_none_or_free_already_is_not_freed(
    rings: tuple[WrittenRing, ReadRing],
) -> None:
    written, _ = rings
    written.freed(99)
    written.freed(0)
    assert sorted(filter(None, (written.take() for _ in range(9)))) == [1, 2, 3]
