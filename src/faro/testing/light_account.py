"""Light on an injected clock, with late masks, lost frames and kills, accounted for.

The camera side of the loop (`EventFeed`, `Assembler`, `Gate`, `DecisionBoard`,
`Substitutes`, `Recorder`) is driven without threads of its own; seconds pass only where
something is exposed or waited for. Decisions come soon, at the last moment, late,
twice or never; exposures fail; the process ends at any event, and what is left is
taken up from the journal. `account` says what is wrong with the record afterwards.
"""

from __future__ import annotations

import heapq
import itertools
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from faro.experiment import RTMEvent, plan
from faro.microscope.dmd import DMD
from faro.model import Decision, FrameRole, Stimulus
from faro.policies import DoseRules
from faro.run.acquisition import EventFeed, LoopParts
from faro.run.assembler import Assembler
from faro.run.board import DecisionBoard
from faro.run.clock import RunClock
from faro.run.dosing import LightMeter
from faro.run.gate import Gate
from faro.run.late import Substitutes, WhenLate
from faro.run.losses import Losses
from faro.run.notices import Notices
from faro.run.recorder import Recorder, mask_sha256
from faro.run.remaining import remaining
from faro.run.so_far import ARMED, folded
from faro.run.state import StateMachine
from faro.testing.canned import CannedMicroscope
from faro.testing.memory import MemorySink

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from useq import MDAEvent

    from faro.experiment import PlannedEvent
    from faro.model import Stack
    from faro.run.moments import Moment

SHAPE: Final = (4, 32)
LIGHTS: Final = ("CyanStim", "RedStim")
DEADLINE_S: Final = 3.0
EXPOSURE_S: Final = 0.1
ARRIVALS: Final = {
    "soon": 0.2,
    "in time": DEADLINE_S,
    "late": 1.1 * DEADLINE_S,
    "very late": 9 * DEADLINE_S,
}
"""Seconds from a frame to its decision."""
TROUBLES: Final = (*ARRIVALS, "soon", "soon", "never", "failed", "dark", "twice")

Light = tuple[int, int, str]


def mask_of(fov: int, timestep: int, *, again: bool = False) -> npt.NDArray[np.uint8]:
    """Return a mask (Y, X) that says of which frame it is."""
    mask = np.zeros(SHAPE, np.uint8)
    for row, number in enumerate((fov + 1, timestep + 1, int(again))):
        bits = [number >> bit & 1 for bit in range(SHAPE[1])]
        mask[row] = np.array(bits, np.uint8) * 255
    return mask


