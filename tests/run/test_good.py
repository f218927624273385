"""Good experiments of many kinds: none raises a false alarm."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from faro.experiment.document_text import read_data
from faro.microscope.simulated import SimulatedMicroscope
from faro.run.files import Prepared, examine

if TYPE_CHECKING:
    from collections.abc import Iterator

GOOD = read_data(Path(__file__).with_name("good_experiments.toml"))
RIG = {"rig": "simulated", "parameters": {"image_shape": [128, 128]}}
MODULE = """
def nowhere(context):
    return None

def sizes(cells, stack):
    return {"size": cells.area}
"""


@pytest.fixture(scope="module")
def microscope() -> Iterator[SimulatedMicroscope]:
    with SimulatedMicroscope(image_shape=(128, 128)) as opened:
        yield opened


def test_there_are_enough_good_experiments() -> None:
    assert len(GOOD) >= 20


@pytest.mark.parametrize("name", GOOD)
def test_a_good_experiment_raises_no_false_alarm(
    name: str, microscope: SimulatedMicroscope, tmp_path: Path
) -> None:
    (tmp_path / "dark.py").write_text(MODULE, encoding="utf-8")
    places = "name,x,y\nleft,0,0\nright,700,0\n"
    (tmp_path / "p.csv").write_text(places, encoding="utf-8")
    words = {"microscope": RIG, **GOOD[name]}
    found, problems = examine(words, tmp_path / "experiment.toml")
    sys.modules.pop("dark", None)
    assert [str(problem) for problem in problems] == []
    assert isinstance(found, Prepared)
    assert [str(problem) for problem in found.problems(microscope)] == []
