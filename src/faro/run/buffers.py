"""Memory for stacks, used again: fresh pages cost more than the copy."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

MAX_SPARE, MAX_SIZES = 8, 4
"""Buffers kept of each size while nobody needs them, and sizes of which any are."""


class StackBuffers:
    """Hands out arrays whose memory was used before, where there is some. Thread-safe.

    The operating system gives memory page by page, at the first write; for a stack of
    16 MB that costs more than the copy. An array's memory comes back when the array
    and all its views are gone, so whoever keeps a view
    keeps the pixels. A run has stacks of a few sizes; memory of the others is let go.

    Attributes
    ----------
    n_fresh
        How often new memory had to be taken.
    """

    def __init__(self) -> None:
        self._spare: OrderedDict[int, deque[bytearray]] = OrderedDict()
        self._lock = threading.Lock()
        self.n_fresh = 0

    def array(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Return a writable array, (C, Y, X) or (C, Z, Y, X), with anything in it."""
        kind = np.dtype(dtype)
        n_bytes = max(int(np.prod(shape)) * kind.itemsize, 1)
        memory = self._memory(n_bytes)
        # Views keep the array alive that looks at the memory first, not one another.
        first = np.frombuffer(memory, np.uint8)
        weakref.finalize(first, self._come_back, memory).atexit = False
        whole: npt.NDArray[Any] = np.ndarray(shape, kind, first)
        return whole

    def _memory(self, n_bytes: int) -> bytearray:
        with self._lock:
            spare = self._spare.setdefault(n_bytes, deque())
            self._spare.move_to_end(n_bytes)
            if len(self._spare) > MAX_SIZES:
                self._spare.popitem(last=False)
            try:
                return spare.pop()
            except IndexError:
                self.n_fresh += 1
        return bytearray(n_bytes)

    def _come_back(self, memory: bytearray) -> None:
        """Take memory back; on any thread, also inside another call."""
        spare = self._spare.get(len(memory))
        if spare is not None and len(spare) < MAX_SPARE:
            spare.append(memory)
