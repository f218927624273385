"""What people want of a stored run: tables, curves, lazy arrays, tracks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from faro.errors import MissingExtraError, MissingFrameError
from faro.experiment import RTMEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    import dask.array
    import numpy.typing as npt

    from faro.model import CellTable, FrameRole, Stack
    from faro.storage.frames import StoredImages

    Read = Callable[[int], npt.NDArray[Any]]

EXTENDED = "experiment_extended"
GROWN = "extended"
NapariTracks = tuple[
    "npt.NDArray[np.float64]", dict[int, list[int]], dict[str, "npt.NDArray[Any]"]
]
"""(N, 4) of track id, t, y, x; daughter to her parents; name to (N,) values."""


class Run(Protocol):
    """What is looked at of a `faro.storage.Run`."""

    @property
    def path(self) -> Path:
        """The run folder."""
        ...

    @property
    def fovs(self) -> tuple[int, ...]:
        """Position indices."""
        ...

    @property
    def n_timepoints(self) -> int:
        """Length of the time axis."""
        ...

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of the label images."""
        ...

    @property
    def images(self) -> StoredImages:
        """Reads frames and labels."""
        ...

    @property
    def cells(self) -> CellTable:
        """All rows so far."""
        ...

    def stacks(self, fov: int, timestep: int, *, role: FrameRole) -> Sequence[Stack]:
        """Return all stacks of one FOV and timepoint."""
        ...


def recorded_events(
    info: Mapping[str, Any], journal: Iterable[Mapping[str, Any]]
) -> tuple[RTMEvent, ...]:
    """Return the events of a run, with those that were added later."""
    words = list(info.get("description", {}).get("experiment") or ())
    for line in journal if words else ():
        if line["kind"] == EXTENDED:
            words += line["events"]
    return tuple(RTMEvent(**entry) for entry in words)


def grown_needs(
    needs: Mapping[str, Any], journal: Sequence[Mapping[str, Any]]
) -> Mapping[str, Any]:
    """Return the needs of a run; of one that was extended, of all of it."""
    told = (line["needs"] for line in reversed(journal) if line["kind"] == GROWN)
    return next(told, needs)


def lazy_images(run: Run, fov: int, role: FrameRole) -> dask.array.Array:
    """Return the images of a position, (T, C, Y, X), read when they are computed.

    With planes, (T, C, Z, Y, X). A frame that is missing is zeros; `Run.has` tells.

    Raises
    ------
    MissingFrameError
        If there is none at all.
    MissingExtraError
        If dask is not installed.
    """
    times = range(run.n_timepoints)
    every = (stack for t in times for stack in run.stacks(fov, t, role=role))
    first = next(every, None)
    if first is None:
        problem = f"{run.path} holds no {role} frame of fov {fov}."
        raise MissingFrameError(problem, remedy=f"It has fovs {list(run.fovs)}.")
    shape, dtype, names = first.pixels.shape, first.pixels.dtype, first.channels

    def read(timestep: int) -> npt.NDArray[Any]:
        found = np.zeros(shape, dtype)
        for stack in run.stacks(fov, timestep, role=role):
            fits = stack.pixels.shape[1:] == shape[1:]
            for row, channel in enumerate(stack.channels if fits else ()):
                if channel in names:
                    found[names.index(channel)] = stack.pixels[row]
        return found

    return _lazy(read, run.n_timepoints, shape, dtype)


def lazy_labels(run: Run, name: str, fov: int) -> dask.array.Array:
    """Return label images of a position, (T, Y, X), read when they are computed.

    What was not stored is zeros.

    Raises
    ------
    MissingFrameError
        If there is none at all.
    MissingExtraError
        If dask is not installed.
    """
    first: npt.NDArray[Any] | None = None
    for timestep in range(run.n_timepoints):
        if first is None:
            first = run.images.labels(name, fov, timestep)
    if first is None:
        problem = f"{run.path} holds no labels {name!r} of fov {fov}."
        raise MissingFrameError(problem, remedy=f"It has {list(run.label_names)}.")
    shape, dtype = first.shape, first.dtype

    def read(timestep: int) -> npt.NDArray[Any]:
        found = run.images.labels(name, fov, timestep)
        return np.zeros(shape, dtype) if found is None else found

    return _lazy(read, run.n_timepoints, shape, dtype)


def napari_tracks(run: Run, fov: int) -> NapariTracks:
    """Return the tracks of a position as `napari.layers.Tracks` takes them.

    Returns
    -------
    data
        (N, 4) float64: track id, t, y and x in px, sorted by track and time.
    graph
        Track id of a daughter to the list of her parents.
    properties
        Column to (N,) values.

    All are empty while no cell was found.
    """
    cells = run.cells
    if not len(cells):
        return np.zeros((0, 4)), {}, {}
    here = np.flatnonzero(cells["fov"] == fov)
    order = here[np.lexsort((cells["timestep"][here], cells["track_id"][here]))]
    columns = [cells[name][order] for name in ("track_id", "timestep", "y", "x")]
    data = np.stack([np.asarray(c, np.float64) for c in columns], axis=1)
    known = set(cells["track_id"][order].tolist())
    pairs = {
        (int(daughter), int(parent))
        for daughter, parent in zip(
            cells["track_id"][order], cells["parent_id"][order], strict=True
        )
        if parent > 0 and int(parent) in known
    }
    graph: dict[int, list[int]] = {}
    for daughter, parent in sorted(pairs):
        graph.setdefault(daughter, []).append(parent)
    numbers = [name for name in cells.names if cells[name].dtype.kind in "iufb"]
    properties = {name: cells[name][order] for name in numbers}
    return data, graph, properties


def _lazy(
    read: Read, n_timepoints: int, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> dask.array.Array:
    """Return (T, ...) with a chunk for each timepoint."""
    try:
        from dask import array  # noqa: PLC0415  optional, and slow to load
        from dask.delayed import delayed  # noqa: PLC0415
    except ImportError as error:
        library = "dask"
        raise MissingExtraError(library, extra="dask") from error
    one, lazily = delayed(read, pure=True), cast("Any", array)
    times = [lazily.from_delayed(one(t), shape, dtype) for t in range(n_timepoints)]
    stacked: dask.array.Array = lazily.stack(times)
    return stacked
