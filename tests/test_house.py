"""House rules that no linter knows: size, units, shapes, one story per file."""

from __future__ import annotations

import ast
import re
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "src" / "faro").rglob("*.py"))
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 40
ARRAYS = re.compile(r"NDArray|\bPixelArray\b|\bLabels\b|\bMask\b")
AXES = re.compile(r"\(([A-Z]|n|N|\d+)(, ?[A-Z0-9n]+)*,?\)")
UNITS = re.compile(
    r"_(s|ms|um|nm|px|percent|hz|deg|fraction|per_s|um_per_px)$|^fraction$"
)
UNDERLINE = re.compile(r"\s*-{3,}")
INDEX_HOSTS = re.compile(r"pypi\.org|pythonhosted|npmjs|/root/|/work/", re.IGNORECASE)

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(path: Path) -> list[Function]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(tree) if isinstance(node, kinds)]


def body_lines(function: Function) -> int:
    length = (function.end_lineno or 0) - function.lineno + 1
    if ast.get_docstring(function) is None:
        return length
    doc = function.body[0]
    return length - ((doc.end_lineno or 0) - doc.lineno + 1)


def signature(function: Function) -> dict[str, str]:
    arguments = [*function.args.args, *function.args.kwonlyargs]
    found = {a.arg: ast.unparse(a.annotation) for a in arguments if a.annotation}
    returned = {"return": ast.unparse(function.returns)} if function.returns else {}
    return found | returned


@pytest.mark.parametrize("path", FILES, ids=named)
def test_a_file_tells_one_story(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    lines = text.count("\n")
    assert lines <= MAX_FILE_LINES, f"{path} has {lines} lines. Split it by story."
    assert ast.get_docstring(ast.parse(text)), f"{path} does not say what it is."


@pytest.mark.parametrize("path", FILES, ids=named)
def test_a_function_fits_on_a_screen(path: Path) -> None:
    long = {f.name: body_lines(f) for f in functions(path)}
    too_long = {name: n for name, n in long.items() if n > MAX_FUNCTION_LINES}
    assert not too_long, f"{path}: split {too_long}"


@pytest.mark.parametrize("path", FILES, ids=named)
def test_arrays_name_their_axes(path: Path) -> None:
    silent = [
        f.name
        for f in functions(path)
        if not f.name.startswith("_")
        and any(ARRAYS.search(text) for text in signature(f).values())
        and ast.get_docstring(f) is not None
        and not AXES.search(ast.get_docstring(f) or "")
    ]
    assert not silent, f"{path}: say the axes, like (Y, X), in {silent}"


def misplaced_examples(text: str) -> bool:
    """Return whether a docstring has an example that belongs to another section."""
    section = ""
    lines = text.splitlines()
    for before, line in pairwise(lines):
        if UNDERLINE.fullmatch(line):
            section = before.strip()
        elif line.lstrip().startswith(">>>") and section not in {"", "Examples"}:
            return True
    return False


@pytest.mark.parametrize("path", FILES, ids=named)
def test_examples_have_a_heading_of_their_own(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(tree) if isinstance(node, kinds)]
    wrong = [
        getattr(node, "name", "the module")
        for node in nodes
        if misplaced_examples(ast.get_docstring(node) or "")
    ]
    assert not wrong, f"{path}: write Examples and a line of - above >>> in {wrong}"


@pytest.mark.parametrize("path", FILES, ids=named)
def test_floats_carry_their_unit(path: Path) -> None:
    bare = [
        f"{f.name}({name})"
        for f in functions(path)
        for name, text in signature(f).items()
        if text in {"float", "float | None"}
        and name != "return"
        and not UNITS.search(name)
    ]
    assert not bare, f"{path}: give these a unit: {bare}"


# ------------------------------------------------- the seam to the operating system

SEAM = ROOT / "src" / "faro" / "system"
KIT = ROOT / "src" / "faro" / "testing"
KIT_SEAM = {KIT / f"{name}.py" for name in ("posix", "killing", "dmd_controller")}
"""Of the test kit, what has no Windows side: it kills, cuts the power, opens a pty."""
SYSTEM_CALL = re.compile(
    r"(_winapi|ctypes|fcntl|grp|mmap|msvcrt|pty|pwd|resource|select|selectors|signal)\b"
    r"|(termios|tty|winreg)\b"
    r"|os\.(fdatasync|fork|fsync|gete?uid|getppid|kill|killpg|name|openpty)$"
    r"|os\.(pidfd_open|register_at_fork|setsid|startfile|sync|uname)$"
    r"|platform\.system$|sys\.(getwindowsversion|platform)$"
)


def system_calls(tree: ast.AST) -> Iterator[str]:
    """Yield what differs between operating systems."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Attribute):
            names = [ast.unparse(node)]
        else:
            continue
        for name in names:
            if SYSTEM_CALL.match(name):
                yield f"{name} (line {getattr(node, 'lineno', '?')})"


@pytest.mark.parametrize(
    "text",
    [
        "import signal",
        "from msvcrt import locking",
        "import os\nos.kill(1, 2)",
        "from os import fsync",
        "import sys\nif sys.platform == 'win32': pass",
    ],
)
def test_a_call_of_the_system_is_seen(text: str) -> None:
    assert list(system_calls(ast.parse(text)))


@pytest.mark.parametrize("path", FILES, ids=named)
def test_only_the_seam_calls_the_operating_system(path: Path) -> None:
    if path.is_relative_to(SEAM) or path in KIT_SEAM:
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    for node in typing_only:
        node.body = [ast.Pass()]
    found = list(system_calls(tree))
    assert not found, f"{path} uses {found}. Put it behind faro.system."


def test_nothing_names_a_package_host_or_a_path_of_this_machine() -> None:
    kinds = {".py", ".md", ".toml", ".txt", ".yaml", ".yml", ".json", ".cfg"}
    folders = ["src", "docs", "benchmarks", "examples", ".ci"]
    files = [p for f in folders for p in (ROOT / f).rglob("*") if p.is_file()]
    files += [p for p in ROOT.iterdir() if p.is_file()]
    named_hosts = [
        named(p)
        for p in files
        if p.suffix in kinds and INDEX_HOSTS.search(p.read_text(encoding="utf-8"))
    ]
    assert not named_hosts
