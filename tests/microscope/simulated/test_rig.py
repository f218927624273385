"""The simulated microscope as a whole, driven by the real runner and engine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import useq

from faro import SimulatedMicroscope
from faro.microscope.simulated.bench import SettingsError
from faro.microscope.simulated.world import WorldStateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from useq import MDAEvent

Frames = list[tuple[str, np.ndarray]]


def events(
    rig: SimulatedMicroscope, timepoints: range, mask: np.ndarray | None = None
) -> Iterator[MDAEvent]:
    """Yield the events of a run: two fields, two channels, light if there is a mask."""
    channels = ["miRFP", "mScarlet3"] + ([] if mask is None else ["CyanStim"])
    for t in timepoints:
        for p in range(2):
            for name in channels:
                event: dict[str, Any] = {
                    "index": {"t": t, "p": p},
                    "x_pos": 500.0 * p,
                    "y_pos": 0.0,
                    "channel": {"config": name, "group": "Channel"},
                    "exposure": 50.0,
                    "metadata": {"faro": {"planned_s": 1.5 * t}},
                }
                if name == "CyanStim" and mask is not None and rig.dmd is not None:
                    pattern = rig.dmd.warp(mask)
                    event["slm_image"] = useq.SLMImage(data=pattern, exposure=100.0)
                    event["properties"] = [("LED", "Cyan_Level", 10.0)]
                    event["exposure"] = 100.0
                yield useq.MDAEvent.model_validate(event)


def run(
    rig: SimulatedMicroscope, todo: Iterator[MDAEvent], slow: Callable[[], object]
) -> Frames:
    """Return the frames of a run; ``slow`` is called with each of them."""
    frames: Frames = []

    def take(pixels: np.ndarray, event: MDAEvent, _: object) -> None:
        slow()
        frames.append((event.channel.config if event.channel else "", pixels.copy()))

    rig.connect_frame(take)
    thread = rig.run_mda(todo)
    thread.join(30)
    rig.disconnect_frame(take)
    assert thread.error is None
    return frames


def nothing() -> None:
    """Be quick."""


def equal(first: Frames, second: Frames) -> bool:
    pairs = zip(first, second, strict=True)
    return all(a == b and np.array_equal(x, y) for (a, x), (b, y) in pairs)


@pytest.fixture
def rig() -> Iterator[SimulatedMicroscope]:
    with SimulatedMicroscope(seed=2) as rig:
        yield rig


def whole_field() -> np.ndarray:
    return np.full((256, 256), 255, np.uint8)


def test_a_run_takes_every_frame_and_doses_the_cells(rig: SimulatedMicroscope) -> None:
    frames = run(rig, events(rig, range(3), whole_field()), nothing)
    assert [name for name, _ in frames[:3]] == ["miRFP", "mScarlet3", "CyanStim"]
    assert len(frames) == 18
    truth = rig.truth(500.0, 0.0)
    assert np.median(truth.dose_ms) == pytest.approx(30.0, rel=0.01)
    assert np.median(truth.ratio) > 0.7
    assert np.median(rig.truth(-5_000.0, 0.0).ratio) < 0.7


def test_a_loaded_machine_gives_the_same_frames(rig: SimulatedMicroscope) -> None:
    half = whole_field()
    half[128:] = 0
    quick = run(rig, events(rig, range(3), half), nothing)

    def compute() -> None:
        np.linalg.svd(np.random.default_rng(0).random((60, 60)))

    with SimulatedMicroscope(seed=2) as other:
        other.truth(500.0, 0.0)
        slow = run(other, events(other, range(3), half), compute)
    assert equal(quick, slow)


def test_a_dish_is_saved_and_lives_on_in_another_microscope(
    rig: SimulatedMicroscope, tmp_path: Path
) -> None:
    path = tmp_path / "dish.npz"
    run(rig, events(rig, range(2), whole_field()), nothing)
    rig.save_state(path)
    rest = run(rig, events(rig, range(2, 4), whole_field()), nothing)
    with SimulatedMicroscope(seed=2) as other:
        other.restore_state(path)
        again = run(other, events(other, range(2, 4), whole_field()), nothing)
    assert equal(rest, again)
    with (
        SimulatedMicroscope(seed=3) as stranger,
        pytest.raises(WorldStateError, match="saved settings"),
    ):
        stranger.restore_state(path)


def test_it_tells_what_it_can_do(rig: SimulatedMicroscope) -> None:
    facts = rig.facts()
    assert facts.presets["Channel"] == ("CyanStim", "RedStim", "mScarlet3", "miRFP")
    assert facts.image_shape == (256, 256)
    assert facts.image_dtype == "uint16"
    assert facts.slm_shape == (300, 400)
    assert facts.dmd_calibrated
    assert facts.pixel_size_um == 0.65
    for light in ("CyanStim", "RedStim"):
        assert facts.power_limits[light] == (0.0, 100.0)
    assert facts.exposure_limits_ms == (0.1, 10_000.0)
    assert rig.validate_hardware() == ()
    record = json.loads(json.dumps(rig.describe()))
    assert record["simulation"]["world"]["seed"] == 2


def test_it_can_be_made_in_other_shapes() -> None:
    with SimulatedMicroscope(
        image_shape=(128, 192), slm_shape=(600, 800), pixel_size_um=0.325
    ) as rig:
        facts = rig.facts()
        assert facts.image_shape == (128, 192)
        assert facts.slm_shape == (600, 800)
        assert facts.pixel_size_um == 0.325
        assert rig.validate_hardware() == ()


def test_its_dmd_can_be_mounted_in_another_way() -> None:
    affine = [[0.0, 1.2, 10.0], [1.1, 0.1, 5.0]]
    with SimulatedMicroscope(camera_to_slm=affine) as rig:
        assert rig.dmd is not None
        lit = rig.dmd.warp(np.pad(np.full((20, 20), 255, np.uint8), (100, 136)))
        rows, columns = np.nonzero(lit)
    assert rows.mean() == pytest.approx(1.1 * 109.5 + 0.1 * 109.5 + 5.0, abs=0.5)
    assert columns.mean() == pytest.approx(1.2 * 109.5 + 10.0, abs=0.5)


def test_impossible_microscopes_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"time_scale=0.*world\.seed=-1"):
        SimulatedMicroscope(seed=-1, time_scale=0)


def test_after_a_run_it_is_dark_and_after_shutdown_released() -> None:
    rig = SimulatedMicroscope()
    run(rig, events(rig, range(1), whole_field()), nothing)
    light = rig.bench.light
    assert not light.shutter_open
    assert not light.pattern.any()
    assert light.levels_percent["Cyan"] == 0.0
    report = rig.shutdown()
    assert report.ok
    assert set(rig.mmc.getLoadedDevices()) == {"Core"}
    assert rig.shutdown().ok


def test_an_exposure_takes_its_time_only_if_asked_to() -> None:
    with SimulatedMicroscope(real_time_exposure=True) as rig:
        assert rig.mmc.getProperty("Camera", "Real_Time") == "1"
    with SimulatedMicroscope() as rig:
        assert rig.mmc.getProperty("Camera", "Real_Time") == "0"


def test_a_plain_run_lets_the_cells_live_by_the_wall_clock(
    rig: SimulatedMicroscope,
) -> None:
    plain = useq.MDAEvent.model_validate({"channel": "miRFP"})
    run(rig, events(rig, range(1)), nothing)
    assert rig.bench.clock.now_s == 0.0
    run(rig, iter([plain]), nothing)
    lived_s = rig.bench.clock.now_s
    assert lived_s > 0.0
    run(rig, events(rig, range(1)), nothing)
    assert rig.bench.clock.now_s >= lived_s
