"""Numbers as people read them: few digits, always a unit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from faro.view.response import Comparison


def ms_text(value_ms: float | None) -> str:
    """Return a duration with two digits that count.

    >>> ms_text(0.0213), ms_text(3.14159), ms_text(42.4), ms_text(61_000), ms_text(None)
    ('0.021 ms', '3.1 ms', '42 ms', '61 s', 'unknown')
    """
    if value_ms is None or not math.isfinite(value_ms):
        return "unknown"
    if abs(value_ms) >= 10_000:
        return f"{value_ms / 1e3:.0f} s"
    return f"{short(value_ms)} ms"


def pair_text(p50_ms: float | None, p95_ms: float | None) -> str:
    """Return two durations with one unit where they share it.

    >>> pair_text(3.14159, 42.0), pair_text(3.1, 61_000), pair_text(None, None)
    ('3.1 / 42 ms', '3.1 ms / 61 s', 'unknown / unknown')
    """
    first, second = ms_text(p50_ms), ms_text(p95_ms)
    shared = first.endswith(" ms") and second.endswith(" ms")
    return f"{first.removesuffix(' ms') if shared else first} / {second}"


def short(number: object) -> str:
    """Return a number with two digits that count, whole from ten on.

    >>> short(12.34), short(9.97), short(1.234), short(0.01234), short(-0.5), short(7)
    ('12', '10', '1.2', '0.012', '-0.50', '7')
    """
    if not isinstance(number, float):
        return str(number)
    if not math.isfinite(number):
        return "unknown"
    if abs(number) >= 9.95:
        return f"{number:.0f}"
    if abs(number) < 1e-6:
        return "0"
    decimals = 1 - math.floor(math.log10(abs(number)))
    return f"{number:.{decimals}f}"


def p_text(fraction: float) -> str:
    """Return a p-value.

    >>> p_text(0.02857), p_text(0.31), p_text(1.0), p_text(0.0001)
    ('p = 0.029', 'p = 0.31', 'p = 1', 'p < 0.001')
    """
    return "p < 0.001" if fraction < 0.001 else f"p = {fraction:.2g}"


def duration_text(duration_s: float | None) -> str:
    """Return a duration in the unit that suits it.

    >>> duration_text(12.34), duration_text(75), duration_text(7300)
    ('12.3 s', '1 min 15 s', '2 h 1 min')
    """
    if duration_s is None:
        return "unknown"
    if duration_s < 60:
        return f"{duration_s:.1f} s"
    minutes, seconds = divmod(round(duration_s), 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def count_text(count: int) -> str:
    r"""Return a whole number with thin spaces between thousands.

    >>> count_text(1234567).split("\N{NARROW NO-BREAK SPACE}")
    ['1', '234', '567']
    """
    return f"{count:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def difference_text(test: Comparison) -> str:
    """Return the difference of two arms with its sign and unit."""
    sign = "+" if test.difference > 0 else ""
    number = short(test.difference).replace("-", "\N{MINUS SIGN}")
    return f"{sign}{number} {test.unit}".strip()


def effect_text(test: Comparison) -> str:
    """Return the effect size; it does not exist where no FOV differs in its arm."""
    return short(test.effect) if math.isfinite(test.effect) else "undefined"
