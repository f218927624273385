"""One experiment as one file: the schema. Pure.

`ExperimentFile` holds what is written, word for word. What a sequence or a component
makes of its words is checked by those who know it: `faro.experiment.document_events`
and `faro.run.components`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema, model_validator

from faro.experiment.document_values import Plain, Words
from faro.model import LabelCleaning, Schema
from faro.model.frame import PROJECTIONS

Seconds: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]
"""A duration in s, >= 0."""


def _plane_choice(value: object) -> object:
    """Return what becomes of several planes: a word, or the index of one."""
    if value in PROJECTIONS or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    words = ", ".join(f"'{name}'" for name in PROJECTIONS)
    message = f"Give one of {words}, or the index of a plane"
    raise ValueError(message)


PlaneChoice: TypeAlias = Annotated[
    Any,
    BeforeValidator(_plane_choice),
    WithJsonSchema({"anyOf": [{"enum": [*PROJECTIONS]}, {"type": "integer"}]}),
]


def _named(key: str) -> BeforeValidator:
    """Return what lets a bare name stand for a table that only names it."""

    def widened(value: object) -> object:
        return {key: value} if isinstance(value, str) else value

    return BeforeValidator(widened)


def _channel_choice(value: object) -> object:
    """Return the name or index of one channel, or a tuple of several."""
    several = isinstance(value, Sequence) and not isinstance(value, str)
    chosen = tuple(value) if isinstance(value, Sequence) and several else (value,)
    if not chosen or any(
        isinstance(c, bool) or not isinstance(c, int | str) for c in chosen
    ):
        message = "Give the name or the index of a channel, or a list of those"
        raise ValueError(message)
    return chosen if several else value


ChannelChoice: TypeAlias = Annotated[
    Any,
    BeforeValidator(_channel_choice),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": ["string", "integer"]},
                {"type": "array", "items": {"type": ["string", "integer"]}},
            ]
        }
    ),
]


class Rig(Schema):
    """Which microscope.

    Attributes
    ----------
    rig
        ``"simulated"``, an installed rig, or ``module:Class``.
    parameters
        What its constructor takes.
    """

    rig: str = Field(min_length=1)
    parameters: Plain = Field(default_factory=dict)


class Component(Schema):
    """One component of the pipeline.

    Attributes
    ----------
    component
        Its name, or an import path ``module:Name`` of a class, function or object.
    parameters
        What its constructor takes. A table with the key ``component`` makes another
        component of it.
    """

    component: str = Field(min_length=1)
    parameters: Plain = Field(default_factory=dict)


class SegmenterPart(Component):
    """A segmenter, what its labels are called, and the channel it looks at.

    Attributes
    ----------
    name
        Name of the label image; by default ``nuclei`` for the first one, then
        ``labels_1``, ...
    use_channel
        Name or index of the channel; a list for a segmenter that takes several.
    seeds
        Name of a segmenter before it, whose labels it starts from.
    cleaning
        What is done to its labels afterwards.
    """

    name: str | None = None
    use_channel: ChannelChoice = 0
    seeds: str | None = None
    cleaning: LabelCleaning = LabelCleaning()


AnyRig: TypeAlias = Annotated[Rig, _named("rig")]
AnyComponent: TypeAlias = Annotated[Component, _named("component")]
AnySegmenter: TypeAlias = Annotated[SegmenterPart, _named("component")]


class PipelinePart(Schema):
    """What is done with every frame.

    Attributes
    ----------
    segmenters
        The cells of the first are tracked and measured.
    features
        What is measured of every cell.
    tracker
        What follows the cells; every position gets its own.
    stimulator
        What decides where light goes; none for no light.
    stimulators
        Instead, what decides on each stimulation channel, by the name of its preset.
    reference_features
        What is measured of reference frames; all rows of a track get the value.
    fallback
        What is asked for light where a mask is late or failed; none for what
        ``limits.late_mask`` says.
    z
        What is analysed of several planes: "max", "mean", "middle", or an index.
    """

    segmenters: tuple[AnySegmenter, ...] = Field(
        default=(SegmenterPart(component="LocalThresholdSegmenter"),), min_length=1
    )
    features: tuple[AnyComponent, ...] = ()
    tracker: AnyComponent = Component(component="StreamingTracker")
    stimulator: AnyComponent | None = None
    stimulators: dict[str, AnyComponent] = Field(default_factory=dict)
    reference_features: tuple[AnyComponent, ...] = ()
    fallback: AnyComponent | None = None
    z: PlaneChoice = "max"


class StoragePart(Schema):
    """Where the run is stored.

    Attributes
    ----------
    path
        Folder of the run, from the folder of the file. If it is taken, a number is
        added. By default the name of the file with ``-run``.
    layout
        How the images lie there: an OME-Zarr ``"collection"`` of positions, an OME-Zarr
        ``"plate"`` of wells, or ``"tiff"`` files.
    durability
        ``"process"``: what is acknowledged outlives the process. ``"power-loss"``: it
        outlives a power cut. ``"auto"``: the latter where the devices are real.
    wells
        Plate only: position index to well, where the names of the positions and the
        plate plan do not say it.
    compression
        TIFF only: ``"zstd"`` by default, ``"zlib"`` or ``"none"``.
    """

    path: str | None = Field(default=None, min_length=1)
    layout: Literal["collection", "plate", "tiff"] = "collection"
    durability: Literal["auto", "process", "power-loss"] = "auto"
    wells: dict[str, str] | None = None
    compression: Literal["zstd", "zlib", "none"] | None = None

    @model_validator(mode="after")
    def _says_what_its_layout_has(self) -> Self:
        """Refuse words of another layout."""
        for name, layout in (("wells", "plate"), ("compression", "tiff")):
            if getattr(self, name) is not None and self.layout != layout:
                message = f'Leave {name} out, or set layout = "{layout}"'
                raise ValueError(message)
        wrong = [place for place in self.wells or () if not place.isdecimal()]
        if wrong:
            message = f'Name positions by index: "0" = "A1", not {wrong[0]!r}'
            raise ValueError(message)
        return self


class TreatmentsPart(Schema):
    """Which wells or positions get what; see `faro.experiment.arrange`.

    Attributes
    ----------
    groups
        Name to the words of a `faro.experiment.Treatment`; its times of light hold for
        the phases that have ``stim_channels``.
    layout
        Place to the name of a group. A place is a well (``A1``), a block of wells
        (``"A1:B6"``), a position by its name or its index.
    tables
        Further facts by name, each from place to value.
    seed
        Draws the groups by lot instead of a layout.
    within
        Name of a table; lots are balanced inside each of its values.
    """

    groups: dict[str, Words] = Field(min_length=1)
    layout: dict[str, str] | None = None
    tables: dict[str, Plain] = Field(default_factory=dict)
    seed: int | None = Field(default=None, strict=True)
    within: str | None = None


class BatchingPart(Schema):
    """Positions wait until others are done; see `faro.experiment.apply_fov_batching`.

    Attributes
    ----------
    time_per_fov_s
        What one position takes at one timepoint; ``faro info RUN`` tells it of a run.
    n_parallel
        How many positions share an interval; by default as many as fit.
    """

    time_per_fov_s: Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]
    n_parallel: Annotated[int, Field(ge=1, strict=True)] | None = None


class StepTimes(Schema):
    """How long the steps take, measured or estimated, to see whether they fit.

    Attributes
    ----------
    stage_s
        One move to another position.
    frame_s
        One frame besides its exposure: switching, read-out.
    analysis_s
        From the last frame of a position to its mask.
    """

    stage_s: Seconds = 0.0
    frame_s: Seconds = 0.0
    analysis_s: Seconds = 0.0


class ExperimentFile(Schema):
    """Everything that makes a run, as it is written in a file. Frozen, any thread.

    Attributes
    ----------
    schema_version
        Of this schema.
    name, notes
        For the record.
    stim_mode
        ``"current"``: light by the mask of the same timepoint; ``"previous"``: by the
        mask of the one before; ``"interleaved"``: by that of the same timepoint, when
        all positions of the timepoint have been imaged.
    modules
        Folder in which import paths are looked up besides the installed packages, from
        the folder of the file; by default that folder itself.
    microscope, pipeline, storage
        Which microscope, what is done with its frames, where they go. Without a
        pipeline the frames are only recorded.
    sequence
        The words of one `RTMSequence`, and ``start_at`` or ``pause_before`` of
        `faro.experiment.wait_before`, for its first event.
    phases
        Words of several, one after the other.
    arms
        Words of several, side by side at positions of their own; also
        ``{phases = [...]}``.
    shared
        Words that every phase or arm begins with.
    treatments
        Which wells or positions get what; with a sequence or phases.
    batching
        What to do where one interval cannot hold all positions.
    limits
        Words of `faro.run.RunLimits`.
    times
        Durations of the steps, for the check of the schedule.
    """

    schema_version: Literal[1] = 1
    name: str | None = None
    notes: Plain = Field(default_factory=dict)
    stim_mode: Literal["current", "previous", "interleaved"] = "current"
    modules: str | None = None
    microscope: AnyRig
    sequence: Words | None = None
    phases: tuple[Words, ...] = ()
    arms: tuple[Words, ...] = ()
    shared: Words = Field(default_factory=dict)
    treatments: TreatmentsPart | None = None
    batching: BatchingPart | None = None
    pipeline: PipelinePart | None = None
    storage: StoragePart = StoragePart()
    limits: Plain = Field(default_factory=dict)
    times: StepTimes = StepTimes()

    @model_validator(mode="after")
    def _says_what_to_do_once(self) -> Self:
        """Refuse a file that says nothing to do, or says it in two ways."""
        said = [
            name
            for name in ("sequence", "phases", "arms")
            if getattr(self, name) not in (None, ())
        ]
        if len(said) != 1:
            found = " and ".join(said) or "none"
            message = f"Give one of sequence, phases and arms, not {found}"
            raise ValueError(message)
        if self.treatments is not None and "arms" in said:
            message = "Use treatments with sequence or phases, not with arms"
            raise ValueError(message)
        if self.shared and "sequence" in said:
            message = "Write the words of shared into sequence: there is only one"
            raise ValueError(message)
        return self


def words_of(model: BaseModel, *, full: bool = False) -> dict[str, Any]:
    """Return what a part of a file says, made of JSON types.

    Parameters
    ----------
    model
        An `ExperimentFile` or a part of one.
    full
        Also what equals the default; else it is left out.
    """
    words: dict[str, Any] = {}
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        default = field.get_default(call_default_factory=True, validated_data={})
        if value is not None and (full or value != default):
            words[name] = _said(value, full=full)
    return words


def _said(value: object, *, full: bool) -> object:
    if isinstance(value, BaseModel):
        return words_of(value, full=full)
    if isinstance(value, Mapping):
        return {name: _said(part, full=full) for name, part in value.items()}
    if isinstance(value, tuple):
        return [_said(part, full=full) for part in value]
    return value
