"""The sets of `detection.py`: where they come from, and what makes their labels wrong."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.cluster import MiniBatchKMeans

from thresher import data as sources
from thresher.bench import balanced
from thresher.data import Data, Reading


@dataclass(frozen=True)
class Source:
    """Where a set comes from: the folder of official files, one for what is computed once, images per set, a seed."""

    root: Path
    cache: Path
    rows: int
    seed: int

    def images(self, name: str) -> Data:
        """As many images of each true class."""
        return balanced(sources.load(name, root=self.root), self.rows)

    def people(self, name: str) -> Data:
        """CIFAR-N, as features of patches."""
        data = self.images(name)
        kept = self.cache / f"patches-{name.partition(':')[0]}-{self.rows}.npy"
        if not kept.exists():
            np.save(kept, patch_features(data.train.dense()))
        features = sources.load((np.load(kept), data.train.labels.numpy()), name=name)
        return features.with_labels(data.train.labels, clean=data.train.clean)

    def texts(self, name: str) -> tuple[Data, np.ndarray]:
        """Texts with their true labels, and how often the rules vote for each class ``[N, K]``."""
        file = np.load(self.root / "text" / f"{name}.npz")
        names = file["class_names"]
        table = pd.DataFrame({"text": file["train_text"], "label": names[file["train_label"]]})
        data = sources.load(table, reading=Reading(text="text", label="label"))
        place = [names.tolist().index(one) for one in data.classes]
        return data, np.stack([(file["train_weak"] == k).sum(1) for k in place], axis=1)

    def rules(self, name: str) -> Data:
        """Labelled by the majority of the rules, ties drawn."""
        data, votes = self.texts(name)
        best = (votes + np.random.default_rng(self.seed).random(votes.shape) / 2).argmax(1)
        labelled = data.with_labels(torch.as_tensor(best), clean=data.train.labels)
        return labelled.keep(np.flatnonzero(votes.sum(1)))

    def bank(self) -> Data:
        """8,000 customers."""
        table = pd.read_csv(self.root / "tabular" / "bank-full.csv", dtype=str)
        drawn = table.sample(8000, random_state=self.seed).reset_index(drop=True)
        return sources.load(drawn, reading=Reading(label="y"))


def patch_features(images: torch.Tensor, centres: int = 400, side: int = 6, seed: int = 0) -> np.ndarray:
    """Sums over quadrants of how near each patch is to each k-means centre, float32 ``[N, 4 * centres]``."""
    draws = np.random.default_rng(seed)
    x = images.float() / 255

    def patches(block: torch.Tensor) -> torch.Tensor:
        found = torch.nn.functional.unfold(block, side).transpose(1, 2)
        found = found - found.mean(2, keepdim=True)
        return found / (found.var(2, keepdim=True) + 10 / 255**2).sqrt()

    places = (images.shape[2] - side + 1) ** 2
    chosen = draws.permutation(len(x))[:5000]
    some = torch.cat([patches(x[i : i + 1])[0][torch.as_tensor(draws.integers(0, places, 10))] for i in chosen])
    mean = some.mean(0)
    values, vectors = torch.linalg.eigh(torch.cov((some - mean).T))
    white = vectors @ torch.diag((values + 0.1).rsqrt()) @ vectors.T
    means = MiniBatchKMeans(centres, random_state=seed, n_init=1, batch_size=4096, max_iter=20)
    centre = torch.as_tensor(means.fit(((some - mean) @ white).numpy()).cluster_centers_)
    rows = []
    for block in x.split(50):
        far = torch.cdist((patches(block) - mean) @ white, centre)
        near = (far.mean(2, keepdim=True) - far).clamp(min=0).unflatten(1, (images.shape[2] - side + 1, -1))
        halves = [half for wide in near.chunk(2, 1) for half in wide.chunk(2, 2)]
        rows.append(torch.cat([half.sum((1, 2)) for half in halves], dim=1))
    found: np.ndarray = torch.cat(rows).numpy()
    return found


@dataclass(frozen=True)
class Recipe:
    """A set: its data, the noise put into it, and what is trained on it."""

    load: Callable[[Source], Data]
    net: str
    epochs: int
    noise: str | None = None
    mapping: str | None = None


SETS = {
    "bank-symmetric": Recipe(Source.bank, "mlp", 20, "symmetric:0.2"),
    "bank-asymmetric": Recipe(Source.bank, "mlp", 20, "asymmetric:0.3", "yes>no"),
    "sms-rules": Recipe(lambda source: source.rules("sms"), "mlp", 30),
    "trec-rules": Recipe(lambda source: source.rules("trec"), "mlp", 30),
    "trec-symmetric": Recipe(lambda source: source.texts("trec")[0], "mlp", 30, "symmetric:0.25"),
    "fashion-instance": Recipe(lambda source: source.images("fashion_mnist"), "lenet", 15, "instance:0.4"),
    "fashion-symmetric": Recipe(lambda source: source.images("fashion_mnist"), "lenet", 15, "symmetric:0.4"),
    "fashion-asymmetric": Recipe(lambda source: source.images("fashion_mnist"), "lenet", 15, "asymmetric:0.4"),
    "cifar10n-worse": Recipe(lambda source: source.people("cifar10n:worse"), "mlp", 20),
    "cifar10n-aggre": Recipe(lambda source: source.people("cifar10n:aggre"), "mlp", 20),
    "cifar100n": Recipe(lambda source: source.people("cifar100n"), "mlp", 20),
}
