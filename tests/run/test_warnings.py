"""What is only a warning: said, recorded, and the run starts."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from faro.experiment import Channel, RTMSequence
from faro.experiment.document import StepTimes
from faro.run import Controller

if TYPE_CHECKING:
    import pytest

    from faro.testing.canned import CannedMicroscope
    from faro.testing.memory import MemorySink

SEQUENCE = RTMSequence(
    channels=[Channel("miRFP", 10)], time_plan={"interval": 0.05, "loops": 3}
)


def test_a_schedule_that_cannot_be_kept_is_a_warning(
    microscope: CannedMicroscope, sink: MemorySink, caplog: pytest.LogCaptureFixture
) -> None:
    slow = StepTimes(frame_s=0.2)
    controller = Controller(microscope, writer=sink, times=slow)
    (found,) = controller.validate_events(SEQUENCE)
    assert (found.where, found.severity) == ("time_plan", "warning")
    with caplog.at_level(logging.WARNING, logger="faro"):
        assert controller.run_experiment(SEQUENCE).completed
    assert str(found) in caplog.messages
    assert sink.description["warnings"] == [str(found)]


def test_without_times_frames_that_take_none_are_never_late(
    microscope: CannedMicroscope,
) -> None:
    assert Controller(microscope).validate_events(SEQUENCE) == []
