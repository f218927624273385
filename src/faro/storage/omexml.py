"""OME-XML of all series of a run, with one entry per stored plane when finished."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET

from faro.model import FrameRole
from faro.storage.layout import SeriesKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from faro.storage.ngff import Place, SeriesFormat

NAMESPACE: Final = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
SCHEMA: Final = f"{NAMESPACE} {NAMESPACE}/ome.xsd"
XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
MICROMETRE: Final = "\N{MICRO SIGN}m"
IMAGE: Final = "Image"
"""Tag that readers look for; its ID is the path of the series."""


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


def ome_xml(series: Iterable[SeriesFacts], *, uuid: str, created: str) -> bytes:
    """Return the document; ``Image`` IDs are the paths of the series.

    Parameters
    ----------
    uuid
        Of the run.
    created
        UTC, ISO 8601.
    """
    ET.register_namespace("", NAMESPACE)
    ET.register_namespace("xsi", XSI)
    root = ET.Element(
        f"{{{NAMESPACE}}}OME",
        {f"{{{XSI}}}schemaLocation": SCHEMA, "UUID": f"urn:uuid:{uuid}"},
    )
    for number, facts in enumerate(series):
        root.append(_image(number, facts, created))
    text: bytes = ET.tostring(root, encoding="UTF-8", xml_declaration=True)
    return text


def frames_by_series(
    journal: Iterable[Mapping[str, Any]],
) -> dict[str, list[Mapping[str, Any]]]:
    """Return the ``frame`` lines of a journal by the name of their series."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for line in journal:
        if line.get("kind") == "frame":
            name = line.get("series") or _series_of(line)
            found.setdefault(str(name), []).append(line)
    return found


def _series_of(line: Mapping[str, Any]) -> str:
    return SeriesKey(int(line["fov"]), FrameRole(line.get("role", "image"))).name


def _tag(parent: ET.Element, name: str, **attributes: object) -> ET.Element:
    given = {key: str(value) for key, value in attributes.items() if value is not None}
    return ET.SubElement(parent, f"{{{NAMESPACE}}}{name}", given)


def _image(number: int, facts: SeriesFacts, created: str) -> ET.Element:
    image = ET.Element(
        f"{{{NAMESPACE}}}{IMAGE}", {"ID": f"Image:{facts.name}", "Name": facts.title}
    )
    _tag(image, "AcquisitionDate").text = created
    form, place = facts.format, facts.place
    size, unit = place.pixel_size_um, MICROMETRE if place.pixel_size_um else None
    pixels = _tag(
        image,
        "Pixels",
        ID=f"Pixels:{number}",
        DimensionOrder="XYZCT",
        Type=form.dtype,
        SizeX=form.shape[1],
        SizeY=form.shape[0],
        SizeZ=1,
        SizeC=len(form.channels),
        SizeT=facts.n_timepoints,
        PhysicalSizeX=size,
        PhysicalSizeXUnit=unit,
        PhysicalSizeY=size,
        PhysicalSizeYUnit=unit,
        TimeIncrement=place.interval_s or None,
        TimeIncrementUnit="s" if place.interval_s else None,
    )
    for index, name in enumerate(form.channels):
        _tag(
            pixels,
            "Channel",
            ID=f"Channel:{number}:{index}",
            Name=name,
            SamplesPerPixel=1,
        )
    _tag(pixels, "MetadataOnly")
    for line in facts.lines:
        _planes(pixels, line, form.channels)
    return image


def _planes(
    pixels: ET.Element, line: Mapping[str, Any], channels: tuple[str, ...]
) -> None:
    """Add one ``Plane`` per channel of a stored stack."""
    stored = list(line.get("channels") or channels)
    indices = line.get("channel_indices") or [channels.index(name) for name in stored]
    exposures = line.get("exposures_ms") or [None] * len(stored)
    position = line.get("position_um") or [None] * 3
    for index, exposure_ms in zip(indices, exposures, strict=False):
        attributes: dict[str, object] = {
            "TheZ": 0,
            "TheC": index,
            "TheT": line["timestep"],
            "DeltaT": line.get("acquired_s"),
            "DeltaTUnit": "s",
        }
        if exposure_ms is not None:
            attributes |= {"ExposureTime": exposure_ms, "ExposureTimeUnit": "ms"}
        for axis, value in zip("XYZ", position, strict=False):
            if value is not None:
                attributes[f"Position{axis}"] = value
                attributes[f"Position{axis}Unit"] = MICROMETRE
        _tag(pixels, "Plane", **attributes)
