"""One process per rig: a lock file that says who holds it, and since when."""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import json
import logging
import os
import platform
import re
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from faro.errors import HardwareError
from faro.system.process import ProcessPlatform, this_process

logger = logging.getLogger(__name__)

WAIT_S = 5.0
POLL_S = 0.05


def lock_folder() -> Path:
    """Return this user's folder of lock files, made if there is none."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):
        user = "unknown"
    folder = Path(tempfile.gettempdir()) / f"faro-rigs-{user}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


class RigLock:
    """Held by one process at a time; the system takes it back when that one ends.

    Parameters
    ----------
    rig
        Name of the rig: its configuration, or its class.
    folder
        Where the lock file is; None for `lock_folder`.
    wait_s
        How long to wait for an owner that is ending.
    system
        The operating system.
    """

    def __init__(
        self,
        rig: str,
        folder: Path | None = None,
        wait_s: float = WAIT_S,
        system: ProcessPlatform | None = None,
    ) -> None:
        self.rig = rig
        short = re.sub(r"[^A-Za-z0-9]+", "-", Path(rig).stem).strip("-")[:40]
        digest = hashlib.sha256(rig.encode()).hexdigest()[:12]
        self.path = (folder or lock_folder()) / f"{short}-{digest}.lock"
        self._wait_s, self._system = wait_s, system or this_process()
        self._descriptor: int | None = None
        self._turn = threading.Lock()

    def acquire(self) -> None:
        """Take the rig, waiting a little for an owner that is ending.

        Raises
        ------
        HardwareError
            If another process holds it: which one, and since when. If the lock file
            cannot be written.
        """
        deadline_s = time.monotonic() + self._wait_s
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
        try:
            descriptor = os.open(self.path, flags, 0o600)
        except OSError as error:
            problem = f"The lock file of the rig cannot be opened: {error}."
            raise HardwareError(problem, remedy="Make its folder writable.") from error
        told = False
        try:
            while not self._system.try_lock(descriptor):
                if time.monotonic() >= deadline_s:
                    raise self._held()
                if not told:
                    logger.info("waiting for the owner of %s: %s", self.rig, self.owner)
                    told = True
                time.sleep(POLL_S)
            self._sign(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def _held(self) -> HardwareError:
        owner = self.owner
        who = f"process {owner.get('pid', '?')} on {owner.get('host', '?')}"
        problem = (
            f"The rig {self.rig} is held by {who} since {owner.get('since', '?')}"
            f" ({owner.get('config', 'unknown configuration')})."
        )
        return HardwareError(problem, remedy="End that process, then try again.")

    @property
    def owner(self) -> dict[str, object]:
        """What the file says of who holds the rig, or held it last."""
        try:
            said = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return said if isinstance(said, dict) else {}

    def _sign(self, descriptor: int) -> None:
        mine = {
            "pid": os.getpid(),
            "host": platform.node(),
            "since": datetime.now(tz=UTC).isoformat(timespec="seconds"),
            "config": self.rig,
        }
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, json.dumps(mine).encode())

    def release(self) -> None:
        """Give the rig back. Safe to call twice, from any thread."""
        with self._turn:
            descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        with contextlib.suppress(OSError):
            self._system.unlock(descriptor)
        os.close(descriptor)

    def abandon(self) -> None:
        """Let the parent of this forked process keep the rig."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
