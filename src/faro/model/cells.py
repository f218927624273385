"""The cell table of one frame: one row per cell, columns with units."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from faro.errors import ContractError, MissingExtraError
from faro.model.series import TrackSeries, series_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd
    import polars as pl

Column = npt.NDArray[np.generic]

FIRST_COLUMNS = (
    "fov",
    "timestep",
    "label",
    "track_id",
    "parent_id",
    "y",
    "x",
    "area",
)
"""Columns that every table starts with, in this order."""

CELL_UNITS: Mapping[str, str] = MappingProxyType(
    {
        "y": "px",
        "x": "px",
        "area": "px^2",
        "area_nuc": "px^2",
        "y_um": "um",
        "x_um": "um",
        "area_um2": "um^2",
        **{f"bbox-{side}": "px" for side in range(4)},
        "axis_major_length": "px",
        "axis_minor_length": "px",
        "equivalent_diameter_area": "px",
        "orientation": "rad",
        "nearest_px": "px",
        "step_px": "px",
        "speed_px_per_frame": "px",
        "speed_um_per_min": "um/min",
        "direction_deg": "deg",
        "displacement_px": "px",
        "path_px": "px",
    }
)
"""Units of the built-in columns; a column that is not listed has none."""


@dataclass(frozen=True, slots=True, eq=False)
class CellTable:
    """The cells of one frame.

    Attributes
    ----------
    columns
        Name to (n,) array; all of one length, in one order of cells.
    units
        Name to unit, for the columns that have one.

    Examples
    --------
    >>> table = CellTable({"label": np.array([1, 2]), "area": np.array([9, 4])})
    >>> len(table), table.names
    (2, ('label', 'area'))
    """

    columns: Mapping[str, Column]
    units: Mapping[str, str] = field(default_factory=lambda: CELL_UNITS)

    def __post_init__(self) -> None:
        sizes = {name: np.shape(values) for name, values in self.columns.items()}
        if len(set(sizes.values())) > 1 or any(len(s) != 1 for s in sizes.values()):
            problem = f"The columns of a cell table differ in shape: {sizes}."
            raise ContractError(problem, remedy="Return one value per cell.")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(self.columns)

    def to_pandas(self) -> pd.DataFrame:
        """Return the rows as a pandas table; needs the extra ``pandas``."""
        try:
            import pandas as pd  # noqa: PLC0415  optional, and slow to load
        except ImportError as error:
            library = "pandas"
            raise MissingExtraError(library, extra="pandas") from error
        return pd.DataFrame(dict(self.columns))

    def to_polars(self) -> pl.DataFrame:
        """Return the rows as a polars table; needs the extra ``polars``."""
        try:
            import polars as pl  # noqa: PLC0415  optional, and slow to load
        except ImportError as error:
            library = "polars"
            raise MissingExtraError(library, extra="polars") from error
        return pl.DataFrame(dict(self.columns))

    def query(self, expression: str) -> CellTable:
        """Return the rows for which ``expression`` holds; needs the extra ``pandas``.

        In the words of `pandas.DataFrame.query`: ``"fov == 2 and area > 80"``.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        rows = self.to_pandas().query(expression).index.to_numpy()
        kept = {name: values[rows] for name, values in self.columns.items()}
        return CellTable(kept, self.units)

    def pivot(self, name: str) -> TrackSeries:
        """Return a column track by track, (tracks, timesteps).

        Raises
        ------
        KeyError
            If there is no such column.
        """
        return series_of(self.columns, name)

    def __len__(self) -> int:
        return next((len(values) for values in self.columns.values()), 0)

    def __getitem__(self, name: str) -> Column:
        return self.columns[name]

    def __contains__(self, name: str) -> bool:
        return name in self.columns

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)
