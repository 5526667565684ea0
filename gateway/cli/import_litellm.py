"""`imagegate import-litellm FILE`: the image models of a LiteLLM `config.yaml` as a configuration of imagegate.

The configuration goes to stdout, or with `-o` to a file that is not there yet; what was done, what was not and which
variables to set go to stderr and into the configuration's head. No secret is printed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gateway.cli.failure import CommandFailed
from gateway.cli.output import print_json
from normalization.errors import ConfigurationError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="LiteLLM's config.yaml")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the configuration there, if nothing is there yet")
    parser.add_argument("--json", action="store_true", help="print the configuration and the notes as JSON")


def run(args: argparse.Namespace) -> int:
    from gateway.cli.litellm.reading import load
    from gateway.cli.litellm.translation import translation
    from gateway.cli.litellm.writing import as_json, as_yaml, summary, told, unusable

    if args.output is not None and Path(args.output).exists():
        raise _taken(args.output)
    litellm = load(Path(args.file))
    done = translation(litellm)
    for note in done.notes:
        print(told(note, litellm), file=sys.stderr)
    for line in summary(done, litellm):
        print(line, file=sys.stderr)
    if not done.config["models"]:
        raise CommandFailed(f"{args.file}: no image model that could be translated; see the lines above")
    problems = unusable(done)
    if problems:
        raise ConfigurationError("\n".join(f"{args.file}: the translation cannot be used: {each}" for each in problems))
    text = as_yaml(done, litellm)
    if args.output is not None:
        try:
            with open(args.output, "x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            raise _taken(args.output) from None
    if args.json:
        print_json({"config": done.config, "notes": [as_json(note, litellm) for note in done.notes]})
    elif args.output is None:
        sys.stdout.write(text)
    return 0


def _taken(path: str) -> ConfigurationError:
    return ConfigurationError(f"{path}: is there already, and is not overwritten; accepted: a name that is free")
