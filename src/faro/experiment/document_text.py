"""An experiment file as text: TOML, YAML and JSON, one into the other without loss."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w
import yaml

from faro.errors import Problem
from faro.experiment.document import ExperimentFile, words_of
from faro.experiment.document_events import events_from
from faro.experiment.document_problems import checked
from faro.experiment.document_values import place_of
from faro.experiment.refusal import ExperimentError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

FORMATS = {".toml": "toml", ".yaml": "yaml", ".yml": "yaml", ".json": "json"}

LINE_ENDS = frozenset("\x85\u2028\u2029\ufeff")
"""Letters that YAML reads as the end of a line unless all letters are escaped."""
MERGE = "tag:yaml.org,2002:merge"


def document_from(data: Mapping[str, Any]) -> ExperimentFile:
    """Return what a file says, checked as far as words go.

    Components and rigs are looked up by `faro.run.files`.

    Raises
    ------
    ExperimentError
        With everything that is wrong with the keys, the values and the sequences.
    """
    document, problems = checked(data)
    problems += events_from(data)[1]
    if problems or document is None:
        raise ExperimentError(list(dict.fromkeys(problems)))
    found: ExperimentFile = document
    return found


def load_experiment(path: str | Path) -> ExperimentFile:
    """Return what a file says, checked as far as words go; see `document_from`."""
    return document_from(read_data(path))


def save_experiment(document: ExperimentFile, path: str | Path) -> Path:
    """Write an experiment as TOML, YAML or JSON, by the ending of ``path``.

    Raises
    ------
    ExperimentError
        If the ending is unknown, or TOML is to say null.
    OSError
        If the file cannot be written.
    """
    target = Path(path)
    text = text_of(document, format_of(target))
    target.write_text(text, encoding="utf-8", newline="\n")
    return target


def format_of(path: Path) -> str:
    """Return ``"toml"``, ``"yaml"`` or ``"json"`` by the ending of a file name.

    Raises
    ------
    ExperimentError
        If it has another ending.
    """
    ending = path.suffix.lower()
    if ending not in FORMATS:
        what = f"the ending {path.suffix!r} is not known."
        remedy = "Use .toml, .yaml, .yml or .json."
        raise ExperimentError([Problem(str(path), what, remedy)])
    return FORMATS[ending]


def read_data(path: str | Path) -> dict[str, Any]:
    """Return what a file says, unchecked.

    Raises
    ------
    ExperimentError
        If it cannot be read, or is not what its ending says.
    """
    source = Path(path)
    kind = format_of(source)
    try:
        text = source.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        what = f"cannot be read: {getattr(error, 'strerror', None) or error}."
        remedy = "Give a text file in UTF-8; faro init writes one to begin with."
        raise ExperimentError([Problem(str(source), what, remedy)]) from error
    return parsed(text, kind, str(source))


def parsed(text: str, kind: str, name: str = "file") -> dict[str, Any]:
    """Return what a text says, unchecked.

    Parameters
    ----------
    text
        The text of a file.
    kind
        ``"toml"``, ``"yaml"`` or ``"json"``.
    name
        What the file is called in an error.

    Raises
    ------
    ExperimentError
        If the text is not of that kind, or says a key twice; with the line.

    Examples
    --------
    >>> parsed("microscope: simulated", "yaml")
    {'microscope': 'simulated'}
    """
    try:
        data = _READERS[_known(kind)](text)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        what = f"is no {kind.upper()}: {reason}."
        raise ExperimentError([Problem(name, what, "Correct that line.")]) from error
    if not isinstance(data, dict):
        what = "holds no table of names and values."
        remedy = 'Begin with: microscope = "simulated".'
        raise ExperimentError([Problem(name, what, remedy)])
    return data


def text_of(document: ExperimentFile, kind: str, *, full: bool = False) -> str:
    """Return a document as text; `parsed` gives the same document back.

    Parameters
    ----------
    document
        What to write.
    kind
        ``"toml"``, ``"yaml"`` or ``"json"``.
    full
        Also what equals the default.

    Raises
    ------
    ExperimentError
        If it says null where TOML cannot, or ``kind`` is another.
    """
    words = words_of(document, full=full)
    if _known(kind) == "json":
        return json.dumps(words, indent=2, ensure_ascii=False) + "\n"
    if kind == "yaml":
        said = json.dumps(words, ensure_ascii=False)
        readable = LINE_ENDS.isdisjoint(said)
        text: str = yaml.safe_dump(words, sort_keys=False, allow_unicode=readable)
        return text
    nulls = [
        Problem(place, "TOML has no null.", "Leave the key out, or use YAML or JSON.")
        for place in _nulls(words, "")
    ]
    if nulls:
        raise ExperimentError(nulls)
    return tomli_w.dumps(words)


def _known(kind: str) -> str:
    if kind not in FORMATS.values():
        what = f"there is no format {kind!r}."
        remedy = nearest(kind, ("toml", "yaml", "json"))
        raise ExperimentError([Problem("format", what, remedy)])
    return kind


def _nulls(value: object, place: str) -> Iterator[str]:
    if value is None:
        yield place
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _nulls(inner, place_of(place, [key]))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _nulls(inner, place_of(place, [number]))


def _read_json(text: str) -> object:
    return json.loads(text, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return a table; a key that comes twice is an error, not a silent choice."""
    table: dict[str, object] = {}
    for key, value in pairs:
        if key in table:
            message = f"the key {key!r} comes twice"
            raise ValueError(message)
        table[key] = value
    return table


class _OnceLoader(yaml.SafeLoader):
    """The safe reader of YAML, to which a key that comes twice is an error."""

    def construct_mapping(
        self,
        node: yaml.MappingNode,
        deep: bool = False,  # noqa: FBT001, FBT002  as in yaml
    ) -> dict[Hashable, Any]:
        """Return a table; keys of a merge (``<<``) may be overridden."""
        keys = [
            key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"
        ]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            message = f"the key {twice!r} comes twice"
            raise yaml.constructor.ConstructorError(
                None, None, message, node.start_mark
            )
        return super().construct_mapping(node, deep=deep)


def _read_yaml(text: str) -> object:
    return yaml.load(text, Loader=_OnceLoader)


_READERS: Mapping[str, Callable[[str], object]] = {
    "toml": tomllib.loads,
    "yaml": _read_yaml,
    "json": _read_json,
}
