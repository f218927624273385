"""Niesen: the light engine is woken before and after the devices are loaded."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

import faro
from faro.errors import HardwareError
from faro.rigs.pertzlab import Niesen
from faro.rigs.pertzlab.light_engine import wake_light_engine
from faro.testing.microscope import event_of
from faro.testing.quirks import QuirkyBench

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.rigs.conftest import Workshop

LABELS = {"group": "WF_DMD", "light": "LedDMD", "dmd": "DMD", "stage": "XYStage"}


class LightEngine(ThreadingHTTPServer):
    """A light engine that notes who calls it, and when, in a diary."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Call)
        self.bench = QuirkyBench()
        self.status, self.delay_s, self.calls_left = 200, 0.0, 1000

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class Call(BaseHTTPRequestHandler):
    """One call of the light engine."""

    def do_GET(self) -> None:
        engine = self.server
        assert isinstance(engine, LightEngine)
        engine.bench.diary.note(f"called {self.path}")
        time.sleep(engine.delay_s)
        engine.calls_left -= 1
        self.send_response(engine.status if engine.calls_left >= 0 else 503)
        self.end_headers()
        self.wfile.write(b"OK")

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serving() -> Iterator[LightEngine]:
    with LightEngine() as engine:
        thread = threading.Thread(target=engine.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield engine
        finally:
            engine.shutdown()
            thread.join()


@pytest.fixture
def engine() -> Iterator[LightEngine]:
    with serving() as made:
        yield made


WAKEUP = "called /service/?command=WAKEUP"


def test_it_wakes_the_light_before_and_after_loading(
    workshop: Workshop, engine: LightEngine
) -> None:
    niesen, bench = workshop.make(
        Niesen,
        bench=engine.bench,
        labels=LABELS,
        light_engine=engine.address,
        fast_init=True,
    )
    assert faro.Niesen is Niesen
    assert bench.diary.of("called", "binning") == [
        WAKEUP,
        "binning 2",
        WAKEUP,
        "binning 2",
    ]
    assert niesen.facts().channel_group == "WF_DMD"
    assert niesen.get_power_properties()["CyanStim"] == ("LedDMD", "Cyan_Level")
    assert not bench.diary.of("slm", "shutter open")
    niesen.post_experiment()


def test_it_drives_z(workshop: Workshop, engine: LightEngine) -> None:
    niesen, bench = workshop.make(
        Niesen,
        bench=engine.bench,
        labels=LABELS,
        light_engine=engine.address,
        warm_up_s=0.01,
    )
    thread = niesen.run_mda(iter([event_of(exposure=2, z_pos=12)]))
    thread.join(20)
    assert thread.error is None
    assert bench.diary.of("z ") == ["z 12"]


def test_it_waits_for_the_light_to_warm_up_unless_told_not_to(
    workshop: Workshop, engine: LightEngine
) -> None:
    def loading_s(**settings: object) -> float:
        bench = engine.bench = QuirkyBench()
        workshop.make(
            Niesen,
            bench=bench,
            labels=LABELS,
            light_engine=engine.address,
            warm_up_s=0.5,
            **settings,
        )
        noted = zip(bench.diary.lines, bench.diary.times_s, strict=True)
        at_s = dict(reversed(list(noted)))
        return at_s["binning 2"] - at_s[WAKEUP]

    assert loading_s() >= 0.5
    assert Niesen.SETTINGS().model_dump()["warm_up_s"] == 10.0


@pytest.mark.parametrize("calls", [0, 1], ids=["before loading", "after loading"])
def test_a_light_that_does_not_wake_leaves_nothing_loaded(
    workshop: Workshop, engine: LightEngine, calls: int
) -> None:
    engine.calls_left = calls
    with pytest.raises(HardwareError, match="could not be woken: HTTP Error 503"):
        workshop.make(
            Niesen,
            bench=engine.bench,
            labels=LABELS,
            light_engine=engine.address,
            fast_init=True,
        )
    released = engine.bench.diary.of("release")
    assert len(released) == 6 * calls


def test_a_light_that_is_off_or_slow_is_named(engine: LightEngine) -> None:
    with serving() as other:
        gone = other.address
    with pytest.raises(HardwareError, match=f"light engine at {gone} could not be"):
        wake_light_engine(gone, timeout_s=5)
    engine.delay_s = 0.5
    with pytest.raises(HardwareError, match=r"timed out.*Check that it is on"):
        wake_light_engine(engine.address, timeout_s=0.05)


def test_no_proxy_stands_between(
    engine: LightEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    wake_light_engine(engine.address, timeout_s=5)
    assert engine.bench.diary.lines == [WAKEUP]
