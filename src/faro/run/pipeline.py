"""What is done with every frame: segment, track, measure, decide."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from faro.analysis import (
    LocalThresholdSegmenter,
    SegmentationMethod,
    StreamingTracker,
    WorkerProcesses,
    as_feature_extractor,
)
from faro.errors import Problem, RefusedError
from faro.model.frame import PROJECTIONS
from faro.protocols import Waits, columns_needed, waits_for
from faro.run.apart import apart
from faro.run.deciders import deciders_from
from faro.run.mask_labels import mask_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from faro.protocols import FeatureExtractor, Segmenter, Stimulator, Tracker
    from faro.run.late import Fallback


class ImageProcessingPipeline:
    """The components that every frame passes, declared once.

    Parameters
    ----------
    segmenters
        One segmenter or several: a `SegmentationMethod`, an object with
        ``segment(pixels)``, or a function. A bare one is called "nuclei" and looks at
        the first channel. The cells of the first are tracked and measured. Default:
        `LocalThresholdSegmenter`. An empty list finds no cells: for light that needs
        none. Learned ones run in a worker process, see `InWorkerProcess`, unless they
        were made with ``in_worker=False``.
    features
        One feature extractor or several: objects with ``features(cells, stack)`` or
        functions.
    tracker
        Prototype of the tracker; every FOV gets a copy. Default: `StreamingTracker`.
    stimulator
        Object with ``stimulate(context)``, or a function, for all stimulation channels;
        None for no light.
    reference_features
        Extractors that measure reference frames, on the cells of their timepoint.
        Their columns are called ``ref_...``, and all rows of a track get the value.
    fallback
        Function ``fallback(late: LateMask)``, asked where a mask is late or failed; it
        answers as a stimulator does, within a second. None: `RunLimits.late_mask`.
    z
        What is analysed where a channel has several planes: ``"max"``, ``"mean"``,
        ``"middle"`` or the index of a plane; see `faro.model.projected`. All planes
        are stored, and are ``stack.volume(channel)`` for features and stimulators.
    stimulators
        Instead of ``stimulator``: name of a stimulation channel to the one that decides
        on it. Each has a memory of its own, and what fails in one stops no other.

    Attributes
    ----------
    deciders
        The stimulators, each with its channel.

    Raises
    ------
    RefusedError
        If two segmenters share a name, something is no component, or needs cells
        where nothing finds them; all at once.
    """

    def __init__(  # noqa: PLR0913  the parts of a pipeline
        self,
        segmenters: object = None,
        features: object = None,
        tracker: Tracker | None = None,
        stimulator: Stimulator | Callable[..., object] | None = None,
        fallback: Fallback | None = None,
        reference_features: object = None,
        *,
        z: str | int = "max",
        stimulators: Mapping[str, Stimulator | Callable[..., object]] | None = None,
    ) -> None:
        problems: list[Problem] = []
        default = LocalThresholdSegmenter()
        given = _listed(default if segmenters is None else segmenters)
        self.segmenters = tuple(_methods(given, problems))
        self.features = tuple(_extractors(_listed(features), problems))
        references = _listed(reference_features)
        where = "reference_features"
        self.reference_features = tuple(_extractors(references, problems, where))
        self.tracker: Tracker = StreamingTracker() if tracker is None else tracker
        self.deciders = deciders_from(stimulator, stimulators, problems)
        self.fallback, self.z = fallback, z
        problems.extend(_z_problems(z))
        problems.extend(_tracker_problems(self.tracker))
        problems.extend(_fallback_problems(fallback))
        problems.extend([] if given else self._without_cells())
        if problems:
            raise RefusedError(problems)

    def _without_cells(self) -> Iterable[Problem]:
        """Yield what would fail on every frame where nothing finds cells."""
        asking = {
            "pipeline/features": bool(self.features),
            "pipeline/reference_features": bool(self.reference_features),
            **{d.where: waits_for(d.stimulator) > Waits.IMAGE for d in self.deciders},
        }
        for where in (where for where, needs_cells in asking.items() if needs_cells):
            remedy = "Give a segmenter, or leave segmenters out for the usual one."
            yield Problem(where, "it needs cells, and there is no segmenter.", remedy)

    def new_tracker(self) -> Tracker:
        """Return a tracker of its own for one more FOV."""
        return copy.deepcopy(self.tracker)

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of the label images that a run stores, but for masks of light."""
        names = [method.name for method in self.segmenters]
        rings = [name for f in self.features for name in getattr(f, "rings", ())]
        return tuple(dict.fromkeys([*names, "tracks", *rings]))

    def labels_for(
        self, channels: Iterable[str], given: Mapping[str, str] | None = None
    ) -> tuple[str, ...]:
        """Return `label_names`, and the label images of masks; see `mask_labels`."""
        masks = mask_labels(channels, given).values() if self.deciders else ()
        return (*self.label_names, *masks)

    def features_before_tracks(self) -> tuple[FeatureExtractor, ...]:
        """Return the extractors whose columns the tracker compares, in their order.

        One that does not say what it provides may provide them.
        """
        needed = set(getattr(self.tracker, "features", ()) or ())
        if not needed:
            return ()
        told = [getattr(f, "provides", None) for f in self.features]
        pairs = zip(self.features, told, strict=True)
        return tuple(f for f, names in pairs if names is None or needed & set(names))

    def features_before_mask(self) -> tuple[FeatureExtractor, ...]:
        """Return the extractors that the stimulators build on, in their order."""
        needed = {n for d in self.deciders for n in columns_needed(d.stimulator)}
        early: set[int] = set()
        for index in reversed(range(len(self.features))):
            extractor = self.features[index]
            provides = getattr(extractor, "provides", None)
            if needed and (provides is None or needed & set(provides)):
                early.add(index)
                needed |= set(getattr(extractor, "needs", ()) or ())
        return tuple(self.features[i] for i in sorted(early))

    def describe(self) -> dict[str, Any]:
        """Return names and parameters of all components, for the record."""
        alone = next((d.stimulator for d in self.deciders if not d.channel), None)
        return {
            "segmenters": [
                {
                    "name": method.name,
                    "use_channel": method.use_channel,
                    "seeds": method.seeds,
                    "cleaning": method.cleaning.model_dump(),
                    "component": _described(method.segmenter),
                }
                for method in self.segmenters
            ],
            "features": [_described(f) for f in self.features],
            "reference_features": [_described(f) for f in self.reference_features],
            "tracker": _described(self.tracker),
            "z": self.z,
            "stimulator": alone and _described(alone),
            "stimulators": {
                d.channel: _described(d.stimulator) for d in self.deciders if d.channel
            },
            "fallback": _described(self.fallback) if self.fallback else None,
        }


