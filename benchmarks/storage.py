"""What storing costs: each way beside the others, interleaved in one run.

    python benchmarks/storage.py [--rounds 5] [--folder DIR] [--only images ...]
    python benchmarks/storage.py --write docs/storage.md

`images`: durable writing of two-channel stacks of realistic cells, by the ways of
`storage_ways`; setting up and finishing a run or an array is not measured. `labels`,
`table`, `caller`: what a label image, the rows of a frame, and the loop that hands a
stack over have to pay. `slow`: a disk that the kernel slows to half of what the frames
need for ten seconds (Linux, as root). `mask`: what it does to the loop that the pixels
of a frame are written after its mask.

Figures are medians of the rounds; ratios are of the same round. Shared disks are noisy:
compare within a table only. With ``--write`` the tables replace those of a page.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import platform
import shutil
import statistics
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import storage_ways as ways
from storage_loop import mask, slow

from faro.model import CellTable, RunNeeds, Stack
from faro.run.clock import RunClock
from faro.run.recorder import Recorder
from faro.storage import OmeZarrWriter
from faro.storage.layout import RunLayout
from faro.storage.tables import CellWriter
from faro.testing.movie import synthetic_stack

if TYPE_CHECKING:
    from collections.abc import Callable

    from faro.storage.disk import Durability

DURABILITIES: tuple[Durability, ...] = ("process", "power-loss")
STACK_MB = 350
"""Megabytes of stacks per way and round."""
OURS = "**ours, power-loss**"
RAW = "write + fsync, uncompressed"
PUBLIC = ("public: TIFF zlib, synced", "public: zarr zstd, synced")
BEGIN, END = "<!-- benchmarks/storage.py -->", "<!-- until here -->"
Said: TypeAlias = "list[str]"
"""What was promised, and what this run shows."""


def settle() -> None:
    """Return when nothing of the way before waits for the device."""
    if sys.platform != "win32":
        os.sync()


def load() -> str:
    """Return how busy the machine is."""
    said = "unknown"
    if sys.platform != "win32":
        said = f"{os.getloadavg()[0]:.1f}"
    return said


def measured(
    root: Path, way: Callable[[Path], ways.Writing]
) -> tuple[float, float, int]:
    """Return seconds, CPU seconds and bytes on disk of one way of writing."""
    folder = Path(tempfile.mkdtemp(dir=root))
    write, finish = way(folder)
    settle()
    cpu_s, start_s = time.process_time(), time.perf_counter()
    write()
    wall_s, cpu_s = time.perf_counter() - start_s, time.process_time() - cpu_s
    finish()
    n_bytes = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    shutil.rmtree(folder)
    return wall_s, cpu_s, n_bytes


def all_ways(
    stacks: ways.Stacks, n: int, few: int
) -> dict[str, Callable[[Path], ways.Writing]]:
    """Return the ways; the slow ones write ``few`` stacks, figures are per stack."""
    return {
        OURS: partial(ways.ours, stacks, n, "power-loss"),
        "ours, process": partial(ways.ours, stacks, n, "process"),
        RAW: partial(ways.plain, stacks, n),
        "write + fsync, our compressed bytes": partial(ways.compressed, stacks, n),
        "public: TIFF zlib": partial(ways.public_tiff, stacks, few, sync=False),
        "public: zarr zstd": partial(ways.public_zarr, stacks, few, sync=False),
        PUBLIC[0]: partial(ways.public_tiff, stacks, few, sync=True),
        PUBLIC[1]: partial(ways.public_zarr, stacks, few, sync=True),
    }


def images(root: Path, rounds: int) -> Said:
    """Print the table of durable writing of stacks."""
    said: dict[str, list[float]] = {name: [] for name in (RAW, *PUBLIC)}
    for size in (1024, 2048):
        stacks = ways.stacks_of(size)
        stack_bytes = stacks[0].nbytes
        n = max(8, int(STACK_MB * 1e6 / stack_bytes))
        few = max(4, n // 6)
        found = all_ways(stacks, n, few)
        done: dict[str, list[tuple[float, float, float]]] = {w: [] for w in found}
        for _ in range(rounds):
            for name, way in found.items():
                count = few if name.startswith("public") else n
                wall_s, cpu_s, n_bytes = measured(root, way)
                done[name].append((wall_s / count, cpu_s / count, n_bytes / count))
        print(f"\n### 2 x {size} x {size} uint16, {stack_bytes / 1e6:.1f} MB a stack\n")
        print(
            "| way | MB/s | CPU ms a stack | MB on disk a stack | ours is faster by |"
        )
        print("| --- | --- | --- | --- | --- |")
        base = [wall for wall, _, _ in done[OURS]]
        for name, all_s in done.items():
            wall_s, cpu_s, n_bytes = map(statistics.median, zip(*all_s, strict=True))
            ratios = [f[0] / b for f, b in zip(all_s, base, strict=True)]
            ratio = statistics.median(ratios)
            said.get(name, []).append(ratio)
            print(
                f"| {name} | {stack_bytes / wall_s / 1e6:.0f} | {cpu_s * 1e3:.1f} | "
                f"{n_bytes / 1e6:.2f} | {ratio:.2f} |"
            )
    return [
        verdict(
            "At least 0.95 times as fast as writing and syncing uncompressed bytes",
            min(said[RAW]) >= 0.95,
            " and ".join(f"{ratio:.2f}" for ratio in said[RAW]),
        ),
        *(
            verdict(
                f"At least 8 times as fast as the {name}",
                min(said[name]) >= 8,
                " and ".join(f"{ratio:.1f}" for ratio in said[name]),
            )
            for name in PUBLIC
        ),
    ]


def verdict(promise: str, kept: bool, figures: str) -> str:  # noqa: FBT001  a fact
    """Return one line of what was promised, and what this run shows."""
    return f"- {promise}: {'kept' if kept else '**not kept in this run**'}, {figures}."


def labels(root: Path, rounds: int) -> Said:
    """Print what one label image of 1024 x 1024 costs."""
    _, image = synthetic_stack((1024, 1024), 300, seed=1)
    print("\n### A label image, 1024 x 1024, 300 cells\n")
    print("| durability | p50 ms | p99 ms | best CPU ms | kB |")
    print("| --- | --- | --- | --- | --- |")
    medians, kept = [], True
    for durability in DURABILITIES:
        folder = Path(tempfile.mkdtemp(dir=root))
        writer = OmeZarrWriter(folder / "run", durability=durability)
        n = 60 * rounds
        writer.open(RunNeeds(n, (0,), ways.CHANNELS, (1024, 1024)), {})
        wall_ms, cpu_ms = [], []
        for number in range(n):
            cpu_s, start_s = time.process_time(), time.perf_counter()
            writer.store_labels("nuclei", 0, number, image)
            wall_ms.append((time.perf_counter() - start_s) * 1e3)
            cpu_ms.append((time.process_time() - cpu_s) * 1e3)
        file = next(folder.rglob("labels/nuclei/0/c.*"))
        p50, p99 = np.percentile(wall_ms[5:], [50, 99])
        size = file.stat().st_size / 1e3
        best = min(cpu_ms)
        medians.append(
            f"{p50:.1f} ms and {best:.1f} ms of processor time ({durability})"
        )
        kept = kept and best <= 3 and (durability != "process" or p50 <= 3)
        print(f"| {durability} | {p50:.2f} | {p99:.2f} | {best:.2f} | {size:.0f} |")
        shutil.rmtree(folder)
    return [verdict("A label image within 3 ms", kept, "; ".join(medians))]


def table(root: Path, rounds: int) -> Said:
    """Print what appending 300 cells x 30 columns costs as the table grows."""
    del rounds
    rng = np.random.default_rng(0)
    columns = {f"f{number:02d}": rng.random(300) for number in range(28)}
    cells = CellTable({"label": np.arange(300), "track_id": np.arange(300), **columns})
    print("\n### Appending 300 cells x 30 columns, ms\n")
    print("p50 / p99 / least processor time of 50 frames.\n")
    ends = (1, 100, 1000, 10_000)
    print("| durability | " + " | ".join(f"t = {t}" for t in ends) + " |")
    print("| --- |" + " --- |" * len(ends))
    worst = {}
    for durability in DURABILITIES:
        folder = Path(tempfile.mkdtemp(dir=root))
        writer = CellWriter(RunLayout(folder), {}, durability)
        taken_ms: list[float] = []
        cpu_ms: list[float] = []
        for timestep in range(max(ends) + 50):
            cpu_s, start_s = time.thread_time(), time.perf_counter()
            writer.append(0, timestep, cells)
            taken_ms.append((time.perf_counter() - start_s) * 1e3)
            cpu_ms.append((time.thread_time() - cpu_s) * 1e3)
        walls = [np.percentile(taken_ms[t : t + 50], [50, 99]) for t in ends]
        best = [min(cpu_ms[t : t + 50]) for t in ends]
        worst[durability] = max(best)
        row = " | ".join(
            f"{p50:.2f} / {p99:.2f} / {ms:.2f}"
            for (p50, p99), ms in zip(walls, best, strict=True)
        )
        print(f"| {durability} | {row} |")
        shutil.rmtree(folder)
    figures = " and ".join(f"{ms:.2f} ms ({name})" for name, ms in worst.items())
    figures = f"{figures} of processor time"
    promise = "Rows of 300 cells x 30 columns within 3 ms, at any length"
    return [verdict(promise, max(worst.values()) <= 3, figures)]


def caller(root: Path, rounds: int) -> Said:
    """Print how long handing over a stack takes at 25 frames a second."""
    stacks, n, pause_s = ways.stacks_of(1024), 100 * rounds, 0.04
    print("\n### Handing over 2 x 1024 x 1024 at 25 frames a second, ms\n")
    print("| what | p50 | p99 | longest |\n| --- | --- | --- | --- |")
    folder = Path(tempfile.mkdtemp(dir=root))
    writer = OmeZarrWriter(folder / "run", durability="power-loss")
    writer.open(ways.needs_of(stacks, n), {})
    recorder = Recorder(writer, RunClock(), lambda error: print(error))
    lock = threading.Lock()

    def hand_over(number: int) -> None:
        recorder.stack(Stack(stacks[number % 4], ways.CHANNELS, 0, number), {})

    def idle(number: int) -> None:
        with lock:
            del number

    p99 = 0.0
    for name, what in (("nothing, a lock is taken", idle), ("a stack", hand_over)):
        taken_ms = []
        for number in range(n):
            start_s = time.perf_counter()
            what(number)
            taken_ms.append((time.perf_counter() - start_s) * 1e3)
            time.sleep(max(0.0, pause_s - (time.perf_counter() - start_s)))
        p50, p99 = np.percentile(taken_ms, [50, 99])
        print(f"| {name} | {p50:.3f} | {p99:.3f} | {max(taken_ms):.3f} |")
    recorder.finish({}, 600.0)
    shutil.rmtree(folder)
    promise = "Handing over a stack with a p99 of at most 1 ms"
    return [verdict(promise, p99 <= 1, f"{p99:.3f} ms")]


PARTS: dict[str, Callable[[Path, int], Said]] = {
    "images": images,
    "labels": labels,
    "table": table,
    "caller": caller,
    "slow": slow,
    "mask": mask,
}


def tables(root: Path, rounds: int, parts: list[str]) -> None:
    """Print the tables, and what was promised."""
    cores = f"{os.cpu_count()} cores ({platform.machine()})"
    print(
        f"{cores}, Python {platform.python_version()}, {rounds} rounds. "
        f"The load was {load()} before",
        end="",
    )
    out = io.StringIO()
    said: Said = []
    with contextlib.redirect_stdout(out):
        for name in parts:
            said += PARTS[name](root, rounds)
            print(f"{name}: done", file=sys.stderr)
    print(f" and {load()} after; the benchmark itself is 1 to 2 of it.")
    print(out.getvalue())
    print("What was promised, and what this run shows:\n")
    print("\n".join(said))


def main() -> None:
    """Run the parts and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="On the disk to try.")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--write", type=Path, help="Page whose tables are replaced.")
    given = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="faro-storage-", dir=given.folder))
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out if given.write else sys.stdout):
            tables(root, given.rounds, given.only)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    if given.write:
        page = given.write.read_text(encoding="utf-8")
        before, after = page.partition(BEGIN)[0], page.partition(END)[2]
        text = f"{before}{BEGIN}\n\n{out.getvalue().strip()}\n\n{END}{after}"
        given.write.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
