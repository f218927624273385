"""What an event may ask for: a device that is there, an exposure that it takes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from faro.errors import HardwareError

if TYPE_CHECKING:
    from useq import MDAEvent

EXPOSURE_FRACTION, EXPOSURE_MS = 0.05, 0.2


def check_exposure(is_ms: float, wanted_ms: float) -> None:
    """Raise HardwareError where the camera silently took another exposure."""
    if not math.isclose(
        is_ms, wanted_ms, rel_tol=EXPOSURE_FRACTION, abs_tol=EXPOSURE_MS
    ):
        problem = f"The camera exposes {is_ms:g} ms where {wanted_ms:g} ms were asked."
        raise HardwareError(problem, remedy="Stay within the camera's limits.")


def needed(label: str, what: str, event: MDAEvent) -> str:
    """Return ``label``; raise HardwareError where an event needs what is not there."""
    if not label:
        problem = f"The event {dict(event.index)} needs the {what}, but there is none."
        raise HardwareError(problem, remedy="Load one, or leave its position out.")
    return label
