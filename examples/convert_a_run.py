"""A run that was stored as TIFF, as OME-Zarr; every image is compared afterwards.

python convert_a_run.py STORED_RUN NEW_RUN_FOLDER
"""

from __future__ import annotations

import sys

import faro


def main(stored: str, output: str) -> None:
    """Store a run of ours, or of the public project, as OME-Zarr."""
    source, writer = faro.open_run(stored), faro.OmeZarrWriter(output)
    print(faro.convert(source, writer))


if __name__ == "__main__":
    if not sys.argv[2:]:
        sys.exit(__doc__)
    main(*sys.argv[1:])
