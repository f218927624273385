"""Loading devices, and who waits for that."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from faro.microscope.steps import Outcome, StepResult

if TYPE_CHECKING:
    from collections.abc import Iterator


class LoadGate:
    """Knows whether devices are being loaded, and lets others wait for that.

    A load that goes on in another thread may be watched, but not touched, while the
    list of devices changes. Once they are being initialised, it does not.
    """

    def __init__(self) -> None:
        self._loading = threading.RLock()
        self._loader: threading.Thread | None = None
        self._changing = False

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Load devices inside, one thread at a time; may be nested."""
        with self._loading:
            before, self._loader = self._loader, threading.current_thread()
            try:
                yield
            finally:
                self._loader = before

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Load or unload inside: the list of devices changes, until `settle`."""
        self._changing = True
        try:
            yield
        finally:
            self._changing = False

    def settle(self) -> None:
        """Note that the list of devices is complete; they are being initialised."""
        self._changing = False

    @property
    def untouchable(self) -> bool:
        """Whether no device may be touched: another thread changes their list."""
        return self._changing and self.elsewhere

    @property
    def elsewhere(self) -> bool:
        """Whether another thread loads devices now."""
        loader = self._loader
        return loader is not None and loader is not threading.current_thread()

    def wait(self, limit_s: float) -> StepResult:
        """Wait until the devices are loaded, at most ``limit_s``."""
        start = time.perf_counter()
        loaded = self._loading.acquire(timeout=limit_s)
        if loaded:
            self._loading.release()
        seconds = round(time.perf_counter() - start, 6)
        outcome = Outcome.OK if loaded else Outcome.HUNG
        return StepResult("wait for the devices to load", outcome, seconds)
