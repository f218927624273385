"""Looking whether Enter was pressed at a terminal."""

from __future__ import annotations

import os
import select
import sys
import time
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    Look: TypeAlias = Callable[[], bool | None]

KEYS: Any = None
if sys.platform == "win32":
    import msvcrt

    KEYS = msvcrt

READ_BYTES = 1024
LOOKS = 10


class Keys(Protocol):
    """The calls of the module msvcrt that are used."""

    def kbhit(self) -> bool:
        """Return whether a key was pressed."""
        ...

    def getwch(self) -> str:
        """Return the key that was pressed."""
        ...


def enter_at(descriptor: int, look_s: float, system: str = sys.platform) -> Look:
    """Return a look for Enter: False after ``look_s``, None when the terminal is gone.

    Parameters
    ----------
    descriptor
        Of the terminal; Windows has one console for a process.
    look_s
        How long one look takes at most.
    system
        Which system this is.
    """
    if system == "win32":
        return windows_look(KEYS, look_s)
    return posix_look(descriptor, look_s)


def posix_look(descriptor: int, look_s: float) -> Look:
    """Return a look for Enter at a terminal of Linux or macOS."""

    def look() -> bool | None:
        ready, _, _ = select.select([descriptor], [], [], look_s)
        if not ready:
            return False
        try:
            read = os.read(descriptor, READ_BYTES)
        except OSError:
            return None
        return b"\n" in read if read else None

    return look


def windows_look(keys: Keys, look_s: float) -> Look:
    """Return a look for Enter at the console of this process."""

    def look() -> bool | None:
        until_s = time.monotonic() + look_s
        while time.monotonic() < until_s:
            if not keys.kbhit():
                time.sleep(look_s / LOOKS)
            elif keys.getwch() in {"\r", "\n"}:
                return True
        return False

    return look
