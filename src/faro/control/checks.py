"""Checks of what controllers are given, with the words of their errors."""

from __future__ import annotations

import math
from typing import TypeAlias

from faro.errors import ContractError

Number: TypeAlias = float
"""In whatever unit the setting has."""


def checked_number(value: Number, where: str, *, least: Number = -math.inf) -> float:
    """Return a finite number of at least ``least``, or raise ContractError."""
    if math.isfinite(value) and value >= least:
        return float(value)
    bound = "a finite number" if least == -math.inf else f"{least:g} or more"
    problem = f"{where} is {value!r}."
    raise ContractError(problem, remedy=f"Use {bound}.")


def checked_positive(value: Number, where: str) -> float:
    """Return a finite number above 0, or raise ContractError."""
    if math.isfinite(value) and value > 0:
        return float(value)
    problem = f"{where} is {value!r}."
    raise ContractError(problem, remedy="Use more than 0.")


def checked_range(lowest: Number, highest: Number, where: str) -> None:
    """Check that two doses are 0 to 1 and in order, or raise ContractError."""
    if 0 <= lowest < highest <= 1:
        return
    problem = f"{where} gives doses from {lowest} to {highest}."
    raise ContractError(problem, remedy="Use 0 <= lowest < highest <= 1.")
