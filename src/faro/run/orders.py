"""Orders from another process of this user: pause, resume, stop, dark, extend."""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
import tempfile
import threading
from contextlib import contextmanager, suppress
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Listener
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Protocol

from pydantic import Field, TypeAdapter, ValidationError

from faro.errors import FaroError, RunStateError
from faro.experiment.event import WAIT_KEY
from faro.microscope.host.wire import Channel, WireError
from faro.model import Schema
from faro.storage import open_run
from faro.system.hosting import this_platform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from faro.experiment import RTMEvent
    from faro.system.waiting import LocalConnection

logger = logging.getLogger(__name__)

NAME: Final = ".control"
"""The file in the run folder that says where orders are taken; for this user only."""
LOOK_S: Final = 0.1
ANSWER_S: Final = 20.0
MOST_TIMEPOINTS: Final = 100_000
Verb = Literal["pause", "resume", "stop", "dark", "extend"]
BY_ORDER: Final = "until it is resumed from where it was paused"
LIGHT_OFF: Final = "the light was switched off by hand"


class Order(Schema):
    """What is to be done."""

    verb: Verb
    n_timepoints: int = Field(default=0, ge=0, le=MOST_TIMEPOINTS)


class Reply(Schema):
    """What became of it: no problem, or why it was not done."""

    problem: str = ""
    remedy: str = ""


class Where(Schema):
    """Where orders are taken."""

    address: str
    family: str
    key: str = Field(repr=False)


ORDERS: Final[TypeAdapter[Order]] = TypeAdapter(Order)
REPLIES: Final[TypeAdapter[Reply]] = TypeAdapter(Reply)


class Obeying(Protocol):
    """What orders are given to: a `faro.Controller`."""

    def pause(self, what_to_do: str = ..., /) -> None:
        """Wait before the next position."""
        ...

    def resume(self) -> None:
        """Go on."""
        ...

    def stop_run(self) -> None:
        """End the run."""
        ...

    def extend_experiment(self, events: Iterable[RTMEvent], /) -> None:
        """Let more events follow."""
        ...


class Desk:
    """Carries out orders; errors are answered, never raised. One thread.

    Parameters
    ----------
    controller
        Of the run.
    go_dark
        Switches all light off, with the reason; may be called on any thread.
    folder
        Of the run.
    """

    def __init__(
        self, controller: Obeying, go_dark: Callable[[str], None], folder: Path
    ) -> None:
        self._controller, self._go_dark, self.folder = controller, go_dark, folder

    def take(self, order: Order) -> Reply:
        """Carry out one order; say what became of it."""
        logger.info("An order came: %s.", order)
        try:
            self._carry_out(order)
        except FaroError as error:
            return Reply(problem=error.problem, remedy=error.remedy)
        except Exception as error:
            logger.exception("The order %s failed.", order.verb)
            return Reply(problem=f"{type(error).__name__}: {error}")
        return Reply()

    def _carry_out(self, order: Order) -> None:
        match order.verb:
            case "pause":
                self._controller.pause(BY_ORDER)
            case "resume":
                self._controller.resume()
            case "stop":
                self._controller.stop_run()
            case "dark":
                self._switch_off()
            case "extend":
                more = repeated(open_run(self.folder).events, order.n_timepoints)
                self._controller.extend_experiment(more)

    def _switch_off(self) -> None:
        """Dark now, whatever the run does; and dark from the next position on."""
        try:
            self._controller.pause(LIGHT_OFF)
        finally:
            self._go_dark(LIGHT_OFF)


def repeated(events: Sequence[RTMEvent], n_timepoints: int) -> list[RTMEvent]:
    """Return the last timepoint of a plan, taken so many times more.

    The interval is the last one of the plan. What was waited for is not waited for
    again.

    Raises
    ------
    RunStateError
        If there is nothing to repeat.
    """
    if not events or n_timepoints < 1:
        problem = f"{n_timepoints} more timepoints cannot be taken."
        raise RunStateError(problem, remedy="Ask for 1 at least, of a run with a plan.")
    starts_s = _starts_s(events)
    last, *before = sorted(starts_s, reverse=True)
    every_s = starts_s[last] - starts_s[before[0]] if before else 0.0
    begin_s = starts_s[last]

    def moved(event: RTMEvent, turn: int) -> RTMEvent:
        later_s = (event.min_start_time or 0.0) - begin_s + turn * every_s
        index = {"t": turn, "p": event.fov}
        said = {k: v for k, v in event.metadata.items() if k != WAIT_KEY}
        change = {"index": index, "min_start_time": later_s, "metadata": said}
        return event.model_copy(update=change)

    ends = [event for event in events if event.timestep == last]
    return [moved(event, turn) for turn in range(n_timepoints) for event in ends]


