"""Write docs/benchmarks.md and the README's demo table from benchmarks/results/*.json.

    python benchmarks/tables.py [--check]

`--check` changes nothing and fails when a page is not what the results say, so that no figure is typed by hand.
"""

import json
import re
import statistics
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"


def percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"


def table(header: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [header, ["---"] * len(header), *rows])


def origin(document: dict[str, Any]) -> str:
    """Where figures come from: machine, versions, command."""
    machine = document["machine"]
    device = machine["gpu"] or f"{machine['processor']}, {machine['cores']} cores, {machine['threads']} threads"
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return f"{device}; {versions}; {document['date']}; `{document['command']}`"


def overhead(document: dict[str, Any]) -> str:
    rows = []
    for name, m in document["methods"].items():
        low, high = m["quartiles"]
        rows.append(
            [name, f"{m['ratio']:.3f}", f"{low:.3f} to {high:.3f}", f"{m['passes']:.2f}", f"{m['over_passes']:.3f}"]
        )
    settings = document["settings"]
    extra = [[name, str(value)] for name, value in {**document["batches_us"], **document["table"]}.items()]
    return "\n\n".join(
        [
            f"## What a step costs ({settings['net']}, 3x32x32, batch {settings['batch']})",
            f"Median of {settings['pairs']} interleaved pairs against plain cross-entropy's step. `passes`: what the "
            "network passes alone would cost; `over passes`: what everything else adds.",
            table(["method", "times cross-entropy", "quartiles", "passes", "over passes"], rows),
            table(["bookkeeping", "microseconds per batch, or as named"], extra),
            origin(document),
        ]
    )


def mnist(document: dict[str, Any]) -> str:
    shown = ("last", "selected", "oracle", "realised")
    rows = [
        [r["method"], str(r["seed"]), *(percent(r[name]) for name in shown), str(r["seconds"])]
        for r in document["rows"]  # one per seed
    ]
    return "\n\n".join(
        [
            "## MNIST, 60 % symmetric noise, LeNet, Adam",
            "Test accuracy in %; `selected` by a noisy held-out tenth, `oracle` is the best test epoch (leaks).",
            table(["method", "seed", "last", "selected", "oracle (leaks)", "wrong labels", "seconds"], rows),
            origin(document),
        ]
    )


def demo_rows(document: dict[str, Any]) -> str:
    methods, found = document["result"]["methods"], document["result"]["detection"]
    rows = [[m["method"], percent(m["last"]), percent(m["selected"]), f"{m['seconds']:.0f}"] for m in methods]
    return "\n\n".join(
        [
            table(["method", "last epoch", "selected epoch", "seconds"], rows),
            f"Test accuracy in percent, seed 0. `{found['method']}` found {percent(found['recall'])} % of the wrong "
            f"labels, and {percent(found['precision'])} % of its suspects are wrong.",
        ]
    )


def mean_and_spread(values: list[float]) -> str:
    """Percent, and the sample deviation over seeds."""
    spread = f" ± {100 * statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{percent(statistics.mean(values))}{spread}"


def seeds(document: dict[str, Any]) -> str:
    """One table per noise: the mean over seeds of every method's figures."""
    figures = ("last", "selected", "oracle", "average_precision", "f1")
    header = ["method", "last", "selected", "oracle (leaks)", "detector", "average precision", "F1"]
    parts = []
    for noise in sorted({row["noise"] for row in document["rows"]}, reverse=True):
        by_method: dict[str, list[dict[str, Any]]] = {}
        for row in document["rows"]:
            if row["noise"] == noise:
                by_method.setdefault(row["method"] + (" (saw clean labels)" if row["sees_clean"] else ""), []).append(
                    row
                )
        rows = []
        for method, own in sorted(by_method.items()):
            cells = [mean_and_spread([one[name] for one in own]) for name in figures]
            rows.append([method, *cells[:3], own[0]["detector"], *cells[3:]])
        wrong = percent(statistics.mean(row["realised"] for row in document["rows"] if row["noise"] == noise))
        count = len({row["seed"] for row in document["rows"] if row["noise"] == noise})
        parts += [
            f"`{noise}`: {wrong} % of the labels are wrong; {count} seed{'s'[: count != 1]}.",
            table(header, rows),
        ]
    return "\n\n".join(parts)


def fashion(document: dict[str, Any]) -> str:
    settings = document["settings"]
    return "\n\n".join(
        [
            f"## Fashion-MNIST, {settings['rows']:,} training images, {settings['net']}, {settings['epochs']} epochs",
            "Test accuracy, and detection by each method's own score (the margin over training where it "
            "has none): mean and deviation over seeds, in %. The learning rate is high and constant, so that plain "
            "training memorises within the 15 epochs; no setting was chosen per method.",
            seeds(document),
            origin(document),
        ]
    )


def cifar10n(document: dict[str, Any]) -> str:
    settings = document["settings"]
    what = f"{settings['data']}, {settings['rows']:,} training images, {settings['net']}, {settings['epochs']} epochs"
    return "\n\n".join(
        [
            f"## {what}",
            "Human labels; detection is scored against the official ones, which no method sees. So short a training of "
            "so small a network hardly memorises, and nothing is gained over cross-entropy here.",
            seeds(document),
            origin(document),
        ]
    )


def streaming(document: dict[str, Any]) -> str:
    settings, found = document["settings"], document["results"]
    ours, theirs = found["images_per_second"]["thresher"], found["images_per_second"]["torchvision"]
    low, high = found["quartiles"]
    sides = " to ".join(map(str, settings["sides"]))
    return "\n\n".join(
        [
            f"## Reading JPEGs of {sides} px at {settings['size']} px, {settings['workers']} workers",
            f"Images per second of an epoch, against torchvision's ImageFolder and a DataLoader with as many workers: "
            f"{ours:.0f} and {theirs:.0f}; median ratio of {settings['pairs']} pairs in turn **{found['ratio']:.2f}** "
            f"(quartiles {low:.2f} to {high:.2f}).",
            origin(document),
        ]
    )


PAGES = {
    "overhead": overhead,
    "mnist-symmetric60": mnist,
    "fashion-mnist": fashion,
    "streaming": streaming,
    "cifar10n-worse": cifar10n,
}


def pages() -> dict[Path, str]:
    """Every generated page, by path."""
    documents = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))]
    demo = next(d for d in documents if d["benchmark"] == "demo")
    sections = [PAGES[d["benchmark"]](d) for d in documents if d["benchmark"] in PAGES]
    sections.append("\n\n".join(["## The demo", demo_rows(demo), origin(demo)]))
    body = "# Benchmarks\n\nWritten by `python benchmarks/tables.py` from `benchmarks/results/*.json`; do not edit.\n\n"
    readme = (ROOT / "README.md").read_text()
    shown = re.sub(
        r"<!-- demo -->.*<!-- /demo -->", f"<!-- demo -->\n{demo_rows(demo)}\n<!-- /demo -->", readme, flags=re.DOTALL
    )
    return {ROOT / "docs" / "benchmarks.md": body + "\n\n".join(sections) + "\n", ROOT / "README.md": shown}


def main() -> None:
    """Write the pages, or check them."""
    for path, text in pages().items():
        if "--check" not in sys.argv:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            sys.exit(f"{path.name} is not what the results say: run python benchmarks/tables.py")


if __name__ == "__main__":
    main()
