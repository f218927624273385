"""Every way in which a process can end, many times, as a table for the docs.

    python benchmarks/exit_matrix.py [--repeats 10] [--python PATH]... [--at-once 1]
        [--only TEXT] [--out FILE]

Each repeat is a process that ends in its way (phase A), then a new process that loads
the same configuration at the first try (phase B). The DMD is the exclusive one of
`faro.testing`, on UniMMCore; "cpp" is Micro-Manager's demo devices. Times begin where
the process begins to end, or is asked to. The rows "Jupyter" are real kernels, where
jupyter_client is installed. ``--python`` names interpreters that have FARO, and
ipykernel; without it, this one is used. Exit code 1 if any promise was not kept.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from faro.testing.exit_cases import CASES, Core
from faro.testing.exit_kernel import CASES as KERNEL_CASES
from faro.testing.exit_kernel import KernelResult, run_kernel
from faro.testing.exit_matrix import ExitResult, run_case

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

HEADER = (
    "| case | devices | repeats | released, loads again | dark after, ms"
    " | exit, s | exit code |\n|---|---|--:|--:|--:|--:|--:|"
)
VERSION = "import platform; print(platform.python_version())"

Result = ExitResult | KernelResult


def span(values: list[float], form: str) -> str:
    """Return the median and the worst of ``values``."""
    if not values:
        return "stays lit"
    ordered = sorted(values)
    middle = ordered[len(ordered) // 2]
    return f"{middle:{form}} (worst {ordered[-1]:{form}})"


def row(name: str, devices: str, results: Sequence[Result], *, control: bool) -> str:
    """Return one line of the table; ``control``: nothing is to be released."""
    released = sum(r.released and r.reloads for r in results)
    dark = [r.dark_s * 1e3 for r in results if r.dark_s is not None]
    ends = [r.exit_s for r in results if r.exit_s is not None]
    codes = Counter("killed" if r.code is None else str(r.code) for r in results)
    said = ", ".join(
        f"{code}" if n == len(results) else f"{code} x {n}" for code, n in codes.items()
    )
    expected = " (expected: none)" if control else ""
    return (
        f"| {name} | {devices} | {len(results)}"
        f" | {released} of {len(results)}{expected} | {span(dark, '.0f')}"
        f" | {span(ends, '.2f')} | {said} |"
    )


def run_repeats(
    run: Callable[[Path, str], Result], options: argparse.Namespace
) -> list[Result]:
    """Run a case on each Python, some at a time."""
    pythons = options.python or [sys.executable]
    with tempfile.TemporaryDirectory() as name:
        jobs = [
            (Path(name, f"{n}"), pythons[n % len(pythons)])
            for n in range(options.repeats * len(pythons))
        ]
        for folder, _ in jobs:
            folder.mkdir()
        with ThreadPoolExecutor(options.at_once) as pool:
            return list(pool.map(lambda job: run(*job), jobs))


def matrix(options: argparse.Namespace) -> Iterator[tuple[str, list[str]]]:
    """Yield each line of the table, and the promises that were not kept."""
    for case in CASES:
        for core in case.cores if options.only in case.name else ():
            results = run_repeats(partial(run_case, case, core), options)
            name = f"{case.group}: {case.name}"
            yield row(name, core, results, control=not case.released), broken(results)
    if not find_spec("jupyter_client"):
        return
    for kernel in KERNEL_CASES:
        if options.only in kernel.name:
            results = run_repeats(partial(run_kernel, kernel), options)
            name = f"Jupyter: {kernel.name}"
            yield row(name, Core.UNI, results, control=False), broken(results)


def broken(results: Sequence[Result]) -> list[str]:
    """Return the promises that were not kept, run by run."""
    found = enumerate(result.problems() for result in results)
    return [f"run {n}: {'; '.join(problems)}" for n, problems in found if problems]


def version(python: str) -> str:
    """Return the version of an interpreter."""
    asked = [python, "-c", VERSION]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def main() -> int:
    """Run the matrix and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=10, help="per Python")
    parser.add_argument("--python", action="append", default=[])
    parser.add_argument("--at-once", type=int, default=1)
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--out", type=Path, help="also write the table there")
    options = parser.parse_args()
    pythons = options.python or [sys.executable]
    versions = ", ".join(version(python) for python in pythons)
    lines = [
        f"Python {versions}; {options.repeats} repeats on each, {options.at_once} at a"
        f" time; {platform.system()}, {os.cpu_count()} cores.\n\n{HEADER}"
    ]
    print(lines[0], flush=True)
    n_broken = 0
    for line, problems in matrix(options):
        print(line, flush=True)
        lines.append(line)
        n_broken += len(problems)
        for problem in problems:
            print(f"  {problem}", file=sys.stderr)
    if options.out:
        options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 1 if n_broken else 0


if __name__ == "__main__":
    sys.exit(main())
