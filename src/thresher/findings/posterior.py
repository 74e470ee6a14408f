"""The class probabilities that feature-dependent noise goes by: of networks that learned from correct labels."""

import os
import warnings

import numpy as np
import torch

from thresher import nets
from thresher.data import Data
from thresher.data.resident import Resident, Shows
from thresher.data.streamed import Streamed
from thresher.engine.combine import Combination
from thresher.engine.options import Options
from thresher.engine.runtime import Runtime, parse_device
from thresher.engine.study import Material, Study
from thresher.errors import UsageError
from thresher.findings import cross_fitted

FOLDS = 3
EPOCHS = 10
_BATCH = 128
_STEPS = 200  # a fold of few rows trains for more epochs, up to about so many steps


def out_of_sample(data: Data, seed: int, device: str = "auto") -> np.ndarray:
    """Train on the true labels, and return what networks say of rows that they never saw.

    Three folds, plain cross-entropy with the default network and settings, at most 10 epochs or, where rows are few,
    as many as make 200 steps; each fold ends early by a split of its own. The same data, seed, device and number of
    threads give the same numbers. Zhang et al. (ICLR 2021) take the network's training outputs instead, which are
    certain of nearly all rows once they are learned.

    Args:
        data: its true labels are used where they are known, and else the given ones.
        seed: of the folds, the first weights and the training.
        device: auto, cpu, cuda, or a CUDA number.

    Returns:
        float32 ``[N, K]``.

    Raises:
        UsageError: several processes, which would each train and draw for themselves; too few rows.

    Warns:
        UserWarning: says that it trains.

    Example:
        >>> from thresher.data import load
        >>> x = np.repeat([[-1.0], [1.0]], 30, axis=0)
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore")
        ...     p = out_of_sample(load((x, np.repeat([0, 1], 30))), seed=0, device="cpu")
        >>> p.shape, (p.argmax(1) == np.repeat([0, 1], 30)).all().item()
        ((60, 2), True)
    """
    _check_alone(device)
    rows = len(data.train)
    if rows < 2 * FOLDS:
        raise UsageError(f"feature noise trains {FOLDS} networks first, and there are only {rows} rows: add some")
    labels = data.train.labels if data.train.clean is None else data.train.clean
    runtime = Runtime.start(device)
    batch = min(_BATCH, rows // 2)
    epochs = max(EPOCHS, -(-_STEPS * batch // rows))
    options = Options(
        net=nets.auto(tuple(data.train.inputs.shape[1:]), runtime.device.type),
        epochs=epochs, batch=batch, seed=seed, monitor=False, augment=False,
    )  # fmt: skip
    warnings.warn(
        f"feature noise goes by class probabilities: {FOLDS} networks ({options.net}) are trained on the true labels "
        f"first, for up to {epochs} epochs each",
        stacklevel=2,
    )
    source = _source(data, runtime.device)
    material = Material(
        source=source,
        rows=torch.arange(rows),
        labels=labels,
        classes=len(data.classes),
        factory=lambda outputs: nets.build(options.net, source.shape, outputs),
    )
    study = Study(Combination(()), options, material, runtime)
    return cross_fitted(study, np.arange(rows), data, FOLDS, epochs=epochs)


def _check_alone(device: str) -> None:
    """Refuse several processes: chance differences between their networks would give each of them other labels."""
    _, devices = parse_device(device)
    count = devices if isinstance(devices, int) else len(devices)
    if count > 1 or "TORCHELASTIC_RUN_ID" in os.environ:
        raise UsageError(
            "feature noise trains networks first, and several processes would each get other labels from theirs: use "
            "one device"
        )


def _source(data: Data, device: torch.device) -> Shows:
    inputs = data.train.inputs
    if isinstance(inputs, torch.Tensor):
        return Resident(inputs, device=device, channels_last=device.type == "cuda")
    return Streamed(inputs, device=device, channels_last=device.type == "cuda")
