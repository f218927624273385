"""Does the loop, and only the loop, move the cells? The demo over ten seeds.

    python benchmarks/demo_seeds.py [--seeds 10] [--first 0] [--speed 2]

Each seed is the whole demo (three arms of four fields of view, 24 timepoints). The
unit is the field of view; the test is the exact two-sided permutation test. With four
against four the smallest possible p is 2/70 = 0.029. ``--speed`` lets cells and events
go faster by the same factor, which is the same experiment in less time.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from faro import open_run
from faro.cli.demo import INTERVAL_S, TIMEPOINTS, carry_out, demo_events, simulated
from faro.view import facts_of

LEVEL = 0.05
RESPONSE = "displacement"


def main() -> None:
    """Run the seeds and print one line each, as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--speed", type=int, default=2)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="faro-seeds-"))
    events = demo_events(timepoints=TIMEPOINTS, interval_s=INTERVAL_S / given.speed)
    significant: dict[str, int] = {}
    print("| seed | arm | minus control (um) | effect size | p |")
    print("| --- | --- | --- | --- | --- |")
    for seed in range(given.first, given.first + given.seeds):
        path = folder / f"seed-{seed}"
        microscope = simulated(seed, speed=given.speed)
        summary = carry_out(path, seed, events, microscope=microscope)
        if not summary.completed or summary.n_errors:
            message = f"Seed {seed} did not complete cleanly: {summary}"
            raise SystemExit(message)
        answer = facts_of(open_run(path)).answer
        response = next(r for r in answer.responses if RESPONSE in r.name)
        for test in response.comparisons:
            below = test.p_value < LEVEL
            significant[test.arm] = significant.get(test.arm, 0) + below
            print(
                f"| {seed} | {test.arm} | {test.difference:+.2f} "
                f"| {test.effect:.1f} | {test.p_value:.3f} |"
            )
        shutil.rmtree(path)
    shutil.rmtree(folder)
    for arm, count in significant.items():
        print(f"\n{arm} against control: p < {LEVEL} in {count} of {given.seeds} seeds")


if __name__ == "__main__":
    main()
