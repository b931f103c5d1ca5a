from __future__ import annotations

import click

from driftwatch.cli.verbs._completion import detector_names, files
from driftwatch.cli.verbs._options import FORMAT, guarded
from driftwatch.errors import DataError


def _level(_context: click.Context, _option: click.Parameter, value: float) -> float:
    if not 0 < value < 1:
        raise click.BadParameter(f"expected a number above 0 and below 1. Got {value:g}.")
    return value


@click.command()
@click.argument("reference", shell_complete=files)
@click.argument("current", shell_complete=files)
@FORMAT
@click.option("--time-column", metavar="C", help="Column to leave out of the comparison.")
@click.option(
    "--detector",
    "detectors",
    metavar="NAME",
    multiple=True,
    help="Run this detector too, such as mmd_exact.",
    shell_complete=detector_names,
)
@click.option(
    "--fail-on-drift",
    is_flag=True,
    help="Exit with 1 on a significant difference that is worth knowing.",
)
@click.option(
    "--alpha", default=0.01, show_default=True, callback=_level, help="Level over all p-values together."
)
@guarded
def compare(
    reference: str,
    current: str,
    output_format: str,
    time_column: str | None,
    detectors: tuple[str, ...],
    fail_on_drift: bool,
    alpha: float,
) -> int:
    """Compare two files or globs once, with every detector that runs by default.

    \b
    Examples:
      driftwatch compare test.parquet 'production/*.parquet'
      driftwatch compare test.parquet 'production/*.parquet' --time-column when --detector mmd_exact
      driftwatch compare test.parquet 'production/*.parquet' --fail-on-drift --format json
    """
    from driftwatch.cli.output import progress, show_comparison, show_json
    from driftwatch.cli.verbs._one_off_files import one_off_files
    from driftwatch.comparison import compare_files

    with one_off_files() as opened, progress("columns") as advance:
        options = opened.options_of_both(reference, current)
        result = compare_files(
            reference,
            current,
            time_column=time_column,
            also=detectors,
            read=lambda path: opened.batches(path, options[path]),
            progress=advance,
        )
    if not result.current_rows:
        raise DataError(f"{current}: expected rows. Got none.")
    if output_format == "json":
        show_json(result.to_json())
    else:
        show_comparison(result, alpha)
    return int(fail_on_drift and result.drifted(alpha))
