"""Which light level belongs to which preset."""

from __future__ import annotations

import pytest

from faro.microscope.levels import match_levels

LED = [("LED", f"{colour}_Level") for colour in ("Cyan", "Green", "GreenYellow", "Red")]


@pytest.mark.parametrize(
    ("preset", "settings", "level"),
    [
        ("CyanStim", [], "Cyan_Level"),
        ("mCitrine", [("LED", "Label", "Cyan")], "Cyan_Level"),
        (
            "mCitrine",
            [("Wheel", "Label", "Red 640"), ("LED", "Line", "Cyan")],
            "Cyan_Level",
        ),
        ("YFP", [("LED", "Line", "GreenYellow")], "GreenYellow_Level"),
        ("GFP", [("LED", "Line", "GreenX")], "Green_Level"),
        ("GFP", [("LED", "Line", "green")], "Green_Level"),
        ("Phase", [("LED", "State", "0")], None),
        ("Infrared", [], None),
    ],
)
def test_a_preset_takes_the_level_of_its_colour(
    preset: str, settings: list[tuple[str, str, str]], level: str | None
) -> None:
    found = match_levels({preset: settings}, LED)
    assert found == ({} if level is None else {preset: ("LED", level)})


def test_green_yellow_takes_green_where_there_is_nothing_nearer() -> None:
    levels = [("LED", "Green_Level"), ("LED", "Red_Level")]
    presets = {"YFP": [("LED", "Line", "GreenYellow")]}
    assert match_levels(presets, levels) == {"YFP": ("LED", "Green_Level")}


def test_a_property_that_names_no_colour_belongs_to_nothing() -> None:
    assert match_levels({"Phase": []}, [("LED", "_Level")]) == {}
