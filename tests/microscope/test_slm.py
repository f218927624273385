"""What an SLM is sent: checked, converted, or refused."""

from __future__ import annotations

import numpy as np
import pytest

from faro.errors import HardwareError
from faro.microscope.slm import slm_pixels

SHAPE = (4, 6)
HALF = np.arange(24).reshape(SHAPE) < 12


@pytest.mark.parametrize("on_value", [1, 127, 255])
@pytest.mark.parametrize("kind", ["bool", "full", "own"])
def test_on_is_the_on_value_of_the_device(kind: str, on_value: int) -> None:
    full = {
        "bool": HALF,
        "full": HALF * np.uint8(255),
        "own": HALF * np.uint8(on_value),
    }
    pixels = slm_pixels(full[kind], SHAPE, on_value)
    assert isinstance(pixels, np.ndarray)
    assert pixels.dtype == np.uint8
    assert (pixels == np.where(HALF, on_value, 0)).all()


def test_one_value_for_all() -> None:
    assert slm_pixels(data=True, shape=SHAPE, on_value=127) == 127
    assert slm_pixels(data=False, shape=SHAPE, on_value=127) == 0
    assert slm_pixels(100, SHAPE, 127) == 100


def test_grey_levels_pass_where_the_device_has_them() -> None:
    grey = np.full(SHAPE, 77, np.uint8)
    assert slm_pixels(grey, SHAPE, 255) is grey


@pytest.mark.parametrize(
    ("data", "on_value", "message"),
    [
        (HALF.T, 255, "shape \\(6, 4\\), the SLM \\(4, 6\\)"),
        (HALF.astype(float), 255, "dtype float64"),
        (HALF.astype(np.uint16), 255, "dtype uint16"),
        (HALF.astype(np.uint8), 255, "only 0 and 1"),
        (HALF * np.uint8(200), 127, "values up to 200, the SLM shows 0 to 127"),
        (np.full(SHAPE, 3, np.uint8), 1, "values up to 3"),
        (-1, 255, "cannot show -1"),
        (256, 255, "cannot show 256"),
        (0.5, 255, "cannot show 0.5"),
    ],
    ids=["turned", "float", "uint16", "ones", "grey", "grey1", "less", "more", "half"],
)
def test_what_cannot_be_shown_is_refused(
    data: object, on_value: int, message: str
) -> None:
    with pytest.raises(HardwareError, match=message):
        slm_pixels(data, SHAPE, on_value)
