"""Gradients of symmetric cross-entropy: where the reverse term speeds learning up, and where it slows it down.

Question: what does reverse cross-entropy add to the gradient of cross-entropy, as a function of the probability p that
the network gives to the label?

Source: Wang et al., "Symmetric Cross Entropy for Robust Learning with Noisy Labels", ICCV 2019, the gradient analysis:
with alpha = beta = 1, the derivative by the logit of the label is that of cross-entropy minus (A p^2 - A p), and by the
logit of another class j that of cross-entropy minus A p_j p. A is the -6 of its analysis.

Nothing is trained: the formulas stand beside the gradients that automatic differentiation measures on drawn logits, so
both forms are the same.
"""

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from torch import Tensor

import thresher as th
from thresher.engine.method import Method
from thresher.report.palette import light, style
from thresher.studies.lab import Lab
from thresher.studies.page import Claim, Figure, Outcome

_A = -6.0
_CLASSES = 10
_ROWS = 2000
_EXACT = 1e-12


def study(lab: Lab) -> Outcome:
    """Differentiate the loss on drawn logits, and compare with the formulas."""
    drawn = _drawn(lab.seed)
    curve = _curve()
    return Outcome(
        title="Gradients of symmetric cross-entropy",
        question="What does reverse cross-entropy add to the gradient of cross-entropy, as a function of the "
        "probability p of the label?",
        settings={
            "losses": f"cross-entropy (CE), reverse cross-entropy (RCE) with A = {_A:g}, and their sum, alpha = beta = "
            "1",
            "logits": f"{_ROWS:,} rows of {_CLASSES} classes, drawn so that p covers 0 to 1; float64",
            "in the figure": "the other classes share 1 - p evenly; dots are measured by automatic differentiation",
        },
        figures=[
            Figure(
                "gradient",
                _drawing(curve),
                "Derivative of the loss by a logit against the probability p of the label. Lines are the formulas, "
                "dots are measured; below 0 a step raises the logit.",
            )
        ],
        tables={"gradient": curve, "differences": _differences(drawn)},
        claims=_claims(drawn, curve),
    )


def measured(logits: Tensor, label: Tensor, method: Method) -> Tensor:
    """The gradient of a method's loss by the logits, ``[B, C]``, for labels int64 ``[B]``.

    Example:
        >>> even = torch.zeros(1, 2, dtype=torch.float64)
        >>> measured(even, torch.tensor([0]), th.method("cross_entropy")).tolist()
        [[-0.5, 0.5]]
    """
    logits = logits.clone().requires_grad_()
    target = torch.nn.functional.one_hot(label, logits.shape[1]).to(logits.dtype)
    return torch.autograd.grad(method.loss(logits, target).sum(), logits)[0]


def analytic(p: Tensor, label: Tensor, constant: float) -> Tensor:
    """The gradient of CE + RCE by the logits, from the source's formulas.

    Args:
        p: probabilities, ``[B, C]``.
        label: int64 ``[B]``.
        constant: A, which stands for log 0.

    Example:
        >>> analytic(torch.tensor([[0.5, 0.5]]), torch.tensor([0]), -6.0).tolist()
        [[-2.0, 2.0]]
    """
    own = p.gather(1, label[:, None])
    cross = p - torch.nn.functional.one_hot(label, p.shape[1])
    others = cross - constant * p * own
    at_label = cross.gather(1, label[:, None]) - (constant * own.square() - constant * own)
    return others.scatter(1, label[:, None], at_label)


def _losses() -> dict[str, Method]:
    return {
        "CE": th.method("cross_entropy"),
        "CE + RCE": th.method("sce", alpha=1.0, beta=1.0, log_zero=_A),
    }


def _drawn(seed: int) -> pd.DataFrame:
    """Per drawn row: p of the label, and measured and analytic derivatives at the label and, summed, elsewhere."""
    draws = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(_ROWS, _CLASSES, generator=draws, dtype=torch.float64)
    label = torch.randint(_CLASSES, (_ROWS,), generator=draws)
    p = torch.softmax(logits, 1)
    found, said = measured(logits, label, _losses()["CE + RCE"]), analytic(p, label, _A)
    at, off = label[:, None], 1 - torch.nn.functional.one_hot(label, _CLASSES)
    return pd.DataFrame(
        {
            "p": p.gather(1, at).squeeze(1).numpy(),
            "label": (found - said).gather(1, at).abs().squeeze(1).numpy(),
            "others": ((found - said).abs() * off).amax(1).numpy(),
        }
    )


