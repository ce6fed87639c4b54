"""Data about people: what is kept of whom, for how long; it is found, exported and erased."""
