"""The devices, loaded by a plain UniMMCore from the packaged configuration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import useq

from faro.microscope.mmcore import CMMCorePlus, UniMMCore, new_core, silence
from faro.microscope.simulated.rig import SimulatedMicroscope

if TYPE_CHECKING:
    from collections.abc import Iterator

CFG = Path(str(SimulatedMicroscope.CONFIG))


@pytest.fixture
def core() -> Iterator[CMMCorePlus]:
    core = new_core(python_devices=True, micromanager_path=CFG.parent)
    core.loadSystemConfiguration(CFG)
    yield core
    core.unloadAllDevices()
    silence(core)


def snap(core: CMMCorePlus) -> np.ndarray:
    core.snapImage()
    return core.getImage()


def test_one_file_makes_the_whole_microscope(core: CMMCorePlus) -> None:
    assert isinstance(core, UniMMCore)
    assert set(core.getAvailableConfigs("Channel")) == {
        "miRFP",
        "mScarlet3",
        "CyanStim",
        "RedStim",
    }
    assert core.getChannelGroup() == "Channel"
    assert (core.getSLMHeight(), core.getSLMWidth()) == (300, 400)
    assert core.getPixelSizeUm() == 0.65
    limits = (
        core.getPropertyLowerLimit("LED", "Cyan_Level"),
        core.getPropertyUpperLimit("LED", "Cyan_Level"),
    )
    assert limits == (0, 100)


def test_all_devices_share_one_dish(core: CMMCorePlus) -> None:
    core.setConfig("Channel", "miRFP")
    assert snap(core).max() < 130
    core.setShutterOpen(True)
    here = snap(core)
    assert here.max() > 500
    core.setXYPosition(1_000.0, 0.0)
    assert core.getXYPosition() == (1_000.0, 0.0)
    assert not np.array_equal(snap(core), here)
    sharp = snap(core).astype(float).std()
    core.setPosition(15.0)
    assert snap(core).astype(float).std() < 0.9 * sharp


def test_the_slm_shows_what_was_loaded_only_when_told(core: CMMCorePlus) -> None:
    core.setConfig("Channel", "CyanStim")
    core.setShutterOpen(True)
    core.setSLMImage("DMD", np.full((300, 400), 255, np.uint8))
    assert snap(core).max() < 150
    core.displaySLMImage("DMD")
    assert snap(core).max() > 500
    core.setSLMPixelsTo("DMD", 0)
    core.displaySLMImage("DMD")
    assert snap(core).max() < 150


def test_a_program_that_knows_only_pymmcore_plus_takes_images() -> None:
    core = UniMMCore()
    core.loadSystemConfiguration(CFG)
    core.setShutterOpen(True)
    brightest = []
    core.mda.events.frameReady.connect(
        lambda image, *_: brightest.append(int(image.max()))
    )
    core.mda.run(
        useq.MDASequence.model_validate(
            {
                "channels": ["miRFP", "mScarlet3"],
                "stage_positions": [(0, 0), (500, 0)],
                "time_plan": {"interval": 0, "loops": 2},
            }
        )
    )
    assert len(brightest) == 8
    assert min(brightest) > 500
    core.unloadAllDevices()
    silence(core)


def test_two_microscopes_in_one_process_have_two_dishes(core: CMMCorePlus) -> None:
    other = new_core(python_devices=True, micromanager_path=CFG.parent)
    other.loadSystemConfiguration(CFG)
    other.setShutterOpen(True)
    assert not core.getShutterOpen()
    other.unloadAllDevices()
    silence(other)


def test_the_dish_is_chosen_by_properties_before_it_is_initialised(
    tmp_path: Path,
) -> None:
    text = CFG.read_text(encoding="utf-8")
    chosen = "#py Property,Dish,Image_Width,320\n#py Property,Dish,Seed,9\n"
    chosen += "#py Property,Dish,Responses,erk_ktr;division\n"
    path = tmp_path / "other.cfg"
    path.write_text(
        text.replace(
            "Property,Core,Initialize,1", chosen + "Property,Core,Initialize,1"
        ),
        encoding="utf-8",
    )
    core = new_core(python_devices=True, micromanager_path=CFG.parent)
    core.loadSystemConfiguration(path)
    assert (core.getImageHeight(), core.getImageWidth()) == (256, 320)
    assert str(core.getProperty("Dish", "Seed")) == "9"
    assert core.getProperty("Dish", "Responses") == "erk_ktr;division"
    with pytest.raises(RuntimeError, match="Set it before Initialize"):
        core.setProperty("Dish", "Seed", 10)
    core.unloadAllDevices()
    silence(core)


def test_the_camera_refuses_impossible_exposures(core: CMMCorePlus) -> None:
    core.setExposure(12.5)
    assert core.getExposure() == 12.5
    with pytest.raises(RuntimeError, match=r"expose for 20000.* ms\. Use 0\.1 to"):
        core.setExposure(20_000)


def test_stages_have_origins_and_a_home(core: CMMCorePlus) -> None:
    core.setXYPosition(30.0, 40.0)
    core.setOriginXY()
    assert core.getXYPosition() == (0.0, 0.0)
    core.home("XY")
    assert core.getXYPosition() == (-30.0, -40.0)
    core.setPosition(5.0)
    core.setOrigin()
    assert core.getPosition() == 0.0
    core.home("Z")
    assert core.getPosition() == -5.0


def test_cells_live_by_the_wall_clock_for_programs_that_plan_nothing(
    core: CMMCorePlus,
) -> None:
    seen: list[np.ndarray] = []
    core.mda.events.frameReady.connect(lambda image, _: seen.append(image))
    core.setShutterOpen(True)
    core.setAutoShutter(False)
    sequence = useq.MDASequence.model_validate(
        {
            "channels": ["miRFP", "mScarlet3"],
            "time_plan": {"interval": 0.02, "loops": 3},
        }
    )
    core.run_mda(sequence, block=True)
    assert len(seen) == 6
    assert not np.array_equal(seen[0], seen[4])
