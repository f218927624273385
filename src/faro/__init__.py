"""FARO: Feedback Adaptive Real-time Optogenetics.

Acquire, segment, track, measure, decide, and shine light, while the cells live.
Names are loaded when first used, so that ``import faro`` stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from faro.analysis import SegmentationMethod
    from faro.errors import FaroError, Problem
    from faro.experiment import (
        Channel,
        PowerChannel,
        RTMEvent,
        RTMSequence,
        Treatment,
        apply_fov_batching,
        arrange,
        check_fov_batching,
        combine,
        events_from_table,
        load_events,
        load_positions,
        save_events,
        wait_before,
    )
    from faro.experiment.document import ExperimentFile
    from faro.experiment.document_text import load_experiment, save_experiment
    from faro.microscope import (
        DMD,
        AbstractMicroscope,
        MMDemo,
        PyMMCoreMicroscope,
        ReplayMicroscope,
        SimulatedMicroscope,
    )
    from faro.microscope.host import host
    from faro.reanalysis import reanalyze
    from faro.rigs.pertzlab import Jungfrau, Moench, Niesen
    from faro.run import Controller, ImageProcessingPipeline
    from faro.run.files import prepare
    from faro.storage import (
        OmeZarrWriter,
        OmeZarrWriterPlate,
        TiffWriter,
        convert,
        open_run,
    )

__version__ = "0.1.0"

_HOMES = {
    "AbstractMicroscope": "faro.microscope",
    "Channel": "faro.experiment",
    "Controller": "faro.run",
    "DMD": "faro.microscope",
    "ExperimentFile": "faro.experiment.document",
    "FaroError": "faro.errors",
    "ImageProcessingPipeline": "faro.run",
    "Jungfrau": "faro.rigs.pertzlab",
    "MMDemo": "faro.microscope",
    "Moench": "faro.rigs.pertzlab",
    "Niesen": "faro.rigs.pertzlab",
    "OmeZarrWriter": "faro.storage",
    "OmeZarrWriterPlate": "faro.storage",
    "PowerChannel": "faro.experiment",
    "Problem": "faro.errors",
    "PyMMCoreMicroscope": "faro.microscope",
    "RTMEvent": "faro.experiment",
    "RTMSequence": "faro.experiment",
    "ReplayMicroscope": "faro.microscope",
    "SegmentationMethod": "faro.analysis",
    "SimulatedMicroscope": "faro.microscope",
    "TiffWriter": "faro.storage",
    "Treatment": "faro.experiment",
    "apply_fov_batching": "faro.experiment",
    "arrange": "faro.experiment",
    "check_fov_batching": "faro.experiment",
    "combine": "faro.experiment",
    "convert": "faro.storage",
    "events_from_table": "faro.experiment",
    "host": "faro.microscope.host",
    "load_events": "faro.experiment",
    "load_experiment": "faro.experiment.document_text",
    "load_positions": "faro.experiment",
    "open_run": "faro.storage",
    "prepare": "faro.run.files",
    "reanalyze": "faro.reanalysis",
    "save_events": "faro.experiment",
    "save_experiment": "faro.experiment.document_text",
    "wait_before": "faro.experiment",
}

_ELSEWHERE = {
    "PymmcoreProxyMic": "faro.host(Moench) runs a microscope in a process of its own",
    "ControllerSimulated": "give ReplayMicroscope(faro.open_run(DIR)) to Controller",
}
"""What the public FARO project has under a name that we do not, and what to use."""

__all__ = [
    "DMD",
    "AbstractMicroscope",
    "Channel",
    "Controller",
    "ExperimentFile",
    "FaroError",
    "ImageProcessingPipeline",
    "Jungfrau",
    "MMDemo",
    "Moench",
    "Niesen",
    "OmeZarrWriter",
    "OmeZarrWriterPlate",
    "PowerChannel",
    "Problem",
    "PyMMCoreMicroscope",
    "RTMEvent",
    "RTMSequence",
    "ReplayMicroscope",
    "SegmentationMethod",
    "SimulatedMicroscope",
    "TiffWriter",
    "Treatment",
    "apply_fov_batching",
    "arrange",
    "check_fov_batching",
    "combine",
    "convert",
    "events_from_table",
    "host",
    "load_events",
    "load_experiment",
    "load_positions",
    "open_run",
    "prepare",
    "reanalyze",
    "save_events",
    "save_experiment",
    "wait_before",
]


if not TYPE_CHECKING:  # a type checker must see misspelt names

    def __getattr__(name: str) -> object:
        if name in _HOMES:
            return getattr(import_module(_HOMES[name]), name)
        message = f"module 'faro' has no attribute {name!r}"
        if name in _ELSEWHERE:
            message += f"; instead: {_ELSEWHERE[name]}"
        raise AttributeError(message)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
