"""From an experiment file to a run: microscope, pipeline, writer and events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faro.errors import Problem, RefusedError
from faro.experiment import check
from faro.experiment.document import ExperimentFile, words_of
from faro.experiment.document_events import events_from
from faro.experiment.document_problems import checked
from faro.experiment.document_text import read_data, text_of
from faro.experiment.lateness import schedule_problems
from faro.experiment.refusal import ExperimentError
from faro.experiment.waiting import start_warnings
from faro.run.building import (
    RigMaker,
    components_from,
    limits_from,
    limits_words,
    rig_from,
    writer_from,
)
from faro.run.controller import Controller
from faro.run.orders import Desk, orders_taken
from faro.run.position_files import with_positions
from faro.storage import open_run
from faro.storage.layout import next_free

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faro.experiment import RTMEvent
    from faro.microscope.abstract import AbstractMicroscope
    from faro.run.gate import ClockPolicy
    from faro.run.limits import RunLimits
    from faro.run.pipeline import ImageProcessingPipeline
    from faro.run.summary import RunSummary

RUN_JSON = "run.json"
KEY = "experiment_file"
"""Where ``run.json`` keeps the resolved file, in its description."""
COPY = Path("provenance", "experiment.toml")
"""Where the run folder keeps the same for people."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """An experiment that is ready to run, once; no device is touched yet.

    Attributes
    ----------
    document
        The resolved file: import paths, all parameters, absolute folders.
    events
        What is done.
    pipeline
        What is done with every frame, None to only record.
    limits
        Deadlines and sizes.
    rig
        The microscope, not opened.
    path
        Where the run is stored if nothing else is said and nothing is there.
    """

    document: ExperimentFile
    events: tuple[RTMEvent, ...]
    pipeline: ImageProcessingPipeline | None
    limits: RunLimits
    rig: RigMaker
    path: Path

    def controller(self, microscope: AbstractMicroscope, path: Path) -> Controller:
        """Return the controller of a run on an open microscope, stored at ``path``."""
        writer = writer_from(self.document.storage, path)
        writer.keep(*_copy_of(self._stored_at(path)))
        return Controller(
            microscope,
            self.pipeline,
            writer=writer,
            limits=self.limits,
            times=self.document.times,
        )

    def problems(self, microscope: AbstractMicroscope) -> list[Problem]:
        """Return why the run cannot start on an open microscope; no light."""
        controller = self.controller(microscope, next_free(self.path))
        stim_mode = self.document.stim_mode
        return controller.validate_events(self.events, stim_mode=stim_mode)

    def run(
        self,
        output: str | Path | None = None,
        *,
        progress: bool = False,
        hosted: bool = False,
    ) -> RunSummary:
        """Run the experiment; returns when it is done and stored.

        Parameters
        ----------
        output
            The run folder; None for the one of the file, or the next free number.
        progress
            Show a live line.
        hosted
            Run the microscope in a process of its own, which goes dark and releases
            the devices even if this one is killed.

        Raises
        ------
        RefusedError
            Before any light, with all problems.
        """
        path = Path(output or next_free(self.path)).absolute()
        document = self._stored_at(path)
        notes = {
            "name": document.name or path.name,
            "notes": dict(document.notes),
            KEY: words_of(document, full=True),
        }
        with self.rig.open(hosted=hosted) as microscope:
            controller = self.controller(microscope, path)
            with orders_taken(Desk(controller, microscope.go_dark, path)):
                return controller.run_experiment(
                    self.events,
                    stim_mode=document.stim_mode,
                    progress=progress,
                    notes=notes,
                )

    def _stored_at(self, path: Path) -> ExperimentFile:
        """Return the file with the folder where the run is stored."""
        storage = self.document.storage.replace(path=str(path))
        return self.document.replace(storage=storage)


def resume_run(
    folder: Path,
    *,
    clock: ClockPolicy = "shift",
    progress: bool = False,
    hosted: bool = False,
) -> RunSummary:
    """Go on with a run that was started from a file; returns when it is done.

    Parameters
    ----------
    folder
        The run folder, which holds the resolved file.
    clock
        As for `Controller.resume`.
    progress, hosted
        As for `Prepared.run`.

    Raises
    ------
    ExperimentError
        If the run was not started from a file.
    RefusedError
        If rig, files or definition changed; with all that did.
    """
    prepared = prepare(folder)
    with prepared.rig.open(hosted=hosted) as microscope:
        controller = Controller(
            microscope,
            prepared.pipeline,
            limits=prepared.limits,
            times=prepared.document.times,
        )
        with orders_taken(Desk(controller, microscope.go_dark, folder)):
            return controller.resume(folder, clock=clock, progress=progress)


def load_words(path: str | Path) -> tuple[dict[str, Any], Path]:
    """Return what a file says, unchecked, and the file itself.

    Parameters
    ----------
    path
        An experiment file, or the folder of a run that was started from one.

    Raises
    ------
    ExperimentError
        If it cannot be read, or the run was not started from a file.
    """
    source = Path(path)
    if not source.is_dir() and source.name != RUN_JSON:
        return read_data(source), source.absolute()
    folder = source if source.is_dir() else source.parent
    words = open_run(folder).info.get("description", {}).get(KEY)
    if not isinstance(words, dict):
        what = "the run was not started from an experiment file."
        remedy = "Write one (faro init), or run the script that made it."
        raise ExperimentError([Problem(str(folder), what, remedy)])
    return words, folder.absolute()


def prepare(source: str | Path | ExperimentFile) -> Prepared:
    """Return an experiment, ready to run; no device is touched.

    Parameters
    ----------
    source
        An experiment file, the folder of a run that was started from one, or an
        `ExperimentFile` made in Python, whose folders count from the current one.

    Raises
    ------
    ExperimentError
        With everything that is wrong in the file.
    """
    if isinstance(source, ExperimentFile):
        words, path = words_of(source), Path("experiment").absolute()
    else:
        words, path = load_words(source)
    prepared, problems = examine(words, path)
    if problems or not isinstance(prepared, Prepared):
        raise ExperimentError(problems)
    return prepared


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What could be made of a file that has mistakes.

    Attributes
    ----------
    events
        What is done, empty where the sequences are wrong.
    rig
        The microscope, not opened; None where it is wrong.
    """

    events: tuple[RTMEvent, ...]
    rig: RigMaker | None


