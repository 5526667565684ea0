"""Which configuration a command works with: the file named, else the embedded default."""

from __future__ import annotations

import argparse
import os
import sys

from gateway.config.model import Settings


def add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="the configuration, in YAML; without one the embedded default: sketch, and the providers whose "
        "ONEMIN_API_KEY, APIFRAME_API_KEY, MODELVERSE_API_KEY or FLUX_WORKER_URL is set",
    )


def settings_of(args: argparse.Namespace) -> Settings:
    """The settings that `--config` and the environment give. Raises ConfigurationError."""
    if args.config is None:
        from gateway.config.embedded import embedded

        return embedded(os.environ)
    from gateway.config.load import load

    return load(args.config, os.environ)


def print_warnings(settings: Settings) -> None:
    """To stderr, one a line."""
    from gateway.config.report import warnings

    for warning in warnings(settings):
        print(f"warning: {warning}", file=sys.stderr)
