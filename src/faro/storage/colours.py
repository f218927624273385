"""In which colour a channel is shown, by what its preset is called. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

WHITE: Final = "FFFFFF"
NAMED: Final = {
    "0000FF": r"dapi|hoechst|bfp|tagbfp|blue|alexa ?405",
    "00FFFF": r"cfp|cyan|cerulean|turquoise|teal",
    "00FF00": r"e?gfp|fitc|green|venus|clover|neon|alexa ?488|citrine|yfp|yellow",
    "FF8000": r"cy3|tritc|orange|mko|tdtomato|alexa ?5(46|55)",
    "FF0000": r"rfp|mcherry|red|scarlet|ruby|alexa ?594|texas",
    "FF00FF": r"cy5|farred|i?rfp670|mirfp|irfp|alexa ?647|magenta|near ?infra",
    WHITE: r"brightfield|bf|dic|phase|trans|halogen|ph\d",
}
"""Display colour to the dyes, proteins and words that suggest it (RGB hex)."""
OTHERS: Final = ("00FF00", "FF00FF", "00FFFF", "FFFF00", "FF8000")
"""For names that suggest nothing, in this order."""


def colours_of(channels: Sequence[str]) -> tuple[str, ...]:
    """Return a colour (RGB hex) for each channel; no two alike while there are enough.

    A single channel whose name suggests nothing is white.

    >>> colours_of(["DAPI", "mCherry", "GFP-ERK"])
    ('0000FF', 'FF0000', '00FF00')
    >>> colours_of(["miRFP", "mScarlet3"]), colours_of(["left"])
    (('FF00FF', 'FF0000'), ('FFFFFF',))
    """
    suggested = [_suggested(name) for name in channels]
    if len(channels) == 1:
        return (suggested[0] or WHITE,)
    taken: set[str] = set()
    found = []
    for colour in suggested:
        chosen = colour if colour not in taken else None
        if chosen is None:
            free = [c for c in OTHERS if c not in {*taken, *suggested}]
            chosen = free[0] if free else WHITE
        taken.add(chosen)
        found.append(chosen)
    return tuple(found)


def ome_colour(rgb: str) -> int:
    """Return a colour as OME-XML says it: RGBA as a signed 32-bit number.

    >>> ome_colour("FFFFFF"), ome_colour("00FF00")
    (-1, 16711935)
    """
    return int.from_bytes(bytes.fromhex(f"{rgb}FF"), "big", signed=True)


def _suggested(name: str) -> str | None:
    """Return the colour that a name suggests; the longest word in it decides."""
    words = [
        (len(match[0]), colour)
        for colour, pattern in NAMED.items()
        if (match := re.search(rf"(?<![a-z])m?(?:{pattern})", name.casefold()))
    ]
    return max(words)[1] if words else None
