"""A run's networks as one torch module: what predicts, and what is exported."""

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from thresher import methods as zoo
from thresher import nets
from thresher.disk import plain_disk_errors, write_atomically
from thresher.engine import checkpoint, state
from thresher.engine.combine import Combination
from thresher.engine.options import resolve
from thresher.engine.run import Run
from thresher.errors import ThresherError, UsageError
from thresher.frozen import HEAD, Frozen

BODY = "body.safetensors"
"""The file of a run folder that holds a frozen network."""

FORMATS = ("torch", "onnx")
"""What a model can be exported as."""


class Model(nn.Module):
    """A run's predictors behind one call: raw inputs in, class probabilities out.

    Args:
        run: with the weights to predict with.
        moments: mean and standard deviation that the inputs are normalised by.
        is_image: whether the inputs are images, 0..255, ``[B, C, H, W]``, or features ``[B, D]``.
        front: a frozen network between the inputs and the predictors, or None.
    """

    def __init__(
        self, run: Run, moments: tuple[Tensor, Tensor], is_image: bool, front: nn.Module | None = None
    ) -> None:
        super().__init__()
        shape = (-1, 1, 1) if is_image else (-1,)
        self.mean = nn.Buffer(moments[0].float().view(shape))
        self.std = nn.Buffer(moments[1].float().view(shape))
        self.front = nn.Identity() if front is None else front
        self.nets = nn.ModuleList([run.network(net) for net in run.method.predictors(run)])
        self.classes = run.classes

    def forward(self, x: Tensor) -> Tensor:
        """Class probabilities, float32 ``[B, classes]``."""
        x = self.front((x.float() - self.mean) / self.std)
        return torch.stack([torch.softmax(net(x)[1][:, : self.classes], 1) for net in self.nets]).mean(0)


class _Nothing:
    """The source of a run that is loaded to predict: it has no training rows."""

    def open(self, batches: Sequence[Tensor], views: Sequence[str], seed: int) -> Any:
        """No batches."""
        return iter(())


def load_model(folder: Path, described: Mapping[str, Any]) -> Model:
    """The networks of the selected epoch, in evaluation mode, on the CPU.

    Args:
        folder: of the run.
        described: its `run.json`.

    Raises:
        ThresherError: the run has no checkpoint, or a damaged one.
    """
    chosen = checkpoint.Checkpoints(folder).selected()
    stored = checkpoint.read_json(chosen)["extra"]
    facts, options = described["data"], resolve(described["options"])
    shape = tuple(facts["shape"])
    front = _front(folder, options.net, shape) if options.frozen else None
    name, seen = (options.net, shape) if front is None else (HEAD, tuple(front.mean.shape))
    run = Run(
        Combination([zoo.method(one["name"], **one["fields"]) for one in stored["methods"]]),
        options,
        source=_Nothing(),
        rows=torch.zeros(0, dtype=torch.int64),
        labels=torch.zeros(0, dtype=torch.int64),
        classes=len(facts["classes"]),
        factory=lambda outputs: nets.build(name, seen, outputs, options.dropout),
    )
    state.load_weights(run, checkpoint.read_weights(chosen))
    mean, std = (torch.tensor(described["moments"][name], dtype=torch.float64) for name in ("mean", "std"))
    return Model(run, (mean, std), len(shape) == 3, front).eval()


def _front(folder: Path, net: str, shape: tuple[int, ...]) -> Frozen:
    try:
        return Frozen.load((folder / BODY).read_bytes(), net, shape)
    except Exception as error:  # safetensors raises its own kinds
        raise ThresherError(f"{folder / BODY} is gone or damaged ({error}): train again to use this run") from error


def export(model: Model, described: Mapping[str, Any], path: Path, kind: str) -> Path:
    """Write a model to a file that runs without Thresher.

    Its input is named ``x``: images as uint8 ``[B, C, H, W]`` of the size that was trained on, or features as float32
    ``[B, D]``; its output holds class probabilities, float32 ``[B, K]``. The class names lie beside it, as JSON.

    Args:
        model: of a run.
        described: its `run.json`.
        path: of the new file.
        kind: ``torch`` (read with ``torch.export.load(path).module()``) or ``onnx`` (needs the extra ``onnx``).

    Returns:
        `path`.

    Raises:
        UsageError: an unknown kind, a file that exists, a folder that does not, or a missing extra.
    """
    if kind not in FORMATS:
        raise UsageError(f"there is no export format {kind!r}: choose one of {', '.join(FORMATS)}")
    beside = path.with_name(path.name + ".json")
    for file in (path, beside):
        if file.exists():
            raise UsageError(f"{file} exists: name another file, for nothing is overwritten")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"there is no folder {path.parent} to write {path.name} into: make it, or name another")
    shape = tuple(described["data"]["shape"])
    example = torch.zeros(2, *shape, dtype=torch.uint8 if len(shape) == 3 else torch.float32)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with plain_disk_errors(path):
            (_to_torch if kind == "torch" else _to_onnx)(model, example, temporary)
            facts = {"classes": described["data"]["classes"], "input": [None, *shape], "dtype": str(example.dtype)[6:]}
            write_atomically(beside, json.dumps(facts, indent=1, ensure_ascii=False).encode())
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _to_torch(model: Model, example: Tensor, path: Path) -> None:
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(model, (example,), dynamic_shapes={"x": {0: batch}})
    with path.open("wb") as file:  # by name, torch would insist on the ending .pt2
        torch.export.save(program, file)


def _to_onnx(model: Model, example: Tensor, path: Path) -> None:
    try:
        import onnxscript  # noqa: F401 -- torch's exporter needs it, and says so less clearly
    except ImportError as error:
        raise UsageError("export to onnx needs the extra of that name: pip install 'thresher[onnx]'") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the inner workings of the exporter
        batch = torch.export.Dim("batch", min=1)
        program = torch.onnx.export(
            model, (example,), dynamo=True, dynamic_shapes={"x": {0: batch}}, input_names=["x"],
            output_names=["probabilities"], verbose=False,
        )  # fmt: skip
    if program is None:
        raise ThresherError("torch's ONNX exporter gave nothing: export with --format torch")
    program.save(str(path), external_data=False)
