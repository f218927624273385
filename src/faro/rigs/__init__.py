"""Real instruments as thin declarations, and how they are found by name."""

from __future__ import annotations

from faro.rigs.finding import UnknownRigError, find_rig, known_rigs, open_rig

__all__ = ["UnknownRigError", "find_rig", "known_rigs", "open_rig"]
