"""Messages come through unchanged; rubbish is an error and nothing else."""

from __future__ import annotations

import json
from multiprocessing import Pipe

import numpy as np
import pytest
import useq
from hypothesis import given
from hypothesis import strategies as st

from faro.errors import HardwareError, RunStateError
from faro.microscope.host import messages as say
from faro.microscope.host.following import event_message
from faro.microscope.host.stream import NUMBER, event_of, plain
from faro.microscope.host.wire import Channel, WireError, decode, encode


@given(st.binary(max_size=200))
def test_bytes_are_a_message_or_a_wire_error(data: bytes) -> None:
    try:
        header, _ = decode(data)
    except WireError:
        return
    assert isinstance(header, dict)


@given(raw=st.binary(max_size=50), run=st.integers(0, 10**9))
def test_a_message_comes_through_with_its_raw_bytes(raw: bytes, run: int) -> None:
    header, back = decode(encode(say.Next(run=run), raw))
    assert (header, back) == ({"kind": "next", "run": run}, raw)


@pytest.mark.parametrize(
    ("header", "number"),
    [
        ({"id": 7, "verb": "rm -rf"}, 7),
        ({"id": "x", "verb": "facts"}, None),
        ({"id": 7, "verb": "facts", "extra": 1}, 7),
        ({"id": 7, "verb": "go_dark", "reason": "x" * 5000}, 7),
        ({"id": 7, "verb": "resolve_power", "config": "A", "power": "nan"}, 7),
        ({}, None),
    ],
)
def test_a_message_outside_the_schema_is_a_wire_error(
    header: dict[str, object], number: int | None
) -> None:
    here, there = Pipe()
    data = json.dumps(header).encode()
    with here, there:
        there.send_bytes(len(data).to_bytes(4, "little") + data)
        channel = Channel(here, say.REQUESTS)
        with pytest.raises(WireError, match="is not valid") as caught:
            channel.receive()
    assert caught.value.number == number


def test_deep_json_is_a_wire_error() -> None:
    data = b"[" * 100_000
    with pytest.raises(WireError, match="not JSON"):
        decode(len(data).to_bytes(4, "little") + data)


def event(**fields: object) -> useq.MDAEvent:
    return useq.MDAEvent.model_validate({"index": {"t": 1, "p": 2}, **fields})


@pytest.mark.parametrize(
    "sent",
    [
        event(),
        event(exposure=7.5, x_pos=-1.25, y_pos=0.1, z_pos=3, pos_name="A1"),
        event(channel={"config": "CyanStim", "group": "Channel"}),
        event(properties=[("LED", "Cyan_Level", 12.5)], min_start_time=1.5),
        event(action=useq.HardwareAutofocus(autofocus_motor_offset=2.0)),
        event(keep_shutter_open=True, reset_event_timer=True),
        event(roi=(1, 2, 30, 40)),
        event(metadata={"faro": {"seq": 3, "planned_s": 0.1, "role": "stim"}}),
    ],
    ids=lambda e: ",".join(e.model_fields_set),
)
def test_an_event_comes_through(sent: useq.MDAEvent) -> None:
    got = event_of(*event_message(sent, run=1, number=9))
    assert got.metadata.pop(NUMBER) == 9
    assert got == sent


MASK = np.arange(12, dtype=np.uint8).reshape(3, 4)


@pytest.mark.parametrize("data", [True, False, 255, MASK, MASK > 3, MASK * 1.5])
def test_what_the_slm_shows_comes_through(data: object) -> None:
    sent = event(slm_image=useq.SLMImage(data=data, exposure=12.5))
    image = event_of(*event_message(sent, run=1, number=9)).slm_image
    assert image is not None
    assert image.exposure == 12.5
    assert np.asarray(image.data).dtype == np.asarray(data).dtype
    np.testing.assert_array_equal(np.asarray(image.data), np.asarray(data))


def test_an_event_that_json_cannot_carry_is_refused_here() -> None:
    with pytest.raises(HardwareError, match="Put only numbers, text"):
        event_message(event(metadata={"secret": object()}), run=1, number=1)


@pytest.mark.parametrize(
    ("fields", "slm", "raw", "match"),
    [
        ({"sequence": {}}, None, b"", "not taken from another process"),
        ({"exposure": -1.0}, None, b"", "exposure"),
        ({}, say.Slm(shape=(3, 4)), b"12345", "reshape"),
        ({}, say.Slm(shape=(3, 4), dtype="float64"), b"12345", "buffer size"),
        ({}, say.Slm(), b"", "empty"),
    ],
)
def test_an_event_that_lies_is_a_value_error(
    fields: dict[str, object], slm: say.Slm | None, raw: bytes, match: str
) -> None:
    message = say.Event(run=1, number=1, event=fields, slm=slm)
    with pytest.raises(ValueError, match=match):
        event_of(message, raw)


def test_metadata_of_any_kind_becomes_plain() -> None:
    found = plain({"n": np.uint16(3), 4: (np.float64(0.5), None), "path": object})
    assert json.loads(json.dumps(found)) == {
        "n": 3,
        "4": [0.5, None],
        "path": str(object),
    }


def test_an_error_is_raised_as_what_it_was_with_the_place() -> None:
    busy = say.ErrorNote.of(RunStateError("It runs.", remedy="Wait.")).error("there")
    other = say.ErrorNote.of(ZeroDivisionError("1/0")).error("there")
    assert isinstance(busy, RunStateError)
    assert (busy.problem, busy.remedy) == ("It runs.", "Wait.")
    assert isinstance(other, HardwareError)
    assert other.problem == "ZeroDivisionError: 1/0"
    assert other.__notes__ == ["Raised in there."]
