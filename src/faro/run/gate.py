"""The gate before every FOV-timepoint: due times, times of day, and people.

What a run waits for beyond its schedule moves the schedule: the clock policy is
``"shift"``, unless a pause is asked for with ``"keep"``. A wait begins when what comes
before is done. If it is over before the planned start of what follows, nothing moves;
else all later starts move by as much.
The microscope is dark meanwhile. Where the clock restarts (``reset_event_timer``),
what is late moves all later starts too.
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from math import isinf
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from faro.errors import RunStateError
from faro.experiment.waiting import moment, wait_of
from faro.run.state import RunState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faro.experiment import PlannedEvent
    from faro.experiment.event import Seconds
    from faro.run.clock import RunClock
    from faro.run.notices import Notices
    from faro.run.recorder import Recorder
    from faro.run.state import StateMachine

logger = logging.getLogger(__name__)

ClockPolicy: TypeAlias = Literal["shift", "keep"]
"""What the time in which nothing was taken does to the schedule."""
CLOCK_POLICY: Final[ClockPolicy] = "shift"
"""What a wait does to the schedule; it is in ``run.json`` and in the journal."""
BY_HAND: Final = "paused by the user"
LOOK_S: Final = 0.5
"""How often is looked whether what was lacking is there."""
LONGEST_WAIT_S: Final = 3600.0
"""One sleep; Python refuses to wait for many days at once."""


class Gate:
    """Lets one event after the other through when it is due.

    `enter` is called on the acquisition thread; the other verbs on any.

    Parameters
    ----------
    clock, recorder, notices
        Of the run.
    state
        Moved to ``waiting`` and ``paused`` and back.
    go_dark
        Makes the sample dark; told why.
    lacking
        Returns what the next frames lack, like room on the disk; empty for nothing.

    Attributes
    ----------
    shift_s
        By how much waits have moved the schedule.
    pace
        As in `faro.model.HardwareFacts`.
    halted
        Whether not even the rest of a position may be taken until `resume`.
    """

    def __init__(
        self,
        clock: RunClock,
        recorder: Recorder,
        notices: Notices,
        state: StateMachine,
        go_dark: Callable[[str], object],
        lacking: Callable[[], str] = str,
    ) -> None:
        self._clock, self._recorder, self._notices = clock, recorder, notices
        self._state, self._go_dark, self._lacking = state, go_dark, lacking
        self._changed = threading.Condition()
        self._closed = False
        self._asked, self._keeps_clock = "", False
        self.halted = False
        self._doing = ""
        self._latest: datetime | None = None
        self.shift_s: Seconds = 0.0
        self.pace = 1.0

    @property
    def doing(self) -> str:
        """What is waited for, in words; empty while nothing is."""
        return self._doing

    def close(self) -> None:
        """End every wait now and let nothing more through."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def pause(
        self, what_to_do: str = BY_HAND, clock: ClockPolicy = CLOCK_POLICY
    ) -> None:
        """Let nothing through until `resume`; one exposure may still be under way."""
        with self._changed:
            if not self._asked:
                self._asked, self._keeps_clock = what_to_do, clock == "keep"
            self._changed.notify_all()

    def halt(self, what_to_do: str) -> None:
        """Let nothing through until `resume`, not even the rest of a position."""
        self.halted = True
        self.pause(what_to_do)

    def resume(self) -> None:
        """End a pause, or one that was asked for.

        Raises
        ------
        RunStateError
            If there is none.
        """
        with self._changed:
            if not self._asked:
                problem = "The run is not paused."
                remedy = "Call resume() when controller.state is 'paused'."
                if self._doing:
                    problem = f"The run is not paused, but {self._doing}."
                    remedy = "stop_run() ends it."
                raise RunStateError(problem, remedy=remedy)
            self._asked, self.halted = "", False
            self._changed.notify_all()

    def enter(self, event: PlannedEvent) -> bool:
        """Wait until ``event`` may start; return False if the gate was closed."""
        wait = wait_of(event)
        if wait is not None and wait.start_at is not None:
            self._wait_for_time(event, wait.start_at)
        if wait is not None and wait.pause_before is not None:
            self.pause(wait.pause_before)
        while self._wait_for_person(event) and self._wait_for_room(event):
            left_s = -self.late_s(event.planned_s + self.shift_s)
            if left_s <= 0:
                if event.restarts_clock:
                    self._restart(event, -left_s)
                return True
            notices = self._notices
            notices.tell(notices.waiting.emit, event.timestep, left_s)
            with self._changed:
                self._changed.wait_for(
                    lambda: self._closed or self._asked, min(left_s, LONGEST_WAIT_S)
                )
        return False

    def late_s(self, planned_s: Seconds) -> Seconds:
        """Return how late it is for what was planned; negative where it is early."""
        if isinf(self.pace):
            return 0.0
        return self._clock.now_s() - planned_s / self.pace

    def _restart(self, event: PlannedEvent, late_s: Seconds) -> None:
        """Move the schedule by as much as ``event`` is late."""
        self.shift_s += late_s * self.pace if late_s else 0.0
        moved = {"shift_s": self.shift_s, "clock": CLOCK_POLICY}
        self._note("clock_restarted", event, late_s=late_s, **moved)

    def passed(self, text: str) -> None:
        """Take note of a time that was waited for before the run was ended."""
        latest = self._latest or self._began()
        self._latest = max(latest, moment(text, latest).astimezone())

    def _began(self) -> datetime:
        return datetime.fromtimestamp(self._clock.wall_ns_at(0.0) / 1e9, UTC)

    def _wait_for_time(self, event: PlannedEvent, text: str) -> None:
        """Wait until a moment; counted from the wall time at the start of the run."""
        began = self._began()
        latest = self._latest or began
        at = moment(text, latest).astimezone()
        self._latest = max(latest, at)
        due_s = (at - began).total_seconds()
        if due_s <= self._clock.now_s():
            self._note("start_time_passed", event, start_at=at.isoformat())
            return
        doing = f"waiting until {at:%H:%M:%S on %d %B}"
        notices = self._notices
        with self._hold(event, RunState.WAITING, doing):
            notices.tell(notices.scheduled.emit, doing, due_s - self._clock.now_s())
            self._note("waiting", event, start_at=at.isoformat())
            while (left_s := due_s - self._clock.now_s()) > 0 and not self._closed:
                with self._changed:
                    ended = self._changed.wait_for(
                        lambda: self._closed, min(left_s, LONGEST_WAIT_S)
                    )
                if ended:
                    return

    def _wait_for_person(self, event: PlannedEvent) -> bool:
        """Wait while a pause is asked for; return False if the gate was closed."""
        with self._changed:
            asked = self._asked
        if asked and not self._closed:
            doing, keep = f"paused: {asked}", self._keeps_clock
            with self._hold(event, RunState.PAUSED, doing, "keep" if keep else "shift"):
                self._notices.tell(self._notices.paused.emit, asked)
                self._note("paused", event, reason=asked)
                with self._changed:
                    self._changed.wait_for(lambda: self._closed or not self._asked)
        return not self._closed

    def _wait_for_room(self, event: PlannedEvent) -> bool:
        """Wait while something is lacking; return False if the gate was closed."""
        what = self._lacking()
        if what and not self._closed:
            logger.warning("The run is paused: %s.", what)
            with self._hold(event, RunState.WAITING, f"paused: {what}"):
                self._notices.tell(self._notices.paused.emit, what)
                self._note("room_lacking", event, reason=what)
                while self._lacking():
                    with self._changed:
                        if self._changed.wait_for(lambda: self._closed, LOOK_S):
                            break
        return not self._closed

    def _note(self, kind: str, event: PlannedEvent, **facts: object) -> None:
        place = {"timestep": event.timestep, "fov": event.fov}
        self._recorder.note(kind, **place, planned_s=event.planned_s, **facts)

    @contextmanager
    def _hold(
        self,
        event: PlannedEvent,
        state: RunState,
        doing: str,
        clock: ClockPolicy = CLOCK_POLICY,
    ) -> Iterator[None]:
        """Be dark inside the block; then move the schedule if it took too long."""
        begun_s = self._clock.now_s()
        self._doing = doing
        self._state.try_move(state)
        logger.info("The run is %s.", doing)
        self._go_dark(doing)
        try:
            yield
        finally:
            self._doing = ""
        if self._closed:
            return
        now_s = self._clock.now_s()
        waited_s = now_s - begun_s
        if clock == "shift":
            self.shift_s += shift_by(event.planned_s + self.shift_s, begun_s, now_s)
        self._state.try_move(RunState.RUNNING)
        moved = {"shift_s": self.shift_s, "clock": clock}
        self._note("resumed", event, waited_s=waited_s, **moved)
        self._notices.tell(self._notices.resumed.emit, waited_s)


def shift_by(due_s: Seconds, begun_s: Seconds, ended_s: Seconds) -> Seconds:
    """Return by how much a wait moves the schedule. Pure.

    Parameters
    ----------
    due_s
        When the event that follows was due.
    begun_s, ended_s
        The wait. A run that was late before it is as late after it.

    Examples
    --------
    >>> shift_by(60.0, 10.0, 50.0), shift_by(60.0, 10.0, 90.0), shift_by(5.0, 8.0, 9.0)
    (0.0, 30.0, 1.0)
    """
    return max(0.0, min(ended_s - due_s, ended_s - begun_s))
