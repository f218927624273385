"""The host's side of the calls: every verb is answered, a bad message too."""

from __future__ import annotations

import dataclasses
import logging
import threading
from typing import TYPE_CHECKING

import numpy as np

from faro.errors import HardwareError, RunStateError
from faro.microscope.dmd import DMD
from faro.microscope.host import messages as say
from faro.microscope.host.stream import FrameSlots, HostedRun, plain
from faro.microscope.host.wire import WireError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    import useq

    from faro.microscope.abstract import AbstractMicroscope, RunThread
    from faro.microscope.host.ending import Ending
    from faro.microscope.host.relay import LogRelay
    from faro.microscope.host.wire import Channel
    from faro.model import HardwareFacts
    from faro.model.frame import PixelArray

logger = logging.getLogger(__name__)

MAX_CALLS = 32


class Service:
    """Answers the calls of one client and carries its runs.

    Until it has its microscope, every call is refused.

    Parameters
    ----------
    calls, runs
        The two connections.
    ending
        Asked to end the process when the client is gone, or wants it.
    relay
        Sends the log; what a call or a run logged comes before its end is told.
    """

    def __init__(
        self,
        calls: Channel[say.Request],
        runs: Channel[say.Fed],
        ending: Ending,
        relay: LogRelay,
    ) -> None:
        self._calls, self._ending, self._relay = calls, ending, relay
        self._given: AbstractMicroscope | None = None
        self._slots = FrameSlots(runs)
        self._run: HostedRun | None = None
        self._starting = threading.Lock()
        self._busy = threading.BoundedSemaphore(MAX_CALLS)
        self._verbs: dict[str, Callable[[], object]] = {}

    def take(self, microscope: AbstractMicroscope) -> None:
        """Answer for ``microscope`` from now on."""
        microscope.connect_frame(self._frame)
        microscope.connect_missing(self._missing)
        self._verbs = {
            "cancel_mda": microscope.cancel_mda,
            "describe": lambda: plain(microscope.describe()),
            "facts": lambda: instrument_of(microscope).model_dump(),
            "frame_shape": lambda: plain(microscope.frame_shape()),
            "post_experiment": microscope.post_experiment,
            "validate_hardware": self._validate,
        }
        self._given = microscope

    @property
    def _microscope(self) -> AbstractMicroscope:
        if self._given is None:
            problem = "The devices are still being loaded."
            raise HardwareError(problem, remedy="Wait for the host to say so.")
        return self._given

    def serve(self) -> None:
        """Answer until the client hangs up; then ask for the end."""
        while True:
            try:
                request, _ = self._calls.receive()
            except WireError as error:
                self._refuse(error, error.number)
            except (EOFError, OSError):
                self._ending.request("the client is gone (its connection ended)")
                return
            else:
                self._start(request)

    def _start(self, request: say.Request) -> None:
        """Answer on a thread of its own: no call waits for another."""
        if not self._busy.acquire(blocking=False):
            problem = f"More than {MAX_CALLS} calls are being answered."
            error = HardwareError(problem, remedy="Wait for their answers.")
            self._refuse(error, request.id)
            return
        threading.Thread(
            target=self._answer, args=(request,), name="faro-host-call", daemon=True
        ).start()

    def _refuse(self, error: Exception, number: int | None) -> None:
        logger.error("Refused: %s", error)
        self._send(say.Reply(id=number, error=say.ErrorNote.of(error)))

    def _answer(self, request: say.Request) -> None:
        try:
            if isinstance(request, say.Plain) and request.verb == "shutdown":
                self._shutdown(request.id)
                return
            self._refuse_at_the_end()
            value = self._do(request)
            self._refuse_at_the_end()
            self._relay.flush()
        except Exception as error:
            logger.exception("%s failed", request.verb)
            self._relay.flush()
            self._send(say.Reply(id=request.id, error=say.ErrorNote.of(error)))
        else:
            self._send(say.Reply(id=request.id, value=value))
        finally:
            self._busy.release()

    def _refuse_at_the_end(self) -> None:
        """Raise HardwareError when devices are being released, or may be half gone."""
        if self._ending.reason:
            problem = f"The device host is ending: {self._ending.reason}."
            raise HardwareError(problem, remedy="Make a new microscope.")

    def _send(self, reply: say.Reply) -> None:
        try:
            self._calls.send(reply)
        except OSError as error:
            logger.warning("An answer did not reach the client: %s", error)

    def _do(self, request: say.Request) -> object:
        microscope = self._microscope
        if isinstance(request, say.RunMda):
            self._run_mda(request.run)
            return None
        if isinstance(request, say.GoDark):
            microscope.go_dark(request.reason)
            return None
        if isinstance(request, say.ResolveGroup):
            return microscope.resolve_group(request.config)
        if isinstance(request, say.ResolvePower):
            return microscope.resolve_power(request)
        return self._verbs[request.verb]()

    def _validate(self) -> object:
        check = getattr(self._microscope, "validate_hardware", tuple)
        return [dataclasses.asdict(problem) for problem in check()]

    def _shutdown(self, number: int) -> None:
        def told(report: object) -> None:
            self._send(say.Reply(id=number, value=report))

        self._ending.tell(lambda report: told(dict(say.plain_report(report))))
        self._ending.request("shut down by the client")

    # ------------------------------------------------------------------------ runs

    def _run_mda(self, number: int) -> None:
        with self._starting:
            if self._run is not None:
                problem = f"{self._microscope.name} is acquiring."
                raise RunStateError(problem, remedy="Wait, or call cancel_mda() first.")
            run = HostedRun(number, self._slots, _frame_bytes(self._microscope.facts()))
            self._run = run
            try:
                self._begin(run)
            except BaseException:
                self._run = None
                raise

    def _begin(self, run: HostedRun) -> None:
        """Start the acquisition, and a thread that tells of its end."""
        thread = self._microscope.run_mda(run)
        try:
            threading.Thread(
                target=self._follow,
                args=(thread, run),
                name="faro-host-run",
                daemon=True,
            ).start()
        except BaseException:
            run.close()
            self._microscope.cancel_mda()
            raise

    def _follow(self, thread: RunThread, run: HostedRun) -> None:
        """Tell the client when, and how, the acquisition has ended, whatever happens.

        The sample was made dark by then, and the log of that was sent.
        """
        note: say.ErrorNote | None = None
        try:
            thread.join()
            if thread.error is not None:
                note = say.ErrorNote.of(thread.error)
        except BaseException as error:
            logger.exception("The end of a run could not be told as it is.")
            note = say.ErrorNote.of(error)
        finally:
            self._run = None
            self._relay.flush()
            run.finished(note, self._relay.told)

    def _frame(
        self, pixels: PixelArray, event: useq.MDAEvent, metadata: Mapping[str, Any]
    ) -> None:
        if self._run is not None:
            self._run.frame(pixels, event, metadata)

    def _missing(self, event: useq.MDAEvent, error: Exception) -> None:
        if self._run is not None:
            self._run.missing(event, error)


