"""`imagegate models`: the catalogue, as callers will see it."""

from __future__ import annotations

import argparse
from typing import Any

from gateway.cli.configuration import add_config, settings_of
from gateway.cli.output import add_json, print_json, print_table
from gateway.config.model import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    settings = settings_of(args)
    listed = catalogue(settings)
    if args.json:
        print_json({"default_model": settings.default, "models": listed})
        return 0
    rows = [
        (
            model["name"],
            ", ".join(model["aliases"]),
            ", ".join(f"{route['provider']}: {route['model']}" for route in model["routes"]),
        )
        for model in listed
    ]
    print_table(f"default model: {settings.default}", ("model", "also called", "made by, in this order"), rows)
    return 0


def catalogue(settings: Settings) -> list[dict[str, Any]]:
    """Each model with its names and its routes."""
    return [
        {
            "name": name,
            "aliases": list(entry.aliases),
            "routes": [{"provider": route.provider, "model": route.model} for route in entry.routes],
        }
        for name, entry in settings.models.items()
    ]
