"""Whole sequences on the real engine: what the devices did is what useq iterates."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import useq
from hypothesis import Phase, assume, given, settings

from faro.experiment import PowerChannel, RTMSequence, combine, plan
from faro.microscope import MMDemo
from faro.run import Controller, ImageProcessingPipeline
from faro.testing.memory import MemorySink
from faro.testing.sequences import Vocabulary, Words, executable_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from faro.experiment import PlannedEvent
    from faro.microscope.mmcore import CMMCorePlus

LEVEL = ("Camera", "Gain")


class PoweredDemo(MMDemo):
    """Demo devices with a light level; any property of a number will do."""

    POWER_PROPERTIES = {"Cy5": LEVEL, "FITC": LEVEL}  # noqa: RUF012


class Diary:
    """What the core of a microscope is told, in order."""

    def __init__(self, core: CMMCorePlus, patch: pytest.MonkeyPatch) -> None:
        self.lines: list[tuple[Any, ...]] = []
        for name in (
            "setXYPosition",
            "setPosition",
            "setConfig",
            "setExposure",
            "setProperty",
            "setShutterOpen",
            "setAutoFocusOffset",
            "fullFocus",
            "snapImage",
        ):
            patch.setattr(core, name, self._noted(name, getattr(core, name)))

    def _noted(self, name: str, call: Any) -> Any:
        def noted(*args: Any) -> Any:
            self.lines.append((name, *args))
            return call(*args)

        return noted

    def images(self) -> list[dict[str, Any]]:
        """Return each exposure with what was set last before it."""
        state: dict[str, Any] = {}
        found = []
        for name, *args in self.lines:
            if name in KEPT:
                key, value_of = KEPT[name]
                state[key] = value_of(args)
            elif name == "setProperty" and tuple(args[:2]) in PROPERTIES:
                state[PROPERTIES[args[0], args[1]]] = float(args[2])
            elif name == "snapImage":
                found.append(dict(state))
        return found


KEPT: dict[str, tuple[str, Callable[[list[Any]], Any]]] = {
    "setXYPosition": ("xy", lambda args: tuple(args[-2:])),
    "setPosition": ("z", lambda args: args[-1]),
    "setConfig": ("channel", tuple),
    "setExposure": ("exposure", lambda args: args[-1]),
    "setShutterOpen": ("opened", lambda args: args[-1]),
}
"""Command to what it sets, and how that is read from its arguments."""
PROPERTIES = {LEVEL: "power", ("Camera", "Offset"): "offset"}


class EverywhereAtOnce:
    """Lights the whole field."""

    masked = False

    def stimulate(self, _context: Any) -> bool:
        """Return True: the whole field."""
        return True


@pytest.fixture
def demo() -> Iterator[PoweredDemo]:
    with PoweredDemo() as microscope:
        yield microscope


Z = {"range": 4, "step": 2}
PLACES: list[dict[str, Any]] = [
    {"x": 10, "y": 20, "z": 30},
    {"x": 40, "y": 50, "z": 60, "name": "B"},
]
TWO = {"interval": 0, "loops": 2}
SUB = useq.MDASequence.model_validate(
    {"z_plan": {"absolute": [1, 2, 7]}, "channels": [{"config": "DAPI", "exposure": 3}]}
)
CASES: list[dict[str, Any]] = [
    {"z_plan": Z, "axis_order": "tpcz"},
    {"z_plan": Z, "axis_order": "tpzc"},
    {"z_plan": Z, "axis_order": "ptzc"},
    {"z_plan": {"absolute": [5, 3, 9]}, "axis_order": "ptcz"},
    {"z_plan": {"top": 9, "bottom": 1, "step": 4, "go_up": False}},
    {"z_plan": {"above": 2, "below": 1, "step": 1}},
    {"z_plan": {"relative": [3, -1]}, "keep_shutter_open_across": ("z",)},
    {"z_plan": Z, "axis_order": "tpzc", "keep_shutter_open_across": ("c",)},
    {"keep_shutter_open_across": ("p", "c")},
    {
        "channels": [
            {"config": "Cy5", "exposure": 5},
            {"config": "FITC", "exposure": 6, "do_stack": False, "z_offset": 1.5},
        ],
        "z_plan": Z,
        "axis_order": "tpzc",
    },
    {
        "channels": [
            {"config": "Cy5", "exposure": 5},
            {"config": "FITC", "exposure": 6, "acquire_every": 2},
        ],
        "time_plan": {"interval": 0, "loops": 3},
    },
    {"stage_positions": [PLACES[0], {**PLACES[1], "sequence": SUB}], "z_plan": Z},
    {"autofocus_plan": {"axes": ("p",)}, "z_plan": Z},
    {"autofocus_plan": {"axes": ("c", "t")}},
]


@pytest.mark.parametrize("words", CASES, ids=range(len(CASES)))
def test_the_devices_do_what_useq_iterates(
    demo: PoweredDemo,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: dict[str, Any],
) -> None:
    said: dict[str, Any] = {
        "channels": [
            {"config": "Cy5", "exposure": 5},
            {"config": "FITC", "exposure": 6},
        ],
        "stage_positions": PLACES,
        "time_plan": TWO,
        **words,
    }
    asked = list(useq.MDASequence(**said))
    images = [e for e in asked if isinstance(e.action, useq.AcquireImage)]
    diary, sink = Diary(demo.mmc, monkeypatch), MemorySink(tmp_path)
    summary = Controller(demo, writer=sink).run_experiment(RTMSequence(**said))
    assert summary.completed, summary.reason
    done = [i for i in diary.images() if i["opened"]]
    assert len(done) == len(images)
    for is_, event in zip(done, images, strict=True):
        assert is_["xy"] == (event.x_pos, event.y_pos)
        assert is_["z"] == pytest.approx(event.z_pos)
        assert event.channel is not None
        assert is_["channel"] == ("Channel", event.channel.config)
        assert is_["exposure"] == event.exposure
    focused = [line for line in diary.lines if line[0] == "fullFocus"]
    assert len(focused) == len(asked) - len(images)
    assert closings(diary) == [not event.keep_shutter_open for event in images]
    assert sorted(z for s, _ in sink.stacks for z in planes_of(s)) == sorted(
        float(e.z_pos or 0) for e in images
    )


def closings(diary: Diary) -> list[bool]:
    """Return after each lit exposure whether the shutter was closed next."""
    lit = False
    found: list[bool] = []
    kept = [line for line in diary.lines if line[0] in {"snapImage", "setShutterOpen"}]
    for line, following in pairwise([*kept, ("end",)]):
        if line[0] == "setShutterOpen":
            lit = bool(line[-1])
        elif lit:
            found.append(following[0] == "setShutterOpen" and not following[-1])
    return found


def planes_of(stack: Any) -> list[float]:
    """Return the stage z of every plane of a stack."""
    offsets = stack.z_offsets_um or (0.0,) * len(stack.channels)
    if stack.n_z:
        assert stack.pixels.shape[1] == len(stack.z_um)
        return [z + offset for offset in offsets for z in stack.z_um]
    base = stack.position_um[2] or 0.0
    return [base + offset for offset in offsets]


DEMO = Vocabulary(
    images=("Cy5", "DAPI", "Rhodamine"),
    lights=("FITC",),
    groups=(None, "Channel"),
    powered=("Cy5", "FITC"),
    optional=False,
    longest=2,
    properties=(("Camera", "Offset", "1"), ("Camera", "Offset", "2")),
)
"""What random sequences name on the demo microscope."""
SEQUENCES = executable_words(DEMO)
AS_DRAWN = (Phase.explicit, Phase.reuse, Phase.generate)
"""Each try is a run; making a failing one smaller takes long."""


@settings(max_examples=15, phases=AS_DRAWN)
@given(SEQUENCES)
def test_the_devices_do_what_is_planned(said: Words) -> None:
    run_and_compare(said)


@pytest.mark.long
@pytest.mark.timeout(600)
@settings(max_examples=200, phases=AS_DRAWN)
@given(SEQUENCES)
def test_the_devices_do_what_is_planned_many_times(said: Words) -> None:
    run_and_compare(said)


def run_and_compare(said: Words) -> None:
    """Run a sequence without light at once, and hold each exposure against the plan."""
    lit = {"stim_channels", "stim_frames", "stim_exposure"}
    sequence = RTMSequence(**{key: said[key] for key in said if key not in lit})
    if said["time_plan"] is not None:
        at_once = {"interval": 0, "loops": sequence.n_timepoints}
        sequence = sequence.replace(time_plan=at_once)
    assume(all(event.channels for event in sequence))
    planned = list(plan(sequence))
    with (
        PoweredDemo() as demo,
        pytest.MonkeyPatch.context() as patch,
        TemporaryDirectory() as folder,
    ):
        diary, sink = Diary(demo.mmc, patch), MemorySink(Path(folder))
        summary = Controller(demo, writer=sink).run_experiment(sequence)
    assert summary.completed, summary.reason
    assert summary.n_errors == 0
    done = [image for image in diary.images() if image["opened"]]
    expected = list(planned_states(planned))
    assert len(done) == len(expected)
    for found, state in zip(done, expected, strict=True):
        assert {key: found.get(key) for key in state} == state
    assert closings(diary) == [not event.keep_shutter_open for event in planned]
    focused = [line for line in diary.lines if line[0] == "fullFocus"]
    assert len(focused) == sum(event.autofocus is not None for event in planned)


def planned_states(planned: Iterable[PlannedEvent]) -> Iterator[dict[str, Any]]:
    """Yield what is to be set at each exposure; None for what never was."""
    state: dict[str, Any] = dict.fromkeys(("xy", "z", "offset"))
    for event in planned:
        x_um, y_um, z_um = event.position_um
        z_um = event.focus_z_um if z_um is None and event.autofocus else z_um
        state["xy"] = state["xy"] if x_um is None else (x_um, y_um)
        state["z"] = state["z"] if z_um is None else z_um
        state["channel"] = ("Channel", event.channel.config)
        state["exposure"] = event.channel.exposure
        for _, _, value in event.properties:
            state["offset"] = float(value)
        if event.channel.power is not None:
            state["power"] = event.channel.power
        yield dict(state)


def test_power_and_group_reach_the_hardware_for_every_role(
    demo: PoweredDemo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sequence = RTMSequence(
        channels=[PowerChannel("Cy5", 5, "Channel", 1)],
        stim_channels=[
            PowerChannel("FITC", 7, "Channel", 2),
            PowerChannel("Cy5", 8, "Channel", 3),
        ],
        stim_frames=[0],
        ref_channels=[PowerChannel("FITC", 9, "Channel", 4)],
        ref_frames=[0],
    )
    pipeline = ImageProcessingPipeline(stimulator=EverywhereAtOnce())
    diary = Diary(demo.mmc, monkeypatch)
    controller = Controller(demo, pipeline, writer=MemorySink(tmp_path))
    assert controller.run_experiment(sequence).completed
    done = [i for i in diary.images() if i["opened"]]
    found = [(i["channel"][1], i["exposure"], float(i["power"])) for i in done]
    assert found == [("Cy5", 5, 1), ("FITC", 7, 2), ("Cy5", 8, 3), ("FITC", 9, 4)]


def test_what_is_analysed_of_the_planes_is_declared(
    demo: PoweredDemo, tmp_path: Path
) -> None:
    seen: list[Any] = []

    def look(cells: Any, stack: Any) -> dict[str, Any]:
        seen.append(stack)
        return {"n_planes": np.full(len(cells), len(stack.volume("Cy5")))}

    sequence = RTMSequence(
        channels=[
            {"config": "FITC", "do_stack": False, "exposure": 5},
            PowerChannel("Cy5", 5),
        ],
        stage_positions=[(0, 0, 5)],
        z_plan=Z,
    )
    sink = MemorySink(tmp_path)
    pipeline = ImageProcessingPipeline(features=look, z="mean")
    summary = Controller(demo, pipeline, writer=sink).run_experiment(sequence)
    assert (summary.completed, summary.n_errors) == (True, 0)
    by_channel = {stack.channels: stack for stack, _ in sink.stacks}
    volume = by_channel["Cy5",]
    assert volume.z_um == (3.0, 5.0, 7.0)
    stack = seen[-1]
    assert stack.channels == ("FITC", "Cy5")
    assert np.array_equal(stack.volume("Cy5"), volume.pixels[0])
    assert np.array_equal(stack["Cy5"], np.rint(volume.pixels[0].mean(0)))
    assert np.array_equal(stack["FITC"], by_channel["FITC",].pixels[0])
    assert sink.needs is not None
    assert [(s.channels, s.n_z, s.z_step_um) for s in sink.needs.stacks[0]] == [
        (("FITC",), 0, None),
        (("Cy5",), 3, 2.0),
    ]


def test_arms_that_image_different_channels_run(
    demo: PoweredDemo, tmp_path: Path
) -> None:
    arms = [
        RTMSequence(channels=[{"config": c, "exposure": 5}], stage_positions=[(x, 0)])
        for x, c in enumerate(("Cy5", "FITC"))
    ]
    sink = MemorySink(tmp_path)
    events = combine(*arms, axis="p")
    assert Controller(demo, writer=sink).run_experiment(events).completed
    assert [(s.fov, s.channels) for s, _ in sink.stacks] == [
        (0, ("Cy5",)),
        (1, ("FITC",)),
    ]
