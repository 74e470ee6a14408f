"""Memorisation: cross-entropy forgets the true classes of wrongly labelled samples, ELR keeps them.

Question: under cross-entropy (CE) and early-learning regularisation (ELR), what does the network predict for rightly
and for wrongly labelled training samples, over the epochs?

Source: Liu et al., "Early-Learning Regularization Prevents Memorization of Noisy Labels", NeurIPS 2020, the figure of
the repository's first page: ResNet-34 on CIFAR-10, 40 % symmetric noise, without augmentation; values read off the
figure. Further settings are the paper's for CIFAR-10: batch 128, SGD at 0.02, momentum 0.9, L2 of 1e-3, a hundredth of
the rate after epochs 40 and 80 of 120, 10 % held out, lambda 3, beta 0.7. Their symmetric noise draws from all classes,
the true one included, so that 36 % of the labels are wrong.

The quick form trains a small network on scikit-learn's digits with the same settings. The second figure needs no true
labels: how far predictions and the targets of ELR agree with the given labels, and how many predictions change.
"""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import MaxNLocator, PercentFormatter

from thresher.engine.evaluate import Judge
from thresher.engine.run import Run
from thresher.report.palette import light, style
from thresher.studies import _elr as common
from thresher.studies._figures import Panel, lines
from thresher.studies.lab import Lab, Trained, Training
from thresher.studies.page import Claim, Figure, Outcome

_NOISE = "symmetric_inclusive:0.4"
_RIGHT = (("clean_right", "the true class", "blue"), ("clean_wrong", "another class", "muted"))
_WRONG = (
    ("wrong_right", "the true class", "blue"),
    ("wrong_memorised", "the given, wrong label", "vermilion"),
    ("wrong_other", "another class", "muted"),
)
_AUGMENTED = "ce-augmented"

Runs = dict[str, Trained]


def study(lab: Lab) -> Outcome:
    """Train cross-entropy and ELR on the same wrong labels, and count what becomes of them."""
    data = lab.data(quick="digits", full="cifar10")
    settings = common.settings(lab, batch=128)
    found = common.methods()
    wanted = [Training(name.lower(), found[name], data, _NOISE, (target,), settings) for name in common.METHODS]
    if lab.full:
        wanted.append(Training(_AUGMENTED, found["CE"], data, _NOISE, (), {**settings, "augment": True}))
    trained = lab.train_all(wanted)
    runs = {name: trained[name.lower()] for name in common.METHODS}
    noise = "symmetric at 40 %, drawn from all classes, the true one included, so that 36 % of the labels are wrong"
    return Outcome(
        title="Memorisation",
        question="What does the network predict for rightly and for wrongly labelled training samples, over the "
        "epochs?",
        settings=common.described(data, settings, noise=noise),
        figures=_figures(runs),
        tables={"values": _values(runs), "epochs": _epochs(trained)},
        claims=[*_forgets(runs["CE"]), *_keeps(runs["ELR"]), _augmentation(trained.get(_AUGMENTED))],
    )


def target(run: Run, judge: Judge) -> dict[str, float]:
    """How ELR's targets stand to the labels; nothing without targets.

    ``target_given``: share of rows whose target leads in the given label; ``target_right``: of the wrongly labelled
    rows, share whose target leads in the true class, where that is known.
    """
    table = run.tables.get("elr_target.0")
    if table is None:
        return {}
    leads, given = table.full().argmax(1).cpu(), run.given.cpu()
    found = {"target_given": float((leads == given).float().mean())}
    if judge.clean is not None and (wrong := judge.clean != given).any():
        found["target_right"] = float((leads == judge.clean)[wrong].float().mean())
    return found


# ---- figures


def _figures(runs: Runs) -> list[Figure]:
    agreement = {f"{name}, prediction": run.history["train"] for name, run in runs.items()}
    agreement["ELR, target"] = runs["ELR"].history["target_given"]
    changes = {f"{name}, prediction": run.history["changes"].astype(float) for name, run in runs.items()}
    without = lines(
        [
            Panel("Agrees with the given label", agreement, "share of training samples", dashed=["ELR, target"]),
            Panel("Predictions that changed", changes),
        ]
    )
    test = lines([Panel("On clean test labels", {name: run.history["test"] for name, run in runs.items()}, "accuracy")])
    return [
        Figure(
            "memorisation",
            _drawing(runs),
            "What is predicted for training samples after every epoch: left those whose given label is right, right "
            "those whose given label is wrong; cross-entropy above, ELR below.",
        ),
        Figure(
            "without-true-labels",
            without,
            "The same without knowing the true labels: the share of samples whose prediction, or whose target of ELR, "
            "agrees with the given label, and the share whose prediction changed since the epoch before.",
        ),
        Figure("test", test, "Test accuracy over the epochs."),
    ]


def _drawing(runs: Runs) -> Drawing:
    with style("memorisation"):
        figure = Drawing(figsize=(8.8, 6.4), layout="constrained")
        grid = figure.subplots(len(runs), 2, sharex=True, sharey=True)
        for row, (name, run) in zip(grid, runs.items(), strict=True):
            for axes, specs, word in zip(row, (_RIGHT, _WRONG), ("rightly", "wrongly"), strict=True):
                _shares(axes, run.history, specs)
                axes.set_title(f"{name}: {word} labelled")
            row[0].set_ylabel("share of these samples")
        for axes in grid[-1]:
            axes.set_xlabel("epoch")
        handles, names = grid[0, 1].get_legend_handles_labels()
        figure.legend(
            handles, names, loc="outside upper left", ncols=3, frameon=False, fontsize=9.5, title="predicted is",
            alignment="left",
        )  # fmt: skip
        return figure