def examine(
    words: Mapping[str, Any], source: Path
) -> tuple[Prepared | Unfinished, list[Problem]]:
    """Return what a file describes, and everything that is wrong with it.

    Parameters
    ----------
    words
        What the file says.
    source
        The file; folders in it are counted from its folder.
    """
    words, problems = with_positions(words, source.parent)
    document, refused = checked(words)
    events, wrong = ((), []) if problems else events_from(words)
    problems += refused
    said = words_of(document, full=True) if document is not None else words
    folder = _module_folder(words, source)
    rig = rig_from(said.get("microscope"), folder)
    parts = components_from(said.get("pipeline"), folder)
    limits, wrong_limits = limits_from(said.get("limits"))
    pipeline = None
    if document is not None and document.pipeline is not None:
        pipeline = parts.pipeline(document.pipeline)
    problems += [*wrong, *(rig if isinstance(rig, list) else ())]
    problems += [*parts.problems, *wrong_limits]
    if problems or document is None or isinstance(rig, list):
        opened = None if isinstance(rig, list) else rig
        return Unfinished(events, opened), list(dict.fromkeys(problems))
    path = _run_path(document, source)
    full = document.replace(
        modules=str(folder),
        microscope=rig.words,
        pipeline=document.pipeline and parts.resolved(document.pipeline),
        limits=limits_words(limits),
        storage=document.storage.replace(path=str(path)),
    )
    return Prepared(full, events, pipeline, limits, rig, path), []


def problems_of(
    path: str | Path, *, offline: bool = False, hosted: bool = False
) -> list[Problem]:
    """Return everything that is wrong with the experiment of a file.

    Parameters
    ----------
    path
        An experiment file, or the folder of a run that was started from one.
    offline
        Leave the microscope alone: only the file is checked.
    hosted
        As for `Prepared.run`.

    Raises
    ------
    ExperimentError
        If the file cannot be read.
    """
    words, source = load_words(path)
    found, problems = examine(words, source)
    if offline:
        return problems + _offline_problems(found)
    if found.rig is None:
        return problems
    try:
        with found.rig.open(hosted=hosted) as microscope:
            if isinstance(found, Prepared):
                return problems + found.problems(microscope)
            return problems + _preset_problems(found.events, microscope)
    except RefusedError as error:
        return [*problems, *error.problems]


def _offline_problems(found: Prepared | Unfinished) -> list[Problem]:
    if not isinstance(found, Prepared) or not found.events:
        return []
    document = found.document
    real = found.rig.words.parameters.get("real_time_exposure", True)
    late = schedule_problems(
        found.events,
        document.times,
        stim_mode=document.stim_mode,
        exposures_take_time=bool(real),
    )
    return late + start_warnings(found.events, datetime.now(UTC))


def _preset_problems(
    events: tuple[RTMEvent, ...], microscope: AbstractMicroscope
) -> list[Problem]:
    """Return what the microscope cannot do, where the rest of the file is wrong."""
    if not events:
        return []
    return check(events, facts=microscope.facts(), masked=False)


def _module_folder(words: Mapping[str, Any], source: Path) -> Path:
    """Return the folder of the user's modules."""
    named = words.get("modules")
    home = source.parent
    return home / named if isinstance(named, str) else home


def _run_path(document: ExperimentFile, source: Path) -> Path:
    """Return where the run is stored, as the file says."""
    named = document.storage.path
    return source.parent / (named or f"{source.stem}-run")


def _copy_of(document: ExperimentFile) -> tuple[str, str]:
    """Return name and content of the copy that lies in the run folder for people."""
    try:
        return COPY.name, text_of(document, "toml", full=True)
    except ExperimentError:  # TOML has no null
        return COPY.with_suffix(".json").name, text_of(document, "json", full=True)
