"""The last frames of a run cost what its first did, reduced: see benchmarks/flat.py."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

FLAT = Path(__file__).parents[2] / "benchmarks" / "flat.py"
MOST_COST, MOST_MEMORY = 1.3, 1.06
"""Looser than promised: so few frames, beside other tests."""


@pytest.fixture
def flat() -> Iterator[Any]:
    spec = importlib.util.spec_from_file_location("flat_benchmark", FLAT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["flat_benchmark"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["flat_benchmark"]


@pytest.mark.long
def test_the_cost_of_a_frame_does_not_grow(flat: Any, tmp_path: Path) -> None:
    found = flat.report(flat.run(6, 200, tmp_path))
    assert found["threads"] <= 0
    assert found["descriptors"] <= 0
    assert found["memory"] <= MOST_MEMORY
    assert found["cost"] <= MOST_COST
