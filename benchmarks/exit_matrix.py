"""Every way in which a process can end, many times, as a table for the docs.

    python benchmarks/exit_matrix.py [--repeats 10] [--python PATH]... [--at-once 1]
        [--only TEXT] [--cases NAME...] [--out FILE]
    python benchmarks/exit_matrix.py --table FILE... [--docs PAGE]

Each repeat is a process that ends in its way (phase A), then a new process that loads
the same configuration at the first try (phase B). The DMD is the exclusive one of
`faro.testing`, on UniMMCore; "cpp" is Micro-Manager's demo devices. Times begin where
the process begins to end, or is asked to. The rows "Jupyter" are real kernels; they
need jupyter_client here, and ipykernel there. ``--python`` names interpreters that
have FARO; without it, this one is used. Exit code 1 if any promise was not kept.

``--out`` is a file of JSON lines, one for each process that was ended. A run that was
stopped is gone on with by the same command: what the file has is not done again. So
the work can be split, by ``--cases`` or ``--python``, into several files, and
``--table`` writes one table of them; ``--docs`` puts it into a page, between the lines
that begin with ``<!-- exit matrix``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from faro.testing.exit_cases import CASES, Core
from faro.testing.exit_kernel import CASES as KERNEL_CASES
from faro.testing.exit_kernel import KernelResult, run_kernel
from faro.testing.exit_matrix import ExitResult, run_case

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

HEADER = (
    "| case | devices | repeats | released, loads again | dark after, ms"
    " | exit, s | exit code |\n|---|---|--:|--:|--:|--:|--:|"
)
VERSION = "import platform; print(platform.python_version())"
BEGIN, END = "<!-- exit matrix: begin", "<!-- exit matrix: end"

Result = ExitResult | KernelResult


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: a case, on some devices.

    Attributes
    ----------
    name
        For people; with its group in front.
    devices
        ``uni`` or ``cpp``.
    run
        Runs it once, in an empty folder, by an interpreter.
    control
        Whether nothing is to be released.
    """

    name: str
    devices: str
    run: Callable[[Path, str], Result]
    control: bool = False

    @property
    def case(self) -> str:
        """The name without the group."""
        return self.name.partition(": ")[2]


@dataclass(frozen=True, slots=True)
class Ended:
    """How one process ended; a line of the file.

    Attributes
    ----------
    name, devices
        Of the row.
    python, repeat
        Version of Python, and which repeat on it this is.
    released
        Whether the devices were, and a new process loaded them at the first try.
    dark_s, exit_s
        Until it was dark, and had ended; None if that did not come.
    code
        Its exit code; None if it had to be killed.
    problems
        The promises that were not kept.
    """

    name: str
    devices: str
    python: str
    repeat: int
    released: bool
    dark_s: float | None
    exit_s: float | None
    code: int | None
    problems: tuple[str, ...]


def rows() -> list[Row]:
    """Return every line of the table that can be had here, in order."""
    found = [
        Row(f"{case.group}: {case.name}", core, partial(run_case, case, core), control)
        for case in CASES
        for control in [not case.released]
        for core in case.cores
    ]
    if find_spec("jupyter_client"):
        found += [
            Row(f"Jupyter: {case.name}", Core.UNI, partial(run_kernel, case))
            for case in KERNEL_CASES
        ]
    return found


def wanted(all_rows: Sequence[Row], only: str, cases: Sequence[str]) -> list[Row]:
    """Return the rows whose name holds ``only``, and those of ``cases`` if any.

    Raises
    ------
    SystemExit
        If a name fits no row.
    """
    there = dict.fromkeys(row.case for row in all_rows)
    if unknown := [name for name in cases if name not in there]:
        message = f"There are no cases {unknown}; there are:\n" + "\n".join(there)
        raise SystemExit(message)
    return [r for r in all_rows if only in r.name and (not cases or r.case in cases)]


# --------------------------------------------------------------------------- running


def run_all(chosen: Sequence[Row], options: argparse.Namespace) -> list[Ended]:
    """Run what the file does not have yet; return all that it has then."""
    file: Path | None = options.out
    done = read([file]) if file is not None and file.exists() else []
    known = {(e.name, e.devices, e.python, e.repeat) for e in done}
    pythons = options.python or [sys.executable]
    jobs = [
        (row, python, repeat)
        for row in chosen
        for repeat in range(options.repeats)
        for python in pythons
        if (row.name, row.devices, version(python), repeat) not in known
    ]
    print(f"{len(done)} done before, {len(jobs)} to do", file=sys.stderr, flush=True)
    turn = threading.Lock()

    def one(job: tuple[Row, str, int]) -> None:
        ended = run_once(*job)
        with turn:
            done.append(ended)
            tell(ended)
            if file is not None:
                with file.open("a", encoding="utf-8") as out:
                    out.write(json.dumps(asdict(ended)) + "\n")

    with ThreadPoolExecutor(options.at_once) as pool:
        list(pool.map(one, jobs))
    return done


