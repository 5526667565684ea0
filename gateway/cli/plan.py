"""`imagegate plan`: what would be sent, to whom, what each parameter becomes and what it should cost. Sends nothing."""

from __future__ import annotations

import argparse
import json
from typing import Any

from gateway.backends import build_backends
from gateway.cli.configuration import add_config, settings_of
from gateway.cli.output import plain_console
from gateway.cli.parameters import read_pairs
from gateway.ordering import Asked, Ordering
from gateway.routing import Catalogue


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("--model", help="the model's name; the default model if left out")
    add_config(parser)
    parser.add_argument("--strict", action="store_true", help="refuse what would be degraded")
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")
    parser.add_argument("parameters", nargs="*", metavar="KEY=VALUE", help="prompt=... and any parameter of the API")


def run(options: argparse.Namespace) -> int:
    """Plan, and print."""
    from gateway.api.dry_run import dry_run

    settings = settings_of(options)
    body = {"prompt": "a red fox in the snow", **read_pairs(options.parameters)}
    if options.model is not None:
        body["model"] = options.model
    ordering = Ordering(settings, Catalogue(settings), build_backends(settings))
    resolved = ordering.catalogue.resolve(body.get("model"))
    found = dry_run(ordering.prepare(Asked(body), resolved, strict=options.strict or None))
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        _print(found)
    return 0


def _print(found: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    console = plain_console()
    plan = found["plan"]
    micros = found["total_cost_micros"]
    cost = "unknown price" if micros is None else f"${micros / 1_000_000:g}"
    console.print(Text.assemble((found["model"], "bold"), f" by {plan['provider']}/{plan['model']}, {cost}"))
    for line in found["components"] or ():
        counted = " ".join(dict.fromkeys((line["type"], line["metric"])))
        total = line["total_cost"] / 1_000_000
        console.print(f"{line['quantity']} x {counted} at ${line['unit_price']:g} = ${total:g}")
    for call in plan["calls"]:
        console.print(f"\n{call['method']} {call['path']}")
        console.print_json(json.dumps(call["body"]))
    table = Table(title="what each parameter becomes", title_justify="left")
    for head in ("parameter", "behavior", "requested", "sent", "note"):
        table.add_column(head)
    for entry in plan["parameters"]:
        sent = "" if entry["sent"] is None else json.dumps(entry["sent"])
        table.add_row(entry["name"], entry["behavior"], json.dumps(entry["requested"]), sent, entry.get("note", ""))
    console.print()
    console.print(table)
    for step in plan["finish"]:
        told = ", ".join(f"{name} {value}" for name, value in step.items() if name != "step" and value is not None)
        console.print(f"then {step['step']}: {told}")
