"""The image of a position, live: contrast, outlines, track ids, the fired mask."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from nicegui import ui

from faro.errors import FaroError

if TYPE_CHECKING:
    from faro.view.dashboard.drawing import Pictures
    from faro.view.dashboard.live import Live, Snapshot

SIDE_PX: Final = 896
"""Longer side of the pictures: what a page has room for."""


class ImageView:
    """A picture that follows the newest image of the position that is chosen.

    Parameters
    ----------
    live
        What is known of the run.
    pictures
        Draws them.
    """

    title = "Image"

    def __init__(self, live: Live, pictures: Pictures) -> None:
        self._live, self._pictures = live, pictures
        self._shown = self._limits_of = ""
        self._n_times = 0

    def build(self) -> None:
        """Lay out the controls and the picture."""
        stored, names = self._live.run, self._live.run.fov_names
        fovs = {fov: names.get(fov) or f"position {fov}" for fov in stored.fovs}
        with ui.row().classes("items-center gap-4"):
            first = next(iter(fovs), None)
            self.fov = ui.select(fovs, value=first, label="Position")
            self.fov.classes("w-48 faro-fov")
            channels = list(stored.channels)
            self.channel = ui.select(channels, value=next(iter(channels), None))
            self.channel.props('label="Channel"').classes("w-40 faro-channel")
            self.outlines = ui.switch("outlines", value=True).classes("faro-outlines")
            self.ids = ui.switch("track ids", value=True).classes("faro-ids")
            self.mask = ui.switch("fired mask", value=True).classes("faro-mask")
            self.caption = ui.label("").classes("faro-caption")
        with ui.row().classes("items-center gap-4 w-full max-w-4xl no-wrap"):
            self.auto = ui.switch("auto contrast", value=True).classes("faro-auto")
            self.contrast = ui.range(min=0, max=65535, value={"min": 0, "max": 65535})
            self.contrast.props("label").classes("grow faro-contrast")
        with ui.row().classes("items-center gap-4 w-full max-w-4xl no-wrap"):
            self.follow = ui.switch("newest", value=True).classes("faro-follow")
            self.time = ui.slider(min=0, max=1, value=0).props("label")
            self.time.classes("grow faro-time")
        self.image = ui.interactive_image().classes("faro-image")
        self.image.style("width: min(100%, 78vh); image-rendering: auto")

    async def refresh(self, now: Snapshot) -> None:
        """Show what is wanted now, if it is another picture than before."""
        place = now.places.get(self.fov.value)
        if place is None or place.timestep < 0 or not self.channel.value:
            self.caption.text = "no image yet"
            return
        self._bound_time(place.timestep)
        timestep = place.timestep if self.follow.value else int(self.time.value)
        if self.follow.value:
            self.time.value = timestep
        await self._find_contrast(timestep)
        low, high = (int(self.contrast.value[end]) for end in ("min", "max"))
        asked = {"channel": self.channel.value, "rev": place.revision, "side": SIDE_PX}
        if not self.auto.value:
            asked |= {"low": low, "high": high}
        drawn = ("outlines", "ids", "mask")
        asked |= {name: int(getattr(self, name).value) for name in drawn}
        source = f"/image/{self.fov.value}/{timestep}?{urlencode(asked)}"
        if source != self._shown:
            self._shown = source
            self.image.set_source(source)
            self.caption.text = f"t {timestep}"

    def _bound_time(self, newest: int) -> None:
        if newest != self._n_times:
            self._n_times = newest
            self.time.props(f"max={max(1, newest)}")

    async def _find_contrast(self, timestep: int) -> None:
        """Set the slider to what is found, once for each position and channel."""
        key = f"{self.fov.value} {self.channel.value} {self.auto.value}"
        if not self.auto.value or key == self._limits_of:
            return
        place = self.fov.value, timestep, self.channel.value
        try:
            low, high = await asyncio.to_thread(self._pictures.limits, *place)
        except FaroError:
            return
        self._limits_of = key
        most = 255 if self._live.run.image_dtype == "uint8" else 65535
        self.contrast.props(f"max={min(most, round(4 * high) + 1)}")
        self.contrast.value = {"min": round(low), "max": round(high)}
