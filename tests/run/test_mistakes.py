"""Seeded mistakes: each is caught before any light, with words that name the fix."""

from __future__ import annotations

import copy
import sys
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from faro.experiment.document_text import parsed
from faro.experiment.refusal import ExperimentError
from faro.microscope.simulated import SimulatedMicroscope
from faro.run.files import Prepared, examine

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from faro.errors import Problem

GOOD = """
name = "good"
stim_mode = "current"
microscope = { rig = "simulated", parameters = { image_shape = [128, 128] } }

[sequence]
stage_positions = [{ x = 0, y = 0, name = "left" }, { x = 900, y = 0, name = "right" }]
channels = [
  { config = "miRFP", exposure = 50 },
  { config = "mScarlet3", exposure = 50 },
]
time_plan = { interval = 5, loops = 6 }
stim_channels = [{ config = "CyanStim", exposure = 100, power = 10 }]
stim_frames = [2, 3]
ref_channels = [{ config = "mScarlet3", exposure = 50 }]
ref_frames = [0]
rtm_metadata = { drug = "none" }

[treatments]
layout = { left = "light", right = "dark" }
groups = { light = {}, dark = { stim_frames = [] } }

[pipeline]
segmenters = [{ component = "OtsuSegmenter", name = "nuclei", use_channel = "miRFP" }]
features = [{ component = "ErkKtrFeatures", parameters = { channel = "mScarlet3" } }]
reference_features = [{ component = "IntensityFeatures" }]
tracker = { component = "StreamingTracker", parameters = { memory = 2 } }
stimulator = { component = "PercentageOfCell", parameters = { fraction = 0.3 } }

[storage]
durability = "process"

[limits]
n_workers = 2

[times]
stage_s = 0.1
"""

PARTS = """
import numpy as np

def by_label(context):
    return context.labels["nucli"] > 0

def by_column(context):
    return context.cells.select(context.cells["cnrr"] > 1)
by_column.needs = ("cnr",)

def needs_column(context):
    return True
needs_column.needs = ("cnrr",)

def too_small(context):
    return np.ones((3, 3), bool)

def fails(context):
    raise ZeroDivisionError("half a cell")

def halves(pixels):
    return pixels / 2

def one_number(cells, stack):
    return {"size": np.arange(3)}

class NeedsMetadata:
    required_metadata = ("plate",)
    def features(self, cells, stack):
        return {"size": cells.area}

class NoTracker:
    def update(self, timestep, cells):
        raise ZeroDivisionError("no tracks")
    def state(self):
        return {}
    def restore(self, state):
        pass
"""
GONE = object()
CHANNEL, STIM = "sequence.channels.0", "sequence.stim_channels.0"
SEGMENTER, STIMULATOR = "pipeline.segmenters.0", "pipeline.stimulator"
SHIFTED = {"component": "ShiftedMask"}

