"""The reference of experiment files, from the schema that checks them."""

from __future__ import annotations

import inspect
import re
from typing import Any, TypeAlias

from faro.experiment.document_schema import document_schema

Schema: TypeAlias = dict[str, Any]

BEGIN = """# The experiment file

What may stand in an experiment file, in TOML, YAML or JSON. This page is made from the
schema that checks the files; `faro schema` prints it for editors. How to use it:
[write an experiment as a file](../how-to/write-an-experiment-file.md). What a sequence
has beside our own keys is told by useq-schema, whose words these are.

"""
ATTRIBUTE = re.compile(
    r"^([\w, ]+?)(?: *:[^\n]*)?\n((?:(?: {4,}[^\n]*)?\n)+)", re.MULTILINE
)
LIMITS = {
    "minimum": "at least",
    "exclusiveMinimum": "more than",
    "maximum": "at most",
    "exclusiveMaximum": "less than",
    "minItems": "at least, items:",
    "maxItems": "at most, items:",
}


def page() -> str:
    """Return the page: the file itself, then each of its tables by name."""
    schema = document_schema()
    parts = [BEGIN, section("The file", schema)]
    for name, definition in schema["$defs"].items():
        parts.append(section(name, definition))
    return "\n".join(parts)


def section(name: str, schema: Schema) -> str:
    """Return what one table is, and its keys."""
    words, told = described(schema.get("description", ""))
    lines = [f"## {name}", "", words, ""]
    if "properties" not in schema:
        return "\n".join([*lines, f"{kind(schema)}.", ""])
    required = schema.get("required", ())
    lines += ["| key | type | default | what it is |", "| --- | --- | --- | --- |"]
    for key, value in schema["properties"].items():
        default = "required" if key in required else shown_default(value)
        text = value.get("description") or told.get(key, "")
        cells = (f"`{key}`", kind(value), default, one_line(text))
        lines.append("| " + " | ".join(cells) + " |")
    if schema.get("additionalProperties") is False:
        lines += ["", "Nothing else may stand here."]
    return "\n".join([*lines, ""])


def described(text: str) -> tuple[str, dict[str, str]]:
    """Return what a docstring says of a table, and what it says of each key."""
    words, _, attributes = inspect.cleandoc(text).partition("Attributes\n----------\n")
    told = {
        key: found[2]
        for found in ATTRIBUTE.finditer(f"{attributes}\n")
        for key in found[1].split(", ")
    }
    return plain(words.partition("\n\n")[0]), told


def plain(text: str) -> str:
    """Return words of a docstring without the cross references of another project."""
    return re.sub(r"\[(`[^`]+`)\]\[[^\]]*\]", r"\1", text).replace("``", "`")


def one_line(text: str) -> str:
    """Return a text that fits into the cell of a table."""
    return plain(" ".join(text.split())).replace("|", "\\|")


def shown_default(schema: Schema) -> str:
    """Return the default of a key as the file would say it."""
    default = schema.get("default")
    if default is None:
        return ""
    words = {True: "true", False: "false"}
    return f"`{words.get(default, default) if isinstance(default, bool) else default}`"


def kind(schema: Schema) -> str:
    """Return what a value may be, in words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            kinds = [kind(s) for s in schema[several] if s.get("type") != "null"]
            return " or ".join(dict.fromkeys(kinds))
    if "const" in schema or "enum" in schema:
        return " or ".join(f"`{v}`" for v in schema.get("enum", [schema.get("const")]))
    return simple(schema)


def simple(schema: Schema) -> str:
    """Return the words for one JSON type, with its limits."""
    names = schema.get("type", "anything")
    names = [names] if isinstance(names, str) else [n for n in names if n != "null"]
    limits = [f"{words} {schema[k]}" for k, words in LIMITS.items() if k in schema]
    if names == ["array"]:
        items = schema.get("items") or {}
        whole = f"list of {kind(items)}" if items else "list"
    elif names == ["object"]:
        inner = schema.get("additionalProperties")
        whole = f"table of {kind(inner)}" if isinstance(inner, dict) else "table"
        if "properties" in schema:
            whole = "table with " + ", ".join(f"`{k}`" for k in schema["properties"])
    else:
        whole = " or ".join("table" if n == "object" else n for n in names)
    return whole + (f" ({', '.join(limits)})" if limits else "")
