"""Components by name, by import path or from installed packages.

A name is one of ours (``PercentageOfCell``), or one that an installed package offers
in the entry-point group ``faro.components``. ``module:Name`` is imported; the module
may lie in the folder of the experiment file, which is on the import path only while
it is loaded.
"""

from __future__ import annotations

import importlib
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import entry_points
from inspect import isroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faro import analysis, control, stimulation
from faro.errors import FaroError, Problem
from faro.experiment.refusal import nearest
from faro.run.parameters import check_parameters, defaults_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import ModuleType

COMPONENTS, RIGS = "faro.components", "faro.rigs"
"""Groups of entry points."""
WORDS = ("component", "parameters")
"""Keys of a component in a file."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of component.

    Attributes
    ----------
    word
        What it is called in sentences.
    method
        The method that makes an object one.
    room
        The package of ours that holds such.
    n_arguments
        Arguments with which the run calls the method, or a function in its place.
    """

    word: str
    method: str
    room: ModuleType
    n_arguments: int


SEGMENTER = Kind("segmenter", "segment", analysis, 1)
FEATURES = Kind("feature extractor", "features", analysis, 2)
TRACKER = Kind("tracker", "update", analysis, 2)
STIMULATOR = Kind("stimulator", "stimulate", stimulation, 1)
FALLBACK = Kind("fallback", "__call__", stimulation, 1)
CONTROLLER = Kind("controller", "step", control, 2)
REFERENCE = Kind("set-point", "at", control, 3)
PARTS = {"controller": CONTROLLER, "reference": REFERENCE}
"""Parameters that hold components of another kind than what they are part of."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is said, and where modules of the user lie.

    Attributes
    ----------
    where
        Place in the file.
    folder
        Folder of the user's modules, None for installed ones only.
    """

    where: str
    folder: Path | None = None

    def inside(self, part: str) -> Place:
        """Return the place of ``part`` in here."""
        return Place(f"{self.where}.{part}", self.folder)


@dataclass(frozen=True, slots=True)
class Made:
    """A component that was made.

    Attributes
    ----------
    component
        The object itself.
    path
        Its import path ``module:Name``.
    parameters
        All its parameters that a file can say, defaults included.
    """

    component: object
    path: str
    parameters: Mapping[str, Any]


def names_of(kind: Kind) -> dict[str, str]:
    """Return the components of a kind that have a name: name to import path."""
    found = {}
    for entry in sorted(entry_points(group=COMPONENTS), key=lambda e: e.name):
        found[entry.name] = entry.value
    for name in kind.room.__all__:
        value = getattr(kind.room, name)
        if isinstance(value, type) and _has_method(value, kind):
            found[name] = f"{kind.room.__name__}:{name}"
    return found


def rig_names() -> dict[str, str]:
    """Return the installed rigs: name to import path."""
    return {entry.name: entry.value for entry in entry_points(group=RIGS)}


def look_up(
    name: str, known: Mapping[str, str], place: Place, word: str
) -> tuple[str, object] | Problem:
    """Return import path and object of ``name``, or why there is none.

    Parameters
    ----------
    name
        A name in ``known`` in any spelling of case, ``-`` and ``_``, or
        ``module:Name``.
    known
        Name to import path.
    place
        Where it is said.
    word
        What is looked for.
    """
    if ":" in name:
        return _imported(name, place)
    spellings = {_spelling(n): value for n, value in known.items()}
    value = spellings.get(_spelling(name))
    if value is None:
        what = f"there is no {word} {name!r}."
        remedy = f"{nearest(name, known)} Or give module:Name."
        return Problem(place.where, what, remedy)
    return _imported(value, place)


def _has_method(target: type, kind: Kind) -> bool:
    """Return whether objects of a class are components of a kind."""
    own = any(kind.method in vars(base) for base in target.__mro__)
    return own and callable(getattr(target, kind.method))


def _spelling(name: str) -> str:
    return name.replace("_", "").replace("-", "").casefold()


def _imported(path: str, place: Place) -> tuple[str, object] | Problem:
    """Return what an import path names, or why it does not load."""
    module_name, _, attribute = path.partition(":")
    remedy = "Give module:Name of an installed module, or of one beside the file."
    try:
        with modules_from(place.folder):
            found: Any = importlib.import_module(module_name)
    except Exception as error:  # noqa: BLE001  a module of the user may raise anything
        what = f"{path!r} does not load: {type(error).__name__}: {error}."
        return Problem(place.where, what, remedy)
    if place.folder is not None and (shadow := _shadow(found, place.folder)):
        what = f"another module {module_name!r} was loaded, from {shadow}."
        return Problem(place.where, what, "Rename the module beside the file.")
    for part in attribute.split("."):
        if not hasattr(found, part):
            public = [n for n in dir(found) if not n.startswith("_")]
            what = f"{module_name!r} has no {part!r}."
            return Problem(place.where, what, nearest(part, public))
        found = getattr(found, part)
    return path, found


