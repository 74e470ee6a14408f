"""Lottery ticket: how few weights have to learn, and how small the network is that remains.

Question: how high can tau go on clean labels, and what is left when the weights that merely decayed are removed?

Source: the experiments around Xia et al., "Robust early-learning: Hindering the memorization of noisy labels", ICLR
2021: CDR with one threshold per tensor on clean MNIST, LeNet, 100 epochs, batch 128, SGD at 0.01, momentum 0.9, L2 of
0.001 (L1 regularises so strongly that none of this can be seen), no augmentation; tau from 0 to 0.9999. tau is here
the share of weights that may not learn, and has nothing to do with a noise rate.

Beyond the source: weights of absolute value up to 0.001 are removed for real, and the sparse network is written to a
file, read back and measured.

The quick form trains on digits with a decay that lets unused weights vanish within its few epochs.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import safetensors.torch
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure as Drawing
from torch import Tensor

from thresher.engine.evaluate import accuracy
from thresher.report.palette import light, style
from thresher.studies import _mnist as common
from thresher.studies._figures import Panel, lines, log_axis
from thresher.studies._probes import ALIVE, effective, effective_share
from thresher.studies.lab import Lab, Trained, Training
from thresher.studies.page import Claim, Figure, Outcome

_TAUS = ((0.0, 0.5, 0.8, 0.9, 0.95, 0.99), (0.0, 0.5, 0.8, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9999))
_PICTURED = (0.9, 0.999)
"""Of the quick form and of the full one."""
_CLAIMED = {0.995: ("95 % or more", 0.95, 1.0), 0.999: ("70 % or more", 0.70, 1.0), 0.9999: ("about 40 %", 0.25, 0.55)}
_QUICK = {"lr": 0.05, "weight_decay": 0.004}
"""Of the quick form, in batches of 16: with a twentieth of MNIST's steps a weight must still shrink below 0.001."""


def study(lab: Lab) -> Outcome:
    """Train clean labels at rising tau, remove what did not learn, and look at what is left."""
    data = common.data(lab)
    settings = common.settings(lab, valid=0.0, quick_epochs=25)
    if not lab.full:
        settings |= {"batch": 16, "optimizer": {**settings["optimizer"], **_QUICK}}
    taus, pictured = lab.choose(*_TAUS), lab.choose(*_PICTURED)
    trained = lab.train_all(
        [Training(_name(tau), common.cdr(tau), data, probes=(effective,), settings=settings) for tau in taus]
    )
    runs = {tau: trained[_name(tau)] for tau in taus}
    table = pd.DataFrame(_measured(lab, tau, run) for tau, run in runs.items())
    return Outcome(
        title="The lottery ticket",
        question="How few weights have to learn on clean labels, and how small is the network that remains?",
        settings=common.described(lab, data, settings, noise="none", method="CDR, one threshold per tensor"),
        figures=_figures(runs, table, pictured),
        tables={"tickets": table, "epochs": common.histories(trained), "weights": _weights(runs, pictured)},
        claims=[*_accuracy_claims(runs), *_size_claims(table, pictured)],
    )


def _name(tau: float) -> str:
    return f"tau-{tau:g}"


def _measured(lab: Lab, tau: float, run: Trained) -> dict[str, float | int]:
    """Accuracy, non-zero weights and file size, before and after the small weights are removed."""
    weights = {name: value.detach().cpu() for name, value in run.net.state_dict().items()}
    folder = lab.folder / "models"
    folder.mkdir(exist_ok=True)
    dense, small = folder / f"{_name(tau)}.safetensors", folder / f"{_name(tau)}-sparse.safetensors"
    safetensors.torch.save_file(weights, dense)
    save_sparse(weights, small)
    share = effective_share(run.net)
    run.net.load_state_dict(load_sparse(small))
    pruned = accuracy(run.run, run.test)
    run.net.load_state_dict(weights)
    return {
        "tau": tau,
        "last": run.last,
        "best": run.best,
        "removed": pruned,
        "weights": sum(value.numel() for value in weights.values()),
        "nonzero": sum(int((value.abs() > ALIVE).sum()) for value in weights.values()),
        "effective": share,
        "bytes": dense.stat().st_size,
        "sparse_bytes": small.stat().st_size,
    }


