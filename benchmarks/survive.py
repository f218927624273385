"""Kills writers and cuts the power of their disk, at random moments; counts losses.

    python benchmarks/survive.py [--kills 50] [--cuts 10] [--controls 3] [--seed N]

Two threads write stacks, labels and rows of four positions as fast as they can and
print what was acknowledged. Then the process gets a SIGKILL, or (Linux, as root) the
file system on a loop device is shut down without flushing, which is what a power cut
leaves, and is mounted again. Everything acknowledged is read and compared with what
was written. The controls are power cuts without syncing: if they lose nothing, the cut
proves nothing. The exit status is 1 if an acknowledged thing was lost.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path

from faro.testing.killing import can_cut, killed, power_cut
from faro.testing.storage_trials import LAYOUTS, Outcome

CLOSE_SHARE = 0.2
"""Part of the kills that fall around closing."""


def kills(layout: str, trials: int, chance: random.Random, longest_s: float) -> Outcome:
    """Return what ``trials`` kills left."""
    total = Outcome()
    for _ in range(trials):
        folder = Path(tempfile.mkdtemp(prefix="faro-kill-"))
        closing = chance.random() < CLOSE_SHARE
        pause_s = chance.uniform(0.0, 0.3 if closing else longest_s)
        close_at = chance.randrange(12) if closing else -1
        total.add(killed(folder / "run", layout, pause_s, close_at=close_at))
        shutil.rmtree(folder)
    return total


def cuts(layout: str, durability: str, kinds: list[str], seed: int) -> Outcome:
    """Return what one power cut per entry of ``kinds`` left."""
    total, chance = Outcome(), random.Random(seed)
    for kind in kinds:
        total.add(power_cut(layout, durability, chance.uniform(0.1, 4.0), kind))
    return total


def row(layout: str, what: str, trials: int, outcome: Outcome) -> None:
    """Print one row of the table."""
    told = outcome.acknowledged
    counts = " | ".join(str(told.get(kind, 0)) for kind in ("frame", "labels", "cells"))
    print(f"| {layout} | {what} | {trials} | {counts} | {len(outcome.lost)} |")
    sys.stdout.flush()


def main() -> int:
    """Run the trials, print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--cuts", type=int, default=10)
    parser.add_argument("--controls", type=int, default=3)
    parser.add_argument("--longest", type=float, default=1.5, help="Latest kill, s.")
    parser.add_argument("--layouts", nargs="+", default=list(LAYOUTS))
    parser.add_argument("--seed", type=int, default=None)
    given = parser.parse_args()
    if given.seed is None:
        given.seed = random.SystemRandom().randrange(10**6)
    print(f"seed {given.seed}\n")
    print("| layout | end | trials | frames | labels | frames' rows | lost |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    lost: list[str] = []
    for layout in given.layouts:
        chance = random.Random(given.seed)
        outcome = kills(layout, given.kills, chance, given.longest)
        row(layout, "SIGKILL", given.kills, outcome)
        lost += outcome.lost
        if not can_cut():
            continue
        kinds = ["ext4", *(["xfs"] if shutil.which("mkfs.xfs") else [])]
        each = [kinds[n % len(kinds)] for n in range(given.cuts)]
        outcome = cuts(layout, "power-loss", each, given.seed)
        row(layout, f"power cut ({', '.join(kinds)})", given.cuts, outcome)
        lost += outcome.lost
        control = cuts(layout, "process", each[: given.controls], given.seed)
        row(layout, "control: power cut, not synced", given.controls, control)
        if given.controls and not control.lost:
            print("The control lost nothing: the power cuts prove nothing.")
            lost.append("control")
    for text in lost[:20]:
        print(text, file=sys.stderr)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
