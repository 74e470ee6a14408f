"""A small report in which everything is known, to take away from."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from thresher.audit.evidence import Evidence
from thresher.audit.issues import issues_table
from thresher.audit.scores import detection
from thresher.report import Report, RunView

CLASSES = ("cat", "<b>dog</b>", '$x_1$ & "eel"')
KEYS = [f"<i>{n}</i>.png" for n in range(40)]


@pytest.fixture
def history() -> pd.DataFrame:
    epochs = np.arange(1, 6)
    fractions = {name: np.linspace(0.2, 0.9, 5) for name in ("clean_right", "wrong_memorised", "test", "valid")}
    return pd.DataFrame({"epoch": epochs, "train": 0.5, "changes": 0.1, **fractions})


@pytest.fixture
def report(history: pd.DataFrame) -> Report:
    rng = np.random.default_rng(0)
    true = rng.integers(0, 3, 40)
    given = np.where(rng.random(40) < 0.3, (true + 1) % 3, true)
    belief = np.full((40, 3), 0.05)
    belief[np.arange(40), true] = 0.9
    score = np.where(given != true, 0.9, -0.9) + rng.normal(0, 0.1, 40)
    evidence = [Evidence("elr", score, belief), Evidence("loss", score * 2), Evidence("margin", score - 0.1)]
    issues = issues_table(evidence, keys=KEYS, given=given, probabilities=belief, classes=CLASSES)
    accuracies: dict[str, Any] = {
        "last": 0.7,
        "last10": 0.71,
        "selected": 0.8,
        "oracle": 0.9,
        "best_epoch": 3,
        "seconds": 2.0,
    }
    plain = RunView("cross_entropy", "baseline", "CrossEntropy()", history=history, **accuracies)
    chosen = RunView("elr", "regularisation", "ELR()", history=history, issues=issues, sees_clean=True, **accuracies)
    return Report(
        title="<script>alert(1)</script>",
        data="toy, 40 images",
        classes=CLASSES,
        runs=[plain, chosen],
        chosen=1,
        detections=[{"name": e.name, **detection(e.flagged, e.score, given != true)} for e in evidence],
        noise={"generator": "symmetric", "nominal": 0.3, "realised": 0.31, "seed": 0, "matrix": np.eye(3)},
        truth={key: CLASSES[k] for key, k in zip(KEYS, true, strict=True)},
        image=lambda row: np.full((8, 8), row, dtype=np.uint8),
        command="thresher demo",
        versions={"thresher": "0.1.0"},
        test_size=360,
    )
