"""What a notebook makes again and again is gone when it was closed."""

from __future__ import annotations

import gc
import time
import weakref
from typing import TYPE_CHECKING, Any

from faro import Controller, RTMSequence, SimulatedMicroscope

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest

RUNS = 3


def one_run() -> tuple[weakref.ref[Any], ...]:
    """Return microscope, core and controller of a run that was closed."""
    plan = {"interval": 0, "loops": 2}
    channels = [{"config": "miRFP", "exposure": 1}]
    sequence = RTMSequence(stage_positions=[(0, 0)], time_plan=plan, channels=channels)
    with SimulatedMicroscope(seed=1) as microscope:
        controller = Controller(microscope)
        controller.run_experiment(sequence)
        controller.finish_experiment()
    return (
        weakref.ref(microscope),
        weakref.ref(microscope.mmc),
        weakref.ref(controller),
    )


def alive(runs: Iterable[tuple[weakref.ref[Any], ...]]) -> list[str]:
    """Return what is still there of runs."""
    gc.collect()
    return [type(it).__name__ for run in runs for ref in run if (it := ref())]


def test_microscope_core_and_controller_of_earlier_runs_are_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A core that stays keeps its threads; Python cannot collect a ring through it."""
    monkeypatch.setattr("faro.run.notices.IDLE_S", 0.01)
    runs = [one_run() for _ in range(RUNS)]
    earlier, deadline_s = runs[:-1], time.monotonic() + 30.0
    while alive(earlier) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert alive(earlier) == []
