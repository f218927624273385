"""A hosted microscope is used as if its devices were in this process."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import sys
import threading
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import useq

from faro.analysis import OtsuSegmenter, SegmentationMethod
from faro.errors import HardwareError, RunStateError
from faro.experiment import PowerChannel, RTMSequence
from faro.microscope import MMDemo, SimulatedMicroscope
from faro.microscope.host import NotHostableError, host
from faro.microscope.host.hosted import NotInThisProcessError
from faro.run import Controller, ImageProcessingPipeline
from faro.stimulation import PercentageOfCell
from faro.storage import OmeZarrWriter
from faro.testing.logging_rig import LoggingRig, claim_of, read_diary
from faro.testing.microscope import check_microscope
from faro.testing.posix import fork, kill_hard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from faro.microscope import AbstractMicroscope
    from faro.microscope.host import HostedMicroscope
    from faro.model.frame import PixelArray

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
JOIN_S = 30.0
SHAPE = (64, 64)


@dataclass
class Seen:
    """What a run delivered."""

    frames: list[PixelArray] = field(default_factory=list)
    events: list[useq.MDAEvent] = field(default_factory=list)
    metadata: list[dict[str, Any]] = field(default_factory=list)
    missing: list[Exception] = field(default_factory=list)
    taken: threading.Event = field(default_factory=threading.Event)

    def take(
        self, pixels: PixelArray, event: useq.MDAEvent, metadata: Mapping[str, Any]
    ) -> None:
        self.frames.append(pixels)
        self.events.append(event)
        self.metadata.append(dict(metadata))
        self.taken.set()

    def miss(self, event: useq.MDAEvent, error: Exception) -> None:
        self.events.append(event)
        self.missing.append(error)


def event_of(**fields: object) -> useq.MDAEvent:
    return useq.MDAEvent.model_validate(fields)


def run(
    microscope: AbstractMicroscope,
    events: Callable[[Seen], Iterator[useq.MDAEvent]],
) -> Seen:
    """Run to the end; return what was delivered."""
    seen = Seen()
    microscope.connect_frame(seen.take)
    microscope.connect_missing(seen.miss)
    try:
        thread = microscope.run_mda(events(seen))
        thread.join(JOIN_S)
    finally:
        microscope.disconnect_frame(seen.take)
        microscope.disconnect_missing(seen.miss)
    assert not thread.is_alive()
    if thread.error is not None:
        raise thread.error
    return seen


def closed_loop(microscope: AbstractMicroscope, seen: Seen) -> Iterator[useq.MDAEvent]:
    """Light up what was bright in the frame before; three rounds."""
    assert microscope.dmd is not None
    for timestep in range(3):
        planned = {"faro": {"planned_s": 10.0 * timestep}}
        common = {"index": {"t": timestep}, "metadata": planned}
        marker = {"config": "miRFP", "group": microscope.resolve_group("miRFP")}
        yield event_of(**common, channel=marker, exposure=20.0, x_pos=5.0, y_pos=7.0)
        frame = seen.frames[-1]
        mask = (frame > np.percentile(frame, 90)).astype(np.uint8) * 255
        image = useq.SLMImage(data=microscope.dmd.warp(mask), exposure=40.0)
        stimulation = {"config": "CyanStim", "group": "Channel"}
        power = [("LED", "Cyan_Level", 30.0)]
        yield event_of(
            **common,
            channel=stimulation,
            exposure=40.0,
            slm_image=image,
            properties=power,
        )


def assert_equal_runs(here: Seen, there: Seen) -> None:
    assert len(here.frames) == len(there.frames) > 0
    for a, b in zip(here.frames, there.frames, strict=True):
        assert a.dtype == b.dtype
        assert not b.flags.writeable
        np.testing.assert_array_equal(a, b)
    for one, other in zip(here.metadata, there.metadata, strict=True):
        assert one.keys() == other.keys()
        assert one["position_um"] == other["position_um"]


@pytest.fixture(scope="module")
def simulated() -> Iterator[HostedMicroscope]:
    with host(SimulatedMicroscope, image_shape=SHAPE) as microscope:
        yield microscope


def test_a_closed_loop_gives_the_frames_it_gives_in_process(
    simulated: HostedMicroscope,
) -> None:
    with SimulatedMicroscope(image_shape=SHAPE) as here:
        expected = run(here, partial(closed_loop, here))
    found = run(simulated, partial(closed_loop, simulated))
    assert_equal_runs(expected, found)
    assert len(found.frames) == 6
    assert found.metadata[1]["slm_exposure_ms"] == 40.0
    assert found.frames[1].max() > found.frames[0].min()


def test_the_instrument_is_told_as_it_is(simulated: HostedMicroscope) -> None:
    with SimulatedMicroscope(image_shape=SHAPE) as here:
        assert simulated.facts() == here.facts()
        assert simulated.name == here.name == simulated.describe()["name"]
        assert simulated.describe()["devices"] == here.describe()["devices"]
        assert simulated.validate_hardware() == here.validate_hardware() == ()
        mask = np.zeros(SHAPE, np.uint8)
        mask[10:20, 30:50] = 255
        assert simulated.dmd is not None
        assert here.dmd is not None
        np.testing.assert_array_equal(simulated.dmd.warp(mask), here.dmd.warp(mask))


OBLIQUE = """
from faro import DMD
from faro.microscope import SimulatedMicroscope

