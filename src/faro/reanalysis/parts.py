"""The results of one task, until the run is put together: a run folder of its own."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from faro.storage import OmeZarrWriter, open_run
from faro.storage.layout import RunLayout

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from faro.model import RunNeeds, Stack

ADDRESS = "address"
FOLLOWING = (
    "track",
    "features",
    "stimulate",
    "reference_features",
    "storage",
)
"""Stages whose errors are those of a ``follow`` task; missing frames are no errors."""


class PartWriter(OmeZarrWriter):
    """Writes the results of a task, without the frames that they were made of.

    Parameters
    ----------
    path
        Of the part.
    address
        Of the results.
    leave_out
        Label images that exist elsewhere.
    """

    def __init__(
        self, path: Path, address: str, leave_out: Collection[str] = ()
    ) -> None:
        super().__init__(path, durability="process")
        self._address, self._leave_out = address, frozenset(leave_out)

    def open(self, needs: RunNeeds, description: Mapping[str, Any]) -> None:
        """Create the part; it has no images."""
        bare = replace(
            needs, channels=(), stim_channels=(), ref_channels=(), stacks={}, n_bytes=0
        )
        super().open(bare, {ADDRESS: self._address, **description})

    def store_stack(self, stack: Stack, times: Mapping[str, float]) -> None:
        """Do nothing: the source has the frames."""

    def store_labels(
        self, name: str, fov: int, timestep: int, labels: npt.NDArray[np.integer[Any]]
    ) -> None:
        """Store labels (Y, X) that are new."""
        if name not in self._leave_out:
            super().store_labels(name, fov, timestep, labels)


def begin_part(path: Path) -> None:
    """Remove what was begun and not finished."""
    if path.exists():
        shutil.rmtree(path)


def part_is_done(path: Path, address: str) -> bool:
    """Return whether a part is complete and has this address."""
    layout = RunLayout(path)
    if not (layout.run_json.is_file() and layout.summary.is_file()):
        return False
    said = open_run(path).info.get("description", {})
    return bool(said.get(ADDRESS) == address)


def counts_of(path: Path, stage: str) -> tuple[int, int]:
    """Return (frames, errors) of a part that is complete; errors of its own stage."""
    part = open_run(path)
    said = part.summary or {}
    errors = [line["stage"] for line in part.journal if line["kind"] == "error"]
    wanted = ("segment",) if stage == "segment" else FOLLOWING
    n_errors = sum(named.startswith(wanted) for named in errors)
    return int(said.get("n_frames", said.get("n_stacks", 0))), n_errors
