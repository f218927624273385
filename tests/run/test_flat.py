"""The last frames of a run cost what its first did, reduced: see benchmarks/flat.py."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
MOST_COST, MOST_MEMORY, MOST_MORE = 1.5, 1.15, 8
"""Looser than promised: so few frames, beside other tests. Threads and files come and
go with what is being written; 1,200 frames that each left one would leave 1,200."""
ALONE = """
import json, sys
from pathlib import Path
import flat

found = flat.report(flat.run(6, 200, Path(sys.argv[1])))
print(json.dumps({name: float(value) for name, value in found.items()}))
"""


@pytest.mark.long
def test_the_cost_of_a_frame_does_not_grow(tmp_path: Path) -> None:
    """In a process of its own: what other tests left behind is not counted."""
    command = [sys.executable, "-c", ALONE, str(tmp_path)]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=BENCHMARKS
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["threads"] <= MOST_MORE
    assert found["descriptors"] <= MOST_MORE
    assert found["memory"] <= MOST_MEMORY
    assert found["cost"] <= MOST_COST
