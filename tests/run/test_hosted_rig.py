"""A rig whose module lies beside the experiment file is hosted like any other."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from faro.microscope.host import HostedMicroscope
from faro.run.building import RigMaker, rig_from

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

BENCH = """
from faro.microscope import MMDemo

class Bench(MMDemo):
    EXCLUSIVE = False
"""


def test_the_host_finds_a_module_beside_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bench_of_a_host.py").write_text(BENCH, encoding="utf-8")
    monkeypatch.setattr(sys, "path", sys.path[:])
    maker = rig_from("bench_of_a_host:Bench", tmp_path)
    assert isinstance(maker, RigMaker), maker
    with maker.open(hosted=True) as microscope:
        assert isinstance(microscope, HostedMicroscope)
        assert microscope.name == "Bench"
    assert str(tmp_path.resolve()) not in sys.path
