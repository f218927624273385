"""Tracks as a graph in the GEFF format, for trackers, editors and viewers.

Source: live-image-tracking-tools.github.io/geff, "Graph Exchange File Format": a Zarr
group with nodes (a cell in a frame), directed edges to the next frame or to a daughter,
and a property of each node for every column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from faro.errors import MissingExtraError, StorageError
from faro.storage import disk

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from faro.model import CellTable
    from faro.storage.reader import Run

    Ids = npt.NDArray[np.uint64]

PLACED: Final = {"t": "timestep", "y": "y", "x": "x"}
"""Axis of the graph to the column that holds it."""


def write_geff(run: Run, path: Path, fov: int) -> Path:
    """Write the tracks of a position as a GEFF group; return it.

    Nodes are numbered by track and time. Places are in px, with the size of a pixel as
    their scale; columns that are no numbers are left out.

    Parameters
    ----------
    path
        The group, as ``p000.geff``; nothing is replaced.

    Raises
    ------
    StorageError
        If the run has no tracks there, or there is something at ``path``.
    MissingExtraError
        If geff is not installed.
    """
    try:
        from geff.core_io import write_arrays  # noqa: PLC0415  optional
        from geff_spec import Axis, GeffMetadata  # noqa: PLC0415
    except ImportError as error:
        library = "geff"
        raise MissingExtraError(library, extra="geff") from error
    cells = run.cells
    order = _order(cells, fov)
    if not order.size:
        problem = f"{run.path} holds no tracks of fov {fov}."
        raise StorageError(problem, remedy=f"It has fovs {list(run.fovs)}.")
    if path.exists():
        problem = f"{path} is there already; it is not replaced."
        raise StorageError(problem, remedy="Give another folder.")
    disk.make_folder(path.parent)
    size_um = run.pixel_size_um
    real = {"scale": size_um, "scaled_unit": "micrometer"} if size_um else {}
    place = [Axis(name=name, type="space", unit="pixel", **real) for name in "yx"]
    about = {"run": str(run.info.get("uuid") or run.path.name), "fov": fov}
    metadata = GeffMetadata(
        directed=True,
        axes=[Axis(name="t", type="time"), *place],
        node_props_metadata={},
        edge_props_metadata={},
        extra={"faro": about},
    )
    nodes = np.arange(len(order), dtype=np.uint64)
    properties = _properties(cells, order)
    edges = _edges(cells, order)
    write_arrays(path, nodes, properties, edges, {}, metadata, zarr_format=3)
    return path


def _order(cells: CellTable, fov: int) -> npt.NDArray[np.intp]:
    """Return the rows of a position, by track and time."""
    if "track_id" not in cells:
        return np.zeros(0, np.intp)
    track_id = cells["track_id"].astype(np.int64)
    here = np.flatnonzero((cells["fov"] == fov) & (track_id > 0))
    sorted_here = np.lexsort((cells["timestep"][here], track_id[here]))
    rows: npt.NDArray[np.intp] = here[sorted_here]
    return rows


def _properties(cells: CellTable, order: npt.NDArray[np.intp]) -> dict[str, Any]:
    """Return the columns of numbers, and the places, as the library takes them."""
    numbers = [name for name in cells.names if cells[name].dtype.kind in "iufb"]
    columns = {name: cells[name][order] for name in numbers}
    columns |= {axis: cells[name][order] for axis, name in PLACED.items()}
    return {n: {"values": v, "missing": None} for n, v in columns.items()}


def _edges(cells: CellTable, order: npt.NDArray[np.intp]) -> Ids:
    """Return (E, 2): each node to the next of its track, a mother to her daughters."""
    track, time, parent = (
        cells[name][order].astype(np.int64)
        for name in ("track_id", "timestep", "parent_id")
    )
    same = np.flatnonzero(track[1:] == track[:-1])
    edges = [(int(i), int(i) + 1) for i in same]
    begins = np.flatnonzero(np.r_[True, track[1:] != track[:-1]])
    for daughter in begins[parent[begins] > 0]:
        mother = np.flatnonzero((track == parent[daughter]) & (time < time[daughter]))
        if mother.size:
            edges.append((int(mother[-1]), int(daughter)))
    return np.array(sorted(edges), dtype=np.uint64).reshape(-1, 2)
