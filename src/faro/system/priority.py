"""Let others go first: for processes that only look on."""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Any, Final

NICE: Final = 10
BELOW_NORMAL: Final = 0x4000


def lower_priority(system: str = sys.platform, kernel: Any = None) -> None:
    """Give this process a lower priority than the one that acquires.

    Parameters
    ----------
    kernel
        kernel32.dll; None to load it.
    """
    if system == "win32":
        library = kernel or ctypes.WinDLL("kernel32")  # type: ignore[attr-defined, unused-ignore]  # only there on Windows
        library.GetCurrentProcess.restype = ctypes.c_void_p
        library.SetPriorityClass.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
        library.SetPriorityClass(library.GetCurrentProcess(), BELOW_NORMAL)
        return
    os.nice(NICE)  # type: ignore[attr-defined, unused-ignore]  # only there on POSIX
