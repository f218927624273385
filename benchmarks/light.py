"""Stimulations on an injected clock, with late masks, failures and kills.

Run ``python benchmarks/light.py [--stimulations 100000] [--seed N]``. Experiments of
`faro.testing.light_account` in all modes and policies, until so many stimulations were
planned. Decisions come soon, at the last moment, late, twice or never; 6 % of the
exposures fail; the process ends up to three times in each experiment and goes on from
its journal. The exit status is 1 if a stimulation has no record, or light was given
that is not on record, or of another frame, or at another position.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from faro.model import FrameRole
from faro.testing.light_account import account, staged

if TYPE_CHECKING:
    from faro.run.late import WhenLate

MODES = ("current", "previous", "interleaved")
POLICIES: tuple[WhenLate, ...] = ("skip", "previous", "blank")
SIZE = (5, 50)
TOLD = ("stim_armed", "stim_confirmed", "stim_unconfirmed", "stim_skipped")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stimulations", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    counted: Counter[str] = Counter()
    wrong: list[str] = []
    n_planned = n_shots = 0
    began_s = time.process_time()
    kinds = itertools.cycle(itertools.product(MODES, POLICIES))
    with tempfile.TemporaryDirectory(prefix="faro-light-") as folder:
        for seed, (mode, policy) in enumerate(kinds, given.seed):
            if n_planned >= given.stimulations:
                break
            scene = staged(seed, mode, policy, Path(folder), SIZE)
            n_planned += sum(s.role is FrameRole.STIM for s in scene.steps)
            n_shots += len(scene.shots)
            counted.update(line["kind"] for line in scene.sink.lines)
            found = account(scene)
            wrong += [f"seed {seed}, {mode}, {policy}: {what}" for what in found]
    told = ", ".join(f"{kind} {counted[kind]:,}" for kind in TOLD)
    print(
        f"{n_planned:,} stimulations, {n_shots:,} given; {told}; wrong: {len(wrong)} "
        f"({time.process_time() - began_s:.0f} s of processor time)"
    )
    for what in wrong[:20]:
        print(what)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
