"""What a process host needs: to start it, to reach it, to see its client die."""

from __future__ import annotations

import ctypes
import logging
import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from faro.errors import HardwareError
from faro.system import signals

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import BinaryIO, TypeAlias

    HostProcess: TypeAlias = subprocess.Popen[bytes]

logger = logging.getLogger(__name__)

MAX_SOCKET_PATH = 100
NEW_PROCESS_GROUP = 0x00000200
BREAK_AWAY_FROM_JOB = 0x01000000
NO_WINDOW = 0x08000000
SYNCHRONIZE = 0x00100000
INFINITE = 0xFFFFFFFF
WAIT_OBJECT_0 = 0


class Platform(Protocol):
    """What the host needs to know about the operating system."""

    @property
    def family(self) -> str:
        """Family of `multiprocessing.connection` for local connections."""
        ...

    @property
    def creation_flags(self) -> Sequence[int]:
        """Flags to start a process with: the first that works."""
        ...

    @property
    def ignored(self) -> Sequence[str]:
        """Names of signals that a host ignores."""
        ...

    @property
    def graceful(self) -> Sequence[str]:
        """Names of signals on which a host releases its devices."""
        ...

    def address(self, folder: Path) -> str:
        """Return a new local address; ``folder`` is private to this user."""
        ...

    def wait_for_end(self, pid: int) -> bool:
        """Return True when that process has ended, False if it cannot be watched."""
        ...


def _no_pidfd(pid: int) -> int:  # noqa: ARG001  stands in for os.pidfd_open
    raise OSError


OPEN_PIDFD: Callable[[int], int] = getattr(os, "pidfd_open", _no_pidfd)


@dataclass(frozen=True)
class PosixPlatform:
    """Linux and macOS.

    Attributes
    ----------
    open_pidfd
        `os.pidfd_open` where there is one.
    parent
        Returns the id of the parent process; used where there is no pidfd.
    poll_s
        Pause between two looks at the parent.
    """

    open_pidfd: Callable[[int], int] = OPEN_PIDFD
    parent: Callable[[], int] = os.getppid
    poll_s: float = 0.05
    family: str = "AF_UNIX"
    creation_flags: Sequence[int] = (0,)
    ignored: Sequence[str] = ("SIGINT",)
    graceful: Sequence[str] = ("SIGTERM", "SIGHUP")

    def address(self, folder: Path) -> str:
        """Return the path of a new socket in ``folder``."""
        path = str(folder / "control")
        if len(path) > MAX_SOCKET_PATH:
            problem = f"The path of the host's socket is too long: {path!r}."
            raise HardwareError(problem, remedy="Set TMPDIR to a shorter folder.")
        return path

    def wait_for_end(self, pid: int) -> bool:
        """Return True when the process has ended; it must be the parent."""
        parent = self.parent()
        try:
            watched = self.open_pidfd(pid)
        except ProcessLookupError:
            return True
        except OSError:
            while self.parent() == parent:
                time.sleep(self.poll_s)
            return True
        try:
            select.select([watched], [], [])
        finally:
            os.close(watched)
        return True


class Kernel(Protocol):
    """The calls of kernel32.dll that are used."""

    def OpenProcess(self, access: int, inherit: bool, pid: int) -> int | None:  # noqa: N802, FBT001  a C signature
        """Return a handle of a process, None or 0 if there is none."""
        ...

    def WaitForSingleObject(self, handle: int, timeout_ms: int) -> int:  # noqa: N802  a C signature
        """Wait until the process has ended; 0 then."""
        ...

    def CloseHandle(self, handle: int) -> int:  # noqa: N802  a C signature
        """Give a handle back."""
        ...


def _kernel32() -> Kernel:
    library: Any = ctypes.WinDLL("kernel32", use_last_error=True)  # type: ignore[attr-defined, unused-ignore]  # only there on Windows
    library.OpenProcess.argtypes = (ctypes.c_uint32, ctypes.c_int, ctypes.c_uint32)
    library.OpenProcess.restype = ctypes.c_void_p
    library.WaitForSingleObject.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
    library.WaitForSingleObject.restype = ctypes.c_uint32
    library.CloseHandle.argtypes = (ctypes.c_void_p,)
    kernel: Kernel = library
    return kernel


def _random_name() -> str:
    return os.urandom(16).hex()


@dataclass(frozen=True)
class WindowsPlatform:
    """Windows; written, checked with a stand-in kernel, never run on Windows.

    Attributes
    ----------
    kernel
        Returns the calls of kernel32.dll.
    """

    kernel: Callable[[], Kernel] = _kernel32
    random_name: Callable[[], str] = field(default=_random_name, repr=False)
    family: str = "AF_PIPE"
    creation_flags: Sequence[int] = (
        NEW_PROCESS_GROUP | NO_WINDOW | BREAK_AWAY_FROM_JOB,
        NEW_PROCESS_GROUP | NO_WINDOW,
    )
    ignored: Sequence[str] = ("SIGINT",)
    graceful: Sequence[str] = ("SIGTERM", "SIGBREAK")

    def address(self, folder: Path) -> str:  # noqa: ARG002  pipes have no folder
        """Return the name of a new pipe."""
        return rf"\\.\pipe\faro-host-{self.random_name()}"

    def wait_for_end(self, pid: int) -> bool:
        """Return True when the process has ended, False if it cannot be watched."""
        kernel = self.kernel()
        handle = kernel.OpenProcess(SYNCHRONIZE, False, pid)  # noqa: FBT003  C
        if not handle:
            logger.warning("Process %d cannot be watched; its pipe tells.", pid)
            return False
        try:
            return kernel.WaitForSingleObject(handle, INFINITE) == WAIT_OBJECT_0
        finally:
            kernel.CloseHandle(handle)


def this_platform(name: str = sys.platform) -> Platform:
    """Return the side of the seam that this process is on."""
    return WindowsPlatform() if name == "win32" else PosixPlatform()


def start_process(
    command: Sequence[str],
    log: BinaryIO,
    platform: Platform,
    popen: Callable[..., HostProcess] = subprocess.Popen,
) -> HostProcess:
    """Start a process that no signal to our group and no job of ours reaches.

    Its stdin and stdout are pipes, its stderr is ``log``.
    """
    start = partial(_start, command, log, popen)
    *others, last = platform.creation_flags
    for flags in others:
        try:
            return start(flags)
        except PermissionError:
            logger.info("A process cannot be started with flags %#x.", flags)
    return start(last)


def _start(
    command: Sequence[str],
    log: BinaryIO,
    popen: Callable[..., HostProcess],
    flags: int,
) -> HostProcess:
    return popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        creationflags=flags,
        start_new_session=True,
    )


def take_signals(platform: Platform, end: Callable[[str], None]) -> None:
    """Ignore the interrupts of others, and call ``end(reason)`` when asked to go.

    Main thread only. ``end`` runs in a signal handler and must take no lock.
    """
    for name in platform.ignored:
        signals.ignore(signals.number_of(name))
    for name in platform.graceful:

        def taken(number: int) -> None:
            end(f"the host got {signals.name_of(number)}")

        signals.take(signals.number_of(name), taken)
