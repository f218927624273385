"""A pipeline that finds no cells: for light that needs none, else refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from faro.analysis import ErkKtrFeatures
from faro.errors import RefusedError
from faro.run import Controller, ImageProcessingPipeline
from faro.run.rehearsal import rehearse
from faro.stimulation import PercentageOfCell, WholeField
from faro.testing.canned import CannedMicroscope
from faro.testing.discs import SHAPE, disc_frame, disc_sequence
from faro.testing.memory import MemorySink

if TYPE_CHECKING:
    from pathlib import Path

    from faro.microscope.dmd import DMD

PRESETS = ("miRFP", "mScarlet3", "CyanStim")


def test_light_that_needs_no_cells_is_given(dmd: DMD, tmp_path: Path) -> None:
    microscope = CannedMicroscope(disc_frame, SHAPE, PRESETS, dmd=dmd)
    sink = MemorySink(tmp_path)
    pipeline = ImageProcessingPipeline([], stimulator=WholeField())
    controller = Controller(microscope, pipeline, writer=sink)
    assert controller.validate_events(disc_sequence(3, 2)) == []
    summary = controller.run_experiment(disc_sequence(3, 2))
    assert (summary.completed, summary.n_errors) == (True, 0)
    assert (summary.n_stimulated, summary.n_skipped) == (4, 0)
    assert not sink.labels


@pytest.mark.parametrize(
    ("parts", "where"),
    [
        ({"stimulator": PercentageOfCell()}, "pipeline/stimulator"),
        ({"stimulator": lambda _: True}, "pipeline/stimulator"),
        (
            {"stimulators": {"CyanStim": PercentageOfCell()}},
            "pipeline/stimulators/CyanStim",
        ),
        ({"features": ErkKtrFeatures("mScarlet3")}, "pipeline/features"),
        (
            {"reference_features": ErkKtrFeatures("mScarlet3")},
            "pipeline/reference_features",
        ),
    ],
)
def test_what_needs_cells_is_refused_by_name(parts: dict[str, Any], where: str) -> None:
    fix = f"{where}: it needs cells, and there is no segmenter. Give a segmenter, or"
    with pytest.raises(RefusedError, match=fix):
        ImageProcessingPipeline([], **parts)


class Odd:
    """Answers with what no pipeline expects."""

    name = "odd"
    use_channel = 0

    @property
    def labels_of(self) -> object:
        message = "half a cell"
        raise ZeroDivisionError(message)


def test_a_rehearsal_that_breaks_down_is_a_problem(dmd: DMD) -> None:
    microscope = CannedMicroscope(disc_frame, SHAPE, PRESETS, dmd=dmd)
    pipeline = ImageProcessingPipeline([])
    pipeline.segmenters = (Odd(),)  # type: ignore[assignment]  # no component at all
    found = rehearse(pipeline, list(disc_sequence()), microscope.facts())
    assert [p.where for p in found] == ["pipeline"]
    assert "could not be tried: ZeroDivisionError: half a cell" in found[0].what
