"""What happens at one position at one timepoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeAlias

import useq
from pydantic import Field, NonNegativeInt, field_validator

from faro.experiment.channel import AnyChannel
from faro.experiment.refusal import Refusing

Seconds: TypeAlias = float
"""Seconds since the experiment started, >= 0."""
Micrometres: TypeAlias = float
"""Stage coordinate."""

LEAVE_OUT = "Leave it out."


class RTMEvent(Refusing, useq.MDAEvent):
    """All exposures of one position at one timepoint. Frozen, any thread.

    Attributes
    ----------
    index
        ``{"t": timestep, "p": fov}``.
    channels, stim_channels, ref_channels
        What is imaged, what gives light, what is recorded but not analysed.
    x_pos, y_pos, z_pos
        Stage, um; None stays where it is.
    pos_name
        Name of the position.
    min_start_time
        Seconds since the experiment started, >= 0; None is as soon as possible.
    metadata
        What is said about this event (treatment, arm, ...), JSON-able.

    Raises
    ------
    ExperimentError
        If a value is out of range, a word is unknown, or says something that useq
        knows and this version does not execute.

    >>> event = RTMEvent(index={"t": 3, "p": 1}, channels=["DAPI"])
    >>> event.timestep, event.fov, event.has_stim
    (3, 1, False)
    """

    refused: ClassVar[Mapping[str, str]] = {
        "channel": "Use channels=(...).",
        "exposure": "Give each channel its exposure: Channel(config, exposure).",
        "slm_image": "Use stim_channels=(...) and a stimulator.",
        "properties": "Use PowerChannel(..., power=...) for light levels.",
        "roi": "Set the ROI before the run.",
        "action": LEAVE_OUT,
        "keep_shutter_open": LEAVE_OUT,
        "reset_event_timer": "Count min_start_time from the start of the experiment.",
    }

    channels: tuple[AnyChannel, ...] = ()
    stim_channels: tuple[AnyChannel, ...] = ()
    ref_channels: tuple[AnyChannel, ...] = ()
    index: dict[str, NonNegativeInt]  # type: ignore[assignment]  # useq wraps a dict
    min_start_time: Seconds | None = Field(default=None, ge=0, allow_inf_nan=False)
    x_pos: Micrometres | None = Field(default=None, allow_inf_nan=False)
    y_pos: Micrometres | None = Field(default=None, allow_inf_nan=False)
    z_pos: Micrometres | None = Field(default=None, allow_inf_nan=False)

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)

    @field_validator("index", mode="after")
    @classmethod
    def _knows_where_and_when(cls, index: dict[str, int]) -> dict[str, int]:
        """Refuse an index that has other axes than t and p."""
        if set(index) != {"t", "p"}:
            message = "An event has one timestep and one position: {'t': 0, 'p': 0}"
            raise ValueError(message)
        return index

    @property
    def fov(self) -> int:
        """Position index ``p``."""
        return self.index["p"]

    @property
    def timestep(self) -> int:
        """Time index ``t``."""
        return self.index["t"]

    @property
    def has_stim(self) -> bool:
        """Whether light is given."""
        return bool(self.stim_channels)

    @property
    def position_um(
        self,
    ) -> tuple[Micrometres | None, Micrometres | None, Micrometres | None]:
        """Stage (x, y, z), um; None stays where it is."""
        return self.x_pos, self.y_pos, self.z_pos

    def words(self) -> dict[str, Any]:
        """Return the event as in ``events.json``."""
        return {
            "index": {"t": self.timestep, "p": self.fov},
            "channels": [c.words() for c in self.channels],
            "stim_channels": [c.words() for c in self.stim_channels],
            "ref_channels": [c.words() for c in self.ref_channels],
            "x_pos": self.x_pos,
            "y_pos": self.y_pos,
            "z_pos": self.z_pos,
            "pos_name": self.pos_name,
            "min_start_time": self.min_start_time,
            "metadata": dict(self.metadata),
        }