def _shares(axes: Axes, history: pd.DataFrame, specs: tuple[tuple[str, str, str], ...]) -> None:
    for column, name, role in specs:
        axes.plot(history["epoch"], history[column], color=light(role), label=name, linewidth=1.8)
    axes.set_ylim(-0.01, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))


# ---- numbers


def crossing(history: pd.DataFrame) -> int | None:
    """The first epoch after the peak of ``wrong_right`` where ``wrong_memorised`` is above it, or None.

    Example:
        >>> shares = {"epoch": [1, 2, 3], "wrong_right": [0.5, 0.8, 0.3], "wrong_memorised": [0.6, 0.1, 0.5]}
        >>> crossing(pd.DataFrame(shares))
        3
    """
    late = history.iloc[_peak(history) :]
    above = late["epoch"][late["wrong_memorised"] > late["wrong_right"]]
    return int(above.iloc[0]) if len(above) else None


def _peak(history: pd.DataFrame) -> int:
    """The row where most wrongly labelled samples are predicted as their true class."""
    return int(history["wrong_right"].to_numpy(dtype=float).argmax())


def _values(runs: Runs) -> pd.DataFrame:
    """Our values beside those read off the source's figure."""
    plain, kept = runs["CE"].history, runs["ELR"].history
    peak = _peak(plain)
    met = crossing(plain)
    rows: list[tuple[str, Any, Any]] = [
        ("CE, wrongly labelled, true class: peak", 0.77, plain["wrong_right"].iloc[peak]),
        ("CE: epoch of that peak", "15 to 20", int(plain["epoch"].iloc[peak])),
        ("CE: epoch where memorised overtakes true class", 63, met),
        ("CE: share there", 0.41, None if met is None else plain.set_index("epoch")["wrong_memorised"][met]),
        ("CE, wrongly labelled, memorised: last epoch", 0.87, plain["wrong_memorised"].iloc[-1]),
        ("CE, wrongly labelled, true class: last epoch", 0.08, plain["wrong_right"].iloc[-1]),
        ("ELR, wrongly labelled, memorised: last epoch", 0.03, kept["wrong_memorised"].iloc[-1]),
        ("ELR, wrongly labelled, true class: last epoch", 0.88, kept["wrong_right"].iloc[-1]),
    ]
    shown = [(what, f"about {source}", "never" if ours is None else ours) for what, source, ours in rows]
    return pd.DataFrame(shown, columns=["value", "source", "ours"])


def _epochs(trained: dict[str, Trained]) -> pd.DataFrame:
    parts = [run.history.drop(columns="seconds").assign(training=name) for name, run in trained.items()]
    table = pd.concat(parts, ignore_index=True)
    return table[["training", *(column for column in table.columns if column != "training")]]


# ---- claims


def _forgets(run: Trained) -> list[Claim]:
    history, met = run.history, crossing(run.history)
    peak = _peak(history)
    top, end = float(history["wrong_right"].iloc[peak]), float(history["wrong_right"].iloc[-1])
    heart, epochs = float(history["wrong_memorised"].iloc[-1]), int(history["epoch"].iloc[-1])
    rises = top > 0.5 and top - end > 0.2
    learned = heart > 0.7 and end < 0.2
    return [
        Claim(
            "With CE, the share of wrongly labelled samples predicted as their true class rises first and falls then.",
            "peak of about 0.77 near epoch 15 to 20",
            f"peak of {top:.2f} at epoch {int(history['epoch'].iloc[peak])}, {end:.2f} at the end",
            rises,
            "Early in training the network is right about most wrong labels, and forgets it."
            if rises
            else "There is no such rise and fall within these epochs.",
        ),
        Claim(
            "With CE, memorised samples come to outnumber those predicted right.",
            "at about epoch 63 of 120, at about 0.41",
            "never"
            if met is None
            else f"at epoch {met} of {epochs}, at {history.set_index('epoch')['wrong_memorised'][met]:.2f}",
            met is not None,
            "They do; how early depends on the size of the data, the batch and the network."
            if met is not None
            else "They do not within these epochs.",
        ),
        Claim(
            "With CE, most wrong labels are memorised in the end.",
            "about 0.87 memorised, about 0.08 predicted right",
            f"{heart:.2f} memorised, {end:.2f} predicted right",
            learned,
            "They are." if learned else "They are not.",
        ),
    ]


def _keeps(run: Trained) -> list[Claim]:
    heart, right = float(run.history["wrong_memorised"].iloc[-1]), float(run.history["wrong_right"].iloc[-1])
    top = float(run.history["wrong_memorised"].max())
    flat = top < 0.1
    return [
        Claim(
            "With ELR, the share of memorised wrong labels stays flat and low.",
            "flat at about 0.03",
            f"{heart:.2f} at the end, at most {top:.2f}",
            flat,
            f"It stays below a tenth, {'at' if heart < 0.05 else 'if not at'} the source's 3 %."
            if flat
            else f"It rises to {top:.0%}.",
        ),
        Claim(
            "With ELR, wrongly labelled samples are predicted as their true class in the end.",
            "about 0.88",
            f"{right:.2f}",
            right > 0.75,
            "Most are." if right > 0.75 else "Too few are.",
        ),
    ]


def _augmentation(run: Trained | None) -> Claim:
    text = "The figure comes out only without augmentation: with shifts and mirrors CE memorises few wrong labels."
    if run is None:
        return Claim(
            text,
            "about 17 % memorised",
            "not trained",
            None,
            "Digits are never shifted or mirrored; the full form trains it.",
        )
    heart = float(run.history["wrong_memorised"].iloc[-1])
    holds = heart < 0.35
    return Claim(
        text,
        "about 17 % memorised",
        f"{heart:.0%}",
        holds,
        "With augmentation far fewer are memorised." if holds else "With augmentation as many are memorised.",
    )
