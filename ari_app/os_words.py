"""The operating system's errors in words: its numbers, and what libraries put around them, help nobody."""

import os
import socket
import ssl


def in_words(error: BaseException) -> str:
    """What went wrong, with the file that it is about; also of an error that a library has wrapped (aiohttp's)."""
    error = getattr(error, "os_error", error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate verify failed: {error.verify_message}"
    if isinstance(error, ssl.SSLError):  # its number is none of the operating system's
        return (error.reason or str(error)).replace("_", " ").lower()
    if not isinstance(error, OSError) or isinstance(error, socket.gaierror) or not error.errno or error.errno < 0:
        return getattr(error, "strerror", None) or str(error) or type(error).__name__
    words = os.strerror(error.errno)
    return f"{error.filename}: {words}" if error.filename else words
