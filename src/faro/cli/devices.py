"""``faro devices``: what a microscope consists of and what it can do, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from faro.rigs import open_rig

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from rich.console import Console

    from faro.model import HardwareFacts

NONE = "-"


def run_devices(
    console: Console, rig: str | None, config: Path | None, *, hosted: bool
) -> int:
    """Print the tables and release the devices; return the exit code."""
    with open_rig(rig, config, hosted=hosted) as microscope:
        facts, record = microscope.facts(), microscope.describe()
        problems = microscope.validate_hardware()
        tables = [*_tables(facts, record)]
    title = f"{record['name']}: {record.get('configuration') or NONE}"
    console.print(title, markup=False)
    for table in tables:
        console.print(table)
    for problem in problems:
        console.print(f"Problem: {problem}", style="bold red", markup=False)
    return 1 if problems else 0


def _tables(facts: HardwareFacts, record: dict[str, Any]) -> Iterator[Table]:
    yield _presets(facts, record)
    yield _lights(facts, record)
    yield _parts(facts, record)
    yield _devices(record)


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows or [(NONE,) * len(columns)]:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _presets(facts: HardwareFacts, record: dict[str, Any]) -> Table:
    now = record.get("current_presets", {})
    rows = [
        (
            f"{group} (channels)" if group == facts.channel_group else group,
            ", ".join(presets) or NONE,
            now.get(group) or NONE,
        )
        for group, presets in facts.presets.items()
    ]
    return _table("Config groups", ("group", "presets", "now"), rows)


def _lights(facts: HardwareFacts, record: dict[str, Any]) -> Table:
    state: dict[str, dict[str, str]] = record.get("state", {})
    rows = [
        (
            preset,
            f"{device}.{prop}",
            state.get(device, {}).get(prop, NONE),
            _range(facts.power_limits[preset]),
            "stimulation" if preset in facts.stimulation_presets else "imaging",
        )
        for preset, (device, prop) in facts.power_properties.items()
    ]
    return _table("Light levels", ("preset", "level", "now", "range", "light"), rows)


def _range(limits: tuple[float, float] | None) -> str:
    return NONE if limits is None else f"{limits[0]:g} to {limits[1]:g}"


def _shape(shape: tuple[int, int] | None) -> str:
    return NONE if shape is None else f"{shape[0]} x {shape[1]} (Y, X)"


def _parts(facts: HardwareFacts, record: dict[str, Any]) -> Table:
    roles: dict[str, str] = record.get("roles", {})
    calibrated = "DMD calibrated" if facts.dmd_calibrated else "no calibration"
    pixel = facts.pixel_size_um
    camera = (
        f"{_shape(facts.image_shape)} {facts.image_dtype}, "
        f"exposure {_range(facts.exposure_limits_ms)} ms, "
        f"pixel {NONE if pixel is None else f'{pixel:g} um'}"
    )
    slm = f"{_shape(facts.slm_shape)}, {calibrated}" if facts.slm_shape else NONE
    told = {"camera": camera, "slm": slm, **_positions(facts, record)}
    rows = [
        (role, label, told.get(role, NONE)) for role, label in roles.items() if label
    ]
    return _table("Parts", ("part", "device", "what it is"), rows)


def _positions(facts: HardwareFacts, record: dict[str, Any]) -> dict[str, str]:
    told: dict[str, list[float] | str | None] = record.get("positions_um", {})
    found = {}
    for role, axes in (("xy_stage", "xy"), ("focus", "z")):
        place = told.get(role)
        if isinstance(place, list):
            pairs = zip(axes, place, strict=True)
            place = "at " + ", ".join(f"{axis} {um:g}" for axis, um in pairs) + " um"
        if place is not None:
            found[role] = place
    if "focus" in found and not facts.drives_z:
        found["focus"] += "; left to the autofocus"
    return found


def _devices(record: dict[str, Any]) -> Table:
    rows = [
        (
            device["label"],
            device["type"].removesuffix("Device"),
            f"{device['library']}/{device['name']}",
            device["description"],
        )
        for device in record.get("devices", [])
    ]
    return _table("Devices", ("label", "type", "adapter", "description"), rows)
