"""Astergram: an Asterisk controller that owns Telegram voice calls."""

__version__ = "0.1.0"
