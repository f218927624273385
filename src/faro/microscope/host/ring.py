"""Frames in shared memory: written once by the host, read in place by the client."""

from __future__ import annotations

import weakref
from collections import deque
from multiprocessing.shared_memory import SharedMemory
from typing import TYPE_CHECKING

import numpy as np

from faro.errors import HardwareError
from faro.system import memory

if TYPE_CHECKING:
    from faro.model.frame import PixelArray

PAGE = 4096
SPARE = 2
"""Slots that the client never keeps, so that the host always finds a free one."""


class _Memory(SharedMemory):
    """Shared memory that stays mapped while an array looks at it."""

    def view(self) -> memoryview:
        """Return the bytes; HardwareError after `close`."""
        if self.buf is None:
            problem = "The shared memory of the device host was closed."
            raise HardwareError(problem, remedy="Make a new microscope.")
        return self.buf

    def close(self) -> None:
        """Let go of the memory, if nobody looks at it any more."""
        try:
            super().close()
        except BufferError:
            return


class WrittenRing:
    """The host's side: slots of equal size in shared memory that it owns.

    Parameters
    ----------
    slots
        How many.
    frame_bytes
        Size of the largest frame.
    """

    def __init__(self, slots: int, frame_bytes: int) -> None:
        self.slots = slots
        self.slot_bytes = max(1, -(-frame_bytes // PAGE)) * PAGE
        self._memory = memory.made(slots * self.slot_bytes, _Memory)
        self._free = list(range(slots))

    @property
    def name(self) -> str:
        """Name by which the client opens it."""
        return self._memory.name

    def take(self) -> int | None:
        """Return a free slot, None if all are in use.

        The one that was freed last, for it is still in the cache.
        """
        return self._free.pop() if self._free else None

    def freed(self, slot: int) -> None:
        """Note that nobody reads ``slot`` any more."""
        if slot < self.slots and slot not in self._free:
            self._free.append(slot)

    def write(self, slot: int, pixels: PixelArray) -> None:
        """Copy ``pixels`` (Y, X) into a slot."""
        start = slot * self.slot_bytes
        place: PixelArray = np.ndarray(
            pixels.shape, pixels.dtype, self._memory.view(), start
        )
        np.copyto(place, pixels)

    def forget_name(self) -> None:
        """Let the memory vanish with the last process that has it open."""
        self._memory.unlink()

    def close(self) -> None:
        """Let go of the memory."""
        self._memory.close()


class ReadRing:
    """The client's side: hands out frames in place, and says which slots are free.

    Parameters
    ----------
    name, slots, slot_bytes
        As the host says.
    """

    def __init__(self, name: str, slots: int, slot_bytes: int) -> None:
        self.name = name
        self._slots, self._slot_bytes = slots, slot_bytes
        self._memory = memory.opened(name, _Memory)
        self._kept: set[int] = set()
        self._freed: deque[int] = deque()

    def read(self, slot: int, shape: tuple[int, int], dtype: str) -> PixelArray:
        """Return the frame in a slot: (Y, X), uint8 or uint16, read-only.

        It lies in the slot, which is free again when nobody has the array any more.
        While too many are kept, it is a copy.
        """
        start, kind = slot * self._slot_bytes, np.dtype(dtype)
        n_bytes = shape[0] * shape[1] * kind.itemsize
        place = self._memory.view()[start : start + n_bytes]
        frame: PixelArray = np.frombuffer(place, kind)
        # Views of the frame, which is what is handed out, keep it alive.
        pixels = frame.reshape(shape)
        if len(self._kept) < self._slots - SPARE:
            self._kept.add(slot)
            weakref.finalize(frame, self._let_go, slot).atexit = False
        else:
            pixels = pixels.copy()
            self._freed.append(slot)
        pixels.setflags(write=False)
        return pixels

    def _let_go(self, slot: int) -> None:
        """Note that an array is gone; on any thread, also inside another call."""
        self._freed.append(slot)

    def freed(self) -> list[int]:
        """Return the slots that were let go since the last call."""
        slots = [self._freed.popleft() for _ in range(len(self._freed))]
        self._kept.difference_update(slots)
        return slots

    def close(self) -> None:
        """Let go of the memory; frames that somebody kept stay as they are."""
        self._memory.close()
