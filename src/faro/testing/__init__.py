"""What plug-in authors and tests need: contract checks, fakes, synthetic truth."""

from __future__ import annotations
