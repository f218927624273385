"""Having written data on the device, on every system."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

REPLACE_TRIES: Final = 50 if sys.platform == "win32" else 1
"""How often a file is put in the place of another; Windows refuses while it is open."""


def sync_data(descriptor: int) -> None:
    """Return when the data of an open file is on the device."""
    if sys.platform == "linux":
        os.fdatasync(descriptor)
    else:
        os.fsync(descriptor)


def sync_file(descriptor: int) -> None:
    """Return when an open file is on the device, with all that is known of it."""
    os.fsync(descriptor)


def sync_folder(path: Path) -> None:
    """Return when the names in a folder are on the device.

    Windows has no such call; NTFS journals names by itself.
    """
    if sys.platform != "win32":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
