"""Fail if the built site loads something from elsewhere, or names our folder."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

LOADS = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "link": "href",
}
ELSEWHERE = re.compile(r"(https?:)?//")
ELSEWHERE_IN_STYLE = re.compile(
    r"url\(['\"]?(?:https?:)?//[^)]*\)|@import[^;]*//[^;]*;"
)
LEAST_PAGES = 30


class Page(HTMLParser):
    """What a page loads when it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the address of what a tag loads."""
        values = dict(attrs)
        if tag == "link" and values.get("rel") == "canonical":
            return
        address = values.get(LOADS.get(tag, ""))
        if address is not None and ELSEWHERE.match(address):
            self.loaded.append(address)


def loaded_by(path: Path) -> list[str]:
    """Return the addresses outside the site that a page or a style loads."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".css":
        return ELSEWHERE_IN_STYLE.findall(text)
    page = Page()
    page.feed(text)
    return page.loaded


def main(site: Path) -> int:
    """Look at every page and style of the site."""
    pages = sorted(site.rglob("*.html"))
    if len(pages) < LEAST_PAGES:
        print(f"{site} has only {len(pages)} pages.", file=sys.stderr)
        return 1
    wrong = [
        f"{path.relative_to(site)} loads {address}"
        for path in [*pages, *sorted(site.rglob("*.css"))]
        for address in loaded_by(path)
    ]
    here = str(Path(__file__).resolve().parent.parent)
    wrong += [
        f"{path.relative_to(site)} names {here}"
        for path in pages
        if here in path.read_text(encoding="utf-8")
    ]
    print("\n".join(wrong) or f"{len(pages)} pages, which load nothing from elsewhere")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
