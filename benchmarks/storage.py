"""Speed of storing, each way beside the others, interleaved in one run.

    python benchmarks/storage.py [--rounds 5] [--folder DIR] [--only images ...]

`images`: durable writing of two-channel stacks of realistic cells. "ours" is the writer
of a run behind its two writer threads, every stack synced and in the journal before it
counts. "write + fsync" is one file of the uncompressed bytes per stack. The ways of the
public FARO project are written out here: a TIFF per frame with zlib, and zarr-python
with one shard per stack and its default zstd; both as they are, not synced, and synced.
`labels`, `table`, `caller`: what a label image, the rows of a frame, and the loop that
hands a stack over have to pay. Figures are medians of the rounds; ratios are of the
same round. Shared disks are noisy: compare within a table only.
"""

from __future__ import annotations

import argparse
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
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import tifffile
import zarr

from faro.model import CellTable, RunNeeds, Stack
from faro.run.clock import RunClock
from faro.run.recorder import Recorder
from faro.storage import OmeZarrWriter
from faro.storage.layout import RunLayout
from faro.storage.tables import CellWriter
from faro.testing.movie import synthetic_stack

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from faro.storage.disk import Durability

CHANNELS = ("nuclei", "reporter")
STACK_MB = 350
"""Megabytes of stacks per way and round."""
ROLLS = (0, 3, 7, 12)
Stacks: TypeAlias = "list[npt.NDArray[np.uint16]]"


def stacks_of(size: int) -> Stacks:
    """Return stacks (C, Y, X) of cells; a stack in memory is written several times."""
    pixels, _ = synthetic_stack((size, size), 300, seed=1)
    return [np.ascontiguousarray(np.roll(pixels, roll, axis=2)) for roll in ROLLS]


def needs_of(stacks: Stacks, n: int) -> RunNeeds:
    """Return what a run of such stacks needs."""
    shape = (int(stacks[0].shape[1]), int(stacks[0].shape[2]))
    return RunNeeds(n, (0,), CHANNELS, shape, pixel_size_um=0.325)


def ours(stacks: Stacks, n: int, durability: Durability, folder: Path) -> None:
    """Hand over to the writer threads as a run does; all is acknowledged at the end."""
    writer = OmeZarrWriter(folder / "run", durability=durability)
    writer.open(needs_of(stacks, n), {})
    failed: list[Exception] = []
    recorder = Recorder(writer, RunClock(), failed.append)
    for number in range(n):
        pixels = stacks[number % len(stacks)]
        recorder.stack(Stack(pixels, CHANNELS, 0, number), {})
    if not recorder.finish({}, 600.0) or failed:
        message = f"Writing failed: {failed}"
        raise SystemExit(message)


def plain(stacks: Stacks, n: int, folder: Path) -> None:
    """Write the bytes as they are, a file per stack, and sync it."""
    for number in range(n):
        with (folder / f"{number}.raw").open("wb", buffering=0) as file:
            file.write(stacks[number % len(stacks)].data)
            os.fsync(file.fileno())


def public_tiff(stacks: Stacks, n: int, folder: Path, *, sync: bool) -> None:
    """Write a TIFF per frame as the public FARO project does."""
    for number in range(n):
        path = folder / f"{number}.tiff"
        tifffile.imwrite(
            path,
            stacks[number % len(stacks)],
            compression="zlib",
            compressionargs={"level": 5},
        )
        if sync:
            sync_path(path)


def public_zarr(stacks: Stacks, n: int, folder: Path, *, sync: bool) -> None:
    """Write (t, p, c, y, x) with zarr-python, a shard per stack, its default zstd."""
    _, height, width = stacks[0].shape
    array: Any = zarr.create_array(
        folder / "raw.zarr",
        shape=(n, 1, len(CHANNELS), height, width),
        chunks=(1, 1, 1, height, width),
        shards=(1, 1, len(CHANNELS), height, width),
        dtype="uint16",
    )
    for number in range(n):
        array[number, 0] = stacks[number % len(stacks)]
        if sync:
            sync_path(folder / "raw.zarr" / "c" / str(number) / "0" / "0" / "0" / "0")


