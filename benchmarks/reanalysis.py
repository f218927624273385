"""How fast stored runs are analysed again, by one process and by two.

Run ``python benchmarks/reanalysis.py [--fovs N] [--timepoints T] [--rounds R]``.

Two workers on one run of N positions, against two processes that know nothing of each
other and have half of the positions each; interleaved, median of R rounds. Promised is
0.9 of their throughput. And the cost of a frame in a run of many timepoints against one
of a fifth, in one process: it does not grow.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from faro.experiment import Channel, RTMEvent, needs
from faro.model import HardwareFacts, Stack
from faro.reanalysis import LocalProcesses, reanalyze
from faro.storage import OmeZarrWriter
from faro.testing.movie import synthetic_stack

SHAPE, N_CELLS = (512, 512), 75
CHANNELS = ("miRFP", "mScarlet3")
PIPELINE = """
[[pipeline.segmenters]]
component = "LocalThresholdSegmenter"
[[pipeline.features]]
component = "ErkKtrFeatures"
parameters = { channel = "mScarlet3" }
[pipeline.stimulator]
component = "PercentageOfCell"
parameters = { fraction = 0.3, direction = [-1, 0] }
"""
ALONE = "import sys; from faro.reanalysis import reanalyze; reanalyze(*sys.argv[1:])"


def recorded(path: Path, fovs: range, timepoints: int) -> Path:
    """Write a run; its cells drift by a pixel a frame."""
    events = [
        RTMEvent(
            index={"t": t, "p": p},
            channels=[Channel(name, 50) for name in CHANNELS],
            stim_channels=[Channel("CyanStim", 100)],
            min_start_time=60.0 * t,
        )
        for t in range(timepoints)
        for p in fovs
    ]
    writer = OmeZarrWriter(path, durability="process")
    facts = HardwareFacts(image_shape=SHAPE, pixel_size_um=0.65)
    said = {"experiment": [e.words() for e in events], "stim_mode": "current"}
    writer.open(needs(events, facts), said)
    for fov in fovs:
        pixels, _ = synthetic_stack(SHAPE, N_CELLS, seed=fov)
        for t in range(timepoints):
            moved = pixels[:, :, (range(-t, SHAPE[1] - t))].copy()
            moved.setflags(write=False)
            writer.store_stack(Stack(moved, CHANNELS, fov, t, planned_s=60.0 * t), {})
    writer.close({"reason": "completed"})
    return path


def with_workers(source: Path, pipeline: Path, out: Path, n_workers: int) -> float:
    """Return the seconds that one re-analysis with workers takes, with their start."""
    started_s = time.perf_counter()
    done = reanalyze(source, pipeline, out, engine=LocalProcesses(n_workers))
    taken_s = time.perf_counter() - started_s
    if not done.completed:
        message = f"not completed: {done}"
        raise RuntimeError(message)
    shutil.rmtree(out)
    return taken_s


def independent(sources: list[Path], pipeline: Path, folder: Path) -> float:
    """Return the seconds until processes of their own have done a source each."""
    started_s = time.perf_counter()
    running = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                ALONE,
                str(source),
                str(pipeline),
                str(folder / f"alone{i}"),
            ]
        )
        for i, source in enumerate(sources)
    ]
    if any(process.wait() for process in running):
        message = "a process failed"
        raise RuntimeError(message)
    taken_s = time.perf_counter() - started_s
    for i in range(len(sources)):
        shutil.rmtree(folder / f"alone{i}")
    return taken_s


def throughput(
    folder: Path, pipeline: Path, fovs: int, timepoints: int, rounds: int
) -> None:
    """Print frames a second of two workers, and of two independent processes."""
    whole = recorded(folder / "whole", range(fovs), timepoints)
    half = fovs // 2
    halves = [
        recorded(folder / "left", range(half), timepoints),
        recorded(folder / "right", range(half, fovs), timepoints),
    ]
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(with_workers(whole, pipeline, folder / "out", 2))
        theirs.append(independent(halves, pipeline, folder))
    n_frames = fovs * timepoints
    fast, plain = (
        n_frames / statistics.median(ours),
        n_frames / statistics.median(theirs),
    )
    ratios = sorted(t / o for o, t in zip(ours, theirs, strict=True))
    size = f"{SHAPE[0]} x {SHAPE[1]} x 2, {N_CELLS} cells"
    print(f"{fovs} positions x {timepoints} timepoints, {size}")
    print("| | FOV-frames/s |\n| --- | --- |")
    print(f"| `--workers 2` | {fast:.1f} |")
    print(f"| two independent processes | {plain:.1f} |")
    spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
    print(f"ratio {statistics.median(ratios):.2f} ({spread}); promised 0.9")


def flatness(folder: Path, pipeline: Path, timepoints: int) -> None:
    """Print the cost of a frame in a long run against a short one."""
    costs = {}
    for name, n in (("short", timepoints // 5), ("long", timepoints)):
        source = recorded(folder / name, range(1), n)
        taken = []
        for _ in range(3):
            started_s = time.process_time()
            done = reanalyze(source, pipeline, folder / "out")
            taken.append(time.process_time() - started_s)
            shutil.rmtree(done.path)
        costs[name] = (min(taken), n)
    (short_s, few), (long_s, many) = costs["short"], costs["long"]
    slope_s = (long_s - short_s) / (many - few)
    print(f"CPU per frame {1e3 * short_s / few:.1f} ms at {few} timepoints, ", end="")
    print(
        f"{1e3 * long_s / many:.1f} ms at {many}; {1e3 * slope_s:.1f} ms for one more"
    )


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--fovs", type=int, default=8)
    parser.add_argument("--timepoints", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pipeline = folder / "pipeline.toml"
        pipeline.write_text(PIPELINE, encoding="utf-8")
        throughput(folder, pipeline, asked.fovs, asked.timepoints, asked.rounds)
        flatness(folder, pipeline, 5 * asked.timepoints)


if __name__ == "__main__":
    main()
