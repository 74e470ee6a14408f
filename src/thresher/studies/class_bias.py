"""Class bias: under wrong labels cross-entropy is much better on easy classes than on hard ones.

Question: how do the classes differ over the epochs under cross-entropy, label smoothing and symmetric cross-entropy,
which lose accuracy because they are never learned and which because wrong labels are learned, and how sure is the
network of the right labels of the hardest class?

Source: Wang et al., "Symmetric Cross Entropy for Robust Learning with Noisy Labels", ICCV 2019, the analysis on
CIFAR-10: an 8-layer network, SGD at 0.01, momentum 0.9, L2 of 1e-4, a tenth of the rate after epochs 40 and 80 of 120,
SCE with alpha 0.1, beta 1 and A = -6; clean labels, 40 % and 60 % symmetric noise.

The quick form trains a small network on scikit-learn's digits, half of them for testing, in a third of the epochs. No
class of digits is hard as cats are in CIFAR-10; the hardest is the one that clean training is slowest and worst on.
"""

from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import MaxNLocator, PercentFormatter

from thresher.engine.evaluate import Judge, predict_rows
from thresher.engine.run import Run
from thresher.report.palette import light, style
from thresher.studies import _classes as common
from thresher.studies._figures import Panel, lines
from thresher.studies._probes import per_class
from thresher.studies.lab import Lab, Trained, Training
from thresher.studies.page import Claim, Figure, Outcome

_NOISE = (0.0, 0.4, 0.6)
_METHODS = ("CE", "LS", "SCE")
_ROLES = {"CE": "vermilion", "LS": "green", "SCE": "blue"}
_EPOCHS = (10, 50, 100)
_WINDOW = 5
_CAT, _FROG = 3, 6

Runs = dict[tuple[str, float], Trained]


def study(lab: Lab) -> Outcome:
    """Train three losses at three rates, and follow every class."""
    data = common.data(lab)
    settings = common.settings(lab, quick_epochs=40)
    runs = _train(lab, data, settings)
    order = common.by_hardness(common.accuracies(runs["CE", 0.0]))
    marks = [max(1, round(epoch * settings["epochs"] / 120)) for epoch in _EPOCHS]
    lost = _lost(runs)
    return Outcome(
        title="Class bias",
        question="How do classes differ over the epochs under cross-entropy (CE), label smoothing (LS) and symmetric "
        "cross-entropy (SCE)? Which accuracy is lost because a class is never learned, and which because wrong labels "
        "are?",
        settings=common.described(
            data,
            settings,
            noise="0, 40 and 60 %",
            LS="0.1 spread over all classes",
            **{
                "hardest to easiest class": ", ".join(data.classes[k] for k in order)
                + " (mean test accuracy over the epochs of CE on clean labels)"
            },
        ),
        figures=_figures(runs, order, list(data.classes), marks, lost),
        tables={
            "per-class": _per_class(runs),
            "lost": lost,
            "confidence": _confidence(runs),
            "hardest": _hardest(runs, order[0]),
        },
        claims=_claims(lab, runs, order, lost, common.rows_of_class(data), marks),
    )


def confidence(run: Run, judge: Judge) -> dict[str, list[Any]]:
    """What the network says of the rightly labelled training rows of every class, each a list ``[K]`` or ``[K][K]``.

    ``mean_p``: mean probabilities; ``predicted_as``: shares of predicted classes; ``sure``: share with p_y > 0.5.
    """
    p = predict_rows(run, run.source, run.rows)
    right = torch.ones(run.size, dtype=torch.bool) if judge.clean is None else judge.clean == run.given.cpu()
    p, label = p[right.to(p.device)].cpu(), run.given.cpu()[right]
    own = torch.nn.functional.one_hot(label, run.classes).to(p.dtype)
    count = own.sum(0).clamp_min(1)
    predicted = torch.nn.functional.one_hot(p.argmax(1), run.classes).to(p.dtype)
    return {
        "mean_p": _rounded(own.T @ p / count[:, None]),
        "predicted_as": _rounded(own.T @ predicted / count[:, None]),
        "sure": _rounded(own.T @ ((p * own).sum(1) > 0.5).to(p.dtype) / count),
    }


