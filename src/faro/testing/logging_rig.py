"""A rig that other processes can watch: its diary is a file, its SLM is exclusive."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from faro.microscope.mmcore import check_devices
from faro.testing.devices import (
    Diary,
    DiaryMicroscope,
    Faults,
    KeptCamera,
    KeptLight,
    KeptShutter,
    KeptSlm,
    KeptStage,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class FileDiary(Diary):
    """A diary that is also written to a file, a line at a time.

    Each line is a time of `time.perf_counter` and what happened. Where that clock is
    one for all processes (Linux, Windows), the times can be compared between them.
    """

    path: Path = Path("diary.txt")

    def note(self, line: str) -> None:
        """Write one line, here and into the file."""
        Diary.note(self, line)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{self.times_s[-1]:.6f} {line}\n")


def read_diary(path: Path) -> list[tuple[float, str]]:
    """Return (seconds, line) of a diary that another process writes."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    split = [line.partition(" ") for line in lines]
    return [(float(time_s), what) for time_s, _, what in split]


def is_light(line: str) -> bool:
    """Return whether a line of a diary says that the SLM is lit."""
    return line.startswith("slm show") and line != "slm show 0"


def when(diary: Path, what: str, after_s: float) -> float:
    """Return when a diary says ``what`` for the first time after a moment."""
    return next(t for t, line in read_diary(diary) if t > after_s and line == what)


def claim_of(diary: Path) -> Path:
    """Return the file that stands for "this SLM is in use"."""
    return diary.with_suffix(".claim")


class ExclusiveSlm(KeptSlm):
    """An SLM that is held until it is released; that its holder died is not enough.

    Parameters
    ----------
    diary, faults
        See `KeptDevice`.
    hang_s
        How long its release takes.
    """

    def __init__(self, diary: FileDiary, faults: Faults, hang_s: float) -> None:
        super().__init__("DMD", diary, faults)
        self._claim, self._hang_s = claim_of(diary.path), hang_s
        self._is_ours = False

    def initialize(self) -> None:
        """Claim the device, or refuse."""
        try:
            with self._claim.open("x", encoding="utf-8") as file:
                file.write(str(os.getpid()))
        except FileExistsError as error:
            message = f"device in use by process {self._claim.read_text()}"
            raise RuntimeError(message) from error
        self._is_ours = True

    def shutdown(self) -> None:
        """Release the device, if it is ours."""
        if not self._is_ours:
            return
        time.sleep(self._hang_s)
        self._claim.unlink()
        self._is_ours = False
        super().shutdown()


class SlowCamera(KeptCamera):
    """A camera whose exposures take their time."""

    def snap(self, buffer: npt.NDArray[np.uint16]) -> Mapping[str, str]:
        """Fill ``buffer`` (Y, X) with the number of this frame."""
        time.sleep(self.exposure_ms / 1e3)
        return super().snap(buffer)


class LoggingRig(DiaryMicroscope):
    """A rig with an exclusive SLM, which writes what it does into a file.

    Parameters
    ----------
    diary
        Path of that file; the claim of the SLM lies beside it.
    load_s, hang_s
        How long loading the devices, and releasing the SLM, takes.
    """

    def __init__(self, diary: str, load_s: float = 0.0, hang_s: float = 0.0) -> None:
        self._path, self._load_s, self._hang_s = Path(diary), load_s, hang_s
        super().__init__()

    def init_scope(self) -> None:
        """Put the devices into a core; raises HardwareError if the SLM is in use."""
        time.sleep(self._load_s)
        diary, faults = FileDiary(path=self._path), self.faults
        self.diary = diary
        self.camera = SlowCamera("Camera", diary, faults)
        self.slm = ExclusiveSlm(diary, faults, self._hang_s)
        self.shutter = KeptShutter("Shutter", diary, faults)
        self.led = KeptLight("LED", diary, faults)
        self.stage = KeptStage("XY", diary, faults)
        super().init_scope()
        try:
            check_devices(self.mmc)
        except BaseException:
            self.shutdown()
            raise


class TalkingRig(LoggingRig):
    """Logs a line while its devices are being loaded."""

    def init_scope(self) -> None:
        """Say so, and load the devices."""
        logger.info("loading, in the host")
        super().init_scope()
