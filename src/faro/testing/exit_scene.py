"""What the scripts of the exit matrix use: a lit microscope, marks, a log."""

from __future__ import annotations

import json
import logging
import queue
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from useq import SLMImage

from faro.microscope.demo import MMDemo
from faro.microscope.host import host
from faro.microscope.mmcore import device_labels
from faro.microscope.pymmcore import PyMMCoreMicroscope
from faro.system import signals
from faro.system.process import this_process
from faro.testing.exclusive_dmd import LOG_NAME
from faro.testing.microscope import event_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from useq import MDAEvent

    from faro.microscope.abstract import RunThread
    from faro.microscope.host import HostedMicroscope
    from faro.microscope.levels import Level

FRAME_S = 20.0
READY_S = 60.0
LONG_MS = 100.0
SHOWN_MS = 1200.0
SHOWS = "shows a mask"
HOST = "HOST"
LONG_S = 0.4
"""After which a long exposure has begun."""


class ExclusiveRig(PyMMCoreMicroscope):
    """A rig with the DMD that one process can hold; ten lines, as a user writes it."""

    CHANNEL_GROUP: ClassVar[str | None] = "Channel"
    PYTHON_DEVICES: ClassVar[bool] = True
    POWER_PROPERTIES: ClassVar[Mapping[str, Level]] = {
        "CyanStim": ("LED", "Cyan_Level")
    }

    def __init__(self, config: str) -> None:
        self._config = config
        super().__init__()

    def _configuration(self) -> str:
        return self._config


class Scene:
    """One process of the matrix.

    Parameters
    ----------
    given
        ``core``, ``config``, and where to write ``marks``; None to read these from
        the first argument of the process.
    """

    def __init__(self, given: Mapping[str, str] | None = None) -> None:
        if given is None:
            _expect_signals()
            given = json.loads(sys.argv[1])
        self.core, self.config = str(given["core"]), str(given["config"])
        self._marks = Path(given["marks"])
        logger = logging.getLogger("faro")
        logger.setLevel(logging.INFO)
        logger.addHandler(_Marks(self.mark))

    def mark(self, what: str) -> None:
        """Write down ``what`` happens now."""
        line = json.dumps({"t": time.monotonic(), "what": what})
        with self._marks.open("a", encoding="utf-8") as marks:
            marks.write(line + "\n")

    def end(self) -> None:
        """Say that the process ends from here on."""
        self.mark("END")

    def ready(self) -> None:
        """Say that a signal may come, and wait for it."""
        self.mark("READY")
        time.sleep(READY_S)

    def ready_when_claimed(self) -> None:
        """Say that a signal may come as soon as some process has claimed the DMD."""
        log = Path(self.config).with_name(LOG_NAME)
        while not log.exists() or "CLAIM" not in log.read_text(encoding="utf-8"):
            time.sleep(0.01)
        self.mark("READY")

    def open(self) -> PyMMCoreMicroscope:
        """Return the microscope of this process."""
        if self.core == "cpp":
            return MMDemo()
        return ExclusiveRig(self.config)

    def hosted(self) -> HostedMicroscope:
        """Return the microscope, which lives in a device host."""
        microscope = host(ExclusiveRig, self.config)
        self.mark(f"{HOST} {microscope.host_pid}")
        return microscope

    def show(self, microscope: HostedMicroscope) -> None:
        """Start a run of long exposures with a mask; return when it is shown."""
        fields: dict[str, Any] = {
            "channel": self.channel,
            "exposure": SHOWN_MS,
            "properties": [("LED", "Cyan_Level", 50.0)],
            "slm_image": SLMImage(data=True, exposure=SHOWN_MS),
        }
        microscope.run_mda(event_of(**fields) for _ in range(100))
        while SHOWS not in self._marks.read_text(encoding="utf-8"):
            time.sleep(0.01)
        self.mark("LIT")

    def lit(self) -> PyMMCoreMicroscope:
        """Return the microscope, with the light on."""
        microscope = self.open()
        self.light(microscope)
        return microscope

    def light(self, microscope: PyMMCoreMicroscope, *, shutter: bool = True) -> None:
        """Switch the light on, by hand.

        Without ``shutter`` during an exposure: camera and shutter of the demo devices
        wait for each other.
        """
        core = microscope.mmc
        if shutter:
            core.setShutterOpen(True)
        if self.core == "uni":
            core.setProperty("LED", "Cyan_Level", 50)
            core.setSLMPixelsTo("DMD", 255)
            core.displaySLMImage("DMD")
        self.mark("LIT")

    def start(
        self,
        microscope: PyMMCoreMicroscope,
        n_events: int = 400,
        exposure_ms: float = 10.0,
        *,
        blocked: bool = False,
    ) -> RunThread:
        """Start a run, and return when its first frame is there, with the light on.

        It is fed ``n_events`` events, 100 a second at most; or, with ``blocked``, one
        event and then nothing, from a queue.
        """
        first = threading.Event()
        feed: queue.Queue[MDAEvent] = queue.Queue()
        event = event_of(channel=self.channel, exposure=exposure_ms)

        def events() -> Iterator[MDAEvent]:
            yield event_of(channel=self.channel, exposure=1)
            for _ in range(n_events):
                yield feed.get() if blocked else event

        microscope.connect_frame(lambda *_: first.set())
        thread = microscope.run_mda(events())
        if not first.wait(FRAME_S):
            message = "no frame came"
            raise TimeoutError(message)
        engine, long = microscope.session.engine, exposure_ms >= LONG_MS
        while long and engine.exposure_s < exposure_ms / 1e3:
            time.sleep(0.01)
        time.sleep(LONG_S if long else 0.2)
        self.light(microscope, shutter=not long)
        return thread

    def begin(self, microscope: PyMMCoreMicroscope) -> RunThread:
        """Start a run of three frames, and return at once."""
        event = event_of(channel=self.channel, exposure=1)
        return microscope.run_mda(iter([event] * 3))

    @property
    def channel(self) -> str:
        """The preset that events use."""
        return "CyanStim" if self.core == "uni" else "DAPI"

    def usable(self, microscope: PyMMCoreMicroscope) -> None:
        """Raise if the devices are not loaded, or no frame can be taken."""
        labels = device_labels(microscope.mmc)
        if "Camera" not in labels:
            message = f"only {labels} are loaded"
            raise RuntimeError(message)
        frames: list[object] = []
        microscope.connect_frame(lambda *_: frames.append(1))
        events = [event_of(channel=self.channel, exposure=1)]
        microscope.run_mda(iter(events)).join(FRAME_S)
        if not frames:
            message = "no frame could be taken"
            raise RuntimeError(message)
        self.mark("USABLE")


def _expect_signals() -> None:
    """Answer signals as a program at a terminal does, wherever this was started."""
    signals.interrupt_as_usual()
    for name in this_process().graceful:
        signals.give_back(signals.number_of(name))


class _Marks(logging.Handler):
    """Writes log messages down as marks."""

    def __init__(self, mark: Callable[[str], None]) -> None:
        super().__init__()
        self._mark = mark

    def emit(self, record: logging.LogRecord) -> None:
        self._mark(f"LOG {record.levelname} {record.getMessage()}")
