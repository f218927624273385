"""Which images the components look at, and where these are not taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faro.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from faro.analysis import SegmentationMethod
    from faro.experiment import RTMEvent
    from faro.run.pipeline import ImageProcessingPipeline

Channels = tuple[str, ...]


def looked_at(method: SegmentationMethod) -> tuple[str | int, ...]:
    """Return the channels of a segmenter, by name or index."""
    chosen = method.use_channel
    return tuple(chosen) if isinstance(chosen, list | tuple) else (chosen,)


def not_imaged(method: SegmentationMethod, channels: Channels) -> str | int | None:
    """Return the first channel of a segmenter that is not among ``channels``."""
    for channel in looked_at(method):
        known = range(len(channels)) if isinstance(channel, int) else channels
        if channel not in known:
            return channel
    return None


def image_problems(
    pipeline: ImageProcessingPipeline, events: Sequence[RTMEvent]
) -> list[Problem]:
    """Return why segmenters would look at other images than they seem to. Pure.

    An index that is another channel at another moment is an error; moments without
    the image of a segmenter are a warning, they are not analysed.
    """
    layouts: dict[Channels, RTMEvent] = {}
    for event in events:
        layouts.setdefault(tuple(c.config for c in event.channels), event)
    problems: list[Problem] = []
    for method in pipeline.segmenters:
        where = f"pipeline/segmenters/{method.name}"
        for channel in looked_at(method):
            if isinstance(channel, int):
                problems += _index_problems(where, channel, layouts)
        problems += _absent(where, method, layouts)
    return [*problems, *_plane_problems(pipeline.z, events)]


def _index_problems(
    where: str, index: int, layouts: dict[Channels, RTMEvent]
) -> Iterator[Problem]:
    """Yield an index that means several channels."""
    found: dict[str, RTMEvent] = {}
    for names, event in layouts.items():
        if 0 <= index < len(names):
            found.setdefault(names[index], event)
    if len(found) > 1:
        named = [f"{name} at t={e.timestep}, p={e.fov}" for name, e in found.items()]
        what = f"use_channel={index} is {' and '.join(named[:2])}."
        yield Problem(where, what, "Give the name of the channel.")


def _absent(
    where: str, method: SegmentationMethod, layouts: dict[Channels, RTMEvent]
) -> Iterator[Problem]:
    """Yield a warning where some moments have not the image of a segmenter."""
    lacking = [n for n in layouts if n and not_imaged(method, n) is not None]
    if not lacking or len(lacking) == len(layouts):
        return
    event, channel = layouts[lacking[0]], not_imaged(method, lacking[0])
    what = f"{channel!r} is not imaged everywhere, first not at t={event.timestep}, "
    what += f"p={event.fov}: nothing is analysed there, and no light follows from it."
    remedy = "Image it at all moments at which cells are followed or lit."
    yield Problem(where, what, remedy, "warning")


def _plane_problems(z: str | int, events: Sequence[RTMEvent]) -> Iterator[Problem]:
    """Yield an index of a plane that some stack does not have."""
    if not isinstance(z, int):
        return
    for event in events:
        n_z = len(event.z_planes)
        if n_z > 1 and not -n_z <= z < n_z:
            place = f"t={event.timestep}, p={event.fov}"
            what = f"there is no plane {z} among the {n_z} at {place}."
            yield Problem("pipeline/z", what, f"Use {-n_z} to {n_z - 1}, or 'max'.")
            return
