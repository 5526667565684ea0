"""`imagegate generate`: make pictures and write them to files."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gateway.cli.configuration import add_config, settings_of
from gateway.cli.making import Made, Originals, make_here, make_there
from gateway.cli.output import plain_console
from gateway.cli.parameters import read_pairs
from normalization.errors import ConfigurationError
from normalization.pictures.sniff import sniff
from normalization.vocabulary import Format
from providers.replies import mapping, sequence

SECONDS = 600.0
"""How long a gateway elsewhere may take; its own deadline is sooner."""

SUFFIXES = {f".{form.value}": form for form in Format} | {".jpg": Format.JPEG}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("prompt", help="what the picture shows")
    add_making(parser)
    parser.add_argument("parameters", nargs="*", metavar="KEY=VALUE", help="any parameter of the API")


def add_making(parser: argparse.ArgumentParser) -> None:
    """What every command takes that makes pictures."""
    parser.add_argument("-m", "--model", help="the model's name; the default model if left out")
    parser.add_argument("-n", type=int, help="how many pictures, 1 to 10")
    parser.add_argument("--size", help="WxH, W:H or auto")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="where to write; its ending picks the format")
    add_config(parser)
    parser.add_argument(
        "--base-url",
        default=os.environ.get("IMAGEGATE_BASE_URL"),
        metavar="URL",
        help="a running gateway, such as http://127.0.0.1:8000/v1 (or IMAGEGATE_BASE_URL)",
    )
    parser.add_argument(
        "--api-key", default=os.environ.get("IMAGEGATE_API_KEY"), metavar="KEY", help="its key (or IMAGEGATE_API_KEY)"
    )
    parser.add_argument("--json", action="store_true", help="print what was made as JSON")


def run(options: argparse.Namespace) -> int:
    """Generate, write, and tell."""
    return carry_out(options, request_body(options, options.parameters))


def carry_out(options: argparse.Namespace, body: Mapping[str, Any], given: Originals | None = None) -> int:
    """Make what the body asks for, out of `given` where that is an edit; write it, and tell."""
    target = _target(options.output)
    if target is not None and not target.parent.is_dir():
        raise ConfigurationError(f"{target.parent} is not a folder to write to")
    made = _make(options, body, given)
    written = _write(made, target)
    if options.json:
        print(json.dumps({"files": [str(path) for path in written], "items": made.items, **made.answer}, indent=2))
    else:
        _tell(made, written)
    return 0


def request_body(options: argparse.Namespace, pairs: Sequence[str]) -> dict[str, Any]:
    """The request that the words describe. A file's ending picks the format where nothing else does."""
    body = {"prompt": options.prompt, **read_pairs(pairs)}
    for name in ("model", "n", "size"):
        if getattr(options, name) is not None:
            body[name] = getattr(options, name)
    if options.output is not None and "output_format" not in body:
        form = SUFFIXES.get(options.output.suffix.lower())
        if form is None:
            accepted = ", ".join(sorted(SUFFIXES))
            raise ConfigurationError(f"{options.output}: a picture's file ends in one of {accepted}")
        body["output_format"] = form.value
    return body


def _target(output: Path | None) -> Path | None:
    return None if output is None else output.absolute()


def _make(options: argparse.Namespace, body: Mapping[str, Any], given: Originals | None) -> Made:
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        progress.add_task(
            f"{'generating' if given is None else 'editing'} with {body.get('model') or 'the default model'}",
            total=None,
        )
        if options.base_url and options.config is None:
            return asyncio.run(make_there(options.base_url, options.api_key, body, given, seconds=SECONDS))
        return asyncio.run(make_here(settings_of(options), body, given))


def _write(made: Made, target: Path | None) -> list[Path]:
    """Every picture in a file of its own: FILE for one, FILE-1, FILE-2, ... for several. Without FILE a new name in
    the current folder; no file that exists is written over then."""
    written = []
    for index, data in enumerate(made.pictures):
        number = f"-{index + 1}" if len(made.pictures) > 1 else ""
        if target is not None:
            path = target.with_name(f"{target.stem}{number}{target.suffix}")
            path.write_bytes(data)
        else:
            # By its bytes: the answer may come from somebody else's API, and may say anything of its format.
            path = _fresh(sniff(data) or Format.PNG, data)
        written.append(path)
    return written


def _fresh(form: Format, data: bytes) -> Path:
    number = 1
    while True:
        path = Path.cwd() / f"imagegate-{number}.{form.extension}"
        try:
            with path.open("xb") as file:
                file.write(data)
            return path
        except FileExistsError:
            number += 1


def _tell(made: Made, written: list[Path]) -> None:
    from rich.table import Table

    metadata = mapping(made.answer.get("metadata"))
    table = Table(box=None)
    for head in ("file", "size", "seed"):
        table.add_column(head)
    for path, item in zip(written, made.items, strict=True):
        size = item.get("size") or made.answer.get("size") or ""
        seed = item.get("seed")
        table.add_row(str(path), str(size), "" if seed is None else str(seed))
    console = plain_console()
    console.print(table)
    cost = metadata.get("cost")
    price = f"${cost:g}" if isinstance(cost, int | float) else "unknown price"
    console.print(f"made by {metadata.get('provider')}/{metadata.get('executed_model')}, {price}")
    for entry in map(mapping, sequence(metadata.get("parameters"))):
        if entry.get("note"):
            console.print(f"{entry.get('name')}: {entry['note']}")
