"""A feedback run that is killed and gone on with, beside one that is not.

    python -m faro.testing.resume_trials FOLDER [LAYOUT] [MODE]

runs the experiment of `events` on the simulated microscope, or goes on with it where
the folder holds a run. What is taken is printed as it comes. `killed_run` ends such a
process by SIGKILL at given moments, and `differences` compares what is stored.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import filterfalse
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from faro.analysis import ErkKtrFeatures, OtsuSegmenter
from faro.control import PID, SetPoint
from faro.experiment import PowerChannel, RTMSequence
from faro.microscope.simulated import SimulatedMicroscope
from faro.run import Controller, ImageProcessingPipeline, RunLimits
from faro.run.dosing import is_dose
from faro.stimulation import ControlledLight
from faro.storage import OmeZarrWriter, OmeZarrWriterPlate, TiffWriter, open_run

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from faro.experiment import RTMEvent
    from faro.storage import Run

WRITERS: Final[dict[str, Any]] = {
    "collection": OmeZarrWriter,
    "plate": OmeZarrWriterPlate,
    "tiff": TiffWriter,
}
N_FOVS: Final = 3
N_TIMEPOINTS: Final = 12
INTERVAL_S: Final = 0.15
CELL_SECONDS: Final = 300.0
"""Seconds that the cells live in one second of the run."""
SEED: Final = 5
NAMES: Final = ("A1", "A2", "B1")


def events() -> tuple[RTMEvent, ...]:
    """Return a run with light at all timepoints but the first two."""
    places = [
        {"x": 1_000.0 * fov, "y": 0.0, "name": NAMES[fov]} for fov in range(N_FOVS)
    ]
    return tuple(
        RTMSequence(
            stage_positions=places,
            time_plan={"interval": INTERVAL_S, "loops": N_TIMEPOINTS},
            channels=[
                {"config": "miRFP", "exposure": 50},
                {"config": "mScarlet3", "exposure": 50},
            ],
            stim_channels=[PowerChannel("CyanStim", exposure=100, power=10)],
            stim_frames=range(2, N_TIMEPOINTS),
        )
    )


def pipeline() -> ImageProcessingPipeline:
    """Return a pipeline whose light depends on all that came before."""
    return ImageProcessingPipeline(
        segmenters=OtsuSegmenter(),
        features=ErkKtrFeatures(channel="mScarlet3"),
        stimulator=ControlledLight(PID(kp=0.8, ti_s=1.0), "cnr", SetPoint(1.4)),
    )


def carry_out(folder: Path, layout: str = "collection", mode: str = "current") -> None:
    """Run the experiment, or go on with it; tell of every frame as it is taken."""
    limits = RunLimits(n_workers=2)
    with SimulatedMicroscope(
        seed=SEED, image_shape=(128, 128), time_scale=CELL_SECONDS
    ) as microscope:
        microscope.connect_frame(_tell_frame)
        if not (folder / "run.json").exists():
            writer = WRITERS[layout](folder)
            controller = Controller(
                microscope, pipeline(), writer=writer, limits=limits
            )
            _tell("ready 0")
            controller.run_experiment(events(), stim_mode=mode)
        else:
            controller = Controller(microscope, pipeline(), limits=limits)
            asked_s = time.perf_counter()
            controller.notices.acquiring.connect(
                lambda *_: _tell(f"ready {time.perf_counter() - asked_s}")
            )
            controller.resume(folder, clock="keep")
    _tell("done")


def _tell_frame(_pixels: object, event: Any, _metadata: object) -> None:
    facts = event.metadata.get("faro", {})
    if facts.get("role") == "image":
        _tell(f"took {facts['fov']} {facts['timestep']}")


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@dataclass(slots=True)
class Killed:
    """What happened on the way to a complete run.

    Attributes
    ----------
    redone
        For each kill, the FOV-timepoints that were taken and are taken again.
    ready_s
        For each resume, the seconds until the first exposure.
    stages
        How far each process had come when it was killed.
    """

    redone: list[int] = field(default_factory=list)
    ready_s: list[float] = field(default_factory=list)
    stages: list[str] = field(default_factory=list)


class _Process:
    """A process that runs or goes on, and what it has told."""

    def __init__(self, folder: Path, layout: str, mode: str) -> None:
        module = [sys.executable, "-u", "-m", "faro.testing.resume_trials"]
        self._process = subprocess.Popen(
            [*module, str(folder), layout, mode], stdout=subprocess.PIPE, text=True
        )
        self.told: list[str] = []
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def wait_ready(self) -> None:
        self._ready.wait(60.0)

    def kill(self) -> None:
        self._process.kill()
        self.wait()

    def wait(self, timeout_s: float = 120.0) -> int:
        code = self._process.wait(timeout_s)
        self._thread.join()
        if self._process.stdout is not None:
            self._process.stdout.close()
        return code

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.endswith("\n"):
                self.told.append(line.rstrip("\n"))
            self._ready.set()
        self._ready.set()


def killed_run(
    folder: Path,
    kills: Sequence[float],
    layout: str = "collection",
    mode: str = "current",
) -> Killed:
    """Carry the run out in processes that are killed; return what happened.

    Parameters
    ----------
    kills
        Seconds after which each process is killed, from its first word on; less than 0
        kills it that long after its start instead.
    """
    killed = Killed()
    for pause_s in kills:
        process = _Process(folder, layout, mode)
        if pause_s >= 0:
            process.wait_ready()
        time.sleep(abs(pause_s))
        process.kill()
        killed.stages.append(process.told[-1] if process.told else "nothing")
        _note(killed, process, folder)
        if process.told and process.told[-1] == "done":
            return killed
    process = _Process(folder, layout, mode)
    if process.wait():
        message = f"the last process failed: {process.told}"
        raise RuntimeError(message)
    _note(killed, process, folder)
    return killed


def _note(killed: Killed, process: _Process, folder: Path) -> None:
    words = [line.split() for line in process.told]
    taken = {(int(w[1]), int(w[2])) for w in words if w[0] == "took"}
    stored: set[tuple[int, int]] = set()
    if (folder / "run.json").exists():
        stored = {
            (line["fov"], line["timestep"])
            for line in open_run(folder).journal
            if line["kind"] == "frame" and line["role"] == "image"
        }
    killed.redone.append(len(taken - stored))
    ready = [float(w[1]) for w in words if w[0] == "ready" and float(w[1])]
    killed.ready_s += ready[:1]


def differences(one: Path, other: Path) -> list[str]:
    """Return in what two runs differ: frames, labels, masks, rows; bit for bit."""
    first, second = open_run(one), open_run(other)
    found = [*_unlike(first, second), *_rows_unlike(first, second)]
    for run in (first, second):
        counted = Counter(
            (x["kind"], x["fov"], x["timestep"], x.get("role"))
            for x in run.journal
            if x["kind"] in ("frame", "cells")
        )
        found += [
            f"{run.path}: {k} told {n} times" for k, n in counted.items() if n > 1
        ]
    return found


def _unlike(first: Run, second: Run) -> Iterable[str]:
    names = sorted({*first.label_names, *second.label_names})
    for fov in range(N_FOVS):
        for timestep in range(N_TIMEPOINTS):
            place = fov, timestep
            if not np.array_equal(
                first.stack(*place).pixels, second.stack(*place).pixels
            ):
                yield f"images of fov {fov}, t {timestep}"
            for name in names:
                pair = [run.images.labels(name, *place) for run in (first, second)]
                lacking = [labels is None for labels in pair]
                if lacking == [True, True]:
                    continue
                if any(lacking) or not np.array_equal(pair[0], pair[1]):  # type: ignore[arg-type]  # none is None here
                    yield f"{name} of fov {fov}, t {timestep}"


def _rows_unlike(first: Run, second: Run) -> Iterable[str]:
    tables = [run.cells for run in (first, second)]
    orders = [np.lexsort((t["label"], t["timestep"], t["fov"])) for t in tables]
    if len(tables[0]) != len(tables[1]) or tables[0].names != tables[1].names:
        yield f"{len(tables[0])} and {len(tables[1])} rows"
        return
    for name in filterfalse(is_dose, tables[0].names):
        values = [t[name][order] for t, order in zip(tables, orders, strict=True)]
        if values[0].tobytes() != values[1].tobytes():
            yield f"column {name}"


if __name__ == "__main__":
    carry_out(Path(sys.argv[1]), *sys.argv[2:])
