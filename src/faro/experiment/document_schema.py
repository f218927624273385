"""The JSON schema of experiment files, for editors and forms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic.json_schema import models_json_schema

from faro.experiment.channel import PowerChannel
from faro.experiment.document import ExperimentFile
from faro.experiment.sequence import RTMSequence
from faro.experiment.treatments import Treatment

if TYPE_CHECKING:
    from collections.abc import Mapping

DIALECT = "https://json-schema.org/draft/2020-12/schema"
WHOLE: dict[str, Any] = {"type": "integer"}
FRAMES: dict[str, Any] = {
    "description": "Timepoints: a list, or a range without its stop.",
    "anyOf": [
        {"type": "array", "items": WHOLE},
        {
            "type": "object",
            "properties": {"start": WHOLE, "stop": WHOLE, "step": WHOLE},
            "required": ["stop"],
            "additionalProperties": False,
        },
    ],
}
NUMBER: dict[str, Any] = {"type": "number"}
PLACE: dict[str, Any] = {"type": "array", "items": NUMBER, "maxItems": 3}
ORDERS = ("tpcz", "tpzc", "ptcz", "ptzc", "tpgcz", "tpgzc", "pgtcz", "pgtzc")
WAITS: dict[str, Any] = {
    "start_at": {
        "description": "When the first event starts: '18:30', or date, time and zone.",
        "type": "string",
    },
    "pause_before": {
        "description": "What a person does before the first event; the run waits.",
        "type": "string",
    },
}
TIME: dict[str, Any] = {
    "description": "Two of interval (s), loops and duration (s); or phases of these.",
    "type": ["object", "array", "null"],
}


def document_schema() -> dict[str, Any]:
    """Return the JSON schema of an experiment file, JSON-able."""
    schema = ExperimentFile.model_json_schema()
    models = [(m, "validation") for m in (RTMSequence, PowerChannel, Treatment)]
    names, inner = models_json_schema(models)  # type: ignore[arg-type]  # a literal
    definitions = {**inner["$defs"], **schema["$defs"]}
    keys = {model: ref["$ref"].rpartition("/")[2] for (model, _), ref in names.items()}
    definitions["Channel"] = _channel(definitions[keys[PowerChannel]])
    definitions["Sequence"] = _sequence(definitions[keys[RTMSequence]])
    definitions["Treatment"] = _treatment(definitions[keys[Treatment]])
    definitions["Arm"] = {
        "anyOf": [
            _ref("Sequence"),
            {
                "type": "object",
                "properties": {"phases": _list_of(_ref("Sequence"))},
                "required": ["phases"],
                "additionalProperties": False,
            },
        ]
    }
    for name, key in (("Rig", "rig"), ("Component", "component")):
        definitions[f"{name}OrName"] = _or_name(_ref(name), key)
    definitions["SegmenterOrName"] = _or_name(_ref("SegmenterPart"), "component")
    _point_to(schema, definitions)
    schema["$defs"] = definitions
    used = _used(schema)
    schema["$defs"] = {name: definitions[name] for name in sorted(used)}
    return {"$schema": DIALECT, **schema, "title": "FARO experiment"}


def _point_to(schema: dict[str, Any], definitions: Mapping[str, Any]) -> None:
    """Put the words of sequences and components into the schema of the file."""
    properties = schema["properties"]
    nothing: dict[str, Any] = {"type": "null"}
    properties["sequence"] = {"anyOf": [_ref("Sequence"), nothing]}
    properties["shared"] = _ref("Sequence")
    properties["phases"] = _list_of(_ref("Sequence"))
    properties["arms"] = _list_of(_ref("Arm"))
    properties["microscope"] = _ref("RigOrName")
    pipeline = definitions["PipelinePart"]["properties"]
    pipeline["segmenters"] = _list_of(_ref("SegmenterOrName"))
    for several in ("features", "reference_features"):
        pipeline[several] = _list_of(_ref("ComponentOrName"))
    pipeline["tracker"] = _ref("ComponentOrName")
    for name in ("stimulator", "fallback"):
        pipeline[name] = {"anyOf": [_ref("ComponentOrName"), nothing]}
    named = {"type": "object", "additionalProperties": _ref("ComponentOrName")}
    pipeline["stimulators"] = named
    groups = {"type": "object", "additionalProperties": _ref("Treatment")}
    definitions["TreatmentsPart"]["properties"]["groups"] = groups


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}"}


def _list_of(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": dict(item)}


def _or_name(part: Mapping[str, Any], key: str) -> dict[str, Any]:
    name = {"type": "string", "description": f"The same as a table with only {key}."}
    return {"anyOf": [dict(part), name]}


def _sequence(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a sequence as files write it, without what is refused."""
    told = dict(model["properties"])
    for name in RTMSequence.refused:
        told.pop(name, None)
    several = _list_of(_ref("Channel"))
    told |= {"channels": several, "stim_channels": several, "ref_channels": several}
    told |= {"stim_frames": FRAMES, "ref_frames": FRAMES, "time_plan": TIME}
    told["axis_order"] = {"type": "string", "examples": list(ORDERS)}
    places = {
        "description": "A list, a plate plan, or a file of positions: {file = ...}.",
        "type": ["array", "object"],
        "items": {"anyOf": [PLACE, _place()]},
    }
    told["stage_positions"] = places
    told |= WAITS
    return {"type": "object", "properties": told, "additionalProperties": False}


def _place() -> dict[str, Any]:
    told: dict[str, Any] = dict.fromkeys(("x", "y", "z"), NUMBER)
    told["name"] = {"type": "string"}
    return {"type": "object", "properties": told}


def _channel(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a channel: its name, or a table."""
    told = {
        name: value
        for name, value in model["properties"].items()
        if name not in PowerChannel.refused
    }
    table = {
        "type": "object",
        "properties": told,
        "required": ["config"],
        "additionalProperties": False,
    }
    return {"anyOf": [{"type": "string", "description": "A preset."}, table]}


def _treatment(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a treatment; its name is the key of its table."""
    told = {n: v for n, v in model["properties"].items() if n != "name"}
    several = _list_of(_ref("Channel"))
    told |= {"stim_channels": several, "ref_channels": several}
    told |= {"stim_frames": FRAMES, "ref_frames": FRAMES}
    return {"type": "object", "properties": told, "additionalProperties": False}


def _used(schema: Mapping[str, Any]) -> set[str]:
    """Return the names of the definitions that the schema reaches."""
    found: set[str] = set()
    waiting: list[object] = [v for k, v in schema.items() if k != "$defs"]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            name = str(value.get("$ref", "")).rpartition("/")[2]
            if name and name not in found:
                found.add(name)
                waiting.append(schema["$defs"][name])
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return found
