"""Segmentation in processes: a killed one costs nothing, one that hangs a frame."""

from __future__ import annotations

import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from faro.analysis import InWorkerProcess, OtsuSegmenter, WorkerProcesses
from faro.errors import RefusedError
from faro.run import Controller, ImageProcessingPipeline, RunLimits
from faro.run.processes import in_processes
from faro.testing.discs import disc_sequence, segment_discs

if TYPE_CHECKING:
    from pathlib import Path

    from faro.testing.canned import CannedMicroscope
    from faro.testing.memory import MemorySink

kills = pytest.mark.skipif(sys.platform == "win32", reason="kills as POSIX does")
PROCESSES = RunLimits(workers="processes", step_deadline_s=4.0)
REPLACED_S = 5.0
MODULE = '''
"""Finds discs; at two frames its process is killed, or hangs, once."""
import os, signal
from pathlib import Path
import numpy as np

def discs(pixels, *, folder):
    bright = pixels > 500
    t = int(np.flatnonzero(bright.any(axis=1))[0]) - 11
    fov = int(np.flatnonzero(bright.any(axis=0))[0]) - 11
    sign = {(0, 2): signal.SIGKILL, (1, 3): signal.SIGSTOP}.get((fov, t))
    if sign is not None:
        (Path(folder) / f"{fov}-{t}").write_text(str(os.getpid()))
        if not (Path(folder) / f"{fov}-{t}-again").exists():
            (Path(folder) / f"{fov}-{t}-again").touch()
            os.kill(os.getpid(), sign)
    return bright
'''


@kills
def test_a_killed_process_costs_nothing_and_one_that_hangs_its_frame(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    microscope: CannedMicroscope,
    sink: MemorySink,
) -> None:
    (tmp_path / "odd_discs.py").write_text(MODULE, encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        import odd_discs  # type: ignore[import-not-found]
    pipeline = ImageProcessingPipeline(
        partial(odd_discs.discs, folder=str(tmp_path)), stimulator=lambda _: True
    )
    controller = Controller(microscope, pipeline, writer=sink, limits=PROCESSES)
    began_s = time.monotonic()
    summary = controller.run_experiment(disc_sequence(6, 2))
    assert time.monotonic() - began_s < 5 * (PROCESSES.step_deadline_s + REPLACED_S)
    assert summary.completed
    assert summary.n_stacks == 12
    (error,) = controller.background_errors
    assert (error.fov, error.timestep, error.stage) == (1, 3, "segment/nuclei")
    assert "took over 3.6 s to segment an image" in error.message
    stored = {(fov, t) for name, fov, t in sink.labels if name == "nuclei"}
    places = {(fov, t) for fov in range(2) for t in range(6)}
    assert places - stored == {(1, 3)}
    for fov, t in stored:
        labels = sink.labels["nuclei", fov, t]
        pixels = next(
            s.plane(0)
            for s, _ in sink.stacks
            if (s.fov, s.timestep, str(s.role)) == (fov, t, "image")
        )
        np.testing.assert_array_equal(labels > 0, segment_discs(pixels))
    fired = {(f.fov, f.timestep) for f in microscope.fired}
    assert fired == {(fov, t) for fov, t in places if t} - {(1, 3)}


class NotPlain:
    """A segmenter that only this process has."""

    def segment(self, pixels: Any) -> Any:
        return pixels > 0


def test_what_cannot_move_is_refused_by_name(microscope: CannedMicroscope) -> None:
    pipeline = ImageProcessingPipeline([NotPlain(), lambda pixels: pixels > 5])
    with pytest.raises(RefusedError) as refused:
        Controller(microscope, pipeline, limits=PROCESSES)
    assert [p.where for p in refused.value.problems] == [
        "pipeline/segmenters/nuclei",
        "pipeline/segmenters/labels_1",
    ]
    assert 'workers = "threads"' in str(refused.value)


class OnGpu(OtsuSegmenter):
    """A model that a GPU holds."""

    device = "cuda"


def test_models_on_a_gpu_have_one_process_and_the_record_says_the_model() -> None:
    remote, gpu = InWorkerProcess(OtsuSegmenter()), OnGpu()
    methods = [OtsuSegmenter(), gpu, remote]
    pipeline = ImageProcessingPipeline(methods)
    moved = in_processes(pipeline, PROCESSES)
    one, other, last = (method.segmenter for method in moved.segmenters)
    assert isinstance(one, WorkerProcesses)
    assert isinstance(other, InWorkerProcess)
    assert last is remote
    assert moved.describe()["segmenters"][0] == pipeline.describe()["segmenters"][0]
    assert in_processes(pipeline, RunLimits()) is pipeline
