"""Which methods can be a drop-in: those that do no more than a loss, or an optimiser, is shown."""

from collections.abc import Sequence

from thresher.engine.method import Method, filled_slots, name_of
from thresher.errors import UsageError

LOSS_SLOTS = frozenset({"inputs", "target", "loss", "weight", "penalty", "observe", "suspicion", "suggestion"})
OPTIMIZER_SLOTS = frozenset({"gradient", "suspicion", "suggestion"})
_WHY = {
    "prepare": "changes labels before the first epoch",
    "between": "works between epochs",
    "trust": "chooses the samples of an epoch",
    "inputs": "changes what goes into the network",
    "gradient": "works on gradients: use th.as_optimizer",
    "epoch": "runs its own epoch",
    "predictors": "chooses which networks predict",
    "fits": "needs several trainings",
}


def check_drop_in(methods: Sequence[Method], allowed: frozenset[str], what: str) -> None:
    """Refuse methods that do more than a drop-in can.

    Raises:
        UsageError: with the reason.
    """
    for method in methods:
        name = name_of(method)
        if getattr(method, "needs_trusted", False):
            raise UsageError(f"{name} cannot be {what}: it learns from trusted samples, which only a run can show it")
        if getattr(method, "networks", 1) > 1 or getattr(method, "extra_classes", 0):
            raise UsageError(f"{name} cannot be {what}: it needs its own networks; use th.fit")
        for slot in filled_slots(method):
            if slot not in allowed and slot not in getattr(method, "by_hand", ()):
                raise UsageError(f"{name} cannot be {what}: it {_WHY.get(slot, 'works on the loss: use th.as_loss')}")
