"""What the end of a process needs: the signals that ask for it, locks, the console."""

from __future__ import annotations

import ctypes
import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

LOCK_MODULE: Any
if sys.platform == "win32":
    import msvcrt

    LOCK_MODULE = msvcrt
else:
    import fcntl

    LOCK_MODULE = fcntl

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LOCKED_BYTE = 1 << 30
CONSOLE_ENDS = {2: "console closed", 5: "user logged off", 6: "machine shuts down"}
LK_UNLCK, LK_NBLCK = 0, 2


class ProcessPlatform(Protocol):
    """What the end of a process needs to know about the operating system."""

    @property
    def graceful(self) -> Sequence[str]:
        """Names of signals that ask a process to end."""
        ...

    def try_lock(self, descriptor: int) -> bool:
        """Lock an open file for this process; False if another one holds it."""
        ...

    def unlock(self, descriptor: int) -> None:
        """Give the lock back."""
        ...

    def watch_console(self, ends: Callable[[str], None]) -> None:
        """Have ``ends(reason)`` called when the console goes; it must not return late.

        On a thread of the system's. Does nothing where consoles send signals.
        """
        ...


class FileLocks(Protocol):
    """The call of the module fcntl that is used."""

    LOCK_EX: int
    LOCK_NB: int
    LOCK_UN: int

    def flock(self, descriptor: int, operation: int, /) -> None:
        """Lock or unlock an open file."""
        ...


@dataclass(frozen=True)
class PosixProcess:
    """Linux and macOS."""

    locks: FileLocks = LOCK_MODULE
    graceful: Sequence[str] = ("SIGTERM", "SIGHUP")

    def try_lock(self, descriptor: int) -> bool:
        """Lock an open file; the kernel unlocks it when the process ends."""
        try:
            self.locks.flock(descriptor, self.locks.LOCK_EX | self.locks.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def unlock(self, descriptor: int) -> None:
        """Give the lock back."""
        self.locks.flock(descriptor, self.locks.LOCK_UN)

    def watch_console(self, ends: Callable[[str], None]) -> None:
        """Nothing to do: a terminal that closes sends SIGHUP."""


class ByteLocks(Protocol):
    """The call of the module msvcrt that is used."""

    def locking(self, descriptor: int, mode: int, length: int, /) -> None:
        """Lock or unlock bytes of an open file, from where it stands."""
        ...


class Console(Protocol):
    """The call of kernel32.dll that is used."""

    def SetConsoleCtrlHandler(self, handler: object, add: bool) -> int:  # noqa: N802, FBT001  a C signature
        """Add or remove a handler of console events."""
        ...


def _kernel32() -> Console:
    library: Console = ctypes.WinDLL("kernel32", use_last_error=True)  # type: ignore[attr-defined, unused-ignore]  # only there on Windows
    return library


def _c_handler(handler: Callable[[int], int]) -> object:
    kind = ctypes.WINFUNCTYPE(ctypes.c_int, ctypes.c_uint32)  # type: ignore[attr-defined, unused-ignore]  # only there on Windows
    made: object = kind(handler)
    return made


@dataclass(frozen=True)
class WindowsProcess:
    """Windows; written, checked with stand-ins, never run on Windows.

    A lock is on one byte far behind the end of the file, so that others can read
    what the file says.

    Attributes
    ----------
    locks
        The module msvcrt.
    console
        Returns the calls of kernel32.dll.
    c_handler
        Makes a C callback of a Python function.
    """

    locks: ByteLocks = LOCK_MODULE
    console: Callable[[], Console] = _kernel32
    c_handler: Callable[[Callable[[int], int]], object] = _c_handler
    graceful: Sequence[str] = ("SIGTERM", "SIGBREAK")
    _kept: list[object] = field(default_factory=list, repr=False)

    def try_lock(self, descriptor: int) -> bool:
        """Lock an open file; the system unlocks it when the process ends."""
        os.lseek(descriptor, LOCKED_BYTE, os.SEEK_SET)
        try:
            self.locks.locking(descriptor, LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def unlock(self, descriptor: int) -> None:
        """Give the lock back."""
        os.lseek(descriptor, LOCKED_BYTE, os.SEEK_SET)
        self.locks.locking(descriptor, LK_UNLCK, 1)

    def watch_console(self, ends: Callable[[str], None]) -> None:
        """Have ``ends`` called; the process is ended soon after it returns."""

        def handle(event: int) -> int:
            if event in CONSOLE_ENDS:
                ends(CONSOLE_ENDS[event])
            return 0

        handler = self.c_handler(handle)
        self._kept.append(handler)
        self.console().SetConsoleCtrlHandler(handler, True)  # noqa: FBT003  C


def after_fork(hook: Callable[[], object]) -> None:
    """Have ``hook()`` called in every child made by ``fork``, where there is a fork."""
    register = getattr(os, "register_at_fork", None)
    if register is not None:
        register(after_in_child=hook)


def this_process(name: str = sys.platform) -> ProcessPlatform:
    """Return the side of the seam that this process is on."""
    return WindowsProcess() if name == "win32" else PosixProcess()
