"""What `faro pack` does to a run of many files, though it is killed on the way.

    python benchmarks/pack.py [--positions 384] [--timepoints 1000] [--kills 3]

Writes a run of that many positions and timepoints with small two-channel stacks (what
counts here is the number of files), packs it in a process of its own that is killed at
random moments and begun again, and then reads every stack and compares it with the hash
that the journal has kept since it was written. The default takes some ten minutes and
needs 400,000 inodes.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from faro.model import RunNeeds, Stack
from faro.storage import OmeZarrWriter
from faro.storage.checking import verify

CHANNELS = ("nuclei", "reporter")
PACK = "import sys; from pathlib import Path; from faro.storage.packing import pack; {}"
ONCE = PACK.format("pack(Path(sys.argv[1]))")


def write(path: Path, positions: int, timepoints: int, size: int) -> float:
    """Write the run; return the seconds it took."""
    shape = size, size
    fovs = tuple(range(positions))
    needs = RunNeeds(timepoints, fovs, CHANNELS, shape, pixel_size_um=0.325)
    pixels = np.random.default_rng(0).integers(0, 4000, (2, *shape), np.uint16)
    writer = OmeZarrWriter(path, durability="process")
    started_s = time.perf_counter()
    writer.open(needs, {})
    for timestep in range(timepoints):
        for fov in range(positions):
            pixels[:, 0, 0] = fov, timestep
            writer.store_stack(Stack(pixels, CHANNELS, fov, timestep), {})
    writer.close({})
    return time.perf_counter() - started_s


def n_files(path: Path) -> int:
    """Return how many files a folder holds."""
    return sum(entry.is_file() for entry in path.rglob("*"))


def packed_with_kills(path: Path, kills: int, seed: int) -> tuple[list[float], float]:
    """Pack, killed some times; return after how many seconds, and the last one's."""
    rng, killed_s = random.Random(seed), []
    command = [sys.executable, "-c", ONCE, str(path)]
    for _ in range(kills):
        after_s = rng.uniform(1.0, 30.0)
        try:
            subprocess.run(command, check=True, timeout=after_s)
        except subprocess.TimeoutExpired:  # `run` has killed it then
            killed_s.append(after_s)
    started_s = time.perf_counter()
    subprocess.run(command, check=True)
    return killed_s, time.perf_counter() - started_s


def most_memory() -> str:
    """Return the most memory that one of the processes held."""
    most = "unknown"
    if sys.platform != "win32":
        import resource

        most_kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        most = f"{most_kb / 1e3:.0f} MB"
    return most


def main() -> None:
    """Write, pack, verify, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("positions", 384), ("timepoints", 1000), ("size", 16)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=None)
    given = parser.parse_args()
    root = Path(tempfile.mkdtemp(dir=given.folder))
    path = root / "run"
    try:
        wrote_s = write(path, given.positions, given.timepoints, given.size)
        before = n_files(path)
        killed_s, last_s = packed_with_kills(path, given.kills, given.seed)
        after, findings = n_files(path), verify(path)
    finally:
        shutil.rmtree(root)
    print("| what | figure |\n| --- | --- |")
    print(f"| positions x timepoints | {given.positions} x {given.timepoints} |")
    print(f"| written in | {wrote_s:.0f} s |")
    print(f"| files before, after | {before}, {after} |")
    print(f"| killed after | {', '.join(f'{s:.0f} s' for s in killed_s)} |")
    print(f"| the last attempt took | {last_s:.0f} s |")
    print(f"| most memory of an attempt | {most_memory()} |")
    print(f"| found wrong by verify | {len(findings)} |")
    for finding in findings[:10]:
        print(f"  {finding}")
    if findings:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
