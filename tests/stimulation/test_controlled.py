"""Light by feedback: grey levels per cell, duty, divisions, by name from a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
import pytest

from faro.control import MPC, PID, Relay, SetPoint, TimeCourse
from faro.errors import ContractError
from faro.model import Stimulus, TrackValues
from faro.run.components import STIMULATOR, Made, Place, make
from faro.stimulation import ControlledLight, PercentageOfCell
from faro.testing.stimulator import check_stimulator

if TYPE_CHECKING:
    from collections.abc import Callable

    from faro.protocols import ControlInput, StimulationContext

    Frames = Callable[..., StimulationContext]

Labels = npt.NDArray[np.int32]
DARK = np.zeros((30, 40), np.int32)


class Given:
    """Asks for doses that are given, track by track."""

    def __init__(self, doses: dict[int, float]) -> None:
        self.doses = doses

    def step(self, now: ControlInput, state: TrackValues) -> Any:
        """Return the doses."""
        wanted = np.array([self.doses.get(int(i), 0.0) for i in now.track_id])
        return wanted, state


def mask_of(stimulator: ControlledLight, context: StimulationContext) -> Any:
    answer = stimulator.stimulate(context)
    assert isinstance(answer, Stimulus)
    return np.asarray(answer.mask)


@pytest.mark.parametrize("controller", [Relay(), PID(0.3, 60.0)], ids=["relay", "pid"])
def test_it_keeps_the_contract(controller: Any) -> None:
    for within in (None, PercentageOfCell(direction="major_axis")):
        for delivery in ("level", "duty", "exposure"):
            way = cast("Any", delivery)
            check_stimulator(
                ControlledLight(
                    controller, "cnr", SetPoint(3.0), delivery=way, within=within
                )
            )


def test_the_dose_is_the_grey_level_of_the_cell(crowd: Labels, frame: Frames) -> None:
    doses = {1: 1.0, 2: 0.5, 5: 0.1}
    light = ControlledLight(Given(doses), "area", SetPoint(0))
    mask = mask_of(light, frame(crowd))
    levels = {i: set(mask[crowd == i].tolist()) for i in range(crowd.max() + 1)}
    assert levels.pop(1) == {255}
    assert levels.pop(2) == {128}
    assert levels.pop(5) == {26}
    assert set().union(*levels.values()) == {0}
    top = ControlledLight(Given(doses), "area", SetPoint(0), within=PercentageOfCell())
    expected = np.where(PercentageOfCell().stimulate(frame(crowd)), mask, 0)
    assert (mask_of(top, frame(crowd)) == expected).all()


def test_exposure_gives_the_dose_on_average_and_the_largest_at_once(
    crowd: Labels, frame: Frames
) -> None:
    doses = {i: i / 80 for i in range(1, int(crowd.max()) + 1)}
    largest = max(doses.values())
    light = ControlledLight(Given(doses), "area", SetPoint(0), delivery="exposure")
    memory: dict[str, Any] = {}
    given = np.zeros(int(crowd.max()) + 1)
    for _ in range(80):
        answer = light.stimulate(frame(crowd, memory=memory))
        assert isinstance(answer, Stimulus)
        assert answer.exposure_fraction == pytest.approx(largest)
        mask = np.asarray(answer.mask)
        assert set(np.unique(mask)) <= {0, 255}
        given[np.unique(crowd[mask > 0])] += answer.exposure_fraction
    for i, dose in doses.items():
        assert given[i] == pytest.approx(80 * dose, abs=largest)


def test_a_cell_alone_gets_its_dose_as_exposure_each_time(
    crowd: Labels, frame: Frames
) -> None:
    memory: dict[str, Any] = {}
    for dose in (0.3, 0.7, 0.2):
        light = ControlledLight(
            Given({4: dose}), "area", SetPoint(0), delivery="exposure"
        )
        answer = light.stimulate(frame(crowd, memory=memory))
        assert isinstance(answer, Stimulus)
        assert answer.exposure_fraction == pytest.approx(dose)
        assert set(np.unique(crowd[np.asarray(answer.mask) > 0])) == {4}


def test_duty_gives_the_dose_on_average(crowd: Labels, frame: Frames) -> None:
    doses = {i: i / 40 for i in range(1, int(crowd.max()) + 1)}
    light = ControlledLight(Given(doses), "area", SetPoint(0), delivery="duty")
    memory: dict[str, Any] = {}
    lit = np.zeros(int(crowd.max()) + 1)
    for _ in range(80):
        mask = mask_of(light, frame(crowd, memory=memory))
        assert set(np.unique(mask)) <= {0, 255}
        lit[np.unique(crowd[mask > 0])] += 1
    for track, dose in doses.items():
        assert lit[track] == pytest.approx(80 * dose, abs=1.01)


def test_the_loop_closes_over_frames(frame: Frames) -> None:
    labels = np.zeros((30, 40), np.int32)
    labels[3:12, 3:12], labels[15:26, 20:35] = 1, 2
    light = ControlledLight(PID(0.4, 100.0), "cnr", TimeCourse((0.0,), (2.0,)))
    memory: dict[str, Any] = {}
    values, gains = np.array([1.0, 1.2]), np.array([1.5, 2.5])
    lag, now = np.zeros(2), values
    for t in range(80):
        now = values + gains * lag
        context = frame(labels, time_s=30.0 * t, features={"cnr": now}, memory=memory)
        mask = mask_of(light, context)
        lag += 0.3 * (np.array([mask[5, 5], mask[20, 25]]) / 255 - lag)
    assert now == pytest.approx([2.0, 2.0], abs=0.02)
    assert isinstance(memory["control"], TrackValues)


@pytest.mark.parametrize("at_division", ["inherit", "reset"])
def test_daughters_go_on_or_begin_anew(at_division: Any, frame: Frames) -> None:
    labels = np.zeros((30, 40), np.int32)
    labels[3:12, 3:12] = 1
    light = ControlledLight(
        PID(0.01, 10.0),
        "cnr",
        SetPoint(2.0),
        at_division=at_division,
    )
    memory: dict[str, Any] = {}
    mother = 0
    for t in range(6):
        context = frame(
            labels, time_s=10.0 * t, features={"cnr": np.array([0.0])}, memory=memory
        )
        mother = int(mask_of(light, context)[5, 5])
    daughter = frame(
        labels,
        tracks=[8],
        parents=np.array([1]),
        time_s=60.0,
        features={"cnr": np.array([0.0])},
        memory=memory,
    )
    level = int(mask_of(light, daughter)[5, 5])
    assert (level >= mother) == (at_division == "inherit")


def test_an_empty_frame_is_dark(frame: Frames) -> None:
    light = ControlledLight(PID(1.0), "cnr", SetPoint(2.0))
    context = frame(DARK, features={"cnr": np.empty(0)})
    assert not mask_of(light, context).any()


def test_a_loop_is_made_by_name() -> None:
    model = {"gain": 2.0, "time_constants_s": [120.0], "baseline": 1.0}
    words = {
        "feature": "cnr",
        "controller": {
            "component": "mpc",
            "parameters": {"interval_s": 60, "model": model},
        },
        "reference": {
            "component": "TimeCourse",
            "parameters": {
                "times_s": [0, 600],
                "values": [1.5, 2],
                "between": "linear",
            },
        },
        "within": {"component": "percentage_of_cell"},
    }
    made = make(STIMULATOR, "controlled_light", words, Place("pipeline.stimulator"))
    assert isinstance(made, Made), [str(problem) for problem in made]
    light = made.component
    assert isinstance(light, ControlledLight)
    assert isinstance(light.controller, MPC)
    assert light.controller.model.gain == 2.0
    assert isinstance(light.reference, TimeCourse)
    assert made.parameters["controller"]["component"] == "faro.control:MPC"
    wrong = words | {"controller": {"component": "set_point", "parameters": {}}}
    problems = make(STIMULATOR, "controlled_light", wrong, Place("pipeline.stimulator"))
    assert isinstance(problems, list)
    assert "no controller 'set_point'" in str(problems[0])


@pytest.mark.parametrize(
    ("controller", "reference", "message"),
    [
        (PID, SetPoint(1.0), r"<class.*PID'>. Give an object with a method step"),
        (PID(1.0), 2.0, r"given 2\.0\. Give an object with a method at"),
    ],
    ids=["a class", "a number"],
)
def test_what_is_no_loop_is_refused(
    controller: Any, reference: Any, message: str
) -> None:
    with pytest.raises(ContractError, match=message):
        ControlledLight(controller, "cnr", reference)
