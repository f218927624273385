"""The account of light: random events never exceed a ceiling, and what a frame costs.

python benchmarks/dose.py [events]     default 1,000,000; takes some ten minutes
python benchmarks/dose.py 0            what a frame costs only
"""

from __future__ import annotations

import sys
import time

import numpy as np

from faro.policies import CellShares, DoseCeiling, DoseLedger, DoseRules, Light
from faro.testing.dose import random_run

PER_RUN = 500
N_CELLS, FRAMES, ROUNDS = 1_000, 200, 5


def cost_ms() -> float:
    """Return the ledger's CPU time per frame: three exposures, cells, a mask, rows."""
    random = np.random.default_rng(0)
    ceilings = (
        DoseCeiling(1e9, of="cell", channel="Cyan"),
        DoseCeiling(1e9, of="cell", per_s=3600.0),
        DoseCeiling(1e9, per_s=3600.0),
    )
    ledger = DoseLedger(DoseRules(ceilings))
    tracks, newest = np.arange(1, N_CELLS + 1), N_CELLS
    began = time.thread_time()
    for t in range(FRAMES):
        parents = np.zeros(N_CELLS, np.int64)
        places = random.integers(0, N_CELLS, 3)
        parents[places], tracks = tracks[places], tracks.copy()
        tracks[places] = newest + np.arange(1, 4)
        newest += 3
        for channel in ("Red", "Green"):
            light = Light(0, t, channel, "image", 60.0 * t, 50.0)
            assert ledger.verdict(light).whole
            ledger.given(light)
        ledger.seen(0, t, tracks, parents)
        ledger.received(0, tracks, t)
        shares = CellShares.of(tracks, random.random(N_CELLS))
        ledger.aimed(0, t, "Cyan", shares)
        light = Light(0, t, "Cyan", "stim", 60.0 * t + 1, 20.0, 0.2, 1.0, t, shares)
        assert ledger.verdict(light).whole
        ledger.given(light)
    return (time.thread_time() - began) * 1e3 / FRAMES


def main() -> None:
    """Print both."""
    best = min(cost_ms() for _ in range(ROUNDS))
    print(f"ledger, {N_CELLS} cells, 3 ceilings: {best:.2f} ms a frame (promised 2)")
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    fired = sum(random_run(seed, PER_RUN) for seed in range(events // PER_RUN))
    print(f"{events} random events, {fired} gave light, no ceiling exceeded")


if __name__ == "__main__":
    main()