class Seconds:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return them."""
        return self.now


class LateBoard(DecisionBoard):
    """Decisions that come when the injected clock says so."""

    def __init__(self, seconds: Seconds) -> None:
        super().__init__()
        self._seconds = seconds
        self._coming: list[tuple[float, int, Decision]] = []
        self._count = itertools.count()

    def expect(self, after_s: float, decision: Decision) -> None:
        """Have a decision come later."""
        entry = self._seconds.now + after_s, next(self._count), decision
        heapq.heappush(self._coming, entry)

    def wait(
        self, fov: int, timestep: int, channel: str, timeout_s: float
    ) -> Decision | None:
        """Return a decision, or None when the clock stands at the deadline."""
        ends_s = self._seconds.now + timeout_s
        while True:
            while self._coming and self._coming[0][0] <= self._seconds.now:
                self.publish(heapq.heappop(self._coming)[2])
            found = super().wait(fov, timestep, channel, 0.0)
            if found is not None or self._seconds.now >= ends_s:
                return found
            next_s = self._coming[0][0] if self._coming else ends_s
            self._seconds.now = min(next_s, ends_s)


@dataclass
class KilledSink(MemorySink):
    """Journals frames as a writer does; after the kill nothing comes any more."""

    killed: bool = False

    def store_stack(self, stack: Stack, times: Mapping[str, float]) -> None:
        """Keep the line of a stack, not its pixels."""
        del times
        place = {"fov": stack.fov, "timestep": stack.timestep, "role": str(stack.role)}
        self.record("frame", **place, channels=list(stack.channels))

    def record(self, kind: str, **facts: Any) -> None:
        """Keep a line, unless the process is gone."""
        if not self.killed:
            super().record(kind, **facts)


@dataclass(slots=True)
class Shot:
    """Light that was given: where, what the SLM showed, and where the stage was."""

    light: Light
    pattern: npt.NDArray[np.uint8]
    x_um: float
    n_lines: int


@dataclass(slots=True)
class Scene:
    """One experiment with its troubles.

    Attributes
    ----------
    sink
        Its journal.
    shots
        All light that was given.
    steps
        The whole plan.
    """

    seed: int
    mode: str
    policy: WhenLate
    sink: KilledSink
    steps: list[PlannedEvent]
    shots: list[Shot] = field(default_factory=list)
    masks: dict[str | None, npt.NDArray[np.uint8]] = field(default_factory=dict)
    seconds: Seconds = field(default_factory=Seconds)
    x_um: float = -1.0

    def live(self, dice: random.Random, dies_at: int | None) -> bool:
        """Carry out what is left; return False if the process died before its end."""
        so_far = folded(self.sink.lines)
        self.sink.killed = False
        life = _Life(self, dice)
        life.recorder.go_on(so_far)
        for fov, timestep, channel in so_far.unconfirmed:
            facts = {"fov": fov, "timestep": timestep, "channel": channel}
            life.recorder.note("stim_unconfirmed", **facts)
        for line in so_far.light_lines:
            stimulus = Stimulus(self.masks[line["mask_sha256"]])
            life.substitutes.fired(line["fov"], line["channel"], stimulus)
        for fov, timestep in so_far.places:
            life.decide(fov, timestep)
        left = remaining(self.steps, so_far)
        whole = life.carry_out(left, dies_at)
        self.sink.killed = not whole
        assert life.recorder.finish({}, 30.0)
        return whole


class _Life:
    """The camera side of one process."""

    def __init__(self, scene: Scene, dice: random.Random) -> None:
        self._scene, self._dice = scene, dice
        self.microscope = CannedMicroscope(
            lambda *_: np.zeros(SHAPE, np.uint16),
            SHAPE,
            ("miRFP", *LIGHTS),
            dmd=DMD(SHAPE, affine=np.eye(3)),
        )
        seconds = scene.seconds
        clock, notices = RunClock(seconds, lambda: 0), Notices()
        self.board = LateBoard(seconds)
        self.recorder = Recorder(scene.sink, clock, _raise)
        given = self.recorder, notices, StateMachine(), lambda _: None
        gate = Gate(clock, *given)
        gate.pace = float("inf")
        self.substitutes = Substitutes(scene.policy, None, SHAPE, self.recorder)
        facts = self.microscope.facts()
        self.parts = LoopParts(
            self.microscope,
            clock,
            self.board,
            self.recorder,
            notices,
            gate,
            self.substitutes,
            Losses(0, lambda *_: None),
            lambda channel: f"stim_mask_{channel}",
            0.0,
            LightMeter(DoseRules(), self.recorder, clock, facts),
        )
        taken = self._deliver, self._give_up, 0.65
        self.assembler = Assembler(clock, self.recorder, notices, *taken)

    def decide(self, fov: int, timestep: int) -> None:
        """Have the decisions on a frame come, or not."""
        for channel in LIGHTS:
            trouble = self._dice.choice(TROUBLES)
            mine = Stimulus(mask_of(fov, timestep))
            good = Decision(fov, timestep, mine, channel=channel)
            if trouble in ARRIVALS:
                self.board.expect(ARRIVALS[trouble], good)
            elif trouble == "twice":
                other = Stimulus(mask_of(fov, timestep, again=True))
                self.board.expect(0.1, good)
                second = Decision(fov, timestep, other, channel=channel)
                self.board.expect(0.3, second)
            elif trouble != "never":
                why = "failed: stimulate" if trouble == "failed" else "nothing to light"
                none = Decision(fov, timestep, None, why, channel=channel)
                self.board.expect(0.2, none)

    def carry_out(self, steps: Iterator[PlannedEvent], dies_at: int | None) -> bool:
        """Take all exposures; return False if the process dies at event ``dies_at``."""
        feed = EventFeed(steps, self.parts, self.assembler, DEADLINE_S)
        for number, event in enumerate(feed):
            dies = number == dies_at
            if dies and self._dice.random() < 0.5:
                return False
            self._scene.seconds.now += EXPOSURE_S
            self._expose(event, heard=not dies)
            if dies:
                return False
        self.assembler.close()
        return True

    def _expose(self, event: MDAEvent, *, heard: bool) -> None:
        """Give light, and the frame if anyone is left to hear of it."""
        scene, facts = self._scene, event.metadata["faro"]
        fails = self._dice.random() < 0.06
        if event.x_pos is not None:
            scene.x_um = event.x_pos
        if event.slm_image is not None and not fails:
            pattern = np.array(event.slm_image.data, np.uint8)
            light = facts["fov"], facts["timestep"], facts["channel"]
            scene.shots.append(Shot(light, pattern, scene.x_um, len(scene.sink.lines)))
        if heard and fails:
            self.assembler.missing(event, RuntimeError("it does not answer"))
        elif heard:
            when = {"acquired_monotonic_s": scene.seconds.now}
            self.assembler.frame(np.zeros(SHAPE, np.uint16), event, when)

    def _deliver(self, moment: Moment, _: object) -> None:
        if moment.role is FrameRole.IMAGE:
            self.decide(moment.fov, moment.timestep)

    def _give_up(self, fov: int, timestep: int, reason: str) -> None:
        self.board.publish(Decision(fov, timestep, None, reason))


def _raise(error: Exception) -> None:
    raise error


def staged(
    seed: int, mode: str, policy: WhenLate, folder: Path, size: tuple[int, int]
) -> Scene:
    """Return an experiment of (FOVs, timepoints) that is carried out with its kills.

    Parameters
    ----------
    seed
        Of latencies, failures and kills.
    mode, policy
        Stimulation mode, and what fires where a mask is late.
    folder
        An existing one.
    size
        FOVs and timepoints; two stimulations at each.
    """
    events = [
        RTMEvent(
            index={"t": t, "p": p},
            channels=["miRFP"],
            stim_channels=LIGHTS,
            x_pos=100.0 * p,
            y_pos=0.0,
        )
        for t in range(size[1])
        for p in range(size[0])
    ]
    steps = list(plan(events, stim_mode=mode))
    scene = Scene(seed, mode, policy, KilledSink(folder), steps)
    for fov, timestep in itertools.product(range(size[0]), range(size[1])):
        for again in (False, True):
            mask = mask_of(fov, timestep, again=again)
            scene.masks[mask_sha256(mask)] = mask
    scene.masks[mask_sha256(np.zeros(SHAPE, np.uint8))] = np.zeros(SHAPE, np.uint8)
    dice = random.Random(seed)
    kills = [dice.randrange(len(steps)) for _ in range(dice.randrange(4))]
    while not scene.live(dice, kills.pop() if kills else None):
        pass
    return scene


def account(scene: Scene) -> list[str]:
    """Return what is wrong: light without a record, or of another frame or place."""
    lines = scene.sink.lines
    lights = folded(lines).lights
    asked = {
        (s.fov, s.timestep, s.channel.config): s
        for s in scene.steps
        if s.role is FrameRole.STIM
    }
    wrong = [f"{light} has no record" for light in asked if light not in lights]
    missing = {
        (line["fov"], line["timestep"], line["channel"])
        for line in lines
        if line["kind"] == "frame_missing" and line["role"] == str(FrameRole.STIM)
    }
    still_armed = {light for light, what in lights.items() if what == ARMED}
    wrong += [f"{light} was left open" for light in still_armed - missing]
    armed: dict[Light, tuple[int, Mapping[str, Any]]] = {}
    before: dict[tuple[int, str], str | None] = {}
    for number, line in enumerate(lines):
        if line["kind"] == "stim_armed":
            light = line["fov"], line["timestep"], line["channel"]
            if light in armed:
                wrong.append(f"{light} was armed twice")
            armed[light] = number, line
            where = light[0], light[2]
            wrong += _misdirected(line, asked[light], before.get(where), scene)
            before[where] = line["mask_sha256"]
    return [*wrong, *_unaccounted(scene.shots, armed)]


def _misdirected(
    line: Mapping[str, Any], step: PlannedEvent, before: str | None, scene: Scene
) -> Iterator[str]:
    """Yield why an armed mask is not the one that is due there."""
    found = line["mask_sha256"]
    policy = line.get("policy", "")
    if policy == "previous":
        expected = before
    elif policy == "blank":
        expected = mask_sha256(np.zeros(SHAPE, np.uint8))
    else:
        source = step.mask_from or (-1, -1)
        expected = mask_sha256(mask_of(*source))
        if line["armed_s"] > max(line["due_s"], line["asked_s"]) + 1e-9:
            yield f"{line} came after its deadline"
        if line["from_timestep"] != source[1]:
            yield f"{line} says another frame than {source}"
    if policy not in ("", scene.policy):
        yield f"{line} follows a policy that was not declared"
    if found != expected:
        yield f"{line} is the mask of another frame"


def _unaccounted(
    shots: list[Shot], armed: Mapping[Light, tuple[int, Mapping[str, Any]]]
) -> Iterator[str]:
    """Yield light that is not on record as it was given."""
    seen: set[Light] = set()
    for shot in shots:
        if shot.light in seen:
            yield f"{shot.light} fired twice"
        seen.add(shot.light)
        number, line = armed.get(shot.light, (len(armed) * 10**6, {}))
        if number >= shot.n_lines:
            yield f"{shot.light} fired before it was on record"
        elif mask_sha256(shot.pattern) != line["mask_sha256"]:
            yield f"{shot.light} fired another mask than is on record"
        if shot.x_um != 100.0 * shot.light[0]:
            yield f"{shot.light} fired at x = {shot.x_um:g} um"
