"""Messages on a local connection: a JSON header, then raw bytes; nothing is pickled."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from faro.errors import FaroError
from faro.system.waiting import readiness

if TYPE_CHECKING:
    from faro.model import Schema
    from faro.system.waiting import LocalConnection

T = TypeVar("T")

LENGTH_BYTES = 4
MAX_SHOWN = 500


class WireError(FaroError, ValueError):
    """A message breaks the schema; the next one may be good."""

    def __init__(self, problem: str, number: int | None = None) -> None:
        super().__init__(problem, remedy="Use the same version of FARO on both sides.")
        self.number = number


def encode(message: Schema, raw: bytes = b"") -> bytes:
    """Return one message: length of the header, header, raw bytes."""
    header = json.dumps(message.model_dump()).encode()
    return b"".join((len(header).to_bytes(LENGTH_BYTES, "little"), header, raw))


def decode(data: bytes) -> tuple[dict[str, object], bytes]:
    r"""Return the header and the raw bytes of one message; raises WireError.

    >>> decode(b"\x02\x00\x00\x00{}raw")
    ({}, b'raw')
    """
    end = LENGTH_BYTES + int.from_bytes(data[:LENGTH_BYTES], "little")
    if len(data) < max(end, LENGTH_BYTES):
        problem = f"A message of {len(data)} bytes is too short for its header."
        raise WireError(problem)
    try:
        header = json.loads(data[LENGTH_BYTES:end])
    except (ValueError, RecursionError) as error:
        problem = f"A message is not JSON: {error}."
        raise WireError(problem) from error
    if not isinstance(header, dict):
        problem = "A message is not a JSON object."
        raise WireError(problem)
    return header, data[end:]


class Channel(Generic[T]):
    """One local connection on which messages of one kind arrive.

    Sending is thread-safe; one thread receives.

    Parameters
    ----------
    connection
        An authenticated connection.
    incoming
        What may arrive.
    """

    def __init__(self, connection: LocalConnection, incoming: TypeAdapter[T]) -> None:
        self.connection, self._incoming = connection, incoming
        self._lock = threading.Lock()
        self._readiness = readiness(connection)

    def send(self, message: Schema, raw: bytes = b"") -> None:
        """Send one message; raises OSError if the other side is gone."""
        data = encode(message, raw)
        with self._lock:
            self.connection.send_bytes(data)

    def receive(self) -> tuple[T, bytes]:
        """Return the next message and its raw bytes; waits for it.

        Raises
        ------
        EOFError, OSError
            If the other side is gone.
        WireError
            If the message is not one of those that may arrive.
        """
        header, raw = decode(self.connection.recv_bytes())
        try:
            return self._incoming.validate_python(header), raw
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            problem = f"A message is not valid at {place!r}: {first['msg']}."
            number = header.get("id")
            known = number if isinstance(number, int) else None
            raise WireError(problem[:MAX_SHOWN], known) from error

    def ready(self, wait_s: float) -> bool:
        """Return whether a message is there, within ``wait_s``; OSError if gone."""
        return self._readiness.wait(wait_s)

    def close(self) -> None:
        """Hang up."""
        self.connection.close()
