"""The built-in encoder compiled by OpenVINO, where that is installed."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import logging
import os
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_LOG = logging.getLogger(__name__)


class CompiledLevels:
    """A frozen pyramid that gives all of its levels.

    Parameters
    ----------
    model : torch.nn.Module
        A timm pyramid on the CPU, in evaluation mode.
    depth : int
        Number of its levels.
    key : str
        Names architecture and weights.
    folder : pathlib.Path
        Where the converted network is kept: converting it takes seconds.
    """

    def __init__(
        self, model: torch.nn.Module, depth: int, key: str, folder: Path
    ) -> None:
        import torch

        openvino = _import_openvino()
        name = hashlib.sha256(f"{openvino.__version__} {key}".encode()).hexdigest()
        path = folder / f"{name}.xml"
        core = openvino.Core()
        try:
            graph = core.read_model(path)
        except RuntimeError:  # there is none, or it is damaged
            graph = _converted(model, depth)
            _keep(graph, path)
        # By itself it would take all cores, whatever torch was told to use, and
        # compute in half precision where the processor can.
        options = {
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "INFERENCE_PRECISION_HINT": "f32",
        }
        self._request = core.compile_model(graph, "CPU", options).create_infer_request()
        self._lock = threading.Lock()

    def __call__(self, x: torch.Tensor, wanted: Sequence[int]) -> list[torch.Tensor]:
        """Encode planes that are normalised and padded.

        Parameters
        ----------
        x : torch.Tensor, shape (B, 3, H, W), float32
            Sides are multiples of the coarsest cell.
        wanted : sequence of int
            Levels.

        Returns
        -------
        list of torch.Tensor, each (B, D, h, w), float32
        """
        import torch

        # A request takes one batch at a time.
        with self._lock:
            found = list(self._request.infer([x.numpy()]).values())
        return [torch.from_numpy(found[level]) for level in wanted]


def installed() -> bool:
    """Whether OpenVINO can be imported."""
    return importlib.util.find_spec("openvino") is not None


def compile_levels(
    model: torch.nn.Module, depth: int, key: str
) -> CompiledLevels | None:
    """Compile a pyramid; None where OpenVINO is missing or cannot.

    Parameters
    ----------
    model, depth, key
        See :class:`CompiledLevels`.
    """
    if not installed():
        return None
    from platformdirs import user_cache_path

    try:
        folder = user_cache_path("napari-segdino") / "openvino"
        return CompiledLevels(model, depth, key, folder)
    except Exception:  # noqa: BLE001 - whatever it cannot do, PyTorch does
        _LOG.warning("OpenVINO cannot compile %s: PyTorch runs it", key, exc_info=True)
        return None


def _import_openvino() -> Any:
    """Import it without the package that tells its makers of each import."""
    if "openvino" not in sys.modules:
        # None makes an import fail; OpenVINO then goes without.
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    return importlib.import_module("openvino")


def _converted(model: torch.nn.Module, depth: int) -> Any:
    import torch
    from openvino import PartialShape
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    class Levels(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
            levels = model.forward_intermediates(  # type: ignore[operator]
                x,
                indices=list(range(depth)),
                intermediates_only=True,
                output_fmt="NCHW",
            )
            return tuple(levels)

    module = Levels().eval()
    module.network = model
    reader = FrontEndManager().load_by_framework("pytorch")
    with torch.no_grad():
        traced = TorchScriptPythonDecoder(
            module, example_input=torch.rand(1, 3, 64, 64)
        )
        graph = reader.convert(reader.load(traced))
    # Every even size is padded the same, so one graph serves all batches and sizes.
    graph.reshape(PartialShape([-1, 3, -1, -1]))
    return graph


def _keep(graph: Any, path: Path) -> None:
    import openvino

    # A read-only or full disk only means that it is converted again.
    with suppress(OSError, RuntimeError):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Two files: the weights are in place before the graph that names them.
        partial = path.with_name(f"{os.getpid()}-{path.name}")
        openvino.save_model(graph, partial, compress_to_fp16=False)
        os.replace(partial.with_suffix(".bin"), path.with_suffix(".bin"))
        os.replace(partial, path)
