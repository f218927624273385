"""Every stimulator is made by its name, as an experiment file says it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from faro import stimulation
from faro.protocols import needs_of
from faro.run.components import STIMULATOR, Made, Place, make, names_of

if TYPE_CHECKING:
    from pathlib import Path

TOP = {"component": "percentage_of_cell", "parameters": {"fraction": 0.2}}
GIVEN: dict[str, dict[str, Any]] = {
    "cells_by_feature": {"feature": "cnr", "at_least": 1.1, "within": TOP},
    "cells_by_rank": {"feature": "area", "count": 10},
    "checkerboard": {"square_um": 20.0},
    "circle": {"radius_um": 50.0, "centre_px": [100, 120]},
    "controlled_light": {
        "controller": {"component": "pid", "parameters": {"kp": 0.5}},
        "feature": "cnr",
        "reference": {"component": "set_point", "parameters": {"value": 1.5}},
    },
    "edge_of_cell": {"width_um": 3.0, "direction": "movement", "end": "rear"},
    "gradient": {"lowest": 0.1, "angle_deg": 90},
    "moving_line": {"speed_um_s": 0.5, "width_um": 30, "window_px": [0, 0, 50, 50]},
    "no_stimulus": {},
    "percentage_of_cell": {"direction": [0, 1], "metadata_key": "stim_fraction"},
    "percentage_of_colony": {"fraction": 0.5, "direction": [0, -1]},
    "random_cells": {"fraction": 0.5, "seed": 7, "within": TOP},
    "rectangle": {"size_px": [100, 200], "angle_deg": 45},
    "ring_around_nucleus": {"margin_px": 1, "distance_px": 5},
    "scheduled_cells": {
        "schedule": [{"from_s": 60, "to_s": 120, "level": 0.5}],
        "since": "seen",
    },
    "shifted_mask": {"stimulator": TOP, "shift_px": [10, 20]},
    "stored_image": {"path": "light.npy"},
    "whole_field": {},
}


def made(name: str, given: dict[str, Any]) -> Made:
    words = json.loads(json.dumps(given))
    result = make(STIMULATOR, name, words, Place("pipeline.stimulator"))
    assert isinstance(result, Made), [str(problem) for problem in result]
    return result


def test_every_shipped_stimulator_is_in_this_list() -> None:
    found = {name.replace("_", "") for name in GIVEN}
    shipped = {
        name.casefold()
        for name, path in names_of(STIMULATOR).items()
        if path.startswith("faro.stimulation")
    }
    assert shipped == found


@pytest.mark.parametrize("name", sorted(GIVEN))
def test_a_stimulator_is_made_by_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save(tmp_path / "light.npy", np.ones((4, 4), bool))
    component: Any = made(name, GIVEN[name]).component
    assert type(component).__module__.startswith(stimulation.__name__)
    assert callable(component.stimulate)
    assert all(isinstance(need, str) for need in needs_of(component))


def test_a_wrong_word_is_said_with_its_place() -> None:
    words = {"direction": "left", "end": "middle", "fractoin": 1}
    place = Place("pipeline.stimulator")
    problems = make(STIMULATOR, "percentage_of_cell", words, place)
    assert isinstance(problems, list)
    places = {problem.where.rpartition(".")[2] for problem in problems}
    assert places == {"direction", "end", "fractoin"}
