"""What goes wrong, on purpose: drift, missed moves, lost frames, faults of devices.

All of it is a function of the seed, of the planned time and of what is asked for, so
that a rehearsal goes wrong in the same way each time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias
from zlib import crc32

import numpy as np
from pydantic import Field, NonNegativeFloat

from faro.errors import HardwareError
from faro.model import Schema

DeviceName: TypeAlias = Literal["Camera", "DMD", "LED", "Filter", "Shutter", "XY", "Z"]
UINT64 = 2**64 - 1
WAVES = 6
"""Sines that make up a wandering; the slowest takes `SLOWEST_H`."""
SLOWEST_H = 6.0
S_PER_H = 3600.0


class Fault(Schema):
    """A device that is stuck or fails for some time.

    Attributes
    ----------
    device
        Its label.
    kind
        ``"stuck"``: it takes every command and does nothing. ``"fails"``: it raises.
    from_s, until_s
        Seconds of the experiment; None for ever.
    """

    device: DeviceName
    kind: Literal["stuck", "fails"] = "fails"
    from_s: NonNegativeFloat = 0.0
    until_s: NonNegativeFloat | None = None

    def at(self, now_s: float) -> bool:
        """Return whether it is so at ``now_s``."""
        return self.from_s <= now_s and (self.until_s is None or now_s < self.until_s)


class FlawSettings(Schema):
    """What goes wrong; nothing, if nothing is said.

    Attributes
    ----------
    stage_drift_um_per_h
        (x, y) by which the dish moves away from where the stage says it is.
    stage_error_um
        Standard deviation of where a move ends, per axis.
    focus_drift_um_per_h, focus_wander_um
        By how much the focal plane moves away, steadily, and to and fro (standard
        deviation).
    dropped_fraction
        Part of the exposures whose frame is lost, however often it is tried.
    faults
        Devices that are stuck or fail.
    """

    stage_drift_um_per_h: tuple[float, float] = (0.0, 0.0)
    stage_error_um: NonNegativeFloat = 0.0
    focus_drift_um_per_h: float = 0.0
    focus_wander_um: NonNegativeFloat = 0.0
    dropped_fraction: Annotated[float, Field(ge=0, le=1)] = 0.0
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class Flaws:
    """Says what goes wrong now. Holds no state; any thread.

    Attributes
    ----------
    settings
        What may go wrong.
    seed
        Of the microscope.
    """

    settings: FlawSettings
    seed: int = 0

    def drift_um(self, now_s: float) -> tuple[float, float]:
        """Return by how much the dish has moved under the stage, (x, y)."""
        x, y = self.settings.stage_drift_um_per_h
        return x * now_s / S_PER_H, y * now_s / S_PER_H

    def focus_um(self, now_s: float) -> float:
        """Return where the cells are sharp."""
        settings, now_h = self.settings, now_s / S_PER_H
        away_um = settings.focus_drift_um_per_h * now_h
        if not settings.focus_wander_um:
            return away_um
        random = self._random("focus")
        phases = random.uniform(0.0, 2 * np.pi, WAVES)
        number = np.arange(1, WAVES + 1)
        rates_per_h = 2 * np.pi * number / SLOWEST_H
        waves = np.sin(phases + rates_per_h * now_h) - np.sin(phases)
        size_um = settings.focus_wander_um / math.sqrt(float((0.5 / number**2).sum()))
        return away_um + size_um * float((waves / number).sum())

    def missed_um(self, now_s: float, x_um: float, y_um: float) -> tuple[float, float]:
        """Return by how much a move to (x, y) at ``now_s`` ends beside it, (x, y)."""
        size_um = self.settings.stage_error_um
        if not size_um:
            return 0.0, 0.0
        random = self._random("stage", now_s * 1e3, x_um * 1e2, y_um * 1e2)
        x, y = size_um * random.standard_normal(2)
        return float(x), float(y)

    def dropped(self, now_s: float, x_um: float, y_um: float, channel: str) -> bool:
        """Return whether the frame of this moment, place and channel is lost."""
        part = self.settings.dropped_fraction
        if not part:
            return False
        place = now_s * 1e3, x_um * 1e2, y_um * 1e2
        return bool(self._random(f"frame {channel}", *place).random() < part)

    def stuck(self, device: DeviceName, now_s: float) -> bool:
        """Return whether a command to ``device`` does nothing.

        Raises
        ------
        HardwareError
            If the device fails.
        """
        kinds = {
            fault.kind
            for fault in self.settings.faults
            if fault.device == device and fault.at(now_s)
        }
        if "fails" in kinds:
            problem = f"The simulated {device} fails, as it was told to."
            raise HardwareError(problem, remedy="See flaws.faults.")
        return "stuck" in kinds

    def _random(self, what: str, *numbers: float) -> np.random.Generator:
        """Return the random numbers of one thing that goes wrong."""
        words = [self.seed, crc32(what.encode()), *(round(n) for n in numbers)]
        entropy = [word & UINT64 for word in words]
        return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))
