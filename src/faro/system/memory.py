"""Shared memory of another process, and objects that are never destroyed."""

from __future__ import annotations

import ctypes
import sys
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory
from typing import Any, TypeVar

TRACKS_BY_CHOICE = sys.version_info >= (3, 13)

M = TypeVar("M", bound=SharedMemory)


def opened(name: str, kind: type[M]) -> M:
    """Open shared memory that is not ours to remove, and so not our tracker's either.

    The tracker of this process would remove it at the end, or complain about it.
    """
    options: dict[str, Any] = {"track": False} if TRACKS_BY_CHOICE else {}
    memory = kind(name=name, **options)
    if not TRACKS_BY_CHOICE and sys.platform != "win32":
        resource_tracker.unregister(f"/{memory.name}", "shared_memory")
    return memory


def made(n_bytes: int, kind: type[M]) -> M:
    """Make shared memory that is removed by ``unlink`` only."""
    options: dict[str, Any] = {"track": False} if TRACKS_BY_CHOICE else {}
    return kind(create=True, size=n_bytes, **options)


def make_immortal(one: object) -> None:
    """Have an object never be destroyed, not even when the interpreter ends."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(one))
