"""Options that several commands share, and what they say about reading the data."""

from pathlib import Path
from typing import Annotated

import typer

Label = Annotated[str | None, typer.Option(help="Table: the column of labels. Default label.")]
ImagePath = Annotated[str | None, typer.Option("--path", help="Table: the column of image paths.")]
Text = Annotated[str | None, typer.Option(help="Table: the column of texts.")]
TextModel = Annotated[
    str | None, typer.Option(help="A sentence-transformers model for the texts. Default TF-IDF and SVD.")
]
Id = Annotated[str | None, typer.Option("--id", help="Table: the column of keys. Default the row number.")]
Group = Annotated[str | None, typer.Option(help="Table: rows of one group never straddle a split or a fold.")]
Test = Annotated[str | None, typer.Option(help="A separate test set.")]
Labels = Annotated[
    str | None, typer.Option(help="A CSV or JSONL file (key, label) that replaces labels, as thresher correct writes.")
]
Annotator = Annotated[
    str | None, typer.Option(help="With --labels: the column of annotators' names, one row per label.")
]
Annotators = Annotated[
    str | None, typer.Option(help="With --labels: one column of labels per annotator: a,b,c or a* or a1..a5.")
]
Size = Annotated[int | None, typer.Option(help="Image side in pixels. Default from the median size, at most 128.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave unreadable images out, and list them.")]
Noise = Annotated[
    list[str] | None, typer.Option(help="Put wrong labels in: NAME:RATE[:SEED], or feature:TYPE:RATE. For benchmarks.")
]
Map = Annotated[str | None, typer.Option("--map", help="Class pairs of asymmetric noise, as in 'cat>dog,dog>cat'.")]
Net = Annotated[str | None, typer.Option(help="A network's name, torchvision:NAME, timm:NAME, or auto.")]
Weights = Annotated[str | None, typer.Option(help="A file of trained weights to start from.")]
Frozen = Annotated[bool | None, typer.Option("--frozen", help="Keep those weights, and train a layer on top.")]
Epochs = Annotated[int | None, typer.Option(help="Default 60.")]
Rate = Annotated[float | None, typer.Option(help="Learning rate at the start. Default 0.02.")]
Batch = Annotated[int | None, typer.Option("--bs", "--batch", help="Samples per step. Default 128.")]
Seed = Annotated[int | None, typer.Option(help="Of everything random. Default 0.")]
Valid = Annotated[float | None, typer.Option(help="Share held out to select the epoch. Default 0.1.")]
Trusted = Annotated[str | None, typer.Option(help="Rows known to be right: a CSV, a reviewed run, or per-class:N.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cpu:N, cuda, or CUDA numbers such as 0,2.")]
Workers = Annotated[int | None, typer.Option(help="Threads that read images. Default by the machine.")]
Out = Annotated[Path | None, typer.Option(help="The run folder. Default runs/NAME.")]
Name = Annotated[str | None, typer.Option(help="Of the run. Default: data, method and a counter.")]
Root = Annotated[Path | None, typer.Option("--data-root", help="Folder of official data files.")]
Keep = Annotated[int | None, typer.Option("--keep-checkpoints", help="Beside the selected one. Default 2.")]
Pairs = Annotated[list[str] | None, typer.Option("--set", help="method.field=value, or optimizer.lr=0.1.")]
Config = Annotated[Path | None, typer.Option("-c", "--config", help="A TOML file.")]
Resume = Annotated[Path | None, typer.Option(help="Go on with a run folder.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check everything, say what would be done, stop.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
Quiet = Annotated[bool, typer.Option(help="No progress.")]
Debug = Annotated[bool, typer.Option(help="Show tracebacks.")]