def _rounded(values: torch.Tensor) -> list[Any]:
    """As lists, cut to what a figure shows, for they lie in every checkpoint."""
    return list(np.round(values.double().numpy(), 4).tolist())


def _train(lab: Lab, data: Any, settings: dict[str, Any]) -> Runs:
    methods = {"CE": "cross_entropy", "LS": "label_smoothing", "SCE": common.sce()}
    wanted = {
        (name, rate): Training(
            f"{name.lower()}-{rate:g}",
            methods[name],
            data,
            f"symmetric:{rate:g}" if rate else None,
            (per_class, confidence),
            settings,
        )
        for rate in _NOISE
        for name in _METHODS
    }
    trained = lab.train_all(list(wanted.values()))
    return {key: trained[training.name] for key, training in wanted.items()}


def split_loss(clean: np.ndarray, noisy: np.ndarray, window: int = _WINDOW) -> pd.DataFrame:
    """Divide the accuracy that noise costs each class into what was never reached and what was lost again.

    All accuracies are means over `window` epochs, so that the best epoch is not chosen by chance. A class's loss is its
    last clean minus its last noisy accuracy; over-fitted is its best minus its last noisy one; under-learned is the
    rest, its last clean minus its best noisy accuracy, below 0 where noise helped.

    Args:
        clean: test accuracy per epoch and class, float ``[epochs, K]``.
        noisy: the same under noise.
        window: epochs of a mean.

    Returns:
        Columns ``class, clean, best, last, lost, under_learned, over_fitted``.

    Example:
        >>> clean, noisy = np.array([[0.8], [0.9]]), np.array([[0.7], [0.4]])
        >>> split_loss(clean, noisy, window=1)[["lost", "under_learned", "over_fitted"]].round(2).to_dict("list")
        {'lost': [0.5], 'under_learned': [0.2], 'over_fitted': [0.3]}
    """
    window = min(window, len(clean), len(noisy))
    smooth = np.stack([noisy[i : i + window].mean(0) for i in range(len(noisy) - window + 1)])
    top, best, last = clean[-window:].mean(0), smooth.max(0), smooth[-1]
    return pd.DataFrame(
        {
            "class": np.arange(clean.shape[1]),
            "clean": top,
            "best": best,
            "last": last,
            "lost": top - last,
            "under_learned": top - best,
            "over_fitted": best - last,
        }
    )


def _lost(runs: Runs) -> pd.DataFrame:
    clean = common.accuracies(runs["CE", 0.0])
    parts = []
    for (name, rate), run in runs.items():
        if rate:
            part = split_loss(clean, common.accuracies(run))
            part.insert(0, "noise", rate)
            part.insert(0, "method", name)
            parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _per_class(runs: Runs) -> pd.DataFrame:
    parts = [
        common.long(common.accuracies(run), ("epoch", "class"), "accuracy", method=name, noise=rate)
        for (name, rate), run in runs.items()
    ]
    return pd.concat(parts, ignore_index=True)


def _own(run: Trained) -> np.ndarray:
    """Mean probability of the true class on the rightly labelled rows of each class, ``[epochs, K]``."""
    return np.diagonal(np.array(run.history["mean_p"].tolist()), axis1=1, axis2=2)


def _sure(run: Trained) -> np.ndarray:
    return np.array(run.history["sure"].tolist())


