"""The JSON schema of experiment files, with the names that can be given here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faro.experiment.document_schema import document_schema
from faro.run.building import LISTS, SINGLE
from faro.run.components import names_of, rig_names

if TYPE_CHECKING:
    from collections.abc import Iterable


def file_schema() -> dict[str, Any]:
    """Return the JSON schema of an experiment file, for editors and forms.

    Rigs and components that are installed are named as examples: others can be given
    as ``module:Name``.
    """
    schema = document_schema()
    properties = schema["properties"]
    properties["microscope"] = _named(properties["microscope"], "rig", rig_names())
    pipeline = schema["$defs"]["PipelinePart"]["properties"]
    for place, kind in LISTS.items():
        items = pipeline[place]["items"]
        pipeline[place]["items"] = _named(items, "component", names_of(kind))
    for place, kind in SINGLE.items():
        pipeline[place] = _named(pipeline[place], "component", names_of(kind))
    return schema


def _named(part: dict[str, Any], key: str, names: Iterable[str]) -> dict[str, Any]:
    """Return the schema of a part that names something, with names to choose from."""
    known = {"examples": sorted(names)}
    return {
        "allOf": [part],
        "if": {"type": "object"},
        "then": {"properties": {key: known}},
        "examples": known["examples"],
    }
