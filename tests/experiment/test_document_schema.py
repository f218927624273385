"""The JSON schema of experiment files, as an editor uses it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from faro.experiment import RTMSequence
from faro.experiment.document import ExperimentFile
from faro.experiment.document_schema import document_schema
from faro.experiment.document_start import START
from faro.experiment.document_text import parsed, read_data

SCHEMA = document_schema()
EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.toml"))


def fits(value: Any, schema: dict[str, Any]) -> bool:
    """Return whether ``value`` fits what the schema says of types and keys."""
    if "$ref" in schema:
        return fits(value, SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]])
    if "anyOf" in schema and not any(fits(value, s) for s in schema["anyOf"]):
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(is_a(value, kind) for kind in kinds):
        return False
    if isinstance(value, list):
        return all(fits(v, schema.get("items", {})) for v in value)
    if isinstance(value, dict):
        return fits_table(value, schema)
    return True


def fits_table(value: dict[str, Any], schema: dict[str, Any]) -> bool:
    known = schema.get("properties", {})
    other = schema.get("additionalProperties", True)
    if set(schema.get("required", ())) - set(value):
        return False
    for key, inner in value.items():
        if key in known:
            if not fits(inner, known[key]):
                return False
        elif other is False or (isinstance(other, dict) and not fits(inner, other)):
            return False
    return True


def is_a(value: Any, kind: str) -> bool:
    kinds: dict[str, Any] = {"object": dict, "array": list, "string": str}
    kinds |= {"number": (int, float), "integer": int, "null": type(None)}
    return isinstance(value, bool if kind == "boolean" else kinds[kind])


def test_the_file_to_begin_with_fits() -> None:
    assert fits(parsed(START, "toml"), SCHEMA)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_fits(path: Path) -> None:
    assert fits(read_data(path), SCHEMA)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('rig = "simulated"', 'rigg = "simulated"'),
        ("exposure = 50 }", "exposre = 50 }"),
        ("stop = 10 }", "stopp = 10 }"),
        ("stim_frames = []", "stim_framez = []"),
        ('[pipeline.tracker]\ncomponent = "StreamingTracker"', "[pipeline.trackr]"),
        ('stim_mode = "current"', 'stim_mode = "curent"'),
        ('component = "PercentageOfCell"', "component = 3"),
    ],
)
def test_a_mistake_does_not_fit(right: str, wrong: str) -> None:
    assert right in START
    assert not fits(parsed(START.replace(right, wrong, 1), "toml"), SCHEMA)


def test_every_reference_leads_somewhere_and_every_definition_is_used() -> None:
    text = json.dumps(SCHEMA)
    references = set(re.findall(r"#/\$defs/([^\"]+)", text))
    assert references == set(SCHEMA["$defs"])


def test_every_key_of_the_file_is_in_the_schema_and_what_is_refused_is_not() -> None:
    assert set(SCHEMA["properties"]) == set(ExperimentFile.model_fields)
    sequence, channel = (SCHEMA["$defs"][name] for name in ("Sequence", "Channel"))
    assert set(RTMSequence.model_fields) <= set(sequence["properties"])
    table = channel["anyOf"][1]["properties"]
    assert "camera" not in table
    assert {"do_stack", "z_offset", "acquire_every"} <= set(table)
