"""The demonstration: what wrong labels do to plain training, and what the methods do about it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from thresher import data as sources
from thresher import methods as zoo
from thresher.errors import UsageError
from thresher.findings import choose
from thresher.jobs import fresh_folder, prepare
from thresher.reporting import write_report
from thresher.result import Result
from thresher.training import train

NOISE = "symmetric:0.4"
EPOCHS = 60
METHODS: dict[str, dict[str, Any]] = {
    "cross_entropy": {},
    "gce": {},
    "elr": {},
    "co_teaching": {"noise_rate": 0.4},
    "dividemix": {},
}
"""The methods compared, with the settings that differ from their papers' defaults."""

_FOLDS = 5


def run(
    out: Path | None = None, progress: Callable[[str, str | None, dict[str, Any]], None] = lambda *shown: None
) -> dict[str, Any]:
    """Train every method on the same wrong labels, find them, and write one report.

    Args:
        out: a folder that does not exist yet; default ``runs/demo-N``.
        progress: called with the method's name, the fit's name and the record of each epoch.

    Returns:
        The document of ``thresher demo --json``.

    Raises:
        UsageError: the folder exists.
    """
    out = out or fresh_folder("demo")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} exists: pick another with --out")
    results = [_train(name, out, progress) for name in METHODS]
    chosen = choose([result.selected_valid for result in results])
    data = sources.load("digits")
    beside = [one for one in results[0].detections if one["name"] == "confident"]
    title = "Thresher's demonstration"
    path = write_report(results, out / "report.html", title=title, data=data, chosen=chosen, beside=beside)
    found = results[chosen].summary()["detection"]
    return {
        "methods": [
            {
                "method": r.method,
                "last": r.last,
                "selected": r.selected,
                "oracle": r.oracle,
                "seconds": round(r.seconds, 1),
            }
            for r in results
        ],
        "detection": found,
        "report": str(path),
    }


def _train(name: str, out: Path, progress: Callable[[str, str | None, dict[str, Any]], None]) -> Result:
    job = prepare(
        "digits",
        zoo.method(name, **METHODS[name]),
        noise=NOISE,
        out=out / name,
        device="cpu",
        cross_fit=_FOLDS if name == "cross_entropy" else 0,
        settings={"epochs": EPOCHS},
    )
    return train(job, lambda fit, record: progress(name, fit, record))
