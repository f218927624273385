"""OME-XML of the series of a run, with one entry per stored plane. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET

from faro.model import FrameRole
from faro.storage.colours import colours_of, ome_colour
from faro.storage.layout import SeriesKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from faro.storage.ngff import Place, SeriesFormat

NAMESPACE: Final = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
SCHEMA: Final = f"{NAMESPACE} {NAMESPACE}/ome.xsd"
XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
MICROMETRE: Final = "\N{MICRO SIGN}m"
IMAGE: Final = "Image"
"""Tag that readers look for; its ID is the path of the series."""
HERE: Final = "images"
MOST_KEPT: Final = 4_096


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """What OME-XML says about one series.

    Attributes
    ----------
    n_timepoints
        Length of the t axis.
    lines
        The journal's ``frame`` lines of this series.
    """

    name: str
    title: str
    format: SeriesFormat
    place: Place
    n_timepoints: int
    lines: Sequence[Mapping[str, Any]] = field(default_factory=tuple)


def ome_xml(
    series: Iterable[SeriesFacts], *, uuid: str, created: str, inside: str = ""
) -> bytes:
    """Return the document; ``Image`` IDs are the paths of the series.

    Parameters
    ----------
    uuid
        Of the run.
    created
        UTC, ISO 8601.
    inside
        Where the document is; the paths in it are counted from there.
    """
    root = _root(uuid)
    root.text = HERE
    start, end = _text(root).split(HERE.encode())
    images = (_image_text(facts, inside, created) for facts in series)
    return b"".join([start, *images, end])


def _image_text(facts: SeriesFacts, inside: str, created: str) -> bytes:
    if facts.lines:
        return _whole_image(facts, inside, created)
    return _bare_image(replace(facts, lines=()), inside, created)


@lru_cache(maxsize=MOST_KEPT)
def _bare_image(facts: SeriesFacts, inside: str, created: str) -> bytes:
    """Return an image without planes; the list of all is written anew for each."""
    return _whole_image(facts, inside, created)


def _whole_image(facts: SeriesFacts, inside: str, created: str) -> bytes:
    path = facts.name.removeprefix(inside)
    image = _image(path, facts, created)
    pixels = _pixels(image, path, facts)
    _tag(pixels, "MetadataOnly")
    for line in facts.lines:
        _planes(pixels, line, facts.format)
    text: bytes = ET.tostring(image, encoding="UTF-8", xml_declaration=False)
    return text


def ome_xml_of_planes(
    facts: SeriesFacts,
    planes: Sequence[tuple[int, int, int]],
    *,
    uuid: str,
    created: str,
) -> bytes:
    """Return the document of a TIFF file that holds ``planes`` (t, c, z), in order.

    Planes that are not in the file are not in the document either; t, c and z count
    from 0 inside the file.
    """
    root = _root(uuid)
    image = _image("0", facts, created)
    pixels = _pixels(image, "0", facts)
    for ifd, (t, c, z) in enumerate(planes):
        _tag(pixels, "TiffData", IFD=ifd, FirstT=t, FirstC=c, FirstZ=z, PlaneCount=1)
    for line in facts.lines:
        _planes(pixels, line, facts.format)
    root.append(image)
    # As UTF-8: Bio-Formats does not understand references to characters, like &#181;.
    return _text(root)


def planes_text(line: Mapping[str, Any], form: SeriesFormat) -> bytes:
    """Return the ``Plane`` elements of one stored stack, as a document has them."""
    planes = (
        " ".join(f'{key}="{value}"' for key, value in plane.items())
        for plane in _plane_attributes(line, form)
    )
    return "".join(f"<Plane {attributes} />" for attributes in planes).encode()


def frames_by_series(
    journal: Iterable[Mapping[str, Any]],
) -> dict[str, list[Mapping[str, Any]]]:
    """Return the ``frame`` lines of a journal by the name of their series.

    Without those of frames that were given up since, to be taken again.
    """
    found: dict[str, list[Mapping[str, Any]]] = {}
    for line in journal:
        name = str(line.get("series") or "")
        if line.get("kind") == "frame":
            found.setdefault(name or _series_of(line), []).append(line)
        elif line.get("again"):
            kept = found.get(name, [])
            found[name] = [x for x in kept if x["timestep"] != line["timestep"]]
    return found


def _series_of(line: Mapping[str, Any]) -> str:
    return SeriesKey(int(line["fov"]), FrameRole(line.get("role", "image"))).name


def _root(uuid: str) -> ET.Element:
    ET.register_namespace("", NAMESPACE)
    ET.register_namespace("xsi", XSI)
    return ET.Element(
        f"{{{NAMESPACE}}}OME",
        {f"{{{XSI}}}schemaLocation": SCHEMA, "UUID": f"urn:uuid:{uuid}"},
    )


def _text(root: ET.Element) -> bytes:
    text: bytes = ET.tostring(root, encoding="UTF-8", xml_declaration=True)
    return text


def _tag(parent: ET.Element, name: str, **attributes: object) -> ET.Element:
    given = {key: str(value) for key, value in attributes.items() if value is not None}
    return ET.SubElement(parent, f"{{{NAMESPACE}}}{name}", given)


def _image(path: str, facts: SeriesFacts, created: str) -> ET.Element:
    about = {"ID": f"{IMAGE}:{path}", "Name": facts.title}
    image = ET.Element(f"{{{NAMESPACE}}}{IMAGE}", about)
    _tag(image, "AcquisitionDate").text = created
    return image


def _pixels(image: ET.Element, path: str, facts: SeriesFacts) -> ET.Element:
    """Add size, scale and channels of a series; what follows says where planes are."""
    form, place = facts.format, facts.place
    size, unit = place.pixel_size_um, MICROMETRE if place.pixel_size_um else None
    step = place.z_step_um if form.n_z else None
    pixels = _tag(
        image,
        "Pixels",
        ID=f"Pixels:{path}{':z' if form.n_z else ''}",
        DimensionOrder="XYZCT",
        Type=form.dtype,
        SizeX=form.shape[-1],
        SizeY=form.shape[-2],
        SizeZ=form.n_z or 1,
        SizeC=len(form.channels),
        SizeT=facts.n_timepoints,
        PhysicalSizeX=size,
        PhysicalSizeXUnit=unit,
        PhysicalSizeY=size,
        PhysicalSizeYUnit=unit,
        PhysicalSizeZ=step,
        PhysicalSizeZUnit=MICROMETRE if step else None,
        TimeIncrement=place.interval_s or None,
        TimeIncrementUnit="s" if place.interval_s else None,
    )
    named = zip(form.channels, colours_of(form.channels), strict=True)
    for index, (name, colour) in enumerate(named):
        _tag(
            pixels,
            "Channel",
            ID=f"Channel:{path}:{index}",
            Name=name,
            Color=ome_colour(colour),
            SamplesPerPixel=1,
        )
    return pixels


def _planes(parent: ET.Element, line: Mapping[str, Any], form: SeriesFormat) -> None:
    """Add one ``Plane`` per channel and z of a stored stack."""
    for attributes in _plane_attributes(line, form):
        _tag(parent, "Plane", **attributes)


def _plane_attributes(
    line: Mapping[str, Any], form: SeriesFormat
) -> Iterator[dict[str, object]]:
    """Yield what is said about each plane of a stored stack."""
    for channel, exposure_ms, offset_um in _channels(line, form):
        for z in range(form.n_z or 1):
            attributes: dict[str, object] = {
                "TheZ": z,
                "TheC": channel,
                "TheT": line["timestep"],
            }
            if line.get("acquired_s") is not None:
                attributes |= {"DeltaT": line["acquired_s"], "DeltaTUnit": "s"}
            if exposure_ms is not None:
                attributes |= {"ExposureTime": exposure_ms, "ExposureTimeUnit": "ms"}
            for axis, value in zip("XYZ", _position(line, z, offset_um), strict=True):
                if value is not None:
                    attributes[f"Position{axis}"] = value
                    attributes[f"Position{axis}Unit"] = MICROMETRE
            yield attributes


def _channels(
    line: Mapping[str, Any], form: SeriesFormat
) -> Iterator[tuple[int, float | None, float]]:
    """Yield index, exposure (ms) and offset in z (um) of the stored channels."""
    stored = list(line.get("channels") or form.channels)
    indices = line.get("channel_indices")
    indices = indices or [form.channels.index(name) for name in stored]
    exposures = line.get("exposures_ms") or [None] * len(stored)
    offsets = line.get("z_offsets_um") or [0.0] * len(stored)
    yield from zip(indices, exposures, offsets, strict=False)


def _position(
    line: Mapping[str, Any], z: int, offset_um: float
) -> tuple[float | None, ...]:
    """Return stage (x, y, z) in um of plane ``z``, None where unknown."""
    x_um, y_um, z_um = line.get("position_um") or (None, None, None)
    planes_um = line.get("z_um")
    return x_um, y_um, planes_um[z] + offset_um if planes_um else z_um
