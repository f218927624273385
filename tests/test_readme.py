"""The README's Python runs as it stands, and its picture exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python([^\n]*)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
RUN = [code for note, code in BLOCKS if "notest" not in note]


def test_blocks_that_do_not_run_say_why() -> None:
    assert RUN
    for note, _ in BLOCKS:
        assert not note.strip() or re.match(r" notest: \w+", note)


@pytest.mark.parametrize("code", RUN, ids=range(len(RUN)))
def test_the_python_of_the_readme_runs(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    scope: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), scope)
    if "controller" in scope:
        assert (tmp_path / "my-run" / "run.json").exists()


def test_the_picture_of_the_readme_exists() -> None:
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", TEXT)
    assert pictures
    assert all((ROOT / picture).is_file() for picture in pictures)


def test_fifteen_lines_run_the_loop() -> None:
    loop = next(code for code in RUN if "run_experiment" in code)
    statements = [line for line in loop.splitlines() if line.strip()]
    assert len(statements) <= 15
