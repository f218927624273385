"""Every microscope keeps the same contract."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pytest

from faro.errors import ContractError, MissingFrameError
from faro.microscope import MMDemo, ReplayMicroscope, SimulatedMicroscope
from faro.model import FrameRole
from faro.testing.devices import DiaryMicroscope
from faro.testing.microscope import check_microscope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import useq

    from faro.microscope.abstract import AbstractMicroscope, RunThread
    from faro.model.frame import PixelArray


@dataclass
class StoredFrames:
    """Three timepoints of one field of view; the second was not acquired."""

    channels: tuple[str, ...] = ("red",)
    fovs: tuple[int, ...] = (0,)
    n_timepoints: int = 3
    image_shape: tuple[int, int] = (8, 9)
    image_dtype: str = "uint8"
    pixel_size_um: float | None = None
    missing: set[int] = field(default_factory=lambda: {1})

    def frame(
        self,
        fov: int,
        timestep: int,
        channel: str,
        *,
        role: FrameRole = FrameRole.IMAGE,  # noqa: ARG002  the contract's
        z: int | None = None,  # noqa: ARG002  the contract's
    ) -> PixelArray:
        if timestep in self.missing:
            problem = f"No frame at {fov}, {timestep}, {channel}."
            raise MissingFrameError(problem, remedy="")
        return np.full(self.image_shape, timestep, np.uint8)


MAKERS: dict[str, Callable[[], AbstractMicroscope]] = {
    "demo": MMDemo,
    "python_devices": DiaryMicroscope,
    "simulated": SimulatedMicroscope,
    "replay": lambda: ReplayMicroscope(StoredFrames()),
}


@pytest.mark.parametrize("name", MAKERS)
def test_a_microscope_keeps_the_contract(name: str) -> None:
    check_microscope(MAKERS[name])


class TwiceReplay(ReplayMicroscope):
    """Answers every event twice."""

    def _answer(self, event: useq.MDAEvent) -> None:
        super()._answer(event)
        super()._answer(event)


class DeafReplay(ReplayMicroscope):
    """Cannot be cancelled."""

    def cancel_mda(self) -> None:
        pass


class EagerReplay(ReplayMicroscope):
    """Starts a second run beside the first."""

    def run_mda(self, events: Iterator[useq.MDAEvent], /) -> RunThread:
        self._thread = None
        return super().run_mda(events)


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (TwiceReplay, "one answer per event"),
        (DeafReplay, "cancel ends a run"),
        (EagerReplay, "a second run is refused"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_the_contract_names_a_promise_that_is_broken(
    broken: type[ReplayMicroscope], promise: str
) -> None:
    with pytest.raises(ContractError, match=promise):
        check_microscope(lambda: broken(StoredFrames()))
