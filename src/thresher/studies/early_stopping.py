"""Early stopping: a network learns the right labels first and the wrong ones later.

Question: does test accuracy rise and then fall under wrong labels, and what does the network fit of them at the end?

Source: the experiments around Xia et al., "Robust early-learning: Hindering the memorization of noisy labels", ICLR
2021: plain cross-entropy on MNIST with LeNet, 100 epochs, batch 128, SGD at 0.01, momentum 0.9, L2 of 0.001, no
augmentation, symmetric noise with exact counts that leaves the true class out.

The quick form trains the same network on scikit-learn's digits, enlarged to 28 x 28 pixels, in small batches, so that
it takes about as many steps as it needs to learn wrong labels by heart.
"""

import pandas as pd

from thresher.studies import _mnist as common
from thresher.studies._figures import Panel, lines
from thresher.studies.lab import Lab, Trained, Training
from thresher.studies.page import Claim, Figure, Outcome

_BY_HEART = "the digits are 40 times fewer than MNIST's images, and all of them can be learned by heart."
_RATES = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9)


def study(lab: Lab) -> Outcome:
    """Train cross-entropy at six noise rates, and follow it on given, right, wrong and test labels."""
    data = common.data(lab)
    settings = common.settings(lab, valid=0.0, quick_epochs=45)
    trained = lab.train_all(
        [Training(f"noise-{rate:g}", "cross_entropy", data, common.noise(rate), settings=settings) for rate in _RATES]
    )
    runs = {rate: trained[f"noise-{rate:g}"] for rate in _RATES}
    return Outcome(
        title="Early stopping",
        question="Does test accuracy rise and then fall under wrong labels, and what is fitted of them at the end?",
        settings=common.described(lab, data, settings, noise=", ".join(f"{rate:.0%}" for rate in _RATES)),
        figures=_figures(runs),
        tables={"accuracy": _numbers(runs), "epochs": common.histories(trained)},
        claims=_claims(lab, runs),
    )


def _figures(runs: dict[float, Trained]) -> list[Figure]:
    named = {f"{rate:.0%}": run.history for rate, run in runs.items()}
    both = lines(
        [
            Panel("Test labels", {name: history["test"] for name, history in named.items()}, "accuracy"),
            Panel("Given training labels", {name: history["train"] for name, history in named.items()}),
        ],
        legend="wrong labels",
    )
    noisy = {name: history for name, history in named.items() if "wrong_memorised" in history}
    parts = lines(
        [
            Panel("Rightly labelled: right", {n: h["clean_right"] for n, h in noisy.items()}, "share"),
            Panel("Wrongly labelled: right", {n: h["wrong_right"] for n, h in noisy.items()}),
            Panel("Wrongly labelled: by heart", {n: h["wrong_memorised"] for n, h in noisy.items()}),
        ],
        order=list(named),
        legend="wrong labels",
    )
    return [
        Figure("accuracy", both, "Accuracy after every epoch, on clean test labels and on the given training labels."),
        Figure(
            "memorisation", parts, "What the network predicts for training samples, by whether their label is right."
        ),
    ]


def _numbers(runs: dict[float, Trained]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "noise": rate,
            "best": run.best,
            "best_epoch": run.best_epoch,
            "last": run.last,
            "train_last": float(run.history["train"].iloc[-1]),
        }
        for rate, run in runs.items()
    )


def _claims(lab: Lab, runs: dict[float, Trained]) -> list[Claim]:
    drops = {rate: run.best - run.last for rate, run in runs.items() if 0 < rate < 0.9}
    high, chance = runs[0.8], runs[0.9]
    train_80, train_90 = (float(run.history["train"].iloc[-1]) for run in (high, chance))
    clean = runs[0.0]
    falls = all(drop > 0.02 for drop in drops.values())
    low = train_80 < 0.35 and high.best >= 0.85
    said = ", ".join(f"{drop * 100:.1f} points at {rate:.0%}" for rate, drop in drops.items())
    return [
        Claim(
            "Under wrong labels test accuracy rises, then falls as they are learned.",
            "seen at every noise rate",
            f"best minus last epoch: {said}; {(clean.best - clean.last) * 100:.1f} without noise",
            falls,
            "At every rate from 20 to 80 % it falls by more than 2 points."
            if falls
            else "At some rates it does not fall by 2 points within these epochs.",
        ),
        Claim(
            "At 80 % noise train accuracy ends below 35 % while the best test accuracy is 85 % or more.",
            "below 35 %; 85 % or more",
            f"train {train_80:.1%}, best test {high.best:.1%}",
            low if lab.full else None,
            ("Both hold." if low else "Not both hold.") if lab.full else f"This form cannot tell: {_BY_HEART}",
        ),
        Claim(
            "Late train accuracy at 90 % noise lies above that at 80 %.",
            "90 % above 80 %",
            f"{train_90:.1%} at 90 %, {train_80:.1%} at 80 %",
            train_90 > train_80 if lab.full else None,
            "At 90 % with the true class left out all ten labels are equally frequent for any image, so that "
            f"nothing but memory helps (best test accuracy {chance.best:.1%}); "
            + (
                _BY_HEART
                if not lab.full
                else "memory does fit more of it."
                if train_90 > train_80
                else "yet no more of it is fitted here."
            ),
        ),
    ]
