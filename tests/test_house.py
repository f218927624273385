"""House rules that no linter knows: size, units, shapes, one story per file."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TypeAlias

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "src" / "faro").rglob("*.py"))
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 40
ARRAYS = re.compile(r"NDArray|\bPixelArray\b|\bLabels\b|\bMask\b")
AXES = re.compile(r"\(([A-Z]|n|N|\d+)(, ?[A-Z0-9n]+)*,?\)")
UNITS = re.compile(
    r"_(s|ms|um|nm|px|percent|hz|deg|fraction|per_s|um_per_px)$|^fraction$"
)
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
