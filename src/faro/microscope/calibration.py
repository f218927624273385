"""A camera-to-DMD calibration: what was found, under which conditions, in a file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from faro.microscope.dmd import DMD, CalibrationError, inverse_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faro.microscope.calibration_spots import Points

Matrix: TypeAlias = npt.NDArray[np.float64]
"""(3, 3), on (x, y, 1)."""
FORMAT = "faro-dmd-calibration-1"


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a calibration holds for.

    Attributes
    ----------
    device, slm_shape
        Label of the DMD and its (Y, X) in mirrors.
    camera, image_shape
        Label of the camera and (Y, X) of its image.
    optics
        Binning, ROI and objective, as in `HardwareFacts.optics`.
    """

    device: str
    slm_shape: tuple[int, int]
    camera: str
    image_shape: tuple[int, int]
    optics: Mapping[str, str]

    def differences(self, now: Conditions) -> list[str]:
        """Return what is not as it is ``now``, in words."""
        mine, theirs = self._words(), now._words()
        return [
            f"{name} was {mine.get(name)} and is {theirs.get(name)}"
            for name in dict.fromkeys([*mine, *theirs])
            if mine.get(name) != theirs.get(name)
        ]

    def _words(self) -> dict[str, Any]:
        words = asdict(self)
        optics = words.pop("optics")
        return {**words, **optics}


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Where each camera pixel lies on the DMD.

    Attributes
    ----------
    matrix
        (3, 3) float64: camera pixel (x, y, 1) to mirror (x, y, 1).
    kind
        ``"affine"`` or ``"projective"``.
    shown, seen
        (n, 2) spots in mirrors and in camera pixels, (x, y); those not seen are left
        out.
    used
        (n,) bool: the spots that the fit is built on; the others are outliers.
    residuals_px
        (n,) distance from where each spot was seen to where it should be, camera px.
    conditions
        What it holds for.
    date
        UTC, ISO 8601.
    on_value
        Pixel value of the DMD that means "on".
    """

    matrix: Matrix
    kind: Literal["affine", "projective"]
    shown: Points
    seen: Points
    used: npt.NDArray[np.bool_]
    residuals_px: npt.NDArray[np.float64]
    conditions: Conditions
    date: str
    on_value: int = 255

    @property
    def median_px(self) -> float:
        """Median residual of the spots that were used, camera px."""
        return float(np.median(self.residuals_px[self.used]))

    @property
    def largest_px(self) -> float:
        """Largest residual of the spots that were used, camera px."""
        return float(self.residuals_px[self.used].max())

    def to_mirrors(self, points: Points) -> Points:
        """Return camera points (n, 2), (x, y), in mirrors."""
        return carried(self.matrix, points)

    def to_camera(self, points: Points) -> Points:
        """Return mirrors (n, 2), (x, y), in camera pixels."""
        return carried(inverse_of(self.matrix), points)

    def dmd(self) -> DMD:
        """Return a DMD that carries masks by this calibration."""
        now = self.conditions
        return DMD(
            now.slm_shape,
            self.matrix,
            self.on_value,
            camera_shape=now.image_shape,
            optics=now.optics,
            projective=self.kind == "projective",
        )

    def save(self, path: str | Path) -> Path:
        """Write a JSON file; a file that is there is replaced whole."""
        target = Path(path)
        arrays = ("matrix", "shown", "seen", "used", "residuals_px")
        words: dict[str, Any] = {"format": FORMAT, "kind": self.kind, "date": self.date}
        words["conditions"] = asdict(self.conditions)
        words["on_value"] = self.on_value
        words |= {name: getattr(self, name).tolist() for name in arrays}
        part = target.with_suffix(target.suffix + ".part")
        part.write_text(json.dumps(words, indent=1) + "\n", encoding="utf-8")
        part.replace(target)
        return target

    def require(self, now: Conditions) -> None:
        """Do nothing where this calibration holds.

        Raises
        ------
        CalibrationError
            If anything differs from what it was made under; all of it is named.
        """
        different = self.conditions.differences(now)
        if different:
            problem = f"The calibration of {self.date} does not hold: "
            problem += "; ".join(different) + "."
            remedy = "Set it as it was, or calibrate again: faro calibrate."
            raise CalibrationError(problem, remedy=remedy)


def load_calibration(path: str | Path, now: Conditions) -> Calibration:
    """Return the calibration in a file, if it holds ``now``.

    Raises
    ------
    CalibrationError
        If the file cannot be read or is none, or anything differs from what it was
        made under.
    """
    remedy = "Calibrate again: faro calibrate."
    try:
        words = json.loads(Path(path).read_text(encoding="utf-8"))
        found = _from_words(words)
    except (OSError, ValueError, KeyError, TypeError) as error:
        problem = (
            f"{str(path)!r} holds no calibration: {type(error).__name__}: {error}."
        )
        raise CalibrationError(problem, remedy=remedy) from error
    found.require(now)
    return found


def _from_words(words: dict[str, Any]) -> Calibration:
    """Return the calibration that a file says; raises where it does not."""
    if words["format"] != FORMAT:
        message = f"its format is {words['format']!r}, not {FORMAT!r}"
        raise ValueError(message)
    facts: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in words["conditions"].items()
    }
    return Calibration(
        matrix=np.array(words["matrix"], np.float64),
        kind=words["kind"],
        shown=np.array(words["shown"], np.float64),
        seen=np.array(words["seen"], np.float64),
        used=np.array(words["used"], np.bool_),
        residuals_px=np.array(words["residuals_px"], np.float64),
        conditions=Conditions(**facts),
        date=words["date"],
        on_value=words["on_value"],
    )


def carried(matrix: Matrix, points: Points) -> Points:
    """Return points (n, 2), (x, y), carried by ``matrix`` (3, 3).

    >>> carried(np.diag([2.0, 3.0, 1.0]), np.array([[1.0, 1.0]])).tolist()
    [[2.0, 3.0]]
    """
    flat = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    moved: Points = flat[:, :2] / flat[:, 2:]
    return moved
