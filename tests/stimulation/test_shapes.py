"""Shapes, patterns, lines and pictures, each held against a plain reference."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faro.errors import ContractError
from faro.model import Stack
from faro.protocols import StimulationContext, Waits, waits_for
from faro.stimulation import (
    Checkerboard,
    Circle,
    Gradient,
    MovingLine,
    Rectangle,
    StoredImage,
)
from faro.testing.stimulator import check_stimulator

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (40, 60)


def at(time_s: float = 0.0, size_um: float | None = 0.5) -> StimulationContext:
    """Return a frame without cells."""
    pixels = np.zeros((1, *SHAPE), np.uint16)
    stack = Stack(pixels, ("a",), 0, 0, planned_s=time_s, pixel_size_um=size_um)
    return StimulationContext(stack)


@pytest.mark.parametrize(
    "stimulator",
    [
        Circle(radius_px=9),
        Circle(radius_um=9, centre_px=(0, 0)),
        Rectangle(size_px=(5, 9), angle_deg=33),
        Checkerboard(square_px=6),
        Gradient(0.2, 0.9, angle_deg=200),
        MovingLine(2.0, 5.0, n_lines=2, angle_deg=30),
    ],
    ids=["disc", "corner", "rectangle", "board", "gradient", "lines"],
)
def test_they_keep_the_contract_and_wait_for_nothing(stimulator: Any) -> None:
    check_stimulator(stimulator)
    assert waits_for(stimulator) is Waits.NOTHING


def test_a_circle_is_all_pixels_within_its_radius() -> None:
    mask = Circle(radius_um=4.0, centre_px=(10, 21)).stimulate(at())
    expected = [
        [math.hypot(y - 10, x - 21) <= 8 for x in range(SHAPE[1])]
        for y in range(SHAPE[0])
    ]
    assert mask.tolist() == expected
    centred = Circle(radius_px=8).stimulate(at())
    assert (centred == centred[::-1, ::-1]).all()


def test_a_rectangle_has_its_size_and_turns() -> None:
    mask = Rectangle(size_px=(7, 21), centre_px=(20, 30)).stimulate(at())
    y, x = np.nonzero(mask)
    assert (y.min(), y.max(), x.min(), x.max()) == (17, 23, 20, 40)
    turned = Rectangle(size_px=(7, 21), centre_px=(20, 30), angle_deg=90)
    upright = Rectangle(size_px=(21, 7), centre_px=(20, 30))
    assert (turned.stimulate(at()) == upright.stimulate(at())).all()
    falling = Rectangle(size_px=(1, 39), centre_px=(20, 30), angle_deg=45)
    assert falling.stimulate(at())[30, 40], "clockwise as seen: down to the right"


def test_a_checkerboard_alternates() -> None:
    mask = Checkerboard(square_um=4).stimulate(at())
    expected = [
        [(y // 8 + x // 8) % 2 == 0 for x in range(SHAPE[1])] for y in range(SHAPE[0])
    ]
    assert mask.tolist() == expected
    inverted = Checkerboard(square_um=4, inverted=True).stimulate(at())
    assert (inverted != mask).all()


def test_a_gradient_grows_along_its_direction() -> None:
    levels = Gradient(0.2, 0.8, angle_deg=0).stimulate(at())
    expected = [round(255 * (0.2 + 0.6 * x / (SHAPE[1] - 1))) for x in range(SHAPE[1])]
    assert np.abs(levels[0].astype(int) - expected).max() <= 1
    assert (levels == levels[:1]).all()
    down = Gradient(angle_deg=90).stimulate(at())
    assert (down[0] == 0).all()
    assert (down[-1] == 255).all()
    corner = Gradient(angle_deg=45).stimulate(at())
    assert (corner[0, 0], corner[-1, -1]) == (0, 255)


def line_by_hand(line: MovingLine, time_s: float) -> list[list[bool]]:
    """Return where the lines are, pixel by pixel."""
    y0, x0, y1, x1 = line.window_px or (0, 0, *SHAPE)
    angle = math.radians(line.angle_deg)
    dy, dx = math.sin(angle), math.cos(angle)
    corners = [y * dy + x * dx for y in (y0, y1 - 1) for x in (x0, x1 - 1)]
    begin, width = min(corners) - 0.5, line.width_um / 0.5
    period = max(corners) + 0.5 - begin + width
    way = line.speed_um_s * (time_s - line.start_s) / 0.5
    fronts = [(way + k * period / line.n_lines) % period for k in range(line.n_lines)]

    def lit(y: int, x: int) -> bool:
        if not (y0 <= y < y1 and x0 <= x < x1):
            return False
        place = y * dy + x * dx - begin
        return any(0 <= front - place < width for front in fronts)

    return [[lit(y, x) for x in range(SHAPE[1])] for y in range(SHAPE[0])]


@given(
    speed=st.floats(0, 3),
    width=st.floats(0.6, 12),
    angle=st.floats(-360, 360),
    n_lines=st.integers(1, 3),
    time_s=st.floats(0, 500),
    window=st.sampled_from([None, (3, 10, 33, 52)]),
)
@settings(max_examples=25, deadline=None)
def test_lines_are_where_they_should_be(  # one argument per property of a line
    speed: float, width: float, angle: float, n_lines: int, time_s: float, window: Any
) -> None:
    line = MovingLine(speed, width, angle, n_lines, window)
    mask = line.stimulate(at(time_s))
    differing = np.asarray(mask) != np.asarray(line_by_hand(line, time_s))
    assert differing.sum() <= 2 * n_lines, "but for pixels right on an edge"


def test_a_line_moves_with_its_speed_and_begins_anew() -> None:
    line = MovingLine(speed_um_s=2.0, width_um=2.0, start_s=10.0)
    assert line.stimulate(at(9.9)) is None
    enters, later = line.stimulate(at(10.0)), line.stimulate(at(15.0))
    assert enters is not None
    assert later is not None
    assert not enters.any(), "it is about to enter"
    assert np.flatnonzero(later.any(axis=0)).tolist() == [16, 17, 18, 19]
    assert later.all(axis=0).sum() == 4, "it is at right angles to its way"
    period_s = (60 * 0.5 + 2.0) / 2.0
    again = line.stimulate(at(15.0 + period_s))
    assert again is not None
    assert (again == later).all()


def test_a_window_outside_the_image_is_dark() -> None:
    line = MovingLine(0.0, 100.0, window_px=(50, 0, 60, 9))
    mask = line.stimulate(at(3.0))
    assert mask is not None
    assert not mask.any()


def test_micrometres_want_a_pixel_size() -> None:
    for stimulator in (Circle(radius_um=3), MovingLine(1.0, 1.0)):
        with pytest.raises(
            ContractError, match=r"pixel size is unknown.*Set the pixel"
        ):
            stimulator.stimulate(at(size_um=None))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Circle(), r"radius_\.\.\.=\.\.\.\) is given as None px and None um"),
        (lambda: Circle(radius_px=3, radius_um=3), "as 3 px and 3 um. Give one"),
        (lambda: Circle(radius_px=-1), "is -1. Use more than 0"),
        (lambda: Rectangle(size_px=(3, 0)), "width of Rectangle.* is 0"),
        (lambda: Checkerboard(square_px=math.nan), "is nan"),
        (lambda: Gradient(lowest=2), r"lowest=\.\.\.\) is 2, not a fraction"),
        (lambda: Gradient(angle_deg=math.inf), "is inf. Give an angle"),
        (lambda: MovingLine(-1, 1), "speed_um_s=.* is -1. Use .* not negative"),
        (lambda: MovingLine(1, 1, window_px=(4, 0, 3, 9)), "y0 < y1, x0 < x1"),
    ],
)
def test_what_makes_no_shape_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        make()


def test_a_stored_picture_is_shown_as_it_is(tmp_path: Path) -> None:
    levels = np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8)
    for name in ("licht-ü.png", "light.tif"):
        done, data = cv2.imencode(tmp_path.joinpath(name).suffix, levels)
        assert done
        (tmp_path / name).write_bytes(data.tobytes())
        stored = StoredImage(str(tmp_path / name))
        assert (stored.stimulate(at()) == levels).all()
    np.save(tmp_path / "light.npy", levels > 99)
    stored = StoredImage(str(tmp_path / "light.npy"))
    assert (stored.stimulate(at()) == (levels > 99) * 255).all()
    np.save(tmp_path / "deep.npy", levels.astype(np.uint16) * 257)
    stored = StoredImage(str(tmp_path / "deep.npy"))
    assert (stored.stimulate(at()) == levels).all()


def test_a_picture_of_another_size_is_refused_or_stretched(tmp_path: Path) -> None:
    path = str(tmp_path / "small.npy")
    np.save(path, np.eye(2, dtype=np.uint8) * 200)
    with pytest.raises(ContractError, match=r"is \(2, 2\).*image \(40, 60\).*stretch"):
        StoredImage(path).stimulate(at())
    mask = StoredImage(path, stretch=True).stimulate(at())
    assert mask[:20, :30].all()
    assert not mask[:20, 30:].any()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"cannot be read: .*no\.png"),
        (b"", "holds float64 of shape"),
        (b"text", "holds float64 of shape"),
    ],
    ids=["missing", "empty", "text"],
)
def test_what_is_no_picture_is_refused(
    content: bytes | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "no.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ContractError, match=message):
        StoredImage(str(path))
