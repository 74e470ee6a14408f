"""`thresher predict` and `thresher export`: use what was trained."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from thresher.cli import options
from thresher.cli.files import refuse_existing, write


def predict(
    run: Annotated[Path, typer.Argument(help="The folder of a trained run.")],
    data: Annotated[str, typer.Argument(help="Inputs of the kind it was trained on; labels are not needed.")],
    out: Annotated[Path | None, typer.Option(help="A new CSV file. Default: standard output.")] = None,
    path: options.ImagePath = None,
    text: options.Text = None,
    id_column: options.Id = None,
    skip_bad: options.SkipBad = False,
    root: options.Root = None,
    debug: options.Debug = False,
) -> None:
    """Say what each sample is: key, predicted, and one probability column per class."""
    from thresher.data import Reading
    from thresher.data.delimited import as_csv
    from thresher.result import load

    refuse_existing(out)
    result = load(run)
    trained = Reading(**result.run["request"]["reading"])
    said: dict[str, Any] = {"path": path, "text": text, "id": id_column, "skip_bad": skip_bad or None}
    reading = dataclasses.replace(trained, **{name: value for name, value in said.items() if value is not None})
    table = result.predictions(data, reading=reading, root=root)
    content = as_csv(table)
    if out is None:
        typer.echo(content, nl=False)
        return
    write(out, content)
    counts = table.iloc[:, 1].value_counts()
    most = ", ".join(f"{name} {count:,}" for name, count in counts.head(5).items())
    typer.echo(f"{len(table):,} predictions in {out}: {most}" + (" ..." if len(counts) > 5 else ""))


def export(
    run: Annotated[Path, typer.Argument(help="The folder of a trained run.")],
    out: Annotated[Path, typer.Option(help="The new file, as in model.pt2 or model.onnx.")],
    kind: Annotated[str, typer.Option("--format", help="torch, or onnx (needs the extra onnx).")] = "torch",
    debug: options.Debug = False,
) -> None:
    """Write the trained model to a file that runs without Thresher."""
    from thresher.result import load

    result = load(run)
    path = result.export(out, kind)
    shape = " x ".join(map(str, result.run["data"]["shape"]))
    read = "torch.export.load(path).module()" if kind == "torch" else "onnxruntime.InferenceSession(path)"
    typer.echo(f"{path}: takes batches of {shape}, gives class probabilities; read it with {read}")
    typer.echo(f"{path}.json: the class names, and what the input must be")