# What is changed, to what; the place that is named; the words that name the fix.
MISTAKES: list[tuple[str, object, str, str]] = [
    # the keys of the file
    ("nam", "x", "nam", "Did you mean 'name'?"),
    ("microscop", "x", "microscop", "Did you mean 'microscope'?"),
    ("sequence.rtm_metadata", 3, "sequence.rtm_metadata", "valid dictionary"),
    (
        "sequence.autofocus_plan",
        {"axes": ["q"]},
        "sequence.autofocus_plan.axes",
        "Use some of: t, p",
    ),
    ("pipeline.z", "top", "pipeline.z", "or the index of a plane"),
    ("pipeline.tracker.parameters.memory", -1, "pipeline.tracker.parameters", "0 or"),
    (
        "batching",
        {"time_per_fov_s": 1, "n_parallel": 0},
        "batching.n_parallel",
        "of 1 or more",
    ),
    (
        "sequence.time_plan",
        {"interval": -5, "loops": 6},
        "sequence.time_plan",
        "{'interval': -5.0, 'loops': 6} goes back in time. Give an interval of 0 s",
    ),
    ("sequence.channels.0.exposure", 1e9, "channels/miRFP", "Use 0.1 to 10000 ms"),
    ("sequence.channels.1.config", "miRFP", "channels/miRFP", "a second preset"),
    (
        "sequence.stage_positions",
        {"fil": "a.pos"},
        "sequence.stage_positions.fil",
        "Did you mean 'file'?",
    ),
    (
        "sequence.stage_positions",
        {"plate": "97-well", "a1_center_xy": [0, 0], "selected_wells": [[0], [0]]},
        "sequence.stage_positions.plate",
        "Did you mean '96-well'?",
    ),
    (
        "sequence.stage_positions",
        [[0, 0, 0, 0]],
        "sequence.stage_positions[0]",
        "(0, 0, 0, 0) has 4 coordinates. Give x, y and z",
    ),
    (
        "sequence.time_plan",
        {"interval": 0.05, "loops": 6},
        "time_plan",
        "Plan an interval of",
    ),
    ("policies", {"late_mask": "skip"}, "policies", "Did you mean 'limits'?"),
    ("scope", "simulated", "scope", "Did you mean 'microscope'?"),
    ("storage.pth", "x", "storage.pth", "Did you mean 'path'?"),
    ("storage.durability", "disk", "storage.durability", "'process' or 'power-loss'"),
    ("storage.layout", "zarr", "storage.layout", "'collection', 'plate' or 'tiff'"),
    ("storage.compression", "zlib", "storage", 'set layout = "tiff"'),
    ("storage.wells", {"0": "A1"}, "storage", 'set layout = "plate"'),
    (
        "storage",
        {"layout": "plate", "wells": {"left": "A1"}},
        "storage",
        "Name positions by index",
    ),
    ("storage", {"layout": "plate"}, "writer/wells", "A1"),
    ("stim_mode", "curent", "stim_mode", "Use 'current', 'previous' or 'interleaved'"),
    ("schema_version", 7, "schema_version", "Use 1."),
    ("notes", "text", "notes", "Give a table"),
    ("notes", {"a": float("inf")}, "notes.a", "a finite number"),
    ("microscope", GONE, "microscope", 'microscope = "simulated"'),
    ("microscope", 3, "microscope", "Give a table"),
    ("sequence", GONE, "file", "one of sequence, phases and arms"),
    ("phases", [{"channels": ["miRFP"]}], "file", "not sequence and phases"),
    ("shared", {"channels": ["miRFP"]}, "file", "into sequence"),
    ("times.stage_s", "1", "times.stage_s", "Give a number"),
    ("times.stage_s", -1, "times.stage_s", "0 or more"),
    ("times.stag_s", 1, "times.stag_s", "'stage_s'"),
    # the rig
    ("microscope.rig", "simulatd", "microscope.rig", "Did you mean 'simulated'?"),
    ("microscope.rig", "nowhere:Rig", "microscope.rig", "module:Name"),
    ("microscope.rig", "faro:Controller", "microscope.rig", "AbstractMicroscope"),
    (
        "microscope.parameters.sead",
        1,
        "microscope.parameters.sead",
        "Did you mean 'seed'?",
    ),
    (
        "microscope.parameters.seed",
        "one",
        "microscope.parameters.seed",
        "Give a whole number",
    ),
    (
        "microscope.parameters.image_shape",
        [128],
        "microscope.parameters.image_shape",
        "as many values as it takes",
    ),
    # the sequence
    ("sequence.chanels", [], "sequence.chanels", "Did you mean 'channels'?"),
    ("sequence.stim_framez", [], "sequence.stim_framez", "'stim_frames'"),
    ("sequence.z_plan", {"range": 4, "step": 1}, "sequence.z_plan", "a z "),
    ("sequence.axis_order", "tcpz", "sequence.axis_order", "'tpcz' or 'ptcz'"),
    (
        "sequence.time_plan",
        {"intervall": 5, "loops": 6},
        "sequence.time_plan.intervall",
        "Did you mean 'interval'?",
    ),
    (
        "sequence.time_plan",
        {"interval": 5, "duration": 25, "prioritize_duration": True},
        "sequence.time_plan",
        "no timepoint is dropped",
    ),
    ("sequence.time_plan", {"interval": 5}, "sequence.time_plan", "two of interval"),
    ("sequence.time_plan", GONE, "sequence.stim_frames", "Use 0 to 0"),
    ("sequence.stage_positions.0.X", 4, "sequence.stage_positions[0].X", "'x'"),
    ("sequence.stage_positions", "A1", "sequence.stage_positions", "list of"),
    (
        "sequence.stage_positions",
        {"file": "nowhere.pos"},
        "sequence.stage_positions.file",
        "Check the path",
    ),
    (
        "sequence.stage_positions",
        {"file": "parts.py", "z": "Z"},
        "sequence.stage_positions.z",
        "'z_stage'",
    ),
    (f"{CHANNEL}.exposre", 5, "sequence.channels[0].exposre", "'exposure'"),
    (f"{CHANNEL}.exposure", -5, "sequence.channels[0].exposure", "greater than 0"),
    (f"{CHANNEL}.exposure", "long", "sequence.channels[0].exposure", "number"),
    (f"{CHANNEL}.config", GONE, "sequence.channels[0].config", "Give config="),
    ("sequence.channels", "miRFP", "sequence.channels", "a list of channels"),
    ("sequence.stim_frames", [9], "sequence.stim_frames", "Use 0 to 5"),
    ("sequence.stim_frames", [2, 2], "sequence.stim_frames", "each timepoint once"),
    ("sequence.stim_frames", "all", "sequence.stim_frames", "set, range or list"),
    ("sequence.stim_frames", {"first": 1}, "sequence.stim_frames.first", "'start'"),
    ("sequence.stim_frames", {"start": 1}, "sequence.stim_frames", "stop = 24"),
    ("sequence.stim_frames", {"stop": 4, "step": 0}, "sequence.stim_frames", "stop"),
    ("sequence.stim_channels", GONE, "sequence.stim_channels", "stim_channels=[...]"),
    ("sequence.ref_frames", [-7], "sequence.ref_frames", "-6 to -1"),
    ("sequence.ref_channels", GONE, "sequence.ref_channels", "ref_channels=[...]"),
    ("sequence.stim_exposure", [10], "sequence.stim_exposure", "one for each"),
    ("sequence.stim_exposure", 0, "sequence.stim_exposure", "above 0"),
    # the waits
    ("sequence.start_at", "noon", "sequence.start_at", "Give '18:30', or a date"),
    ("sequence.start_at", "25:10", "sequence.start_at", "Give '18:30'"),
    ("sequence.start_at", "2026-11-24T09:00", "sequence.start_at", "and a zone"),
    ("sequence.start_att", "18:30", "sequence.start_att", "Did you mean 'start_at'?"),
    ("sequence.pause_before", "", "sequence.pause_before", "Give a sentence"),
    ("sequence.pause_befor", "x", "sequence.pause_befor", "'pause_before'"),
    (
        "sequence.rtm_metadata.wait",
        {"pause_before": "Add the drug."},
        "sequence.rtm_metadata.wait",
        "Write start_at or pause_before",
    ),
    # the treatments
    ("treatments.groups", GONE, "treatments.groups", "Give it"),
    ("treatments.layout.left", "lihgt", "treatments.layout.left", "'light'"),
    ("treatments.layout.midle", "dark", "treatments.layout.midle", "'left'"),
    ("treatments.seed", 4, "treatments.layout", "Give a layout or a seed"),
    (
        "treatments.groups.dark.stim_frams",
        [],
        "treatments.groups.dark.stim_frams",
        "'stim_frames'",
    ),
    (
        "treatments.groups.dark.stim_frames",
        [40],
        "treatments.groups.dark.stim_frames",
        "Use 0 to 5",
    ),
    # the batches
    ("batching", {"time_per_fov": 3}, "batching.time_per_fov", "'time_per_fov_s'"),
    ("batching", {"time_per_fov_s": 60}, "batching", "an interval of 60 s"),
    # the components
    ("pipeline.segmentors", [], "pipeline.segmentors", "Did you mean 'segmenters'?"),
    ("pipeline.segmenters", [], "pipeline.segmenters", "leave the key out"),
    ("pipeline.stimulator", "WholeFeld", f"{STIMULATOR}.component", "'WholeField'"),
    ("pipeline.tracker", "WholeField", "pipeline.tracker.component", "'Streaming"),
    # the stimulators by channel
    (
        "pipeline",
        {"stimulators": {"CyanStm": "WholeField", "CyanStim": "WholeField"}},
        "pipeline/stimulators/CyanStm",
        "Did you mean 'CyanStim'?",
    ),
    (
        "pipeline",
        {"stimulators": {"miRFP": "WholeField"}},
        "pipeline/stimulators",
        "Add a stimulator for 'CyanStim'",
    ),
    (
        "pipeline",
        {"stimulators": {"CyanStim": "WholeFeld"}},
        "pipeline.stimulators.CyanStim.component",
        "'WholeField'",
    ),
    (
        "pipeline",
        {"stimulators": {"CyanStim": {"component": "Circle", "parameters": {"x": 3}}}},
        "pipeline.stimulators.CyanStim.parameters.x",
        "Use one of",
    ),
    (
        "pipeline.stimulators",
        {"CyanStim": "WholeField"},
        "pipeline.stimulators",
        "Leave stimulator out",
    ),
    (
        "sequence.stim_channels",
        [{"config": "CyanStim", "exposure": 9}, {"config": "CyanStim", "exposure": 8}],
        "stim_channels/CyanStim",
        "Make a second preset",
    ),
    ("pipeline.tracker", 3, "pipeline.tracker", "Give a table"),
    (
        f"{STIMULATOR}.component",
        "faro.analysis:OtsuSegmenter",
        f"{STIMULATOR}.component",
        "PercentageOfCell",
    ),
    (
        f"{STIMULATOR}.component",
        "module_of_nobody:Own",
        f"{STIMULATOR}.component",
        "beside the",
    ),
    (f"{STIMULATOR}.component", GONE, f"{STIMULATOR}.component", "module:Name"),
    (
        f"{STIMULATOR}.component",
        "faro.stimulation:WholeFild",
        f"{STIMULATOR}.component",
        "Did you mean 'WholeField'?",
    ),
    (
        f"{STIMULATOR}.parameters.fracton",
        0.2,
        f"{STIMULATOR}.parameters.fracton",
        "Did you mean 'fraction'?",
    ),
    (
        f"{STIMULATOR}.parameters.fraction",
        "most",
        f"{STIMULATOR}.parameters.fraction",
        "Give a number",
    ),
    (
        f"{STIMULATOR}.parameters.fraction",
        30,
        f"{STIMULATOR}.parameters",
        "from 0 to 1",
    ),
    (
        f"{STIMULATOR}.parameters.direction",
        [0, 0],
        f"{STIMULATOR}.parameters",
        "(-1, 0) is up",
    ),
    (STIMULATOR, SHIFTED, f"{STIMULATOR}.parameters.shift_px", "Add shift_px"),
    (
        STIMULATOR,
        {
            "component": "ShiftedMask",
            "parameters": {
                "stimulator": {"component": "WholField"},
                "shift_px": [1, 1],
            },
        },
        f"{STIMULATOR}.parameters.stimulator.component",
        "'WholeField'",
    ),
    ("pipeline.features.0.component", "Erk", "pipeline.features[0].component", "Use"),
    (
        "pipeline.features.0.parameters.chanel",
        "x",
        "pipeline.features[0].parameters.chanel",
        "'channel'",
    ),
    (f"{SEGMENTER}.chanel", 0, "pipeline.segmenters[0].chanel", "'use_channel'"),
    (f"{SEGMENTER}.name", "my nuclei", "pipeline.segmenters[0].name", "Use letters"),
    (f"{SEGMENTER}.use_channel", 0.5, "pipeline.segmenters[0].use_channel", "name or"),
    ("limits.n_worker", 2, "limits.n_worker", "Did you mean 'n_workers'?"),
    ("limits.n_workers", 0, "limits.n_workers", "more than 0"),
    ("limits.n_workers", "two", "limits.n_workers", "whole number"),
    # what the microscope cannot do
    (f"{CHANNEL}.config", "miRPF", "channels/miRPF", "Did you mean 'miRFP'?"),
    (f"{CHANNEL}.group", "Chanel", "channels/miRFP", "Did you mean 'Channel'?"),
    (f"{STIM}.config", "Cyan", "stim_channels/Cyan", "CyanStim"),
    (f"{STIM}.power", 400, "stim_channels/CyanStim", "Use 0 to 100"),
    (f"{CHANNEL}.power", 9000, "channels/miRFP", "Use 0 to"),
    (f"{STIM}.exposure", GONE, "stim_channels/CyanStim", "exposure in ms"),
    (f"{SEGMENTER}.use_channel", "mScarlet", "pipeline/segmenters/nuclei", "'miRFP'"),
    (f"{SEGMENTER}.use_channel", 5, "pipeline/segmenters/nuclei", "or its index"),
    (STIMULATOR, GONE, "pipeline/stimulator", "WholeField()"),
    (
        "pipeline.features.0.parameters.channel",
        "mScarlet",
        "pipeline/features/0",
        "Use one of: 'miRFP', 'mScarlet3'",
    ),
    (STIMULATOR, "parts:by_label", "pipeline/stimulator", "Did you mean 'nuclei'?"),
    (STIMULATOR, "parts:by_column", "pipeline/stimulator", "cnr, cnr_median. Name"),
    (STIMULATOR, "parts:needs_column", "pipeline/stimulator", "Did you mean 'cnr'?"),
    (STIMULATOR, "parts:too_small", "pipeline/stimulator", "a mask in camera pixels"),
    (STIMULATOR, "parts:fails", "pipeline/stimulator", "faro.testing"),
    (f"{SEGMENTER}.component", "parts:halves", "pipeline/segmenters/nuclei", "int"),
    ("pipeline.features", ["parts:one_number"], "pipeline/features/0", "one value per"),
    (
        "pipeline.features",
        ["parts:NeedsMetadata"],
        "events/t=0,p=0/metadata",
        "rtm_metadata={'plate'",
    ),
    (
        "pipeline.reference_features",
        [{"component": "IntensityFeatures", "parameters": {"channels": ["mCherry"]}}],
        "pipeline/reference_features/0",
        "Use one of: 'mScarlet3'",
    ),
    (
        "pipeline.reference_features",
        ["IntensityFeature"],
        "pipeline.reference_features[0].component",
        "Did you mean 'IntensityFeatures'?",
    ),
    ("sequence.ref_frames", GONE, "pipeline/reference_features", "ref_channels and"),
    ("pipeline.tracker", "parts:NoTracker", "pipeline/tracker", "faro.testing"),
    ("sequence.stage_positions.0.x", 9e9, "stage_positions/x", "to 10000 um"),
    (
        f"{STIMULATOR}.parameters.metadata_key",
        "dose",
        "events/t=2,p=0/metadata",
        "rtm_metadata={'dose'",
    ),
]


