"""The contract of a microscope, as a function that its author can run."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import useq

from faro.errors import ContractError, FaroError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from faro.microscope.abstract import AbstractMicroscope
    from faro.model.frame import PixelArray

DEADLINE_S = 20.0
N_FRAMES = 3


def check_microscope(
    make: Callable[[], AbstractMicroscope],
    *,
    fov: int = 0,
    n_timepoints: int = N_FRAMES,
) -> None:
    """Raise ContractError where the microscope that ``make`` returns breaks a promise.

    Checked: facts and description; one frame or one report per event, in order, on
    the thread of the acquisition, read-only, with its times; an iterator that blocks
    for ever can be cancelled; a callback that raises ends the run and its error is
    kept; a second run is refused while one runs; everything twice: going dark,
    disconnecting, shutting down.

    Parameters
    ----------
    make
        Returns a new microscope; called several times, one at a time.
    fov, n_timepoints
        What is acquired: position ``fov``, timepoints 0 to ``n_timepoints``, in the
        first channel of the channel group.
    """
    for check in (_frames_in_order, _cancel_a_blocked_run, _a_callback_that_raises):
        microscope = make()
        try:
            check(microscope, fov, n_timepoints)
            microscope.go_dark("contract check")
            microscope.go_dark("contract check, again")
        finally:
            microscope.shutdown()
            microscope.shutdown()
    with make() as microscope:
        _tells_what_it_is(microscope)


def _require(kept: object, promise: str, seen: object = "") -> None:
    if not kept:
        problem = f"A microscope must keep this: {promise} (seen: {seen!r})."
        raise ContractError(problem, remedy="See faro.protocols.Microscope.")


def event_of(**fields: object) -> useq.MDAEvent:
    """Return an event of loosely typed ``fields``, validated."""
    return useq.MDAEvent.model_validate(fields)


def events_for(
    microscope: AbstractMicroscope, fov: int, n_timepoints: int
) -> Iterator[useq.MDAEvent]:
    """Yield imaging events as a run feeds them, in the first channel there is."""
    facts = microscope.facts()
    channel = facts.presets[facts.channel_group][0]
    for timestep in range(n_timepoints):
        yield event_of(
            index={"t": timestep, "p": fov, "c": 0},
            channel={"config": channel, "group": microscope.resolve_group(channel)},
            exposure=5.0,
            metadata={
                "faro": {
                    "seq": timestep,
                    "role": "image",
                    "fov": fov,
                    "timestep": timestep,
                    "channel": channel,
                    "planned_s": float(timestep),
                }
            },
        )


def _frames_in_order(
    microscope: AbstractMicroscope, fov: int, n_timepoints: int
) -> None:
    seen: list[tuple[int, int]] = []
    threads: set[threading.Thread] = set()
    shape, dtype = microscope.facts().image_shape, microscope.facts().image_dtype

    def take(
        pixels: PixelArray, event: useq.MDAEvent, metadata: Mapping[str, Any]
    ) -> None:
        threads.add(threading.current_thread())
        seen.append((event.index["t"], 0))
        _require(pixels.shape == shape, "frames as in facts()", pixels.shape)
        _require(pixels.dtype == np.dtype(dtype), "dtype as in facts()", pixels.dtype)
        _require(not pixels.flags.writeable, "frames are read-only")
        json.dumps(dict(metadata))
        _require(metadata["acquired_monotonic_s"] > 0, "acquired_monotonic_s")
        _require(metadata["acquired_wall_ns"] > 0, "acquired_wall_ns")

    def miss(event: useq.MDAEvent, error: Exception) -> None:
        _require(isinstance(error, FaroError), "missing frames say why", error)
        seen.append((event.index["t"], 1))

    microscope.connect_frame(take)
    microscope.connect_missing(miss)
    thread = microscope.run_mda(events_for(microscope, fov, n_timepoints))
    thread.join(DEADLINE_S)
    _require(not thread.is_alive(), "a run ends with its iterator")
    if thread.error is not None:
        raise thread.error
    expected = list(range(n_timepoints))
    _require([t for t, _ in seen] == expected, "one answer per event, in order", seen)
    _require(any(kind == 0 for _, kind in seen), "at least one frame", seen)
    _require(threads == {thread}, "frames come on the returned thread", threads)
    for disconnect in (microscope.disconnect_frame,) * 2:
        disconnect(take)
    for disconnect_missing in (microscope.disconnect_missing,) * 2:
        disconnect_missing(miss)


def _cancel_a_blocked_run(
    microscope: AbstractMicroscope, fov: int, n_timepoints: int
) -> None:
    blocked, release = threading.Event(), threading.Event()

    def feed() -> Iterator[useq.MDAEvent]:
        yield from events_for(microscope, fov, n_timepoints)
        blocked.set()
        release.wait(DEADLINE_S)

    thread = microscope.run_mda(feed())
    try:
        _require(blocked.wait(DEADLINE_S), "events are asked for")
        refused = False
        try:
            microscope.run_mda(iter(()))
        except FaroError:
            refused = True
        _require(refused, "a second run is refused while one runs")
        microscope.cancel_mda()
        thread.join(DEADLINE_S / 10)
        _require(not thread.is_alive(), "cancel ends a run whose iterator blocks")
        _require(thread.error is None, "a cancelled run has no error", thread.error)
    finally:
        release.set()


def _a_callback_that_raises(
    microscope: AbstractMicroscope, fov: int, n_timepoints: int
) -> None:
    def fail(*_: object) -> None:
        message = "told to fail"
        raise ZeroDivisionError(message)

    microscope.connect_frame(fail)
    thread = microscope.run_mda(events_for(microscope, fov, n_timepoints))
    thread.join(DEADLINE_S)
    _require(not thread.is_alive(), "a callback that raises ends the run")
    _require(
        isinstance(thread.error, ZeroDivisionError), "its error is kept", thread.error
    )
    microscope.disconnect_frame(fail)


def _tells_what_it_is(microscope: AbstractMicroscope) -> None:
    facts = microscope.facts()
    _require(facts.image_shape, "facts() name the image shape")
    _require(facts.channel_group in facts.presets, "the channel group exists")
    for group, presets in facts.presets.items():
        for preset in presets:
            found = microscope.resolve_group(preset)
            _require(preset in facts.presets[found], "a group that holds it", group)
    try:
        microscope.resolve_group("no such preset")
    except FaroError:
        pass
    else:
        _require(kept=False, promise="an unknown preset is an error")
    json.dumps(microscope.describe())
