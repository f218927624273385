"""The seam to the operating system, both sides; Windows with a stand-in kernel."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from faro.errors import HardwareError
from faro.system.hosting import (
    BREAK_AWAY_FROM_JOB,
    NEW_PROCESS_GROUP,
    NO_WINDOW,
    SYNCHRONIZE,
    PosixPlatform,
    WindowsPlatform,
    start_process,
    take_signals,
    this_platform,
)
from faro.testing.posix import hang_up

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from faro.system.hosting import HostProcess

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="the POSIX side")


@dataclass
class StandInKernel:
    """Answers as kernel32 does, and keeps account of handles."""

    handle: int = 42
    calls: list[tuple[object, ...]] = field(default_factory=list)

    def OpenProcess(self, access: int, inherit: bool, pid: int) -> int | None:  # noqa: N802, FBT001  a C signature
        self.calls.append(("open", access, bool(inherit), pid))
        return self.handle

    def WaitForSingleObject(self, handle: int, timeout_ms: int) -> int:  # noqa: N802  a C signature
        self.calls.append(("wait", handle, timeout_ms))
        return 0

    def CloseHandle(self, handle: int) -> int:  # noqa: N802  a C signature
        self.calls.append(("close", handle))
        return 1


def test_windows_waits_on_the_handle_of_the_client_and_gives_it_back() -> None:
    kernel = StandInKernel()
    assert WindowsPlatform(kernel=lambda: kernel).wait_for_end(77)
    assert kernel.calls == [
        ("open", SYNCHRONIZE, False, 77),
        ("wait", 42, 0xFFFFFFFF),
        ("close", 42),
    ]


def test_windows_says_when_a_process_cannot_be_watched() -> None:
    kernel = StandInKernel(handle=0)
    assert not WindowsPlatform(kernel=lambda: kernel).wait_for_end(77)
    assert [call[0] for call in kernel.calls] == ["open"]


def test_windows_pipes_have_names_of_their_own(tmp_path: Path) -> None:
    windows = WindowsPlatform()
    names = {windows.address(tmp_path) for _ in range(10)}
    assert len(names) == 10
    assert all(name.startswith("\\\\.\\pipe\\faro-host-") for name in names)


def test_each_system_gets_its_side() -> None:
    assert isinstance(this_platform("win32"), WindowsPlatform)
    assert isinstance(this_platform("linux"), PosixPlatform)
    assert isinstance(this_platform("darwin"), PosixPlatform)


def test_a_job_that_forbids_to_break_away_does_not_stop_the_host(
    tmp_path: Path,
) -> None:
    tried: list[int] = []

    def popen(
        command: Sequence[str], *, creationflags: int, **options: object
    ) -> HostProcess:
        tried.append(creationflags)
        if creationflags & BREAK_AWAY_FROM_JOB:
            raise PermissionError
        assert options["start_new_session"]
        return subprocess.Popen(command)

    with (tmp_path / "log").open("wb") as log:
        command = [sys.executable, "-c", ""]
        process = start_process(command, log, WindowsPlatform(), popen)
    assert process.wait() == 0
    usual = NEW_PROCESS_GROUP | NO_WINDOW
    assert tried == [usual | BREAK_AWAY_FROM_JOB, usual]


@pytest.fixture
def short_lived() -> Iterator[HostProcess]:
    code = "import sys; sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as one:
        yield one


@posix_only
def test_posix_sees_a_process_end(short_lived: HostProcess) -> None:
    assert short_lived.stdin is not None
    short_lived.stdin.close()
    assert PosixPlatform().wait_for_end(short_lived.pid)
    short_lived.wait()
    assert PosixPlatform().wait_for_end(short_lived.pid)


@posix_only
def test_without_pidfd_a_new_parent_means_that_the_old_one_died() -> None:
    parents = iter([7, 7, 7, 1])

    def refuse(pid: int) -> int:
        raise OSError(pid)

    start = time.perf_counter()
    posix = PosixPlatform(refuse, lambda: next(parents), poll_s=0.01)
    assert posix.wait_for_end(7)
    assert time.perf_counter() - start >= 0.02


def test_a_folder_too_deep_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HardwareError, match="TMPDIR"):
        PosixPlatform().address(tmp_path / ("x" * 120))


@posix_only
def test_a_host_ignores_interrupts_and_ends_when_asked_to() -> None:
    numbers: list[int] = [signal.SIGINT, signal.SIGTERM, hang_up()]
    before = {number: signal.getsignal(number) for number in numbers}
    reasons: list[str] = []
    try:
        take_signals(PosixPlatform(), reasons.append)
        for number in numbers:
            os.kill(os.getpid(), number)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert reasons == ["the host got SIGTERM", "the host got SIGHUP"]
