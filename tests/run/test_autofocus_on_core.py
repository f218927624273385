"""The hardware autofocus in whole runs: its device, its offset, and its failures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from faro.errors import RefusedError
from faro.experiment import PowerChannel, RTMSequence
from faro.microscope import MMDemo
from faro.run import Controller, ImageProcessingPipeline
from faro.testing.memory import MemorySink

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from faro.microscope.mmcore import CMMCorePlus

SPARE = "Spare"
PLACES = [{"x": 10, "y": 20, "z": 30}, {"x": 40, "y": 50, "z": 60}]


class Focusing:
    """The autofocus of a core: notes each try, moves the stage, fails where told."""

    def __init__(self, core: CMMCorePlus, patch: pytest.MonkeyPatch) -> None:
        self.tries: list[tuple[str, float, float]] = []
        self.lit: list[tuple[float, float, bool]] = []
        self.failing_at_um: float | None = None
        self.moves_um = 0.0
        self._core = core
        patch.setattr(core, "fullFocus", self._focus)
        self._snap = core.snapImage
        patch.setattr(core, "snapImage", self._noted)

    def _focus(self) -> None:
        core = self._core
        device, offset_um = core.getAutoFocusDevice(), core.getAutoFocusOffset()
        self.tries.append((device, offset_um, round(core.getXPosition())))
        assert not core.getShutterOpen()
        if self.failing_at_um == round(core.getXPosition()):
            message = "no reflection"
            raise RuntimeError(message)
        core.setPosition(core.getPosition() + self.moves_um)

    def _noted(self) -> None:
        core = self._core
        place = round(core.getXPosition()), core.getPosition()
        self.lit.append((*place, core.getShutterOpen()))
        self._snap()


@pytest.fixture
def demo() -> Iterator[MMDemo]:
    with MMDemo() as microscope:
        yield microscope


@pytest.fixture
def focus(demo: MMDemo, monkeypatch: pytest.MonkeyPatch) -> Focusing:
    return Focusing(demo.mmc, monkeypatch)


def sequence(**more: Any) -> RTMSequence:
    said: dict[str, Any] = {
        "channels": [{"config": "Cy5", "exposure": 5}],
        "stage_positions": PLACES,
        "time_plan": {"interval": 0, "loops": 2},
        "autofocus_plan": {"axes": ("p",)},
    }
    return RTMSequence(**{**said, **more})


def focused(p: int, **plan: Any) -> dict[str, Any]:
    """Return a position with an autofocus plan of its own."""
    return {**PLACES[p], "sequence": {"autofocus_plan": {"axes": ("t", "p"), **plan}}}


def test_each_position_has_an_offset_of_its_own(
    demo: MMDemo, focus: Focusing, tmp_path: Path
) -> None:
    places = [
        focused(0, autofocus_motor_offset=1.5),
        focused(1, autofocus_motor_offset=2.5),
    ]
    focus.moves_um = 0.5
    sink = MemorySink(tmp_path)
    events = sequence(stage_positions=places, autofocus_plan=None)
    assert Controller(demo, writer=sink).run_experiment(events).completed
    assert [(offset, x) for _, offset, x in focus.tries] == [(1.5, 10), (2.5, 40)] * 2
    lit = [z for _, z, is_open in focus.lit if is_open]
    assert lit == pytest.approx([30.5, 60.5, 31, 61])


def test_the_named_autofocus_does_it_and_the_one_before_is_back(
    demo: MMDemo, focus: Focusing, tmp_path: Path
) -> None:
    demo.mmc.loadDevice(SPARE, "DemoCamera", "DAutoFocus")
    demo.mmc.initializeDevice(SPARE)
    before = demo.mmc.getAutoFocusDevice()
    plan = {"axes": ("p",), "autofocus_device_name": SPARE}
    summary = Controller(demo, writer=MemorySink(tmp_path)).run_experiment(
        sequence(autofocus_plan=plan)
    )
    assert summary.completed
    assert [device for device, *_ in focus.tries] == [SPARE] * 4
    assert demo.mmc.getAutoFocusDevice() == before != SPARE


def test_a_named_motor_is_moved_to_the_offset(
    demo: MMDemo, focus: Focusing, tmp_path: Path
) -> None:
    """A plan of useq names the motor of the offset, as of a Nikon PFS."""
    demo.mmc.loadDevice(SPARE, "DemoCamera", "DStage")
    demo.mmc.initializeDevice(SPARE)
    plan = {
        "axes": ("p",),
        "autofocus_device_name": SPARE,
        "autofocus_motor_offset": 7.0,
    }
    events = sequence(autofocus_plan=plan)
    assert (
        Controller(demo, writer=MemorySink(tmp_path)).run_experiment(events).completed
    )
    assert demo.mmc.getPosition(SPARE) == 7.0
    assert {device for device, *_ in focus.tries} == {"Autofocus"}


def test_an_autofocus_that_is_not_there_is_refused_before_any_light(
    demo: MMDemo, focus: Focusing, tmp_path: Path
) -> None:
    plan = {"axes": ("p",), "autofocus_device_name": "Autofocs"}
    controller = Controller(demo, writer=MemorySink(tmp_path))
    with pytest.raises(
        RefusedError, match=r"no offset motor 'Autofocs'\. Did you mean"
    ):
        controller.run_experiment(sequence(autofocus_plan=plan))
    demo.mmc.setAutoFocusDevice("")
    with pytest.raises(RefusedError, match="microscope has no autofocus"):
        controller.run_experiment(sequence())
    assert not any(is_open for *_, is_open in focus.lit)


class EverywhereAtOnce:
    """Lights the whole field."""

    masked = False

    def stimulate(self, _context: Any) -> bool:
        """Return True: the whole field."""
        return True


@pytest.mark.parametrize("stim_mode", ["current", "previous", "interleaved"])
def test_nothing_is_lit_where_the_autofocus_failed_and_the_others_go_on(
    demo: MMDemo, focus: Focusing, tmp_path: Path, stim_mode: str
) -> None:
    focus.failing_at_um = 40.0
    events = sequence(
        channels=[PowerChannel("Cy5", 5), PowerChannel("DAPI", 5)],
        stim_channels=[PowerChannel("FITC", 7)],
        stim_frames=[0, 1],
        ref_channels=[PowerChannel("Rhodamine", 7)],
        ref_frames=[1],
        keep_shutter_open_across=("p", "c"),
    )
    sink = MemorySink(tmp_path)
    pipeline = ImageProcessingPipeline(stimulator=EverywhereAtOnce())
    summary = Controller(demo, pipeline, writer=sink).run_experiment(
        events, stim_mode=stim_mode
    )
    assert summary.completed
    assert summary.n_errors
    assert {x for x, _, is_open in focus.lit if is_open} == {10}
    assert [x for *_, x in focus.tries] == [10, 40, 40, 40] * 2
    assert [
        (line["fov"], line["timestep"]) for line in sink.kinds("autofocus_failed")
    ] == [
        (1, 0),
        (1, 1),
    ]
    missing = [
        (m["fov"], m["timestep"], m["role"]) for m in sink.kinds("frame_missing")
    ]
    assert {(p, t) for p, t, _ in missing} == {(1, 0), (1, 1)}
    assert [role for *_, role in missing].count("image") == 4
    assert {stack.fov for stack, _ in sink.stacks} == {0}
    reason = sink.kinds("frame_missing")[0]["reason"]
    assert "out of focus: The autofocus failed 3 times: no reflection" in reason


def test_a_position_that_was_out_of_focus_is_focused_at_the_next_visit(
    demo: MMDemo, focus: Focusing, tmp_path: Path
) -> None:
    """The plan focuses once; without another try all that follows would be blurred."""
    focus.failing_at_um = 10.0
    tried = demo.mmc.fullFocus

    def recovers() -> None:
        if len(focus.tries) >= 3:
            focus.failing_at_um = None
        tried()

    demo.mmc.fullFocus = recovers  # type: ignore[method-assign]
    events = sequence(stage_positions=PLACES[:1], time_plan={"interval": 0, "loops": 3})
    sink = MemorySink(tmp_path)
    assert Controller(demo, writer=sink).run_experiment(events).completed
    assert len(focus.tries) == 4
    assert [stack.timestep for stack, _ in sink.stacks] == [1, 2]
    assert [line["timestep"] for line in sink.kinds("autofocus_failed")] == [0]
    assert np.isfinite([s.position_um[2] or 0.0 for s, _ in sink.stacks]).all()
