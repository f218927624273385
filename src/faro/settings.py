"""Settings of the machine; the one place that reads the environment."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Settings:
    """What a user can set for all runs on this machine.

    Attributes
    ----------
    log_level
        Level of the console log (``FARO_LOG_LEVEL``).
    disk_reserve_bytes
        Bytes that a run must leave free (``FARO_DISK_RESERVE_MB``, in MB).
    host_start_s
        How long a device host may take to load its devices
        (``FARO_HOST_START_S``).
    """

    log_level: str = "WARNING"
    disk_reserve_bytes: int = 500_000_000
    host_start_s: float = 120.0


def load() -> Settings:
    """Return the settings, read from the environment now."""
    env = os.environ  # noqa: TID251  this is the one place
    default = Settings()
    reserve = env.get("FARO_DISK_RESERVE_MB")
    return Settings(
        log_level=env.get("FARO_LOG_LEVEL", default.log_level).upper(),
        disk_reserve_bytes=(
            int(float(reserve) * 1e6) if reserve else default.disk_reserve_bytes
        ),
        host_start_s=float(env.get("FARO_HOST_START_S", default.host_start_s)),
    )


@contextmanager
def environment_as_found() -> Iterator[None]:
    """Undo what the block does to the environment of this process."""
    env = os.environ  # noqa: TID251  this is the one place
    before = dict(env)
    try:
        yield
    finally:
        for name in env.keys() - before.keys():
            del env[name]
        env.update(before)
