from __future__ import annotations

from typing import Any

import click


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that lets a shell complete verbs, options, files, monitors, detectors.

    \b
    Examples:
      driftwatch completion bash > ~/.driftwatch.bash   # then in ~/.bashrc: source ~/.driftwatch.bash
      driftwatch completion zsh > ~/.driftwatch.zsh     # then in ~/.zshrc: source ~/.driftwatch.zsh
      driftwatch completion fish > ~/.config/fish/completions/driftwatch.fish
    """
    from click.shell_completion import get_completion_class

    script: Any = get_completion_class(shell)
    click.echo(script(context.find_root().command, {}, "driftwatch", "_DRIFTWATCH_COMPLETE").source())
