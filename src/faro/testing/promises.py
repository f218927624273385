"""Collects broken promises of a component, so that its author hears of all at once."""

from __future__ import annotations

from faro.errors import ContractError


class Promises:
    """What a component must keep, and what it broke.

    Parameters
    ----------
    subject
        The component.
    seam
        The protocol to read, for example ``"faro.protocols.Segmenter"``.

    Examples
    --------
    >>> promises = Promises(len, "faro.protocols.Segmenter")
    >>> promises.keep(1 + 1 == 2, "arithmetic")
    True
    >>> promises.settle()
    """

    def __init__(self, subject: object, seam: str) -> None:
        kind = subject if isinstance(subject, type) else type(subject)
        self._name, self._seam = kind.__name__, seam
        self._broken: list[str] = []

    def keep(self, kept: object, promise: str, seen: object = "") -> bool:
        """Note ``promise`` as broken unless ``kept``; return whether it was kept."""
        if not kept:
            self._broken.append(f"{promise} (seen: {seen!r})" if seen else promise)
        return bool(kept)

    def broke(self, error: Exception, where: str) -> None:
        """Note that the component raised, or that what it gave was refused."""
        self._broken.append(f"{where}: {type(error).__name__}: {error}")

    def settle(self) -> None:
        """Raise ContractError if a promise was broken; all are listed."""
        if self._broken:
            lines = "\n".join(f"  - {line}" for line in dict.fromkeys(self._broken))
            problem = f"{self._name} breaks its contract:\n{lines}\n"
            raise ContractError(problem, remedy=f"See {self._seam}.")
