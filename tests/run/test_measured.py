"""The time that a position takes is measured in a run and goes into batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from typer.testing import CliRunner

from faro.cli import app
from faro.errors import StorageError
from faro.experiment import check_fov_batching, needs
from faro.microscope.simulated import SimulatedMicroscope
from faro.model import HardwareFacts, Stack
from faro.run import Controller, time_per_fov_s
from faro.storage import OmeZarrWriter, open_run
from faro.testing.discs import disc_sequence

if TYPE_CHECKING:
    from pathlib import Path

    from faro.storage import Run

SHAPE = (8, 8)
PLAN = {"interval": 9, "loops": 3}


def recorded(path: Path, acquired_s: list[list[float]], interval_s: float) -> Run:
    """Return a run whose images were acquired at these times, by timepoint and fov."""
    plan = {"interval": interval_s, "loops": len(acquired_s)}
    dark = {"stim_channels": (), "stim_frames": ()}
    n_fovs = len(acquired_s[0])
    events = list(disc_sequence(len(acquired_s), n_fovs, time_plan=plan, **dark))
    writer = OmeZarrWriter(path, durability="process")
    writer.open(needs(events, HardwareFacts(image_shape=SHAPE)), {})
    for event in events:
        pixels = np.zeros((2, *SHAPE), np.uint16)
        pixels.setflags(write=False)
        place = event.fov, event.timestep
        at_s = acquired_s[event.timestep][event.fov]
        planned_s = event.min_start_time or 0.0
        names = tuple(c.config for c in event.channels)
        stack = Stack(pixels, names, *place, planned_s=planned_s, acquired_s=at_s)
        writer.store_stack(stack, {})
    writer.close({"reason": "completed"})
    return open_run(path)


def test_it_is_the_time_from_one_position_to_the_next(tmp_path: Path) -> None:
    times_s = [[1.0, 3.0, 5.0], [11.0, 13.0, 15.0], [21.0, 23.0, 25.5]]
    run = recorded(tmp_path / "run", times_s, interval_s=10)
    took_s = time_per_fov_s(run)
    assert took_s == pytest.approx(np.quantile([2] * 5 + [2.5], 0.95))
    assert check_fov_batching(disc_sequence(3, 4, time_plan=PLAN), took_s)
    said = CliRunner().invoke(app, ["info", str(run.path)]).output
    assert f"{took_s:.3g} s a position and timepoint" in " ".join(said.split())


def test_a_run_that_does_not_tell_says_so(tmp_path: Path) -> None:
    run = recorded(tmp_path / "run", [[1.0], [11.0]], interval_s=10)
    with pytest.raises(StorageError, match="Give a run with several positions"):
        time_per_fov_s(run)
    said = CliRunner().invoke(app, ["info", str(run.path)]).output
    assert "a position and timepoint" not in said


def test_a_simulated_run_tells_its_exposures(tmp_path: Path) -> None:
    dark = {"stim_channels": (), "stim_frames": ()}
    channels = [{"config": n, "exposure": 30} for n in ("miRFP", "mScarlet3")]
    events = disc_sequence(2, 3, channels=channels, **dark)
    with SimulatedMicroscope(image_shape=(64, 64), real_time_exposure=True) as rig:
        writer = OmeZarrWriter(tmp_path / "run")
        assert Controller(rig, writer=writer).run_experiment(events).completed
    assert time_per_fov_s(open_run(writer.path)) >= 0.06