def save_sparse(weights: Mapping[str, Tensor], path: Path) -> None:
    """Write the entries above `ALIVE` as places (int32) and values (float32), and the shapes; the others are gone."""
    parts: dict[str, Tensor] = {}
    for name, value in weights.items():
        places = (value.abs() > ALIVE).flatten().nonzero().flatten()
        parts[f"{name} places"] = places.to(torch.int32)
        parts[f"{name} values"] = value.flatten()[places].contiguous()
        parts[f"{name} shape"] = torch.tensor(value.shape, dtype=torch.int32)
    safetensors.torch.save_file(parts, path)


def load_sparse(path: Path) -> dict[str, Tensor]:
    """Weights as `save_sparse` wrote them, with zeros for what it left out.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "sparse.safetensors"
        ...     save_sparse({"w": torch.tensor([[0.5, 0.0004], [-0.0002, -2.0]])}, file)
        ...     load_sparse(file)
        {'w': tensor([[ 0.5000,  0.0000],
                [ 0.0000, -2.0000]])}
    """
    parts = safetensors.torch.load_file(path)
    found = {}
    for name in sorted({key.rpartition(" ")[0] for key in parts}):
        value = torch.zeros(int(parts[f"{name} shape"].prod()))
        value[parts[f"{name} places"].long()] = parts[f"{name} values"]
        found[name] = value.reshape(parts[f"{name} shape"].tolist())
    return found


def _figures(runs: Mapping[float, Trained], table: pd.DataFrame, pictured: float) -> list[Figure]:
    named = {f"{tau:g}": run.history for tau, run in runs.items()}
    curves = lines(
        [
            Panel("Test accuracy", {name: history["test"] for name, history in named.items()}),
            Panel("Weights above 0.001", {name: history["effective"] for name, history in named.items()}),
        ],
        legend="tau",
    )
    return [
        Figure("epochs", curves, "Clean labels: test accuracy, and the share of weights that are above 0.001."),
        Figure(
            "weights",
            _pictures(runs, pictured),
            f"Absolute weights of the second convolution (25 x 96) and the first linear layer (120 x 400) at tau 0 "
            f"and {pictured:g}; each picture from 0 to its largest weight.",
        ),
        Figure("size", _sizes(table), "What remains when all weights up to 0.001 are removed: accuracy and file size."),
    ]


def _pictures(runs: Mapping[float, Trained], pictured: float) -> Drawing:
    """abs(conv2) and abs(fc1) as pictures; the tint is an opacity, so that it works on light and dark pages."""
    with style("weights"):
        figure = Drawing(figsize=(10.4, 6.4), layout="constrained")
        grid = figure.subplots(2, 2, width_ratios=(3, 3), height_ratios=(1, 1.15))
        for column, tau in enumerate((0.0, pictured)):
            for row, (name, values) in enumerate(_layers(runs[tau]).items()):
                axes = grid[row, column]
                axes.imshow(_tinted(values), interpolation="none", aspect="auto")
                axes.set_title(f"{name}, tau {tau:g}", pad=6)
                axes.set_xlabel(f"largest {values.max():.3g}; above 0.001: {(values > ALIVE).mean():.1%}")
                axes.set(xticks=[], yticks=[])
                axes.spines[:].set_visible(True)
                axes.grid(visible=False)
        return figure


def _layers(run: Trained) -> dict[str, np.ndarray]:
    """Absolute weights as pictures: conv2 with one kernel per column, fc1 as it is."""
    parameters = [p.detach().cpu().abs() for p in run.net.parameters() if p.dim() > 1]
    conv2, fc1 = parameters[1], parameters[2]
    return {"conv2": conv2.flatten(0, 1).flatten(1).T.numpy(), "fc1": fc1.numpy()}


