"""Kills runs at random moments, goes on with them, compares them with whole ones.

    python benchmarks/resume.py [--kills 50] [--layouts collection plate tiff]
                                [--modes current previous] [--seed N]

Each trial runs the feedback experiment of `faro.testing.resume_trials` on the simulated
microscope in a process that gets a SIGKILL at a random moment, also while it starts, or
while it resumes (up to three kills a trial). The last process goes on to the end. What
is stored then is compared with a run that was not killed: frames, label images, tracks,
masks and all columns of the table, bit for bit. Told are the FOV-timepoints that were
taken and had to be taken again, and the seconds from `Controller.resume` to the first
exposure. The exit status is 1 if a run differs.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from faro.storage import verify
from faro.testing.resume_trials import WRITERS, differences, killed_run

AGAIN_SHARE = 0.4
"""Part of the resumes that are killed too."""
EARLY_SHARE = 0.1
"""Part of the first kills that come while Python still starts."""


@dataclass
class Outcome:
    """What became of the trials of one layout and mode."""

    kills: int = 0
    redone: Counter[int] = field(default_factory=Counter)
    ready_s: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def moments(chance: random.Random) -> list[float]:
    """Return when the processes of a trial are killed."""
    early = chance.random() < EARLY_SHARE
    found = [-chance.uniform(0.1, 2.0) if early else chance.uniform(0.0, 2.0)]
    while len(found) < 3 and chance.random() < AGAIN_SHARE:
        found.append(chance.uniform(0.0, 1.5))
    return found


def trial(
    folder: Path, whole: Path, layout: str, mode: str, kills: list[float], out: Outcome
) -> None:
    """Carry out one trial and count it in."""
    killed = killed_run(folder, kills, layout, mode)
    out.kills += len(killed.stages)
    out.redone.update(killed.redone[: len(killed.stages)])
    out.ready_s += killed.ready_s
    wrong = [*differences(whole, folder), *map(str, verify(folder))]
    out.wrong += [f"killed after {kills}: {text}" for text in wrong]
    for text in wrong[:5]:
        print(f"WRONG {folder}: {text}", file=sys.stderr)
    if not wrong:
        shutil.rmtree(folder)


def row(layout: str, mode: str, trials: int, out: Outcome) -> None:
    """Print one row of the table."""
    redone = ", ".join(f"{n}: {times}" for n, times in sorted(out.redone.items()))
    ready = sorted(out.ready_s) or [0.0]
    told = f"{ready[len(ready) // 2]:.2f} (worst {ready[-1]:.2f})"
    cells = [layout, mode, trials, out.kills, redone, told, len(out.wrong)]
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def main() -> int:
    """Run the trials, print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="Trials of each kind.")
    parser.add_argument("--layouts", nargs="+", default=["collection"])
    parser.add_argument("--modes", nargs="+", default=["current"])
    parser.add_argument("--seed", type=int, default=None)
    given = parser.parse_args()
    if given.seed is None:
        given.seed = random.SystemRandom().randrange(10**6)
    assert set(given.layouts) <= set(WRITERS)
    print(f"seed {given.seed}\n")
    print("| layout | mode | runs | kills | redone per kill | ready, s | differences |")
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    wrong = False
    for layout in given.layouts:
        for mode in given.modes:
            chance, out = random.Random(given.seed), Outcome()
            home = Path(tempfile.mkdtemp(prefix="faro-resume-"))
            killed_run(home / "whole", (), layout, mode)
            for number in range(given.kills):
                folder = home / f"run-{number}"
                trial(folder, home / "whole", layout, mode, moments(chance), out)
            row(layout, mode, given.kills, out)
            wrong = wrong or bool(out.wrong)
            if not out.wrong:
                shutil.rmtree(home)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
