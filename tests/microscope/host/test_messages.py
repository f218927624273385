"""Whatever a client sends, the host answers and goes on serving."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from faro.microscope.host import messages as say
from faro.microscope.host.launch import exit_code, start_host, wait_until_ready
from faro.microscope.host.ring import ReadRing
from faro.microscope.host.wire import Channel, encode
from faro.system.hosting import this_platform
from faro.testing.logging_rig import claim_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from faro.system.hosting import HostProcess

WAIT_S = 30.0
KEY = b"k" * 32


@dataclass
class RawHost:
    """A host, and nothing between it and the test."""

    process: HostProcess
    address: str
    diary: Path
    calls: Channel[say.Answer]
    runs: Channel[say.Told]

    def answer(self) -> say.Reply:
        """Return the next answer; the log is passed over."""
        while True:
            assert self.calls.ready(WAIT_S)
            answer, _ = self.calls.receive()
            if isinstance(answer, say.Reply):
                return answer

    def told(self) -> say.Told:
        assert self.runs.ready(WAIT_S)
        return self.runs.receive()[0]

    def ask(self, **request: object) -> say.Reply:
        data = json.dumps(request).encode()
        self.calls.connection.send_bytes(len(data).to_bytes(4, "little") + data)
        return self.answer()


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RawHost]:
    folder = tmp_path_factory.mktemp("host")
    diary, platform = folder / "diary.txt", this_platform()
    start = say.Start(
        spec="faro.testing.logging_rig:LoggingRig",
        args=(str(diary),),
        kwargs={},
        authkey=KEY.hex(),
        address=platform.address(folder),
        client_pid=os.getpid(),
        sys_path=tuple(sys.path),
        start_s=WAIT_S,
    )
    process = start_host(start, folder, platform)
    assert wait_until_ready(process, WAIT_S)
    for wrong in (b"wrong", b""):
        with pytest.raises(AuthenticationError):
            Client(start.address, platform.family, wrong)
    calls = Client(start.address, platform.family, KEY)
    runs = Client(start.address, platform.family, KEY)
    host = RawHost(
        process,
        start.address,
        diary,
        Channel(calls, say.ANSWERS),
        Channel(runs, say.TOLD),
    )
    built = host.answer()
    assert (built.id, built.error) == (0, None)
    yield host
    host.runs.close()
    host.calls.close()
    assert exit_code(process, WAIT_S) == 0
    assert not claim_of(diary).exists()


def test_nobody_can_connect_once_the_client_has(raw: RawHost) -> None:
    with pytest.raises(OSError, match=r"No such file|cannot find|refused"):
        Client(raw.address, this_platform().family, KEY)


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"\x02\x00\x00\x00{]", b"\x02\x00\x00\x00[]", b"x" * 10**6]
)
def test_rubbish_is_answered(raw: RawHost, data: bytes) -> None:
    raw.calls.connection.send_bytes(data)
    reply = raw.answer()
    assert reply.id is None
    assert reply.error is not None
    assert raw.ask(id=5, verb="facts").error is None


def test_an_unknown_verb_is_answered_with_its_number(raw: RawHost) -> None:
    reply = raw.ask(id=17, verb="__reduce__")
    assert reply.id == 17
    assert reply.error is not None
    assert "is not valid" in reply.error.problem


def test_a_pickle_is_rubbish_like_any_other(raw: RawHost) -> None:
    raw.calls.connection.send({"id": 3, "verb": "facts"})
    assert raw.answer().error is not None
    assert raw.ask(id=4, verb="resolve_group", config="Green").value == "Channel"


def test_rubbish_among_the_events_is_refused_and_the_run_goes_on(
    raw: RawHost,
) -> None:
    assert raw.ask(id=1, verb="run_mda", run=1).error is None
    again = raw.ask(id=2, verb="run_mda", run=2).error
    assert again is not None
    assert again.kind == "RunStateError"
    ring = raw.told()
    assert isinstance(ring, say.NewRing)
    reader = ReadRing(ring.ring, ring.slots, ring.slot_bytes)
    raw.runs.send(say.Attached(ring=ring.ring))
    assert raw.told() == say.Next(run=1)
    lies: list[tuple[dict[str, Any], bytes]] = [
        ({"exposure": "long"}, b""),
        ({"sequence": {}}, b""),
        ({"no_such_field": 1}, b""),
    ]
    for fields, more in lies:
        raw.runs.send(say.Event(run=1, number=1, event=fields), more)
        assert isinstance(raw.told(), say.Refused)
    short = say.Event(run=1, number=1, event={}, slm=say.Slm(shape=(30, 40)))
    raw.runs.send(short, b"123")
    assert isinstance(raw.told(), say.Refused)
    raw.runs.connection.send_bytes(b"rubbish")
    assert isinstance(raw.told(), say.Refused)
    lie = say.Free(ring=ring.ring, slots=(0, 99))
    raw.runs.send(say.End(run=99))
    raw.runs.send(say.Event(run=99, number=1, event={}, freed=lie))
    raw.runs.send(say.Event(run=1, number=8, event={"exposure": 1.0}, freed=lie))
    frame = raw.told()
    assert isinstance(frame, say.FrameHead)
    assert frame.number == 8
    pixels = reader.read(frame.slot, frame.shape, frame.dtype)
    np.testing.assert_array_equal(pixels, np.ones((48, 64), np.uint16))
    assert raw.told() == say.Next(run=1)
    raw.runs.send(say.End(run=1))
    last = raw.told()
    assert isinstance(last, say.Finished)
    assert (last.run, last.error) == (1, None)
    reader.close()


def test_a_client_that_gives_no_slot_back_gets_a_new_ring(raw: RawHost) -> None:
    assert raw.ask(id=1, verb="run_mda", run=3).error is None
    rings, frames, number = [], 0, 0
    while frames < 10:
        message = raw.told()
        if isinstance(message, say.NewRing):
            rings.append(ReadRing(message.ring, message.slots, message.slot_bytes))
            raw.runs.send(say.Attached(ring=message.ring))
        elif isinstance(message, say.Next):
            number += 1
            raw.runs.send(say.Event(run=3, number=number, event={"exposure": 1.0}))
        else:
            assert isinstance(message, say.FrameHead)
            frames += 1
    assert rings
    raw.told()
    raw.runs.send(say.End(run=3))
    assert isinstance(raw.told(), say.Finished)
    for ring in rings:
        ring.close()


def test_many_calls_at_once_are_all_answered(raw: RawHost) -> None:
    for number in range(200):
        raw.calls.connection.send_bytes(encode(say.Plain(id=number, verb="facts")))
    replies = [raw.answer() for _ in range(200)]
    assert {reply.id for reply in replies} == set(range(200))
    errors = {r.error.problem for r in replies if r.error is not None}
    assert errors <= {"More than 32 calls are being answered."}
