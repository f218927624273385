"""All segmenters of a run in processes, where its limits say so."""

from __future__ import annotations

import copy
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from faro.analysis import InWorkerProcess, WorkerProcesses
from faro.analysis.method import FunctionSegmenter
from faro.errors import FaroError, Problem, RefusedError
from faro.run.components import modules_from

if TYPE_CHECKING:
    from faro.analysis import SegmentationMethod
    from faro.run.limits import RunLimits
    from faro.run.pipeline import ImageProcessingPipeline

DEADLINE_PART: Final = 0.9
"""Of the deadline of a step: the process is killed before its thread is given up."""
REMEDY: Final = (
    "Make its class a dataclass with parameters of JSON types in a module of its own, "
    "give InWorkerProcess('module:Name', {...}), or set workers = \"threads\"."
)


def in_processes(
    pipeline: ImageProcessingPipeline, limits: RunLimits
) -> ImageProcessingPipeline:
    """Return a pipeline whose segmenters run where ``limits.workers`` says.

    Raises
    ------
    RefusedError
        If another process could not make one; with all of them.
    """
    if limits.workers == "threads":
        return pipeline
    problems: list[Problem] = []
    methods = []
    for method in pipeline.segmenters:
        try:
            methods.append(_moved(method, limits))
        except FaroError as error:
            where = f"pipeline/segmenters/{method.name}"
            problems.append(Problem(where, error.problem, REMEDY))
    if problems:
        raise RefusedError(problems)
    moved = copy.copy(pipeline)
    moved.segmenters = tuple(methods)
    return moved


def _moved(method: SegmentationMethod, limits: RunLimits) -> SegmentationMethod:
    """Return a segmenter in processes, unless it is elsewhere already."""
    segmenter: Any = method.segmenter
    elsewhere = isinstance(segmenter, (InWorkerProcess, WorkerProcesses))
    if elsewhere or getattr(segmenter, "needs_network", False):
        return method
    deadline_s = DEADLINE_PART * limits.step_deadline_s
    with modules_from(_folder_of(segmenter)):
        if _on_gpu(segmenter):
            moved: Any = InWorkerProcess(segmenter, deadline_s=deadline_s)
        else:
            n_processes = limits.n_workers
            moved = WorkerProcesses(segmenter, n_processes, deadline_s=deadline_s)
    return replace(method, segmenter=moved)


def _on_gpu(segmenter: object) -> bool:
    """Return whether a model runs on a GPU, which holds it once."""
    device = getattr(segmenter, "device", "cpu")
    return bool(getattr(segmenter, "gpu", False)) or str(device) != "cpu"


def _folder_of(segmenter: object) -> Path | None:
    """Return the folder from which the module of a segmenter was imported."""
    made: Any = segmenter
    if isinstance(made, FunctionSegmenter):
        made = getattr(made.function, "func", made.function)
    name = getattr(made, "__module__", "")
    file = getattr(sys.modules.get(name), "__file__", None)
    if file is None or name.partition(".")[0] in ("faro", "__main__"):
        return None
    path = Path(file)
    depth = name.count(".") + (path.name == "__init__.py")
    return path.parents[depth]
