"""The Python of the how-to runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "use-a-learned-segmenter.md"
BLOCKS = re.findall(
    r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
)


@pytest.mark.parametrize("code", BLOCKS, ids=range(len(BLOCKS)))
def test_the_python_of_the_page_runs(code: str) -> None:
    assert len(BLOCKS) == 3
    exec(compile(code, PAGE.name, "exec"), {})
