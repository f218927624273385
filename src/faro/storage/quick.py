"""Stacks stored with less work: the same format, nothing compressed."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import tensorstore as ts

if TYPE_CHECKING:
    import numpy.typing as npt

    from faro.storage.ngff import Json


def uncompressed_shard(metadata: Json, stack: npt.NDArray[Any]) -> bytes:
    """Return the shard file of one whole stack, its planes not compressed.

    Blosc keeps what it is given at level 0, so readers need not know. It takes half of
    the processor time of level 5, and twice the bytes.

    Parameters
    ----------
    metadata
        The array's ``zarr.json``; one stack is one shard.
    stack
        (C, Y, X) or (C, Z, Y, X).
    """
    alone = copy.deepcopy(metadata)
    alone["shape"][0] = 1
    for codec in alone["codecs"][0]["configuration"]["codecs"]:
        if codec["name"] == "blosc":
            codec["configuration"]["clevel"] = 0
    spec = {
        "driver": "zarr3",
        "kvstore": {"driver": "memory"},
        "metadata": alone,
        "create": True,
        "store_data_equal_to_fill_value": True,
    }
    array = ts.open(spec).result()
    array[0].write(stack).result()
    memory = array.kvstore
    assert memory is not None
    shard: bytes = memory.read("c" + ".0" * array.rank).result().value
    return shard
