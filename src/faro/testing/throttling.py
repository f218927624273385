"""Slows a disk down below every library: the kernel lets fewer bytes a second pass.

Linux, as root; for a disk of `faro.testing.killing`. Only what this process writes is
slowed. Bytes that are not synced wait in memory and are not slowed either.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from faro.testing.killing import can_cut
from faro.testing.posix import device_number

if TYPE_CHECKING:
    from types import TracebackType

CGROUPS: Final = Path("/sys/fs/cgroup")
TRIES: Final = 100
PAUSE_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class _Groups:
    """Where the kernel keeps its control groups, and what a limit is called there.

    Attributes
    ----------
    root
        The group of all.
    file
        The file of a group that takes limits.
    limit, none
        What is written to set a limit of so many bytes, and to lift it.
    """

    root: Path
    file: str
    limit: str
    none: str


VERSION_1: Final = _Groups(
    CGROUPS / "blkio", "blkio.throttle.write_bps_device", "{device} {n_bytes}", "0"
)
VERSION_2: Final = _Groups(CGROUPS, "io.max", "{device} wbps={n_bytes}", "max")


def can_slow() -> bool:
    """Return whether this machine lets a disk be made and slowed down."""
    return can_cut() and _groups() is not None


class SlowDisk:
    """Slows the disk of a path down for this process, within ``with``.

    Parameters
    ----------
    path
        On the disk.
    """

    def __init__(self, path: Path) -> None:
        groups = _groups()
        if groups is None:
            message = "This machine cannot slow a disk down."
            raise OSError(message)
        self._groups, self._path = groups, path
        self._group = groups.root / f"faro-{os.getpid()}"

    def __enter__(self) -> Self:
        """Have what this process writes be counted."""
        self._group.mkdir()
        self._move(self._group)
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Lift the limit."""
        self.limit(None)
        self._move(self._groups.root)
        for _ in range(TRIES):
            with suppress(OSError):
                self._group.rmdir()
                return
            time.sleep(PAUSE_S)

    def limit(self, bytes_per_s: float | None) -> None:
        """Let so many bytes a second pass; None for all that the disk can take."""
        groups = self._groups
        n_bytes = groups.none if bytes_per_s is None else str(int(bytes_per_s))
        said = groups.limit.format(device=self._device(), n_bytes=n_bytes)
        (self._group / groups.file).write_text(f"{said}\n", encoding="ascii")

    def _move(self, group: Path) -> None:
        procs = group / "cgroup.procs"
        procs.write_text(f"{os.getpid()}\n", encoding="ascii")

    def _device(self) -> str:
        return device_number(self._path)


def _groups() -> _Groups | None:
    """Return how disks are slowed down here, None where they cannot be."""
    if (VERSION_1.root / VERSION_1.file).exists():
        return VERSION_1
    handed_on = VERSION_2.root / "cgroup.subtree_control"
    if handed_on.exists() and "io" in handed_on.read_text(encoding="ascii").split():
        return VERSION_2
    return None
