"""What can be wrong with the admin page as a whole."""


class WebError(Exception):
    """The page can't be served; the text says what to do."""
