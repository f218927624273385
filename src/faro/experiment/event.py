"""What happens at one position at one timepoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import useq
from pydantic import Field, NonNegativeInt, field_validator

from faro.experiment.channel import AnyChannel, Channel
from faro.experiment.refusal import Refusing

Seconds: TypeAlias = float
"""Seconds since the experiment started, >= 0."""
Micrometres: TypeAlias = float
"""Stage coordinate."""

LEAVE_OUT = "Leave it out."
WAIT_KEY = "wait"
"""Key of the metadata that says a wait; see `faro.experiment.waiting.WAIT`."""
MORE = {
    "z_planes",
    "image_order",
    "autofocus",
    "autofocus_at",
    "keep_shutter_open_across",
    "keep_shutter_open",
    "properties",
    "reset_event_timer",
}
"""Fields that are in ``events.json`` only where they say something."""


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
    z_planes
        Stage z of the planes of the imaging channels, um, in the order in which they
        are taken; empty for one plane, at ``z_pos``. Light and references are taken at
        ``z_pos``, or in the middle plane if there is none.
    image_order
        ``"cz"``: all planes of a channel, then the next channel. ``"zc"``: all
        channels in a plane, then the next plane.
    autofocus, autofocus_at
        Hardware autofocus before the first exposure (``"start"``), and before images
        of another channel (``"c"``) or plane (``"z"``) than the one before.
    keep_shutter_open_across
        ``"c"``, ``"z"``: the shutter stays open between images that differ in no more.
    keep_shutter_open
        Whether it stays open after the last image, until the image that comes next; it
        is closed if light, a reference, the autofocus or a later start comes before
        that.
    properties
        (device, property, value) to set at the first exposure.
    reset_event_timer
        Whether the clock restarts here: if the event begins late, the starts of all
        that come after it are as much later. Start times count from the start of the
        experiment all the same.

    Raises
    ------
    ExperimentError
        If a value is out of range, a word is unknown, or says something that useq
        knows and this version does not execute.

    Examples
    --------
    >>> event = RTMEvent(index={"t": 3, "p": 1}, channels=["DAPI"])
    >>> event.timestep, event.fov, event.has_stim
    (3, 1, False)
    """

    refused: ClassVar[Mapping[str, str]] = {
        "channel": "Use channels=(...).",
        "exposure": "Give each channel its exposure: Channel(config, exposure).",
        "slm_image": "Use stim_channels=(...) and a stimulator.",
        "roi": "Set the ROI before the run.",
        "action": LEAVE_OUT,
    }

    channels: tuple[AnyChannel, ...] = ()
    stim_channels: tuple[AnyChannel, ...] = ()
    ref_channels: tuple[AnyChannel, ...] = ()
    index: dict[str, NonNegativeInt]  # type: ignore[assignment]  # useq wraps a dict
    min_start_time: Seconds | None = Field(default=None, ge=0, allow_inf_nan=False)
    x_pos: Micrometres | None = Field(default=None, allow_inf_nan=False)
    y_pos: Micrometres | None = Field(default=None, allow_inf_nan=False)
    z_pos: Micrometres | None = Field(default=None, allow_inf_nan=False)
    z_planes: tuple[Annotated[float, Field(allow_inf_nan=False)], ...] = ()
    image_order: Literal["cz", "zc"] = "cz"
    autofocus: useq.HardwareAutofocus | None = None
    autofocus_at: tuple[Literal["start", "c", "z"], ...] = ()
    keep_shutter_open_across: tuple[Literal["c", "z"], ...] = ()

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

    @field_validator("channels", "stim_channels", "ref_channels", mode="after")
    @classmethod
    def _is_taken_now(cls, channels: tuple[Channel, ...]) -> tuple[Channel, ...]:
        """Refuse what only a sequence can say: an event is one timepoint."""
        for channel in channels:
            if channel.acquire_every != 1:
                message = "Leave acquire_every out: an event is one timepoint"
                raise ValueError(message)
        return channels

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

    @property
    def reference_z_um(self) -> Micrometres | None:
        """Stage z of light and references, um; None stays where it is."""
        planes = self.z_planes
        return self.z_pos if self.z_pos is not None or not planes else middle(planes)

    def words(self) -> dict[str, Any]:
        """Return the event as in ``events.json``; what it does not say is left out."""
        more = self.model_dump(mode="json", include=MORE, exclude_defaults=True)
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
            **more,
        }


def middle(planes: Sequence[Micrometres]) -> Micrometres:
    """Return the plane of channels without a stack, as useq has it."""
    return planes[len(planes) // 2]