def instrument_of(microscope: AbstractMicroscope) -> say.Instrument:
    """Return what the client is to know of ``microscope``, read now.

    Raises
    ------
    HardwareError
        If its DMD is of a kind that another process cannot make again.
    """
    facts = say.FactsNote.model_validate(dataclasses.asdict(microscope.facts()))
    note = None
    if microscope.dmd is not None:
        note = _dmd_note(microscope.dmd)
    return say.Instrument(name=microscope.name, facts=facts, dmd=note)


def _dmd_note(dmd: object) -> say.DmdNote:
    if not isinstance(dmd, DMD):
        problem = f"The dmd is a {type(dmd).__name__}, which only its own process has."
        raise HardwareError(problem, remedy="Use faro.DMD, or do without the host.")
    rows = dmd.affine.tolist()
    return say.DmdNote(
        shape=dmd.shape,
        affine=tuple(tuple(row) for row in rows),
        on_value=dmd.on_value,
        camera_shape=dmd.camera_shape,
        optics=dmd.optics,
    )


def _frame_bytes(facts: HardwareFacts) -> int:
    """Return how large a frame will be, 0 if nobody knows."""
    if facts.image_shape is None:
        return 0
    height, width = facts.image_shape
    return int(height * width * np.dtype(facts.image_dtype).itemsize)
