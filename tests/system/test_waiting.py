"""Waiting for connections: both sides of the seam keep the same promises."""

from __future__ import annotations

import sys
import threading
import time
from multiprocessing import Pipe

import pytest

from faro.system.waiting import ObjectReadiness, PollReadiness, readiness

WAIT_S = 20.0
NEITHER = pytest.mark.skipif(sys.platform == "win32", reason="no poll() on Windows")
KINDS = [pytest.param(PollReadiness, marks=NEITHER), ObjectReadiness]
Kind = type[PollReadiness] | type[ObjectReadiness]


@pytest.mark.parametrize("kind", KINDS)
def test_what_can_be_read_or_is_gone_is_ready(kind: Kind) -> None:
    (a, b), (c, d) = Pipe(), Pipe()
    both = kind([a, c])
    assert not both.wait(0.0)
    d.send_bytes(b"x")
    assert both.wait(0.0)
    assert both.wait(None)
    c.recv_bytes()
    assert not both.wait(0.0)
    b.close()
    assert both.wait(WAIT_S)
    for one in (a, c, d):
        one.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_ends_the_wait(kind: Kind) -> None:
    a, b = Pipe()
    timer = threading.Timer(0.05, b.send_bytes, (b"x",))
    timer.start()
    start_s = time.monotonic()
    assert kind([a]).wait(WAIT_S)
    assert time.monotonic() - start_s < WAIT_S
    timer.join()
    a.close()
    b.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_connection_that_was_closed_here_is_an_error(kind: Kind) -> None:
    a, b = Pipe()
    waiter = kind([a])
    a.close()
    with pytest.raises((OSError, ValueError)):
        waiter.wait(0.0)
    b.close()


def test_each_system_gets_its_side() -> None:
    a, b = Pipe()
    assert isinstance(readiness(a, system="win32"), ObjectReadiness)
    if sys.platform != "win32":
        assert isinstance(readiness(a, system="darwin"), PollReadiness)
    a.close()
    b.close()
