"""Importing FARO is light and touches nothing that belongs to others."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import faro

HEAVY = frozenset(
    {
        *("PyQt5", "PyQt6", "PySide2", "PySide6", "qtpy"),
        *("cellpose", "onnxruntime", "stardist", "tensorflow", "torch"),
        *("dask", "distributed", "napari", "ndv", "vispy"),
        *("bokeh", "fastapi", "panel", "starlette", "uvicorn"),
        *("pymmcore", "pymmcore_plus", "useq"),
        *("ome_writers", "pandas", "polars", "pyarrow", "tensorstore", "zarr"),
        *("cv2", "matplotlib", "scipy", "skimage"),
    }
)

IMPORT_FARO = """
import json, sys
import faro
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""

# Libraries set warning filters of their own when they load; they are let in first.
LOAD_MICROSCOPE = """
import json, logging, os, sys, warnings
import numpy, scipy.special

def state():
    return {
        "root level": logging.root.level,
        "root handlers": [repr(handler) for handler in logging.root.handlers],
        "environment": dict(os.environ),
        "warning filters": [repr(entry) for entry in warnings.filters],
    }

before = state()
import faro
faro.PyMMCoreMicroscope
after = state()
changed = {key: [was, after[key]] for key, was in before.items() if was != after[key]}
print(json.dumps({"loaded": "pymmcore_plus" in sys.modules, "changed": changed}))
"""

NAMES = """
import json, faro
homes = {name: getattr(faro, name).__module__ for name in faro.__all__}
print(json.dumps(homes))
"""


def answer_of_a_fresh_interpreter(script: str) -> object:
    """Return the JSON that ``script`` prints as its last line."""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    answer: object = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_a_bare_import_loads_nothing_heavy() -> None:
    loaded = answer_of_a_fresh_interpreter(IMPORT_FARO)
    assert isinstance(loaded, list)
    assert "faro" in loaded
    assert not HEAVY.intersection(loaded)


def test_loading_micro_manager_leaves_the_process_as_it_was() -> None:
    answer = answer_of_a_fresh_interpreter(LOAD_MICROSCOPE)
    assert answer == {"loaded": True, "changed": {}}


def test_every_public_name_loads_from_a_public_room() -> None:
    homes = answer_of_a_fresh_interpreter(NAMES)
    assert isinstance(homes, dict)
    assert set(homes) == set(faro.__all__)
    assert all(home.startswith("faro.") for home in homes.values())


def test_a_name_that_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(AttributeError, match="module 'faro' has no attribute 'Contrl'"):
        getattr(faro, "Contrl")  # noqa: B009  a type checker would refuse it


def test_names_of_the_public_project_that_we_lack_point_to_ours() -> None:
    with pytest.raises(AttributeError, match=r"instead: faro.host\(Moench\)"):
        getattr(faro, "PymmcoreProxyMic")  # noqa: B009  a type checker would refuse it
