"""What one exposure is taken with: a preset, an exposure, a light level."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, TypeAlias

import useq
from pydantic import BeforeValidator, Field

from faro.errors import Problem
from faro.experiment.refusal import ExperimentError, Refusing

Milliseconds: TypeAlias = float
"""Exposure time, > 0."""
Power: TypeAlias = float
"""Light level in the unit of the device, mostly percent, >= 0."""


PLANE_WORDS: dict[str, Any] = {"do_stack": True, "z_offset": 0.0, "acquire_every": 1}
"""What useq says about planes and timepoints of a channel, with the defaults."""


class Channel(Refusing, useq.Channel):
    """A preset and how long it is exposed. Frozen, any thread.

    Parameters
    ----------
    config
        Name of the preset.
    exposure
        Milliseconds, > 0; None leaves the camera as it is.
    group
        Config group of the preset; None for the one that holds it.
    do_stack
        Whether it is taken in all planes of a z plan; if not, in the middle one.
    z_offset
        Micrometres above the planes, or above the place of light and references.
    acquire_every
        Taken at timesteps 0, n, 2n, ... of its sequence.

    Raises
    ------
    ExperimentError
        If a value is out of range or a word is unknown.

    Examples
    --------
    >>> Channel("DAPI", 50)
    Channel(config='DAPI', exposure=50.0)
    """

    refused: ClassVar[Mapping[str, str]] = {
        "camera": "Leave it out and choose the camera in the preset.",
        "power": "Use PowerChannel(config, exposure, group, power).",
    }

    config: str = Field(min_length=1)
    group: str | None = None  # type: ignore[assignment]  # None: looked up by the rig
    exposure: Milliseconds | None = Field(default=None, gt=0, allow_inf_nan=False)
    power: Power | None = Field(default=None, ge=0, allow_inf_nan=False)
    z_offset: float = Field(default=0.0, allow_inf_nan=False)

    def __init__(
        self,
        config: str,
        exposure: Milliseconds | None = None,
        group: str | None = None,
        **other: Any,
    ) -> None:
        super().__init__(config=config, exposure=exposure, group=group, **other)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Channel):
            return NotImplemented
        return self._what_it_says() == other._what_it_says()

    def __hash__(self) -> int:
        return hash(self._what_it_says())

    def _what_it_says(self) -> tuple[Any, ...]:
        planes = self.do_stack, self.z_offset, self.acquire_every
        return self.config, self.exposure, self.group, self.power, *planes

    def exposed(self, exposure: Milliseconds) -> Channel:
        """Return this channel with another exposure in ms; group and power stay.

        >>> PowerChannel("Cyan", 50, power=10).exposed(200)
        PowerChannel(config='Cyan', exposure=200.0, power=10.0)
        """
        return channel_from({**self.words(), "exposure": exposure})

    def words(self) -> dict[str, Any]:
        """Return the channel as in ``events.json``.

        >>> Channel("DAPI", 50).words()
        {'config': 'DAPI', 'exposure': 50.0, 'group': None}
        """
        said: dict[str, Any] = {"config": self.config, "exposure": self.exposure}
        said["group"] = self.group
        if self.power is not None:
            said["power"] = self.power
        planes = {name: getattr(self, name) for name in PLANE_WORDS}
        return said | {n: v for n, v in planes.items() if v != PLANE_WORDS[n]}

    def always(self) -> Channel:
        """Return this channel without ``acquire_every``: for a moment it is taken."""
        if self.acquire_every == 1:
            return self
        return channel_from({**self.words(), "acquire_every": 1})


class PowerChannel(Channel):
    """A channel that also sets how bright the light is. Frozen, any thread.

    Parameters
    ----------
    config
        Name of the preset.
    exposure
        Milliseconds, > 0; None leaves the camera as it is.
    group
        Config group of the preset; None for the one that holds it.
    power
        Light level in the unit of the device, >= 0; None leaves it as the preset
        sets it.

    Examples
    --------
    >>> PowerChannel("CyanStim", 200, power=10)
    PowerChannel(config='CyanStim', exposure=200.0, power=10.0)
    """

    refused: ClassVar[Mapping[str, str]] = {
        name: remedy for name, remedy in Channel.refused.items() if name != "power"
    }

    def __init__(
        self,
        config: str,
        exposure: Milliseconds | None = None,
        group: str | None = None,
        power: Power | None = None,
        **other: Any,
    ) -> None:
        super().__init__(config, exposure, group, power=power, **other)


def channel_from(value: object) -> Channel:
    """Return what ``value`` says as a `Channel`, a `PowerChannel` if it has a power.

    Takes a name, a channel of ours or of useq, or a mapping.

    Raises
    ------
    ExperimentError
        If it says something wrong, or something that is not executed.
    """
    if isinstance(value, Channel):
        return value
    if isinstance(value, str):
        return Channel(value)
    if isinstance(value, useq.Channel):
        said = value.model_dump()
        if "group" not in value.model_fields_set:
            del said["group"]
        return Channel(**said)
    if isinstance(value, Mapping):
        if "config" not in value:
            what = f"{dict(value)!r} names no preset."
            raise ExperimentError([Problem("config", what, "Give config='...'.")])
        powered = value.get("power") is not None
        return (PowerChannel if powered else Channel)(**value)
    what = f"{value!r} is not a channel."
    remedy = "Give a name, Channel(...) or PowerChannel(...)."
    raise ExperimentError([Problem("channel", what, remedy)])


AnyChannel = Annotated[Channel, BeforeValidator(channel_from)]
"""Field type: a channel in any of its spellings."""
