"""What useq can say and we do not execute is refused by name, never dropped."""

from __future__ import annotations

from typing import Any

import pytest
import useq

from faro.experiment import ExperimentError, PowerChannel, RTMSequence

TEN: dict[str, Any] = {
    "channels": ["A", "B"],
    "stage_positions": [(0, 0), (1, 1)],
    "time_plan": {"interval": 1, "loops": 10},
}
GRID = {"rows": 1, "columns": 2, "fov_width": 9, "fov_height": 9}


WELL_PLATE: dict[str, Any] = {
    "plate": 96,
    "a1_center_xy": (0, 0),
    "selected_wells": ([0], [1]),
}


def plate(**words: Any) -> useq.WellPlatePlan:
    return useq.WellPlatePlan.model_validate({**WELL_PLATE, **words})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"z_plan": {"range": 4, "step": 1}}, "z_plan: .* say none: p=0, p=1. Give"),
        (
            {"z_plan": {"range": 4, "step": 1}, "stage_positions": plate()},
            "z_plan: .*of a plate: .p.replace",
        ),
        ({"z_plan": {"range": 4, "step": 1}, "stage_positions": []}, "say none: p=0"),
        ({"z_plan": {"relative": []}}, "z_plan: .* has no plane"),
        (
            {
                "z_plan": {"bottom": 0, "top": 1, "step": 0.4},
                "channels": [{"config": "A", "do_stack": False}],
            },
            "z_plan: .* no middle plane for A",
        ),
        (
            {"z_plan": {"absolute": [1, 2]}, "axis_order": "tzpc"},
            "'tzpc' takes the planes of one position apart",
        ),
        (
            {"z_plan": {"absolute": [1, 2]}, "axis_order": "tpc"},
            "'tpc' leaves out 'z', so z_plan",
        ),
        ({"grid_plan": {"rows": 1, "columns": 2}}, "grid_plan: without the size of"),
        (
            {"grid_plan": {"num_points": 2, "max_width": 9, "max_height": 9}},
            "grid_plan: random points without a seed",
        ),
        ({"grid_plan": GRID, "axis_order": "tpcz"}, "leaves out 'g', .*'tpgcz' or"),
        ({"grid_plan": GRID, "axis_order": "tpcg"}, "channels of one position apart"),
        ({"grid_plan": GRID, "axis_order": "ptgc"}, "'ptgc' takes the tiles of one"),
        ({"grid_plan": GRID, "axis_order": "tgpc"}, "'tgpc' takes the tiles of one"),
        (
            {
                "stage_positions": [{"x": 1, "sequence": {"grid_plan": GRID}}],
                "axis_order": "ptcz",
            },
            "'ptcz' takes the tiles of one",
        ),
        (
            {
                "stage_positions": [
                    {"sequence": {"grid_plan": {"rows": 1, "columns": 2}}}
                ]
            },
            "stage_positions/0/sequence/grid_plan: without the size",
        ),
        (
            {
                "autofocus_plan": {"axes": ("p",)},
                "z_plan": {"absolute": [1, 2]},
            },
            "Absolute Z positions cannot be used with autofocus",
        ),
        ({"keep_shutter_open_across": ("t",)}, "the light would be on while the run"),
        ({"keep_shutter_open_across": ("x",)}, "there is no axis 'x'. Use some of: t"),
        ({"setup": {"roi": (0, 0, 8, 8)}}, "setup/roi: .* before the run"),
        ({"setup": {"x_pos": 5}}, "setup/x_pos: 5"),
        (
            {"stim_channels": [{"config": "A", "acquire_every": 2}]},
            "stim_channels/0/acquire_every: stim_frames say when",
        ),
        (
            {"channels": [{"config": "A", "z_offset": 2}]},
            "channels/0/z_offset: 2 um is passed over by useq",
        ),
        ({"channels": [{"config": "A", "camera": "B"}]}, "channels/0/camera"),
        ({"channels": "AB"}, "channels: 'AB' is not allowed. Give a list"),
        (
            {
                "stage_positions": [
                    {"x": 1, "sequence": {"time_plan": {"interval": 1, "loops": 2}}}
                ]
            },
            "stage_positions/0/sequence/time_plan: .* combine them, axis='p'",
        ),
        (
            {
                "stage_positions": [{"x": 1, "z": 1, "sequence": {"channels": ["C"]}}],
                "z_plan": {"range": 2, "step": 1},
                "axis_order": "tpcz",
                "channels": [{"config": "A", "z_offset": 1}],
            },
            "stage_positions/0/sequence: useq itself takes other images here",
        ),
        (
            {
                "stage_positions": [
                    {
                        "x": 1,
                        "sequence": {
                            "channels": ["C"],
                            "autofocus_plan": {"axes": ("p",)},
                        },
                    }
                ]
            },
            "useq itself takes other images here: 2, not 1",
        ),
        (
            {
                "stage_positions": [
                    {"x": 1, "sequence": {"channels": [{"config": "A", "camera": "B"}]}}
                ]
            },
            "stage_positions/0/sequence/channels: 'B'",
        ),
        (
            {"z_plan": {"range": 4, "step": 1, "go_down": True}},
            "z_plan: there is no 'go_down'. Use one of: 'go_up', 'range', 'step'",
        ),
        (
            {"z_plan": {"range": 4, "stp": 1}},
            "z_plan: there is no 'stp'. Did you mean 'step'",
        ),
        (
            {"z_plan": {"range": 4}},
            "z_plan: {'range': 4} is not understood. Give range",
        ),
        ({"grid_plan": {"rows": 4}}, "grid_plan: .* is not understood. Give rows, col"),
        (
            {"grid_plan": {**GRID, "overlp": 3}},
            "grid_plan: there is no 'overlp'. Did you mean 'overlap'",
        ),
        (
            {"autofocus_plan": {"axes": ("p",), "autofocus_motor_ofset": 3}},
            "autofocus_plan: there is no .* Did you mean 'autofocus_motor_offset'",
        ),
        (
            {"setup": {"propertis": [("D", "P", "1")]}},
            "setup: there is no 'propertis'. Did you mean 'properties'",
        ),
        (
            {"stage_positions": [{"x": 1, "sequence": {"chanels": ["A"]}}]},
            "stage_positions/0/sequence: there is no 'chanels'",
        ),
        (
            {
                "stage_positions": [
                    {"z": 1, "sequence": {"z_plan": {"relative": [0], "up": True}}}
                ]
            },
            "stage_positions/0/sequence/z_plan: there is no 'up'",
        ),
        (
            {
                "stage_positions": [
                    {"sequence": {"channels": [{"config": "A", "power": 3}]}}
                ]
            },
            "stage_positions/0/sequence/channels/0/power: 3 would be lost: useq knows",
        ),
        (
            {
                "stage_positions": [
                    useq.Position(
                        sequence=useq.MDASequence(
                            channels=(PowerChannel("A", power=3),)
                        )
                    )
                ]
            },
            "stage_positions/0/sequence/channels/0/power: 3.0 would be lost",
        ),
        (
            {
                "stage_positions": [
                    {
                        "z": 1,
                        "sequence": {
                            "z_plan": {"range": 4, "step": 2},
                            "channels": [{"config": "A", "do_stack": False}],
                            "autofocus_plan": {"axes": ("p",)},
                        },
                    }
                ],
                "channels": ["A"],
                "z_plan": {"relative": [0]},
            },
            "sequence: useq itself cannot iterate it: IndexError",
        ),
        (
            {
                "stage_positions": [{"sequence": {"channels": [{"config": "A"}]}}],
                "channels": [{"config": "A", "acquire_every": 2}],
            },
            "sequence: useq itself takes other images here: 1, not 2",
        ),
        ({"stage_positions": [{"x": 1, "nme": "q"}]}, "Did you mean 'name'"),
        ({"stage_positions": ({"x": 1, "nme": "q"},)}, "Did you mean 'name'"),
        (
            {"stage_positions": {**WELL_PLATE, "rotatio": 3}},
            "stage_positions: there is no 'rotatio'. Did you mean 'rotation'",
        ),
        ({"stage_positions": ["q"]}, r"stage_positions: \['q'\] is not understood"),
        (
            {"stage_positions": plate(selected_wells=None)},
            "stage_positions/selected_wells: the plate plan selects no well",
        ),
        (
            {"stage_positions": plate(well_points_plan={"num_points": 2})},
            "well_points_plan/random_seed: .* Give RandomPoints",
        ),
        (
            {"stage_positions": plate(well_points_plan={"rows": 2, "columns": 2})},
            "well_points_plan/fov_width: .* 1 um apart",
        ),
        (
            {"stage_positions": plate(well_points_plan={"z": 3})},
            "well_points_plan/z: 3 um is relative to a z that a plate does not say",
        ),
        (
            {
                "stage_positions": plate(
                    well_points_plan={"properties": [("D", "P", 1)]}
                )
            },
            "well_points_plan: a sub-sequence or properties",
        ),
        (
            {"stage_positions": plate(), "rtm_metadata": {"well": "B7"}},
            "rtm_metadata/well: the wells of stage_positions say it already",
        ),
        ({"time_plan": {"interval": 1, "loop": 5}}, "Did you mean 'loops'"),
        ({"time_plan": {"interval": 1}}, "time_plan: .* Give two of interval, loops"),
        (
            {"time_plan": {"interval": 1, "loops": 5, "duration": 9}},
            "time_plan: .* says the same thing twice",
        ),
        ({"time_plan": {"interval": -1, "loops": 5}}, "goes back in time"),
        ({"time_plan": {"interval": -1, "duration": 5}}, "has no timepoint"),
        ({"time_plan": {"interval": 0, "duration": 5}}, "has no end"),
        ({"time_plan": {"duration": 5, "loops": 1}}, "has no end"),
        (
            {"time_plan": {"interval": 1, "loops": 5, "prioritize_duration": True}},
            "time_plan: prioritize_duration is not executed",
        ),
        (
            {"time_plan": {"phases": [{"interval": 1, "loops": 2}], "phase": 1}},
            "there is no 'phase'. Did you mean 'phases'",
        ),
        ({"axis_order": "cpt"}, "'cpt' takes the channels of one position apart"),
        ({"axis_order": "tcp"}, "'tcp' takes the channels of one position apart"),
        ({"axis_order": "pc"}, "'pc' leaves out 't', so time_plan"),
        ({"axis_order": "tc"}, "'tc' leaves out 'p', so stage_positions"),
        ({"axis_order": "tp"}, "'tp' leaves out 'c', so channels"),
        ({"stim_frame": [1]}, "Did you mean 'stim_frames'"),
        ({"rtm_metdata": {}}, "Did you mean 'rtm_metadata'"),
        ({"stim_frames": 3}, "stim_frames: 3 is not allowed. Give a set, range"),
        (
            {"stim_frames": [10], "stim_channels": ["S"]},
            "stim_frames: 10 is outside the 10 timepoints. Use 0 to 9, or -10 to -1.",
        ),
        (
            {"ref_frames": [-11], "ref_channels": ["R"]},
            "ref_frames: -11 is outside the 10 timepoints",
        ),
        (
            {"stim_frames": [4, -6], "stim_channels": ["S"]},
            r"stim_frames: a timepoint is given twice: 4 \(written 4 and -6\)",
        ),
        ({"stim_frames": [1]}, "stim_channels: there are stim_frames but no"),
        ({"ref_frames": [1]}, "ref_channels: there are ref_frames but no"),
        ({"stim_exposure": 5}, "stim_exposure: there is a stim_exposure but no"),
        (
            {"stim_frames": [1, 2], "stim_channels": ["S"], "stim_exposure": [5]},
            "stim_exposure: 1 exposures for 2 stim_frames",
        ),
        (
            {"stim_frames": [1], "stim_channels": ["S"], "stim_exposure": [-5]},
            r"stim_exposure: \[-5\] is not understood. Give milliseconds above 0",
        ),
        (
            {"stim_frames": {-1, 4}, "stim_channels": ["S"], "stim_exposure": [1, 2]},
            "stim_frames: a set with negative timepoints has no order",
        ),
    ],
    ids=str,
)
def test_it_is_refused_by_name(words: dict[str, Any], message: str) -> None:
    with pytest.raises(ExperimentError, match=message):
        RTMSequence(**{**TEN, **words})


