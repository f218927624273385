"""Where a run goes, and where stored frames come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from faro.errors import Problem
    from faro.model import CellTable, FrameRole, RunNeeds, Stack
    from faro.model.frame import PixelArray


class Sink(Protocol):
    """Takes what a run produces.

    The ``store_`` methods are called from several writer threads at once, those of one
    frame (and all `store_cells` of one FOV) one after the other. Any thread may call
    `record`.
    """

    @property
    def path(self) -> Path:
        """The run folder."""
        ...

    def problems(self, needs: RunNeeds) -> Sequence[Problem]:
        """Return why a run cannot be written here; nothing is created."""
        ...

    def open(self, needs: RunNeeds, description: Mapping[str, Any]) -> None:
        """Create the run folder; ``description`` (JSON-able) goes to ``run.json``."""
        ...

    def extend(self, needs: RunNeeds) -> None:
        """Make room for more timepoints or FOVs."""
        ...

    def store_stack(self, stack: Stack, times: Mapping[str, float]) -> None:
        """Store raw pixels and the frame's record; readable when this returns."""
        ...

    def store_labels(
        self, name: str, fov: int, timestep: int, labels: npt.NDArray[np.integer[Any]]
    ) -> None:
        """Store one label image (Y, X); ``name`` need not be planned."""
        ...

    def store_cells(self, fov: int, timestep: int, cells: CellTable) -> None:
        """Append the cells of one frame."""
        ...

    def store_state(self, fov: int, state: Mapping[str, Any]) -> None:
        """Keep what a FOV remembers, JSON, in place of what was before."""
        ...

    def keep_mask(
        self, name: str, fov: int, timestep: int, mask: npt.NDArray[np.uint8]
    ) -> None:
        """Keep the mask (Y, X) that is about to fire; it outlives the process then."""
        ...

    def record(self, kind: str, **facts: Any) -> None:
        """Append one line to the journal; any thread.

        It outlives the process when this returns; `sync` makes it outlive the power.
        """
        ...

    def free_bytes(self) -> int:
        """Return the free bytes of the disk of the run."""
        ...

    def sync(self) -> None:
        """Return when all lines are as safe as frames are; a writer thread."""
        ...

    def compress_less(self, on: bool, /) -> None:  # noqa: FBT001  a switch
        """Store the following stacks with less work, or as usual again; any thread."""
        ...

    def close(self, summary: Mapping[str, Any]) -> None:
        """Finish the run: tables compacted, metadata complete. Safe to call twice."""
        ...


class FrameSource(Protocol):
    """Stored frames, by index."""

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the imaging channels."""
        ...

    @property
    def fovs(self) -> tuple[int, ...]:
        """Position indices."""
        ...

    @property
    def n_timepoints(self) -> int:
        """Number of timepoints."""
        ...

    @property
    def image_shape(self) -> tuple[int, int]:
        """(Y, X) in pixels."""
        ...

    @property
    def image_dtype(self) -> str:
        """``"uint8"`` or ``"uint16"``."""
        ...

    @property
    def pixel_size_um(self) -> float | None:
        """Edge of a pixel in the sample, None if unknown."""
        ...

    def frame(
        self,
        fov: int,
        timestep: int,
        channel: str,
        *,
        role: FrameRole = ...,
        z: int | None = None,
    ) -> PixelArray:
        """Return one stored frame (Y, X).

        Parameters
        ----------
        role
            What it was taken for: `FrameRole.IMAGE` if nothing is said.
        z
            Index of the plane; None where the channel has one.

        Raises
        ------
        MissingFrameError
            If it was not acquired.
        """
        ...
