"""Simplex: how predictions for three classes move through the triangle of probabilities.

Question: where in the triangle of probabilities do rightly and wrongly labelled samples lie over the epochs, under
cross-entropy and under early-learning regularisation, and where does the target of the latter pull them?

Source: Liu et al., "Early-Learning Regularization Prevents Memorization of Noisy Labels", NeurIPS 2020, the moving
pictures of the repository: three classes of CIFAR-10, one picture per epoch, 120 epochs, corners "true label", "wrong
label" and "other". Their code is not published; network and optimiser are those of the study `memorisation`, the noise
is symmetric with exact counts, at 40 %, among the three classes.

The quick form takes the first three digits and a small network.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure as Drawing
from torch import Tensor, nn

from thresher.data import Data
from thresher.engine.evaluate import Judge, predict_rows
from thresher.engine.run import Run
from thresher.parts.targets import normalise
from thresher.report.palette import light, style
from thresher.studies import _elr as common
from thresher.studies.lab import Lab, Trained, Training
from thresher.studies.page import Claim, Figure, Outcome

_CELLS = 12
_FOLLOWED = 24
_WINDOW = 9
_KINDS = ("clean", "wrong")
_WORDS = {"clean": "rightly labelled", "wrong": "wrongly labelled"}
_NAMES = {"clean": ("true class", "next class", "the one after"), "wrong": ("true class", "given label", "third class")}
_CORNERS = np.array([[1.0, 0.0], [0.5, 3**0.5 / 2], [0.0, 0.0]])

Runs = dict[str, Trained]


def study(lab: Lab) -> Outcome:
    """Train both methods on three classes, and follow single samples and the density of all."""
    data = first_classes(lab.data(quick="digits", full="cifar10"), 3)
    settings = common.settings(lab, batch=32)
    found = common.methods()
    trained = lab.train_all(
        [Training(name.lower(), found[name], data, "symmetric:0.4", (Triangle(),), settings) for name in common.METHODS]
    )
    runs = {name: trained[name.lower()] for name in common.METHODS}
    shown = moments(settings["epochs"])
    return Outcome(
        title="Simplex",
        question="Where in the triangle of probabilities do rightly and wrongly labelled samples lie over the epochs, "
        "and where does the target of ELR pull them?",
        settings={
            **common.described(data, settings, noise="symmetric, exact counts, true class left out: 40 %"),
            "classes": ", ".join(data.classes),
            "corners": "for wrongly labelled samples the true class, the given label and the third class; for rightly "
            "labelled ones their class and the two classes after it",
        },
        figures=_figures(runs, shown),
        tables={"paths": _path_table(runs), "shares": _shares(runs), "densities": _densities(runs, shown)},
        claims=_claims(runs),
    )


def first_classes(data: Data, count: int) -> Data:
    """The rows of the first `count` classes.

    Example:
        >>> from thresher.data import load
        >>> three = first_classes(load("digits"), 3)
        >>> len(three.train), three.classes
        (429, ('0', '1', '2'))
    """
    train = data.train.take(np.flatnonzero(data.train.labels.numpy() < count))
    test = None if data.test is None else data.test.take(np.flatnonzero(data.test.labels.numpy() < count))
    return dataclasses.replace(
        data, name=f"{data.name}-first-{count}", train=train, test=test, classes=data.classes[:count], confusions={},
        superclasses=None, reader=None,
    )  # fmt: skip


def moments(epochs: int) -> list[int]:
    """Which epochs the pictures show: 0 (before training), the beginning in detail, and the end.

    Example:
        >>> moments(120), moments(2)
        ([0, 1, 5, 20, 40, 120], [0, 1, 2])
    """
    return sorted({0, *(epoch for epoch in (1, 5, 20, 40) if epoch <= epochs), epochs})


# ---- measurement


@dataclass(frozen=True)
class Triangle:
    """Where samples lie in the triangle, as shares of the corners true (or own), given (or next) and third class.

    Attributes:
        cells: per side, of the density.
        followed: rows of each kind whose paths are kept.
    """

    cells: int = _CELLS
    followed: int = _FOLLOWED

    def __call__(self, run: Run, judge: Judge) -> dict[str, list[Any]]:
        """Counts per cell and paths, of rightly (``clean``) and wrongly labelled rows (``wrong``).

        ``KIND_cells`` ``[2 * cells^2]``, ``KIND_path`` ``[followed][3]``, with ELR ``KIND_target`` ``[followed][3]``;
        in the first epoch also ``KIND_cells_before`` and ``KIND_path_before``, of the network before training.
        """
        given = run.given.cpu()
        own = given if judge.clean is None else judge.clean
        corners = torch.stack([own, torch.where(given == own, (own + 1) % 3, given)], 1)
        corners = torch.cat([corners, 3 - corners.sum(1, keepdim=True)], 1)
        rows = {"clean": given == own, "wrong": given != own}
        found = self._found(predict_rows(run, run.source, run.rows).cpu().gather(1, corners), rows)
        if (table := run.tables.get("elr_target.0")) is not None:
            target = normalise(table.full()).cpu().gather(1, corners)
            found |= {f"{kind}_target": _rounded(target[mine][: self.followed]) for kind, mine in rows.items()}
        if run.epoch == 1:
            p = _predictions(run, run.make_net(0)).gather(1, corners)
            found |= {f"{name}_before": values for name, values in self._found(p, rows).items()}
        return found

    def _found(self, p: Tensor, rows: dict[str, Tensor]) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        for kind, mine in rows.items():
            found[f"{kind}_cells"] = counts(p[mine].numpy(), self.cells).tolist()
            found[f"{kind}_path"] = _rounded(p[mine][: self.followed])
        return found


def _rounded(values: Tensor) -> list[Any]:
    return list(np.round(values.double().numpy(), 4).tolist())


def _predictions(run: Run, net: nn.Module) -> Tensor:
    """What a network that is not the run's says of its rows, ``[N, 3]``."""
    feed = run.source.open(run.rows.split(512), ("plain",), 0)
    return torch.cat([torch.softmax(run.predict(net, *shown.values()).logits, 1) for shown in feed]).cpu()


