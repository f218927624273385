"""The package as a whole: light to import, and its names."""

from __future__ import annotations

import subprocess
import sys

import pytest

import faro.storage

HEAVY = ("tensorstore", "pyarrow", "pandas", "zarr", "useq")


def loaded_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; sys.stdout.write(' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_importing_the_package_loads_no_file_format() -> None:
    assert not loaded_by("import faro.storage").intersection(HEAVY)


def test_naming_a_run_folder_loads_no_file_format() -> None:
    statement = "from faro.storage import next_free"
    assert not loaded_by(statement).intersection(HEAVY)


def test_every_public_name_is_there() -> None:
    for name in faro.storage.__all__:
        assert getattr(faro.storage, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'TiffReader'"):
        _ = faro.storage.TiffReader
