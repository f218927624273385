"""Settings of the machine; the one place that reads the environment."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def _home(folder: str) -> Path:
    return Path.home() / folder


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
    models_folder
        Where weights of your own are looked for by name (``FARO_MODELS``).
    cellpose_folder, keras_folder
        Where Cellpose and StarDist keep theirs (``CELLPOSE_LOCAL_MODELS_PATH``,
        ``KERAS_HOME``).
    """

    log_level: str = "WARNING"
    disk_reserve_bytes: int = 500_000_000
    host_start_s: float = 120.0
    models_folder: Path = field(default_factory=lambda: _home(".faro/models"))
    cellpose_folder: Path = field(
        default_factory=lambda: Path.home() / ".cellpose/models"
    )
    keras_folder: Path = field(default_factory=lambda: _home(".keras"))


def load() -> Settings:
    """Return the settings, read from the environment now."""
    env = os.environ  # noqa: TID251  this is the one place
    default = Settings()

    def folder(name: str, otherwise: Path) -> Path:
        return Path(env.get(name) or otherwise).expanduser()

    reserve = env.get("FARO_DISK_RESERVE_MB")
    return Settings(
        log_level=env.get("FARO_LOG_LEVEL", default.log_level).upper(),
        disk_reserve_bytes=(
            int(float(reserve) * 1e6) if reserve else default.disk_reserve_bytes
        ),
        host_start_s=float(env.get("FARO_HOST_START_S", default.host_start_s)),
        models_folder=folder("FARO_MODELS", default.models_folder),
        cellpose_folder=folder("CELLPOSE_LOCAL_MODELS_PATH", default.cellpose_folder),
        keras_folder=folder("KERAS_HOME", default.keras_folder),
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


def worker_environment(n_threads: int, sys_path: Sequence[str]) -> dict[str, str]:
    """Return the environment of a worker process.

    Number-crunching libraries get ``n_threads`` threads, and those that would fetch
    weights by themselves are told to stay offline.

    Parameters
    ----------
    n_threads
        Of OpenMP, OpenBLAS, MKL and numexpr.
    sys_path
        Where the process looks for modules.
    """
    kinds = "OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM"
    threads = {f"{kind}_NUM_THREADS": str(n_threads) for kind in kinds}
    offline = {f"{hub}_OFFLINE": "1" for hub in ("HF_HUB", "TRANSFORMERS")}
    quiet = {
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "PYTHONPATH": os.pathsep.join(filter(None, sys_path)),
    }
    return {
        **os.environ,  # noqa: TID251  this is the one place
        **threads,
        **offline,
        **quiet,
    }
