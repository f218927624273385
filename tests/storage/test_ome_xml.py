"""Every OME-XML that we write is valid by the schema of OME, at every moment of a run.

The schema is the official ``ome.xsd`` of June 2016, which `ome-types` brings along.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
import xmlschema

from faro.model import FrameRole, RunNeeds, Stack, StackNeeds
from faro.storage import (
    OmeZarrWriter,
    OmeZarrWriterPlate,
    TiffWriter,
    export_ome_tiff,
    open_run,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from faro.storage.writer import RunWriter

N_Z = 3


@pytest.fixture(scope="module")
def schema() -> xmlschema.XMLSchema:
    text = files("ome_types").joinpath("ome-2016-06.xsd").read_text("utf-8")
    return xmlschema.XMLSchema(text, allow="none")


def documents(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".xml":
            yield path.name, path.read_text("utf-8")
        elif path.suffix == ".tif" and ".ome" in path.suffixes:
            with tifffile.TiffFile(path) as file:
                yield path.name, file.ome_metadata or ""


def faults(schema: xmlschema.XMLSchema, folder: Path) -> list[str]:
    found = list(documents(folder))
    assert found
    return [
        f"{name}: {error.path}: {error.reason}"
        for name, text in found
        for error in schema.iter_errors(xmlschema.XMLResource(text, allow="none"))
    ]


def fill(writer: RunWriter, needs: RunNeeds, make_stack: Callable[..., Stack]) -> None:
    """Store planned stacks and others: read-outs, planes, what nobody measured."""
    names = {0: "A1 <left> & \N{GREEK SMALL LETTER MU}", 1: "B2"}
    deep = {1: (StackNeeds(needs.channels, N_Z, 0.5),)}
    writer.open(replace(needs, fov_names=names, stacks=deep), {})
    writer.store_stack(make_stack(0, 2), {})
    writer.store_stack(make_stack(0, 3, channels=("GFP",)), {})
    writer.store_stack(make_stack(0, 2, role=FrameRole.STIM, channels=("Red",)), {})
    pixels = np.ones((2, N_Z, *needs.image_shape), np.uint16)
    z_um = (1.0, 1.5, 2.0)
    writer.store_stack(Stack(pixels, needs.channels, 1, 0, z_um=z_um), {})
    writer.store_stack(Stack(pixels[:, 0, :9, :7], ("caf\xe9", "GFP"), 1, 12), {})


@pytest.mark.parametrize("kind", [OmeZarrWriter, OmeZarrWriterPlate, TiffWriter])
def test_what_is_written_is_valid_while_a_run_goes_on_and_finished(
    tmp_path: Path,
    schema: xmlschema.XMLSchema,
    needs: RunNeeds,
    make_stack: Callable[..., Stack],
    kind: type[RunWriter],
) -> None:
    writer = kind(tmp_path / "run")
    fill(writer, needs, make_stack)
    assert faults(schema, writer.path) == []
    writer.close({})
    assert faults(schema, writer.path) == []
    export_ome_tiff(open_run(writer.path), tmp_path / "exported")
    assert faults(schema, tmp_path / "exported") == []


def test_an_error_would_be_found(schema: xmlschema.XMLSchema, tmp_path: Path) -> None:
    def told(text: str) -> list[str]:
        (tmp_path / "a.xml").write_text(text, encoding="utf-8")
        return faults(schema, tmp_path)

    name = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
    pixels: Any = '<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16"'
    sizes = ' SizeX="1" SizeY="1" SizeZ="1" SizeC="1" SizeT="1"><MetadataOnly/>'
    image = f'<Image ID="Image:0">{pixels}{sizes}</Pixels></Image>'
    assert told(f'<OME xmlns="{name}">{image}</OME>') == []
    for wrong in (
        image.replace('"uint16"', '"uint17"'),
        image.replace(' SizeX="1"', ""),
        image.replace("</Pixels>", '<Channel ID="Channel:0"/></Pixels>'),
    ):
        assert told(f'<OME xmlns="{name}">{wrong}</OME>') != []
