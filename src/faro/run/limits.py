"""How long and how much a run may wait."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from faro.policies import DoseCeiling, DoseRules
from faro.run.late import WhenLate  # noqa: TC001  read when a file gives limits
from faro.run.writing import WhenSlow, WritingPolicy

WhereWorked: TypeAlias = Literal["threads", "processes"]
"""Where segmentation runs."""


@dataclass(frozen=True, slots=True)
class RunLimits:
    """Deadlines and sizes of a run.

    Attributes
    ----------
    mask_deadline_s
        How long a stimulation waits for its mask.
    late_mask
        What fires where the mask is late or a component failed: ``"skip"``, nothing;
        ``"previous"``, what fired last at this position; ``"blank"``, the event is
        taken with a dark mask. A pipeline's ``fallback`` is asked instead.
    step_deadline_s
        How long the segmentation of a stack, or all that follows it, may take; then
        it is given up, its thread is replaced, and nothing fires for that frame.
    settle_s
        How long a position waits for the pixels of the one before to be stored, so
        that at most one is taken again after a kill. A disk that is slower is not
        waited for, nor pixels whose mask is still computed. 0: nobody waits.
    max_failures_in_a_row
        Frames in a row on which a component fails that end the run; 0: never.
    max_missing_in_a_row
        Frames in a row that may be missing, each after the retries of the microscope;
        then the camera or a stage counts as lost, and the run is paused, dark, until
        it is resumed. 0: it is never paused.
    drain_deadline_s
        How long the end of a run waits for analysis and for writing.
    workers
        Where segmentation runs: ``"threads"``, or ``"processes"``, over shared memory,
        ``n_workers`` of them and a spare one. A process that is killed costs nothing,
        one that hangs the frame that it has. Models on a GPU, and those that run in a
        process by themselves, have one.
    n_workers
        Threads that analyse, each with a process of its own if asked for.
    max_in_flight
        Stacks between camera and table; more block the camera.
    fov_share
        Share of these that one FOV may hold where there are others; what it gives
        beyond that is stored, not analysed, and the journal says so.
    max_unwritten_mb
        Megabytes that may wait to be written; see ``when_disk_is_slow``.
    when_disk_is_slow
        What happens when more waits: ``"slip"``, the schedule slips, and the journal
        says so; ``"compress less"``, stacks are stored uncompressed from half of it
        on, then the schedule slips; ``"stop"``, the run ends, dark, and what was
        acquired is written.
    check_dmd
        Whether one spot is shown before a run that fires masks, at the place where the
        stage is: the run is refused if the spot is off by more than 2 px, or not seen.
        It is light on the sample that no account holds.
    dose_ceilings
        How much light the sample may get; see `faro.policies.DoseCeiling`.
    when_over_dose
        What happens to an exposure that would exceed one: ``"refuse"``, it is left
        out; ``"clip"``, light for stimulation is reduced to what is left.
    dose_at_division
        Whether daughters ``"inherit"`` the dose of their mother, or ``"reset"`` it.
    """

    mask_deadline_s: float = 30.0
    late_mask: WhenLate = "skip"
    step_deadline_s: float = 60.0
    settle_s: float = 0.05
    max_failures_in_a_row: int = 0
    max_missing_in_a_row: int = 3
    drain_deadline_s: float = 120.0
    workers: WhereWorked = "threads"
    n_workers: int = 2
    max_in_flight: int = 64
    fov_share: float = 0.75
    max_unwritten_mb: float = 512.0
    when_disk_is_slow: WhenSlow = "slip"
    check_dmd: bool = False
    dose_ceilings: tuple[DoseCeiling, ...] = ()
    when_over_dose: Literal["refuse", "clip"] = "refuse"
    dose_at_division: Literal["inherit", "reset"] = "inherit"

    @property
    def dose(self) -> DoseRules:
        """The rules of dose."""
        return DoseRules(self.dose_ceilings, self.when_over_dose, self.dose_at_division)

    @property
    def writing(self) -> WritingPolicy:
        """The same for the threads that write."""
        return WritingPolicy(int(self.max_unwritten_mb * 1e6), self.when_disk_is_slow)
