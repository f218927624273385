"""NGFF 0.5 and zarr v3 metadata as plain data; pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

from faro.storage.colours import colours_of

Json: TypeAlias = dict[str, Any]
PositionUm: TypeAlias = tuple[float | None, float | None, float | None]
Window: TypeAlias = tuple[int, int]

NGFF_VERSION: Final = "0.5"
DTYPE_MAX: Final = {"uint8": 255, "uint16": 65_535}
N_PLANE_AXES: Final = 2


@dataclass(frozen=True, slots=True)
class SeriesFormat:
    """What all stacks of one series have in common.

    Attributes
    ----------
    channels
        Names, in the order of the channel axis.
    shape
        (Y, X) in pixels, or (Z, Y, X) for stacks of several planes.
    dtype
        ``"uint8"`` or ``"uint16"``.
    """

    channels: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str

    @property
    def n_z(self) -> int:
        """Planes per channel, 0 where there is no z axis."""
        return self.shape[0] if len(self.shape) > N_PLANE_AXES else 0

    @property
    def axes(self) -> str:
        """Axes of the image, one letter each."""
        return f"tc{_space(self.shape)}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where and how finely a series samples the sample.

    Attributes
    ----------
    pixel_size_um
        Edge of a pixel, None if unknown.
    interval_s
        Planned seconds between timepoints, None where irregular.
    position_um
        Stage (x, y, z), None where unknown; z of the first plane.
    z_step_um
        Distance between planes, None if unknown or uneven.
    """

    pixel_size_um: float | None = None
    interval_s: float | None = None
    position_um: PositionUm = (None, None, None)
    z_step_um: float | None = None

    def flattened(self, n_z: int) -> Place:
        """Return the place of one plane that stands for ``n_z``: as thick as all."""
        step = self.z_step_um or 1.0
        x_um, y_um, z_um = self.position_um
        middle = (z_um or 0.0) + step * (n_z - 1) / 2
        return replace(self, z_step_um=step * n_z, position_um=(x_um, y_um, middle))


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """Everything the metadata of an image group says.

    Attributes
    ----------
    windows
        Grey values shown black and white, per channel; empty for the full range.
    faro
        What other readers may ignore: fov, role, name of the position.
    """

    name: str
    format: SeriesFormat
    place: Place = field(default_factory=Place)
    windows: tuple[Window, ...] = ()
    faro: Json = field(default_factory=dict)


def group(ome: Json, **attributes: Json) -> Json:
    """Return the ``zarr.json`` of a group."""
    ome = {"version": NGFF_VERSION, **ome}
    return {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": {"ome": ome, **attributes},
    }


def image_group(facts: ImageFacts) -> Json:
    """Return the ``zarr.json`` of an image (t, c, y, x) or (t, c, z, y, x)."""
    multiscales = [_multiscale(facts.name, facts.format.axes, facts.place)]
    channels = _omero_channels(facts.format, facts.windows)
    omero = {"channels": channels, "rdefs": {"model": "color"}}
    ome = {"multiscales": multiscales, "omero": omero}
    return group(ome, faro=facts.faro)


def label_group(name: str, place: Place, axes: str) -> Json:
    """Return the ``zarr.json`` of a label image (t, y, x) or (t, z, y, x)."""
    source = {"image": "../../"}
    multiscales = [_multiscale(name, axes, place)]
    return group({"multiscales": multiscales, "image-label": {"source": source}})


def image_array(form: SeriesFormat, n_timepoints: int) -> Json:
    """Return the ``zarr.json`` of an image; a stack is one shard.

    The planes in a shard are compressed by themselves and end with their checksum.
    """
    n_channels, plane_shape = len(form.channels), list(form.shape[-N_PLANE_AXES:])
    plane = [_bytes(form.dtype), _blosc(form.dtype, "bitshuffle"), {"name": "crc32c"}]
    shard = {
        "name": "sharding_indexed",
        "configuration": {
            "chunk_shape": [1] * (len(form.axes) - 2) + plane_shape,
            "codecs": plane,
            "index_codecs": [_bytes("uint64"), {"name": "crc32c"}],
            "index_location": "end",
        },
    }
    shape = [n_timepoints, n_channels, *form.shape]
    return _array(shape, [1, *shape[1:]], form.dtype, [shard], form.axes)


