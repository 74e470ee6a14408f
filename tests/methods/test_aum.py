"""AUM: margins, the threshold, two disjoint trainings, and the wrong labels they find."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from thresher.engine.combine import Combination
from thresher.engine.evaluate import Judge
from thresher.engine.loop import train
from thresher.engine.options import resolve
from thresher.engine.run import Run
from thresher.engine.study import Study
from thresher.methods import parse
from thresher.methods.aum import AUM


def study_of(toy: Any, material: Any, methods: str = "aum", **settings: Any) -> Study:
    plain = {"epochs": 10, "batch": 32, "schedule": {"name": "cosine"}, "monitor": False, "optimizer": {"lr": 0.05}}
    return Study(Combination(parse(methods)), resolve({**plain, **settings}), material(toy))


def test_margins_are_summed_on_raw_logits(make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[int, list[float]] = {}
    run = make_run("aum", epochs=2)
    original = run.method.observe

    def observe(step: Any) -> None:
        for row, label, logits in zip(step.index.tolist(), step.label.tolist(), step.logits.tolist(), strict=True):
            others = [z for k, z in enumerate(logits) if k != label]
            seen.setdefault(row, []).append(logits[label] - max(others))
        original(step)

    monkeypatch.setattr(run.method, "observe", observe)
    train(run, Judge(monitor=False))
    sums = run.table("aum_margin.0").full()
    assert sums[:, 1].tolist() == [2.0] * run.size
    for row, margins in seen.items():
        assert sums[row, 0].item() == pytest.approx(sum(margins), abs=1e-5)


def test_judging_by_hand() -> None:
    sums = torch.tensor([[4.0, 2.0], [-3.0, 1.0], [10.0, 2.0], [1.0, 1.0], [0.0, 0.0]])
    suspicion = AUM(50.0).judge(sums, torch.tensor([1, 3]))  # threshold: the median of -3 and 1
    assert suspicion.tolist() == [-3.0, torch.inf, -6.0, torch.inf, -1.0]


@pytest.mark.parametrize("percentile", [90.0, 99.0, 100.0])
def test_the_threshold_is_numpys_percentile(percentile: float) -> None:
    torch.manual_seed(0)
    area = torch.randn(300)
    chosen = torch.randperm(300)[:60]
    suspicion = AUM(percentile).judge(torch.stack([3 * area, torch.full((300,), 3.0)], 1), chosen)
    threshold = np.percentile(area[chosen].numpy(), percentile)
    rest = torch.ones(300, dtype=torch.bool)
    rest[chosen] = False
    assert torch.allclose(suspicion[rest], float(threshold) - area[rest], atol=1e-5)


class Recorder(Study):
    """A study that remembers how each fit was asked for."""

    def fit(self, name: str | None, *methods: Any, **changes: Any) -> Run:
        if not hasattr(self, "asked"):
            self.asked: dict[str | None, tuple[tuple[Any, ...], dict[str, Any]]] = {}
        self.asked[name] = (methods, changes)
        return super().fit(name, *methods, **changes)


def test_fits_are_disjoint_and_merged_by_agreement(toy: Any, make_material: Callable[..., Any]) -> None:
    plain = study_of(toy, make_material, "gce,aum")
    study = Recorder(plain.method, plain.options, plain.material)
    result = study.run()
    sets = []
    for name in ("aum-first", "aum-second"):
        methods, changes = study.asked[name]
        assert methods == (AUM(),)
        assert (changes["epochs"], changes["schedule"]) == (5, {"name": "constant"})
        threshold = changes["labels"] == toy.classes
        assert int(threshold.sum()) == toy.size // (toy.classes + 1)
        assert torch.equal(changes["labels"][~threshold], toy.given[: toy.size][~threshold])
        sets.append(threshold)
    assert not (sets[0] & sets[1]).any()
    methods, changes = study.asked[None]
    assert [type(m).__name__ for m in methods] == ["GCE"]
    assert torch.equal(changes["keep"], changes["tables"]["aum_suspicion"] <= 0)
    assert torch.equal(AUM().suspicion(result), changes["tables"]["aum_suspicion"])
    assert AUM().suspicion(result).isfinite().all()  # every sample was judged at least once
    assert result.outputs == toy.classes
    assert len(study.judges[None].history) == 10


def test_a_label_is_wrong_only_if_every_judge_says_so(
    toy: Any, make_material: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = iter([torch.full((toy.size,), 1.0), torch.full((toy.size,), -1.0)])
    verdicts: list[torch.Tensor] = []

    def judge(self: AUM, sums: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        verdict = next(said)
        verdict[chosen] = torch.inf
        verdicts.append(verdict)
        return verdict

    monkeypatch.setattr(AUM, "judge", judge)
    result = study_of(toy, make_material, epochs=2).run()
    own = verdicts[1].isinf()  # only the first training could judge these, and it says wrong
    assert torch.equal(AUM().suspicion(result) > 0, own)


def test_the_planted_errors_are_found(toy: Any, make_material: Callable[..., Any]) -> None:
    study = study_of(toy, make_material, epochs=20)
    result = study.run()
    called = AUM().suspicion(result) > 0
    assert (called & toy.wrong).sum() / called.sum() > 0.8
    assert (called & toy.wrong).sum() / toy.wrong.sum() > 0.8
    assert study.judges[None].scores()["last"] > 0.9  # type: ignore[operator]