class ShortStage(SimulatedMicroscope):
    """A stage of two centimetres."""

    STAGE_LIMITS_UM: ClassVar[Mapping[str, tuple[float, float]]] = {
        "x": (-1e4, 1e4),
        "y": (-1e4, 1e4),
    }


@pytest.fixture(scope="module")
def microscope() -> Iterator[SimulatedMicroscope]:
    with ShortStage(image_shape=(128, 128)) as opened:
        yield opened


def changed(where: str, value: object) -> dict[str, Any]:
    """Return the good file with one thing changed."""
    words: Any = copy.deepcopy(parsed(GOOD, "toml"))
    *path, last = where.split(".")
    table = words
    for part in path:
        if isinstance(table, list):
            table = table[int(part)]
        else:
            table = table.setdefault(part, {})
    if value is GONE:
        del table[last]
    else:
        table[last] = value
    found: dict[str, Any] = words
    return found


def problems_in(
    words: dict[str, Any], microscope: SimulatedMicroscope, folder: Path
) -> list[Problem]:
    (folder / "parts.py").write_text(PARTS, encoding="utf-8")
    found, problems = examine(words, folder / "experiment.toml")
    sys.modules.pop("parts", None)
    if isinstance(found, Prepared):
        problems = problems + found.problems(microscope)
    return problems


