"""What differs from one installation of a rig to the next: paths, addresses, crops."""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from pydantic import FiniteFloat, NonNegativeInt, PositiveInt, ValidationError

from faro.errors import FaroError, Problem
from faro.model import Schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Roi: TypeAlias = tuple[NonNegativeInt, NonNegativeInt, PositiveInt, PositiveInt]
"""Left, top, width and height in camera pixels, after binning."""

Row: TypeAlias = tuple[FiniteFloat, FiniteFloat, FiniteFloat]


class RigSettings(Schema):
    """Settings of a rig; a rig may have more of its own.

    Attributes
    ----------
    config
        Micro-Manager configuration; None for the one that the class names.
    micromanager_path
        Folder of the device adapters; None for the one that the class names.
    binning
        Value of the camera's property ``Binning``; None to leave it as loaded.
    roi
        Crop of the camera: left, top, width, height in binned pixels; None for all.
    affine_calibration_matrix
        3 x 3, camera pixel (x, y, 1) to mirror (x, y, 1); None without a calibration.
    dmd_calibration
        File that ``faro calibrate`` wrote, instead of a matrix. Where it does not hold
        for device, objective, ROI and binning, there is no calibrated DMD.
    """

    config: str | None = None
    micromanager_path: str | None = None
    binning: str | None = None
    roi: Roi | None = None
    affine_calibration_matrix: tuple[Row, Row, Row] | None = None
    dmd_calibration: str | None = None


class RigSettingsError(FaroError, ValueError):
    """The settings of a rig cannot be used; every problem is listed.

    Attributes
    ----------
    problems
        What is wrong.
    """

    def __init__(self, rig: str, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        super().__init__(f"These settings make no {rig}:\n{lines}", remedy="")


S = TypeVar("S", bound=RigSettings)


def read_settings(
    kind: type[S],
    file: str | Path | None,
    changes: Mapping[str, object],
    *,
    rig: str = "rig",
) -> S:
    """Return settings: the defaults of ``kind``, then a TOML file, then ``changes``.

    Parameters
    ----------
    kind
        What settings there are.
    file
        A TOML file of settings, None for none. A relative path in it is looked for
        beside it first.
    changes
        Further settings by name.
    rig
        Name of the rig, for errors.

    Raises
    ------
    RigSettingsError
        If a file cannot be read, or a setting is unknown or wrong.
    """
    given = {**(_from_file(Path(file), rig) if file is not None else {}), **changes}
    problems = list(_unknown(kind, given))
    known = {name: value for name, value in given.items() if name in kind.model_fields}
    try:
        settings = kind.model_validate(known)
    except ValidationError as error:
        raise RigSettingsError(rig, [*problems, *_wrong(error)]) from error
    if problems:
        raise RigSettingsError(rig, problems)
    return settings


def _from_file(file: Path, rig: str) -> dict[str, Any]:
    try:
        read = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        remedy = "Give a TOML file of settings."
        raise RigSettingsError(
            rig, [Problem(str(file), f"{error}.", remedy)]
        ) from error
    for name in ("config", "dmd_calibration"):
        path = read.get(name)
        if isinstance(path, str) and (beside := file.parent / path).is_file():
            read[name] = str(beside)
    return read


def _unknown(kind: type[RigSettings], given: Mapping[str, object]) -> Iterator[Problem]:
    names = list(kind.model_fields)
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1, cutoff=0.0)[0]
            yield Problem(name, "no such setting.", f"The nearest one is {near!r}.")


def _wrong(error: ValidationError) -> Iterator[Problem]:
    for entry in error.errors():
        where = "/".join(str(part) for part in entry["loc"])
        yield Problem(where, f"is {entry['input']!r}.", f"{entry['msg']}.")
