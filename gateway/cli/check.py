"""`imagegate check`: every mistake at once, or what becomes of each parameter on each route."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from gateway.cli.configuration import add_config, print_warnings, settings_of
from gateway.cli.output import add_json, print_json, print_table
from gateway.config.model import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    settings = settings_of(args)
    if args.json:
        from gateway.config.report import warnings

        print_json({"models": judged(settings), "warnings": warnings(settings)})
        return 0
    for model in judged(settings):
        routes = model["routes"]
        heads = ("parameter", *(f"{route['provider']}: {route['model']}" for route in routes))
        print_table(model["name"], heads, _rows(routes))
    print_warnings(settings)
    return 0


def judged(settings: Settings) -> list[dict[str, Any]]:
    """Each model's routes, each with the behaviour of every parameter."""
    from gateway.backends import adapter_of
    from normalization.capabilities import behaviors

    adapters = {name: adapter_of(name, entry) for name, entry in settings.providers.items()}
    return [
        {
            "name": name,
            "routes": [
                {
                    "provider": route.provider,
                    "type": settings.providers[route.provider].type,
                    "model": route.model,
                    "parameters": behaviors(adapters[route.provider].profile(route.model)),
                }
                for route in model.routes
            ],
        }
        for name, model in settings.models.items()
    ]


def _rows(routes: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    names = sorted({name for route in routes for name in route["parameters"]})
    return [(name, *(route["parameters"].get(name, "") for route in routes)) for name in names]
