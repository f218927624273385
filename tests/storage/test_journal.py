"""The journal: whole lines, in order, from any thread."""

from __future__ import annotations

import json
import threading
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faro.storage.journal import Journal, JournalReader, has_mark


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def test_a_line_is_readable_as_soon_as_it_was_appended(path: Path) -> None:
    journal, reader = Journal(path), JournalReader(path)
    journal.append("frame", fov=1, timestep=2)
    line = reader.lines()[-1]
    assert (line["kind"], line["fov"], line["timestep"]) == ("frame", 1, 2)
    assert datetime.fromisoformat(line["wall"]).utcoffset() is not None
    journal.append("cells", rows=3)
    assert [line["kind"] for line in reader.lines()] == ["frame", "cells"]
    journal.close()


def test_lines_of_many_threads_are_whole(path: Path) -> None:
    journal = Journal(path)

    def work(worker: int) -> None:
        for number in range(200):
            journal.append("note", worker=worker, number=number, text="x" * 300)

    threads = [threading.Thread(target=work, args=(w,)) for w in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for worker in range(4):
        mine = [line["number"] for line in lines if line["worker"] == worker]
        assert mine == list(range(200))


@given(cut=st.integers(1, 200), more=st.integers(0, 3))
def test_a_torn_tail_is_left_out_and_cut_off_before_more_lines(
    cut: int, more: int
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"
        journal = Journal(path)
        for number in range(3):
            journal.append("note", number=number, text="x" * number)
        journal.close()
        data = path.read_bytes()[:-cut]
        path.write_bytes(data)
        complete = data.count(b"\n")
        assert len(JournalReader(path).lines()) == complete
        again = Journal(path)
        for _ in range(more):
            again.append("resumed")
        again.close()
        kinds = [line["kind"] for line in JournalReader(path).lines()]
        assert kinds == ["note"] * complete + ["resumed"] * more


def test_a_damaged_line_does_not_hide_the_others(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_bytes(b'{"kind":"a"}\n\0\0\0\n7\n{"kind":"b"}\n')
    assert [line["kind"] for line in JournalReader(path).lines()] == ["a", "b"]
    assert "damaged line" in caplog.text


def test_a_line_after_closing_is_still_written(path: Path) -> None:
    journal = Journal(path, "power-loss")
    journal.append("a")
    journal.close()
    journal.close()
    journal.append("b")
    assert [line["kind"] for line in JournalReader(path).lines()] == ["a", "b"]


def test_a_journal_that_is_not_there_has_no_lines(path: Path) -> None:
    assert JournalReader(path).lines() == []


@given(lengths=st.lists(st.integers(0, 30), min_size=1, max_size=6), data=st.data())
def test_a_mark_holds_as_long_as_the_lines_before_it_are_there(
    lengths: list[int], data: st.DataObject
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"
        journal, marks = Journal(path), []
        for length in lengths:
            journal.append("note", text="x" * length)
            marks.append(journal.mark())
        journal.close()
        whole = path.read_bytes()
        assert all(has_mark(path, mark) for mark in marks)
        cut = data.draw(st.integers(0, len(whole)))
        path.write_bytes(whole[:cut])
        again = Journal(path)
        kept = [mark["bytes"] <= cut for mark in marks]
        assert [has_mark(path, mark) for mark in marks] == kept
        assert again.mark() == ([{}, *marks][sum(kept)] or Journal(path).mark())
        for _ in range(10):
            again.append("other", text="y" * 30)
        assert [has_mark(path, mark) for mark in marks] == kept
        again.close()
