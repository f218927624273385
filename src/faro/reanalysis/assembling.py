"""Puts the parts of a re-analysis together: a run of its own, made of links."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from faro.experiment import needs
from faro.microscope import ReplayMicroscope
from faro.reanalysis.parts import FOLLOWING
from faro.run.stored import replayable_events
from faro.run.summary import COMPLETED
from faro.storage import OmeZarrWriter, OmeZarrWriterPlate, open_run
from faro.storage.adopting import (
    Adopted,
    adopt_cells,
    adopt_frames,
    adopt_labels,
    adopt_words,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from faro.experiment import RTMEvent
    from faro.model import RunNeeds
    from faro.storage import Run


@dataclass(frozen=True, slots=True)
class Piece:
    """Where the results of one position are.

    Attributes
    ----------
    labels_from
        Name of a segmentation to the run that holds it.
    follow
        The part with tracks, cells, masks; empty where it failed.
    addresses
        Of the results, for the journal.
    """

    fov: int
    labels_from: Mapping[str, str]
    follow: str
    addresses: Mapping[str, Any]
    failed: str = ""


@dataclass(slots=True)
class Assembled:
    """What went into the run.

    Attributes
    ----------
    frames, labels
        Files taken over.
    n_cells, n_errors
        Rows, and failures of components.
    """

    frames: Adopted = field(default_factory=Adopted)
    labels: Adopted = field(default_factory=Adopted)
    n_cells: int = 0
    n_errors: int = 0


def assemble(
    path: Path,
    source: Run,
    pieces: Iterator[Piece] | Sequence[Piece],
    description: Mapping[str, Any],
    label_names: Sequence[str],
) -> Assembled:
    """Write the run ``path`` from its pieces and return what went into it.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    events, _ = replayable_events(source, light=True)
    writer = _writer(path, source)
    writer.open(_needs(source, events, label_names), description)
    done = Assembled()
    for piece in pieces:
        _add(done.frames, adopt_frames(writer, source, piece.fov))
        for name, run in piece.labels_from.items():
            stored = open_run(run)
            _add(done.labels, adopt_labels(writer, stored, piece.fov, [name]))
            done.n_errors += adopt_words(writer, stored, piece.fov, _segment(name))
        if piece.follow:
            part = open_run(piece.follow)
            names = [n for n in part.label_names if n not in piece.labels_from]
            _add(done.labels, adopt_labels(writer, part, piece.fov, names))
            done.n_cells += adopt_cells(writer, part, piece.fov)
            done.n_errors += adopt_words(writer, part, piece.fov, FOLLOWING)
        said = {"fov": piece.fov, "addresses": piece.addresses, "failed": piece.failed}
        writer.record("reanalysed", **said)
    writer.record("run_finished", reason=COMPLETED)
    n_stacks = done.frames.linked + done.frames.stored
    counts = {"n_stacks": n_stacks, "n_cells": done.n_cells, "n_errors": done.n_errors}
    writer.close({"reason": COMPLETED, **counts, "n_stimulated": 0, "n_skipped": 0})
    return done


def _segment(name: str) -> tuple[str, ...]:
    return (f"segment/{name}",)


def _add(total: Adopted, more: Adopted) -> None:
    total.linked += more.linked
    total.stored += more.stored


def _writer(path: Path, source: Run) -> OmeZarrWriter | OmeZarrWriterPlate:
    """Return a writer of the layout of the source; files become a collection."""
    if source.info.get("layout") == "plate":
        return OmeZarrWriterPlate(path, durability="process")
    return OmeZarrWriter(path, durability="process")


def _needs(
    source: Run, events: Sequence[RTMEvent], label_names: Sequence[str]
) -> RunNeeds:
    with ReplayMicroscope(source) as microscope:
        return needs(events, microscope.facts(), label_names)
