"""Checks of what stimulators are given, with the words of their errors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

from faro.errors import ContractError

if TYPE_CHECKING:
    from faro.protocols import Cells, StimulationContext

Number: TypeAlias = float
"""In whatever unit the setting has."""


def checked_fraction(value: object, where: str) -> float:
    """Return a number from 0 to 1, or raise ContractError."""
    if isinstance(value, int | float) and 0 <= value <= 1:
        return float(value)
    problem = f"{where} is {value!r}, not a fraction."
    raise ContractError(problem, remedy="Use a number from 0 to 1.")


def checked_positive(value: Number, where: str, *, zero: bool = False) -> float:
    """Return a finite number above 0, or raise ContractError."""
    if math.isfinite(value) and (value > 0 or (zero and value == 0)):
        return float(value)
    problem = f"{where} is {value!r}."
    remedy = "Use a number that is not negative." if zero else "Use more than 0."
    raise ContractError(problem, remedy=remedy)


def cells_of(context: StimulationContext, asker: object) -> Cells:
    """Return the cells of a frame, or raise ContractError where there are none."""
    if context.cells is not None:
        return context.cells
    name = type(asker).__name__
    problem = f"{name} was given no cells."
    raise ContractError(problem, remedy="Give the pipeline a segmenter.")


def pixel_size_of(context: StimulationContext, asker: object) -> float:
    """Return the edge of a camera pixel, um, or raise ContractError if unknown."""
    if context.pixel_size_um:
        return context.pixel_size_um
    name = type(asker).__name__
    problem = f"{name} is given in micrometres, but the pixel size is unknown."
    remedy = "Set the pixel size of the objective in Micro-Manager, or give pixels."
    raise ContractError(problem, remedy=remedy)


def one_length(length_px: float | None, length_um: float | None, where: str) -> None:
    """Check that one of two lengths is given, and above 0."""
    given = [value for value in (length_px, length_um) if value is not None]
    if len(given) != 1:
        problem = f"{where} is given as {length_px} px and {length_um} um."
        raise ContractError(problem, remedy="Give one of the two.")
    checked_positive(given[0], where)


def in_px(
    length_px: float | None,
    length_um: float | None,
    context: StimulationContext,
    asker: object,
) -> float:
    """Return a length that is given in one of two units, px."""
    if length_px is not None:
        return length_px
    return (length_um or 0.0) / pixel_size_of(context, asker)
