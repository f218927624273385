"""How long a bare ``import faro`` takes: ``python benchmarks/import_time.py``.

The promise is under 0.5 s. Each row is the best of the repeats, in a fresh
interpreter; the first row is Python alone, to be taken off the others.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

PROMISE_S = 0.5
ROWS = {
    "python alone": "pass",
    "import faro": "import faro",
    "import faro; faro.Controller": "import faro; faro.Controller",
    "import faro; faro.PyMMCoreMicroscope": "import faro; faro.PyMMCoreMicroscope",
}


def seconds(statement: str, repeats: int) -> list[float]:
    """Return the wall time in s of each of ``repeats`` fresh interpreters."""
    taken_s = []
    for _ in range(repeats):
        started_s = time.perf_counter()
        subprocess.run([sys.executable, "-c", statement], check=True)
        taken_s.append(time.perf_counter() - started_s)
    return taken_s


def main() -> None:
    """Print one row per statement, and the promise beside what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = max(1, parser.parse_args().repeats)
    best_s = {}
    print(f"{'statement':<40} {'best s':>8} {'median s':>9}")
    for name, statement in ROWS.items():
        taken_s = seconds(statement, repeats)
        best_s[name] = min(taken_s)
        print(f"{name:<40} {best_s[name]:>8.3f} {statistics.median(taken_s):>9.3f}")
    own_s = best_s["import faro"] - best_s["python alone"]
    verdict = "kept" if own_s < PROMISE_S else "broken"
    print(f"import faro costs {own_s:.3f} s; promised < {PROMISE_S} s: {verdict}")


if __name__ == "__main__":
    main()
