"""The pipeline of a stored run, made again; or another one, from a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faro.errors import Problem
from faro.experiment.document import PipelinePart, words_of
from faro.experiment.document_problems import checked
from faro.experiment.document_text import read_data
from faro.experiment.refusal import ExperimentError
from faro.run.building import components_from
from faro.storage import open_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faro.run.pipeline import ImageProcessingPipeline
    from faro.storage import Run

PIPELINE = "pipeline"
REMEDY = "Give the pipeline in a file: --pipeline FILE."


@dataclass(frozen=True, slots=True)
class PipelineRecipe:
    """A pipeline in the words of an experiment file.

    Attributes
    ----------
    words
        The part ``pipeline``, JSON-able.
    folder
        Folder of the user's modules, None for none.
    said_by
        What said so, for messages.
    """

    words: Mapping[str, Any]
    folder: Path | None
    said_by: str

    def make(self) -> ImageProcessingPipeline:
        """Return a new pipeline.

        Raises
        ------
        ExperimentError
            With everything that is wrong.
        """
        return self._made()[0]

    def resolved(self) -> dict[str, Any]:
        """Return the words with import paths and all parameters."""
        return self._made()[1]

    def _made(self) -> tuple[ImageProcessingPipeline, dict[str, Any]]:
        part, problems = checked(self.words, PipelinePart, PIPELINE)
        if part is None:
            raise ExperimentError(problems)
        maker = components_from(words_of(part, full=True), self.folder)
        pipeline = maker.pipeline(part)
        if pipeline is None:
            raise ExperimentError([*problems, *maker.problems])
        return pipeline, words_of(maker.resolved(part), full=True)


def recipe_for(
    directory: str | Path, pipeline: str | Path | ImageProcessingPipeline | None
) -> PipelineRecipe:
    """Return the recipe of a pipeline: a file's, one made in Python, or the run's own.

    Raises
    ------
    ExperimentError
        If the pipeline cannot be said in words, or the run does not say its own.
    """
    if isinstance(pipeline, str | Path):
        return recipe_of_file(Path(pipeline))
    if pipeline is None:
        found = recipe_of_run(open_run(directory))
        if found is None:
            what = f"{directory} does not say its pipeline."
            raise ExperimentError([Problem(PIPELINE, what, REMEDY)])
        return found
    recipe = PipelineRecipe(_as_words(pipeline.describe()), None, "the script")
    what = "it cannot be made again from the names and parameters of its parts."
    problem = Problem(PIPELINE, what, REMEDY)
    try:
        same = recipe.make().describe() == pipeline.describe()
    except ExperimentError as error:
        raise ExperimentError([problem, *error.problems]) from error
    if not same:
        raise ExperimentError([problem])
    return recipe


def recipe_of_file(path: Path) -> PipelineRecipe:
    """Return the pipeline that an experiment file says; the rest is not looked at.

    Raises
    ------
    ExperimentError
        If it cannot be read, or says none.
    """
    words = read_data(path)
    part = words.get(PIPELINE)
    if not isinstance(part, dict):
        what = f"{path} says no pipeline."
        raise ExperimentError([Problem(PIPELINE, what, "Add a table [pipeline].")])
    modules = words.get("modules")
    home = path.absolute().parent
    folder = home / modules if isinstance(modules, str) else home
    return PipelineRecipe(part, folder, str(path))


def recipe_of_run(source: Run) -> PipelineRecipe | None:
    """Return the pipeline of a stored run, None if it does not say.

    That of its experiment file; of a run that a script made, what the components said
    of themselves: import path and parameters.
    """
    said = source.info.get("description", {})
    file = said.get("experiment_file") or {}
    by = str(source.path)
    if isinstance(file.get(PIPELINE), dict):
        modules = file.get("modules")
        return PipelineRecipe(file[PIPELINE], Path(modules) if modules else None, by)
    if not said.get(PIPELINE):
        return None
    return PipelineRecipe(_as_words(said[PIPELINE]), None, by)


def _as_words(described: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `ImageProcessingPipeline.describe` says, as a file would."""
    words: dict[str, Any] = {
        "segmenters": [
            {
                "name": method["name"],
                "use_channel": method["use_channel"],
                "seeds": method["seeds"],
                "cleaning": method["cleaning"],
                **method["component"],
            }
            for method in described["segmenters"]
        ],
        "features": described["features"],
        "reference_features": described.get("reference_features") or None,
        "tracker": described["tracker"],
        "stimulator": described["stimulator"],
        "stimulators": described.get("stimulators") or None,
        "fallback": described.get("fallback"),
        "z": described["z"],
    }
    return {name: value for name, value in words.items() if value is not None}
