"""The components tried on a synthetic image before the run: once, in the dark.

What breaks its contract, asks for a channel, a label image or a column that there is
not, is an error. What merely fails on synthetic cells is a warning: real ones may do.
"""

from __future__ import annotations

import copy
import logging
import threading
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from faro.analysis import PixelCells
from faro.errors import ComponentError, FaroError, Problem
from faro.experiment.refusal import nearest
from faro.model import FrameRole, Stack
from faro.protocols import StimulationContext, Waits, columns_needed, waits_for
from faro.run.answers import columns_of, lights_of
from faro.run.deciders import stim_channels_of
from faro.run.frozen import frozen, thawed
from faro.run.late import REHEARSAL, LateMask, answer_of
from faro.run.remembered import keeps_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from faro.analysis import SegmentationMethod
    from faro.experiment import RTMEvent
    from faro.model import HardwareFacts, StimChannel
    from faro.model.frame import PixelArray
    from faro.protocols import FeatureExtractor
    from faro.run.deciders import Decider
    from faro.run.late import Fallback
    from faro.run.pipeline import ImageProcessingPipeline

logger = logging.getLogger(__name__)

DEFAULT_SHAPE = (64, 64)
"""Shape of the probe image where the microscope does not tell its own."""
DEADLINE_S = 300.0
"""A model may have to be fetched first."""


def rehearse(
    pipeline: ImageProcessingPipeline,
    events: Sequence[RTMEvent],
    facts: HardwareFacts,
    *,
    light: bool = True,
    deadline_s: float = DEADLINE_S,
) -> list[Problem]:
    """Return what is wrong with the components, from one pass over a probe image.

    Tracker, feature extractors and stimulator are copied first, so that a state of
    theirs stays as it is; segmenters are called as they are, which warms them up.

    Parameters
    ----------
    pipeline
        The components.
    events
        The experiment; its channels and the metadata of its first light are used.
    facts
        Shape and dtype of the images.
    light
        Whether the stimulators are tried too, once for each set of channels that give
        light together.
    deadline_s
        For all of them together.
    """
    if not events:
        return []
    shape = facts.image_shape or DEFAULT_SHAPE
    first = [channel.config for channel in events[0].channels]
    if not first or len(set(first)) < len(first):
        return []  # the check of the events says so
    channels = tuple(dict.fromkeys(c.config for e in events for c in e.channels))
    plane = probe_image(shape, facts.image_dtype)
    pixels = np.stack([plane] * len(channels))
    pixels.setflags(write=False)
    lit = _first_of_each_light(events) if light else ()
    metadata = dict((lit or events)[0].metadata)
    size_um = facts.pixel_size_um
    stack = Stack(
        pixels, channels, fov=0, timestep=0, pixel_size_um=size_um, metadata=metadata
    )
    trial = _Trial(pipeline, stack, lit, _reference_channels(events))
    thread = threading.Thread(
        target=trial.carry_out, name="faro-rehearsal", daemon=True
    )
    thread.start()
    thread.join(deadline_s)
    if thread.is_alive():
        what = f"{trial.trying} did not answer within {deadline_s:g} s."
        remedy = "Call it once yourself, so that what it loads is there."
        return [*trial.problems, Problem("pipeline", what, remedy)]
    return list(trial.problems)


def _first_of_each_light(events: Iterable[RTMEvent]) -> tuple[RTMEvent, ...]:
    """Return the first event of each set of channels that give light together."""
    found: dict[tuple[str, ...], RTMEvent] = {}
    for event in events:
        if event.has_stim:
            found.setdefault(tuple(c.config for c in event.stim_channels), event)
    return tuple(found.values())


def _reference_channels(events: Iterable[RTMEvent]) -> tuple[str, ...]:
    """Return the channels of the first reference frame."""
    first = next((event.ref_channels for event in events if event.ref_channels), ())
    return tuple(channel.config for channel in first)


