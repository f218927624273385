"""Patterns are seen live, focus shows as sharpness; afterwards the sample is dark."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import pytest

from faro.errors import ContractError, HardwareError
from faro.experiment import PowerChannel
from faro.microscope import SimulatedMicroscope
from faro.microscope.dmd_live import all_off, all_on, checker_board, live

if TYPE_CHECKING:
    from collections.abc import Iterator

SLM = (300, 400)
LIGHT = PowerChannel("CyanStim", exposure=50, power=20)


@pytest.fixture
def microscope() -> Iterator[SimulatedMicroscope]:
    with SimulatedMicroscope(slm_shape=SLM) as opened:
        yield opened


def dark(microscope: SimulatedMicroscope) -> bool:
    light = microscope.bench.light
    return not (light.pattern.any() or light.shutter_open)


def test_what_is_shown_is_seen(microscope: SimulatedMicroscope) -> None:
    before = microscope.listeners.frame
    (lit,) = islice(live(microscope, LIGHT, all_on(SLM)), 1)
    (unlit,) = islice(live(microscope, LIGHT, all_off(SLM)), 1)
    (board,) = islice(live(microscope, LIGHT, checker_board(SLM)), 1)
    assert lit.pixels.mean() > 3 * unlit.pixels.mean()
    assert unlit.pixels.mean() < board.pixels.mean() < lit.pixels.mean()
    assert board.sharpness > 10 * lit.sharpness
    assert microscope.listeners.frame == before
    assert dark(microscope)


def test_the_sharpest_frame_is_in_focus(microscope: SimulatedMicroscope) -> None:
    places = (-12.0, -6.0, 0.0, 6.0, 12.0)
    sharpness = []
    for z_um in places:
        microscope.mmc.setPosition(z_um)
        for frame in live(microscope, LIGHT, checker_board(SLM, 10)):
            sharpness.append(frame.sharpness)
            break
    assert places[int(np.argmax(sharpness))] == 0.0
    assert sharpness[0] < sharpness[1] < sharpness[2] > sharpness[3] > sharpness[4]


def test_an_error_in_the_loop_leaves_the_sample_dark(
    microscope: SimulatedMicroscope,
) -> None:
    frames = live(microscope, LIGHT, checker_board(SLM))
    next(frames)
    with pytest.raises(KeyboardInterrupt):
        frames.throw(KeyboardInterrupt)  # type: ignore[attr-defined]  # it is a generator
    assert dark(microscope)
    assert len(microscope.listeners.frame) == 0


def test_what_cannot_be_shown_is_refused(microscope: SimulatedMicroscope) -> None:
    with pytest.raises(ContractError, match=r"is \(2, 2\), the DMD \(300, 400\)"):
        next(live(microscope, LIGHT, all_on((2, 2))))
    with pytest.raises(ContractError, match="squares of 0"):
        checker_board(SLM, 0)
    impossible = PowerChannel("CyanStim", exposure=1e9, power=20)
    with pytest.raises(HardwareError, match=r"no more frames: .*exposure"):
        next(live(microscope, impossible, all_on(SLM)))
    assert dark(microscope)
