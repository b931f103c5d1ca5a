from __future__ import annotations

from pathlib import Path

import click

from driftwatch.cli.verbs._completion import files
from driftwatch.cli.verbs._options import guarded, say
from driftwatch.errors import ConfigError


@click.command()
@click.argument("reference", shell_complete=files)
@click.option(
    "--current", required=True, metavar="PATH_OR_GLOB", help="Production inputs.", shell_complete=files
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write; default: print.")
@guarded
def init(reference: str, current: str, output: Path | None) -> None:
    """Look at the data and write a commented configuration that runs.

    \b
    Examples:
      driftwatch init test.parquet --current 'production/*.parquet' -o driftwatch.yaml
      driftwatch init test.parquet --current 'production/*.parquet'
    """
    from driftwatch.cli.verbs._one_off_files import one_off_files
    from driftwatch.config.init import write_config
    from driftwatch.config.load import check

    with one_off_files() as opened:
        options = opened.options_of_both(reference, current)
        text = write_config(
            reference,
            current,
            read=lambda path: opened.batches(path, options[path]),
            options=options.__getitem__,
            say=say,
        )
    if output is None:
        click.echo(text, nl=False)
        return
    if output.exists():
        raise ConfigError(f"{output}: expected a new file. It exists; choose another name or remove it.")
    output.write_text(text, encoding="utf-8")
    problems = check(output)
    if problems:
        say("\n".join((f"wrote {output}. Before it can run:", *problems)))
    else:
        say(f"wrote {output}. Next: driftwatch check-config {output}; driftwatch backtest {output}")