def sync_path(path: Path) -> None:
    """Return when a file is on the device."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def settle() -> None:
    """Return when nothing of the way before waits for the device."""
    if sys.platform != "win32":
        os.sync()


def load() -> str:
    """Return how busy the machine is."""
    said = ""
    if sys.platform != "win32":
        said = f", load {os.getloadavg()[0]:.1f}"
    return said


def measured(root: Path, way: Callable[[Path], None]) -> tuple[float, float, int]:
    """Return seconds, CPU seconds and bytes on disk of one way of writing."""
    folder = Path(tempfile.mkdtemp(dir=root))
    settle()
    cpu_s, start_s = time.process_time(), time.perf_counter()
    way(folder)
    wall_s, cpu_s = time.perf_counter() - start_s, time.process_time() - cpu_s
    n_bytes = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    shutil.rmtree(folder)
    return wall_s, cpu_s, n_bytes


def images(root: Path, rounds: int) -> None:
    """Print the table of durable writing of stacks."""
    for size in (1024, 2048):
        stacks = stacks_of(size)
        stack_bytes = stacks[0].nbytes
        n = max(8, int(STACK_MB * 1e6 / stack_bytes))
        few = max(4, n // 6)  # the slow ways get fewer stacks; figures are per stack
        ways: dict[str, Callable[[Path], None]] = {
            "**ours, power-loss**": partial(ours, stacks, n, "power-loss"),
            "ours, process": partial(ours, stacks, n, "process"),
            "write + fsync, uncompressed": partial(plain, stacks, n),
            "public: TIFF zlib": partial(public_tiff, stacks, few, sync=False),
            "public: zarr zstd": partial(public_zarr, stacks, few, sync=False),
            "public: TIFF zlib, synced": partial(public_tiff, stacks, few, sync=True),
            "public: zarr zstd, synced": partial(public_zarr, stacks, few, sync=True),
        }
        done: dict[str, list[tuple[float, float, float]]] = {w: [] for w in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                count = few if name.startswith("public") else n
                wall_s, cpu_s, n_bytes = measured(root, way)
                done[name].append((wall_s / count, cpu_s / count, n_bytes / count))
        print(f"\n### 2 x {size} x {size} uint16, {stack_bytes / 1e6:.1f} MB a stack\n")
        print(
            "| way | MB/s | CPU ms a stack | MB on disk a stack | ours is faster by |"
        )
        print("| --- | --- | --- | --- | --- |")
        base = [wall for wall, _, _ in done["**ours, power-loss**"]]
        for name, found in done.items():
            wall_s, cpu_s, n_bytes = (
                statistics.median(x) for x in zip(*found, strict=True)
            )
            ratios = [f[0] / b for f, b in zip(found, base, strict=True)]
            print(
                f"| {name} | {stack_bytes / wall_s / 1e6:.0f} | {cpu_s * 1e3:.1f} | "
                f"{n_bytes / 1e6:.2f} | {statistics.median(ratios):.2f} |"
            )
        sys.stdout.flush()


def labels(root: Path, rounds: int) -> None:
    """Print what one label image of 1024 x 1024 costs."""
    _, image = synthetic_stack((1024, 1024), 300, seed=1)
    print("\n### A label image, 1024 x 1024, 300 cells\n")
    print("| durability | p50 ms | p99 ms | best CPU ms | kB |")
    print("| --- | --- | --- | --- | --- |")
    durabilities: tuple[Durability, ...] = ("process", "power-loss")
    for durability in durabilities:
        folder = Path(tempfile.mkdtemp(dir=root))
        writer = OmeZarrWriter(folder / "run", durability=durability)
        n = 60 * rounds
        writer.open(RunNeeds(n, (0,), CHANNELS, (1024, 1024)), {})
        wall_ms, cpu_ms = [], []
        for number in range(n):
            cpu_s, start_s = time.process_time(), time.perf_counter()
            writer.store_labels("nuclei", 0, number, image)
            wall_ms.append((time.perf_counter() - start_s) * 1e3)
            cpu_ms.append((time.process_time() - cpu_s) * 1e3)
        file = next(folder.rglob("labels/nuclei/0/c.*"))
        p50, p99 = np.percentile(wall_ms[5:], [50, 99])
        size = file.stat().st_size / 1e3
        print(
            f"| {durability} | {p50:.2f} | {p99:.2f} | {min(cpu_ms):.2f} | {size:.0f} |"
        )
        shutil.rmtree(folder)


def table(root: Path, rounds: int) -> None:
    """Print what appending 300 cells x 30 columns costs as the table grows."""
    del rounds
    rng = np.random.default_rng(0)
    columns = {f"f{number:02d}": rng.random(300) for number in range(28)}
    cells = CellTable({"label": np.arange(300), "track_id": np.arange(300), **columns})
    print("\n### Appending 300 cells x 30 columns, ms (p50 / p99 of 50 frames)\n")
    ends = (1, 100, 1000, 10_000)
    print("| durability | " + " | ".join(f"t = {t}" for t in ends) + " |")
    print("| --- |" + " --- |" * len(ends))
    durabilities: tuple[Durability, ...] = ("process", "power-loss")
    for durability in durabilities:
        folder = Path(tempfile.mkdtemp(dir=root))
        writer = CellWriter(RunLayout(folder), {}, durability)
        taken_ms: list[float] = []
        for timestep in range(max(ends) + 50):
            start_s = time.perf_counter()
            writer.append(0, timestep, cells)
            taken_ms.append((time.perf_counter() - start_s) * 1e3)
        found = [np.percentile(taken_ms[t : t + 50], [50, 99]) for t in ends]
        print(
            f"| {durability} | "
            + " | ".join(f"{a:.2f} / {b:.2f}" for a, b in found)
            + " |"
        )
        shutil.rmtree(folder)


def caller(root: Path, rounds: int) -> None:
    """Print how long handing over a stack takes at 25 frames a second."""
    stacks, n, pause_s = stacks_of(1024), 100 * rounds, 0.04
    print("\n### Handing over 2 x 1024 x 1024 at 25 frames a second, ms\n")
    print("| what | p50 | p99 | longest |\n| --- | --- | --- | --- |")
    folder = Path(tempfile.mkdtemp(dir=root))
    writer = OmeZarrWriter(folder / "run", durability="power-loss")
    writer.open(needs_of(stacks, n), {})
    recorder = Recorder(writer, RunClock(), lambda error: print(error))
    lock = threading.Lock()

    def hand_over(number: int) -> None:
        recorder.stack(Stack(stacks[number % 4], CHANNELS, 0, number), {})

    def idle(number: int) -> None:
        with lock:
            del number

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


PARTS: dict[str, Callable[[Path, int], None]] = {
    "images": images,
    "labels": labels,
    "table": table,
    "caller": caller,
}


def main() -> None:
    """Run the parts and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="On the disk to try.")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    given = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="faro-storage-", dir=given.folder))
    print(f"{os.cpu_count()} cores ({platform.machine()}), Python ", end="")
    print(f"{platform.python_version()}{load()}, {given.rounds} rounds")
    try:
        for name in given.only:
            PARTS[name](root, given.rounds)
    finally:
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
