"""What is missing is named with our distribution, never with another project's."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from faro.errors import MissingExtraError

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = frozenset(PROJECT["project"]["optional-dependencies"])

INSTALL = re.compile(r"pip3? install\s+(?P<what>[^\n`]*)")
OURS = re.compile(r"faro-microscopy(\[(?P<extras>[\w,-]+)\])?")
# A local checkout (".", "-e .", with extras) and requirement files are ours too.
LOCAL = re.compile(r"""(^|\s)['"]?\.(\[(?P<extras>[\w,-]+)\])?['"]?(\s|$|&)""")
THEIRS = re.compile(r"(?<![\w./-])faro(?![\w-])")
RAISED = re.compile(r"""MissingExtraError\([^)]*extra=["'](?P<extra>[\w-]+)["']""")


def texts() -> dict[str, str]:
    """Return every file of src, docs, examples and the top pages, by its name."""
    folders = ("src", "docs", "examples", "benchmarks")
    files = [p for f in folders for p in (ROOT / f).rglob("*") if p.is_file()]
    files += ROOT.glob("*.md")
    kinds = {".py", ".md", ".toml", ".html", ".txt", ".ipynb", ".j2", ".yaml"}
    return {
        str(p.relative_to(ROOT)): p.read_text(encoding="utf-8")
        for p in sorted(files)
        if p.suffix in kinds
    }


def wrong_installs(text: str) -> list[str]:
    """Return the ``pip install`` texts that would fetch another project."""
    found = [match["what"] for match in INSTALL.finditer(text)]
    return [what for what in found if THEIRS.search(what.partition("&&")[0])]


def named_extras(text: str) -> set[str]:
    """Return the extras that ``pip install`` texts in ``text`` ask for."""
    asked = [
        match["extras"]
        for install in INSTALL.finditer(text)
        for pattern in (OURS, LOCAL)
        for match in pattern.finditer(install["what"])
        if match["extras"]
    ]
    return {extra for extras in asked for extra in extras.split(",")}


@pytest.mark.parametrize("extra", sorted(EXTRAS))
def test_a_missing_library_is_answered_with_our_extra(extra: str) -> None:
    library = "somelib"
    remedy = re.escape(f"pip install 'faro-microscopy[{extra}]'")
    with pytest.raises(MissingExtraError, match=remedy) as caught:
        raise MissingExtraError(library, extra=extra)
    assert repr(library) in str(caught.value)
    assert isinstance(caught.value, ImportError)
    assert not wrong_installs(str(caught.value))


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("pip install faro", ["faro"]),
        ("python -m pip install 'faro[napari]'", ["'faro[napari]'"]),
        ("pip install -U faro==1.0", ["-U faro==1.0"]),
        ("pip install 'faro-microscopy[napari]'", []),
        ("python -m pip install -c constraints.txt . && python -m faro demo", []),
        ("pip install ./faro", []),
    ],
)
def test_the_search_for_wrong_installs_finds_them(text: str, wrong: list[str]) -> None:
    assert wrong_installs(text) == wrong


def test_no_text_installs_the_other_project_called_faro() -> None:
    found = {name: wrong_installs(text) for name, text in texts().items()}
    assert not {name: wrong for name, wrong in found.items() if wrong}


def test_every_extra_that_a_text_or_an_error_names_exists() -> None:
    unknown = {
        name: asked - EXTRAS
        for name, text in texts().items()
        if (asked := named_extras(text) | {m["extra"] for m in RAISED.finditer(text)})
        - EXTRAS
    }
    assert not unknown


def test_the_distribution_and_the_command_keep_their_names() -> None:
    assert PROJECT["project"]["name"] == "faro-microscopy"
    assert set(PROJECT["project"]["scripts"]) == {"faro"}
