"""Content addresses of results: equal where inputs, parameters and code are equal.

An address is the SHA-256 of everything that a result depends on: the frames (by their
checksums), the address of what it builds on, the components with all parameters, the
versions of FARO and of the libraries that compute, and the user's own modules.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from faro.storage.environment import versions
from faro.storage.sources import sources

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from faro.experiment import RTMEvent
    from faro.storage import Run

COMPUTING: Final = (
    "faro",
    "numpy",
    "scipy",
    "scikit-image",
    "opencv-python-headless",
    "cellpose",
    "stardist",
    "torch",
)
FRAME: Final = ("timestep", "role", "channels", "shape", "crc32", "z_um")


@dataclass(frozen=True, slots=True)
class Addresses:
    """What the results of one position are addressed by.

    Attributes
    ----------
    segment
        Name of the labels to address.
    track, measure, decide
        Of the tracks, of everything measured, and of the masks.
    """

    segment: Mapping[str, str] = field(default_factory=dict)
    track: str = ""
    measure: str = ""
    decide: str = ""

    def words(self) -> dict[str, Any]:
        """Return them for the journal."""
        return {
            "segment": dict(self.segment),
            "track": self.track,
            "measure": self.measure,
            "decide": self.decide,
        }


def addresses(
    frames: str, words: Mapping[str, Any], code: str, events: Iterable[RTMEvent]
) -> Addresses:
    """Return the addresses of the results of one position. Pure.

    Parameters
    ----------
    frames
        Of `frames_address`.
    words
        The part ``pipeline`` of an experiment file, resolved.
    code
        Of `code_address`.
    events
        Those of the position: metadata, and where light is asked for.
    """
    listed = list(events)
    said = [
        [e.timestep, dict(e.metadata), e.min_start_time, [c.config for c in e.channels]]
        for e in listed
    ]
    lit = [[e.timestep, [c.words() for c in e.stim_channels]] for e in listed]
    plane = words.get("z")
    segment: dict[str, str] = {}
    for method in words["segmenters"]:
        seeds = segment.get(method.get("seeds") or "", "")
        segment[method["name"]] = _hash(frames, code, plane, method, seeds)
    features = words.get("features")
    main = segment[words["segmenters"][0]["name"]]
    needed = words["tracker"].get("parameters", {}).get("features")
    before = [features, segment] if needed else None
    track = _hash(main, frames, code, words["tracker"], before)
    references = words.get("reference_features")
    measure = _hash(track, segment, features, references, said)
    decide = _hash(measure, words.get("stimulator"), words.get("stimulators"), lit)
    return Addresses(segment, track, measure, decide)


def frames_address(run: Run, fov: int) -> str:
    """Return the address of the frames of a position, from their checksums."""
    told = [
        [line.get(name) for name in FRAME]
        for line in run.journal
        if line["kind"] == "frame" and line["fov"] == fov
    ]
    return _hash(sorted(told, key=str), run.pixel_size_um)


def code_address(words: Mapping[str, Any]) -> str:
    """Return the address of the code that computes: libraries, and modules of the user.

    Parameters
    ----------
    words
        As for `addresses`; the modules that it names are imported already.
    """
    return _code(versions(), sources(words))


def code_address_of(run: Run) -> str:
    """Return `code_address` as it was when ``run`` was made; empty if not recorded."""
    used = run.provenance("sources")
    return _code(run.info.get("versions") or {}, used) if used else ""


def _code(found: Mapping[str, str], used: Mapping[str, Any]) -> str:
    """Return the address of libraries, the user's modules, and files like weights."""
    modules = [[m["module"], m["sha256"]] for m in used["modules"]]
    own = [module for module in modules if module[0] != "__main__"]
    return _hash({n: found.get(n) for n in COMPUTING}, own, used["files"])


def _hash(*parts: object) -> str:
    text = json.dumps(parts, sort_keys=True, default=str, allow_nan=True)
    return hashlib.sha256(text.encode()).hexdigest()
