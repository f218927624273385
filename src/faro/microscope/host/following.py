"""The client's side of a run: gives events, takes frames, tells the listeners."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

import numpy as np

from faro.errors import HardwareError
from faro.microscope.abstract import RunThread
from faro.microscope.host import messages as say
from faro.microscope.host.ring import ReadRing
from faro.microscope.host.wire import WireError

if TYPE_CHECKING:
    import useq

    from faro.microscope.abstract import Listeners
    from faro.microscope.feed import Feed
    from faro.microscope.host.link import HostLink

logger = logging.getLogger(__name__)

LOOK_S = 1.0
JOIN_S = 5.0
REMEMBERED = 16
NOT_SENT = {"slm_image", "sequence"}
"""Fields of an event that the host does not get as they are."""


class Follower:
    """Carries the runs of one host, one after the other.

    Parameters
    ----------
    link
        The host.
    listeners
        Who is told about frames.
    """

    def __init__(self, link: HostLink, listeners: Listeners) -> None:
        self._link, self._listeners = link, listeners
        self._ring: ReadRing | None = None
        self._run, self._number = 0, 0
        self._sent: dict[int, useq.MDAEvent] = {}
        self._error: BaseException | None = None
        self._feed: Feed[useq.MDAEvent] | None = None
        self._thread: RunThread | None = None

    @property
    def running(self) -> bool:
        """Whether a run is being followed."""
        return self._thread is not None and self._thread.is_alive()

    def begin(self, run: int, feed: Feed[useq.MDAEvent]) -> RunThread:
        """Follow run number ``run`` on a thread; return it."""
        self._run, self._error = run, None
        self._sent.clear()
        thread = RunThread(
            target=self._follow, args=(feed,), name="faro-mda-hosted", daemon=True
        )
        self._feed, self._thread = feed, thread
        self._link.when_gone(feed.close)
        thread.start()
        return thread

    def _follow(self, feed: Feed[useq.MDAEvent]) -> None:
        told: BaseException | None = None
        try:
            told = self._until_finished(feed)
        except (EOFError, OSError):
            told = self._link.lost()
        except BaseException as error:
            logger.exception("The run in the device host cannot be followed.")
            told = error
        finally:
            feed.close()
            self._link.when_gone(None)
        thread = threading.current_thread()
        if isinstance(thread, RunThread):
            thread.error = self._error or told

    def _until_finished(self, feed: Feed[useq.MDAEvent]) -> BaseException | None:
        """Follow the run; return the host's error, None if it went well."""
        while True:
            message = self._receive()
            if isinstance(message, say.Finished):
                self._link.log.wait_for(message.log_lines)
                note = message.error
                return None if note is None else note.error(self._link.place)
            if isinstance(message, say.Next):
                self._give_next(feed)
            elif isinstance(message, say.FrameHead):
                self._take_frame(message)
            elif isinstance(message, say.Missing):
                self._take_missing(message)
            elif isinstance(message, say.NewRing):
                self._open_ring(message)
            else:
                self._failed(message.error.error(self._link.place))

    def _receive(self) -> say.Told:
        while not self._link.runs.ready(LOOK_S):
            if self._link.gone:
                raise EOFError
        return self._link.runs.receive()[0]

    def _failed(self, error: BaseException) -> None:
        """Remember the first error of our own, and end the run."""
        if self._error is None:
            self._error = error
            note = say.ErrorNote.of(error)
            self._link.runs.send(say.Failed(run=self._run, error=note))

    # --------------------------------------------------------------------- events

    def _give_next(self, feed: Feed[useq.MDAEvent]) -> None:
        if self._error is not None:
            return
        try:
            event = next(feed)
            self._number += 1
            message, raw = event_message(event, self._run, self._number, self._freed())
        except StopIteration:
            self._link.runs.send(say.End(run=self._run))
            return
        except BaseException as error:
            logger.exception("The next event could not be had.")
            self._failed(error)
            return
        self._sent[self._number] = event
        self._sent.pop(self._number - REMEMBERED, None)
        self._link.runs.send(message, raw)

    # --------------------------------------------------------------------- frames

    def _freed(self) -> say.Free | None:
        """Return slots to give back: with every event, for the host needs them then."""
        slots = self._ring.freed() if self._ring is not None else []
        if self._ring is None or not slots:
            return None
        return say.Free(ring=self._ring.name, slots=tuple(slots))

    def _open_ring(self, message: say.NewRing) -> None:
        old = self._ring
        try:
            self._ring = ReadRing(message.ring, message.slots, message.slot_bytes)
        except FileNotFoundError:
            logger.info("The host took its shared memory back: the run is over.")
            return
        self._link.runs.send(say.Attached(ring=message.ring))
        if old is not None:
            old.close()

    def _take_frame(self, head: say.FrameHead) -> None:
        ring = self._ring
        if ring is None or ring.name != head.ring:
            problem = f"A frame came in shared memory {head.ring!r}, which is not open."
            raise WireError(problem)
        pixels = ring.read(head.slot, head.shape, head.dtype)
        event = self._event(head.number)
        if event is None:
            return
        metadata = dict(head.metadata)
        if isinstance(position := metadata.get("position_um"), list):
            metadata["position_um"] = tuple(position)
        try:
            self._listeners.deliver(pixels, event, metadata)
        except BaseException as error:
            logger.exception("A listener failed; the run ends.")
            self._failed(error)

    def _take_missing(self, message: say.Missing) -> None:
        event = self._event(message.number)
        if event is None:
            return
        try:
            error = message.error.error(self._link.place)
            self._listeners.deliver_missing(event, error)
        except BaseException as error:
            logger.exception("A listener failed; the run ends.")
            self._failed(error)

    def _event(self, number: int) -> useq.MDAEvent | None:
        """Return the event of that number, None if nobody is to be told of it."""
        event = self._sent.get(number)
        if event is None:
            logger.warning("%s answered an event that is not known.", self._link.place)
        return event if self._error is None else None

    def stop(self) -> None:
        """Ask for no further event, also where the iterator blocks."""
        if self._feed is not None:
            self._feed.close()

    def close(self) -> None:
        """Let go of the shared memory and hang up; after the last run."""
        self.stop()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(JOIN_S)
        if self._ring is not None and not self.running:
            self._ring.close()
            self._ring = None
        self._link.runs.close()


def event_message(
    event: useq.MDAEvent, run: int, number: int, freed: say.Free | None = None
) -> tuple[say.Event, bytes]:
    """Return ``event``, and slots to give back, as a message; and its mask's bytes.

    Raises
    ------
    HardwareError
        If its metadata cannot be written as JSON.
    """
    try:
        fields = event.model_dump(mode="json", exclude=NOT_SENT)
    except ValueError as error:
        problem = f"The event {dict(event.index)} cannot be sent to the host: {error}."
        remedy = "Put only numbers, text, lists and dicts into its metadata."
        raise HardwareError(problem, remedy=remedy) from error
    image, slm, raw = event.slm_image, None, b""
    if image is not None:
        known: dict[str, object] = {
            "device": image.device,
            "exposure_ms": image.exposure,
        }
        pixels = np.asarray(image.data)
        if pixels.ndim == 0:
            known["value"] = pixels.item()
        else:
            raw = pixels.tobytes()
            known |= {"shape": pixels.shape, "dtype": pixels.dtype.name}
        slm = say.Slm.model_validate(known)
    message = say.Event(run=run, number=number, event=fields, slm=slm, freed=freed)
    return message, raw
