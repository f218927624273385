"""What plug-in authors and tests need: contract checks, fakes, synthetic truth.

The checks are here; names are loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from faro.testing.features import check_features
    from faro.testing.microscope import check_microscope
    from faro.testing.segmenter import check_segmenter
    from faro.testing.stimulator import check_stimulator
    from faro.testing.tracker import check_tracker

_HOMES = {
    "check_features": "faro.testing.features",
    "check_microscope": "faro.testing.microscope",
    "check_segmenter": "faro.testing.segmenter",
    "check_stimulator": "faro.testing.stimulator",
    "check_tracker": "faro.testing.tracker",
}

__all__ = [
    "check_features",
    "check_microscope",
    "check_segmenter",
    "check_stimulator",
    "check_tracker",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    message = f"module 'faro.testing' has no attribute {name!r}"
    raise AttributeError(message)
