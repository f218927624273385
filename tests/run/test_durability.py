"""What a run outlives is decided by whether its devices are real."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from faro.microscope import MMDemo, PyMMCoreMicroscope, SimulatedMicroscope
from faro.run import Controller
from faro.storage import OmeZarrWriter, open_run
from faro.testing.canned import CannedMicroscope
from faro.testing.discs import SHAPE, disc_frame, disc_sequence

if TYPE_CHECKING:
    from pathlib import Path

    from faro.model import HardwareFacts


class RealLooking(CannedMicroscope):
    """A canned microscope that says its devices are real."""

    def facts(self) -> HardwareFacts:
        return replace(super().facts(), real_devices=True)


@pytest.mark.parametrize(
    ("asked", "kind", "expected"),
    [
        ({}, RealLooking, "power-loss"),
        ({}, CannedMicroscope, "process"),
        ({"durability": "process"}, RealLooking, "process"),
        ({"durability": "power-loss"}, CannedMicroscope, "power-loss"),
    ],
)
def test_real_devices_are_written_for_a_power_cut_by_default(
    tmp_path: Path,
    asked: dict[str, Any],
    kind: type[CannedMicroscope],
    expected: str,
) -> None:
    microscope = kind(disc_frame, SHAPE)
    writer = OmeZarrWriter(tmp_path / "run", **asked)
    Controller(microscope, writer=writer).run_experiment(disc_sequence(1, 1))
    assert open_run(tmp_path / "run").info["durability"] == expected


@pytest.mark.parametrize("kind", [MMDemo, SimulatedMicroscope])
def test_simulated_devices_say_so(kind: Any) -> None:
    with kind() as microscope:
        assert not microscope.facts().real_devices


def test_what_micro_manager_drives_is_real_unless_it_says_otherwise() -> None:
    with MMDemo() as microscope:
        assert PyMMCoreMicroscope.facts(microscope).real_devices
