"""Write docs/benchmarks.md and the README's demo table from benchmarks/results/*.json.

    python benchmarks/tables.py [--check]

`--check` changes nothing and fails when a page is not what the results say, so that no figure is typed by hand.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from thresher import bench, suites

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
LEGEND = (
    "Test accuracy: after the last epoch, at the epoch that a noisy held-out tenth selects, and at the best test "
    "epoch, which leaks. Detection of wrong labels by each method's own score, or the margin over training where it "
    "has none. Mean and deviation over seeds, in %."
)


def percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"


def table(header: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [header, ["---"] * len(header), *rows])


def origin(document: dict[str, Any]) -> str:
    """Where figures come from: machine, versions, command."""
    machine = document["machine"]
    device = machine["gpu"] or f"{machine['processor']}, {machine['cores']} cores, {machine['threads']} threads"
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    note = f"; {document['note']}" if "note" in document else ""
    return f"{device}; {versions}; {document['date']}; `{document['command']}`{note}"


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


def shown(pair: tuple[float, float] | None) -> str:
    """Percent, and the sample deviation over seeds."""
    return "" if pair is None else percent(pair[0]) + (f" ± {100 * pair[1]:.1f}" if pair[1] else "")


def suite(document: dict[str, Any]) -> str:
    """One table per data set and noise: the mean over seeds of every method's figures."""
    lines = bench.summary(document)
    parts = [f"## {document['title']}", document["protocol"], LEGEND]
    for data, noise in dict.fromkeys((line["data"], line["noise"]) for line in lines):
        own = [line for line in lines if (line["data"], line["noise"]) == (data, noise)]
        counts = sorted({line["seeds"] for line in own})
        wrong = "" if own[0]["realised"] is None else f"{percent(own[0]['realised'][0])} % of the labels are wrong; "
        seeds = f"{' or '.join(map(str, counts))} seed{'s'[: counts[-1] != 1]}"
        parts += [f"{data}, `{noise}`: {wrong}{seeds}.", one_noise(own)]
    was = (
        f"; measured by the script that came before it, `{document['measured_with']}`"
        if "measured_with" in document
        else ""
    )
    return "\n\n".join([*parts, origin(document) + was])


def one_noise(lines: list[dict[str, Any]]) -> str:
    figures = ("last", "selected", "oracle", "average_precision", "f1")
    header = ["method", "last", "selected", "oracle (leaks)", "average precision", "F1", "detector"]
    published = any(line["published"] for line in lines)
    rows = []
    for line in lines:
        name = line["method"] + (" (saw clean labels)" if line["sees_clean"] else "")
        rows.append([name, *(shown(line[figure]) for figure in figures), line["detector"] or ""])
        if published:
            rows[-1].append(beside(line))
    return table([*header, "published, and ours minus it"] if published else header, rows)


def beside(line: dict[str, Any]) -> str:
    """The figure of others for the same cell."""
    found = line["published"]
    if found is None:
        return ""
    return f"{percent(found['value'])} {found['metric']} ({100 * line['difference']:+.1f}; {found['source']})"


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


def cdr_step(document: dict[str, Any]) -> str:
    settings = document["settings"]
    rows = []
    for name, found in document["cases"].items():
        full, step = found["full"], found["step"]
        low, high = full["quartiles"]
        cells = [f"{full['ratio']:.3f}", f"{low:.3f} to {high:.3f}", f"{step['ratio']:.2f}", f"{found['memory']:.2f}"]
        rows.append([name, *cells])
    size = f"{settings['weights'] / 1e6:.1f} million weights"
    return "\n\n".join(
        [
            f"## CDR's step on {size} ({settings['net']}, batch {settings['batch']})",
            f"Over plain SGD's, median of {settings['pairs']} interleaved pairs: the whole step with its forward and "
            "backward pass, and the optimiser's step alone. Memory: the most that a step holds more than plain SGD's, "
            "over the size of the gradient. By topk and by sort: the authors' procedure written out.",
            table(["mode", "whole step", "quartiles", "optimiser's step alone", "memory"], rows),
            origin(document),
        ]
    )


def noise_estimation(document: dict[str, Any]) -> str:
    groups: dict[tuple[str, str], dict[str, list[dict[str, Any]]]] = {}
    for row in document["rows"]:
        groups.setdefault((row["data"], row["noise"]), {}).setdefault(row["estimator"], []).append(row)
    lines = []
    for (data, noise), found in groups.items():
        first = next(iter(found.values()))
        line = [data, f"`{noise}`", str(len(first)), percent(first[0]["realised"])]
        wanted = [(one, figure) for one in ("confident", "anchors") for figure in ("rate", "row_distance")]
        means = (bench.mean_and_spread(row[figure] for row in found[one]) for one, figure in wanted)
        lines.append([*line, *map(shown, means)])
    header = ["data", "noise", "seeds", "wrong", "rate, confident", "rows off", "rate, anchors", "rows off"]
    settings = document["settings"]
    return "\n\n".join(
        [
            "## Estimating the noise",
            f"The share of wrong labels and the transition matrix, from {settings['folds']}-fold cross-fitted "
            f"probabilities of plain training ({settings['rows']:,} rows, all of digits): by confident learning and by "
            "anchor points. `rows off`: total variation between an estimated row of the matrix and the true one, mean "
            "over classes. In %.",
            table(header, lines),
            origin(document),
        ]
    )


