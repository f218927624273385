"""The microscopes of the Pertz lab in Bern."""

from __future__ import annotations

from faro.rigs.pertzlab.jungfrau import Jungfrau
from faro.rigs.pertzlab.moench import Moench
from faro.rigs.pertzlab.niesen import Niesen

__all__ = ["Jungfrau", "Moench", "Niesen"]
