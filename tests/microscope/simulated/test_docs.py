"""The Python of the page about the simulated microscope runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from faro.microscope.simulated.behaviour import KINDS

PAGE = Path(__file__).parents[3] / "docs/explanation/simulated-microscope.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_a_block_runs(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    scope: dict[str, object] = {}
    exec(compile(BLOCKS[number], str(PAGE), "exec"), scope)
    assert len(scope) > 2


def test_every_response_is_in_the_table() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE)) == set(KINDS)
