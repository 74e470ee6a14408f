"""The demonstration's figures, as `make demo` gives them, for the README.

python benchmarks/demo.py [--out FILE.json] [--figure FILE.svg]
"""

import argparse
import datetime
import json
import shutil
import sys
import tempfile
from pathlib import Path

from thresher.bench import machine
from thresher.demo import EPOCHS, NOISE, run


def main() -> None:
    """Run the demonstration, and write its JSON and its first figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--figure", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = run(Path(folder) / "demo")
        figure = Path(result.pop("report")).parent / "figures" / "accuracy-test.svg"
        if args.figure:
            args.figure.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(figure, args.figure)
    document = {
        "benchmark": "demo",
        "command": "python " + " ".join(sys.argv),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine(),
        "settings": {"data": "digits", "noise": NOISE, "epochs": EPOCHS, "seed": 0},
        "result": result,
    }
    print(json.dumps(document["result"], indent=1))
    if args.out:
        args.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
