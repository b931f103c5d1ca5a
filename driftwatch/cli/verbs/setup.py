"""Verbs that come first: the demo, a configuration, its check, references, completion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from driftwatch.cli.verbs._options import CONFIG, MONITOR, files, guarded, say
from driftwatch.errors import ConfigError


@click.command()
@click.option("--exit", "leave", is_flag=True, help="End after the replay.")
@click.option("--fail-on-drift", is_flag=True, help="Exit with 1 when there was a page.")
@click.option("--listen", default="127.0.0.1:9877", show_default=True, help="Where to serve.")
@click.option("--data", type=click.Path(path_type=Path), help="Folder for the demo's files.")
@click.option("--notify", metavar="URL", help="A webhook of yours that gets the pages after the replay.")
@guarded
def demo(leave: bool, fail_on_drift: bool, listen: str, data: Path | None, notify: str | None) -> int:
    """Run the whole daemon on New York's flights of 2013, replayed fast.

    \b
    Examples:
      driftwatch demo
      driftwatch demo --exit --listen 127.0.0.1:0
      driftwatch demo --notify http://127.0.0.1:8080/
    """
    from driftwatch.cli.demo.demo import run_demo

    pages = run_demo(leave=leave, listen=listen, folder=data, notify=notify, say=say)
    return int(fail_on_drift and pages > 0)


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
    from driftwatch.cli.verbs._one_off_files import delimiter_of, file_batches
    from driftwatch.config.init import write_config
    from driftwatch.config.load import check

    text = write_config(reference, current, read=file_batches, delimiter=delimiter_of)
    if output is None:
        click.echo(text, nl=False)
        return
    if output.exists():
        raise ConfigError(f"{output}: expected a new file. It exists; choose another name or remove it.")
    output.write_text(text, encoding="utf-8")
    to_do = check(output)
    if to_do:
        say("\n".join((f"wrote {output}. Before it can run:", *to_do)))
    else:
        say(f"wrote {output}. Next: driftwatch check-config {output}; driftwatch backtest {output}")


@click.command("check-config")
@CONFIG
@guarded
def check_config(config: Path) -> None:
    """Report every error of a configuration at once, with file and line.

    \b
    Examples:
      driftwatch check-config driftwatch.yaml
    """
    from driftwatch.config.load import load

    loaded = load(config)
    names = ", ".join(item.name for item in loaded.monitors)
    click.echo(f"{config}: good. {len(loaded.monitors)} monitor(s): {names}")


@click.group()
def reference() -> None:
    """The reference test distribution."""


@reference.command("build")
@CONFIG
@MONITOR
@guarded
def reference_build(config: Path, monitor: str | None) -> None:
    """Build and store the reference of each monitor.

    \b
    Examples:
      driftwatch reference build driftwatch.yaml
      driftwatch reference build driftwatch.yaml --monitor test
    """
    from driftwatch.cli.output import progress
    from driftwatch.cli.verbs.check import build_references

    build_references(config, monitor, say, progress)


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what lets a shell complete verbs, options, files, monitors of the configuration and detectors.

    \b
    Examples:
      driftwatch completion bash > ~/.driftwatch.bash   # then in ~/.bashrc: source ~/.driftwatch.bash
      driftwatch completion zsh > ~/.driftwatch.zsh     # then in ~/.zshrc: source ~/.driftwatch.zsh
      driftwatch completion fish > ~/.config/fish/completions/driftwatch.fish
    """
    from click.shell_completion import get_completion_class

    found: Any = get_completion_class(shell)
    click.echo(found(context.find_root().command, {}, "driftwatch", "_DRIFTWATCH_COMPLETE").source())
