"""A learned segmenter in a run: what it lacks is said before any light."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from faro.analysis import InWorkerProcess, OnnxSegmenter, OtsuSegmenter
from faro.experiment import Channel, RTMSequence
from faro.run import Controller, ImageProcessingPipeline

if TYPE_CHECKING:
    from faro.testing.canned import CannedMicroscope

SEQUENCE = RTMSequence(
    channels=[Channel("miRFP", 10)], time_plan={"interval": 0.05, "loops": 1}
)


@pytest.mark.parametrize("in_worker", [True, False])
def test_missing_weights_refuse_the_run_with_the_remedy(
    microscope: CannedMicroscope, *, in_worker: bool
) -> None:
    segmenter = OnnxSegmenter("no-such-network.onnx", in_worker=in_worker)
    pipeline = ImageProcessingPipeline(segmenter)
    (problem,) = Controller(microscope, pipeline).validate_events(SEQUENCE)
    assert problem.where == "pipeline/segmenters/nuclei"
    assert "There are no weights 'no-such-network.onnx'" in problem.what
    assert problem.remedy.startswith("Put them at")


def test_a_worker_is_warm_after_the_check(microscope: CannedMicroscope) -> None:
    worker = InWorkerProcess(OtsuSegmenter())
    pipeline = ImageProcessingPipeline(worker)
    assert Controller(microscope, pipeline).validate_events(SEQUENCE) == []
    assert len(worker.pids) == 1
    worker.close()


def test_the_record_says_which_segmenter_runs_where() -> None:
    pipeline = ImageProcessingPipeline(OnnxSegmenter("nuclei.onnx", n_threads=2))
    (told,) = pipeline.describe()["segmenters"]
    outer = told["component"]
    assert outer["component"] == "faro.analysis:InWorkerProcess"
    assert outer["parameters"]["n_threads"] == 2
    inner = outer["parameters"]["segmenter"]
    assert inner["component"] == "faro.analysis.learned.network:OnnxSegmenter"
    assert inner["parameters"]["path"] == "nuclei.onnx"