def test_the_good_file_has_no_problem(
    microscope: SimulatedMicroscope, tmp_path: Path
) -> None:
    assert problems_in(parsed(GOOD, "toml"), microscope, tmp_path) == []


def test_there_are_enough_mistakes() -> None:
    assert len(MISTAKES) >= 60


@pytest.mark.parametrize(
    ("where", "value", "place", "fix"),
    MISTAKES,
    ids=[f"{i:02d} {where}" for i, (where, *_) in enumerate(MISTAKES)],
)
def test_a_mistake_is_caught_with_its_place_and_its_fix(
    microscope: SimulatedMicroscope,
    tmp_path: Path,
    where: str,
    value: object,
    place: str,
    fix: str,
) -> None:
    problems = problems_in(changed(where, value), microscope, tmp_path)
    here = [problem for problem in problems if problem.where == place]
    assert here, [str(problem) for problem in problems]
    assert any(fix in str(problem) for problem in here), [str(p) for p in here]
    assert all(problem.remedy for problem in problems)


def test_all_mistakes_of_a_file_are_said_at_once(tmp_path: Path) -> None:
    words = changed("sequence.channels.0.exposre", 3)
    words["pipeline"]["stimulator"] = {
        "component": "PercentageOfCell",
        "parameters": {"fracton": 1},
    }
    words["pipeline"]["trackr"] = "StreamingTracker"
    words["storage"]["pth"] = "x"
    words["microscope"]["rig"] = "simulatd"
    words["limits"]["n_worker"] = 1
    _, problems = examine(words, tmp_path / "experiment.toml")
    assert {problem.where for problem in problems} == {
        "sequence.channels[0].exposre",
        "pipeline.stimulator.parameters.fracton",
        "pipeline.trackr",
        "storage.pth",
        "microscope.rig",
        "limits.n_worker",
    }


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("a = 1\na = 2", "toml", "Cannot overwrite a value"),
        ("a: 1\na: 2", "yaml", "the key 'a' comes twice"),
        ('{"a": 1, "a": 2}', "json", "the key 'a' comes twice"),
        ("a = ", "toml", "is no TOML"),
        ("a: [", "yaml", "is no YAML"),
        ("[1, 2]", "json", "no table of names and values"),
        ("", "xml", "there is no format 'xml'"),
    ],
)
def test_a_text_that_is_no_file_is_refused(text: str, kind: str, words: str) -> None:
    with pytest.raises(ExperimentError, match=words):
        parsed(text, kind)
