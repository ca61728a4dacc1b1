"""The Typer app: the commands in the order a user meets them, and errors turned into a sentence and an exit code."""

import errno
import io
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from dainr import __version__
from dainr.errors import BadRequest, DainrError, Interrupted, is_out_of_memory

from . import (
    batch,
    compare,
    convert,
    doctor,
    evaluate,
    export,
    fit,
    info,
    methods,
    motion,
    propagate,
    report,
    send,
    serve,
    simulate,
    strain,
    train,
    tune,
    weights,
)
from .command import Command
from .interrupt import ending
from .progress import tell


class Commands(TyperGroup):
    """Commands in the order they were added; a DainrError ends the program with its message and its code."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names in the order of definition."""
        return list(self.commands)

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except DainrError as error:
            tell(f"dainr: {error}")
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            tell("dainr: interrupted.")
            raise typer.Exit(Interrupted.exit_code) from error
        except (MemoryError, RuntimeError) as error:
            if is_out_of_memory(error):
                raise _out_of_memory() from error
            if "can't start new thread" in str(error):
                raise _no_more_threads() from error
            raise
        except UnicodeEncodeError as error:  # only names of files hold what UTF-8 lacks
            tell("dainr: the name of a file or folder is no UTF-8: rename it.")
            raise typer.Exit(BadRequest.exit_code) from error
        except BrokenPipeError:  # whoever read the output has had enough
            raise
        except OSError as error:
            if error.errno == errno.EAGAIN and not error.filename:
                raise _no_more_threads() from error
            tell(f"dainr: {error.filename or 'a file'}: {error.strerror or error}; check the disk and path.")
            raise typer.Exit(BadRequest.exit_code) from error


def _out_of_memory() -> typer.Exit:
    tell("dainr: out of memory: choose fewer --slices, a smaller --matrix or smaller networks.")
    return typer.Exit(BadRequest.exit_code)


def _no_more_threads() -> typer.Exit:
    tell("dainr: the system starts no more processes for this user: end some, or raise the limit (ulimit -u).")
    return typer.Exit(BadRequest.exit_code)


app = typer.Typer(
    name="dainr",
    cls=Commands,
    help="From one undersampled dynamic MRI scan to a cine volume, by fitting a neural field to that scan alone.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"dainr {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """From one undersampled dynamic MRI scan to a cine volume, by fitting a neural field to that scan alone."""


COMMANDS: dict[str, Callable[..., None]] = {
    "fit": fit.fit,
    "batch": batch.batch,
    "tune": tune.tune,
    "train": train.train,
    "export": export.export,
    "motion": motion.motion,
    "propagate": propagate.propagate,
    "strain": strain.strain,
    "evaluate": evaluate.evaluate,
    "compare": compare.compare,
    "report": report.report,
    "info": info.info,
    "convert": convert.convert,
    "simulate": simulate.simulate,
    "methods": methods.methods,
    "weights": weights.weights,
    "serve": serve.serve,
    "send": send.send,
    "doctor": doctor.doctor,
}
CLASSES = {"simulate": simulate.Simulate}  # of commands that parse their arguments in a way of their own
for name, command in COMMANDS.items():
    app.command(name, cls=CLASSES.get(name, Command))(command)


def main() -> None:
    """Entry point of the console script."""
    for handle in range(3):  # where one is closed, a file that is opened next would be taken for it
        try:
            os.fstat(handle)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # None where it was closed
            with suppress(OSError):  # it has become another file's
                stream.reconfigure(errors="backslashreplace")  # names and symbols that a terminal's encoding lacks
    for number in ending()[1:]:
        signal.signal(number, signal.default_int_handler)  # as Ctrl-C: nothing is left half-written
    try:
        Path.cwd()
    except FileNotFoundError:
        tell("dainr: the folder you are in is gone: go to another.")  # libraries would say worse
        sys.exit(BadRequest.exit_code)
    app()
    sys.exit(0)
