"""Kills a writing process, or cuts the power of its disk, at any moment."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from faro.testing.storage_trials import check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faro.testing.storage_trials import Outcome

GOING_DOWN: Final = 0x8004587D
"""EXT4_IOC_SHUTDOWN and XFS_IOC_GOINGDOWN: the file system stops at once."""
WITHOUT_FLUSH: Final = (2).to_bytes(4, "little")
DISK_MB: Final = 500
BUSY_TRIES: Final = 50
BUSY_PAUSE_S: Final = 0.1


class WritingProcess:
    """A process that writes a run, and what it has acknowledged so far."""

    def __init__(
        self, path: Path, layout: str, durability: str, close_at: int = -1
    ) -> None:
        module = [sys.executable, "-u", "-m", "faro.testing.storage_trials"]
        command = [*module, str(path), layout, durability, str(close_at)]
        self.path = path
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self._told: list[str] = []
        self._first = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    @property
    def told(self) -> list[str]:
        """What was acknowledged so far."""
        return list(self._told)

    def wait_for_first(self, timeout_s: float = 60.0) -> None:
        """Return when something was acknowledged."""
        if not self._first.wait(timeout_s):
            message = f"The writer of {self.path} acknowledged nothing."
            raise TimeoutError(message)

    def kill(self) -> list[str]:
        """Kill it now; return all that was acknowledged."""
        self._process.kill()
        self._process.wait()
        self._thread.join()
        if self._process.stdout is not None:
            self._process.stdout.close()
        return self.told

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.endswith("\n"):
                self._told.append(line.rstrip("\n"))
            self._first.set()

    def wait(self, timeout_s: float) -> None:
        """Return when it has ended by itself, or is given up."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)


def killed(
    path: Path, layout: str, pause_s: float, *, close_at: int = -1, ends: bool = False
) -> Outcome:
    """Return what a SIGKILL left, ``pause_s`` after the first acknowledgement.

    A run that is there is gone on with. With ``ends`` a process that ends by itself
    within ``pause_s`` is not killed.
    """
    process = WritingProcess(path, layout, "process", close_at)
    try:
        process.wait_for_first()
        if ends:
            process.wait(pause_s)
        else:
            time.sleep(pause_s)
    finally:
        told = process.kill()
    return check(path, told)


def can_cut() -> bool:
    """Return whether this machine lets a disk be made whose power can be cut."""
    able = False
    if sys.platform == "linux":
        tools = shutil.which("mkfs.ext4") and Path("/dev/loop-control").exists()
        able = os.geteuid() == 0 and bool(tools)
    return able


class FragileDisk:
    """A file with a file system in it, whose power can be cut. Linux, as root.

    The cut is the kernel's own: the file system stops at once, and nothing of what is
    in memory goes to the device any more. What the device has got is what is there
    after the next mount, which replays the journal of the file system.

    Parameters
    ----------
    folder
        Where the file and the mount point go.
    kind
        ``"ext4"`` or ``"xfs"``.
    megabytes
        Its size.
    """

    def __init__(
        self, folder: Path, kind: str = "ext4", megabytes: int = DISK_MB
    ) -> None:
        self._image, self.path = folder / f"{kind}.img", folder / f"{kind}-disk"
        self.path.mkdir()
        with self._image.open("wb") as file:
            file.truncate(megabytes * 1_000_000)
        _call(f"mkfs.{kind}", "-q", str(self._image))
        self._mount()

    def cut(self) -> None:
        """Cut the power now."""
        if sys.platform == "linux":
            import fcntl  # noqa: PLC0415  not on every system

            descriptor = os.open(self.path, os.O_RDONLY)
            try:
                fcntl.ioctl(descriptor, GOING_DOWN, WITHOUT_FLUSH)
            finally:
                os.close(descriptor)

    def restart(self) -> None:
        """Mount what the device holds."""
        self.close()
        self._mount()

    def close(self) -> None:
        """Let go of the disk, once nobody in this process has a file of it open."""
        for _ in range(BUSY_TRIES):
            gc.collect()
            with suppress(subprocess.CalledProcessError):
                _call("umount", str(self.path))
                return
            time.sleep(BUSY_PAUSE_S)
        _call("umount", "--lazy", str(self.path))

    def _mount(self) -> None:
        _call("mount", "-o", "loop", str(self._image), str(self.path))


@contextmanager
def fragile_disk(kind: str = "ext4", megabytes: int = DISK_MB) -> Iterator[FragileDisk]:
    """Return a disk whose power can be cut, for the block."""
    with tempfile.TemporaryDirectory(prefix="faro-power-") as folder:
        disk = FragileDisk(Path(folder), kind, megabytes)
        try:
            yield disk
        finally:
            disk.close()


def power_cut(
    layout: str, durability: str, pause_s: float, kind: str = "ext4"
) -> Outcome:
    """Return what a power cut left, ``pause_s`` after the first acknowledgement."""
    with fragile_disk(kind) as disk:
        process = WritingProcess(disk.path / "run", layout, durability)
        try:
            process.wait_for_first()
            time.sleep(pause_s)
            told = process.told
            disk.cut()
        finally:
            process.kill()
        disk.restart()
        return check(disk.path / "run", told)


def _call(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