@dataclass(slots=True)
class _Trial:
    """One pass of the probe image; collects what is wrong."""

    pipeline: ImageProcessingPipeline
    stack: Stack
    lit: tuple[RTMEvent, ...] = ()
    reference: tuple[str, ...] = ()
    problems: list[Problem] = field(default_factory=list)
    labels: dict[str, Any] = field(default_factory=dict)
    columns: dict[str, Any] = field(default_factory=dict)
    trying: str = ""

    def carry_out(self) -> None:
        """Try one component after the other; never raises."""
        try:
            self.segment()
            if not self.problems:
                self.measure()
        except Exception as error:  # a plug-in may raise anything
            logger.exception("The components could not be tried to the end.")
            what = (
                f"the components could not be tried: {type(error).__name__}: {error}."
            )
            remedy = "Try each with the check of its kind in faro.testing."
            self.problems.append(Problem("pipeline", what, remedy))

    def segment(self) -> None:
        """Try every segmenter on its channel."""
        for method in self.pipeline.segmenters:
            where = f"pipeline/segmenters/{method.name}"
            unknown = list(_unknown_channels(method, self.stack.channels))
            for channel in unknown:
                names = ", ".join(repr(name) for name in self.stack.channels)
                what = f"use_channel={channel!r} is not imaged."
                remedy = f"Use one of: {names}, or its index."
                self.problems.append(Problem(where, what, remedy))
            if not unknown:
                make = partial(method.labels_of, self.stack, self.labels)
                found = self._tried(where, make)
                if found is not None:
                    self.labels[method.name] = found

    def measure(self) -> None:
        """Track, measure and decide, in the order of a run."""
        segmenters = self.pipeline.segmenters
        nothing = np.zeros(self.stack.pixels.shape[1:], np.int32)
        main = self.labels.get(segmenters[0].name) if segmenters else nothing
        if main is None:
            return
        cells = PixelCells(main, self.stack.pixel_size_um)
        cells.set_label_images(self.labels)

        first = self.pipeline.features_before_tracks()
        self._measure(first, cells)

        def track() -> bool:
            cells.set_tracks(self.pipeline.new_tracker().update(0, cells))
            cells.set_features({"parent_id": np.zeros(len(cells), np.int64)})
            return True

        if self._tried("pipeline/tracker", track) is None:
            return
        early = self.pipeline.features_before_mask()
        early = tuple(f for f in early if f not in first)
        late = [f for f in self.pipeline.features if f not in (*first, *early)]
        self._measure(early, cells)
        for decider in self.pipeline.deciders if self.lit else ():
            self._decide(decider, cells)
        if self.pipeline.fallback is not None and self.lit:
            self._stand_in(self.pipeline.fallback)
        self._measure(late, cells)
        self._refer(cells)

    def _refer(self, cells: PixelCells) -> None:
        """Measure the cells on a reference frame."""
        extractors = self.pipeline.reference_features
        if not extractors:
            return
        if not self.reference:
            what = "no event takes a reference frame."
            remedy = "Give the sequence ref_channels and ref_frames."
            where = "pipeline/reference_features"
            self.problems.append(Problem(where, what, remedy, "warning"))
            return
        pixels = np.stack([self.stack.pixels[0]] * len(self.reference))
        pixels.setflags(write=False)
        stack = replace(self.stack, pixels=pixels, channels=self.reference)
        stack = replace(stack, role=FrameRole.REF)
        for index, extractor in enumerate(extractors):
            where = f"pipeline/reference_features/{index}"
            self._look_for_columns(where, extractor)
            mine = _copied(extractor)
            if mine is not None:
                self._tried(where, partial(columns_of, mine, cells, stack))

    def _measure(self, extractors: Iterable[FeatureExtractor], cells: Any) -> None:
        for extractor in extractors:
            where = f"pipeline/features/{self.pipeline.features.index(extractor)}"
            self._look_for_columns(where, extractor)
            mine = _copied(extractor)
            if mine is None:
                continue
            found = self._tried(where, partial(columns_of, mine, cells, self.stack))
            if found is not None:
                cells.set_features(found)
                self.columns |= found
                self._tried(where, partial(_keeps, mine))

    def _decide(self, decider: Decider, cells: PixelCells) -> None:
        """Ask for the light of each set of channels, until something is wrong."""
        self._look_for_columns(decider.where, decider.stimulator)
        for event in self.lit:
            channels = decider.channels_of(stim_channels_of(event.stim_channels))
            mine = _copied(decider.stimulator) if channels else None
            if mine is not None:
                before = len(self.problems)
                context = self._context(mine, cells, event, channels)
                self._tried(decider.where, partial(lights_of, mine, context))
                if len(self.problems) > before:
                    return

    def _stand_in(self, fallback: Fallback) -> None:
        """Ask the fallback for every channel, until something is wrong."""
        mine, pixels = _copied(fallback), self.stack.pixels
        shape, before = (pixels.shape[-2], pixels.shape[-1]), len(self.problems)
        for event in self.lit if mine is not None else ():
            for channel in event.stim_channels:
                why = event.timestep, REHEARSAL
                late = LateMask(0, *why, shape, None, channel.config)
                self._tried("pipeline/fallback", partial(answer_of, mine, late))
                if len(self.problems) > before:
                    return

    def _context(
        self,
        stimulator: object,
        cells: PixelCells,
        event: RTMEvent,
        channels: Mapping[str, StimChannel],
    ) -> StimulationContext:
        """Return what ``stimulator`` waits for, and no more."""
        facts = dict(event.metadata)
        stack = replace(self.stack, metadata=facts)
        told: Any = {"metadata": facts, "stim_channels": channels}
        waits = waits_for(stimulator)
        if waits >= Waits.LABELS:
            found = cells if waits is Waits.TRACKS else PixelCells(cells.labels)
            told |= {"cells": found, "labels": self.labels}
        return StimulationContext(stack, **told)

    def _look_for_columns(self, where: str, component: object) -> None:
        """Note columns that a component needs and none before it measures."""
        for name in sorted(columns_needed(component)):
            if name not in self.columns:
                what = f"{_name(component)} needs the column {name!r}, "
                what += "which nothing before it measures."
                self.problems.append(Problem(where, what, nearest(name, self.columns)))

    def _tried(self, where: str, call: Callable[[], Any]) -> Any:
        """Return what a component answers, or None after noting why it does not."""
        self.trying = where
        try:
            return call()
        except FaroError as error:
            raised = isinstance(error, ComponentError)  # in a worker process
            problem = Problem(where, error.problem, error.remedy)
            self.problems.append(
                replace(problem, severity="warning") if raised else problem
            )
        except KeyError as error:
            asked = str(error.args[0]) if error.args else str(error)
            what = f"it asks for {asked!r}, which there is not."
            known = [*self.labels, *self.stack.metadata, *self.columns]
            self.problems.append(Problem(where, what, nearest(asked, known)))
        except Exception as error:  # noqa: BLE001  a plug-in may raise anything
            what = f"it failed on a synthetic image: {type(error).__name__}: {error}."
            remedy = "Try it with the check of its kind in faro.testing."
            self.problems.append(Problem(where, what, remedy, "warning"))
        return None


