"""The one way to give up: an exception whose text is one clear line for the person at the terminal.

Anything else that escapes is a mistake in these scripts, and its traceback is wanted.
"""


class Problem(Exception):
    """Cannot go on; `str()` says why, and what to do about it."""
