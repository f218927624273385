"""SIGKILL and power cuts: what was acknowledged is readable, whole and right.

`benchmarks/survive.py` does the same many times, at random moments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaozarrs

from faro.storage import open_run
from faro.testing.killing import can_cut, killed, power_cut
from faro.testing.storage_trials import check, pixels_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("layout", "pause_s"),
    [
        ("collection", 0.02),
        ("collection", 0.33),
        ("collection", 0.71),
        ("plate", 0.25),
        ("tiff", 0.25),
    ],
)
def test_a_kill_loses_nothing_that_was_acknowledged(
    tmp_path: Path, layout: str, pause_s: float
) -> None:
    outcome = killed(tmp_path / "run", layout, pause_s)
    assert outcome.acknowledged["frame"] >= 1
    assert outcome.lost == []
    run = open_run(tmp_path / "run")
    assert run.summary is None
    told = outcome.acknowledged["frame"]
    frames = [line for line in run.journal if line["kind"] == "frame"]
    assert told <= len(frames) <= told + 2
    if layout != "tiff":
        yaozarrs.validate_zarr_store(str(tmp_path / "run" / "images.ome.zarr"))


@pytest.mark.parametrize("pause_s", [0.02, 0.06, 0.1])
def test_a_kill_around_closing_loses_nothing(tmp_path: Path, pause_s: float) -> None:
    outcome = killed(tmp_path / "run", "collection", pause_s, close_at=5)
    assert outcome.acknowledged
    assert outcome.lost == []


def test_what_is_lost_or_differs_is_found(tmp_path: Path) -> None:
    path = tmp_path / "run"
    outcome = killed(path, "collection", 60.0, close_at=0, ends=True)
    assert outcome.acknowledged["closed"] == 1
    told = [f"{kind} {n}" for kind in ("frame", "labels", "cells") for n in range(4)]
    assert check(path, [*told, "closed 0"]).lost == []
    assert check(path, ["frame 4"]).lost == ["frame 4: no line in the journal"]
    assert not (pixels_of(0) == pixels_of(1)).all()
    one, other = (path / f"images.ome.zarr/p00{p}.ome.zarr/0" for p in (0, 1))
    (other / "c.0.0.0.0").write_bytes((one / "c.0.0.0.0").read_bytes())
    (one / "c.0.0.0.0").unlink()
    lost = check(path, told).lost
    assert lost[0].startswith("frame 0: ")
    assert lost[1:] == ["frame 1: differs"]
    (path / "run.json").unlink()
    assert len(check(path, told).lost) == len(told)


needs_a_disk = pytest.mark.skipif(not can_cut(), reason="needs root and a loop device")


@needs_a_disk
@pytest.mark.long
@pytest.mark.parametrize("layout", ["collection", "plate", "tiff"])
def test_a_power_cut_loses_nothing_that_was_acknowledged(layout: str) -> None:
    outcome = power_cut(layout, "power-loss", 1.0)
    assert outcome.acknowledged["frame"] >= 1
    assert outcome.lost == []


@needs_a_disk
@pytest.mark.long
def test_without_syncing_a_power_cut_does_lose_what_was_acknowledged() -> None:
    outcome = power_cut("collection", "process", 1.0)
    assert outcome.acknowledged["frame"] >= 1
    assert outcome.lost
