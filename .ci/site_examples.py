"""The examples as pages: the list of them, and each as it stands."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent.parent / "examples"
LANGUAGES = {".py": "python", ".toml": "toml"}


def files() -> list[Path]:
    """Return the example files, to be offered as they are."""
    return sorted(p for p in FOLDER.iterdir() if p.suffix in {*LANGUAGES, ".ipynb"})


def pages() -> dict[str, str]:
    """Return the list of the examples, with each text below it."""
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    lines = [text, "\n## The files\n"]
    for path in files():
        if path.suffix in LANGUAGES:
            code = path.read_text(encoding="utf-8").rstrip("\n")
            language = LANGUAGES[path.suffix]
            lines += [f'??? example "{path.name}"\n', f"    ```{language}"]
            lines += [f"    {line}".rstrip() for line in code.splitlines()]
            lines += ["    ```\n"]
    return {"examples/index.md": "\n".join(lines)}
