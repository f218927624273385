"""Where light goes: each stimulator is asked once what it waits for is there.

A decision is published for each channel as soon as it is known.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from faro.model import LEFT_OUT, NOT_ASKED, NOTHING_TO_LIGHT, Decision
from faro.protocols import StimulationContext, Waits, waits_for
from faro.run.ahead import Ahead
from faro.run.answers import lights_of
from faro.run.board import EVERY_CHANNEL
from faro.run.frozen import frozen, thawed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from faro.analysis import PixelCells
    from faro.model import Stack, Stimulus
    from faro.protocols.analysis import Labels
    from faro.run.attempts import Attempts
    from faro.run.board import DecisionBoard
    from faro.run.deciders import Decider
    from faro.run.jobs import FrameJob
    from faro.run.recorder import Recorder


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What is known of a frame when a stimulator is asked.

    Attributes
    ----------
    cells
        Cells of the main segmenter, None where there are none yet.
    labels
        Name to label image (Y, X).
    failed
        The stage that failed, so that no light is decided on; empty if none did.
    """

    cells: PixelCells | None = None
    labels: Mapping[str, Labels] = field(default_factory=dict)
    failed: str = ""


@dataclass(slots=True)
class _Memory:
    """What one stimulator remembers of one FOV; its size does not grow."""

    previous: dict[str, Stimulus] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)


