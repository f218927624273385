"""Which software wrote a run."""

from __future__ import annotations

import os
import platform
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, distributions, version
from typing import Any, Final

FARO: Final = "faro-microscopy"
PACKAGES: Final = (
    "numpy",
    "scipy",
    "scikit-image",
    "opencv-python-headless",
    "pyarrow",
    "tensorstore",
    "yaozarrs",
    "pydantic",
    "useq-schema",
    "pymmcore",
    "pymmcore-plus",
    "cellpose",
    "stardist",
    "torch",
)


def faro_version() -> str:
    """Return the installed version of faro, ``"unknown"`` if it is not installed."""
    try:
        return version(FARO)
    except PackageNotFoundError:
        return "unknown"


def versions() -> dict[str, str]:
    """Return the versions of Python, faro and the libraries that a run stands on."""
    found = {"python": platform.python_version(), "faro": faro_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def environment() -> dict[str, Any]:
    """Return what a reader needs to set up the same software, JSON-able.

    All installed distributions are listed, whether they were used or not.
    """
    return {
        "python": sys.version,
        "implementation": platform.python_implementation(),
        "executable": sys.executable,
        "command": sys.argv,
        "platform": platform.platform(),
        "machine": platform.machine(),
        "processor": platform.processor(),
        "n_cpus": os.cpu_count(),
        "host": platform.node(),
        "versions": dict(_installed()),
    }


@cache
def _installed() -> tuple[tuple[str, str], ...]:
    """Return name and version of all distributions, looked up once a process."""
    found = {(d.name, d.version) for d in distributions() if d.name}
    return tuple(sorted(found, key=lambda item: item[0].lower()))