def _unknown_channels(
    method: SegmentationMethod, channels: tuple[str, ...]
) -> Iterable[str | int]:
    """Yield the channels of a segmenter that are not imaged."""
    chosen = method.use_channel
    for channel in chosen if isinstance(chosen, list | tuple) else [chosen]:
        if isinstance(channel, str):
            if channel not in channels:
                yield channel
        elif not 0 <= channel < len(channels):
            yield channel


def _copied(component: Any) -> Any:
    """Return a copy with a state of its own, None where there can be none."""
    try:
        return copy.deepcopy(component)
    except Exception:  # noqa: BLE001  a plug-in may hold what cannot be copied
        return None


def _keeps(component: Any) -> bool:
    """Have an extractor that remembers say its state, and take it again."""
    if keeps_state(component):
        component.restore(0, {})
        component.restore(0, thawed(frozen(component.state(0), "its state")))
    return True


def _name(component: object) -> str:
    return str(getattr(component, "name", type(component).__name__))


def probe_image(shape: tuple[int, int], dtype: str) -> PixelArray:
    """Return a synthetic image (Y, X) of a few bright discs, read-only."""
    height, width = shape
    y, x = np.mgrid[:height, :width]
    pitch = max(16, min(shape) // 6)
    radius = pitch // 4
    inside = (y % pitch - pitch // 2) ** 2 + (x % pitch - pitch // 2) ** 2 < radius**2
    top = 200 if dtype == "uint8" else 2000
    image = np.where(inside, top, top // 20).astype(dtype)
    image.setflags(write=False)
    return image
