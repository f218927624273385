"""The pages of the API: what each public room exports, told by its docstrings."""

from __future__ import annotations

from importlib import import_module

import site_map

import faro

WITHOUT_API = ("cli", "system")
INNER = ("microscope.host", "microscope.simulated", "rigs.pertzlab")
BESIDE = ("errors",)


def rooms() -> list[str]:
    """Return what has a page: rooms, what is told apart inside them, errors."""
    named = [room for room in site_map.rooms() if room not in WITHOUT_API]
    inside = {n: [i for i in INNER if i.startswith(f"{n}.")] for n in named}
    return [*(one for n in named for one in (n, *inside[n])), *BESIDE]


def exported(room: str) -> dict[str, str]:
    """Return what a room exports: names, and the full names of what they name."""
    module = import_module(f"faro.{room}")
    names = getattr(module, "__all__", None)
    if names is None:
        names = [
            name
            for name, value in vars(module).items()
            if getattr(value, "__module__", None) == module.__name__
            and not name.startswith("_")
        ]
    return {name: identity(module, name) for name in names}


def identity(module: object, name: str) -> str:
    """Return where a thing is defined, to tell one from another."""
    value = getattr(module, name)
    home = getattr(value, "__module__", "") or ""
    own = home.startswith("faro.") and hasattr(value, "__name__")
    return f"{home}.{value.__name__}" if own else f"{module.__name__}.{name}"


def pages() -> dict[str, str]:
    """Return the pages: one for each room, and one for the front door."""
    shown: dict[str, str] = {}
    made: dict[str, str] = {}
    front = {name: identity(faro, name) for name in faro.__all__}
    for room in rooms():
        lines = [f"# `faro.{room}`", "", f"::: faro.{room}", *only_the_docstring()]
        for name, thing in exported(room).items():
            if thing not in shown:
                shown[thing] = f"faro.{room}.{name}"
                lines += entry(shown[thing])
        for name, thing in front.items():
            inside = thing.startswith(f"faro.{room}.")
            if thing not in shown and inside:
                shown[thing] = f"{faro._HOMES[name]}.{name}"  # noqa: SLF001
                lines += entry(shown[thing])
        made[f"reference/api/{room}.md"] = "\n".join(lines) + "\n"
    made["reference/api/index.md"] = front_door(front, shown)
    return made


def only_the_docstring() -> list[str]:
    """Return the options that show of a package what it says, not what is in it."""
    return [
        "    options:",
        "      members: false",
        "      show_root_toc_entry: false",
        "      show_root_heading: false",
        "      heading_level: 1",
        "",
    ]


def entry(name: str) -> list[str]:
    """Return the directive that shows one class, function or constant."""
    return [f"::: {name}", "    options:", "      heading_level: 2", ""]


def front_door(front: dict[str, str], shown: dict[str, str]) -> str:
    """Return the page of ``faro`` itself: each name, and where it is described."""
    missing = [name for name, thing in front.items() if thing not in shown]
    if missing:
        message = f"No page shows {missing}. Give their room a page in {__file__}."
        raise ValueError(message)
    lines = ["# The API", ""]
    lines += [
        "Names that a script needs are at the front door: `from faro import ...`."
    ]
    lines += ["", "| name | described at |", "| --- | --- |"]
    lines += [f"| `faro.{n}` | [`{shown[t]}`][{shown[t]}] |" for n, t in front.items()]
    lines += ["", "The rest is in its room:", "", "| room | what it has |"]
    lines += ["| --- | --- |"]
    for room in rooms():
        doc = (import_module(f"faro.{room}").__doc__ or "").partition("\n")[0]
        lines.append(f"| [`faro.{room}`]({room}.md) | {doc} |")
    return "\n".join(lines) + "\n"