def _confidence(runs: Runs) -> pd.DataFrame:
    """By the true class of rightly labelled rows."""
    parts = []
    for (name, rate), run in runs.items():
        part = common.long(_own(run), ("epoch", "class"), "mean_p_true", method=name, noise=rate)
        part["share_p_above_half"] = _sure(run).ravel()
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _hardest(runs: Runs, hardest: int) -> pd.DataFrame:
    """What the rightly labelled rows of the hardest class are taken for."""
    parts = []
    for (name, rate), run in runs.items():
        shares = np.array(run.history["predicted_as"].tolist())[:, hardest]
        parts.append(common.long(shares, ("epoch", "predicted"), "share", method=name, noise=rate))
    return pd.concat(parts, ignore_index=True)


# ---- figures


def _figures(runs: Runs, order: list[int], classes: list[str], marks: list[int], lost: pd.DataFrame) -> list[Figure]:
    hardest = classes[order[0]]
    return [
        Figure(
            "classes-over-epochs",
            _over_epochs(runs, order, classes),
            f"Test accuracy of every class over the epochs: the hardest ({hardest}), the easiest "
            f"({classes[order[-1]]}), and the others in grey.",
        ),
        Figure(
            "classes-at-epochs",
            _bars(runs, order, classes, marks),
            f"Test accuracy per class after epochs {marks[0]}, {marks[1]} and {marks[2]}, hardest class first; the "
            "line above each group is CE on clean labels after the same epoch.",
        ),
        Figure(
            "lost",
            _lost_bars(lost, order, classes),
            "Accuracy that noise costs each class, hardest first: never reached (under-learned) and reached but lost "
            f"again (over-fitted), from means over {_WINDOW} epochs.",
        ),
        Figure(
            "confidence",
            _confidence_lines(runs, order, classes),
            "40 % noise, rightly labelled training rows only. Left: mean probability of the true class for class "
            f"{hardest}, the hardest; right: share of rows with p_y above 0.5, mean over all classes and for the "
            "hardest.",
        ),
        Figure(
            "predicted",
            _predicted_bars(runs, order, classes, marks),
            f"What the rightly labelled training rows of class {hardest} are predicted as, at 40 % noise.",
        ),
    ]


def _over_epochs(runs: Runs, order: list[int], classes: list[str]) -> Drawing:
    with style("classes-over-epochs"):
        figure = Drawing(figsize=(10.4, 7.6), layout="constrained")
        grid = figure.subplots(len(_METHODS), len(_NOISE), sharex=True, sharey=True)
        for i, name in enumerate(_METHODS):
            for j, rate in enumerate(_NOISE):
                axes, values = grid[i, j], common.accuracies(runs[name, rate])
                _class_lines(axes, values, order, classes)
                axes.set_title(f"{name}, {f'{rate:.0%} wrong' if rate else 'clean'}")
                axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
                axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
                axes.set_ylim(0, 1.02)
        figure.supxlabel("epoch", color=light("muted"), fontsize=10.5)
        figure.supylabel("test accuracy", color=light("muted"), fontsize=10.5)
        _legend(figure, grid[0, 0], 3)
        return figure


def _class_lines(axes: Axes, values: np.ndarray, order: list[int], classes: list[str]) -> None:
    epochs = np.arange(1, len(values) + 1)
    for place, k in enumerate(order[1:-1]):
        label = "_the others" if place else "the others"  # a legend names one line, and leaves out what begins so
        axes.plot(epochs, values[:, k], color=light("muted"), linewidth=0.8, alpha=0.55, label=label)
    for k, role, word in ((order[-1], "blue", "easiest"), (order[0], "vermilion", "hardest")):
        axes.plot(epochs, values[:, k], color=light(role), linewidth=1.8, label=f"{word} class: {classes[k]}")


def _legend(figure: Drawing, axes: Axes, columns: int) -> None:
    handles, names = axes.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper left", ncols=columns, frameon=False, fontsize=9.5)


