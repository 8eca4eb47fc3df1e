# SPDX-License-Identifier: Apache-2.0
"""The typer application; each verb lives in a module of its own kind and imports what is heavy when it is called."""
from __future__ import annotations

from typing import Annotated

import typer

import mcunas
from mcunas.cli import verbs_device, verbs_model

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,     # main() turns every exception into one line
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 it fits and matches, 1 a check failed or it does not fit, 2 bad input.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mcunas {mcunas.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="On an error, show the trace instead of one line.")] = False,
) -> None:
    """From a task and a board to a network that fits, as firmware that is proven on that board's core."""


for verb in (verbs_model.boards, verbs_model.compile_model, verbs_device.build):
    app.command(verb.__name__.removesuffix("_model"))(verb)
