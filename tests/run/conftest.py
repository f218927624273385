"""A canned microscope with a DMD, and a sink in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from faro.microscope.dmd import DMD
from faro.testing.canned import CannedMicroscope
from faro.testing.discs import SHAPE, disc_frame
from faro.testing.memory import MemorySink

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def sink(tmp_path: Path) -> MemorySink:
    return MemorySink(tmp_path)


@pytest.fixture
def dmd() -> DMD:
    flip = np.array([[-1.0, 0.0, 79.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    return DMD(SHAPE, affine=flip)


@pytest.fixture
def microscope(dmd: DMD) -> CannedMicroscope:
    return CannedMicroscope(disc_frame, SHAPE, dmd=dmd)
