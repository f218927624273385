"""Ends of processes that only POSIX has, for tests; they fail on Windows."""

from __future__ import annotations

import os
import signal
import sys

ELSEWHERE = "This is for POSIX only."


def kill_hard(pid: int) -> None:
    """Send SIGKILL to a process."""
    if sys.platform != "win32":
        os.kill(pid, signal.SIGKILL)
    else:
        raise NotImplementedError(ELSEWHERE)


def kill_group_hard(pid: int) -> None:
    """Send SIGKILL to the process group that ``pid`` leads."""
    if sys.platform != "win32":
        os.killpg(pid, signal.SIGKILL)
    else:
        raise NotImplementedError(ELSEWHERE)


def fork() -> int:
    """Fork this process; return 0 in the child, its pid in the parent."""
    if sys.platform != "win32":
        return os.fork()
    else:
        raise NotImplementedError(ELSEWHERE)


def hang_up() -> int:
    """Return the number of SIGHUP."""
    if sys.platform != "win32":
        return int(signal.SIGHUP)
    else:
        raise NotImplementedError(ELSEWHERE)
