"""A whole run on simulated cells in one call, and a response from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from faro.analysis import ErkKtrFeatures
from faro.errors import ContractError
from faro.experiment import Channel, PowerChannel, RTMSequence
from faro.run import ImageProcessingPipeline, fit_run, simulated_run
from faro.stimulation import RandomCells

if TYPE_CHECKING:
    from pathlib import Path


def test_a_run_gives_the_response_of_its_cells(tmp_path: Path) -> None:
    n = 20
    events = RTMSequence(
        time_plan={"interval": 0.02, "loops": n},
        channels=[Channel("miRFP", 50), Channel("mScarlet3", 50)],
        stim_channels=[PowerChannel("CyanStim", 100, power=5)],
        stim_frames=range(n),
    )
    loop = ImageProcessingPipeline(
        features=ErkKtrFeatures("mScarlet3"), stimulator=RandomCells(0.5, seed=1)
    )
    run = simulated_run(
        tmp_path / "run",
        events,
        loop,
        time_scale=3000,
        responses={"erk_ktr": {"mood_spread": 0.0}},
    )
    model = fit_run(run, "cnr", order=2)
    assert model == fit_run(run, "cnr", "CyanStim", order=2)
    assert 0.15 < model.gain < 0.6
    assert 0.4 < model.baseline < 0.7
    assert 60 < sum(model.time_constants_s) * 3000 < 900
    with pytest.raises(ContractError, match=r"no light of 'Red'.*lit by CyanStim"):
        fit_run(run, "cnr", "Red")
    with pytest.raises(ContractError, match="no 'speed'"):
        fit_run(run, "speed")
