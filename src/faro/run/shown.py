"""How a controller and its run show themselves in a notebook; no device is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faro.model.shown import table_html

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faro.protocols import Microscope, Sink
    from faro.run.pipeline import ImageProcessingPipeline
    from faro.run.summary import RunProgress


def controller_html(
    state: str,
    parts: tuple[Microscope, ImageProcessingPipeline | None, Sink | None],
    progress: RunProgress | None,
    n_errors: int,
) -> str:
    """Return a controller as HTML: its parts, and where its run is."""
    microscope, pipeline, writer = parts
    rows = [
        ("state", state),
        ("microscope", type(microscope).__name__),
        ("pipeline", _pipeline_text(pipeline)),
        ("stored in", str(writer.path) if writer else "nothing is stored"),
    ]
    if progress is not None:
        rows += progress_rows(progress)
        rows.append(("errors", str(n_errors or "none")))
    return table_html("Controller", rows)


def handle_html(state: str, progress: RunProgress) -> str:
    """Return a run under way as HTML."""
    return table_html("Run under way", [("state", state), *progress_rows(progress)])


def progress_rows(progress: RunProgress) -> Iterator[tuple[str, str]]:
    """Yield how far a run is, in words."""
    yield "done", f"{progress.n_done} of {progress.n_total} positions and timepoints"
    yield "left", f"{progress.left_s:.0f} s"
    yield "lateness", f"{progress.lateness_s:.2f} s"
    if progress.doing:
        yield "held up", progress.doing


def _pipeline_text(pipeline: ImageProcessingPipeline | None) -> str:
    if pipeline is None:
        return "none; frames are recorded"
    parts: list[object] = [method.segmenter for method in pipeline.segmenters]
    parts += [*pipeline.features, *pipeline.reference_features, pipeline.tracker]
    parts += [decider.stimulator for decider in pipeline.deciders]
    return ", ".join(type(part).__name__ for part in parts)
