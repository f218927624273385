"""A rig on a Micro-Manager core: names, facts, records."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from faro.errors import HardwareError
from faro.microscope import DMD, MMDemo
from faro.microscope.abstract import AbstractMicroscope
from faro.microscope.pymmcore import PyMMCoreMicroscope
from faro.microscope.steps import CloseReport
from faro.testing.devices import CAMERA_SHAPE, SLM_SHAPE, DiaryMicroscope
from faro.testing.microscope import event_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from faro.microscope.levels import Level


@pytest.fixture
def demo() -> Iterator[MMDemo]:
    with MMDemo() as microscope:
        yield microscope


@pytest.fixture
def scope() -> Iterator[DiaryMicroscope]:
    with DiaryMicroscope() as microscope:
        yield microscope


def channel(config: str, power: float | None = None) -> Any:
    return SimpleNamespace(config=config, group=None, power=power)


def test_facts_of_the_demo(demo: MMDemo) -> None:
    facts = demo.facts()
    assert facts.channel_group == "Channel"
    assert facts.presets["Channel"] == ("Cy5", "DAPI", "FITC", "Rhodamine")
    assert (facts.image_shape, facts.image_dtype) == ((512, 512), "uint16")
    assert facts.exposure_limits_ms == (0.0, 10000.0)
    assert (facts.slm_shape, facts.dmd_calibrated) == (None, False)
    assert facts.pixel_size_um == 1.0
    demo.mmc.setProperty("Camera", "PixelType", "8bit")
    demo.mmc.setROI(0, 0, 30, 20)
    assert demo.facts().image_dtype == "uint8"
    assert demo.facts().image_shape == (20, 30)


def test_facts_of_a_rig_with_an_slm_and_light(scope: DiaryMicroscope) -> None:
    facts = scope.facts()
    assert facts.image_shape == CAMERA_SHAPE
    assert facts.slm_shape == SLM_SHAPE
    assert facts.dmd_calibrated
    assert facts.pixel_size_um is None
    assert facts.power_limits == {"CyanStim": (0.0, 100.0), "Green": (0.0, 100.0)}


def test_the_group_is_the_one_that_holds_the_preset(demo: MMDemo) -> None:
    assert demo.resolve_group("DAPI") == "Channel"
    assert demo.resolve_group("HighRes") == "Camera"
    assert demo.resolve_group("20X") == "Objective"
    with pytest.raises(HardwareError, match=r"preset 'DAP1'.*Channel: Cy5, DAPI"):
        demo.resolve_group("DAP1")
    demo.mmc.defineConfig("Light", "Bright", "Camera", "Gain", "1")
    assert demo.resolve_group("Bright") == "Light"


def test_power_is_a_property_of_the_light(scope: DiaryMicroscope) -> None:
    assert scope.resolve_power(channel("CyanStim", 7)) == ("LED", "Cyan_Level", 7.0)
    assert scope.resolve_power(channel("Green", 3)) == ("LED", "Green_Level", 3.0)
    assert scope.resolve_power(channel("Green")) is None
    with pytest.raises(HardwareError, match=r"No light level is known for .* 'Red'"):
        scope.resolve_power(channel("Red", 3))


def test_what_a_rig_declares_overrules_what_is_detected() -> None:
    class Rig(DiaryMicroscope):
        POWER_PROPERTIES: ClassVar[Mapping[str, Level]] = {
            "Green": ("LED", "Cyan_Level")
        }

    with Rig() as rig:
        detected = rig.detect_power_properties()
        assert detected["Green"] == ("LED", "Green_Level")
        assert rig.detect_power_properties("Channel") == detected
        assert rig.get_power_properties()["Green"] == ("LED", "Cyan_Level")


def test_the_record_is_json_and_complete(demo: MMDemo) -> None:
    record = json.loads(json.dumps(demo.describe()))
    assert record["name"] == "MMDemo"
    assert record["configuration"].endswith("MMConfig_demo.cfg")
    assert len(record["configuration_sha256"]) == 64
    assert {device["label"] for device in record["devices"]} > {"Camera", "XY", "Z"}
    assert record["state"]["Camera"]["Binning"] == "1"
    assert record["roles"]["camera"] == "Camera"
    assert set(record["versions"]) > {"pymmcore-plus", "pymmcore", "mmcore"}


def test_the_record_of_a_rig_without_a_file(scope: DiaryMicroscope) -> None:
    record = json.loads(json.dumps(scope.describe()))
    assert record["configuration"] is None
    assert record["presets"] == {"Channel": ["CyanStim", "Green"]}


def test_ten_lines_make_a_rig(tmp_path: Path) -> None:
    cfg = tmp_path / "bench.cfg"
    cfg.write_text(
        "Property,Core,Initialize,0\n"
        "Device,Cam,DemoCamera,DCam\n"
        "Property,Core,Initialize,1\n"
        "Property,Core,Camera,Cam\n"
        "ConfigGroup,Light,Dim,Cam,Gain,1\n"
    )

    class Bench(PyMMCoreMicroscope):
        CONFIG = cfg
        CHANNEL_GROUP = "Light"

    with Bench() as bench:
        assert bench.facts().presets["Light"] == ("Dim",)
        assert bench.validate_hardware() == ()
        bench.init_scope()
        assert bench.describe()["configuration"] == str(cfg)
    assert tuple(bench.mmc.getLoadedDevices()) == ("Core",)


def test_what_is_wrong_with_a_rig_is_said_all_at_once() -> None:
    class Wrong(DiaryMicroscope):
        CHANNEL_GROUP = "Chanel"
        POWER_PROPERTIES: ClassVar[Mapping[str, Level]] = {
            "Green": ("LED", "Blue_Level"),
            "Stim": ("Laser", "Cyan_Level"),
        }

        def init_scope(self) -> None:
            self.CHANNEL_GROUP, given = "Channel", self.CHANNEL_GROUP  # type: ignore[misc]  # set for the load only
            super().init_scope()
            self.CHANNEL_GROUP = given  # type: ignore[misc]  # as declared
            self.dmd = DMD((3, 3), [[1, 0, 0], [0, 1, 0], [0, 0, 1]])

    with Wrong() as wrong:
        found = [(problem.where, problem.what) for problem in wrong.validate_hardware()]
    assert found == [
        ("CHANNEL_GROUP", "no config group 'Chanel'."),
        ("dmd", "made for (3, 3), the SLM is (30, 40) (Y, X)."),
        ("POWER_PROPERTIES/Green", "'LED' has no property 'Blue_Level'."),
        ("POWER_PROPERTIES/Stim", "no such preset."),
        ("POWER_PROPERTIES/Stim", "no device 'Laser'."),
    ]


def test_a_rig_without_a_core_says_so() -> None:
    rig = PyMMCoreMicroscope()
    with pytest.raises(HardwareError, match="PyMMCoreMicroscope has no core yet"):
        rig.facts()
    with pytest.raises(HardwareError, match="names no configuration"):
        rig.init_scope()
    rig.go_dark("nothing there")
    rig.cancel_mda()
    assert rig.shutdown() == CloseReport("nothing was loaded")


def test_a_configuration_that_does_not_load_leaves_nothing(tmp_path: Path) -> None:
    class Missing(PyMMCoreMicroscope):
        CONFIG = tmp_path / "none.cfg"

    with pytest.raises(HardwareError, match=r"no configuration file '.*none.cfg'"):
        Missing()


def test_an_unknown_channel_group_is_named() -> None:
    class Wrong(MMDemo):
        CHANNEL_GROUP = "Chanel"

    with pytest.raises(HardwareError, match=r"no group 'Chanel'.*Channel"):
        Wrong()


def test_the_demo_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faro.microscope.demo.adapter_folder", lambda: None)
    with pytest.raises(HardwareError, match="pip install mm-test-adapters"):
        MMDemo()


def test_a_microscope_without_light_refuses_power() -> None:
    class Bare(DiaryMicroscope):
        resolve_power = AbstractMicroscope.resolve_power

    with Bare() as bare:
        assert bare.resolve_power(channel("Green")) is None
        with pytest.raises(HardwareError, match="power of 'Green' cannot be set"):
            bare.resolve_power(channel("Green", 5))


def test_every_light_that_a_run_sets_is_in_the_log_whatever_its_property_is_called(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Gained(MMDemo):
        """Its light is pretended by a property that is not called a level."""

        POWER_PROPERTIES: ClassVar[Mapping[str, Level]] = {
            "DAPI": ("Camera", "TestProperty1")
        }

    with Gained() as rig, caplog.at_level("INFO", "faro"):
        rig.mmc.defineConfig("Channel", "DAPI", "Camera", "TestProperty1", "0.05")
        lit = [("Camera", "TestProperty1", 0.025), ("Camera", "Gain", 1)]
        events = [
            event_of(exposure=1.0, channel="DAPI"),
            event_of(exposure=1.0, properties=lit),
        ]
        run = rig.run_mda(iter(events))
        run.join(20)
    assert run.error is None
    said = [r.getMessage() for r in caplog.records if "light level" in r.getMessage()]
    level = "light level Camera.TestProperty1"
    values = [float(line.rpartition(" ")[2]) for line in said if line.startswith(level)]
    assert values[:3] == [0.05, 0.025, 0.0]
    assert not [line for line in said if "Gain" in line]
