"""Where the analysis puts decisions and the acquisition waits for them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from faro.model import Decision

KEPT_PER_FOV = 4
"""Frames of a FOV whose decisions are kept: the newest; no other is asked for."""
EVERY_CHANNEL = ""
"""Channel of a decision for each channel that has none of its own."""


class DecisionBoard:
    """Decisions by frame and channel. Thread-safe.

    Waiting has a deadline and can be ended.

    Parameters
    ----------
    on_decision
        Called after each decision that stands, on the thread that published it.
    """

    def __init__(self, on_decision: Callable[[], None] | None = None) -> None:
        self._on_decision = on_decision
        self._changed = threading.Condition()
        self._decisions: dict[int, dict[int, dict[str, Decision]]] = {}
        self._closed = False

    def publish(self, decision: Decision) -> bool:
        """Make ``decision`` known to whoever waits for it.

        The first decision on a frame and channel stands. Returns whether this was the
        first.
        """
        with self._changed:
            if self._found(decision.fov, decision.timestep, decision.channel):
                return False
            of_fov = self._decisions.setdefault(decision.fov, {})
            of_fov.setdefault(decision.timestep, {})[decision.channel] = decision
            while len(of_fov) > KEPT_PER_FOV:
                del of_fov[min(of_fov)]
            self._changed.notify_all()
        if self._on_decision is not None:
            self._on_decision()
        return True

    def knows(self, fov: int, timestep: int, channels: Iterable[str]) -> bool:
        """Return whether the decisions for a frame are there for all ``channels``."""
        with self._changed:
            return all(self._found(fov, timestep, name) for name in channels)

    def wait(
        self, fov: int, timestep: int, channel: str, timeout_s: float
    ) -> Decision | None:
        """Return the decision for a frame and channel.

        None at the deadline or after `close`.
        """

        def ready() -> bool:
            return self._closed or self._found(fov, timestep, channel) is not None

        with self._changed:
            self._changed.wait_for(ready, timeout_s)
            return self._found(fov, timestep, channel)

    def open(self) -> None:
        """Let waiting begin again after `close`."""
        with self._changed:
            self._closed = False

    def close(self) -> None:
        """Wake everybody who waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _found(self, fov: int, timestep: int, channel: str) -> Decision | None:
        """Return the decision that holds for a channel, if there is one."""
        of_frame = self._decisions.get(fov, {}).get(timestep, {})
        return of_frame.get(channel) or of_frame.get(EVERY_CHANNEL)