def counts(p: np.ndarray, cells: int) -> np.ndarray:
    """How many points lie in each small triangle; the large one is cut into ``cells^2`` of them.

    Args:
        p: shares of the three corners, float ``[N, 3]``.
        cells: per side.

    Returns:
        int64 ``[2 * cells^2]``: the triangle that points up (even) and the one that points down (odd) of every rhombus
        ``i, j`` at ``2 * (i * cells + j)``, where i and j count along the first two shares.

    Example:
        >>> np.flatnonzero(counts(np.array([[1.0, 0.0, 0.0], [0.3, 0.3, 0.4]]), 2)).tolist()
        [1, 4]
    """
    i, j, k = np.minimum((p * cells).astype(np.int64), cells - 1).T
    down = i + j + k < cells - 1
    return np.bincount(2 * (i * cells + j) + down, minlength=2 * cells**2)


# ---- figures


def _figures(runs: Runs, shown: list[int]) -> list[Figure]:
    return [
        Figure(
            "paths",
            _path_drawing(runs),
            "The path of one rightly and one wrongly labelled sample, from before training (ring) to the last epoch "
            "(dot): the prediction, and the target of ELR; thin every epoch, bold the mean of nine. Of the first "
            "samples of each kind it is the one nearest to their mean path under cross-entropy.",
        ),
        *(
            Figure(
                f"density-{kind}",
                _density_drawing(runs, kind, shown),
                f"Where the predictions for all {_WORDS[kind]} samples lie, before training (epoch 0) and after some "
                "epochs; the darker, the more, on the scale of a square root.",
            )
            for kind in _KINDS
        ),
    ]


def paths(run: Trained, kind: str, what: str = "path") -> np.ndarray | None:
    """Paths of the followed samples, float ``[epochs, followed, 3]``; None where there is no target.

    Predictions start with epoch 0, targets with epoch 1.
    """
    column = f"{kind}_{what}"
    if column not in run.history:
        return None
    first = [run.history[f"{column}_before"].iloc[0]] if what == "path" else []
    return np.array([*first, *run.history[column]], dtype=float)


def typical(values: np.ndarray) -> int:
    """Which sample is nearest to the mean path, for paths ``[epochs, samples, 3]``.

    Example:
        >>> typical(np.array([[[0.0, 0, 1], [0.4, 0, 0.6], [0.9, 0, 0.1]]]))
        1
    """
    return int(np.abs(values - values.mean(1, keepdims=True)).sum(2).mean(0).argmin())


