"""Whether there is room on the disk for what comes next."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

EASE: Final = 1.05
"""After a wait a run goes on when this much of the reserve is free."""


class DiskRoom:
    """Tells of a disk that is nearly full, before it is.

    Parameters
    ----------
    free_bytes
        Returns what is free on the disk of the run.
    queued_bytes
        Returns what is acquired and not yet written.
    reserve_bytes
        What must stay free.
    """

    def __init__(
        self,
        free_bytes: Callable[[], int],
        queued_bytes: Callable[[], int],
        reserve_bytes: int,
    ) -> None:
        self._free_bytes, self._queued_bytes = free_bytes, queued_bytes
        self._reserve_bytes = reserve_bytes
        self._lacks = False

    def lacking(self) -> str:
        """Return what is lacking, in words; empty while there is room."""
        try:
            free = self._free_bytes() - self._queued_bytes()
        except OSError:
            logger.exception("The free space of the disk cannot be read.")
            return ""
        wanted = self._reserve_bytes * (EASE if self._lacks else 1.0)
        self._lacks = free < wanted
        if not self._lacks:
            return ""
        return (
            f"the disk is nearly full ({max(free, 0) / 1e6:.0f} MB free, "
            f"{self._reserve_bytes / 1e6:.0f} MB are reserved); free some space"
        )
