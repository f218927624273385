"""Both sides of the seam for the end of a process; Windows with stand-ins."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from faro.system.process import (
    LOCKED_BYTE,
    PosixProcess,
    WindowsProcess,
    this_process,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Bytes:
    """Locks of bytes, as Windows has them, in one process."""

    def __init__(self) -> None:
        self.taken: set[int] = set()

    def locking(self, descriptor: int, mode: int, length: int, /) -> None:
        start = os.lseek(descriptor, 0, os.SEEK_CUR)
        spot = start + length
        if mode == 0:
            self.taken.discard(spot)
        elif spot in self.taken:
            raise PermissionError
        else:
            self.taken.add(spot)


class Kernel:
    """The console of a Windows process."""

    def __init__(self) -> None:
        self.handlers: list[Callable[[int], int]] = []

    def SetConsoleCtrlHandler(self, handler: object, add: bool) -> int:  # noqa: N802, FBT001  a C signature
        assert callable(handler)
        assert add
        self.handlers.append(handler)
        return 1


def windows(kernel: Kernel | None = None) -> WindowsProcess:
    made = kernel or Kernel()
    return WindowsProcess(Bytes(), lambda: made, lambda handler: handler)


def test_this_system_has_a_side() -> None:
    assert isinstance(this_process("linux"), PosixProcess)
    assert isinstance(this_process("win32"), WindowsProcess)
    assert "SIGBREAK" in this_process("win32").graceful


@pytest.mark.parametrize("name", ["posix", "windows"])
def test_a_file_is_locked_once(name: str, tmp_path: Path) -> None:
    if name == "posix":
        pytest.importorskip("fcntl", exc_type=ImportError)
    system = PosixProcess() if name == "posix" else windows()
    path = tmp_path / "file"
    path.write_bytes(b"who holds it")
    first, second = os.open(path, os.O_RDWR), os.open(path, os.O_RDWR)
    assert system.try_lock(first)
    assert not system.try_lock(second)
    assert path.read_bytes() == b"who holds it"
    system.unlock(first)
    assert system.try_lock(second)
    os.close(first)
    os.close(second)


def test_windows_locks_far_behind_what_is_written(tmp_path: Path) -> None:
    locks = Bytes()
    system = WindowsProcess(locks, Kernel, lambda handler: handler)
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    system.try_lock(descriptor)
    os.close(descriptor)
    assert locks.taken == {LOCKED_BYTE + 1}


def test_a_console_that_closes_ends_the_process_a_ctrl_c_does_not() -> None:
    kernel, reasons = Kernel(), list[str]()
    windows(kernel).watch_console(reasons.append)
    (handler,) = kernel.handlers
    assert [handler(event) for event in (0, 1, 2, 5, 6)] == [0] * 5
    assert reasons == ["console closed", "user logged off", "machine shuts down"]


def test_a_posix_terminal_sends_signals_instead() -> None:
    reasons: list[str] = []
    PosixProcess().watch_console(reasons.append)
    assert not reasons
