"""Which stimulator decides on which channel of a pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from faro.errors import FaroError, Problem
from faro.experiment.refusal import nearest
from faro.model import StimChannel
from faro.stimulation import as_stimulator

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from faro.experiment import Channel, RTMEvent
    from faro.model import HardwareFacts
    from faro.protocols import Stimulator

STAGE = "stimulate"


@dataclass(frozen=True, slots=True, eq=False)
class Decider:
    """A stimulator and what it decides on.

    Attributes
    ----------
    stimulator
        What is asked.
    channel
        The channel it decides on, empty for all.
    where
        Its place in the pipeline.
    """

    stimulator: Stimulator
    channel: str = ""
    where: str = "pipeline/stimulator"

    @property
    def stage(self) -> str:
        """What the record calls it."""
        return f"{STAGE}/{self.channel}" if self.channel else STAGE

    def channels_of(self, light: Mapping[str, StimChannel]) -> dict[str, StimChannel]:
        """Return those channels of an event that it decides on."""
        return {n: c for n, c in light.items() if self.channel in ("", n)}


def masked(deciders: Iterable[Decider]) -> bool:
    """Return whether any of them may give a mask, and not only the whole field."""
    return any(getattr(d.stimulator, "masked", True) for d in deciders)


def deciders_from(
    stimulator: object, stimulators: object, problems: list[Problem]
) -> tuple[Decider, ...]:
    """Return who decides, from the words of a pipeline; ``problems`` takes the rest.

    Parameters
    ----------
    stimulator
        One for all channels, or None.
    stimulators
        Channel to the one that decides on it, or None.
    problems
        Is added to.
    """
    given: dict[str, object] = {}
    if stimulator is not None:
        given[""] = stimulator
    if isinstance(stimulators, Mapping):
        given |= {str(name): one for name, one in stimulators.items()}
    elif stimulators is not None:
        what = f"{stimulators!r} is no mapping from channels to stimulators."
        remedy = "Give {'CyanStim': ..., 'RedStim': ...}, or stimulator=... for all."
        problems.append(Problem("pipeline/stimulators", what, remedy))
    if stimulator is not None and stimulators:
        what = "there is a stimulator for all channels, and others for single ones."
        remedy = "Leave stimulator out, and name one for each channel."
        problems.append(Problem("pipeline/stimulators", what, remedy))
    deciders = []
    for channel, component in given.items():
        where = f"pipeline/stimulators/{channel}" if channel else "pipeline/stimulator"
        try:
            deciders.append(Decider(as_stimulator(component), channel, where))
        except FaroError as error:
            problems.append(Problem(where, error.problem, error.remedy))
    return tuple(deciders)


def stim_channels_of(channels: Sequence[Channel]) -> dict[str, StimChannel]:
    """Return what a stimulator hears of channels that give light, by name."""
    return {
        c.config: StimChannel(c.config, c.exposure, c.power, c.group) for c in channels
    }


def lit_by(decider: Decider, events: Sequence[RTMEvent]) -> list[RTMEvent]:
    """Return the events whose light ``decider`` decides on."""
    return [e for e in events if decider.channels_of(stim_channels_of(e.stim_channels))]


def light_problems(
    events: Sequence[RTMEvent], deciders: Sequence[Decider], facts: HardwareFacts
) -> Iterator[Problem]:
    """Yield light that nothing decides on, and channels that give none.

    Parameters
    ----------
    events
        The experiment.
    deciders
        Of its pipeline.
    facts
        A channel that is a preset may be meant for what follows: a warning.
    """
    lit = {c.config: None for event in events for c in event.stim_channels}
    named = [d.channel for d in deciders if d.channel]
    if lit and not deciders:
        what = "the experiment stimulates, but nothing decides where."
        remedy = "Give the pipeline a stimulator, for example WholeField()."
        yield Problem("pipeline/stimulator", what, remedy)
    for channel in lit if named else ():
        if channel not in named:
            what = f"nothing decides on the light of {channel!r}."
            remedy = f"Add a stimulator for {channel!r}, for example NoStimulus."
            yield Problem("pipeline/stimulators", what, remedy)
    presets = {name for names in facts.presets.values() for name in names}
    for decider in deciders:
        if decider.channel and decider.channel not in lit:
            what = f"no event stimulates with {decider.channel!r}."
            remedy = nearest(decider.channel, lit)
            known = decider.channel in presets
            yield Problem(decider.where, what, remedy, "warning" if known else "error")
