"""Which labels a training learns from: as given, with noise put in, corrected by a file, trusted."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from thresher import decisions, noise
from thresher.correct import generations
from thresher.data import Data, Reading
from thresher.data.labels import keyed, matched, read_labels
from thresher.decisions.agreement import trusted_labels
from thresher.errors import UsageError
from thresher.noise import Noise, hopeless


@dataclass(frozen=True, eq=False)
class Labelling:
    """Data with the labels that a training learns from, and what is known about them.

    Attributes:
        data: its training rows, without those that were left out.
        noise: what is wrong on purpose or by known human error, of the same rows, or None.
        before: the labels before a file corrected them, int64 ``[N]``, or None.
        left_out: keys and former labels (class names) of the rows that a file leaves out.
        weights: of the rows, float32 ``[N]``, or None.
        targets: soft labels, float32 ``[N, K]``, or None.
        trusted: rows that are known to be right, int64.
    """

    data: Data
    noise: Noise | None = None
    before: Tensor | None = None
    left_out: tuple[tuple[str, str], ...] = ()
    weights: Tensor | None = None
    targets: Tensor | None = None
    trusted: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))


def labelled(
    data: Data,
    *,
    noise: Sequence[str] = (),
    mapping: str | None = None,
    reading: Reading | None = None,
    trusted: str | None = None,
    seed: int,
    device: str = "auto",
    drawn: Noise | None = None,
) -> Labelling:
    """Put noise in, then the corrections of a file, then trusted labels.

    Args:
        data: as it was read.
        noise: texts ``NAME:RATE[:SEED]``; on labels that people got wrong it comes on top.
        mapping: class pairs of asymmetric noise, as in ``cat>dog,dog>cat``.
        reading: says where more labels are: a CSV file of key and label for every row, with weights or soft labels
            where it has such columns, or of the labels of several annotators, whose consensus is soft.
        trusted: ``per-class:N`` (needs known true labels), a CSV file of key and label, or a file of decisions from
            ``thresher review`` or the run folder that holds it.
        seed: of the noise and of the choice of trusted rows.
        device: where feature noise trains its networks; see `thresher.findings.posterior.out_of_sample`.
        drawn: the noise of a run that goes on, from its folder; it is used instead of another draw where it answers
            the same request for the same true labels, and no file corrected it.

    Raises:
        UsageError: whatever cannot be done with these data.
    """
    reading = reading or Reading()
    usable = drawn if reading.labels is None else None
    result = _with_noise(data, noise, mapping, seed, device, usable)
    if reading.labels is not None:
        result = _corrected(result, reading.labels, _of_annotators(reading))
    elif _of_annotators(reading):
        raise UsageError("annotators stand in a file of labels, and none is given: add --labels FILE")
    return result if trusted is None else _trusting(result, trusted, seed)


def put_in(data: Data, specs: Sequence[str], *, seed: int, mapping: str | None = None, device: str = "auto") -> Noise:
    """Draw noise for the training rows of data, with everything that the data know.

    Args:
        data: as it was read.
        specs: texts ``NAME:RATE[:SEED]``, one or more.
        seed: of every noise that names none.
        mapping: class pairs of asymmetric noise.
        device: where feature noise trains its networks.

    Returns:
        The noise; where the labels were wrong already, as people made them, it comes on top, and `generator` begins
        with the data's name.

    Raises:
        UsageError: as for `thresher.noise.apply` and `thresher.findings.posterior.out_of_sample`.

    Example:
        >>> from thresher.data import load
        >>> put_in(load("digits"), ["symmetric:0.4"], seed=0).generator
        'symmetric:0.4:0'
    """

    def posterior() -> np.ndarray:
        # It knows of trainings, which need not be imported before.
        from thresher.findings.posterior import out_of_sample

        return out_of_sample(data, seed, device)

    clean = data.train.clean
    return noise.apply(
        specs,
        data.train.labels.numpy(),
        data.classes,
        seed=seed,
        confusions=data.confusions,
        superclasses=data.superclasses,
        map_text=mapping,
        inputs=lambda rows: data.train.dense(torch.as_tensor(rows)).numpy(),
        posterior=posterior,
        clean=None if clean is None else clean.numpy(),
        source=data.name,
    )


def _with_noise(
    data: Data, specs: Sequence[str], mapping: str | None, seed: int, device: str, drawn: Noise | None
) -> Labelling:
    if not specs:
        if mapping is not None:
            raise UsageError("a map of classes is for asymmetric noise, and no noise is asked for: add --noise")
        return Labelling(data, _human(data))
    if drawn is None or not _answers(drawn, data, specs, seed):
        drawn = put_in(data, specs, seed=seed, mapping=mapping, device=device)
    if drawn.rows is not None:
        data = data.keep(drawn.rows)
    if sentence := hopeless(drawn):
        warnings.warn(sentence, stacklevel=4)
    return Labelling(data.with_labels(torch.as_tensor(drawn.labels), torch.as_tensor(drawn.clean)), drawn)


def _answers(drawn: Noise, data: Data, specs: Sequence[str], seed: int) -> bool:
    """Whether noise that was drawn before is what the same request gives for these data."""
    clean = data.train.labels if data.train.clean is None else data.train.clean
    known = clean.numpy()
    if drawn.rows is not None and drawn.rows.max(initial=0) < len(known):
        known = known[drawn.rows]
    source = "" if data.train.clean is None else data.name
    same = (drawn.generator, drawn.version, drawn.classes)
    asked = noise.generator_text(specs, seed, source)
    return same == (asked, noise.VERSION, data.classes) and np.array_equal(drawn.clean, known)


def _human(data: Data) -> Noise | None:
    """What is known of labels that people got wrong, as a manifest like that of noise put in."""
    if data.train.clean is None:
        return None
    given, clean = data.train.labels.numpy(), data.train.clean.numpy()
    rate = float(np.mean(given != clean))
    return Noise(given, clean, data.name, noise.VERSION, 0, rate, data.classes)


def _of_annotators(reading: Reading) -> dict[str, str]:
    """Which columns of the file of labels hold annotators, where some do."""
    said = {"annotator": reading.annotator, "annotators": reading.annotators}
    return {name: columns for name, columns in said.items() if columns is not None}


def _warn_of_circles(path: str) -> None:
    """Warn of labels that models have corrected again and again: they come to fit the model, right or wrong."""
    times = generations(Path(path))
    if times > 1:
        warnings.warn(
            f"models have corrected the labels in {path} {times} times in a row, and each time they fit the model a "
            "little more, be it right or wrong: trust only a test set that nobody corrected, and let people look at a "
            "random part of the labels, with thresher review RUN --blind 100",
            stacklevel=5,
        )


def _corrected(before: Labelling, path: str, annotators: dict[str, str]) -> Labelling:
    """Labels, weights and soft labels of a file; rows whose label is empty there are left out."""
    keys, classes = before.data.train.keys, before.data.classes
    _warn_of_circles(path)
    if annotators:
        from thresher.annotators.find import voted_labels

        file = voted_labels(path, keys, classes, **annotators)
    else:
        file = read_labels(Path(path), keys, classes)
    kept = np.flatnonzero(file.labels >= 0)
    labels = torch.as_tensor(file.labels[kept])
    data = before.data.keep(kept)
    missing = sorted(set(range(len(data.classes))) - set(labels.unique().tolist()))
    if missing:
        raise UsageError(
            f"{path} leaves no row with the label {data.classes[missing[0]]!r}: a class needs rows to be learned from"
        )
    gone, names = np.flatnonzero(file.labels < 0), before.data.classes
    drawn = before.noise
    if drawn is not None:
        rows = kept if drawn.rows is None else drawn.rows[kept]
        drawn = replace(drawn, labels=file.labels[kept], clean=drawn.clean[kept], rows=rows)
    return Labelling(
        data.with_labels(labels, data.train.clean),
        drawn,
        before=before.data.train.labels[torch.as_tensor(kept)],
        left_out=tuple((before.data.train.keys[row], names[int(before.data.train.labels[row])]) for row in gone),
        weights=None if file.weights is None else torch.as_tensor(file.weights[kept]),
        targets=None if file.targets is None else torch.as_tensor(file.targets[kept]),
    )


def _trusting(before: Labelling, said: str, seed: int) -> Labelling:
    data = before.data
    if said.startswith("per-class:"):
        rows, labels = _per_class(said, data, seed)
    else:
        rows, labels = _vouched(Path(said), before)
    changed = data.train.labels.clone()
    changed[torch.as_tensor(rows)] = torch.as_tensor(labels)
    return replace(before, data=data.with_labels(changed, data.train.clean), trusted=rows)


def _vouched(path: Path, before: Labelling) -> tuple[np.ndarray, np.ndarray]:
    """Rows and labels in a file of labels, in one of decisions, or in a run folder that holds one.

    Those that the labels to learn from leave out are passed over.
    """
    path = path / decisions.NAME if path.is_dir() else path
    table = _decided(path) if path.suffix.lower() == ".jsonl" else keyed(path)
    left = table[~table["key"].isin({key for key, _ in before.left_out})]
    if left.empty:
        raise UsageError(f"{path} vouches for no label that is learned from: review some first, with thresher review")
    return matched(left, before.data.train.keys, before.data.classes, path)


def _decided(path: Path) -> pd.DataFrame:
    """The labels that people vouch for in a file of decisions."""
    return trusted_labels(decisions.fold(decisions.read(path)))


def _per_class(said: str, data: Data, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """N rows of each true class, and their true labels."""
    count = said.removeprefix("per-class:")
    if not count.isdecimal() or int(count) < 1:
        raise UsageError(
            f"trusted is {said!r}: write per-class:N with N samples of each class, for instance per-class:10"
        )
    if data.train.clean is None:
        raise UsageError(
            "per-class trusted samples need known true labels: put noise in with --noise, or pass a CSV file"
        )
    draws = np.random.Generator(np.random.PCG64(seed))
    clean = data.train.clean.numpy()
    rows = [draws.permutation(np.flatnonzero(clean == k))[: int(count)] for k in range(len(data.classes))]
    chosen = np.sort(np.concatenate(rows))
    return chosen, clean[chosen]
