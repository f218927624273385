"""How long and how much a run may wait."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunLimits:
    """Deadlines and sizes of a run.

    Attributes
    ----------
    mask_deadline_s
        How long a stimulation waits for its mask; then nothing fires.
    drain_deadline_s
        How long the end of a run waits for analysis and for writing.
    n_workers
        Threads that analyse.
    max_in_flight
        Stacks between camera and table; more block the camera.
    """

    mask_deadline_s: float = 30.0
    drain_deadline_s: float = 120.0
    n_workers: int = 2
    max_in_flight: int = 64