def _starts_s(events: Sequence[RTMEvent]) -> dict[int, float]:
    """Return the planned second at which each timepoint begins."""
    found: dict[int, float] = {}
    for event in events:
        start_s = event.min_start_time or 0.0
        found[event.timestep] = min(start_s, found.get(event.timestep, start_s))
    return found


@contextmanager
def orders_taken(desk: Desk) -> Iterator[None]:
    """Take orders for a run during the block.

    Its folder need not be there yet. The address is private to this user: a socket in a
    folder of its own (a pipe on Windows), with a random key that stands in `NAME`,
    which only this user can read. Where there can be none, the run goes on without.
    """
    private = Path(tempfile.mkdtemp(prefix="faro-control-"))
    try:
        where = _new_place(private)
    except FaroError as error:
        logger.warning("The run takes no orders: %s", error)
        shutil.rmtree(private, ignore_errors=True)
        yield
        return
    over = threading.Event()
    args = (desk, where, over)
    thread = threading.Thread(
        target=_listen, args=args, name="faro-orders", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        over.set()
        with suppress(OSError, EOFError, AuthenticationError):
            _connect(where).close()
        thread.join(1.0)
        (desk.folder / NAME).unlink(missing_ok=True)
        shutil.rmtree(private, ignore_errors=True)


def _new_place(private: Path) -> Where:
    platform = this_platform()
    address, key = platform.address(private), secrets.token_hex(32)
    return Where(address=address, family=platform.family, key=key)


def give_order(folder: Path, order: Order) -> Reply:
    """Give an order to the run in ``folder``; return what became of it.

    Raises
    ------
    RunStateError
        If the run takes no orders: it is over, or another user's.
    """
    try:
        where = Where.model_validate_json((folder / NAME).read_bytes())
        connection = _connect(where)
    except (OSError, EOFError, AuthenticationError, ValidationError) as error:
        problem = f"{folder.name} takes no orders ({type(error).__name__})."
        remedy = "It is over, was started by a script, or belongs to another user."
        raise RunStateError(problem, remedy=remedy) from error
    channel = Channel(connection, REPLIES)
    try:
        channel.send(order)
        if channel.ready(ANSWER_S):
            return channel.receive()[0]
    except (OSError, EOFError, WireError) as error:
        problem = f"{folder.name} did not answer ({type(error).__name__})."
        raise RunStateError(problem, remedy="Look at what it does now.") from error
    finally:
        channel.close()
    problem = f"{folder.name} did not answer within {ANSWER_S:g} s."
    raise RunStateError(problem, remedy="Look at what it does now.")


def _connect(where: Where) -> LocalConnection:
    return Client(where.address, where.family, bytes.fromhex(where.key))


def _listen(desk: Desk, where: Where, over: threading.Event) -> None:
    """Take orders until it is over; whoever hangs up or cannot prove it is let go."""
    try:
        _take_orders(desk, where, over)
    except OSError:
        logger.exception("The run takes no orders.")


def _take_orders(desk: Desk, where: Where, over: threading.Event) -> None:
    key = bytes.fromhex(where.key)
    with Listener(where.address, where.family, authkey=key) as listener:
        while not (desk.folder / "run.json").exists():
            if over.wait(LOOK_S):
                return
        _tell(desk.folder / NAME, where)
        while not over.is_set():
            with suppress(OSError, EOFError, AuthenticationError, WireError):
                connection = listener.accept()
                _serve(desk, Channel(connection, ORDERS))


def _serve(desk: Desk, channel: Channel[Order]) -> None:
    try:
        if channel.ready(1.0):
            channel.send(desk.take(channel.receive()[0]))
    finally:
        channel.close()


def _tell(path: Path, where: Where) -> None:
    """Write where orders are taken, for this user only."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(where.model_dump(), file)