def _bars(runs: Runs, order: list[int], classes: list[str], marks: list[int]) -> Drawing:
    with style("classes-at-epochs"):
        figure = Drawing(figsize=(11.4, 5.6), layout="constrained")
        rates = [rate for rate in _NOISE if rate]
        grid = figure.subplots(len(rates), len(marks), sharey=True, squeeze=False)
        clean = common.accuracies(runs["CE", 0.0])
        for i, rate in enumerate(rates):
            for j, epoch in enumerate(marks):
                axes = grid[i, j]
                heights = {name: common.accuracies(runs[name, rate])[epoch - 1, order] for name in _METHODS}
                _grouped(axes, heights, [classes[k] for k in order])
                places = np.arange(len(order))
                axes.hlines(
                    clean[epoch - 1, order], places - 0.42, places + 0.42, color=light("ink"), label="CE, clean labels"
                )
                axes.set_title(f"epoch {epoch}, {rate:.0%} wrong")
        for row in grid:
            row[0].set_ylabel("test accuracy")
        _legend(figure, grid[0, 0], 4)
        return figure


def _grouped(axes: Axes, heights: dict[str, np.ndarray], names: list[str]) -> None:
    """Bars side by side, one group per class."""
    width = 0.84 / len(heights)
    for k, (name, values) in enumerate(heights.items()):
        places = np.arange(len(values)) + width * (k - (len(heights) - 1) / 2)
        axes.bar(places, values, width * 0.92, color=light(_ROLES[name]), label=name)
    _class_axis(axes, names)
    axes.set_ylim(0, 1.02)


def _class_axis(axes: Axes, names: list[str]) -> None:
    steep = max(map(len, names)) > 2
    axes.set_xticks(range(len(names)), names, rotation=45 if steep else 0, ha="right" if steep else "center")
    axes.grid(visible=False, axis="x")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def _lost_bars(lost: pd.DataFrame, order: list[int], classes: list[str]) -> Drawing:
    with style("lost"):
        figure = Drawing(figsize=(10.4, 5.4), layout="constrained")
        rates = sorted(lost["noise"].unique())
        grid = figure.subplots(len(rates), len(_METHODS), sharey=True, squeeze=False)
        for i, rate in enumerate(rates):
            for j, name in enumerate(_METHODS):
                part = lost[(lost["method"] == name) & (lost["noise"] == rate)].set_index("class").loc[order]
                under, over = part["under_learned"].to_numpy(), part["over_fitted"].to_numpy()
                axes, places = grid[i, j], np.arange(len(order))
                axes.bar(places, under, 0.8, color=light("purple"), label="under-learned")
                axes.bar(places, over, 0.8, bottom=np.maximum(under, 0), color=light("amber"), label="over-fitted")
                axes.axhline(0, color=light("muted"), linewidth=0.8)
                axes.set_title(f"{name}, {rate:.0%} wrong")
                _class_axis(axes, [classes[k] for k in order])
        for row in grid:
            row[0].set_ylabel("lost test accuracy")
        _legend(figure, grid[0, 0], 2)
        return figure


def _confidence_lines(runs: Runs, order: list[int], classes: list[str]) -> Drawing:
    hardest = order[0]
    shown = {**{name: (name, 0.4) for name in ("SCE", "CE", "LS")}, "CE, clean labels": ("CE", 0.0)}
    own = {name: _own(runs[key])[:, hardest].tolist() for name, key in shown.items()}
    mean = {name: _sure(runs[key]).mean(1).tolist() for name, key in shown.items()}
    hard = {name: _sure(runs[key])[:, hardest].tolist() for name, key in shown.items()}
    panels = [
        Panel(f"Mean p, class {classes[hardest]}", own, "probability of the true class"),
        Panel("p above 0.5, all classes", mean, "share of rightly labelled rows"),
        Panel(f"p above 0.5, class {classes[hardest]}", hard),
    ]
    return lines(panels)