def _weights(runs: Mapping[float, Trained], pictured: float) -> pd.DataFrame:
    """The weights of the pictures, a row of each per line."""
    parts = []
    for tau in (0.0, pictured):
        for name, values in _layers(runs[tau]).items():
            rows, columns = np.indices(values.shape)
            part = {"row": rows.ravel(), "column": columns.ravel(), "weight": values.ravel().round(5)}
            parts.append(pd.DataFrame(part).assign(tau=tau, layer=name))
    return pd.concat(parts, ignore_index=True)[["tau", "layer", "row", "column", "weight"]]


def _tinted(values: np.ndarray) -> np.ndarray:
    """RGBA ``[H, W, 4]`` of one colour, opaque where a weight is largest."""
    shown = np.empty((*values.shape, 4))
    shown[..., :3] = to_rgb(light("blue"))
    shown[..., 3] = values / max(float(values.max()), 1e-12)
    return shown


def _sizes(table: pd.DataFrame) -> Drawing:
    with style("size"):
        figure = Drawing(figsize=(10.4, 3.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        places = np.arange(len(table))
        for name, role, label in (("last", "blue", "all weights"), ("removed", "vermilion", "small ones removed")):
            left.plot(places, table[name], "o-", color=light(role), label=label, markersize=4)
        for name, role, label in (
            ("bytes", "blue", "all weights"),
            ("sparse_bytes", "vermilion", "small ones removed"),
        ):
            right.plot(places, table[name] / 1000, "o-", color=light(role), label=label, markersize=4)
        left.set(title="Test accuracy", ylim=(0, 1.01))
        right.set(title="File", ylabel="kB")
        log_axis(right)
        for axes in (left, right):
            axes.set_xticks(places, [f"{tau:g}" for tau in table["tau"]], rotation=45)
            axes.set_xlabel("tau")
        left.legend(frameon=False, fontsize=9.5, loc="lower left")
        return figure


def _accuracy_claims(runs: Mapping[float, Trained]) -> list[Claim]:
    claims = []
    for tau, (source, low, high) in _CLAIMED.items():
        text = f"At tau {tau:g}, test accuracy is {source}."
        if tau not in runs:
            claims.append(Claim(text, source, "not trained in this form", None, _SMALL))
            continue
        last, best = runs[tau].last, runs[tau].best
        holds = low <= last <= high
        ours = f"{last:.1%} after the last epoch, {best:.1%} at best"
        sentence = f"It is {'within' if holds else 'outside'} {low:.0%} to {high:.0%}."
        claims.append(Claim(text, source, ours, holds, sentence))
    return claims


_SMALL = (
    "Digits give a twentieth of MNIST's steps, which the factor 1 - tau shrinks: they learn nothing beyond tau 0.9."
)


def _size_claims(table: pd.DataFrame, pictured: float) -> list[Claim]:
    rows = {row["tau"]: row for row in table.to_dict("records")}
    few, every = rows[pictured], rows[0.0]
    lost = max(abs(row["last"] - row["removed"]) for row in rows.values())
    dead, bound = few["last"] < 0.2, max(0.05, 1.5 * (1 - pictured))
    return [
        Claim(
            f"At tau {pictured:g} only a few weights of conv2 and fc1 remain.",
            "a few, at tau 0.999",
            f"{int(few['nonzero']):,} of {int(few['weights']):,} are above 0.001, {int(every['nonzero']):,} at tau 0; "
            f"test accuracy {few['last']:.1%} and {every['last']:.1%}",
            None if dead else bool(few["effective"] < bound),
            "Nothing was learned at this tau, so that little is left is no surprise."
            if dead
            else f"{'Less' if few['effective'] < bound else 'More'} than {bound:.0%} of all weights are left.",
        ),
        Claim(
            "Weights up to 0.001 can be removed for real.",
            "not measured there",
            f"accuracy moves by {lost * 100:.2f} points at most; at tau {pictured:g} the file shrinks from "
            f"{int(few['bytes']):,} to {int(few['sparse_bytes']):,} bytes",
            bool(lost < 0.005),
            "The sparse file predicts as the whole one does." if lost < 0.005 else "At some tau it costs accuracy.",
        ),
    ]
