"""Whether rig, files and definition are still those of a stored run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from faro.errors import Problem
from faro.storage.jsontext import plain
from faro.storage.kept import sources_of
from faro.storage.sources import MAIN, sha256_of, sources

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from faro.storage import Run

COMPARED: Final = ("pipeline", "microscope", "dmd_calibration", "limits")
"""Parts of the description that must be the same."""
MOVING: Final = frozenset(
    {"state", "current_presets", "positions_um", "host", "versions"}
)
"""What a microscope tells and what may differ: its state, and who runs it."""
ABSENT: Final = "absent"
LONGEST: Final = 60
UNDO: Final = "Undo the change, or begin a new run."


def changes(run: Run, described: Mapping[str, Any]) -> list[Problem]:
    """Return everything that is not as it was when ``run`` was started.

    Parameters
    ----------
    run
        The stored run.
    described
        What a run with the microscope, pipeline and limits of now would say of itself.
    """
    then, now = run.info.get("description", {}), plain(described)
    found: list[Problem] = []
    said = dict(now)
    said["limits"] = {k: v for k, v in now["limits"].items() if k in then["limits"]}
    for part in COMPARED:
        found += _differences(part, _lasting(then.get(part)), _lasting(said.get(part)))
    if (recorded := sources_of(run)) is not None:
        found += _modules(recorded, plain(sources(now)), json.dumps(then))
        found += _files(recorded)
    return found


def _lasting(said: Any) -> Any:
    """Return what a part says without what may differ."""
    if not isinstance(said, dict):
        return said
    kept = {name: value for name, value in said.items() if name not in MOVING}
    if kept.get("configuration_sha256"):
        kept.pop("configuration", None)
    return kept


def _differences(where: str, then: Any, now: Any) -> Iterator[Problem]:
    """Yield the places in nested data at which it differs."""
    if isinstance(then, dict) and isinstance(now, dict):
        for name in sorted(then.keys() | now.keys()):
            one, other = then.get(name, ABSENT), now.get(name, ABSENT)
            yield from _differences(f"{where}/{name}", one, other)
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for index, (one, other) in enumerate(zip(then, now, strict=True)):
            yield from _differences(f"{where}/{index}", one, other)
    elif then != now:
        yield Problem(where, f"it was {_short(then)} and is {_short(now)}.", UNDO)


def _modules(
    then: Mapping[str, Any], now: Mapping[str, Any], said: str
) -> Iterator[Problem]:
    """Yield the user's modules whose text is another.

    The script that runs counts only where it defines a component.
    """
    texts = {entry["module"]: entry["sha256"] for entry in now["modules"]}
    for entry in then["modules"]:
        name = entry["module"]
        if name == MAIN and f'"{MAIN}:' not in said:
            continue
        if texts.get(name, ABSENT) != entry["sha256"]:
            what = f"{entry['file']} is not what it was."
            yield Problem(f"modules/{name}", what, UNDO)


def _files(then: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield files, like the weights of a model, that are others or gone."""
    for path, digest in then["files"].items():
        found = sha256_of(Path(path))
        if found != digest:
            what = "it is gone." if found is None else "it is not what it was."
            yield Problem(f"files/{path}", what, UNDO)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False) if value != ABSENT else ABSENT
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
