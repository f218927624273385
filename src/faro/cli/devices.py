"""``faro devices``: what a microscope consists of and what it can do, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from faro.microscope import PyMMCoreMicroscope
from faro.rigs import open_rig

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from rich.console import Console

    from faro.microscope.abstract import AbstractMicroscope
    from faro.model import HardwareFacts

NONE = "-"


def run_devices(console: Console, rig: str | None, config: Path | None) -> int:
    """Print the tables and release the devices; return the exit code."""
    with open_rig(rig, config) as microscope:
        facts, record = microscope.facts(), microscope.describe()
        problems = _problems(microscope)
        tables = [*_tables(microscope, facts, record)]
    title = f"{record['name']}: {record.get('configuration') or NONE}"
    console.print(title, markup=False)
    for table in tables:
        console.print(table)
    for problem in problems:
        console.print(f"Problem: {problem}", style="bold red", markup=False)
    return 1 if problems else 0


def _problems(microscope: AbstractMicroscope) -> tuple[str, ...]:
    if not isinstance(microscope, PyMMCoreMicroscope):
        return ()
    return tuple(str(problem) for problem in microscope.validate_hardware())


def _tables(
    microscope: AbstractMicroscope, facts: HardwareFacts, record: dict[str, Any]
) -> Iterator[Table]:
    yield _presets(facts, record)
    if isinstance(microscope, PyMMCoreMicroscope):
        yield _lights(microscope, facts)
    yield _parts(microscope, facts, record)
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


def _lights(microscope: PyMMCoreMicroscope, facts: HardwareFacts) -> Table:
    core, stimulation = microscope.mmc, microscope.session.levels().stimulation
    rows = [
        (
            preset,
            f"{device}.{prop}",
            str(core.getProperty(device, prop)),
            _range(facts.power_limits[preset]),
            "stimulation" if (device, prop) in stimulation else "imaging",
        )
        for preset, (device, prop) in microscope.get_power_properties().items()
        if preset in facts.power_limits
    ]
    return _table("Light levels", ("preset", "level", "now", "range", "light"), rows)


def _range(limits: tuple[float, float] | None) -> str:
    return NONE if limits is None else f"{limits[0]:g} to {limits[1]:g}"


def _shape(shape: tuple[int, int] | None) -> str:
    return NONE if shape is None else f"{shape[0]} x {shape[1]} (Y, X)"


def _parts(
    microscope: AbstractMicroscope, facts: HardwareFacts, record: dict[str, Any]
) -> Table:
    roles: dict[str, str] = record.get("roles", {})
    calibrated = "DMD calibrated" if facts.dmd_calibrated else "no calibration"
    pixel = facts.pixel_size_um
    camera = (
        f"{_shape(facts.image_shape)} {facts.image_dtype}, "
        f"exposure {_range(facts.exposure_limits_ms)} ms, "
        f"pixel {NONE if pixel is None else f'{pixel:g} um'}"
    )
    slm = f"{_shape(facts.slm_shape)}, {calibrated}" if facts.slm_shape else NONE
    told = {"camera": camera, "slm": slm, **_positions(microscope, roles)}
    rows = [
        (role, label, told.get(role, NONE)) for role, label in roles.items() if label
    ]
    return _table("Parts", ("part", "device", "what it is"), rows)


def _positions(microscope: AbstractMicroscope, roles: dict[str, str]) -> dict[str, str]:
    if not isinstance(microscope, PyMMCoreMicroscope):
        return {}
    core, found = microscope.mmc, {}
    if roles["xy_stage"]:
        x_um, y_um = core.getXYPosition()
        found["xy_stage"] = f"at x {x_um:g}, y {y_um:g} um"
    if roles["focus"]:
        driven = "" if microscope.POLICY.drives_z else "; left to the autofocus"
        found["focus"] = f"at z {core.getPosition():g} um{driven}"
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
