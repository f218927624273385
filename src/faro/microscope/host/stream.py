"""The host's side of a run: events are asked for, frames are handed over."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing import Pipe
from typing import TYPE_CHECKING, Any

import numpy as np
import useq

from faro.errors import HardwareError
from faro.microscope.host import messages as say
from faro.microscope.host.ring import WrittenRing
from faro.microscope.host.wire import WireError
from faro.system.waiting import readiness

if TYPE_CHECKING:
    from faro.microscope.host.wire import Channel
    from faro.model.frame import PixelArray

logger = logging.getLogger(__name__)

SLOTS = 4
NUMBER = "faro_host_event"
"""Key in the metadata of an event, under which the host remembers its number."""


EVENT_FIELDS = frozenset(useq.MDAEvent.model_fields) - {"sequence", "slm_image"}
MAX_SHOWN = 1000
CLIENT = "the client of this host"


class _RunOverError(Exception):
    """The run was closed while something waited, or there is no further event."""


class FrameSlots:
    """The ring of a host, made anew when a frame does not fit.

    Parameters
    ----------
    channel
        The connection of runs.
    """

    def __init__(self, channel: Channel[say.Fed]) -> None:
        self.channel = channel
        self._ring: WrittenRing | None = None

    @property
    def ring(self) -> WrittenRing:
        """The ring in use; there must be one."""
        if self._ring is None:
            problem = "No ring was offered yet."
            raise HardwareError(problem, remedy="")
        return self._ring

    def drop(self) -> None:
        """Do without a ring, which the client did not open."""
        if self._ring is not None:
            self._ring.close()
            self._ring = None

    def fits(self, frame_bytes: int) -> bool:
        """Return whether a frame of that size has a place."""
        return self._ring is not None and frame_bytes <= self._ring.slot_bytes

    def offer(self, frame_bytes: int) -> WrittenRing:
        """Make a larger ring and tell the client; the old one is dropped."""
        old, self._ring = self._ring, WrittenRing(SLOTS, frame_bytes)
        if old is not None:
            old.close()
        ring = self._ring
        head = say.NewRing(ring=ring.name, slots=ring.slots, slot_bytes=ring.slot_bytes)
        self.channel.send(head)
        return ring

    def freed(self, message: say.Free) -> None:
        """Note which slots the client has no use for any more."""
        if self._ring is not None and message.ring == self._ring.name:
            for slot in message.slots:
                self._ring.freed(slot)


class HostedRun:
    """The events of one run, as an iterator, and the way back for its frames.

    Used by the acquisition thread; `close` by any.

    Parameters
    ----------
    number
        Number of the run. What belongs to another run is dropped.
    slots
        Where frames are put, and the connection of runs.
    frame_bytes
        Expected size of a frame, 0 if unknown.
    """

    def __init__(self, number: int, slots: FrameSlots, frame_bytes: int) -> None:
        self.number = number
        self._slots, self._channel = slots, slots.channel
        self._frame_bytes = frame_bytes
        self._closed = False
        self._woken, self._waker = Pipe(duplex=False)
        self._readiness = readiness(self._channel.connection, self._woken)

    # --------------------------------------------------------------------- events

    def __iter__(self) -> HostedRun:
        return self

    def __next__(self) -> useq.MDAEvent:
        try:
            if self._frame_bytes and not self._slots.fits(self._frame_bytes):
                self._new_ring(self._frame_bytes)
            self._channel.send(say.Next(run=self.number))
            return self._next_event()
        except (_RunOverError, EOFError, OSError):
            raise StopIteration from None

    def _next_event(self) -> useq.MDAEvent:
        while True:
            message, raw = self._receive()
            if isinstance(message, say.End) and message.run == self.number:
                raise _RunOverError
            if isinstance(message, say.Event) and message.run == self.number:
                try:
                    return event_of(message, raw)
                except (ValueError, TypeError) as error:
                    self._refuse(f"Event {message.number} is not valid: {error}")

    def close(self) -> None:
        """End the run now: whatever waits for the client waits no more."""
        self._closed = True
        with suppress(OSError):
            self._waker.send_bytes(b"close")

    def _refuse(self, problem: str) -> None:
        logger.error("Refused: %s", problem)
        note = say.ErrorNote(kind="WireError", problem=problem[:MAX_SHOWN])
        self._channel.send(say.Refused(error=note))

    def _receive(self) -> tuple[say.Fed, bytes]:
        """Return the next message; notes freed slots, raises what the client raised."""
        while True:
            self._readiness.wait()
            if self._closed:
                raise _RunOverError
            try:
                message, raw = self._channel.receive()
            except WireError as error:
                self._refuse(error.problem)
                continue
            if isinstance(message, say.Failed) and message.run == self.number:
                raise message.error.error(CLIENT)
            if isinstance(message, say.Event) and message.freed is not None:
                self._slots.freed(message.freed)
            return message, raw

    # --------------------------------------------------------------------- frames

    def frame(
        self, pixels: PixelArray, event: useq.MDAEvent, metadata: Mapping[str, Any]
    ) -> None:
        """Hand over one frame (Y, X)."""
        try:
            slot = self._free_slot(pixels.nbytes)
        except _RunOverError:
            problem = "The run was cancelled before the frame was handed over."
            self.missing(event, HardwareError(problem, remedy=""))
            return
        ring = self._slots.ring
        ring.write(slot, pixels)
        head = say.FrameHead.model_construct(  # the client validates it
            number=int(event.metadata.get(NUMBER, 0)),
            ring=ring.name,
            slot=slot,
            shape=pixels.shape,
            dtype=pixels.dtype.name,
            metadata={str(key): plain(value) for key, value in metadata.items()},
        )
        self._channel.send(head)

    def missing(self, event: useq.MDAEvent, error: Exception) -> None:
        """Tell that ``event`` gave no frame."""
        number = int(event.metadata.get(NUMBER, 0))
        self._channel.send(say.Missing(number=number, error=say.ErrorNote.of(error)))

    def finished(self, error: say.ErrorNote | None, log_lines: int) -> None:
        """Tell that the acquisition has ended; the last word of a run.

        ``log_lines`` is how many lines of the log the client was sent by then.
        """
        last = say.Finished(run=self.number, error=error, log_lines=log_lines)
        with suppress(OSError):
            self._channel.send(last)
        self._closed = True
        self._woken.close()
        self._waker.close()

    def _free_slot(self, n_bytes: int) -> int:
        """Return a slot for a frame, in a new ring if it fits into none that is free.

        A client that gives slots back as it should leaves one free, always.
        """
        slot = self._slots.ring.take() if self._slots.fits(n_bytes) else None
        if slot is None:
            self._new_ring(n_bytes)
            slot = self._slots.ring.take()
        if slot is None:
            problem = "A new ring has no free slot."
            raise HardwareError(problem, remedy="")
        return slot

    def _new_ring(self, frame_bytes: int) -> None:
        """Have the client open a larger ring; its name is gone afterwards."""
        ring = self._slots.offer(frame_bytes)
        try:
            while True:
                message, _ = self._receive()
                if isinstance(message, say.Attached) and message.ring == ring.name:
                    return
        except BaseException:
            self._slots.drop()
            raise
        finally:
            ring.forget_name()


def event_of(message: say.Event, raw: bytes) -> useq.MDAEvent:
    """Return an event as the engine takes it; raises ValueError or TypeError."""
    unknown = set(message.event) - EVENT_FIELDS
    if unknown:
        problem = f"fields {sorted(unknown)} are not taken from another process"
        raise ValueError(problem)
    image = None if message.slm is None else _slm_image(message.slm, raw)
    event = useq.MDAEvent.model_validate({**message.event, "slm_image": image})
    event.metadata[NUMBER] = message.number
    return event


def _slm_image(slm: say.Slm, raw: bytes) -> useq.SLMImage:
    data: object = slm.value
    if slm.shape is not None:
        # Raises ValueError where the bytes are not as many as announced.
        data = np.frombuffer(raw, slm.dtype).reshape(slm.shape)
    if data is None:
        problem = "the SLM image is empty"
        raise ValueError(problem)
    return useq.SLMImage(data=data, device=slm.device, exposure=slm.exposure_ms)


def plain(value: object) -> object:
    """Return ``value`` as JSON can carry it; what it cannot becomes text.

    >>> plain({"a": (1, np.float64(2.5)), "b": np.arange(2)})
    {'a': [1, 2.5], 'b': [0, 1]}
    """
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist())
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return str(value)
