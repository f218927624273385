"""The SLM: checked masks, blank before and after, a finite exposure."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from faro.errors import HardwareError

if TYPE_CHECKING:
    from collections.abc import Callable

    import useq

    from faro.microscope.mmcore import CMMCorePlus
    from faro.microscope.policy import EnginePolicy, Pause

logger = logging.getLogger(__name__)

FULL = 255


def slm_pixels(
    data: object, shape: tuple[int, int], on_value: int
) -> npt.NDArray[np.uint8] | int:
    """Return what the SLM is to show: pixels (Y, X) uint8, or one value for all.

    Parameters
    ----------
    data
        True or False (all on, all off), a value for all pixels, or a mask (Y, X) in
        SLM pixels: bool, or uint8 from 0 to the on-value.
    shape
        (Y, X) of the SLM.
    on_value
        Pixel value that means "on". A mask of 0 and 255 is converted to it.

    Raises
    ------
    HardwareError
        If the mask has another shape or dtype, or values the SLM cannot show.
    """
    mask = np.asarray(data)
    if mask.ndim == 0:
        return _uniform(mask, on_value)
    if mask.shape != shape:
        problem = f"The mask has shape {mask.shape}, the SLM {shape} (Y, X)."
        raise HardwareError(problem, remedy="Warp masks to SLM pixels with the DMD.")
    if mask.dtype == np.bool_:
        return np.where(mask, np.uint8(on_value), np.uint8(0))
    if mask.dtype != np.uint8:
        problem = f"The mask for the SLM has dtype {mask.dtype}."
        raise HardwareError(problem, remedy="Give bool or uint8.")
    return _levels(mask, on_value)


def _uniform(value: npt.NDArray[np.generic], on_value: int) -> int:
    if value.dtype == np.bool_:
        return on_value if value else 0
    if value.dtype.kind not in "iu" or not 0 <= int(value) <= on_value:
        problem = f"The SLM cannot show {value.item()!r} everywhere."
        raise HardwareError(problem, remedy=f"Give a bool, or 0 to {on_value}.")
    return int(value)


def _levels(
    mask: npt.NDArray[np.uint8], on_value: int
) -> npt.NDArray[np.uint8]:  # (Y, X)
    top = int(mask.max())
    if top == 1 and on_value > 1:
        problem = f"The mask holds only 0 and 1, but this SLM is on at {on_value}."
        remedy = "Give bool, or 0 and 255."
        raise HardwareError(problem, remedy=remedy)
    if top <= on_value:
        return np.ascontiguousarray(mask)
    if bool(np.all((mask == 0) | (mask == FULL))):
        return np.where(mask, np.uint8(on_value), np.uint8(0))
    problem = f"The mask has values up to {top}, the SLM shows 0 to {on_value}."
    raise HardwareError(problem, remedy="Give a mask of 0 and 255.")


class SlmDriver:
    """Shows masks on the SLM of a core; every command is retried, then raises.

    Parameters
    ----------
    core
        The core that holds the SLM.
    policy
        Retries, on-values and the exposure used where none is given.
    pause
        Waits for some seconds between two tries.
    """

    def __init__(self, core: CMMCorePlus, policy: EnginePolicy, pause: Pause) -> None:
        self._core, self._policy, self._pause = core, policy, pause

    def device(self, image: useq.SLMImage) -> str:
        """Return the label of the SLM that ``image`` is for."""
        label = image.device or self._core.getSLMDevice()
        if not label:
            problem = "An event carries a mask, but this microscope has no SLM."
            raise HardwareError(problem, remedy="Load one, or drop the stimulation.")
        return str(label)

    def blank(self, label: str) -> None:
        """Show nothing: all pixels 0, displayed."""

        def dark() -> None:
            self._core.setSLMPixelsTo(label, 0)
            self._core.displaySLMImage(label)

        self._try(f"Blanking {label!r}", dark)
        logger.info("SLM %r blank", label)

    def load(self, image: useq.SLMImage, exposure_ms: float | None) -> float:
        """Send the mask of ``image``, without showing it; return its exposure in ms.

        ``exposure_ms`` is used where the image gives none.
        """
        label = self.device(image)
        shape = (self._core.getSLMHeight(label), self._core.getSLMWidth(label))
        pixels = slm_pixels(image.data, shape, self.on_value(label))
        lasts_ms = image.exposure or exposure_ms or self._policy.slm_exposure_ms
        if not (math.isfinite(lasts_ms) and lasts_ms > 0):
            problem = f"The SLM exposure is {lasts_ms} ms."
            raise HardwareError(problem, remedy="Give a finite time above 0.")

        def send() -> None:
            if isinstance(pixels, int):
                self._core.setSLMPixelsTo(label, pixels)
            else:
                self._core.setSLMImage(label, pixels)
            self._core.setSLMExposure(label, lasts_ms)

        self._try(f"Sending a mask to {label!r}", send)
        return lasts_ms

    def show(self, image: useq.SLMImage) -> None:
        """Show what was loaded last."""
        label = self.device(image)
        self._try(f"Showing {label!r}", lambda: self._core.displaySLMImage(label))
        logger.info("SLM %r shows a mask", label)

    def on_value(self, label: str) -> int:
        """Return the pixel value that means "on"."""
        values = self._policy.slm_on_values
        return values.get(label, values.get(self._core.getDeviceName(label), FULL))

    def _try(self, what: str, action: Callable[[], object]) -> None:
        self._policy.settings.attempt(what, action, self._pause)
