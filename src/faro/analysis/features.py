"""What a user gives as a feature extractor, and what it returns: checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np

from faro.errors import ContractError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from faro.model import Stack
    from faro.model.cells import Column
    from faro.protocols import Cells, FeatureExtractor

    Measure: TypeAlias = Callable[[Cells, Stack], Mapping[str, Column]]


@dataclass(frozen=True, slots=True)
class FunctionFeatures:
    """A function ``features(cells, stack) -> columns`` as a feature extractor.

    Parameters
    ----------
    name
        Of the function, for the record.
    function
        Takes the cells and the stack, returns columns of one value per cell.
    needs
        Columns that must be measured before.
    provides
        Columns that it returns; None if it does not say.
    """

    name: str
    function: Measure
    needs: tuple[str, ...] = ()
    provides: tuple[str, ...] | None = None

    def features(self, cells: Cells, stack: Stack) -> Mapping[str, Column]:
        """Return what the function gives, name to (n,) array, checked."""
        return checked_columns(self.function(cells, stack), len(cells), self.name)


def as_feature_extractor(component: object) -> FeatureExtractor:
    """Return an object with ``features(cells, stack)``, from one or from a function.

    Attributes ``needs`` and ``provides`` of a function are kept.

    Raises
    ------
    ContractError
        If it is neither; a class is neither, its instance is.

    Examples
    --------
    >>> def roundness(cells, stack):
    ...     return {"roundness": cells.area / 10}
    >>> as_feature_extractor(roundness).needs
    ()
    """
    if not isinstance(component, type):
        if callable(getattr(component, "features", None)):
            return cast("FeatureExtractor", component)
        if callable(component):
            provides = getattr(component, "provides", None)
            return FunctionFeatures(
                name=getattr(component, "__qualname__", type(component).__qualname__),
                function=component,
                needs=tuple(getattr(component, "needs", ())),
                provides=None if provides is None else tuple(provides),
            )
    kind = "a class, " if isinstance(component, type) else ""
    problem = f"{component!r} is {kind}no feature extractor."
    remedy = "Give an object with a method features(cells, stack), or a function."
    raise ContractError(problem, remedy=remedy)


def checked_columns(found: object, n_cells: int, name: str) -> dict[str, Column]:
    """Return columns as arrays (n,), in the order they came.

    Raises
    ------
    ContractError
        If it is no mapping of names to one value per cell; all columns are named.

    Examples
    --------
    >>> checked_columns({"a": [1.0, 2.0]}, 2, "mine")
    {'a': array([1., 2.])}
    """
    remedy = "Return {name: one value per cell, in the order of cells.label}."
    if not hasattr(found, "items"):
        problem = f"{name} returned {type(found).__name__}, not columns by name."
        raise ContractError(problem, remedy=remedy)
    columns: dict[str, Column] = {k: np.asarray(v) for k, v in found.items()}
    wrong = [
        f"{key!r} has shape {column.shape} and dtype {column.dtype}"
        for key, column in columns.items()
        if column.shape != (n_cells,) or column.dtype.kind not in "biufUM"
    ]
    if wrong:
        problem = f"{name} returned for {n_cells} cells: {'; '.join(wrong)}."
        raise ContractError(problem, remedy=remedy)
    return columns
