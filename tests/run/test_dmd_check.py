"""A spot before a run: a DMD that is off fires no mask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from faro import SimulatedMicroscope
from faro.errors import RefusedError
from faro.experiment import Channel, PowerChannel, RTMSequence
from faro.microscope.dmd import DMD
from faro.run import Controller, ImageProcessingPipeline, RunLimits
from faro.stimulation import PercentageOfCell
from faro.testing.discs import disc_sequence

if TYPE_CHECKING:
    from faro.testing.canned import CannedMicroscope
    from faro.testing.memory import MemorySink

LIMITS = RunLimits(check_dmd=True)
EVENTS = RTMSequence(
    time_plan={"interval": 0.01, "loops": 2},
    channels=[Channel("miRFP", 50)],
    stim_channels=[PowerChannel("CyanStim", 50, power=20)],
    stim_frames=range(2),
)

IMAGES = EVENTS.replace(stim_channels=(), stim_frames=())


def controller(rig: Any, stimulator: Any = None, **more: Any) -> Controller:
    light = stimulator or PercentageOfCell(0.3)
    return Controller(rig, ImageProcessingPipeline(stimulator=light), **more)


def shifted(rig: SimulatedMicroscope, off_px: float) -> DMD:
    affine = np.eye(3)
    affine[:2] = rig.bench.projector.camera_to_slm
    affine[:2, 2] += affine[:2, 0] * off_px
    shape = rig.bench.settings.slm_shape
    return DMD(shape, affine, camera_shape=rig.bench.settings.image_shape)


@pytest.mark.parametrize("off_px", [0.0, 1.0])
def test_a_dmd_that_is_right_is_told_in_the_record(
    off_px: float, sink: MemorySink
) -> None:
    with SimulatedMicroscope() as rig:
        rig.dmd = shifted(rig, off_px)
        controller(rig, writer=sink, limits=LIMITS).run_experiment(EVENTS)
    found = sink.description["dmd_check"]
    assert found["channel"] == "CyanStim"
    assert found["off_px"] == pytest.approx(off_px, abs=0.5)


def test_a_dmd_that_is_off_by_three_pixels_fires_nothing(sink: MemorySink) -> None:
    with SimulatedMicroscope() as rig:
        rig.dmd = shifted(rig, 3.0)
        with pytest.raises(RefusedError, match=r"A spot is [23]\.\d px off; 2 px"):
            controller(rig, writer=sink, limits=LIMITS).run_experiment(EVENTS)
        assert not rig.mmc.getShutterOpen()
        assert not rig.bench.light.pattern.any()
        assert (rig.truth().dose_ms > 0).sum() <= 3  # under the spot
    assert sink.kinds("stim_armed") == []


def test_nothing_is_lit_where_no_mask_is_fired_or_nobody_asks(
    sink: MemorySink,
) -> None:
    with SimulatedMicroscope() as rig:
        rig.dmd = shifted(rig, 30.0)
        Controller(rig, writer=sink, limits=LIMITS).run_experiment(IMAGES)
        controller(rig, limits=RunLimits()).run_experiment(EVENTS)
    assert "dmd_check" not in sink.description


def test_a_microscope_that_cannot_show_a_spot_is_told(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    class Plain:
        def __getattr__(self, name: str) -> Any:
            return getattr(microscope, name)

    light, plain = PercentageOfCell(0.3), Plain()
    with pytest.raises(RefusedError, match=r"check_dmd.*Plain cannot show a spot"):
        controller(plain, light, writer=sink, limits=LIMITS).run_experiment(
            disc_sequence(2, 1)
        )