def _predicted_bars(runs: Runs, order: list[int], classes: list[str], marks: list[int]) -> Drawing:
    with style("predicted"):
        figure = Drawing(figsize=(11.4, 3.4), layout="constrained")
        grid = figure.subplots(1, len(marks), sharey=True)
        for axes, epoch in zip(grid, marks, strict=True):
            shares = {
                name: np.array(runs[name, 0.4].history["predicted_as"].iloc[epoch - 1])[order[0], order]
                for name in _METHODS
            }
            _grouped(axes, shares, [classes[k] for k in order])
            axes.set(title=f"epoch {epoch}", xlabel="predicted class")
        grid[0].set_ylabel("share of the rows")
        _legend(figure, grid[0], 3)
        return figure


# ---- claims


def _last(run: Trained) -> np.ndarray:
    """Test accuracy per class, mean over the last epochs."""
    values = common.accuracies(run)
    return np.asarray(values[-min(_WINDOW, len(values)) :].mean(0))


def _claims(lab: Lab, runs: Runs, order: list[int], lost: pd.DataFrame, rows: int, marks: list[int]) -> list[Claim]:
    return [
        _clean_gap(lab, _last(runs["CE", 0.0])),
        _cat_and_frog(lab, _last(runs["CE", 0.4]), order),
        _smoothing(runs, order[: common.HARD], rows),
        _worst(runs, rows),
        _under_learned(lab, lost, order),
        _over_fitted(runs, rows, marks),
        _which_costs_more(lab, lost),
        _half_sure(lab, runs, order[0]),
    ]


def _clean_gap(lab: Lab, last: np.ndarray) -> Claim:
    gap = float(last.max() - last.min())
    near = 0.13 <= gap <= 0.27
    return Claim(
        "With CE on clean labels, the best and the worst class are about 20 points apart.",
        "about 20 points",
        f"{100 * gap:.1f} points, from {last.min():.1%} to {last.max():.1%}",
        near if lab.full else None,
        ("They are." if near else "They are not that far apart here, or farther.")
        if lab.full
        else "Clean digits are too easy to tell: every class is learned.",
    )


def _cat_and_frog(lab: Lab, last: np.ndarray, order: list[int]) -> Claim:
    hard, easy = (_CAT, _FROG) if lab.full else (order[0], order[-1])
    holds = bool(0.53 <= last[hard] <= 0.67 and last[easy] > 0.9)
    return Claim(
        "At 40 % noise CE ends at about 60 % on class 3 (cat) and above 90 % on class 6 (frog).",
        "about 60 %; above 90 %",
        f"{last[hard]:.1%} on {'class 3' if lab.full else 'the hardest'}, {last[easy]:.1%} on "
        f"{'class 6' if lab.full else 'the easiest class'}; all classes {last.min():.1%} to {last.max():.1%}",
        holds if lab.full else None,
        ("They do." if holds else "They do not.")
        if lab.full
        else "A claim about two classes of CIFAR-10: on digits the classes do drift apart under noise, but wrong "
        "labels are learned by heart in all of them.",
    )


def _smoothing(runs: Runs, hard: list[int], rows: int) -> Claim:
    gains, errors = [], []
    for rate in (0.4, 0.6):
        plain, smooth = float(_last(runs["CE", rate])[hard].mean()), float(_last(runs["LS", rate])[hard].mean())
        gains.append(smooth - plain)
        errors.append(common.error(plain, smooth, rows=rows * len(hard)))
    none = all(gain < 2 * error for gain, error in zip(gains, errors, strict=True))
    return Claim(
        "Label smoothing does not help the hard classes.",
        "no gain",
        f"{common.points(gains[0])} at 40 %, {common.points(gains[1])} at 60 % on the {len(hard)} hardest classes, "
        f"with a standard error of {100 * errors[0]:.1f}",
        none,
        "No gain beyond two standard errors." if none else "It gains more than two standard errors on them here.",
    )


def _worst(runs: Runs, rows: int) -> Claim:
    plain, robust = float(_last(runs["CE", 0.4]).min()), float(_last(runs["SCE", 0.4]).min())
    lift, error = robust - plain, common.error(plain, robust, rows=rows)
    holds = lift > 2 * error
    return Claim(
        "At 40 % noise SCE lifts the worst class from about 60 to 75 %.",
        "about 60 to 75 %",
        f"{plain:.1%} with CE to {robust:.1%} with SCE, {common.points(lift)} with a standard error of "
        f"{100 * error:.1f}",
        holds,
        "The worst class gains more than two standard errors."
        if holds
        else "The worst class does not gain two standard errors.",
    )


