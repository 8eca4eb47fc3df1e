# SPDX-License-Identifier: Apache-2.0
"""The typer application; each verb lives in a module of its own kind and imports what is heavy when it is called."""
from __future__ import annotations

from typing import Annotated

import typer

import mcunas
from mcunas.cli import (
    verb_accelerate,
    verb_blocks,
    verb_calibrate,
    verb_compare,
    verb_explain,
    verb_export,
    verb_flash,
    verb_import,
    verb_inspect,
    verb_metrics,
    verb_mlperf,
    verb_profile,
    verbs_device,
    verbs_model,
    verbs_search,
)

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


VERBS = {
    "boards": verbs_model.boards,
    "blocks": verb_blocks.blocks,
    "explain": verb_explain.explain,
    "inspect": verb_inspect.inspect,
    "metrics": verb_metrics.metrics,
    "import": verb_import.import_model,
    "search": verbs_search.search,
    "accelerate": verb_accelerate.accelerate,
    "quantize": verbs_search.quantize,
    "compile": verbs_model.compile_model,
    "build": verbs_device.build,
    "flash": verb_flash.flash,
    "run": verbs_device.run,
    "validate": verbs_device.validate,
    "tune": verbs_device.tune,
    "profile": verb_profile.profile,
    "calibrate": verb_calibrate.calibrate,
    "compare": verb_compare.compare,
    "mlperf": verb_mlperf.mlperf,
    "export": verb_export.export,
    "report": verbs_search.report,
    "quickstart": verbs_search.quickstart,
}
for name, verb in VERBS.items():
    app.command(name)(verb)  # type: ignore[type-var]