def run_once(row: Row, python: str, repeat: int) -> Ended:
    """End one process; return how it did."""
    with tempfile.TemporaryDirectory() as folder:
        result = row.run(Path(folder), python)
    return Ended(
        name=row.name,
        devices=row.devices,
        python=version(python),
        repeat=repeat,
        released=result.released and result.reloads,
        dark_s=result.dark_s,
        exit_s=result.exit_s,
        code=result.code,
        problems=tuple(result.problems()),
    )


def tell(ended: Ended) -> None:
    """Say which promise was not kept."""
    for problem in ended.problems:
        where = f"{ended.name}, {ended.devices}, {ended.python}, {ended.repeat}"
        print(f"  {where}: {problem}", file=sys.stderr, flush=True)


@cache
def version(python: str) -> str:
    """Return the version of an interpreter."""
    asked = [python, "-c", VERSION]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def read(files: Iterable[Path]) -> list[Ended]:
    """Return what was written to ``files``; a torn last line is left out."""
    found: dict[tuple[object, ...], Ended] = {}
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines():
            try:
                fields = json.loads(line)
            except ValueError:
                continue
            ended = Ended(**fields | {"problems": tuple(fields["problems"])})
            key = (str(file), ended.name, ended.devices, ended.python, ended.repeat)
            found[key] = ended
    return list(found.values())


# --------------------------------------------------------------------------- writing


def table(done: Sequence[Ended], all_rows: Sequence[Row]) -> str:
    """Return the table, with a line on what it is of."""
    pythons = Counter(ended.python for ended in done)
    versions = ", ".join(sorted(pythons, key=lambda v: [int(n) for n in v.split(".")]))
    broken = sum(bool(ended.problems) for ended in done)
    lines = [
        f"Python {versions}; {len(done)} processes were ended, {broken} of them not as"
        f" promised; {platform.system()}, {os.cpu_count()} cores.\n\n{HEADER}"
    ]
    for row in all_rows:
        its = [e for e in done if (e.name, e.devices) == (row.name, row.devices)]
        if its:
            lines.append(line(row, its))
    return "\n".join(lines)


def line(row: Row, done: Sequence[Ended]) -> str:
    """Return one line of the table."""
    dark_ms = [ended.dark_s * 1e3 for ended in done if ended.dark_s is not None]
    exit_s = [ended.exit_s for ended in done if ended.exit_s is not None]
    codes = Counter("killed" if e.code is None else str(e.code) for e in done)
    said = ", ".join(
        code if n == len(done) else f"{code} x {n}" for code, n in codes.items()
    )
    released = sum(ended.released for ended in done)
    expected = " (expected: none)" if row.control else ""
    return (
        f"| {row.name} | {row.devices} | {len(done)}"
        f" | {released} of {len(done)}{expected} | {span(dark_ms, '.0f')}"
        f" | {span(exit_s, '.2f')} | {said} |"
    )


def span(values: list[float], form: str) -> str:
    """Return the median and the worst of ``values``."""
    if not values:
        return "stays lit"
    ordered = sorted(values)
    middle = ordered[len(ordered) // 2]
    return f"{middle:{form}} (worst {ordered[-1]:{form}})"


def put_into(page: Path, text: str) -> None:
    """Write the table into a page, in the place of the one that is there.

    Raises
    ------
    SystemExit
        If the page does not say where.
    """
    lines = page.read_text(encoding="utf-8").splitlines()
    begin = [n for n, words in enumerate(lines) if words.startswith(BEGIN)]
    end = [n for n, words in enumerate(lines) if words.startswith(END)]
    if len(begin) != 1 or len(end) != 1 or begin[0] > end[0]:
        message = f"{page} needs one line {BEGIN!r}, and one {END!r} below it."
        raise SystemExit(message)
    whole = [*lines[: begin[0] + 1], "", text, "", *lines[end[0] :]]
    page.write_text("\n".join(whole) + "\n", encoding="utf-8")


def main() -> int:
    """Run the matrix, or read what was run; print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=10, help="per Python")
    parser.add_argument("--python", action="append", default=[])
    parser.add_argument("--at-once", type=int, default=1)
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--cases", nargs="+", default=[], help="these cases only")
    parser.add_argument("--out", type=Path, help="add each result to this file")
    parser.add_argument("--table", type=Path, nargs="+", help="only read these files")
    parser.add_argument("--docs", type=Path, help="put the table into this page")
    options = parser.parse_args()
    all_rows = rows()
    chosen = wanted(all_rows, options.only, options.cases)
    done = read(options.table) if options.table else run_all(chosen, options)
    text = table(done, all_rows)
    print(text)
    if options.docs:
        put_into(options.docs, text)
    return 1 if any(ended.problems for ended in done) else 0


if __name__ == "__main__":
    sys.exit(main())
