"""Makes the parts of Astergram, and hands them to each other; `running` is the order of it."""

from ari_app.app.running import Astergram, Guard, HandedOver, running

__all__ = ["Astergram", "Guard", "HandedOver", "running"]
