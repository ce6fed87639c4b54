"""One machine needs no package of a cluster's."""

import subprocess
import sys

WITHOUT = """
import sys
sys.modules["nats"] = None
import ari_app.app.running, ari_app.cli.commands, ari_app.web.server
"""


def test_all_of_it_loads_without_nats() -> None:
    subprocess.run([sys.executable, "-c", WITHOUT], check=True)
