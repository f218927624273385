"""What is measured of every cell: intensities, and the ERK-KTR ratio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np

from faro.errors import ContractError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from faro.model import Stack
    from faro.model.cells import Column
    from faro.protocols import Cells, FeatureExtractor
    from faro.protocols.analysis import Floats, Labels

    Measure: TypeAlias = Callable[[Cells, Stack], Mapping[str, Column]]

_STATISTICS = ("mean", "median", "std")


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


@dataclass(frozen=True, slots=True)
class IntensityFeatures:
    """Statistics of the grey levels in each cell.

    Columns are called ``<statistic>_<channel>_<region>``, like ``mean_miRFP_nuc``.

    Parameters
    ----------
    statistics
        Any of ``"mean"``, ``"median"``, ``"std"``.
    channels
        Names or indices; all by default.
    region
        What the cells are called in the names of the columns.

    Raises
    ------
    ContractError
        If a statistic is unknown.
    """

    statistics: tuple[str, ...] = ("mean",)
    channels: tuple[str | int, ...] | None = None
    region: str = "nuc"

    def __post_init__(self) -> None:
        unknown = [name for name in self.statistics if name not in _STATISTICS]
        if unknown:
            problem = f"There is no statistic {unknown[0]!r}."
            remedy = f"Use any of: {', '.join(_STATISTICS)}."
            raise ContractError(problem, remedy=remedy)

    @property
    def provides(self) -> tuple[str, ...] | None:
        """Names of the columns; None where they depend on the stack's channels."""
        names = [name for name in self.channels or () if isinstance(name, str)]
        if not names or len(names) < len(self.channels or ()):
            return None
        return tuple(f"{s}_{n}_{self.region}" for s in self.statistics for n in names)

    def features(self, cells: Cells, stack: Stack) -> dict[str, Floats]:
        """Return the columns, name to (n,) float64."""
        names = channel_names(stack, self.channels)
        measures = {"mean": cells.mean, "median": cells.median, "std": cells.std}
        return {
            f"{statistic}_{name}_{self.region}": measures[statistic](stack[name])
            for statistic in self.statistics
            for name in names
        }


@dataclass(frozen=True, slots=True)
class ErkKtrFeatures:
    """Nucleus and cytoplasm ring, and their ratio: the kinase translocation reporter.

    Columns: ``mean_`` and ``median_<channel>_nuc`` and ``_ring`` of every channel,
    ``area_nuc`` (px), ``cnr`` and ``cnr_median``: ring over nucleus of ``channel``
    (Regot et al. 2014, Cell 157:1724).

    Parameters
    ----------
    channel
        Name or index of the reporter's channel.
    margin, distance
        Inner and outer edge of the ring, px from the nucleus.
    channels
        Names of the channels to measure besides the reporter's; all by default.
    """

    channel: str | int = 1
    margin: int = 2
    distance: int = 4
    channels: tuple[str, ...] | None = None

    @property
    def provides(self) -> tuple[str, ...] | None:
        """Names of the columns; None where they depend on the stack's channels."""
        if self.channels is None or not isinstance(self.channel, str):
            return None
        measured = [
            f"{statistic}_{name}_{region}"
            for name in dict.fromkeys((*self.channels, self.channel))
            for region in ("nuc", "ring")
            for statistic in ("mean", "median")
        ]
        return (*measured, "area_nuc", "cnr", "cnr_median")

    @property
    def rings(self) -> tuple[str, ...]:
        """Label images that are stored: ``"ring"``."""
        return ("ring",)

    def label_images(self, cells: Cells) -> dict[str, Labels]:
        """Return the rings as labels (Y, X) int32, under the name ``"ring"``."""
        return {"ring": cells.ring(self.margin, self.distance).labels}

    def features(self, cells: Cells, stack: Stack) -> dict[str, Column]:
        """Return the columns, name to (n,) array."""
        ring = cells.ring(self.margin, self.distance)
        columns: dict[str, Any] = {}
        reporter = channel_names(stack, (self.channel,))[0]
        for name in dict.fromkeys((*channel_names(stack, self.channels), reporter)):
            plane = stack[name]
            for region, pixels in (("nuc", cells), ("ring", ring)):
                columns[f"mean_{name}_{region}"] = pixels.mean(plane)
                columns[f"median_{name}_{region}"] = pixels.median(plane)
        return columns | {
            "area_nuc": cells.area,
            "cnr": _ratio(columns, "mean", reporter),
            "cnr_median": _ratio(columns, "median", reporter),
        }


def channel_names(
    stack: Stack, channels: tuple[str | int, ...] | None
) -> tuple[str, ...]:
    """Return the names of channels given by name or index; all for None.

    Raises
    ------
    UnknownChannelError
        If the stack has no such channel.
    """
    if channels is None:
        return stack.channels
    for channel in channels:
        stack.plane(channel)
    return tuple(c if isinstance(c, str) else stack.channels[c] for c in channels)


def _ratio(columns: Mapping[str, Floats], statistic: str, channel: str) -> Floats:
    """Return ring over nucleus (n,), NaN where the nucleus is black."""
    ring = columns[f"{statistic}_{channel}_ring"]
    nucleus = columns[f"{statistic}_{channel}_nuc"]
    ratio: Floats = np.full(len(nucleus), np.nan)
    return np.divide(ring, nucleus, out=ratio, where=nucleus > 0)
