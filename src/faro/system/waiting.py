"""Waiting for local connections, ready at once for the next wait."""

from __future__ import annotations

import math
import select
import sys
from multiprocessing import connection
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.connection import Connection

    if sys.platform == "win32":
        from multiprocessing.connection import PipeConnection

        LocalConnection: TypeAlias = Connection[Any, Any] | PipeConnection[Any, Any]
    else:
        LocalConnection: TypeAlias = Connection[Any, Any]


POSIX: Any = select
"""The module of `poll`, which Windows lacks."""


class Readiness(Protocol):
    """Waits until one of some connections can be read."""

    def wait(self, wait_s: float | None = None) -> bool:
        """Return whether one can be read, or is gone, within ``wait_s``.

        None waits for ever. Raises OSError if one was closed here.
        """
        ...


class PollReadiness:
    """Linux and macOS: the kernel is told once which files are meant.

    Parameters
    ----------
    connections
        What to wait for.
    """

    def __init__(self, connections: Sequence[LocalConnection]) -> None:
        self._connections = tuple(connections)
        self._poller = POSIX.poll()
        for each in self._connections:
            self._poller.register(each.fileno(), POSIX.POLLIN)

    def wait(self, wait_s: float | None = None) -> bool:
        """Return whether one can be read, or is gone, within ``wait_s``."""
        for each in self._connections:
            each.fileno()  # raises if it was closed; its number may be another's
        limit_ms = None if wait_s is None else math.ceil(wait_s * 1e3)
        return bool(self._poller.poll(limit_ms))


class ObjectReadiness:
    """Windows: pipes are waited for as `multiprocessing.connection.wait` does it.

    Parameters
    ----------
    connections
        What to wait for.
    """

    def __init__(self, connections: Sequence[LocalConnection]) -> None:
        self._connections = list(connections)

    def wait(self, wait_s: float | None = None) -> bool:
        """Return whether one can be read, or is gone, within ``wait_s``."""
        return bool(connection.wait(self._connections, wait_s))


def readiness(*connections: LocalConnection, system: str = sys.platform) -> Readiness:
    """Return what waits for ``connections`` on this system."""
    kind = ObjectReadiness if system == "win32" else PollReadiness
    return kind(connections)
