"""Networks that are made here, whose answers can be worked out without them."""

from __future__ import annotations

import warnings
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from faro.analysis.learned import OnnxSegmenter, TorchScriptSegmenter

if TYPE_CHECKING:
    from pathlib import Path

    from faro.analysis.learned import NetworkSegmenter

OFFSET, SCALE = 30_000, 500
"""How a number lies in a pixel: pixel = SCALE * number + OFFSET."""
IR_VERSION, OPSET = 10, 18


class MakeNetwork(Protocol):
    """Makes a segmenter of a network that reads numbers out of pixels."""

    def __call__(self, n_channels: int = 1, **options: Any) -> NetworkSegmenter:
        """Return it; ``channels_last`` and the parameters of the segmenter."""
        ...


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a library that is not installed here."""
    for item in items:
        for marker in item.iter_markers("library"):
            name, module = marker.args
            if find_spec(module) is None:
                why = f"needs {name}, which .ci/run installs apart"
                item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(
    params=[
        pytest.param("onnx", marks=pytest.mark.library("onnx", "onnxruntime")),
        pytest.param("torch", marks=pytest.mark.library("torch", "torch")),
    ]
)
def make_network(request: pytest.FixtureRequest, tmp_path: Path) -> MakeNetwork:
    save = {"onnx": save_onnx, "torch": save_torch}[request.param]
    kind = {"onnx": OnnxSegmenter, "torch": TorchScriptSegmenter}[request.param]

    def make(n_channels: int = 1, **options: Any) -> NetworkSegmenter:
        file = tmp_path / f"network.{request.param}"
        save(file, n_channels, last=options.get("channels_last", False))
        return kind(str(file), percentiles=None, in_worker=False, **options)

    return make


def save_onnx(file: Path, n_channels: int, *, last: bool = False) -> None:
    """Write a network that gives (pixel - OFFSET) / SCALE."""
    onnx: Any = import_module("onnx")
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    shape = [1, "y", "x", n_channels] if last else [1, n_channels, "y", "x"]
    given = helper.make_tensor_value_info("x", number, shape)
    gives = helper.make_tensor_value_info("z", number, shape)
    numbers = {"offset": OFFSET, "scale": SCALE}
    constants = [
        helper.make_tensor(name, number, [], [float(value)])
        for name, value in numbers.items()
    ]
    nodes = [
        helper.make_node("Sub", ["x", "offset"], ["y0"]),
        helper.make_node("Div", ["y0", "scale"], ["z"]),
    ]
    graph = helper.make_graph(nodes, "numbers", [given], [gives], constants)
    opset = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, ir_version=IR_VERSION, opset_imports=opset)
    onnx.save(model, str(file))


def save_torch(file: Path, n_channels: int, *, last: bool = False) -> None:
    """Write a network that gives (pixel - OFFSET) / SCALE, whatever the channels."""
    torch: Any = import_module("torch")
    shape = (1, 8, 8, n_channels) if last else (1, n_channels, 8, 8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(lambda x: (x - OFFSET) / SCALE, torch.zeros(shape)).save(
            str(file)
        )
