"""Components by name, by import path, of functions and of installed packages."""

from __future__ import annotations

from functools import partial
from importlib.metadata import EntryPoint, EntryPoints
from typing import TYPE_CHECKING

import numpy as np
import pytest

from faro.run import components
from faro.run.components import (
    FEATURES,
    SEGMENTER,
    STIMULATOR,
    TRACKER,
    Kind,
    Made,
    Place,
    make,
    names_of,
)
from faro.run.parameters import defaults_of
from faro.stimulation import PercentageOfCell, ShiftedMask, WholeField

if TYPE_CHECKING:
    from pathlib import Path

FUNCTIONS = """
def bright(pixels, limit=10):
    return pixels > limit

def size(cells, stack):
    return {"size": cells.area}

class Fails:
    def __init__(self):
        raise OSError("no model file")

    def segment(self, pixels):
        return pixels

class Ready:
    def stimulate(self, context):
        return True

ready = Ready()
number = 3
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    module = f"parts_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{module}.py").write_text(FUNCTIONS, encoding="utf-8")
    return Place(module, tmp_path)


def made(kind: Kind, name: str, place: Place, **given: object) -> Made:
    found = make(kind, name, given, place)
    assert isinstance(found, Made), [str(problem) for problem in found]
    return found


@pytest.mark.parametrize("kind", [SEGMENTER, FEATURES, TRACKER, STIMULATOR])
def test_every_kind_has_names_that_lead_to_classes_of_that_kind(kind: Kind) -> None:
    assert names_of(kind)
    for path in names_of(kind).values():
        found = components.look_up(path, {}, Place("here"), kind.word)
        assert isinstance(found, tuple)
        assert callable(getattr(found[1], kind.method))


@pytest.mark.parametrize(
    "name", ["PercentageOfCell", "percentage_of_cell", "PERCENTAGE-OF-CELL"]
)
def test_a_name_is_found_in_any_spelling(name: str) -> None:
    found = made(STIMULATOR, name, Place("x"), direction=[0, 1])
    assert found.component == PercentageOfCell(direction=(0.0, 1.0))
    assert found.path == "faro.stimulation:PercentageOfCell"
    assert found.parameters == {"fraction": 0.3, "direction": [0, 1], "end": "front"}


def test_a_function_takes_parameters_beside_those_of_the_run(place: Place) -> None:
    found = made(SEGMENTER, f"{place.where}:bright", place, limit=3)
    assert isinstance(found.component, partial)
    assert found.component(np.array([1, 5])).tolist() == [False, True]
    assert made(FEATURES, f"{place.where}:size", place).parameters == {}
    wrong = make(SEGMENTER, f"{place.where}:bright", {"pixels": 1}, place)
    assert isinstance(wrong, list)
    assert "bright takes no 'pixels'" in str(wrong[0])


def test_an_object_is_taken_as_it_is_and_takes_no_parameters(place: Place) -> None:
    path = f"{place.where}:ready"
    assert made(STIMULATOR, path, place).path == path
    wrong = make(STIMULATOR, path, {"a": 1}, place)
    assert isinstance(wrong, list)
    assert "Leave them out" in str(wrong[0])


def test_a_component_inside_a_component_is_made_and_recorded() -> None:
    inner = {"component": "WholeField"}
    found = made(
        STIMULATOR, "ShiftedMask", Place("x"), stimulator=inner, shift_px=[1, 2]
    )
    assert isinstance(found.component, ShiftedMask)
    assert isinstance(found.component.stimulator, WholeField)
    assert found.parameters["stimulator"] == {
        "component": "faro.stimulation:WholeField",
        "parameters": {},
    }
    again = made(STIMULATOR, found.path, Place("x"), **found.parameters)
    assert again.parameters == found.parameters


def test_a_wrong_key_inside_an_inner_component_is_named() -> None:
    inner = {"component": "WholeField", "parametrs": {}}
    given = {"stimulator": inner, "shift_px": [1, 2]}
    found = make(STIMULATOR, "ShiftedMask", given, Place("x"))
    assert isinstance(found, list)
    assert [p.where for p in found] == ["x.parameters.stimulator.parametrs"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Fails", "Fails was not made: OSError: no model file"),
        ("number", "is no segmenter: it has no method segment"),
        ("Ready", "is no segmenter: it has no method segment"),
        ("brigth", "Did you mean 'bright'?"),
    ],
)
def test_what_is_no_segmenter_or_cannot_be_made_says_so(
    place: Place, name: str, words: str
) -> None:
    found = make(SEGMENTER, f"{place.where}:{name}", {}, place)
    assert isinstance(found, list)
    assert words in str(found[0])


def test_an_installed_package_offers_components(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    value = "faro.stimulation:NoStimulus"
    entry = EntryPoint("quiet", value, components.COMPONENTS)
    monkeypatch.setattr(
        components,
        "entry_points",
        lambda group: EntryPoints([entry]).select(group=group),
    )
    assert made(STIMULATOR, "Quiet", Place("x")).path == value


def test_defaults_that_a_file_cannot_say_are_left_out() -> None:
    def maker(a: int = 1, b: object = None, c: object = len, d: float = 2.5) -> None:
        raise AssertionError((a, b, c, d))

    assert defaults_of(maker) == {"a": 1, "d": 2.5}
    assert defaults_of(maker, given_later=1) == {"d": 2.5}
