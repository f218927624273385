"""Which software wrote a run."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
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
    """Return the versions of Python, faro and the libraries that are installed."""
    found = {"python": platform.python_version(), "faro": faro_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def environment() -> dict[str, Any]:
    """Return what a reader needs to set up the same software, JSON-able."""
    return {
        "python": sys.version,
        "implementation": platform.python_implementation(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "host": platform.node(),
        "versions": versions(),
    }
