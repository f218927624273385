"""A sink that keeps a run in memory: what a test looks at afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from faro.errors import Problem
    from faro.model import CellTable, RunNeeds, Stack


@dataclass
class MemorySink:
    """Implements `faro.protocols.Sink` in memory.

    Attributes
    ----------
    path
        An existing folder; the log of the run goes there.
    stacks
        (stack, times), in order.
    labels
        (name, fov, timestep) to label image (Y, X).
    tables
        (fov, timestep, cells), in order.
    lines
        The journal.
    states
        Position index to its newest state.
    free
        What `free_bytes` returns.
    closed
        The summary, None while the run goes on.
    """

    path: Path
    stacks: list[tuple[Stack, dict[str, float]]] = field(default_factory=list)
    labels: dict[tuple[str, int, int], npt.NDArray[np.integer[Any]]] = field(
        default_factory=dict
    )
    tables: list[tuple[int, int, CellTable]] = field(default_factory=list)
    lines: list[dict[str, Any]] = field(default_factory=list)
    states: dict[int, dict[str, Any]] = field(default_factory=dict)
    closed: dict[str, Any] | None = None
    needs: RunNeeds | None = None
    free: int = 10**15
    description: dict[str, Any] = field(default_factory=dict)

    def problems(self, needs: RunNeeds) -> Sequence[Problem]:
        """Return nothing: memory takes every run."""
        del needs
        return []

    def open(self, needs: RunNeeds, description: Mapping[str, Any]) -> None:
        """Remember what the run is."""
        self.needs, self.description = needs, dict(description)

    def extend(self, needs: RunNeeds) -> None:
        """Remember what the run is now."""
        self.needs = needs

    def store_stack(self, stack: Stack, times: Mapping[str, float]) -> None:
        """Keep one stack."""
        self.stacks.append((stack, dict(times)))

    def store_labels(
        self, name: str, fov: int, timestep: int, labels: npt.NDArray[np.integer[Any]]
    ) -> None:
        """Keep one label image (Y, X)."""
        self.labels[name, fov, timestep] = labels

    def store_cells(self, fov: int, timestep: int, cells: CellTable) -> None:
        """Keep one table."""
        self.tables.append((fov, timestep, cells))

    def store_state(self, fov: int, state: Mapping[str, Any]) -> None:
        """Keep the newest state of a FOV."""
        self.states[fov] = dict(state)

    def keep_mask(
        self, name: str, fov: int, timestep: int, mask: npt.NDArray[np.uint8]
    ) -> None:
        """Do nothing with a mask (Y, X): memory does not outlive the process."""

    def record(self, kind: str, **facts: Any) -> None:
        """Keep one journal line."""
        self.lines.append({"kind": kind, **facts})

    def free_bytes(self) -> int:
        """Return ``free``."""
        return self.free

    def sync(self) -> None:
        """Do nothing: memory is as safe as it gets."""

    def compress_less(self, on: bool, /) -> None:  # noqa: FBT001  a switch
        """Keep what was asked for as a line."""
        self.lines.append({"kind": "compress_less", "on": on})

    def close(self, summary: Mapping[str, Any]) -> None:
        """Keep the summary."""
        self.closed = dict(summary)

    def kinds(self, kind: str) -> list[dict[str, Any]]:
        """Return the journal lines of one kind."""
        return [line for line in self.lines if line["kind"] == kind]
