"""`imagegate schema`: the JSON Schema of the configuration file, for editors and for checks of one's own."""

from __future__ import annotations

import argparse

from gateway.cli.output import print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None: there is one schema."""


def run(args: argparse.Namespace) -> int:
    from gateway.config.schema import schema

    print_json(schema())
    return 0
