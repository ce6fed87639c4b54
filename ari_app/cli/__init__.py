"""The `astergram` command."""

from ari_app.cli.entry import main

__all__ = ["main"]
