"""`imagegate keys create NAME`: a new key for a client, shown once; the configuration needs only its digest."""

from __future__ import annotations

import argparse
import json
import secrets

from pydantic import TypeAdapter, ValidationError

from gateway.cli.output import add_json, print_json
from gateway.config.fields import DIGEST, Text
from gateway.config.mistakes import shown
from gateway.config.model import digest
from normalization.errors import ConfigurationError

PREFIX = "ig_"
KEY_BYTES = 32


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    create = actions.add_parser("create", help="print a new key once, and its digest for the configuration")
    create.add_argument("name", metavar="NAME", help="whose key it is")
    add_json(create)


def run(args: argparse.Namespace) -> int:
    mistake = name_mistake(args.name)
    if mistake is not None:
        raise ConfigurationError(f"imagegate keys create: {shown(args.name)}: {mistake}")
    key = new_key()
    stored = f"{DIGEST}{digest(key)}"
    if args.json:
        print_json({"name": args.name, "key": key, "sha256": stored})
        return 0
    print(f"{key}\n")
    print("That is the client's key. It is not kept anywhere and not shown again. For the configuration:\n")
    print(f"auth:\n  keys:\n    - name: {json.dumps(args.name, ensure_ascii=False)}\n      key: {stored}")
    return 0


def name_mistake(name: str) -> str | None:
    """Why the configuration would not take a key of this name, and which it takes; None where it would."""
    try:
        TypeAdapter(Text).validate_python(name)
    except ValidationError as error:
        return str(error.errors()[0]["msg"])
    return None


def new_key() -> str:
    """256 random bits, in letters that survive a URL, a shell and a header."""
    return PREFIX + secrets.token_urlsafe(KEY_BYTES)