class Deciding:
    """Asks the stimulators of a pipeline and publishes what they say; never raises.

    A FOV is decided on in frame order: by `settle` where a stimulator waits for no
    more than the image, else by `decide`.

    Parameters
    ----------
    deciders
        Who decides on which channel.
    board, recorder
        Told every decision, one a channel.
    attempts
        Calls the stimulators.
    aimed
        Told a decision and the tracked cells of its frame; before the decision is
        published, if the stimulator waited for them.
    """

    def __init__(
        self,
        deciders: Sequence[Decider],
        board: DecisionBoard,
        recorder: Recorder,
        attempts: Attempts,
        aimed: Callable[[Decision, PixelCells], None],
    ) -> None:
        self._aimed = aimed
        self._deciders = [(d, _stage_of(d)) for d in deciders]
        self._board, self._recorder, self._attempts = board, recorder, attempts
        self._ahead = Ahead(partial(self.decide, stage=Waits.IMAGE, seen=Seen()))
        self._memories: dict[tuple[int, str], _Memory] = {}
        self._kept: dict[tuple[int, str], dict[int, Any]] = {}
        self._lock = threading.Lock()
        self._keeps = recorder.keeps

    def announce(self, job: FrameJob) -> None:
        """Take note of a frame that is about to be segmented, in order per FOV."""
        if Waits.IMAGE in self._stages(job):
            self._ahead.announce(job)

    def settle(self, fov: int) -> None:
        """Decide on all frames of ``fov`` that need not be segmented."""
        self._ahead.settle(fov)

    def decide(self, job: FrameJob, stage: Waits, seen: Seen) -> None:
        """Ask those who waited for ``stage``, and publish their decisions."""
        stages = self._stages(job)
        for decider, waits in self._deciders:
            if waits is stage and (light := decider.channels_of(job.light)):
                reason, lights = self._asked(job, decider, seen)
                last = stage is max(stages)
                decided_s = job.stamps.mark("decided") if last else job.stamps.clock()
                for name in light:
                    why = reason or _reason(name, lights)
                    known = seen.cells if stage is Waits.TRACKS else None
                    self._publish(job, name, lights.get(name), why, decided_s, known)
                if waits is Waits.IMAGE and self._keeps:
                    self._keep(job, decider)
        if stage is Waits.TRACKS:
            self._aim_early(job, seen.cells)
            self._not_asked(job)

    def give_up(self, job: FrameJob, reason: str) -> None:
        """Decide on no light where nothing is decided yet; a FOV goes on without.

        Whoever still hangs on the frame keeps the memory that it has.
        """
        decided_s = job.stamps.clock()
        for name in job.light or (EVERY_CHANNEL,):
            self._publish(job, name, None, reason, decided_s)
        with self._lock:
            for decider, waits in self._deciders:
                old = self._memories.get((job.moment.fov, decider.channel))
                if old is not None and waits is not Waits.IMAGE:
                    fresh = _Memory(notes=dict(old.notes))
                    self._memories[job.moment.fov, decider.channel] = fresh

    def state(self, job: FrameJob) -> dict[str, Any]:
        """Return what is remembered of a FOV after a frame, `frozen`, by decider.

        Asked in frame order per FOV; what was decided ahead of the frame is left out.
        """
        found, at = {}, job.moment
        for decider, waits in self._deciders:
            key = at.fov, decider.channel
            if waits is not Waits.IMAGE and key in self._memories:
                self._keep(job, decider)
            with self._lock:
                kept = self._kept.get(key, {})
                for old in sorted(t for t in kept if t <= at.timestep)[:-1]:
                    del kept[old]
                known = [t for t in kept if t <= at.timestep]
                if known:
                    found[decider.channel] = kept[known[0]]
        return found

    def restore(self, fov: int, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        with self._lock:
            for channel, words in state.items():
                memory = _Memory(thawed(words["previous"]), thawed(words["notes"]))
                self._memories[fov, channel] = memory
                self._kept[fov, channel] = {-1: words}

    def lights_of(self, fov: int) -> dict[str, Stimulus]:
        """Return the light that was decided last at a FOV, by channel."""
        found: dict[str, Stimulus] = {}
        for (place, _), memory in self._memories.items():
            found |= memory.previous if place == fov else {}
        return found

    def _keep(self, job: FrameJob, decider: Decider) -> None:
        """Keep what is remembered now as that of a frame."""
        at, memory = job.moment, self._memory_of(job.moment.fov, decider)

        def freeze(_: Stack) -> dict[str, Any]:
            where = f"context.memory of {type(decider.stimulator).__name__}"
            previous = frozen(memory.previous, where)
            return {"previous": previous, "notes": frozen(memory.notes, where)}

        words = self._attempts.make(job, f"{decider.stage}/state", freeze)
        with self._lock:
            if words is not None:
                kept = self._kept.setdefault((at.fov, decider.channel), {})
                kept[at.timestep] = words

    def _stages(self, job: FrameJob) -> set[Waits]:
        """Return what those wait for who decide on this frame."""
        return {w for d, w in self._deciders if d.channels_of(job.light)}

    def _asked(
        self, job: FrameJob, decider: Decider, seen: Seen
    ) -> tuple[str, dict[str, Stimulus | None]]:
        """Return why there is no answer, or the answers by channel."""
        if seen.failed:
            return f"failed: {seen.failed}", {}
        memory = self._memory_of(job.moment.fov, decider)

        def ask(stack: Stack) -> dict[str, Stimulus | None]:
            context = StimulationContext(
                stack,
                seen.cells,
                seen.labels,
                stack.metadata,
                memory.previous,
                memory.notes,
                decider.channels_of(job.light),
            )
            return lights_of(decider.stimulator, context)

        lights = self._attempts.make(job, decider.stage, ask)
        memory.previous = {n: s for n, s in (lights or {}).items() if s is not None}
        return ("", lights) if lights is not None else (f"failed: {decider.stage}", {})

    def _aim_early(self, job: FrameJob, cells: PixelCells | None) -> None:
        """Tell whom those light who did not wait for the tracks."""
        for decider, waits in self._deciders:
            early = cells is not None and waits is not Waits.TRACKS
            for name in decider.channels_of(job.light) if early else ():
                at = job.moment
                decision = self._board.wait(at.fov, at.timestep, name, 0.0)
                if decision is not None and cells is not None:
                    self._aimed(decision, cells)

    def _not_asked(self, job: FrameJob) -> None:
        """Publish that nobody decides on a frame, or on some of its channels."""
        asked = {n for d, _ in self._deciders for n in d.channels_of(job.light)}
        left = [name for name in job.light if name not in asked]
        decided_s = job.stamps.clock() if asked else job.stamps.mark("decided")
        for name in left if job.light else (EVERY_CHANNEL,):
            self._publish(job, name, None, NOT_ASKED, decided_s)

    def _memory_of(self, fov: int, decider: Decider) -> _Memory:
        with self._lock:
            return self._memories.setdefault((fov, decider.channel), _Memory())

    def _publish(
        self,
        job: FrameJob,
        channel: str,
        stimulus: Stimulus | None,
        reason: str,
        decided_s: float,
        cells: PixelCells | None = None,
    ) -> None:
        """Tell and record a decision, unless there is one on this channel."""
        at = job.moment
        decision = Decision(
            at.fov, at.timestep, stimulus, reason, decided_s, channel=channel
        )
        if cells is not None:
            self._aimed(decision, cells)
        known = self._recorder.has_decision(at.fov, at.timestep, channel)
        if self._board.publish(decision) and channel != EVERY_CHANNEL and not known:
            self._recorder.note(
                "stim_decided",
                fov=at.fov,
                timestep=at.timestep,
                channel=channel,
                reason=reason,
                lit_fraction=stimulus.lit_fraction if stimulus else 0.0,
                note=dict(stimulus.note) if stimulus else {},
            )


def _stage_of(decider: Decider) -> Waits:
    """Return when a stimulator is asked: by the image, the labels, or the tracks."""
    return max(Waits.IMAGE, waits_for(decider.stimulator))


def _reason(name: str, lights: Mapping[str, Stimulus | None]) -> str:
    """Return what the record says of the answer for a channel."""
    if name not in lights:
        return LEFT_OUT
    return NOTHING_TO_LIGHT if lights[name] is None else "ok"
