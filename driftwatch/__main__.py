"""`python -m driftwatch` is the same as the `driftwatch` command."""

from driftwatch.cli import main

if __name__ == "__main__":
    main(prog_name="driftwatch")
