"""The state of a simulated dish as one file, without pickle."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from faro.microscope.simulated.world import WorldStateError

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "header"


def save(state: dict[str, Any], path: Path) -> None:
    """Write what `Bench.state` returned to ``path``; an ``.npz`` of plain arrays."""
    world = state["world"]
    tiles = world["tiles"]
    header = {
        "clock": state["clock"],
        "settings": world["settings"],
        "tiles": {
            key: {"steps": tile["steps"], "newest": tile["newest"]}
            for key, tile in tiles.items()
        },
    }
    arrays = {HEADER: np.frombuffer(json.dumps(header).encode(), np.uint8)}
    for key, tile in tiles.items():
        arrays[f"{key}/ids"] = tile["ids"]
        arrays |= {f"{key}/{name}": v for name, v in tile["cells"].items()}
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def load(path: Path) -> dict[str, Any]:
    """Return the state saved at ``path``.

    Raises
    ------
    WorldStateError
        If the file is none of ours.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        header = json.loads(arrays.pop(HEADER).tobytes())
    except (ValueError, KeyError, OSError, EOFError, BadZipFile) as error:
        problem = f"{path} holds no saved dish ({error})."
        remedy = "Give a file written by SimulatedMicroscope.save_state."
        raise WorldStateError(problem, remedy=remedy) from error
    tiles: dict[str, dict[str, Any]] = {
        key: {**numbers, "cells": {}} for key, numbers in header["tiles"].items()
    }
    for name, values in arrays.items():
        key, _, column = name.partition("/")
        if column == "ids":
            tiles[key]["ids"] = values
        else:
            tiles[key]["cells"][column] = values
    world = {"settings": header["settings"], "tiles": tiles}
    return {"clock": header["clock"], "world": world}
