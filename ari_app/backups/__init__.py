"""Copies of all that an installation keeps: made at set times, encrypted, and put back."""