def label_array(shape: tuple[int, ...], dtype: str, n_timepoints: int) -> Json:
    """Return the ``zarr.json`` of an array of labels, one chunk per timepoint."""
    codecs = [_bytes(dtype), _blosc(dtype, "shuffle"), {"name": "crc32c"}]
    return _array([n_timepoints, *shape], [1, *shape], dtype, codecs, label_axes(shape))


def label_axes(shape: tuple[int, ...]) -> str:
    """Return the axes of labels of ``shape`` (Y, X) or (Z, Y, X)."""
    return f"t{_space(shape)}"


def _space(shape: tuple[int, ...]) -> str:
    return "zyx"[-len(shape) :]


def _array(
    shape: list[int], chunk: list[int], dtype: str, codecs: list[Json], axes: str
) -> Json:
    """Return the ``zarr.json`` of an array whose chunk files are flat: ``c.0.0.0``."""
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": shape,
        "data_type": dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
        "fill_value": 0,
        "codecs": codecs,
        "dimension_names": list(axes),
        "attributes": {},
    }


def _bytes(dtype: str) -> Json:
    if dtype == "uint8":
        return {"name": "bytes"}
    return {"name": "bytes", "configuration": {"endian": "little"}}


def _blosc(dtype: str, shuffle: str) -> Json:
    sizes = {"uint8": 1, "uint16": 2, "int32": 4, "uint32": 4}
    configuration = {
        "cname": "lz4",
        "clevel": 5,
        "shuffle": shuffle,
        "typesize": sizes[dtype],
        "blocksize": 0,
    }
    return {"name": "blosc", "configuration": configuration}


def _multiscale(name: str, axes: str, place: Place) -> Json:
    """Return the one multiscale of an image; units only where they are known."""
    transforms = [{"type": "scale", "scale": [_scale(a, place) for a in axes]}]
    translation = [_translation(a, place) for a in axes]
    if any(translation):
        transforms.append({"type": "translation", "translation": translation})
    return {
        "name": name,
        "axes": [_axis(a, place) for a in axes],
        "datasets": [{"path": "0", "coordinateTransformations": transforms}],
    }


def _axis(name: str, place: Place) -> Json:
    kinds = {"t": "time", "c": "channel"}
    axis = {"name": name, "type": kinds.get(name, "space")}
    if name == "t" and place.interval_s:
        axis["unit"] = "second"
    known = {"z": place.z_step_um, "y": place.pixel_size_um, "x": place.pixel_size_um}
    if known.get(name):
        axis["unit"] = "micrometer"
    return axis


def _scale(axis: str, place: Place) -> float:
    steps = {"t": place.interval_s, "z": place.z_step_um}
    known = steps.get(axis, place.pixel_size_um if axis in "yx" else None)
    return float(known or 1.0)


def _translation(axis: str, place: Place) -> float:
    """Return the stage position along an axis; 0 where its scale is unknown."""
    scales = {"x": place.pixel_size_um, "y": place.pixel_size_um, "z": place.z_step_um}
    if not scales.get(axis):
        return 0.0
    return float(place.position_um["xyz".index(axis)] or 0.0)


def _omero_channels(form: SeriesFormat, windows: tuple[Window, ...]) -> list[Json]:
    top = DTYPE_MAX[form.dtype]
    shown = windows or ((0, top),) * len(form.channels)
    return [
        {
            "label": name,
            "active": True,
            "color": colour,
            "window": {"min": 0, "max": top, "start": start, "end": end},
        }
        for name, colour, (start, end) in zip(
            form.channels, colours_of(form.channels), shown, strict=True
        )
    ]
