"""Positions are read from wherever they were kept, or refused with file and line."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pandas as pd
import polars as pl
import pytest
import useq
from hypothesis import given
from hypothesis import strategies as st

from faro.experiment import ExperimentError, RTMSequence, load_positions, places

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Place = tuple[float | None, float | None, float | None, str | None]

NUMBERS = st.integers(-(10**6), 10**6).map(lambda n: n / 16)
NAMES = st.text("AZaz09_- éß", min_size=1, max_size=8).map(str.strip).filter(bool)
SPOTS = st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, NAMES), min_size=1, max_size=5)


def said(positions: list[useq.Position]) -> list[Place]:
    return [(p.x, p.y, p.z, p.name) for p in positions]


def old(spots: list[Any], z_default: str = "ZDrive", **more: Any) -> str:
    """Return a position list as Micro-Manager 1.4 writes it."""

    def device(name: str, axes: int, x: float, y: float = 0) -> dict[str, Any]:
        return {"DEVICE": name, "AXES": axes, "X": x, "Y": y, "Z": 0}

    entries = [
        {
            "GRID_COL": 0,
            "DEVICES": [device("ZDrive", 1, z), device("XYStage", 2, x, y)],
            "PROPERTIES": {},
            "DEFAULT_Z_STAGE": z_default,
            "LABEL": label,
            "GRID_ROW": 0,
            "DEFAULT_XY_STAGE": "XYStage",
            **more,
        }
        for x, y, z, label in spots
    ]
    head = {"VERSION": 3, "ID": "Micro-Manager XY-position list"}
    return json.dumps({**head, "POSITIONS": entries}, indent=3)


def text(value: str) -> dict[str, str]:
    return {"type": "STRING", "scalar": value}


def device(name: str, *um: float) -> dict[str, Any]:
    return {"Device": text(name), "Position_um": {"type": "DOUBLE", "array": [*um]}}


def new(spots: list[Any], *further: dict[str, Any], **more: Any) -> str:
    """Return a position list as Micro-Manager 2 writes it."""
    entries = [
        {
            "DefaultXYStage": text("XYStage"),
            "DefaultZStage": text("ZDrive"),
            "DevicePositions": {
                "type": "PROPERTY_MAP",
                "array": [*further, device("ZDrive", z), device("XYStage", x, y)],
            },
            "GridCol": {"type": "INTEGER", "scalar": 0},
            "Label": text(label),
            "Properties": {"type": "PROPERTY_MAP", "scalar": {}},
            **more,
        }
        for x, y, z, label in spots
    ]
    stages = {"type": "PROPERTY_MAP", "array": entries}
    head = {"encoding": "UTF-8", "format": "Micro-Manager Property Map"}
    return json.dumps({**head, "map": {"StagePositions": stages}}, indent=2)


def as_list(spots: list[Any]) -> str:
    return json.dumps(
        [dict(zip(("x", "y", "z", "name"), s, strict=True)) for s in spots]
    )


def as_csv(spots: list[Any]) -> str:
    return "x,y,z,name\n" + "".join(f"{x},{y},{z},{n}\n" for x, y, z, n in spots)


def as_german_csv(spots: list[Any]) -> str:
    rows = [[str(cell).replace(".", ",") for cell in spot] for spot in spots]
    return "\ufefffov_x;fov_y;fov_z;fov_name\r\n" + "".join(
        f"{';'.join(row)}\r\n" for row in rows
    )


def as_sequence(spots: list[Any]) -> str:
    positions = [dict(zip(("x", "y", "z", "name"), s, strict=True)) for s in spots]
    sequence = useq.MDASequence.model_validate(
        {"stage_positions": positions, "channels": ["A"]}
    )
    return sequence.model_dump_json()


WRITERS = [old, new, as_list, as_csv, as_german_csv, as_sequence]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("positions")


@pytest.mark.parametrize("write", WRITERS)
@given(spots=SPOTS)
def test_what_a_file_says_is_read(
    folder: Path, write: Callable[[list[Any]], str], spots: list[Any]
) -> None:
    path = folder / f"{write.__name__}.pos"
    path.write_text(write(spots), encoding="utf-8", newline="")
    assert said(load_positions(path)) == spots
    assert said(load_positions(str(path))) == spots


class TestTables:
    @pytest.mark.parametrize("library", [dict, pd.DataFrame, pl.DataFrame], ids="dpl")
    def test_columns_of_any_library(self, library: Any) -> None:
        columns = library({"X": [1.0, 2.5], "Y": [0, -1], "name": ["q", None]})
        assert said(load_positions(columns)) == [
            (1, 0, None, "q"),
            (2.5, -1, None, None),
        ]

    def test_wells_reach_the_events(self) -> None:
        positions = load_positions("x,y,well\n0,0,A1\n1,0,a01\n2,0,B12\n")
        sequence = RTMSequence(channels=["A"], stage_positions=positions)
        assert places(sequence) == ("A1", "B12")
        facts = [(e.metadata["well"], e.metadata["field"]) for e in sequence]
        assert facts == [("A1", 0), ("A1", 1), ("B12", 0)]

    @pytest.mark.parametrize(
        ("table", "message"),
        [
            ("x,y\n1,2\n\n1,q\n", r"table/line 4: could not convert .* 'q'"),
            ("x,y\n1,\n", "table/line 2: x or y is empty"),
            ("x,y\n1,nan\n", "table/line 2: 'nan' is not finite"),
            ("x,y\n1,2,3\n", "table/line 2: has 3 cells for 2 columns"),
            ("x,z\n1,2\n", "table: has no columns x and y, only: x, z"),
            ("x,y,nme\n1,2,q\n", "table: there is no 'nme'. Did you mean 'name'"),
            ("x,x,y\n1,2,3\n", "table/line 1: 2 columns are called 'x'"),
            ("x,x_um,y\n1,2,3\n", "table: 2 columns say 'x'"),
            ("x,y,well\n1,2,Q\n", "table/line 2: 'Q' is not a well"),
            ("x,y\n", "positions: there is no position"),
            ("\n\n", "table: holds no table"),
            ({"x": [1, 2], "y": [1]}, "table: the columns have different lengths"),
            ({"x": [True], "y": [1]}, "table/row 0: True is not a number"),
        ],
        ids=repr,
    )
    def test_a_wrong_table_is_refused(self, table: Any, message: str) -> None:
        with pytest.raises(ExperimentError, match=message):
            load_positions(table)


class TestMicroManager:
    SPOT = (1.0, 2.0, 3.0, "q")
    PFS = device("PFSOffset", 120)

    def read(self, folder: Path, content: str, **more: Any) -> list[Place]:
        path = folder / "list.pos"
        path.write_text(content, encoding="utf-8")
        return said(load_positions(path, **more))

    def test_the_default_focus_device_gives_z(self, folder: Path) -> None:
        assert self.read(folder, new([self.SPOT], self.PFS)) == [self.SPOT]

    def test_another_focus_device_may_be_asked_for(self, folder: Path) -> None:
        read = self.read(folder, new([self.SPOT], self.PFS), z_stage="PFSOffset")
        assert read == [(1, 2, 120, "q")]

    @pytest.mark.parametrize("default", ["", "Other"])
    def test_z_is_not_guessed(self, folder: Path, default: str) -> None:
        unclear = new([self.SPOT], self.PFS, DefaultZStage=text(default))
        with pytest.raises(
            ExperimentError, match=r"q/z: which stage is meant\? .*PFSO"
        ):
            self.read(folder, unclear)

    def test_the_only_focus_device_of_an_old_list_gives_z(self, folder: Path) -> None:
        assert self.read(folder, old([self.SPOT], z_default="")) == [self.SPOT]
        with pytest.raises(ExperimentError, match="default is 'Piezo'"):
            self.read(folder, old([self.SPOT], z_default="Piezo"))

    def test_the_stage_stays_where_an_axis_is_not_in_the_list(
        self, folder: Path
    ) -> None:
        only_xy = {"DevicePositions": {"array": [device("XYStage", 1, 2)]}}
        assert self.read(folder, new([self.SPOT], **only_xy)) == [(1, 2, None, "q")]

    def test_wells_of_the_plate_plugin_are_known(self, folder: Path) -> None:
        labels = ["A1-Site_0", "A1-Site_1", "H12-Site_0"]
        path = folder / "wells.pos"
        path.write_text(old([(1, 2, 3, label) for label in labels]), encoding="utf-8")
        sequence = RTMSequence(channels=["A"], stage_positions=load_positions(path))
        assert places(sequence) == ("A1", "H12")

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (old([SPOT], DEVICES=[]), "list.pos/line 5/q: holds the coordinates of no"),
            (
                old([SPOT], DEVICES=7),
                "list.pos/line 5: is not understood: 7 is no list",
            ),
            (
                old([SPOT], DEVICES=[{"DEVICE": "S", "AXES": 3, "X": 1}]),
                "line 5: is not understood: a stage with 3 axes",
            ),
            (
                old([SPOT], DEVICES=[{"DEVICE": "S", "AXES": 2, "X": 1}]),
                "line 5: is not understood: 'Y' is missing",
            ),
            (
                new([SPOT], DevicePositions={"array": [device("S", 1, 2, 3)]}),
                "line 8: is not understood: a stage with 3 axes",
            ),
            (new([SPOT], DevicePositions=4), "line 8: is not understood"),
            ('{"POSITIONS": 4}', "list.pos: holds no list of positions"),
            ('{"POSITIONS": []}', "list.pos: there is no position"),
            ('{"map": {"StagePositions": 4}}', "list.pos: holds no list of positions"),
            ('{"POSITIONS": [4]}', "list.pos/line 1: is not understood"),
            ('{\n"POSITIONS": [\n', "list.pos/line 3: is not JSON"),
            ('{"other": 1}', "list.pos: holds neither POSITIONS, StagePositions nor"),
            ('{"stage_positions": [\n {"x": "q"}]}', "line 2/x: 'q' is not allowed"),
            ('{"stage_positions": [], "axis_order": 9}', "list.pos/axis_order"),
            ('[{"x": 1},\n {"nme": 2}]', "line 2: there is no 'nme'"),
            ("[[1, NaN]]", "list.pos/line 1/y: nan is no place"),
        ],
        ids=range(16),
    )
    def test_a_wrong_list_is_refused_with_its_line(
        self, folder: Path, content: str, message: str
    ) -> None:
        with pytest.raises(ExperimentError, match=message):
            self.read(folder, content)

    def test_all_mistakes_are_reported_together(self, folder: Path) -> None:
        with pytest.raises(ExperimentError) as caught:
            self.read(folder, old([self.SPOT, self.SPOT], DEVICES=[]))
        wheres = [problem.where for problem in caught.value.problems]
        assert wheres == ["list.pos/line 5/q", "list.pos/line 14/q"]

    def test_a_stage_that_is_not_in_the_list_is_named(self, folder: Path) -> None:
        with pytest.raises(
            ExperimentError, match=r"no stage 'ZDriv'\. Did you mean 'ZD"
        ):
            self.read(folder, new([self.SPOT]), z_stage="ZDriv")

    def test_a_stage_is_asked_for_only_where_stages_are(self, folder: Path) -> None:
        for content in ("x,y\n1,2\n", "[[1, 2]]"):
            with pytest.raises(ExperimentError, match=r"z_stage: .* names no stages"):
                self.read(folder, content, z_stage="Z")
        with pytest.raises(ExperimentError, match=r"z_stage: .* no stages to choose"):
            load_positions([(1, 2)], z_stage="Z")


class TestValues:
    GRID = useq.GridRowsColumns(rows=1, columns=2, fov_width=10, fov_height=10)

    def test_the_value_of_a_widget(self) -> None:
        spots = [useq.Position(x=1, y=2, z=3, name="q"), useq.Position(x=4, y=5)]
        value = useq.MDASequence(stage_positions=tuple(spots))
        assert load_positions(value) == spots

    def test_tiles_are_positions_where_useq_images_them(self) -> None:
        spots = (useq.Position(x=1, y=2, z=3, name="q"), useq.Position(x=40, y=5))
        value = useq.MDASequence(stage_positions=spots, grid_plan=self.GRID)
        read = load_positions(value)
        imaged = [(e.x_pos, e.y_pos, e.z_pos) for e in value]
        assert [(p.x, p.y, p.z) for p in read] == imaged
        assert [p.name for p in read] == ["q_0000", "q_0001", "p1_0000", "p1_0001"]

    def test_a_grid_of_one_position_makes_tiles_of_this_only(self) -> None:
        sub = useq.MDASequence(grid_plan=self.GRID)
        spots = (
            useq.Position(x=1, y=2, z=3, name="q"),
            useq.Position(x=40, y=5, plate_row=0, plate_col=1, sequence=sub),
        )
        read = load_positions(useq.MDASequence(stage_positions=spots))
        assert [p.name for p in read] == ["q", "p1_0000", "p1_0001"]
        assert [p.plate_col for p in read] == [None, 1, 1]
        assert len(list(RTMSequence(channels=["A"], stage_positions=read))) == 3

    def test_a_grid_without_positions_is_tiles(self) -> None:
        edges = useq.GridFromEdges(
            top=10, left=0, bottom=0, right=10, fov_width=8, fov_height=8
        )
        read = load_positions(useq.MDASequence(grid_plan=edges))
        assert len(read) == 4
        assert all(abs((a.x or 0) - (b.x or 0)) in {0, 8} for a, b in pairwise(read))

    def test_a_plate_keeps_the_z_of_the_stage(self) -> None:
        plan = useq.WellPlatePlan.model_validate(
            {"plate": 96, "a1_center_xy": (0, 0), "selected_wells": ([0, 1], [1, 1])}
        )
        for value in (plan, useq.MDASequence(stage_positions=plan)):
            read = load_positions(value)
            assert said(read) == [(9000, 0, None, "A2"), (9000, -9000, None, "B2")]

    def test_a_list_in_any_spelling(self) -> None:
        spots = [(1, 2), {"x": 1, "y": 2}, useq.Position(x=1, y=2), [1, 2]]
        assert said(load_positions(spots)) == [(1, 2, None, None)] * 4

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            (useq.MDASequence(), "positions: there is no position. Choose positions"),
            (
                useq.MDASequence(grid_plan=useq.GridRowsColumns(rows=2, columns=2)),
                "positions/grid_plan: without the size of a field",
            ),
            (
                useq.MDASequence(
                    grid_plan=GRID,
                    stage_positions=(
                        useq.Position(
                            sequence=useq.MDASequence.model_validate(
                                {"channels": ["A"]}
                            )
                        ),
                    ),
                ),
                "positions/stage_positions/0/sequence: a sub-sequence with more",
            ),
            (
                useq.WellPlatePlan.model_validate(
                    {
                        "plate": 96,
                        "a1_center_xy": (0, 0),
                        "selected_wells": ([0], [0]),
                        "well_points_plan": {"z": 4},
                    }
                ),
                "well_points_plan/z: 4 um is relative to a z",
            ),
            (5, "positions: a int holds no positions. Give a path"),
            ({}, "positions: a dict holds no positions"),
            (["q"], "positions/0/.*: 'q' is not allowed"),
        ],
        ids=range(7),
    )
    def test_a_value_without_positions_is_refused(
        self, value: Any, message: str
    ) -> None:
        with pytest.raises(ExperimentError, match=message):
            load_positions(value)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read"), (b"\xff\xfe\x00", r"is not UTF-8 text \(byte 0\)")],
)
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "some.pos"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ExperimentError, match=f"some.pos: {message}"):
        load_positions(path)
