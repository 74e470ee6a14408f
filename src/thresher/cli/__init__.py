"""The command line: parses, calls the library, prints. Results go to standard output, progress to standard error."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from thresher.cli import (
    bench,
    correct,
    demo,
    doctor,
    find,
    methods,
    noise,
    predict,
    recipes,
    report,
    review,
    study,
    train,
)
from thresher.errors import ThresherError

app = typer.Typer(
    name="thresher",
    help="Train accurate models from wrongly labelled data, and find the labels that are wrong.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_LETTERS = {"allow_extra_args": True, "ignore_unknown_options": True}  # the settings of methods, as in --lambda 7

app.command("demo")(demo.demo)
app.command("train", context_settings=_LETTERS)(train.train)
app.command("find", context_settings=_LETTERS)(find.find)
app.command("correct")(correct.correct)
app.command("predict")(predict.predict)
app.command("export")(predict.export)
app.command("report")(report.report)
app.command("review")(review.review)
app.command("noise")(noise.noise)
app.command("methods")(methods.methods)
app.command("recipes")(recipes.recipes)
app.command("run")(recipes.run)
app.command("bench")(bench.bench)
app.command("study")(study.study)
app.command("doctor")(doctor.doctor)


def _version(wanted: bool) -> None:
    if wanted:
        import importlib.metadata

        typer.echo(importlib.metadata.version("thresher"))
        raise typer.Exit


@app.callback()
def _top(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Train accurate models from wrongly labelled data, and find the labels that are wrong."""


def main(arguments: list[str] | None = None) -> None:
    """Run a command line (default: the process's) and exit with 0, 1 (failed) or 2 (wrong usage)."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        with _warnings_as_lines():
            code = app(arguments, standalone_mode=False)
    except ThresherError as error:
        code = _fail(str(error), error.exit_code, arguments)
        if error.alone:
            from thresher.engine.runtime import leave

            leave(code)
    except typer.TyperException as error:
        code = _fail(error.format_message(), 2, arguments)
    except (KeyboardInterrupt, typer.Abort):
        code = _fail("stopped", 1, arguments)
    except BrokenPipeError:  # the reader of our output has left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except Exception as error:
        code = _fail(_unexpected(error), 1, arguments)
    sys.exit(code if isinstance(code, int) else 0)


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Tell warnings on standard error, without the file and line that raised them."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = lambda message, *rest: _tell(message)
        yield


def _tell(message: Any) -> None:
    typer.echo(f"warning: {message}", err=True)
    for sentence in getattr(message, "sentences", ()):  # of images that were left out
        typer.echo(f"  {sentence}", err=True)


def _fail(sentence: str, code: int, arguments: list[str]) -> int:
    if "--debug" in arguments:
        import traceback

        traceback.print_exc()
    if sentence:  # without arguments, the help was shown and says it all
        typer.echo(f"thresher: {sentence}", err=True)
    return code


def _unexpected(error: Exception) -> str:
    """One sentence about an error that nobody foresaw."""
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError) or "out of memory" in text.lower() or "t allocate memory" in text:
        return "there is not enough memory for this: use less data, a smaller batch or a smaller net"
    return f"{type(error).__name__}: {text[:200]}: this should not happen, please report it with what --debug shows"
