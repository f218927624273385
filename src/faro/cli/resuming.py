"""``faro resume``: a run that was ended goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faro.cli.demo import is_demo, resume_demo
from faro.cli.reporting import tell_what_there_is
from faro.run.files import resume_run
from faro.run.past import past_of

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from faro.run.gate import ClockPolicy


def run_resume(
    console: Console,
    directory: Path,
    *,
    keep_clock: bool,
    progress: bool,
    hosted: bool,
) -> int:
    """Go on with a run and report it; return the exit code."""
    folder = directory.absolute()
    past = past_of(folder)
    if past.over:
        console.print(f"{directory} is complete: nothing is left to do.", markup=False)
        return 0
    told = f"{len(past.left)} of {len(past.steps)} exposures are left"
    console.print(f"{directory}: {told}.", markup=False)
    for fov, timestep, channel in past.so_far.unconfirmed:
        words = f"{channel} at position {fov}, timepoint {timestep} may have fired"
        console.print(f"{words}; it is not fired again.", markup=False)
    clock: ClockPolicy = "keep" if keep_clock else "shift"
    carry_on = resume_demo if is_demo(past.run) else resume_run
    summary = carry_on(folder, clock=clock, progress=progress, hosted=hosted)
    if summary.path is not None:
        tell_what_there_is(console, summary.path)
    return 0 if summary.completed and not summary.n_errors else 1
