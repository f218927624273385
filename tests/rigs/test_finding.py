"""Rigs are found by name, and only microscopes are."""

from __future__ import annotations

import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from faro.errors import ContractError, HardwareError
from faro.microscope import MMDemo, SimulatedMicroscope
from faro.rigs import UnknownRigError, find_rig, finding, known_rigs, open_rig
from faro.rigs.declared import DeclaredRig
from faro.rigs.pertzlab import Jungfrau, Moench, Niesen

ROOT = Path(__file__).parent.parent.parent


def test_every_rig_is_declared_and_loads() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    declared: dict[str, str] = project["project"]["entry-points"]["faro.rigs"]
    assert declared.items() <= known_rigs().items()
    assert {name: find_rig(value) for name, value in declared.items()} == {
        "moench": Moench,
        "jungfrau": Jungfrau,
        "niesen": Niesen,
        "demo": MMDemo,
        "simulated": SimulatedMicroscope,
    }


def test_the_case_of_a_name_does_not_matter() -> None:
    assert find_rig("Moench") is find_rig("moench") is Moench


@pytest.mark.parametrize("name", ["monch", "nowhere:Rig", "faro.rigs:Rig", ":Rig"])
def test_an_unknown_rig_is_answered_with_the_known_ones(name: str) -> None:
    with pytest.raises(UnknownRigError, match="demo, jungfrau, moench, niesen") as got:
        find_rig(name)
    assert repr(name) in str(got.value)


@pytest.mark.parametrize("name", ["pathlib:Path", "faro.rigs:find_rig"])
def test_what_is_no_microscope_is_refused(name: str) -> None:
    with pytest.raises(ContractError, match="is no microscope"):
        find_rig(name)


def test_two_rigs_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    twins = [EntryPoint("bench", value, "faro.rigs") for value in ("a:B", "c:D")]
    monkeypatch.setattr(finding, "entry_points", lambda **_: twins)
    with pytest.raises(UnknownRigError, match="Two rigs are called 'bench': a:B and"):
        known_rigs()


def test_opening_loads_the_devices() -> None:
    with open_rig() as demo, open_rig("simulated") as simulated:
        assert isinstance(demo, MMDemo)
        assert isinstance(simulated, SimulatedMicroscope)
    with open_rig(config="MMConfig_demo.cfg") as rig:
        assert type(rig) is DeclaredRig
        assert rig.describe()["configuration"].endswith("MMConfig_demo.cfg")


def test_a_rig_may_lie_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "from faro import MMDemo\n\n\nclass Bench(MMDemo):\n    pass\n"
    (tmp_path / "bench_beside.py").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    with open_rig("bench_beside:Bench", hosted=True) as microscope:
        assert microscope.facts().image_shape == (512, 512)


def test_a_rig_without_settings_takes_no_other_configuration() -> None:
    with pytest.raises(HardwareError, match="'demo' takes no other configuration"):
        open_rig("demo", "other.cfg")
    with pytest.raises(HardwareError, match=r"no configuration file 'other\.cfg'"):
        open_rig("moench", "other.cfg")
