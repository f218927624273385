"""Sums over the last so many seconds, at a cost that never grows."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

PARTS = 20
"""A window is counted in so many parts; a part leaves as a whole, never too early."""
SLOTS = PARTS + 1


@dataclass(slots=True)
class Window:
    """The sum of what was added in the last ``span_s``, or a little more. Not shared.

    >>> window = Window(100.0)
    >>> slots = window.add(0.0, 3.0), window.add(60.0, 4.0)
    >>> window.used(99.0), window.used(106.0)
    (7.0, 4.0)
    """

    span_s: float
    newest: int = 0
    parts_ms: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(SLOTS))

    def add(self, at_s: float, dose_ms: float) -> int:
        """Add at a time; return the slot. Times that go back count as the newest."""
        self.forget(at_s)
        slot = self.newest % SLOTS
        self.parts_ms[slot] += dose_ms
        return slot

    def used(self, at_s: float) -> float:
        """Return the sum at a time."""
        self.forget(at_s)
        return float(self.parts_ms.sum())

    def forget(self, at_s: float) -> list[int]:
        """Drop what is too old at a time; return the slots that were emptied."""
        number = int(at_s / self.span_s * PARTS)
        passed = range(max(self.newest + 1, number - SLOTS + 1), number + 1)
        emptied = [n % SLOTS for n in passed]
        self.parts_ms[emptied] = 0.0
        self.newest = max(self.newest, number)
        return emptied
