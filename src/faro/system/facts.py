"""What this system is."""

from __future__ import annotations

import sys
from typing import Final

WINDOWS: Final = sys.platform == "win32"
LIBRARIES_ALONG_PATH: Final = WINDOWS
"""Whether libraries are looked for along PATH."""
