"""Small runs to write and read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from faro.model import CellTable, FrameRole, RunNeeds, Stack
from faro.storage import OmeZarrWriter

if TYPE_CHECKING:
    from collections.abc import Callable

SHAPE = (24, 40)
CHANNELS = ("mCherry", "GFP")


@pytest.fixture
def needs() -> RunNeeds:
    return RunNeeds(
        n_timepoints=4,
        fovs=(0, 1),
        channels=CHANNELS,
        image_shape=SHAPE,
        stim_channels=("Cyan", "Red"),
        ref_channels=("BFP",),
        labels=("nuclei", "tracks"),
        n_bytes=1_000_000,
        pixel_size_um=0.325,
        interval_s=30.0,
        fov_names={0: "A1 left"},
        fov_positions_um={0: (100.0, -20.0, 3.5), 1: (400.0, -20.0, 3.5)},
    )


def pixels_of(fov: int, timestep: int, n_channels: int = 2) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng([fov, timestep, n_channels])
    return rng.integers(90, 900, (n_channels, *SHAPE), dtype=np.uint16)


@pytest.fixture
def make_stack() -> Callable[..., Stack]:
    def make(fov: int, timestep: int, **changes: Any) -> Stack:
        channels = changes.pop("channels", CHANNELS)
        given: dict[str, Any] = {
            "pixels": pixels_of(fov, timestep, len(channels)),
            "channels": channels,
            "fov": fov,
            "timestep": timestep,
            "role": FrameRole.IMAGE,
            "planned_s": 30.0 * timestep,
            "acquired_s": 30.0 * timestep + 0.25,
            "wall_ns": 1_700_000_000_000_000_000 + timestep,
            "exposures_ms": tuple(50.0 for _ in channels),
            "pixel_size_um": 0.325,
            "position_um": (100.0, -20.0, 3.5),
            "metadata": {"arm": "loop"},
        }
        return Stack(**{**given, **changes})

    return make


@pytest.fixture
def make_cells() -> Callable[..., CellTable]:
    def make(fov: int, timestep: int, n_cells: int = 3, **more: Any) -> CellTable:
        label = np.arange(1, n_cells + 1, dtype=np.int32)
        columns: dict[str, np.ndarray[Any, Any]] = {
            "area": label.astype(np.int64) * 10,
            "label": label,
            "track_id": label.astype(np.int64),
            "y": label * 1.5,
            "x": label * 2.5 + timestep,
            **{name: np.asarray(values) for name, values in more.items()},
        }
        assert fov >= 0
        return CellTable(columns)

    return make


@pytest.fixture
def writer(tmp_path: Path, needs: RunNeeds) -> OmeZarrWriter:
    made = OmeZarrWriter(tmp_path / "run")
    made.open(needs, {"stim_mode": "current"})
    return made


@pytest.fixture
def recording() -> Path:
    """Return the real ERK-KTR recording; skip where it is absent."""
    path = Path(__file__).parents[3] / "shared" / "data" / "erk_ktr"
    if not path.is_dir():
        pytest.skip("the ERK-KTR recording is not on this machine")
    return path
