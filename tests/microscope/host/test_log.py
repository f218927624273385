"""The host's log reaches its client: in order, in few messages, without gaps."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from multiprocessing import Pipe
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import useq

from faro.logs import JsonLines
from faro.microscope.host import host
from faro.microscope.host import messages as say
from faro.microscope.host.host_log import HostLog
from faro.microscope.host.relay import FLUSH_S, MAX_LINES, LogRelay
from faro.microscope.host.wire import Channel
from faro.testing.logging_rig import LoggingRig
from faro.testing.posix import kill_hard

if TYPE_CHECKING:
    from collections.abc import Iterator

LONG_S = 30.0
LOGGER = logging.getLogger("faro.test")
PROMISE_FACTOR = 5


def record(number: int, level: int = logging.INFO) -> logging.LogRecord:
    return LOGGER.makeRecord(
        "faro.test", level, __file__, 1, "line %d", (number,), None
    )


class Client:
    """The other end of a relay."""

    def __init__(self, collect_s: float) -> None:
        here, there = Pipe()
        self.channel: Channel[say.Answer] = Channel(here, say.ANSWERS)
        self.far: Channel[say.Request] = Channel(there, say.REQUESTS)
        self.relay = LogRelay(self.far, collect_s)

    def batch(self) -> list[str]:
        answer, _ = self.channel.receive()
        assert isinstance(answer, say.LogLines)
        return [line.message for line in answer.lines]


@pytest.fixture
def client() -> Iterator[Client]:
    one = Client(LONG_S)
    yield one
    one.channel.close()
    one.relay.flush()
    one.far.close()


def test_lines_are_collected_and_a_flush_sends_them_in_order(client: Client) -> None:
    for number in range(50):
        client.relay.handle(record(number))
    assert not client.channel.ready(0.0)
    client.relay.flush()
    assert client.batch() == [f"line {number}" for number in range(50)]
    assert client.relay.told == 50


def test_a_warning_takes_what_came_before_along_at_once(client: Client) -> None:
    client.relay.handle(record(1))
    client.relay.handle(record(2, logging.WARNING))
    assert client.batch() == ["line 1", "line 2"]


def test_lines_come_by_themselves_after_a_while() -> None:
    client = Client(0.01)
    client.relay.handle(record(1))
    assert client.batch() == ["line 1"]
    client.channel.close()
    client.far.close()


def test_a_message_is_made_when_it_is_logged(client: Client) -> None:
    seen = ["a"]
    client.relay.handle(
        LOGGER.makeRecord("faro.test", logging.INFO, "", 1, "seen %s", (seen,), None)
    )
    seen.append("b")
    client.relay.flush()
    assert client.batch() == ["seen ['a']"]


def test_how_many_lines_were_dropped_is_said(client: Client) -> None:
    for number in range(MAX_LINES + 7):
        client.relay.handle(record(number))
    received: list[str] = []
    reader = threading.Thread(target=lambda: received.extend(client.batch()))
    reader.start()
    client.relay.flush()
    reader.join()
    while len(received) < MAX_LINES + 1:
        received += client.batch()
    assert received[:MAX_LINES] == [f"line {number}" for number in range(MAX_LINES)]
    assert received[MAX_LINES].startswith("7 lines of the device host's log were drop")


def test_a_client_that_is_gone_does_not_hold_a_flush_up(client: Client) -> None:
    client.channel.close()
    client.relay.handle(record(1))
    start_s = time.monotonic()
    client.relay.flush()
    client.relay.flush()
    assert time.monotonic() - start_s < PROMISE_FACTOR * 2 * FLUSH_S


def host_file(path: Path, records: list[logging.LogRecord], torn: str = "") -> None:
    lines = [JsonLines().format(each) for each in records]
    lines[1:1] = ["what a library prints", '{"time": "today"}', "[]"]
    path.write_text("\n".join(lines) + "\n" + torn, encoding="utf-8")


def test_what_a_dead_host_did_not_send_is_read_from_its_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, client: Client
) -> None:
    log = HostLog(tmp_path / "host.log")
    records = [record(number) for number in range(6)]
    host_file(tmp_path / "host.log", records, torn='{"time": "2026-')
    for each in records[:3]:
        client.relay.handle(each)
    client.relay.flush()
    sent, _ = client.channel.receive()
    assert isinstance(sent, say.LogLines)
    with caplog.at_level(logging.INFO, "faro"):
        log.take(sent)
        assert (log.read_up(), log.read_up()) == (3, 0)
    assert [r.getMessage() for r in caplog.records] == [f"line {n}" for n in range(6)]
    assert caplog.records[-1].created == pytest.approx(records[-1].created, abs=1e-5)


def test_a_host_that_died_before_it_sent_anything_is_read_from_its_beginning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    early = record(0)
    early.created -= 60.0
    log = HostLog(tmp_path / "host.log")
    host_file(tmp_path / "host.log", [early, record(1), record(2)])
    with caplog.at_level(logging.INFO, "faro"):
        assert log.read_up() == 2
    assert [r.getMessage() for r in caplog.records] == ["line 1", "line 2"]


def test_what_is_logged_while_the_devices_are_loaded_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.INFO, "faro"),
        host("faro.testing.logging_rig:TalkingRig", str(tmp_path / "diary.txt")),
    ):
        said = [r.getMessage() for r in caplog.records]
    assert "loading, in the host" in said


def test_a_host_without_a_file_has_nothing_more_to_say(tmp_path: Path) -> None:
    log = HostLog(tmp_path / "host.log")
    assert log.read_up() == 0


def lights(messages: list[str]) -> list[str]:
    """Return what was said about light."""
    return [line for line in messages if line.startswith(("shutter", "SLM", "light"))]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_the_light_of_the_last_frame_of_a_killed_host_is_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    microscope = host(LoggingRig, str(tmp_path / "diary.txt"))

    def kill(*_: object) -> None:
        kill_hard(microscope.host_pid)

    def events() -> Iterator[useq.MDAEvent]:
        slm = useq.SLMImage(data=True, exposure=1.0)
        yield useq.MDAEvent(exposure=1.0, slm_image=slm)

    microscope.connect_frame(kill)
    with caplog.at_level(logging.INFO, "faro"):
        thread = microscope.run_mda(events())
        thread.join(LONG_S)
        assert thread.error is not None
    rows = map(json.loads, Path(microscope.log_path).read_text("utf-8").splitlines())
    wrote = [row["message"] for row in rows]
    told = [r.getMessage() for r in caplog.records if str(r.threadName)[:5] == "host:"]
    assert lights(told) == lights(wrote)[-len(lights(told)) :]
    assert "SLM 'DMD' shows a mask" in lights(told)
    assert lights(told)[-1] == "SLM 'DMD' blank"
    microscope.shutdown()
