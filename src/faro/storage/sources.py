"""Which code and files of the user took part in a run: hashes and git state."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

GIT_DEADLINE_S: Final = 5.0
LONGEST_PATH: Final = 1_000
PARTS: Final = ("component", "rig", "class")
"""Keys under which a description names code, as ``module:Name``."""
NAME: Final = "name"
"""Key under which a component that is a plain function says its own, so."""
MAIN: Final = "__main__"
BLOCK: Final = 1 << 20


def sources(description: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a record needs to find the user's own code and files again.

    Parameters
    ----------
    description
        Of the run. Import paths under ``component``, ``rig`` or ``class`` name modules;
        text that is the path of a file, like the weights of a model, names a file.

    Returns
    -------
    facts
        ``"modules"``: module, file, SHA-256 of each that is not installed from a
        package, and of the script that runs. ``"git"``: folder of a repository that
        holds one of them to its commit and to whether anything in it has changed.
        ``"files"``: path to SHA-256.
    """
    said = list(_texts(description))
    code = [text for key, text in said if key in PARTS or (key == NAME and ":" in text)]
    names = {text.partition(":")[0] for text in code}
    modules = {
        name: file
        for name in sorted({*names, MAIN})
        if (file := _file_of(name)) is not None and not _installed(file)
    }
    roots = {root for file in modules.values() if (root := _repository(file))}
    return {
        "modules": [
            {"module": name, "file": str(file), "sha256": sha256_of(file)}
            for name, file in modules.items()
        ],
        "git": {str(root): _git_state(root) for root in sorted(roots)},
        "files": {text: sha256_of(Path(text)) for _, text in said if _is_file(text)},
    }


def sha256_of(path: Path) -> str | None:
    """Return the SHA-256 of a file, None if it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
    except OSError:
        return None
    return digest.hexdigest()


def _texts(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text in nested data with the key under which it stands."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _texts(item, str(name))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item, key)


def _file_of(name: str) -> Path | None:
    """Return the source of a module that is loaded, None if it has none."""
    file = getattr(sys.modules.get(name), "__file__", None)
    return Path(file).resolve() if file else None


def _installed(file: Path) -> bool:
    """Return whether a file belongs to Python, to an installed package or to us."""
    homes = {sysconfig.get_path(key) for key in ("stdlib", "purelib", "platlib")}
    own = Path(__file__).resolve().parent.parent
    folders = [own, *(Path(home).resolve() for home in homes if home)]
    return any(file.is_relative_to(folder) for folder in folders)


def _is_file(text: str) -> bool:
    if not text or len(text) > LONGEST_PATH or "\n" in text or "\0" in text:
        return False
    path = Path(text)
    try:
        return path.is_absolute() and path.is_file()
    except OSError:
        return False


def _repository(file: Path) -> Path | None:
    return next((p for p in file.parents if (p / ".git").exists()), None)


def _git_state(root: Path) -> dict[str, Any]:
    """Return commit and whether tracked files differ from it; why not, if unknown."""
    try:
        commit = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError) as error:
        return {"unknown": str(error)}
    return {"commit": commit, "changed": bool(changed)}


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "--no-optional-locks", "-C", str(root), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=GIT_DEADLINE_S
    )
    return done.stdout.strip()
