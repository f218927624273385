"""Events per second of a run against the bare runner of pymmcore-plus, interleaved.

Run ``python benchmarks/dispatch.py [--rounds N]``. One round takes the same events with
Micro-Manager's demo camera (512 x 512, 1 ms, fast image) twice: with the ordinary
`Controller`, which records nothing and analyses nothing, and with the runner and engine
of pymmcore-plus as they come, fed by an iterator, with a listener for its frames.
Promised is at least 0.8 of the bare runner.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time
from typing import TYPE_CHECKING, Any

import useq
from pymmcore_plus import CMMCorePlus
from pymmcore_plus.mda import MDAEngine

from faro import Controller, MMDemo, RTMSequence

if TYPE_CHECKING:
    from collections.abc import Iterator

PROMISE = 0.8
CAMERA = {"PixelType": "16bit", "FastImage": "1"}
CHANNELS = {"one channel": ["DAPI"], "two channels in turn": ["DAPI", "FITC"]}


def sequence(channels: list[str], timepoints: int) -> dict[str, Any]:
    """Return what both take, in the words of useq."""
    return {
        "time_plan": {"interval": 0, "loops": timepoints},
        "channels": [{"config": name, "exposure": 1.0} for name in channels],
    }


def our_rate(microscope: MMDemo, words: dict[str, Any], n_frames: int) -> float:
    """Return the events per second of a run, from its first event on."""
    events = RTMSequence.model_validate(words)
    controller = Controller(microscope)
    started_s: list[float] = []

    def begin(_timestep: int, _fov: int) -> None:
        started_s.append(time.perf_counter())

    controller.notices.acquiring.connect(begin)
    summary = controller.run_experiment(events)
    if not summary.completed or summary.n_stacks * len(events.channels) != n_frames:
        message = f"the run was not complete: {summary}"
        raise RuntimeError(message)
    return n_frames / (time.perf_counter() - started_s[0])


def bare_rate(core: CMMCorePlus, words: dict[str, Any], n_frames: int) -> float:
    """Return the events per second of the bare runner."""
    taken: list[float] = []

    def take(_pixels: Any, _event: useq.MDAEvent, _metadata: Any) -> None:
        taken.append(time.perf_counter())

    def feed() -> Iterator[useq.MDAEvent]:
        for event in useq.MDASequence.model_validate(words):
            yield event.replace(min_start_time=None)

    core.mda.events.frameReady.connect(take)
    began_s = time.perf_counter()
    core.run_mda(feed()).join()
    core.mda.events.frameReady.disconnect(take)
    if len(taken) != n_frames:
        message = f"the bare runner gave {len(taken)} of {n_frames} frames"
        raise RuntimeError(message)
    return n_frames / (time.perf_counter() - began_s)


def set_camera(core: CMMCorePlus) -> None:
    for name, value in CAMERA.items():
        core.setProperty("Camera", name, value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--events", type=int, default=400)
    given = parser.parse_args()
    logging.getLogger("pymmcore-plus").setLevel(logging.WARNING)
    core = CMMCorePlus()
    core.loadSystemConfiguration()
    core.mda.set_engine(MDAEngine(core))
    set_camera(core)
    with MMDemo() as microscope:
        set_camera(microscope.mmc)
        for name, channels in CHANNELS.items():
            events = sequence(channels, given.events // len(channels))
            rates: dict[str, list[float]] = {"ours": [], "bare": []}
            for _ in range(given.rounds):
                rates["ours"].append(our_rate(microscope, events, given.events))
                rates["bare"].append(bare_rate(core, events, given.events))
            ours, bare = (statistics.median(rates[who]) for who in ("ours", "bare"))
            ratios = [o / b for o, b in zip(rates["ours"], rates["bare"], strict=True)]
            print(
                f"{name}: ours {ours:.0f} events/s, bare runner {bare:.0f} events/s, "
                f"ratio {statistics.median(ratios):.2f}"
            )
    print(f"promised: at least {PROMISE}")
    core.unloadAllDevices()


if __name__ == "__main__":
    main()
