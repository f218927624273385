"""What fires where a mask is late or failed: nothing, unless it was declared."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from faro.model import Stimulus, stimulus_from
from faro.run.jobs import BackgroundError

if TYPE_CHECKING:
    from collections.abc import Callable

    from faro.run.recorder import Recorder

WhenLate: TypeAlias = Literal["skip", "previous", "blank"]
FALLBACK_DEADLINE_S = 1.0
"""How long a fallback may take; the camera waits for it."""
REHEARSAL = "this is a rehearsal"
"""The reason that a fallback hears when it is tried before a run."""


@dataclass(frozen=True, slots=True, eq=False)
class LateMask:
    """A stimulation whose mask is late or failed, as a fallback sees it.

    Attributes
    ----------
    fov, timestep
        Of the stimulation.
    reason
        Why there is no mask, for example ``"no mask within 30 s"``.
    shape
        (Y, X) of the camera image.
    previous
        What fired last at this position in this channel, None if nothing has.
    channel
        Config name of the stimulation channel.
    """

    fov: int
    timestep: int
    reason: str
    shape: tuple[int, int]
    previous: Stimulus | None
    channel: str = ""


Fallback: TypeAlias = "Callable[[LateMask], object]"


def answer_of(fallback: Fallback, late: LateMask) -> Stimulus | None:
    """Return the checked answer of a fallback.

    Raises
    ------
    ContractError
        If it is none.
    """
    return stimulus_from(fallback(late), late.shape)


@dataclass(frozen=True, slots=True, eq=False)
class Substitute:
    """What fires instead, and by which policy; nothing where ``stimulus`` is None."""

    stimulus: Stimulus | None
    policy: str


class Substitutes:
    """Finds what fires instead of a mask; used by the acquisition's thread only.

    Parameters
    ----------
    policy
        ``"skip"``: nothing. ``"previous"``: what fired last at this position in this
        channel. ``"blank"``: the event is taken with a mask that is dark everywhere.
    fallback
        Asked instead of the policy, for each channel; answers as a stimulator does,
        for that channel.
    shape
        (Y, X) of the camera image.
    recorder
        Told when the fallback fails; then nothing fires.
    """

    def __init__(
        self,
        policy: WhenLate,
        fallback: Fallback | None,
        shape: tuple[int, int],
        recorder: Recorder,
    ) -> None:
        self._policy, self._fallback = policy, fallback
        self._shape, self._recorder = shape, recorder
        self._fired: dict[tuple[int, str], Stimulus] = {}

    @property
    def remembers(self) -> bool:
        """Whether it matters what fired before."""
        return self._fallback is not None or self._policy == "previous"

    def fired(self, fov: int, channel: str, stimulus: Stimulus) -> None:
        """Remember what fired at a position in a channel."""
        self._fired[fov, channel] = stimulus

    def instead(self, fov: int, timestep: int, channel: str, reason: str) -> Substitute:
        """Return what fires instead of a mask that is late or failed."""
        previous = self._fired.get((fov, channel))
        if self._fallback is not None:
            late = LateMask(fov, timestep, reason, self._shape, previous, channel)
            return Substitute(self._asked(self._fallback, late), "fallback")
        if self._policy == "previous":
            return Substitute(previous, "previous")
        if self._policy == "blank":
            return Substitute(Stimulus(np.zeros(self._shape, np.uint8)), "blank")
        return Substitute(None, "skip")

    def _asked(self, fallback: Fallback, late: LateMask) -> Stimulus | None:
        """Return the checked answer of a fallback; None if it fails or hangs."""
        answers: list[Stimulus | None] = []
        errors: list[Exception] = []

        def ask() -> None:
            try:
                answers.append(answer_of(fallback, late))
            except Exception as error:  # noqa: BLE001  a plug-in may raise anything
                errors.append(error)

        thread = threading.Thread(target=ask, name="faro-fallback", daemon=True)
        thread.start()
        thread.join(FALLBACK_DEADLINE_S)
        if answers:
            return answers[0]
        hung = TimeoutError(f"the fallback did not answer in {FALLBACK_DEADLINE_S:g} s")
        error: Any = errors[0] if errors else hung
        place = {"fov": late.fov, "timestep": late.timestep}
        self._recorder.error(BackgroundError.of(error, stage="fallback", **place))
        return None
