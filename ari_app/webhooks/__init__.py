"""Tells programs what happens by HTTP: signed requests, again until they are taken."""
