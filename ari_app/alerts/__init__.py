"""Tells an administrator what needs somebody, once it has lasted, and when it is over."""