def _path_drawing(runs: Runs) -> Drawing:
    with style("paths"):
        figure = Drawing(figsize=(8.6, 7.6), layout="constrained")
        grid = figure.subplots(len(runs), 2)
        plain = {kind: paths(runs["CE"], kind) for kind in _KINDS}
        for row, (name, run) in zip(grid, runs.items(), strict=True):
            for axes, kind in zip(row, _KINDS, strict=True):
                reference = plain[kind]
                chosen = 0 if reference is None else typical(reference)
                _frame(axes, f"{name}: {_WORDS[kind]}")
                _corner_names(axes, _NAMES[kind], size=9)
                _path(axes, paths(run, kind), chosen, "blue", "prediction")
                _path(axes, paths(run, kind, "target"), chosen, "vermilion", "target of ELR")
        handles, names = grid[-1, 0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper left", ncols=2, frameon=False, fontsize=9.5)
        return figure


def _path(axes: Axes, values: np.ndarray | None, chosen: int, role: str, name: str) -> None:
    if values is None:
        return
    x, y = (values[:, chosen] @ _CORNERS).T
    axes.plot(x, y, color=light(role), linewidth=0.7, alpha=0.3)
    axes.plot(*(smoothed(values[:, chosen]) @ _CORNERS).T, color=light(role), linewidth=1.8, label=name)
    axes.plot(x[0], y[0], "o", color=light(role), markersize=7, markerfacecolor="none")
    axes.plot(x[-1], y[-1], "o", color=light(role), markersize=7)


def smoothed(path: np.ndarray, window: int = _WINDOW) -> np.ndarray:
    """Means over the epochs before and after each, float ``[epochs, 3]``; the first and the last point stay.

    Example:
        >>> smoothed(np.array([[0.0], [3.0], [0.0], [3.0]]), window=3).ravel().tolist()
        [0.0, 1.0, 2.0, 3.0]
    """
    half = window // 2
    reach = [min(half, i, len(path) - 1 - i) for i in range(len(path))]
    return np.array([path[i - r : i + r + 1].mean(0) for i, r in enumerate(reach)])


def _frame(axes: Axes, title: str) -> None:
    """The triangle."""
    axes.plot(*_CORNERS[[0, 1, 2, 0]].T, color=light("muted"), linewidth=0.9)
    axes.set(title=title, aspect="equal", xlim=(-0.05, 1.05), ylim=(-0.13, 0.96), xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def _density_drawing(runs: Runs, kind: str, shown: list[int]) -> Drawing:
    with style(f"density-{kind}"):
        figure = Drawing(figsize=(1.95 * len(shown), 4.1), layout="constrained")
        grid = figure.subplots(len(runs), len(shown), squeeze=False)
        for row, (name, run) in zip(grid, runs.items(), strict=True):
            for axes, epoch in zip(row, shown, strict=True):
                _frame(axes, f"{name}, epoch {epoch}")
                _fill(axes, _density(run, kind, epoch))
        for axes in grid[:, 0]:
            _corner_names(axes, [name.removesuffix(" class").removesuffix(" label") for name in _NAMES[kind]], size=8)
        return figure


def _corner_names(axes: Axes, names: Sequence[str], size: float) -> None:
    for (x, y), text, align in zip(_CORNERS, names, ("right", "center", "left"), strict=True):
        place, side = ((0, -5), "top") if y == 0 else ((0, 4), "bottom")
        axes.annotate(
            text, (x, y), place, textcoords="offset points", ha=align, va=side, fontsize=size, color=light("muted")
        )


def _density(run: Trained, kind: str, epoch: int) -> np.ndarray:
    """Counts per cell after an epoch, or before training."""
    column = run.history[f"{kind}_cells" if epoch else f"{kind}_cells_before"]
    return np.array(column.iloc[max(0, epoch - 1)], dtype=float)


def triangles(cells: int) -> np.ndarray:
    """Corner shares of every small triangle in the order of `counts`, float ``[2 * cells^2, 3, 3]``."""
    rhombus = np.stack(np.meshgrid(np.arange(cells), np.arange(cells), indexing="ij"), -1).reshape(-1, 1, 2)
    up = rhombus + np.array([[0, 0], [1, 0], [0, 1]])
    down = rhombus + np.array([[1, 1], [1, 0], [0, 1]])
    first = np.stack([up, down], 1).reshape(-1, 3, 2) / cells
    return np.concatenate([first, 1 - first.sum(2, keepdims=True)], 2)


def _fill(axes: Axes, density: np.ndarray) -> None:
    """The cells as one colour, the more the less transparent, so that it reads on light and on dark pages."""
    places = triangles(int(np.sqrt(len(density) / 2))) @ _CORNERS
    filled = np.flatnonzero(density)
    shares = np.sqrt(density[filled] / density.sum())
    colors = [to_rgba(light("blue"), min(1.0, 0.12 + 0.88 * float(share))) for share in shares]
    axes.add_collection(PolyCollection(list(places[filled]), facecolors=colors, linewidths=0))


# ---- numbers


def _path_table(runs: Runs) -> pd.DataFrame:
    """The paths that are drawn: one row per method, kind, curve and epoch."""
    parts = []
    for kind in _KINDS:
        reference = paths(runs["CE"], kind)
        chosen = 0 if reference is None else typical(reference)
        for name, run in runs.items():
            for what in ("path", "target"):
                values = paths(run, kind, what)
                if values is not None:
                    part = pd.DataFrame(values[:, chosen], columns=["true", "given_or_next", "third"])
                    part.insert(0, "epoch", np.arange(len(part)) + (what == "target"))
                    part.insert(0, "curve", "prediction" if what == "path" else "target")
                    part.insert(0, "kind", _WORDS[kind])
                    part.insert(0, "method", name)
                    parts.append(part)
    return pd.concat(parts, ignore_index=True)


def nearest_corner(density: np.ndarray) -> np.ndarray:
    """Shares of the points whose cell lies nearest to each corner, float ``[3]``; cells between two count for both.

    Example:
        >>> nearest_corner(counts(np.array([[0.9, 0.05, 0.05], [0.8, 0.1, 0.1], [0.1, 0.1, 0.8]]), 12)).round(2)
        array([0.67, 0.  , 0.33])
    """
    middle = triangles(int(np.sqrt(len(density) / 2))).mean(1)
    leads = np.isclose(middle, middle.max(1, keepdims=True))
    shares: np.ndarray = (density[:, None] * leads / leads.sum(1, keepdims=True)).sum(0) / max(density.sum(), 1)
    return shares


def undecided(density: np.ndarray) -> float:
    """Share of the points in the middle, where no corner has more than half.

    Example:
        >>> undecided(counts(np.array([[0.34, 0.34, 0.32], [0.9, 0.05, 0.05]]), 12))
        0.5
    """
    middle = triangles(int(np.sqrt(len(density) / 2))).mean(1)
    return float(density[middle.max(1) < 0.5].sum() / max(density.sum(), 1))


def _shares(runs: Runs) -> pd.DataFrame:
    """Where the samples of each kind lie, per method and epoch."""
    rows = []
    for name, run in runs.items():
        for kind in _KINDS:
            for epoch in range(len(run.history) + 1):
                density = _density(run, kind, epoch)
                own, given, third = nearest_corner(density)
                rows.append(
                    {
                        "method": name,
                        "kind": _WORDS[kind],
                        "epoch": epoch,
                        "nearest_true": own,
                        "nearest_given_or_next": given,
                        "nearest_third": third,
                        "undecided": undecided(density),
                    }
                )
    return pd.DataFrame(rows)


def _densities(runs: Runs, shown: list[int]) -> pd.DataFrame:
    """Samples per small triangle at the epochs that are drawn, in the order of `counts`; empty ones are left out."""
    parts = []
    for name, run in runs.items():
        for kind in _KINDS:
            for epoch in shown:
                density = _density(run, kind, epoch)
                cells = np.flatnonzero(density)
                counts = density[cells].astype(np.int64)
                parts.append(
                    pd.DataFrame({"cell": cells, "samples": counts}).assign(method=name, kind=kind, epoch=epoch)
                )
    return pd.concat(parts, ignore_index=True)[["method", "kind", "epoch", "cell", "samples"]]


# ---- claims


def _claims(runs: Runs) -> list[Claim]:
    plain, kept = runs["CE"], runs["ELR"]
    shares = np.array([nearest_corner(_density(plain, "wrong", epoch)) for epoch in range(len(plain.history) + 1)])
    peak = int(shares[1:, 0].argmax()) + 1
    start, (own, given, _) = undecided(_density(plain, "wrong", 0)), shares[-1]
    right = float(nearest_corner(_density(kept, "wrong", len(kept.history)))[0])
    late = bool(shares[peak, 0] > 0.5 and given > 0.5)
    return [
        Claim(
            "Before training the predictions lie in the centre.",
            "by eye, in moving pictures",
            f"{start:.0%} of the wrongly labelled samples lie where no class has more than half",
            start > 0.5,
            "They do." if start > 0.5 else "They do not: random weights prefer a class already.",
        ),
        Claim(
            "With CE, wrongly labelled samples go to the true class first.",
            "by eye, in moving pictures",
            f"{shares[peak, 0]:.0%} of them lie nearest to it after epoch {peak}",
            bool(shares[peak, 0] > 0.5),
            "They do." if shares[peak, 0] > 0.5 else "They do not.",
        ),
        Claim(
            "With CE, they then jump to the wrong label.",
            "by eye, in moving pictures",
            f"{given:.0%} nearest to the given label at the end, {own:.0%} to the true class",
            late,
            "They do." if late else "They do not within these epochs.",
        ),
        Claim(
            "With ELR, they stay with the true class.",
            "about 0.03 memorised in the study `memorisation`",
            f"{right:.0%} nearest to the true class at the end",
            right > 0.75,
            "Most do, for the target holds them there." if right > 0.75 else "Too few do.",
        ),
    ]
