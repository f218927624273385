"""The documentation: every page can be reached."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))


def reached(part: object) -> Iterator[str]:
    """Yield the pages that a part of the navigation names."""
    if isinstance(part, str):
        yield part
    elif isinstance(part, dict):
        for inner in part.values():
            yield from reached(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from reached(inner)


def test_every_page_is_in_the_navigation() -> None:
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    named = list(reached(settings["nav"]))
    pages = {page.relative_to(DOCS).as_posix() for page in PAGES}
    missing = sorted(pages - set(named))
    assert not missing, f"Give these a line in mkdocs.yml: {missing}"
    assert len(named) == len(set(named))
