"""Ways of storing stacks, to be measured beside each other.

Each is begun, which is not measured, and then writes: what it returns from is stored,
and synced where it says so. The public FARO project's ways are written out here: a TIFF
per frame with zlib; one zarr array (t, p, c, y, x) by zarr-python, preallocated, with a
shard per stack and its default zstd. Both write one frame after the other, as its one
storage thread does. Synced, they do what it takes for a file to outlive a power cut:
the file and the folder that names it go to the device.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import tifffile
import zarr

from faro.model import RunNeeds, Stack
from faro.run.clock import RunClock
from faro.run.recorder import Recorder
from faro.run.writing import N_THREADS
from faro.storage import OmeZarrWriter
from faro.system.disk import sync_folder
from faro.testing.movie import synthetic_stack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy.typing as npt

    from faro.storage.disk import Durability

CHANNELS: Final = ("nuclei", "reporter")
ROLLS: Final = (0, 3, 7, 12)
Stacks: TypeAlias = "list[npt.NDArray[np.uint16]]"
Writing: TypeAlias = "tuple[Callable[[], None], Callable[[], None]]"
"""Writes all and returns when it is stored; tidies up."""


def stacks_of(size: int) -> Stacks:
    """Return stacks (C, Y, X) of cells; a stack in memory is written several times."""
    pixels, _ = synthetic_stack((size, size), 300, seed=1)
    return [np.ascontiguousarray(np.roll(pixels, roll, axis=2)) for roll in ROLLS]


def needs_of(stacks: Stacks, n: int) -> RunNeeds:
    """Return what a run of such stacks needs."""
    shape = (int(stacks[0].shape[1]), int(stacks[0].shape[2]))
    return RunNeeds(n, (0,), CHANNELS, shape, pixel_size_um=0.325)


def ours(stacks: Stacks, n: int, durability: Durability, folder: Path) -> Writing:
    """Hand over to the writer threads as a run does; done when all is acknowledged."""
    writer = OmeZarrWriter(folder / "run", durability=durability)
    writer.open(needs_of(stacks, n), {})
    failed: list[Exception] = []
    recorder = Recorder(writer, RunClock(), failed.append)

    def write() -> None:
        for number in range(n):
            pixels = stacks[number % len(stacks)]
            recorder.stack(Stack(pixels, CHANNELS, 0, number), {})
        while recorder.queued_bytes and not failed:
            time.sleep(0.0005)

    def finish() -> None:
        if not recorder.finish({}, 600.0) or failed:
            message = f"Writing failed: {failed}"
            raise SystemExit(message)

    return write, finish


def plain(stacks: Stacks, n: int, folder: Path) -> Writing:
    """Write the bytes as they are, a file per stack, and sync it."""
    return lambda: _files([s.data for s in stacks], range(n), folder), _nothing


def compressed(stacks: Stacks, n: int, folder: Path) -> Writing:
    """Write what our writer makes of the stacks, ready-made, and sync it.

    As many threads as a run has: what is left is the disk alone.
    """
    begun, finish = ours(stacks, len(stacks), "process", folder)
    begun()
    finish()
    made = [path.read_bytes() for path in sorted(folder.rglob("0/c.*"))]

    def write() -> None:
        with ThreadPoolExecutor(N_THREADS) as pool:
            parts = [range(first, n, N_THREADS) for first in range(N_THREADS)]
            list(pool.map(lambda part: _files(made, part, folder), parts))

    return write, _nothing


def public_tiff(stacks: Stacks, n: int, folder: Path, *, sync: bool) -> Writing:
    """Write a TIFF per frame as the public FARO project does."""

    def write() -> None:
        for number in range(n):
            path = folder / f"000_{number:05d}.tiff"
            tifffile.imwrite(
                path,
                stacks[number % len(stacks)],
                compression="zlib",
                compressionargs={"level": 5},
            )
            if sync:
                sync_path(path)

    return write, _nothing


def public_zarr(stacks: Stacks, n: int, folder: Path, *, sync: bool) -> Writing:
    """Write (t, p, c, y, x) with zarr-python as the public FARO project does."""
    _, height, width = stacks[0].shape
    array: Any = zarr.open_group(folder / "raw.zarr", mode="w").create_array(
        "0",
        shape=(n, 1, len(CHANNELS), height, width),
        chunks=(1, 1, 1, height, width),
        shards=(1, 1, len(CHANNELS), height, width),
        dtype="uint16",
        fill_value=0,
        chunk_key_encoding={"name": "v2", "separator": "."},
    )

    def write() -> None:
        for number in range(n):
            array[number, 0, :, :, :] = stacks[number % len(stacks)]
            if sync:
                sync_path(folder / "raw.zarr" / "0" / f"{number}.0.0.0.0")

    return write, _nothing


def sync_path(path: Path) -> None:
    """Return when a file, and its name, are on the device."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
    sync_folder(path.parent)


def _files(contents: list[Any], numbers: range, folder: Path) -> None:
    """Write files of the contents in turn, each synced."""
    for number in numbers:
        with (folder / f"{number}.raw").open("wb", buffering=0) as file:
            file.write(contents[number % len(contents)])
            os.fsync(file.fileno())


def _nothing() -> None:
    """Tidy nothing up."""
