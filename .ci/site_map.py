"""The map of the package, from the docstrings of its modules."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src"
BEGIN = """# The map of the package

Each package is one room, each module tells one story, and the first line of each says
which. Imports point down only: a room knows those below it in this order, never those
above, and the stages (microscope, analysis, stimulation, control, storage) do not know
each other. This page is made from the code.
"""


def rooms() -> list[str]:
    """Return the packages of FARO, those that may import the others first."""
    project = tomllib.loads((SOURCE.parent / "pyproject.toml").read_text("utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    layers = next(c["layers"] for c in contracts if c["type"] == "layers")
    listed = re.findall(r"\w+", " ".join(layers))
    found = [n for n in listed if (SOURCE / "faro" / n / "__init__.py").exists()]
    return sorted(found, key=lambda name: name == "testing")


def name_of(path: Path) -> str:
    """Return the dotted name of a module."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def first_line(path: Path) -> str:
    """Return the first line of a module's docstring."""
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return doc.partition("\n")[0]


def modules(folder: Path) -> list[Path]:
    """Return the public modules of a package and of those inside it, by name."""
    found = [p for p in folder.rglob("*.py") if not p.name.startswith("_")]
    return sorted(found, key=name_of)


def page() -> str:
    """Return the page."""
    package = SOURCE / "faro"
    lines = [BEGIN]
    for room in rooms():
        begin = first_line(package / room / "__init__.py")
        lines += [f"\n## `faro.{room}`\n", f"{begin}\n"]
        lines += ["| module | what lives there |", "| --- | --- |"]
        for path in modules(package / room):
            lines.append(f"| `{name_of(path)}` | {first_line(path)} |")
    lines += ["\n## Beside the rooms\n"]
    lines += ["| module | what lives there |", "| --- | --- |"]
    for path in sorted(package.glob("[a-z]*.py")):
        lines.append(f"| `{name_of(path)}` | {first_line(path)} |")
    return "\n".join(lines) + "\n"
