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


class Code:
    """The code that components are made of: libraries, and modules of the user.

    Parameters
    ----------
    found
        Library to version.
    used
        What `faro.storage.sources.sources` said of a pipeline.
    """

    def __init__(self, found: Mapping[str, str], used: Mapping[str, Any]) -> None:
        self._versions = {name: found.get(name) for name in COMPUTING}
        self._modules = {m["module"]: m["sha256"] for m in used["modules"]}
        self._files: dict[str, str] = dict(used["files"])

    @classmethod
    def now(cls, words: Mapping[str, Any]) -> Code:
        """Return the code of a pipeline as it is now; its modules are imported."""
        return cls(versions(), sources(words))

    @classmethod
    def then(cls, run: Run) -> Code | None:
        """Return the code as it was when ``run`` was made; None if not recorded."""
        used = run.provenance("sources")
        return cls(run.info.get("versions") or {}, used) if used else None

    def of(self, component: object) -> list[object]:
        """Return versions, and the checksums of what a component names."""
        said = json.dumps(component, default=str)
        modules = {n: s for n, s in self._modules.items() if f'"{n}:' in said}
        files = {n: s for n, s in self._files.items() if json.dumps(n) in said}
        return [component, self._versions, modules, files]


def addresses(
    frames: str, words: Mapping[str, Any], code: Code, events: Iterable[RTMEvent]
) -> Addresses:
    """Return the addresses of the results of one position. Pure.

    Parameters
    ----------
    frames
        Of `frames_address`.
    words
        The part ``pipeline`` of an experiment file, resolved.
    code
        What the components of ``words`` are made of.
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
        segment[method["name"]] = _hash(frames, plane, code.of(method), seeds)
    features = code.of(words.get("features"))
    main = segment[words["segmenters"][0]["name"]]
    needed = words["tracker"].get("parameters", {}).get("features")
    before = [features, segment] if needed else None
    track = _hash(main, frames, code.of(words["tracker"]), before)
    references = code.of(words.get("reference_features"))
    measure = _hash(track, segment, features, references, said)
    light = [words.get("stimulator"), words.get("stimulators")]
    decide = _hash(measure, code.of(light), lit)
    return Addresses(segment, track, measure, decide)


def frames_address(run: Run, fov: int) -> str:
    """Return the address of the frames of a position, from their checksums."""
    told = [
        [line.get(name) for name in FRAME]
        for line in run.journal
        if line["kind"] == "frame" and line["fov"] == fov
    ]
    return _hash(sorted(told, key=str), run.pixel_size_um)


def _hash(*parts: object) -> str:
    text = json.dumps(parts, sort_keys=True, default=str, allow_nan=True)
    return hashlib.sha256(text.encode()).hexdigest()
