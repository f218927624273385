"""What tracker and features remember of a position, as a run stores it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from faro.errors import FaroError, Problem
from faro.run.frozen import frozen, thawed
from faro.storage.kept import state_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from faro.protocols import Tracker
    from faro.run.past import Past
    from faro.run.pipeline import ImageProcessingPipeline

TRACKER: Final = "tracker"


def remembering(pipeline: ImageProcessingPipeline) -> dict[str, Any]:
    """Return the feature extractors that keep a state, by their place."""
    return {
        f"features/{index}": extractor
        for index, extractor in enumerate(pipeline.features)
        if keeps_state(extractor)
    }


def keeps_state(component: object) -> bool:
    """Return whether a component says what it remembers, and takes it again."""
    return all(callable(getattr(component, n, None)) for n in ("state", "restore"))


def remembered(
    pipeline: ImageProcessingPipeline, fov: int, tracker: Tracker
) -> dict[str, Any]:
    """Return the states of the tracker and the features of a FOV, by their place."""
    told = {place: x.state(fov) for place, x in remembering(pipeline).items()}
    return {TRACKER: tracker.state(), **told}


def frozen_states(states: Mapping[str, Any]) -> dict[str, Any]:
    """Return states as JSON-able data; ContractError names one that cannot be."""
    return {
        place: frozen(state, f"state() of {place}") for place, state in states.items()
    }


def tracker_from(
    pipeline: ImageProcessingPipeline, states: Mapping[str, Any]
) -> Tracker:
    """Return a new tracker that goes on from its state, if there is one."""
    tracker = pipeline.new_tracker()
    if TRACKER in states:
        tracker.restore(states[TRACKER])
    return tracker


def features_from(
    pipeline: ImageProcessingPipeline, fov: int, states: Mapping[str, Any]
) -> None:
    """Have the features of a FOV go on from their states, from nothing without one."""
    for place, extractor in remembering(pipeline).items():
        extractor.restore(fov, states.get(place, {}))


def state_problems(past: Past, pipeline: ImageProcessingPipeline) -> Iterator[Problem]:
    """Yield the states of a stored run that the components of now do not take."""
    for fov in sorted({fov for fov, _ in past.so_far.places}):
        words = state_of(past.run, fov)
        if words is None:
            continue
        where = f"state/position {fov}"
        try:
            states = thawed(words["states"])
            tracker_from(pipeline, states)
            features_from(pipeline, fov, states)
        except FaroError as error:
            yield Problem(where, error.problem, error.remedy)
        except Exception as error:  # noqa: BLE001  a plug-in may raise anything
            what = f"it is not taken: {type(error).__name__}: {error}."
            remedy = "Go on with the version that wrote it, or begin a new run."
            yield Problem(where, what, remedy)
