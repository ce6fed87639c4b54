"""`python -m ari_app.cli`: the same as `astergram`."""

import sys

from ari_app.cli import main

sys.exit(main())
