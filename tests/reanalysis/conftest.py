"""A small recorded run, and pipelines in files with modules of a user."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from faro.experiment import Channel, RTMEvent, needs
from faro.model import HardwareFacts, Stack
from faro.storage import OmeZarrWriter
from faro.testing.movie import synthetic_stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHAPE = (128, 160)
CHANNELS = ("marker", "reporter")
N_FOVS, N_TIMES = 3, 4
MISSING = (2, 1)
"""(fov, timestep) that was not acquired."""

MODULE = '''
import os
from pathlib import Path

HERE = Path(__file__).parent

class Doubled:
    """Twice the area."""
    provides = ("doubled",)
    needs = ()

    def __init__(self, factor: float = 2.0) -> None:
        self.factor = factor

    def features(self, cells, stack):
        return {"doubled": self.factor * cells.area}

class Deadly:
    """Kills the process on position 1: always, or once."""
    provides = ("alive",)

    def __init__(self, once: bool = False) -> None:
        self.once = once

    def features(self, cells, stack):
        marker = HERE / "died"
        if stack.fov == 1 and not (self.once and marker.exists()):
            marker.touch()
            os._exit(9)
        return {"alive": cells.area}

class Raises:
    """Fails on every frame of position 1."""
    provides = ("fine",)

    def features(self, cells, stack):
        if stack.fov == 1:
            raise RuntimeError("not on this one")
        return {"fine": cells.area}
'''

BASE = """
[[pipeline.segmenters]]
component = "LocalThresholdSegmenter"

{features}

[pipeline.tracker]
component = "StreamingTracker"
{tracker}

{light}
"""
RATIO = """
[[pipeline.features]]
component = "ErkKtrFeatures"
parameters = { channel = "reporter" }
"""
LIGHT = """
[pipeline.stimulator]
component = "PercentageOfCell"
parameters = { fraction = 0.4, direction = [-1, 0] }
"""


def write_recording(
    path: Path, other: int | None = None, red_at: int | None = None
) -> Path:
    """Write a run of three positions; the frames of position ``other`` differ.

    All have light of the channel Blue, position ``red_at`` also of Red.
    """
    blue, red = Channel("Blue", 20), Channel("Red", 5)
    events = [
        RTMEvent(
            index={"t": t, "p": p},
            channels=[Channel(name, 10) for name in CHANNELS],
            stim_channels=[blue, red][: 1 + (p == red_at)] if t == 2 else (),
            min_start_time=10.0 * t,
            metadata={"arm": "ab"[p % 2]},
        )
        for t in range(N_TIMES)
        for p in range(N_FOVS)
    ]
    facts = HardwareFacts(image_shape=SHAPE, pixel_size_um=0.5)
    writer = OmeZarrWriter(path, durability="process")
    words = [event.words() for event in events]
    writer.open(needs(events, facts), {"experiment": words, "stim_mode": "current"})
    for event in events:
        place = event.fov, event.timestep
        if place == MISSING:
            continue
        seed = 10 * event.fov + (100 if event.fov == other else 0)
        pixels, _ = synthetic_stack(SHAPE, 12, seed)
        pixels[:, :: 5 + event.timestep] += 1
        pixels.setflags(write=False)
        stack = Stack(pixels, CHANNELS, *place, planned_s=10.0 * event.timestep)
        writer.store_stack(stack, {"started_s": 10.0 * event.timestep})
    writer.close({"reason": "completed"})
    return path


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recording(tmp_path_factory.mktemp("recorded") / "run")


class Lab:
    """Recordings and pipelines, in a folder."""

    ratio, light = RATIO, LIGHT
    missing, n_fovs = MISSING, N_FOVS

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def said(
        self,
        name: str = "pipeline",
        features: str = RATIO,
        tracker: str = "",
        light: str = LIGHT,
    ) -> Path:
        """Write a pipeline file, with the module of the user beside it."""
        module = self.folder / "user_parts.py"
        if not module.exists():
            module.write_text(MODULE, encoding="utf-8")
        path = self.folder / f"{name}.toml"
        text = BASE.format(features=features, tracker=tracker, light=light)
        path.write_text(text, encoding="utf-8")
        return path

    def feature(self, name: str, **parameters: object) -> str:
        """Return the lines of a file that name a feature of the user."""
        said = ", ".join(f"{k} = {str(v).lower()}" for k, v in parameters.items())
        lines = ["[[pipeline.features]]", f'component = "user_parts:{name}"']
        return "\n".join([*lines, f"parameters = {{ {said} }}" if said else ""])

    def write(
        self, name: str, other: int | None = None, red_at: int | None = None
    ) -> Path:
        """Write a recording, as `write_recording` does."""
        return write_recording(self.folder / name, other, red_at)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    yield Lab(tmp_path)
    sys.modules.pop("user_parts", None)
