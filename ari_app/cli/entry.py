"""How the `astergram` command begins: nothing heavy is loaded until something is to be done."""

import io
import os
import sys
from collections.abc import Sequence

from ari_app.cli.parser import complete, completion, parse, parser

STANDARD_ERROR = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status, see `parser.EXIT_STATUSES`."""
    _open_standard_streams()
    if "_ARGCOMPLETE" in os.environ:
        complete(parser())
    options = parse(arguments)
    if options.command == "completion":
        print(completion(options.shell))
        return 0
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # also for a program that reads what is printed, and answers
    from ari_app.cli.commands import run  # heavy, and not needed to complete a word

    return run(options)


def _open_standard_streams() -> None:
    """Let nothing else get the number of one that is closed: libuv aborts the process when it closes such a file."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= STANDARD_ERROR:
        pass
    os.close(descriptor)
