"""Makes the parts of Astergram, and hands them to each other; `running.py` has the order, and says why it is so."""

from ari_app.app.running import Astergram, Guard, HandedOver, running

__all__ = ["Astergram", "Guard", "HandedOver", "running"]
