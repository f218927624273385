"""What reference frames showed of the cells: given to all rows of their tracks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from faro.storage.journal import lines_about

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from faro.storage.layout import RunLayout

References: TypeAlias = "dict[str, dict[tuple[int, int], float]]"
"""Column to (fov, track id) to value."""
Ints: TypeAlias = npt.NDArray[np.int64]

KIND = "reference_measured"
_TRACK_BITS = 40


def read_references(layout: RunLayout) -> References:
    """Return what the journal of a run says of reference frames; the latest counts.

    Only lines that may speak of them are parsed.
    """
    return references(lines_about(layout.journal, KIND))


def references(lines: Iterable[Mapping[str, Any]]) -> References:
    """Return what journal lines say of reference frames; the latest counts.

    >>> line = {"kind": "reference_measured", "fov": 0, "track_id": [4, 7]}
    >>> references([line | {"columns": {"ref_mean_C2_nuc": [1.5, None]}}])
    {'ref_mean_C2_nuc': {(0, 4): 1.5}}
    """
    found: References = {}
    for line in lines:
        if line.get("kind") != KIND:
            continue
        for name, values in line["columns"].items():
            column = found.setdefault(name, {})
            for track_id, value in zip(line["track_id"], values, strict=True):
                if value is not None:
                    column[line["fov"], track_id] = float(value)
    return found


def with_references(table: pa.Table, found: References) -> pa.Table:
    """Return ``table`` with a column for each reference feature, null where unknown.

    Every row of a track gets the value, also those from before it was measured.
    """
    if not found or not {"fov", "track_id"} <= set(table.column_names):
        return table
    rows = _keys(table["fov"].to_numpy(), table["track_id"].to_numpy())
    for name, values in found.items():
        column = np.full(len(rows), np.nan)
        if values:
            owners = np.array(list(values), np.int64)
            keys = _keys(owners[:, 0], owners[:, 1])
            order = np.argsort(keys)
            place = np.minimum(np.searchsorted(keys[order], rows), len(keys) - 1)
            known = keys[order][place] == rows
            amounts = np.array(list(values.values()), np.float64)[order]
            column[known] = amounts[place[known]]
        filled = pa.array(column, pa.float64(), from_pandas=True)
        if name in table.column_names:
            table = table.set_column(table.column_names.index(name), name, filled)
        else:
            table = table.append_column(name, filled)
    return table


def _keys(fov: Ints, track_id: Ints) -> Ints:
    """Return one number (n,) for each pair of fov and track id, (n,) each."""
    keys: Ints = (fov.astype(np.int64) << _TRACK_BITS) | track_id.astype(np.int64)
    return keys
