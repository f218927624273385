"""The parts of an experiment file: rig, pipeline, limits; all problems at once."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from faro.analysis import SegmentationMethod
from faro.errors import ContractError, Problem, RefusedError
from faro.experiment.document import (
    Component,
    PipelinePart,
    Rig,
    SegmenterPart,
    StoragePart,
)
from faro.experiment.document_problems import checked
from faro.experiment.document_values import place_of
from faro.microscope.abstract import AbstractMicroscope
from faro.microscope.host import host
from faro.run.components import (
    FALLBACK,
    FEATURES,
    SEGMENTER,
    STIMULATOR,
    TRACKER,
    Kind,
    Made,
    Place,
    built,
    look_up,
    make,
    rig_names,
)
from faro.run.limits import RunLimits
from faro.run.parameters import check_parameters, defaults_of
from faro.run.pipeline import ImageProcessingPipeline
from faro.storage import OmeZarrWriter, OmeZarrWriterPlate, TiffWriter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from faro.storage.writer import RunWriter

MAY_BE_ZERO = frozenset({"max_failures_in_a_row", "max_missing_in_a_row", "settle_s"})
MEASURES = ("features", "reference_features")
LISTS = {"segmenters": SEGMENTER, **dict.fromkeys(MEASURES, FEATURES)}
SINGLE = {"tracker": TRACKER, "stimulator": STIMULATOR, "fallback": FALLBACK}
LIGHTS = "stimulators"


@dataclass(frozen=True, slots=True)
class RigMaker:
    """A rig that was found, with parameters that it takes; no device is touched.

    Attributes
    ----------
    rig
        Its class.
    values
        The parameters, in the types that it declares.
    words
        The same as a file says it, defaults included.
    place
        Where it stands in the file.
    """

    rig: type[AbstractMicroscope]
    values: Mapping[str, Any]
    words: Rig
    place: Place

    def open(self, *, hosted: bool = False) -> AbstractMicroscope:
        """Load the devices and return the microscope.

        Parameters
        ----------
        hosted
            In a process of its own, which outlives this one, and also finds a module
            that lies beside the file.

        Raises
        ------
        RefusedError
            If it cannot be made.
        """
        if hosted:
            made = built(partial(host, self.rig), self.words.parameters, self.place)
        else:
            made = built(self.rig, self.values, self.place)
        if isinstance(made, list):
            raise RefusedError(made)
        microscope: Any = made[0]
        found: AbstractMicroscope = microscope
        return found


def rig_from(words: object, folder: Path | None) -> RigMaker | list[Problem]:
    """Return the rig that a file names, or what is wrong; no device is touched.

    Parameters
    ----------
    words
        The part ``microscope``. What the schema refuses gives no problem again.
    folder
        Folder of the user's modules.
    """
    given = {"rig": words} if isinstance(words, str) else words
    part, refused = checked(given, Rig) if isinstance(given, dict) else (None, [])
    if refused or part is None:
        return []
    place = Place("microscope", folder)
    found = look_up(part.rig, rig_names(), place.inside("rig"), "rig")
    if isinstance(found, Problem):
        return [found]
    path, rig = found
    if not (isinstance(rig, type) and issubclass(rig, AbstractMicroscope)):
        what = f"{path} is no microscope."
        remedy = "Name a class that inherits from faro.AbstractMicroscope."
        return [Problem("microscope.rig", what, remedy)]
    where = place.inside("parameters").where
    values, problems = check_parameters(rig, part.parameters, where)
    if problems:
        return problems
    said = {**defaults_of(rig), **part.parameters}
    return RigMaker(rig, values, Rig(rig=part.rig, parameters=said), place)


def limits_from(words: object) -> tuple[RunLimits, list[Problem]]:
    """Return the limits that a file sets, and what is wrong with them."""
    if not isinstance(words, dict):
        return RunLimits(), []
    values, problems = check_parameters(RunLimits, words, "limits")
    for name, value in values.items():
        least = 0 if name in MAY_BE_ZERO else None
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if number and value <= 0 and value != least:
            what = f"{name} is {value!r}."
            problems.append(Problem(f"limits.{name}", what, "Give more than 0."))
    return (RunLimits() if problems else RunLimits(**values)), problems


def writer_from(part: StoragePart, path: Path) -> RunWriter:
    """Return the writer of the layout that a file names; nothing is created."""
    durability = part.durability
    if part.layout == "plate":
        wells = {int(fov): well for fov, well in (part.wells or {}).items()}
        return OmeZarrWriterPlate(path, wells=wells, durability=durability)
    if part.layout == "tiff":
        compression = part.compression or "zstd"
        return TiffWriter(path, compression=compression, durability=durability)
    return OmeZarrWriter(path, durability=durability)


def limits_words(limits: RunLimits) -> dict[str, Any]:
    """Return all limits as a file says them."""
    return asdict(limits)


@dataclass(slots=True)
class PipelineMaker:
    """The components of a file, made one by one.

    Attributes
    ----------
    made
        Place in the pipeline to component.
    problems
        What is wrong with the others.
    """

    made: dict[str, Made] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def pipeline(self, part: PipelinePart) -> ImageProcessingPipeline | None:
        """Return the pipeline; None where something is wrong, see ``problems``."""
        if self.problems:
            return None
        methods = self._methods(part)
        tracker: Any = self.made["tracker"].component
        stimulator: Any = self._component("stimulator")
        fallback: Any = self._component("fallback")
        lights: Any = {
            name: self.made[f"{LIGHTS}.{name}"].component for name in part.stimulators
        }
        measured: Any = {name: self._listed(part, name) for name in MEASURES}
        try:
            return ImageProcessingPipeline(
                methods,
                tracker=tracker,
                stimulator=stimulator,
                fallback=fallback,
                z=part.z,
                stimulators=lights,
                **measured,
            )
        except RefusedError as error:
            for problem in error.problems:
                where = place_of("", problem.where.split("/"))
                self.problems.append(Problem(where, problem.what, problem.remedy))
            return None

    def resolved(self, part: PipelinePart) -> PipelinePart:
        """Return what the file says, with import paths and all parameters."""
        stimulator, fallback = part.stimulator, part.fallback
        return PipelinePart(
            segmenters=tuple(
                self._said(f"segmenters[{i}]", s.replace(name=label_name(s, i)))
                for i, s in enumerate(part.segmenters)
            ),
            features=self._said_of(part, "features"),
            reference_features=self._said_of(part, "reference_features"),
            tracker=self._said("tracker", part.tracker),
            stimulator=stimulator and self._said("stimulator", stimulator),
            stimulators={
                name: self._said(f"{LIGHTS}.{name}", light)
                for name, light in part.stimulators.items()
            },
            fallback=fallback and self._said("fallback", fallback),
            z=part.z,
        )

    def _methods(self, part: PipelinePart) -> list[SegmentationMethod]:
        """Return the segmenters with their channels; a bad name is a problem."""
        methods = []
        for number, segmenter in enumerate(part.segmenters):
            place, name = f"segmenters[{number}]", label_name(segmenter, number)
            component: Any = self.made[place].component
            try:
                method = SegmentationMethod(
                    name,
                    component,
                    segmenter.use_channel,
                    segmenter.seeds,
                    segmenter.cleaning,
                )
            except ContractError as error:
                where = f"pipeline.{place}.name"
                self.problems.append(Problem(where, error.problem, error.remedy))
                continue
            methods.append(method)
        return methods

    def _listed(self, part: PipelinePart, name: str) -> list[object]:
        """Return the extractors of a list."""
        return [
            self.made[f"{name}[{i}]"].component for i in range(len(getattr(part, name)))
        ]

    def _said_of(self, part: PipelinePart, name: str) -> tuple[Any, ...]:
        """Return what the file says of the extractors of a list."""
        said = enumerate(getattr(part, name))
        return tuple(self._said(f"{name}[{i}]", words) for i, words in said)

    def _component(self, place: str) -> object:
        """Return what was made at a place of the pipeline, None for nothing."""
        made = self.made.get(place)
        return None if made is None else made.component

    def _said(self, place: str, part: Any) -> Any:
        made = self.made[place]
        return part.replace(component=made.path, parameters=dict(made.parameters))


def components_from(words: object, folder: Path | None) -> PipelineMaker:
    """Return all components of the part ``pipeline``, each made or refused.

    Parameters
    ----------
    words
        The part of the file. What the schema refuses gives no problem again.
    folder
        Folder of the user's modules.
    """
    maker = PipelineMaker()
    for place, kind, given in _parts(words if isinstance(words, dict) else {}):
        named = {"component": given} if isinstance(given, str) else given
        model = SegmenterPart if kind is SEGMENTER else Component
        if not isinstance(named, dict):
            continue
        part, refused = checked(named, model)
        if refused or part is None:
            continue
        where = Place(f"pipeline.{place}", folder)
        made = make(kind, part.component, part.parameters, where)
        if isinstance(made, list):
            maker.problems += made
        else:
            maker.made[place] = made
    return maker


def label_name(part: SegmenterPart, number: int) -> str:
    """Return what the labels of segmenter ``number`` are called."""
    return part.name or ("nuclei" if number == 0 else f"labels_{number}")


def _parts(words: Mapping[str, Any]) -> Iterator[tuple[str, Kind, object]]:
    """Yield place, kind and words of every component."""
    for name, kind in LISTS.items():
        listed = words.get(name)
        for number, given in enumerate(listed if isinstance(listed, list) else ()):
            yield f"{name}[{number}]", kind, given
    for name, kind in SINGLE.items():
        if words.get(name) is not None:
            yield name, kind, words[name]
    lights = words.get(LIGHTS)
    for channel, given in lights.items() if isinstance(lights, dict) else ():
        yield f"{LIGHTS}.{channel}", STIMULATOR, given
