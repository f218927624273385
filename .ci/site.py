"""What the documentation site shows and no page under docs/ holds: mkdocs asks it.

Pages are made from the package, its command line and its schema, and from the files
beside docs/, so that nothing is written twice. mkdocs.yml names this file as a hook.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

import site_api
import site_command
import site_examples
import site_map
import site_schema
from mkdocs.structure.files import File, Files

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
BESIDE = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
"""Pages at the top of the repository, and what they are called on the site."""

LINK = re.compile(r"\[(?P<text>[^\]]*)\]\((?P<target>[^)\s#]+)(?P<anchor>#[^)\s]*)?\)")
ELSEWHERE = re.compile(r"[a-z]+:")


def pages() -> dict[str, str]:
    """Return the text of every page that is made, by its path on the site."""
    beside = {
        page: (ROOT / name).read_text(encoding="utf-8") for name, page in BESIDE.items()
    }
    return {
        **beside,
        **site_api.pages(),
        **site_examples.pages(),
        "reference/cli.md": site_command.page(),
        "reference/experiment-file.md": site_schema.page(),
        "reference/package-map.md": site_map.page(),
    }


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made, and the example files as they are."""
    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    for example in site_examples.files():
        files.append(
            File.generated(
                config, f"examples/{example.name}", abs_src_path=str(example)
            )
        )
    return files


def on_page_markdown(markdown: str, page: Page, files: Files, **_: object) -> str:
    """Turn links between files of the repository into links of the site."""
    where = page.file.src_uri
    origin = next((name for name, made in BESIDE.items() if made == where), None)
    if where.startswith("examples/"):
        origin = where.replace("index.md", "README.md")
    folder = posixpath.dirname(origin if origin is not None else f"docs/{where}")
    known = {file.src_uri for file in files}

    def relinked(link: re.Match[str]) -> str:
        target = link["target"]
        if ELSEWHERE.match(target):
            return link[0]
        wanted = site_path(posixpath.normpath(posixpath.join(folder, target)))
        if wanted in known:
            path = posixpath.relpath(wanted, posixpath.dirname(where) or ".")
            return f"[{link['text']}]({path}{link['anchor'] or ''})"
        outside = not wanted.endswith(".md") and (ROOT / folder / target).exists()
        return link["text"] if outside else link[0]

    return LINK.sub(relinked, markdown)


def site_path(path: str) -> str:
    """Return the path on the site of a file of the repository."""
    if path == "examples/README.md":
        return "examples/index.md"
    if path == "docs/decisions":
        return "decisions/index.md"
    return BESIDE.get(path, path.removeprefix("docs/"))