def _differences(drawn: pd.DataFrame) -> pd.DataFrame:
    """The largest difference between formula and measurement."""
    rows = [("label", drawn["label"].max()), ("other classes", drawn["others"].max())]
    return pd.DataFrame(rows, columns=["derivative by the logit of", "largest difference"])


def _curve() -> pd.DataFrame:
    """Measured derivatives at p = 0.005, 0.01, ..., 0.995, the other classes sharing 1 - p evenly."""
    p = torch.arange(1, 200, dtype=torch.float64) / 200
    logits = ((1 - p) / (_CLASSES - 1)).log()[:, None].repeat(1, _CLASSES)
    logits[:, 0] = p.log()
    label = torch.zeros(len(p), dtype=torch.int64)
    found = {name: measured(logits, label, method).numpy() for name, method in _losses().items()}
    both, cross = found["CE + RCE"], found["CE"]
    columns = {"p": p.numpy()}
    for where, k in (("label", 0), ("other", 1)):
        columns |= {f"{where} CE": cross[:, k], f"{where} RCE": both[:, k] - cross[:, k], f"{where} sum": both[:, k]}
    return pd.DataFrame(columns)


def _drawing(curve: pd.DataFrame) -> Drawing:
    p = curve["p"].to_numpy()
    rest = (1 - p) / (_CLASSES - 1)
    panels = (
        ("The label's logit", "label", {"CE": p - 1, "RCE": _A * p * (1 - p)}),
        ("Another class's logit", "other", {"CE": rest, "RCE": -_A * rest * p}),
    )
    with style("gradients"):
        figure = Drawing(figsize=(8.8, 3.7), layout="constrained")
        for axes, (title, where, parts) in zip(figure.subplots(1, 2), panels, strict=True):
            _panel(axes, curve, where, {**parts, "sum": parts["CE"] + parts["RCE"]})
            axes.set(title=title, xlabel="p, probability of the label", ylabel="derivative of the loss")
        handles, names = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper left", ncols=3, frameon=False, fontsize=9.5)
        return figure


def _panel(axes: Axes, curve: pd.DataFrame, where: str, parts: dict[str, np.ndarray]) -> None:
    names = {"CE": ("muted", "CE"), "RCE": ("vermilion", "RCE"), "sum": ("blue", "CE + RCE")}
    for part, values in parts.items():
        role, name = names[part]
        axes.plot(curve["p"], values, color=light(role), label=name)
        axes.plot(curve["p"][9::15], curve[f"{where} {part}"][9::15], "o", color=light(role), markersize=3.5)
    axes.axvline(0.5, color=light("muted"), linewidth=1, linestyle=(0, (4, 3)))
    axes.axhline(0, color=light("muted"), linewidth=0.8)
    axes.set_xlim(0, 1)


def _claims(drawn: pd.DataFrame, curve: pd.DataFrame) -> list[Claim]:
    added = -curve["label RCE"].to_numpy()
    peak = float(curve["p"][int(added.argmax())])
    low, high = (curve["p"] <= 0.5).to_numpy(), (curve["p"] >= 0.5).to_numpy()
    turns = bool((np.diff(added[low]) > 0).all() and (np.diff(added[high]) < 0).all())
    label, others = float(drawn["label"].max()), float(drawn["others"].max())
    span = f"p from {drawn['p'].min():.0e} to {drawn['p'].max():.4f}"
    return [
        Claim(
            "By the label's logit, the derivative is that of CE minus (A p^2 - A p).",
            "equation",
            f"differs by at most {label:.0e} over {_ROWS:,} drawn rows, {span}",
            label < _EXACT,
            "Automatic differentiation gives the formula."
            if label < _EXACT
            else "The formula is not what is measured.",
        ),
        Claim(
            "By the logit of another class j, it is that of CE minus A p_j p.",
            "equation",
            f"differs by at most {others:.0e}",
            others < _EXACT,
            "Automatic differentiation gives the formula."
            if others < _EXACT
            else "The formula is not what is measured.",
        ),
        Claim(
            "The RCE part is largest at p = 0.5.",
            "0.5",
            f"{peak:g}, where it is {added.max():.2f}, {abs(_A):g} / 4",
            abs(peak - 0.5) < 1e-9,
            "It is, whatever A is: A only scales it." if abs(peak - 0.5) < 1e-9 else "It is largest elsewhere.",
        ),
        Claim(
            "Below p = 0.5 the RCE part helps learning, above it slows it down.",
            "helps below, slows above",
            f"grows with p up to 0.5 and shrinks after: {turns}",
            turns,
            "The part always pulls p up; it pulls harder the more the network already agrees with the label, up to "
            "0.5, and less and less above, so that a label the network finds impossible (p near 0) hardly counts.",
        ),
    ]
