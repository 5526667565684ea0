"""The one error of the command line itself."""

from __future__ import annotations


class CommandFailed(Exception):
    """The command could not do its work; the text is one line for whoever typed it."""