class Oblique(SimulatedMicroscope):
    def __init__(self):
        super().__init__(image_shape=(96, 128))
        rows = [[1.1, 0.1, 5.0], [0.0, 1.2, 9.0], [0.0002, 0.0001, 1.0]]
        optics = {"binning": "1"}
        self.dmd = DMD((300, 400), rows, optics=optics, projective=True)
"""


def test_an_oblique_dmd_is_told_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "oblique_rig.py").write_text(OBLIQUE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    mask = np.zeros(SHAPE, np.uint8)
    mask[10:20, 30:50] = 255
    with host("oblique_rig:Oblique") as there:
        dmd = there.dmd
        assert dmd is not None
        assert there.facts().dmd_optics == {"binning": "1"}
    here = importlib.import_module("oblique_rig").Oblique()
    with here:
        np.testing.assert_array_equal(dmd.warp(mask), here.dmd.warp(mask))
        assert getattr(dmd, "optics") == here.dmd.optics  # noqa: B009  for mypy


def test_the_ordinary_controller_works_on_it(
    simulated: HostedMicroscope, tmp_path: Path
) -> None:
    pipeline = ImageProcessingPipeline(
        segmenters=[SegmentationMethod("nuclei", OtsuSegmenter())],
        stimulator=PercentageOfCell(0.5),
    )
    events = RTMSequence(
        stage_positions=[(0.0, 0.0), (500.0, 0.0)],
        time_plan={"interval": 0.0, "loops": 3},
        channels=[{"config": "miRFP", "exposure": 20}],
        stim_channels=[PowerChannel("CyanStim", exposure=20, power=5)],
        stim_frames=range(1, 3),
    )
    writer = OmeZarrWriter(tmp_path / "run")
    summary = Controller(simulated, pipeline, writer=writer).run_experiment(events)
    assert summary.completed
    assert (summary.n_stacks, summary.n_stimulated, summary.n_errors) == (6, 4, 0)
    assert "dark (" in (tmp_path / "run" / "run.log").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Light:
    """A channel with a power."""

    config: str
    power: float | None
    group: str | None = None


def test_powers_and_presets_are_those_of_the_rig(simulated: HostedMicroscope) -> None:
    found = simulated.resolve_power(Light("CyanStim", 12.5))
    assert found == ("LED", "Cyan_Level", 12.5)
    assert simulated.resolve_power(Light("CyanStim", None)) is None
    assert simulated.resolve_group("Shutdown") == "System"
    with pytest.raises(HardwareError, match="No light level is known") as caught:
        simulated.resolve_power(Light("Nothing", 1.0))
    assert f"process {simulated.host_pid}" in caught.value.__notes__[0]
    with pytest.raises(HardwareError, match="No config group holds a preset 'DAP1'"):
        simulated.resolve_group("DAP1")


def test_an_error_of_the_host_ends_the_run_and_is_told(
    simulated: HostedMicroscope,
) -> None:
    wrong = np.zeros((3, 4), np.uint8)

    def events(seen: Seen) -> Iterator[useq.MDAEvent]:
        assert seen.frames == []
        yield event_of(slm_image=useq.SLMImage(data=wrong), exposure=1.0)

    with pytest.raises(HardwareError, match=r"The mask has shape \(3, 4\)"):
        run(simulated, events)


def test_an_error_of_the_iterator_is_the_error_of_the_run(
    simulated: HostedMicroscope,
) -> None:
    def events(seen: Seen) -> Iterator[useq.MDAEvent]:
        yield event_of(exposure=1.0)
        assert len(seen.frames) == 1
        message = "no idea"
        raise ZeroDivisionError(message)

    with pytest.raises(ZeroDivisionError, match="no idea"):
        run(simulated, events)


def test_the_log_of_the_devices_reaches_this_process(
    simulated: HostedMicroscope, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "faro"):
        simulated.go_dark("lunch " * 1000)
        simulated.describe()
    lines = [r for r in caplog.records if r.getMessage().startswith("dark (lunch ")]
    assert [(r.name, r.levelno) for r in lines] == [
        ("faro.microscope.session", logging.INFO)
    ]


def test_what_only_the_other_process_has_is_said(simulated: HostedMicroscope) -> None:
    with pytest.raises(NotInThisProcessError, match=r"it has no 'mmc' here"):
        _ = simulated.mmc
    assert not hasattr(simulated, "bench")


def test_arguments_that_cannot_be_sent_are_refused() -> None:
    with pytest.raises(NotHostableError, match=r"camera_to_slm= \(ndarray\)"):
        host(SimulatedMicroscope, camera_to_slm=np.eye(2, 3))


def test_a_hosted_microscope_keeps_the_contract() -> None:
    check_microscope(partial(host, "faro.testing.devices:DiaryMicroscope"))


def test_the_demo_camera_gives_the_same_frames_and_may_grow() -> None:
    def events(seen: Seen) -> Iterator[useq.MDAEvent]:
        for size in (32, 32, 512, 512, 512, 512, 512, 64):
            assert len(seen.frames) == len(seen.missing) + len(seen.frames)
            still = [
                ("Camera", "Mode", "Color Test Pattern"),
                ("Camera", "OnCameraCCDXSize", size),
                ("Camera", "OnCameraCCDYSize", size),
            ]
            yield event_of(properties=still, exposure=1.0)

    with MMDemo() as here:
        expected = run(here, events)
    with host(MMDemo) as there:
        found = run(there, events)
    assert_equal_runs(expected, found)
    assert [f.shape[0] for f in found.frames] == [32, 32, *[512] * 5, 64]


# ------------------------------------------------------------------- the host dies


def rig_in(folder: Path) -> tuple[HostedMicroscope, Path]:
    diary = folder / "diary.txt"
    return host(LoggingRig, str(diary)), diary


def lit_then_blocked(release: threading.Event) -> Iterator[useq.MDAEvent]:
    image = useq.SLMImage(data=True, exposure=1.0)
    yield event_of(exposure=1.0, slm_image=image)
    release.wait(JOIN_S)


@posix_only
def test_a_killed_host_is_an_error_everywhere_and_hangs_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    microscope, diary = rig_in(tmp_path)
    seen, release = Seen(), threading.Event()
    microscope.connect_frame(seen.take)
    thread = microscope.run_mda(lit_then_blocked(release))
    assert seen.taken.wait(JOIN_S)
    kill_hard(microscope.host_pid)
    thread.join(JOIN_S)
    assert not thread.is_alive()
    named = rf"process {microscope.host_pid}\) ended with exit code -9"
    assert isinstance(thread.error, HardwareError)
    with pytest.raises(HardwareError, match=named):
        raise thread.error
    for call in (microscope.facts, microscope.describe, microscope.post_experiment):
        with pytest.raises(HardwareError, match=named):
            call()
    with pytest.raises(HardwareError, match=named):
        microscope.run_mda(iter(()))
    microscope.cancel_mda()
    microscope.go_dark("anyway")
    assert "NOT DARK (anyway)" in caplog.text
    report = microscope.shutdown()
    assert not report.ok
    assert "exit code -9" in report.steps[0].detail
    assert claim_of(diary).exists()
    assert (seen.frames[0] == 1).all()
    release.set()
    assert Path(microscope.log_path).exists()


def ask_until_it_raises(microscope: HostedMicroscope) -> None:
    for _ in range(100_000):
        microscope.facts()


@posix_only
def test_a_host_that_is_asked_to_end_releases_first(tmp_path: Path) -> None:
    microscope, diary = rig_in(tmp_path)
    os.kill(microscope.host_pid, signal.SIGINT)
    assert microscope.facts().image_shape is not None
    os.kill(microscope.host_pid, signal.SIGTERM)
    gone = r"ended with exit code 0|is ending: the host got SIGTERM"
    with pytest.raises(HardwareError, match=gone):
        ask_until_it_raises(microscope)
    microscope.shutdown()
    assert not claim_of(diary).exists()
    assert read_diary(diary)[-1][1].startswith("release")


def test_a_microscope_that_is_dropped_or_shut_down_lets_go(tmp_path: Path) -> None:
    microscope, diary = rig_in(tmp_path)
    log = Path(microscope.log_path)
    assert claim_of(diary).exists()
    del microscope
    assert not claim_of(diary).exists()
    assert not log.parent.exists()

    microscope, _ = rig_in(tmp_path)
    assert microscope.shutdown().ok
    assert microscope.shutdown().ok
    assert not claim_of(diary).exists()
    microscope.go_dark("after")
    microscope.cancel_mda()
    with pytest.raises(RunStateError, match="was shut down"):
        microscope.run_mda(iter(()))


@posix_only
def test_a_forked_child_leaves_the_host_alone(tmp_path: Path) -> None:
    microscope, diary = rig_in(tmp_path)
    child = fork()
    if child == 0:
        code = 1
        try:
            microscope.facts()
        except HardwareError as error:
            code = 0 if "not to a fork" in str(error) else 2
        microscope.shutdown()
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert microscope.facts().image_shape is not None
    assert claim_of(diary).exists()
    assert microscope.shutdown().ok
