"""Ends of processes that only POSIX has, for tests that skip on Windows."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_S = 30.0
ELSEWHERE = "This is for POSIX only."


def kill_hard(pid: int) -> None:
    """Send SIGKILL to a process."""
    if sys.platform != "win32":
        os.kill(pid, signal.SIGKILL)
    else:
        raise NotImplementedError(ELSEWHERE)


def halt(pid: int) -> None:
    """Stop a process in its tracks: it hangs, with all that it holds."""
    if sys.platform != "win32":
        os.kill(pid, signal.SIGSTOP)
    else:
        raise NotImplementedError(ELSEWHERE)


def kill_group_hard(pid: int) -> None:
    """Send SIGKILL to the process group that ``pid`` leads."""
    if sys.platform != "win32":
        os.killpg(pid, signal.SIGKILL)
    else:
        raise NotImplementedError(ELSEWHERE)


def fork() -> int:
    """Fork this process; return 0 in the child, its pid in the parent, or -1."""
    child = -1
    if sys.platform != "win32":
        child = os.fork()
    return child


def hang_up() -> int:
    """Return the number of SIGHUP; of SIGTERM where there is none."""
    number = signal.SIGTERM
    if sys.platform != "win32":
        number = signal.SIGHUP
    return int(number)


def press_ctrl_c() -> None:
    """Send SIGINT to the main thread, so that it wakes from what it waits for."""
    if sys.platform != "win32":
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        raise NotImplementedError(ELSEWHERE)


def device_number(path: Path) -> str:
    """Return the device that holds a path, as ``major:minor``."""
    if sys.platform != "win32":
        number = path.stat().st_dev
        return f"{os.major(number)}:{os.minor(number)}"
    raise NotImplementedError(ELSEWHERE)


def open_terminal() -> tuple[int, int]:
    """Open a pseudo-terminal; return the descriptors of its keyboard and program."""
    if sys.platform != "win32":
        return os.openpty()
    raise NotImplementedError(ELSEWHERE)


def until(true: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    """Return when ``true()`` is true; TimeoutError if it does not become so."""
    deadline_s = time.monotonic() + patience_s
    while not true():
        if time.monotonic() > deadline_s:
            message = f"not within {patience_s:g} s"
            raise TimeoutError(message)
        time.sleep(0.005)


def ended(pid: int) -> bool:
    """Return whether a process that is not ours has ended; a zombie has."""
    if not Path("/proc/self").exists():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"