def _shadow(module: ModuleType, folder: Path) -> str:
    """Return the file that was loaded instead of one of this name in ``folder``."""
    own = folder.joinpath(*module.__name__.split("."))
    beside = [p for p in (own.with_suffix(".py"), own / "__init__.py") if p.is_file()]
    loaded = getattr(module, "__file__", None)
    if not beside or loaded is None or Path(loaded).resolve() == beside[0].resolve():
        return ""
    return str(loaded)


@contextmanager
def modules_from(folder: Path | None) -> Iterator[None]:
    """Have ``folder`` on the import path inside the block."""
    if folder is None:
        yield
        return
    entry = str(folder.resolve())
    sys.path.insert(0, entry)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(entry)


def make(
    kind: Kind, name: str, given: Mapping[str, Any], place: Place
) -> Made | list[Problem]:
    """Return the component ``name`` of a kind, or everything that is wrong.

    Parameters
    ----------
    kind
        What is wanted.
    name
        Its name or import path.
    given
        Its parameters, made of JSON types; a table with the key ``component`` makes
        another component, of the same kind or of `PARTS`.
    place
        Where it is said.
    """
    found = look_up(name, names_of(kind), place.inside("component"), kind.word)
    if isinstance(found, Problem):
        return [found]
    path, target = found
    inner = place.inside("parameters")
    parts, problems = _nested(kind, given, inner)
    by_type = isinstance(target, type)
    if isinstance(target, type) and not _has_method(target, kind):
        return [_wrong_kind(kind, path, place)]
    if not (by_type or isroutine(target)) and _has_method(type(target), kind):
        if given:
            what = f"{path} is an object that is made already; it takes no parameters."
            return [Problem(inner.where, what, "Leave them out, or name its class.")]
        return Made(target, path, {})
    if not callable(target):
        return [_wrong_kind(kind, path, place)]
    later = 0 if by_type else kind.n_arguments
    values, wrong = check_parameters(target, dict(given), inner.where, later, parts)
    problems += wrong
    if problems:
        return problems
    said = {**defaults_of(target, later), **dict(given)}
    inside = {n: part for n, part in parts.items() if part is not None}
    said |= {n: _words(part) for n, part in inside.items()}
    values |= {n: part.component for n, part in inside.items()}
    if not by_type:
        return Made(partial(target, **values) if values else target, path, said)
    made = built(target, values, place)
    return made if isinstance(made, list) else Made(made[0], path, said)


def built(
    maker: Any, values: Mapping[str, Any], place: Place
) -> tuple[object] | list[Problem]:
    """Return what ``maker`` makes of ``values``, or why it does not."""
    try:
        with modules_from(place.folder):
            return (maker(**values),)
    except FaroError as error:
        inner: list[Problem] = list(getattr(error, "problems", ()))
        if inner:
            return [
                Problem(f"{place.where}.{p.where}", p.what, p.remedy) for p in inner
            ]
        remedy = error.remedy or "Correct the parameters."
        return [Problem(f"{place.where}.parameters", error.problem, remedy)]
    except Exception as error:  # noqa: BLE001  a component of the user may raise anything
        name = getattr(maker, "__name__", "it")
        what = f"{name} was not made: {type(error).__name__}: {error}."
        return [Problem(f"{place.where}.parameters", what, "Correct the parameters.")]


def _nested(
    kind: Kind, given: Mapping[str, Any], place: Place
) -> tuple[dict[str, Made | None], list[Problem]]:
    """Return the parameters that are components, None where wrong, and what is."""
    parts: dict[str, Made | None] = {}
    problems: list[Problem] = []
    for name, value in given.items():
        if not (isinstance(value, dict) and "component" in value):
            continue
        there = place.inside(name)
        for key in (key for key in value if key not in WORDS):
            what = f"there is no {key!r}."
            problems.append(Problem(f"{there.where}.{key}", what, nearest(key, WORDS)))
        inner = value.get("parameters") or {}
        part = PARTS.get(name, kind)
        made = make(part, str(value["component"]), inner, there)
        if isinstance(made, list):
            problems += made
        parts[name] = made if isinstance(made, Made) else None
    return parts, problems


def _words(made: Made) -> dict[str, Any]:
    return {"component": made.path, "parameters": dict(made.parameters)}


def _wrong_kind(kind: Kind, path: str, place: Place) -> Problem:
    what = f"{path} is no {kind.word}: it has no method {kind.method}()."
    remedy = f"Use one of: {', '.join(names_of(kind))}."
    return Problem(f"{place.where}.component", what, remedy)
