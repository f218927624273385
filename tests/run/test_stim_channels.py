"""Several stimulation channels: each has its own mask, decision, policy and record."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faro.errors import RefusedError
from faro.experiment import PowerChannel, RTMSequence, combine
from faro.microscope.dmd import DMD
from faro.model import FrameRole, StimChannel
from faro.run import Controller, ImageProcessingPipeline, LateMask, RunLimits
from faro.run.late import REHEARSAL
from faro.run.mask_labels import mask_labels
from faro.stimulation import NoStimulus, WholeField
from faro.storage.layout import is_label_name
from faro.testing.canned import CannedMicroscope
from faro.testing.discs import SHAPE, disc_frame, disc_sequence, segment_discs
from faro.testing.memory import MemorySink

if TYPE_CHECKING:
    from pathlib import Path

CYAN, RED = "CyanStim", "RedStim"
MASKS = {CYAN: "stim_mask_CyanStim", RED: "stim_mask_RedStim"}
PRESETS = ("miRFP", "mScarlet3", CYAN, RED)
LIGHTS = [PowerChannel(CYAN, 100, power=10), PowerChannel(RED, 50, "Channel", 20)]


@pytest.fixture
def microscope(dmd: DMD) -> CannedMicroscope:
    return CannedMicroscope(disc_frame, SHAPE, PRESETS, dmd=dmd)


def two_lights(timepoints: int = 4, fovs: int = 1, **changes: Any) -> RTMSequence:
    return disc_sequence(timepoints, fovs, **{"stim_channels": LIGHTS} | changes)


def half_of(context: Any, *, upper: bool) -> Any:
    """Return a mask (Y, X) of one half of the field, another row more each time."""
    mask = np.zeros(context.shape, bool)
    row = SHAPE[0] // 2 + context.timestep
    mask[slice(row) if upper else slice(row, None)] = True
    return mask


def upper_and_lower(context: Any) -> Any:
    return {CYAN: half_of(context, upper=True), RED: half_of(context, upper=False)}


def run_it(
    microscope: CannedMicroscope,
    sink: MemorySink,
    stimulator: Any = None,
    events: Any = None,
    **parts: Any,
) -> Controller:
    limits = parts.pop("limits", RunLimits())
    mode = parts.pop("stim_mode", "current")
    pipeline = ImageProcessingPipeline(segment_discs, stimulator=stimulator, **parts)
    controller = Controller(microscope, pipeline, writer=sink, limits=limits)
    events = two_lights() if events is None else events
    assert controller.run_experiment(events, stim_mode=mode).completed
    return controller


@pytest.mark.parametrize("mode", ["current", "previous"])
def test_each_channel_fires_and_keeps_its_own_mask(
    mode: str, microscope: CannedMicroscope, sink: MemorySink, dmd: DMD
) -> None:
    run_it(microscope, sink, upper_and_lower, stim_mode=mode)
    fired = [(f.timestep, f.channel, f.power) for f in microscope.fired]
    assert fired == [(t, c, p) for t in (1, 2, 3) for c, p in ((CYAN, 10), (RED, 20))]
    for shown, armed in zip(microscope.fired, sink.kinds("stim_armed"), strict=True):
        stored = sink.labels[MASKS[shown.channel], 0, shown.timestep]
        rows = stored.any(axis=1)
        source = shown.timestep - (mode == "previous")
        border = SHAPE[0] // 2 + source
        assert armed["from_timestep"] == source
        assert rows.sum() == (border if shown.channel == CYAN else SHAPE[0] - border)
        np.testing.assert_array_equal(shown.pattern, dmd.warp(stored.astype(np.uint8)))
        assert armed["mask_label"] == MASKS[shown.channel]
        assert armed["power"] == shown.power
    assert "stim_mask" not in {name for name, _, _ in sink.labels}
    assert set(MASKS.values()) < set(sink.needs.labels if sink.needs else ())


def test_a_decision_is_recorded_for_each_channel(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    run_it(microscope, sink, upper_and_lower)
    decided = [(d["timestep"], d["channel"]) for d in sink.kinds("stim_decided")]
    assert decided == [(t, c) for t in (1, 2, 3) for c in (CYAN, RED)]
    assert {d["reason"] for d in sink.kinds("stim_decided")} == {"ok"}


def test_one_answer_holds_for_all_channels(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    run_it(microscope, sink, lambda c: half_of(c, upper=True))
    for t in (1, 2, 3):
        cyan, red = (sink.labels[MASKS[name], 0, t] for name in (CYAN, RED))
        np.testing.assert_array_equal(cyan, red)


def test_one_channel_keeps_the_short_name(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    events = two_lights(stim_channels=LIGHTS[1:])
    run_it(microscope, sink, lambda c: {RED: half_of(c, upper=True)}, events)
    masks = {name for name, _, _ in sink.labels if name.startswith("stim")}
    assert masks == {"stim_mask"}


@pytest.mark.parametrize("lit", [CYAN, RED])
def test_a_channel_that_is_left_out_stays_dark_and_that_is_recorded(
    lit: str, microscope: CannedMicroscope, sink: MemorySink
) -> None:
    """Also the frame of the other one is stored, whichever comes last."""
    limits = RunLimits(late_mask="previous")
    only = {lit: True}
    run_it(microscope, sink, lambda _: only, limits=limits)
    assert {f.channel for f in microscope.fired} == {lit}
    (dark,) = {CYAN, RED} - {lit}
    skipped = sink.kinds("stim_skipped")
    assert [(s["timestep"], s["channel"]) for s in skipped] == [
        (t, dark) for t in (1, 2, 3)
    ]
    assert {s["reason"] for s in skipped} == {"left out of the answer"}
    light = [stack for stack, _ in sink.stacks if stack.role is FrameRole.STIM]
    assert [(s.timestep, s.channels) for s in light] == [(t, (lit,)) for t in (1, 2, 3)]
    exposure_ms = {CYAN: 100.0, RED: 50.0}[lit]
    assert {s.exposures_ms for s in light} == {(exposure_ms,)}
    assert sink.kinds("stack_incomplete") == []


def test_a_stimulator_hears_which_channels_there_are(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    heard: list[dict[str, StimChannel]] = []
    seen: list[list[str]] = []

    def stimulate(context: Any) -> Any:
        heard.append(dict(context.stim_channels))
        seen.append(list(context.previous_lights))
        return {RED: True, CYAN: context.timestep < 2}

    run_it(microscope, sink, stimulate)
    assert heard[-1] == {
        CYAN: StimChannel(CYAN, 100.0, 10.0),
        RED: StimChannel(RED, 50.0, 20.0, "Channel"),
    }
    assert list(heard[-1]) == [CYAN, RED]
    assert seen[-3:] == [[], [CYAN, RED], [RED]]


def test_a_wrong_name_is_found_before_the_run(microscope: CannedMicroscope) -> None:
    pipeline = ImageProcessingPipeline(
        segment_discs, stimulator=lambda _: {CYAN: True, "RedStm": True}
    )
    with pytest.raises(RefusedError) as refused:
        Controller(microscope, pipeline).run_experiment(two_lights())
    (found,) = refused.value.problems
    assert found.where == "pipeline/stimulator"
    assert "answers for the channel 'RedStm'" in found.what
    assert "fov 0, t 0 are 'CyanStim', 'RedStim'" in found.what
    assert found.remedy.endswith("Did you mean 'RedStim'?")
    assert microscope.seen == []


def test_each_set_of_channels_is_tried_before_the_run(
    microscope: CannedMicroscope,
) -> None:
    """Light of both colours at first, of one later: the answer must follow."""
    first, later = two_lights(2), two_lights(2, stim_channels=LIGHTS[:1])
    events = combine(first, later, axis="t")
    pipeline = ImageProcessingPipeline(segment_discs, stimulator=upper_and_lower)
    with pytest.raises(RefusedError, match=r"'RedStim'; those .* are 'CyanStim'"):
        Controller(microscope, pipeline).run_experiment(events)


def test_a_wrong_name_during_the_run_lights_nothing(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    def stimulate(context: Any) -> Any:
        return {"Rot" if context.timestep == 2 else RED: True}

    controller = run_it(microscope, sink, stimulate)
    assert [f.timestep for f in microscope.fired] == [1, 3]
    (error,) = controller.background_errors
    assert (error.exc_type, error.stage, error.timestep) == (
        "ContractError",
        "stimulate",
        2,
    )
    assert "'Rot'" in error.message
    assert "fov 0, t 2 are 'CyanStim', 'RedStim'" in error.message


def test_a_bad_mask_says_of_which_channel(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    def stimulate(context: Any) -> Any:
        bad = np.ones((3, 3), bool)
        return {CYAN: True, RED: bad if context.timestep else True}

    controller = run_it(microscope, sink, stimulate)
    assert microscope.fired == []
    assert "Channel 'RedStim': A stimulation mask has shape (3, 3)" in (
        controller.background_errors[0].message
    )


def test_each_channel_has_a_stimulator_with_a_memory_of_its_own(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    def counting(context: Any) -> Any:
        context.memory["n"] = context.memory.get("n", 0) + 1
        mask = np.zeros(context.shape, np.uint8)
        mask[: context.memory["n"]] = 255
        assert set(context.previous_lights) <= set(context.stim_channels)
        assert len(context.stim_channels) == 1
        return mask

    run_it(microscope, sink, stimulators={CYAN: counting, RED: counting})
    for name in (CYAN, RED):
        lit = [sink.labels[MASKS[name], 0, t].any(axis=1).sum() for t in (1, 2, 3)]
        assert lit == [1, 2, 3]


def test_one_stimulator_that_fails_stops_no_other(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    def fails(context: Any) -> Any:
        if context.timestep == 2:
            raise ZeroDivisionError
        return half_of(context, upper=True)

    fails.needs = ()  # type: ignore[attr-defined]  # a function may carry it
    lower = {CYAN: fails, RED: lambda c: half_of(c, upper=False)}
    limits = RunLimits(late_mask="previous")
    run_it(microscope, sink, stimulators=lower, limits=limits)
    armed = {(a["timestep"], a["channel"]): a for a in sink.kinds("stim_armed")}
    assert armed[2, CYAN]["policy"] == "previous"
    assert armed[2, CYAN]["reason"] == "failed: stimulate/CyanStim"
    assert "policy" not in armed[2, RED]
    np.testing.assert_array_equal(
        sink.labels[MASKS[CYAN], 0, 2], sink.labels[MASKS[CYAN], 0, 1]
    )


def test_light_that_needs_no_cells_fires_where_segmentation_fails(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    calls = iter(range(1000))

    def segment(pixels: Any) -> Any:
        if next(calls) >= 3:  # the rehearsal, then two timepoints
            raise ZeroDivisionError
        return segment_discs(pixels)

    def anywhere(_: Any) -> Any:
        return True

    anywhere.needs = ()  # type: ignore[attr-defined]  # a function may carry it
    both = {CYAN: lambda c: half_of(c, upper=len(c.cells) > 0), RED: anywhere}
    pipeline = ImageProcessingPipeline(segment, stimulators=both)
    Controller(microscope, pipeline, writer=sink).run_experiment(two_lights())
    fired = [(f.timestep, f.channel) for f in microscope.fired]
    assert fired == [(1, CYAN), (1, RED), (2, RED), (3, RED)]
    skipped = sink.kinds("stim_skipped")
    assert [s["reason"] for s in skipped] == ["failed: segment/nuclei"] * 2


@pytest.mark.parametrize(
    ("stimulators", "where", "words"),
    [
        ({CYAN: lambda _: True}, "pipeline/stimulators", "RedStim"),
        (
            {CYAN: lambda _: True, "RedStm": lambda _: True},
            "pipeline/stimulators/RedStm",
            "Did you mean 'RedStim'?",
        ),
    ],
)
def test_wrong_channels_of_stimulators_are_problems(
    stimulators: Any, where: str, words: str, microscope: CannedMicroscope
) -> None:
    pipeline = ImageProcessingPipeline(segment_discs, stimulators=stimulators)
    problems = Controller(microscope, pipeline).validate_events(two_lights())
    found = {p.where: p for p in problems}
    assert words in str(found[where])
    assert found[where].severity == "error"


def test_a_stimulator_for_a_later_phase_is_a_warning(
    microscope: CannedMicroscope,
) -> None:
    both = {CYAN: lambda _: True, RED: lambda _: True}
    pipeline = ImageProcessingPipeline(segment_discs, stimulators=both)
    events = two_lights(stim_channels=LIGHTS[:1])
    (found,) = Controller(microscope, pipeline).validate_events(events)
    assert found.severity == "warning"
    assert found.what == "no event stimulates with 'RedStim'."


def test_stimulators_that_contradict_are_refused_together() -> None:
    with pytest.raises(RefusedError) as refused:
        ImageProcessingPipeline(
            segment_discs,
            stimulator=lambda _: True,
            stimulators={CYAN: 3},  # type: ignore[dict-item]  # that is the test
        )
    what = {p.where for p in refused.value.problems}
    assert what == {"pipeline/stimulators", "pipeline/stimulators/CyanStim"}
    with pytest.raises(RefusedError, match="no mapping from channels"):
        ImageProcessingPipeline(segment_discs, stimulators=[1])  # type: ignore[arg-type]  # that is the test


def test_the_record_says_who_decides_on_which_channel() -> None:
    pipeline = ImageProcessingPipeline(
        segment_discs, stimulators={CYAN: WholeField(), RED: NoStimulus()}
    )
    said = pipeline.describe()
    assert said["stimulator"] is None
    names = {n: s["component"] for n, s in said["stimulators"].items()}
    assert names[CYAN].endswith(":WholeField")
    assert names[RED].endswith(":NoStimulus")


def test_a_light_twice_in_one_event_is_a_problem(microscope: CannedMicroscope) -> None:
    pipeline = ImageProcessingPipeline(segment_discs, stimulator=lambda _: True)
    events = two_lights(stim_channels=[LIGHTS[0], LIGHTS[0].exposed(7)])
    found = Controller(microscope, pipeline).validate_events(events)
    assert [p.where for p in found] == ["stim_channels/CyanStim"]
    assert "gives light twice in one event" in found[0].what


def test_a_fallback_is_asked_for_each_channel(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    asked: list[tuple[int, str, bool]] = []

    def fallback(late: LateMask) -> Any:
        if late.reason != REHEARSAL:
            asked.append((late.timestep, late.channel, late.previous is None))
        return late.channel == RED

    def fails(context: Any) -> Any:
        if context.timestep in {1, 2}:
            raise ZeroDivisionError
        return upper_and_lower(context)

    run_it(microscope, sink, fails, fallback=fallback)
    assert asked == [(1, CYAN, True), (1, RED, True), (2, CYAN, True), (2, RED, False)]
    fired = [(f.timestep, f.channel) for f in microscope.fired]
    assert fired == [(1, RED), (2, RED), (3, CYAN), (3, RED)]


def test_the_channels_of_an_event_share_one_deadline(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    free = threading.Event()

    def slow(context: Any) -> Any:
        if context.timestep == 1 and context.fov == 0:
            free.wait(60.0)
        return True

    limits = RunLimits(mask_deadline_s=0.3)
    pipeline = ImageProcessingPipeline(segment_discs, stimulator=slow)
    controller = Controller(microscope, pipeline, writer=sink, limits=limits)
    controller.notices.acquiring.connect(lambda t, _: free.set() if t == 2 else None)
    assert controller.run_experiment(two_lights(3)).completed
    cyan, red = sink.kinds("stim_skipped")
    assert (cyan["channel"], red["channel"]) == (CYAN, RED)
    assert cyan["due_s"] == red["due_s"]
    assert {s["reason"] for s in (cyan, red)} == {"no mask within 0.3 s"}


def test_more_channels_can_follow_and_names_stay(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    def stimulate(context: Any) -> Any:
        return {name: half_of(context, upper=True) for name in context.stim_channels}

    pipeline = ImageProcessingPipeline(segment_discs, stimulator=stimulate)
    controller = Controller(microscope, pipeline, writer=sink)
    one = two_lights(2, stim_channels=LIGHTS[:1])
    controller.run_experiment(one, finish=False)
    controller.continue_experiment(two_lights(2))
    armed = [(a["channel"], a["mask_label"]) for a in sink.kinds("stim_armed")]
    assert armed == [(CYAN, "stim_mask"), (CYAN, "stim_mask"), (RED, MASKS[RED])]
    assert {"stim_mask", MASKS[RED]} <= set(sink.needs.labels if sink.needs else ())


@settings(max_examples=40)
@given(
    names=st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=5, unique=True)
)
def test_labels_of_masks_are_names_of_folders_and_never_the_same(
    names: list[str],
) -> None:
    found = mask_labels(names)
    assert list(found) == names
    assert all(map(is_label_name, found.values()))
    assert len({label.casefold() for label in found.values()}) == len(names)
    more = mask_labels([*names, "one more"], found)
    assert {name: more[name] for name in names} == found


TROUBLE = st.sampled_from(["", "", "stimulate", "dark", "left out"])


class Troubled:
    """Answers for each channel, and does not where it is told not to.

    Parameters
    ----------
    troubles
        Of 4 timepoints at each of 2 positions, for both channels.
    apart
        Whether each channel has a stimulator of its own.
    """

    def __init__(self, troubles: list[tuple[str, str]], *, apart: bool) -> None:
        self._troubles, self._apart = troubles, apart

    def at(self, fov: int, timestep: int, channel: str) -> str:
        found = self._troubles[4 * fov + timestep]
        if not self._apart and "stimulate" in found:
            return "stimulate"
        return found[(CYAN, RED).index(channel)]

    def stimulate(self, context: Any) -> Any:
        answer: dict[str, Any] = {}
        for name in context.stim_channels:
            trouble = self.at(context.fov, context.timestep, name)
            if trouble == "stimulate":
                raise ZeroDivisionError
            if trouble != "left out":
                mask = half_of(context, upper=name == CYAN)
                answer[name] = None if trouble else mask
        return answer

    def pipeline(self) -> ImageProcessingPipeline:
        if self._apart:
            each = dict.fromkeys((CYAN, RED), self)
            return ImageProcessingPipeline(segment_discs, stimulators=each)
        return ImageProcessingPipeline(segment_discs, stimulator=self)


def places(sink: MemorySink, kind: str) -> list[tuple[int, int, str]]:
    return [(n["fov"], n["timestep"], n["channel"]) for n in sink.kinds(kind)]


@settings(max_examples=30, deadline=None)
@given(
    troubles=st.lists(st.tuples(TROUBLE, TROUBLE), min_size=8, max_size=8),
    policy=st.sampled_from(["skip", "previous", "blank"]),
    mode=st.sampled_from(["current", "previous", "interleaved"]),
    apart=st.booleans(),
)
def test_every_channel_is_armed_or_skipped_once_and_fires_its_own_mask(
    tmp_path_factory: pytest.TempPathFactory,
    troubles: list[tuple[str, str]],
    policy: Any,
    mode: str,
    apart: bool,  # noqa: FBT001  drawn by hypothesis
) -> None:
    """Whatever fails in which channel; with one stimulator for all, or one for each."""
    sink, dmd = MemorySink(tmp_path_factory.mktemp("lights")), DMD(SHAPE, np.eye(3))
    microscope = CannedMicroscope(disc_frame, SHAPE, PRESETS, dmd=dmd)
    troubled = Troubled(troubles, apart=apart)
    limits = RunLimits(late_mask=policy, max_failures_in_a_row=0)
    controller = Controller(microscope, troubled.pipeline(), writer=sink, limits=limits)
    events = two_lights(4, 2, stim_frames=range(4))
    assert controller.run_experiment(events, stim_mode=mode).completed

    armed, skipped = places(sink, "stim_armed"), places(sink, "stim_skipped")
    first = 1 if mode == "previous" else 0
    due = [(p, t, c) for p in range(2) for t in range(first, 4) for c in (CYAN, RED)]
    assert sorted(armed + skipped) == sorted(due)
    assert places(sink, "stim_confirmed") == armed
    assert [(f.fov, f.timestep, f.channel) for f in microscope.fired] == armed
    light = [stack for stack, _ in sink.stacks if stack.role is FrameRole.STIM]
    stored = {(s.fov, s.timestep, channel) for s in light for channel in s.channels}
    assert stored == set(armed)
    before: dict[tuple[int, str], Any] = {}
    for note, fired in zip(sink.kinds("stim_armed"), microscope.fired, strict=True):
        place = fired.fov, fired.channel
        mask = sink.labels[MASKS[fired.channel], fired.fov, fired.timestep]
        np.testing.assert_array_equal(fired.pattern, dmd.warp(mask.astype(np.uint8)))
        trouble = troubled.at(fired.fov, note["from_timestep"], fired.channel)
        assert trouble in {"", "stimulate"}
        assert note.get("policy", "") == (policy if trouble else "")
        if trouble and policy == "previous":
            np.testing.assert_array_equal(mask, before[place])
        before[place] = mask


def test_a_stop_between_two_lights_keeps_the_frame_of_the_first(
    tmp_path: Path, dmd: DMD
) -> None:
    sink = MemorySink(tmp_path)
    microscope = CannedMicroscope(disc_frame, SHAPE, PRESETS, dmd=dmd)
    free = threading.Event()

    def waits(context: Any) -> Any:
        if context.timestep:
            free.wait(60.0)
        return True

    def at_once(_: Any) -> Any:
        return True

    at_once.needs = ()  # type: ignore[attr-defined]  # a function may carry it
    pipeline = ImageProcessingPipeline(
        segment_discs, stimulators={CYAN: at_once, RED: waits}
    )
    controller = Controller(microscope, pipeline, writer=sink)
    handle = controller.run_experiment(two_lights(2), block=False)
    lit = threading.Event()
    controller.notices.stimulated.connect(lambda *_: lit.set())
    assert lit.wait(30.0)
    controller.stop_run()
    free.set()
    assert not handle.wait().completed
    light = [s for s, _ in sink.stacks if s.role is FrameRole.STIM]
    assert [(s.timestep, s.channels) for s in light] == [(1, (CYAN,))]