def test_all_mistakes_are_reported_together() -> None:
    with pytest.raises(ExperimentError) as caught:
        RTMSequence(
            channels=[{"config": "A", "exposure": -2}, 5],
            autofocus_plan={"axis": ("p",)},
            time_plan={"interval": 1, "loop": 2},
            stim_frame=[1],
        )
    places = [problem.where for problem in caught.value.problems]
    assert places == [
        "settings",
        "time_plan",
        "autofocus_plan",
        "channels/0/exposure",
        "channels/1/channel",
        "autofocus_plan/axes",
    ]


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"z_plan": None, "grid_plan": None, "keep_shutter_open_across": ()},
        {"axis_order": "tpgcz"},
        {"axis_order": "tcp", "channels": ["A"]},
        {"stim_channels": ["S"], "stim_exposure": 5},
        {"stim_channels": ["S"], "stim_frames": []},
        {"time_plan": {"interval": 1, "duration": 5}},
        {"time_plan": {"duration": 5, "loops": 3}},
        {"time_plan": [{"interval": 1, "loops": 2}, {"interval": 2, "loops": 2}]},
        {"stage_positions": [useq.Position(x=1, name="q"), (1, 2, 3), {"z": 4}]},
    ],
    ids=str,
)
def test_good_experiments_are_not_refused(words: dict[str, Any]) -> None:
    assert list(RTMSequence(**{**TEN, **words}))


def test_one_typo_in_a_plan_is_one_problem() -> None:
    with pytest.raises(ExperimentError) as caught:
        RTMSequence(**{**TEN, "z_plan": {"range": 4, "stp": 1}})
    assert len(caught.value.problems) == 1