def _under_learned(lab: Lab, lost: pd.DataFrame, order: list[int]) -> Claim:
    part = lost[(lost["method"] == "CE") & (lost["noise"] == 0.4)].set_index("class")["under_learned"]
    pair = [2, 3] if lab.full else order[:2]
    holds = bool((part[pair] > 0.13).all())
    named = " and ".join(f"{100 * part[k]:.1f}" for k in pair)
    return Claim(
        "At 40 % noise classes 2 and 3 end 20 points below clean training: they are under-learned.",
        "20 points",
        f"{named} points never reached in {'these' if lab.full else 'the two hardest classes'}; at most "
        f"{100 * part.max():.1f} in any class",
        holds if lab.full else None,
        (
            "Their best epochs under noise stay that far below."
            if holds
            else "Their best epochs under noise come closer."
        )
        if lab.full
        else "A claim about two classes of CIFAR-10; digits have none that is as hard.",
    )


def _over_fitted(runs: Runs, rows: int, marks: list[int]) -> Claim:
    values = common.accuracies(runs["CE", 0.4])
    middle, late = values[marks[1] - 1], values[marks[2] - 1]
    errors = np.array([common.error(a, b, rows=rows) for a, b in zip(middle, late, strict=True)])
    falls = np.flatnonzero(middle - late > 2 * errors)
    early = values[: max(1, marks[1])].max(0)
    return Claim(
        f"At 40 % noise some classes (1 and 6 of CIFAR-10) are worse at epoch 100 (here {marks[2]}) than at 50 (here "
        f"{marks[1]}): they are over-fitted.",
        "classes 1 and 6",
        f"{len(falls)} of {len(middle)} classes fall by more than two standard errors between the two; mean of all "
        f"classes {middle.mean():.1%} to {late.mean():.1%}; mean of their best epochs before {early.mean():.1%}",
        bool(len(falls)),
        "Some classes do get worse late."
        if len(falls)
        else "By then the fall is over: wrong labels are learned earlier than that here, and the low rate keeps what "
        "is left.",
    )


def _which_costs_more(lab: Lab, lost: pd.DataFrame) -> Claim:
    part = lost[(lost["method"] == "CE") & (lost["noise"] == 0.4)]
    under, over = float(part["under_learned"].mean()), float(part["over_fitted"].mean())
    more = "" if lab.full else " Some hundred images can be learned by heart, and digits are easy before that."
    return Claim(
        "At 40 % noise under-learning costs CE more accuracy than over-fitting.",
        "the first costs more",
        f"{100 * under:.1f} points under-learned, {100 * over:.1f} over-fitted, mean over the classes",
        under > over,
        "What is never learned costs more." if under > over else "What is lost again costs more here." + more,
    )


def _half_sure(lab: Lab, runs: Runs, hardest: int) -> Claim:
    k = _CAT if lab.full else hardest
    plain, robust = _own(runs["CE", 0.4])[:, k], _own(runs["SCE", 0.4])[:, k]
    third = max(0, len(plain) // 3 - 1)
    near = bool(0.4 <= plain[-1] <= 0.6)
    return Claim(
        "At 40 % noise CE gives the true class of the rightly labelled rows of class 3 a probability of only about "
        "0.5.",
        "about 0.5",
        f"{plain[third]:.2f} after epoch {third + 1} and {plain[-1]:.2f} at the end; SCE {robust[third]:.2f} and "
        f"{robust[-1]:.2f}",
        near if lab.full else None,
        ("It does." if near else "It does not.")
        if lab.full
        else "Here CE learns right labels by heart along with wrong ones, so that it ends up sure of both.",
    )
