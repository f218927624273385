"""What the label images are called that hold the masks that were fired."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MASK = "stim_mask"
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")


def mask_labels(
    channels: Iterable[str], given: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the label image of each stimulation channel.

    `MASK` where there is one channel, with its name at the end where there are
    several. Signs that no file name can have become ``_``; two names are never the
    same, also where capital letters do not count.

    Parameters
    ----------
    channels
        All stimulation channels, in order.
    given
        What some are called already; these stay.

    Examples
    --------
    >>> mask_labels(["CyanStim"])
    {'CyanStim': 'stim_mask'}
    >>> mask_labels(["Cyan (470)", "Red"])
    {'Cyan (470)': 'stim_mask_Cyan_470', 'Red': 'stim_mask_Red'}
    """
    found = dict(given or {})
    names = list(dict.fromkeys([*found, *channels]))
    if len(names) == 1 and not found:
        return {names[0]: MASK}
    for name in names:
        if name not in found:
            found[name] = _free(f"{MASK}_{_written(name)}", found.values())
    return found


def _written(name: str) -> str:
    return _NOT_IN_A_NAME.sub("_", name).strip("_") or "channel"


def _free(name: str, taken: Iterable[str]) -> str:
    """Return ``name``, with a number if it is taken."""
    folded = {other.casefold() for other in taken}
    candidate, number = name, 1
    while candidate.casefold() in folded:
        number += 1
        candidate = f"{name}_{number}"
    return candidate
