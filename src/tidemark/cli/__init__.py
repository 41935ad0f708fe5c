"""Commands of the project, which ``kedro`` finds here."""

import click

from tidemark import errors
from tidemark.cli.compare import compare
from tidemark.cli.rolling_corr import rolling_corr
from tidemark.cli.run import run
from tidemark.cli.status import status
from tidemark.cli.tracking import tracking

# Click ends with 2 where it does not understand the words; here 2 says that data was refused.
click.UsageError.exit_code = errors.EXIT_USAGE


@click.group(name="tidemark")
def cli() -> None:
    """Commands of the project."""


for _command in (run, status, compare, tracking, rolling_corr):
    cli.add_command(_command)