def detection(document: dict[str, Any]) -> str:
    rows = []
    for name in dict.fromkeys(row["data"] for row in document["rows"]):
        own = [row for row in document["rows"] if row["data"] == name]
        single = max({one for row in own for one in names(row)}, key=lambda one: mean(own, one))
        cells = [[row["combined"]["ap"] for row in own], [row["combined"]["f1"] or 0.0 for row in own]]
        default = [row["cleanlab"]["normalized_margin"]["f1"] or 0.0 for row in own]
        best, errors = mean(own, single), [row["calibration"]["ece"] for row in own]
        rates = " / ".join(percent(sum(row[what] for row in own) / len(own)) for what in ("rate", "realised"))
        ours = sum(cells[0]) / len(own)
        line = [name, str(len(own)), shown(bench.mean_and_spread(cells[0])), f"{percent(best)} {single}"]
        line += [f"{100 * (ours - best):+.1f}", shown(bench.mean_and_spread(cells[1]))]
        rows.append([*line, shown(bench.mean_and_spread(default)), rates, shown(bench.mean_and_spread(errors))])
    header = ["data", "seeds", "combined: AP", "best single AP", "difference", "combined: F1", "cleanlab's default F1"]
    header += ["share wrong, estimated / true", "calibration error"]
    return "\n\n".join(
        ["## Finding wrong labels", document["protocol"], table(header, rows) + "\n\nIn %.", origin(document)]
    )


def names(row: dict[str, Any]) -> list[str]:
    """The single scores of a row; cleanlab's with adjusted probabilities is off by default there, and stands apart."""
    return [*row["thresher"], *(one for one in row["cleanlab"] if "adjust" not in one)]


def mean(rows: list[dict[str, Any]], name: str) -> float:
    """Average precision of one single score, mean over seeds."""
    return sum(({**row["cleanlab"], **row["thresher"]})[name]["ap"] or 0.0 for row in rows) / len(rows)


def label_issues(document: dict[str, Any]) -> str:
    rows = []
    for name, found in document["cases"].items():
        low, high = found["quartiles"]
        extra = found.get("extra")
        memory = "" if extra is None else f"{extra['ours_mib']:.0f} / {extra['one process_mib']:.0f}"
        seconds = found["seconds"]
        fastest = min(seconds["one process"], seconds["default"])
        rows.append([name, f"{found['ratio']:.2f}", f"{low:.2f} to {high:.2f}", f"{seconds['ours']:.3f}"])
        rows[-1] += [f"{fastest:.3f}", memory, "yes" if found["equal"] else "**no**"]
    header = ["case", "times faster", "quartiles", "seconds", "cleanlab's", "MiB more, ours / cleanlab's", "same rows"]
    settings = document["settings"]
    return "\n\n".join(
        [
            f"## Label issues, against cleanlab {settings['cleanlab']}",
            f"`th.find_label_issues` and cleanlab's faster setting in turn, {settings['pairs']} pairs; the ratio is "
            "the median over pairs. Memory beside the probabilities.",
            table(header, rows),
            origin(document),
        ]
    )


def out_of_core(document: dict[str, Any]) -> str:
    found, settings = document["results"], document["settings"]
    wide = f"{settings['rows']:,} x {settings['classes']} {settings['dtype']}"
    rows = [
        [
            f"`thresher find`, 1,000,000 x 10 {kind}, start to CSV",
            one["seconds"],
            one["processor_seconds"],
            "",
            one["load"],
        ]
        for kind, one in found["command"].items()
    ]
    for what in ("mask", "suspects listed"):
        one = found[what]
        rows.append([f"{wide}, {what}", one["seconds"], one["processor_seconds"], one["peak_mib"], one["load"]])
    header = ["what", "seconds", "of processor", "peak MiB", "load of the machine"]
    return "\n\n".join(
        ["## Out of core", table(header, [[str(cell) for cell in row] for row in rows]), origin(document)]
    )


def neighbours(document: dict[str, Any]) -> str:
    rows = [
        [
            size,
            name,
            f"{found['processor_s']:.1f}",
            f"{found['times_ours']:.2f}",
            f"{100 * found['same_neighbours']:.3f}",
        ]
        for size, searches in document["searches"].items()
        for name, found in searches.items()
    ]
    header = ["rows x features", "search", "processor seconds", "times ours", "% same neighbours"]
    settings = document["settings"]
    return "\n\n".join(
        [
            f"## Neighbours ({settings['k']}, {settings['metric']})",
            "Every row's nearest others by exact search, one thread.",
            table(header, rows),
            origin(document),
        ]
    )


PAGES = {
    "detection": detection,
    "label_issues": label_issues,
    "neighbours": neighbours,
    "out_of_core": out_of_core,
    "cdr_step": cdr_step,
    "noise-estimation": noise_estimation,
    "overhead": overhead,
    "streaming": streaming,
    **dict.fromkeys(suites.names(), suite),
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
