"""`imagegate edit`: make pictures from pictures and write them to files."""

from __future__ import annotations

import argparse
from pathlib import Path

from gateway.cli.generate import add_making, carry_out, request_body
from gateway.cli.making import Originals
from normalization.errors import ConfigurationError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("--prompt", required=True, help="what the picture shows afterwards")
    parser.add_argument("--mask", metavar="FILE", help="of the first picture's size, transparent where it is edited")
    add_making(parser)
    parser.add_argument(
        "parameters", nargs="*", metavar="IMAGE", help="a file or a URL; KEY=VALUE for any parameter of the API"
    )


def run(options: argparse.Namespace) -> int:
    """Edit, write, and tell."""
    pictures = [word for word in options.parameters if _is_picture(word)]
    pairs = [word for word in options.parameters if word not in pictures]
    if not pictures:
        raise ConfigurationError("a picture is missing: imagegate edit IMAGE... --prompt PROMPT")
    for name in (*pictures, *([] if options.mask is None else [options.mask])):
        if "://" not in name and not Path(name).is_file():
            raise ConfigurationError(f"{name}: there is no such file")
    return carry_out(options, request_body(options, pairs), Originals(tuple(pictures), options.mask))


def _is_picture(word: str) -> bool:
    """A URL may hold an equals sign, and so may a file's name."""
    return "=" not in word or word.startswith(("http://", "https://")) or Path(word).is_file()
