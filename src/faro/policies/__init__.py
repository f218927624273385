"""What a run may do to the sample: how much light it may get."""

from __future__ import annotations

from faro.policies.dose import CellShares, DoseCeiling, DoseRules, Light, Verdict
from faro.policies.fold import CellsSeen, fold
from faro.policies.ledger import DoseLedger

__all__ = [
    "CellShares",
    "CellsSeen",
    "DoseCeiling",
    "DoseLedger",
    "DoseRules",
    "Light",
    "Verdict",
    "fold",
]