def _z_problems(z: object) -> Iterable[Problem]:
    """Yield what is wrong with how planes become one."""
    if isinstance(z, bool) or (z not in PROJECTIONS and not isinstance(z, int)):
        remedy = f"Use {', '.join(map(repr, PROJECTIONS))} or the index of a plane."
        yield Problem("pipeline/z", f"there is no projection {z!r}.", remedy)


def _listed(components: object) -> list[object]:
    """Return one component or several as a list."""
    if components is None:
        return []
    return list(components) if isinstance(components, list | tuple) else [components]


def _methods(
    given: Iterable[object], problems: list[Problem]
) -> Iterable[SegmentationMethod]:
    """Yield every segmenter with its name; a bare one is called nuclei."""
    names: set[str] = set()
    for index, item in enumerate(given):
        where = f"pipeline/segmenters/{index}"
        try:
            method = apart(_as_method(item, index))
        except TypeError as error:
            problems.append(_not_a_component(where, error))
            continue
        if method.name in names:
            what = f"two segmenters are called {method.name!r}."
            problems.append(Problem(where, what, "Give each a name of its own."))
        if method.seeds is not None and method.seeds not in names:
            what = f"there are no labels {method.seeds!r} to start from."
            remedy = f"Name a segmenter before it: {sorted(names) or 'there is none'}."
            problems.append(Problem(where, what, remedy))
        names.add(method.name)
        yield method


def _tracker_problems(tracker: object) -> Iterable[Problem]:
    """Yield the methods of a tracker that are missing."""
    words = {"update": "update(t, cells)", "state": "state()", "restore": "restore(s)"}
    for name, call in words.items():
        if not callable(getattr(tracker, name, None)):
            what = f"{type(tracker).__name__} has no method {call}."
            remedy = "Give an object with that method, for example StreamingTracker()."
            yield Problem("pipeline/tracker", what, remedy)


def _fallback_problems(fallback: object) -> Iterable[Problem]:
    if fallback is not None and not callable(fallback):
        what = f"{fallback!r} is no function."
        remedy = "Give a function fallback(late) that answers as a stimulator does."
        yield Problem("pipeline/fallback", what, remedy)


def _as_method(item: object, index: int) -> SegmentationMethod:
    if isinstance(item, SegmentationMethod):
        return item
    name = "nuclei" if index == 0 else f"labels_{index}"
    segmenter: Segmenter | Callable[..., Any] = item  # type: ignore[assignment]  # checked by SegmentationMethod
    return SegmentationMethod(name, segmenter)


def _extractors(
    given: Sequence[object], problems: list[Problem], where: str = "features"
) -> Iterable[FeatureExtractor]:
    for index, item in enumerate(given):
        try:
            yield as_feature_extractor(item)
        except TypeError as error:
            problems.append(_not_a_component(f"pipeline/{where}/{index}", error))


def _not_a_component(where: str, error: Exception) -> Problem:
    """Return the problem of something that has not the right method."""
    what = getattr(error, "problem", str(error))
    return Problem(where, what, getattr(error, "remedy", ""))


def _described(component: object) -> dict[str, Any]:
    """Return what a component says of itself, or its path and plain parameters."""
    if isinstance(component, WorkerProcesses):
        component = component.segmenter
    says = getattr(component, "describe", None)
    if callable(says) and not isinstance(component, type):
        told: dict[str, Any] = says()
        return told
    kind = component if callable(component) else type(component)
    name = getattr(kind, "__qualname__", type(component).__qualname__)
    module = getattr(kind, "__module__", type(component).__module__)
    plain = (bool, int, float, str, tuple, list, type(None))
    slots = getattr(type(component), "__slots__", ())
    values = {**{n: getattr(component, n, None) for n in slots}, **_vars(component)}
    settings = {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in values.items()
        if not key.startswith("_") and isinstance(value, plain)
    }
    return {"component": f"{module}:{name}", "parameters": settings}


def _vars(component: object) -> dict[str, Any]:
    return dict(getattr(component, "__dict__", {}))
