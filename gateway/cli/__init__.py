"""The command line. Each command is a module of its own, imported only when it is the one that runs.

Exit codes: 0 done, 1 it failed, 2 wrong usage or configuration, 130 interrupted. Errors go to stderr, one line each;
whatever else goes wrong is a bug and keeps its traceback.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn, Protocol, TextIO, cast

from gateway.cli.failure import CommandFailed
from normalization.errors import ConfigurationError, ImagegateError

PROGRAM = "imagegate"

DONE, FAILED, MISUSED, INTERRUPTED = 0, 1, 2, 130


class CommandModule(Protocol):
    """What a command's module holds."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, args: argparse.Namespace) -> int:
        """Do it and return the exit code. May raise ImagegateError, CommandFailed and OSError."""
        ...


@dataclass(frozen=True, slots=True)
class Command:
    """Where a command is, and what it does in one line."""

    module: str
    summary: str

    def load(self) -> CommandModule:
        return cast("CommandModule", importlib.import_module(self.module))


COMMANDS: Mapping[str, Command] = {
    "serve": Command("gateway.cli.serve", "run the gateway"),
    "generate": Command("gateway.cli.generate", "make pictures, here or at a running gateway"),
    "edit": Command("gateway.cli.edit", "make pictures from pictures, here or at a running gateway"),
    "plan": Command("gateway.cli.plan", "show what would be sent, to whom and at what cost; sends nothing"),
    "check": Command("gateway.cli.check", "validate a configuration and show what becomes of each parameter"),
    "models": Command("gateway.cli.models", "list the models and who makes them"),
    "schema": Command("gateway.cli.schema", "print the JSON Schema of the configuration file"),
    "keys": Command("gateway.cli.keys", "make a key for a client"),
    "worker": Command("gateway.cli.worker", "serve FLUX weights from this machine's GPU"),
    "import-litellm": Command("gateway.cli.import_litellm", "translate the image models of a LiteLLM config.yaml"),
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line instead of the whole usage."""
        self.exit(MISUSED, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; `argv` without the program's name. Wrong usage and --help end in SystemExit."""
    given = list(sys.argv[1:] if argv is None else argv)
    _survive_plain_terminals()
    return reported(lambda: _run(given))


def reported(run: Callable[[], int]) -> int:
    """The exit code of what `run` does; what is known to go wrong is told in one line."""
    try:
        code = run()
        sys.stdout.flush()
    except ConfigurationError as error:
        return _say(error.message, MISUSED)
    except (CommandFailed, ImagegateError) as error:
        return _say(f"{PROGRAM}: {error}", FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _let_go(sys.stdout)
        return FAILED
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _say(f"{PROGRAM}: {where}{error.strerror or error}", FAILED)
    finally:
        _let_go(sys.stderr)
    return code


def _run(given: Sequence[str]) -> int:
    chosen = next((word for word in given if not word.startswith("-")), None)
    if chosen == "serve":
        from gateway.cli import early_signals

        early_signals.hold()
    parser = _Parser(prog=PROGRAM, description="A self-hosted gateway for image generation.")
    parser.add_argument("--version", action="store_true", help="print the versions of this program and its codecs")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, command in COMMANDS.items():
        added = commands.add_parser(
            name, help=command.summary, description=f"{command.summary[0].upper()}{command.summary[1:]}."
        )
        if name == chosen:
            command.load().add_arguments(added)
    args, left = parser.parse_known_args(given)
    # argparse takes a command's words in one run only; KEY=VALUE may stand among the options as well.
    words = getattr(args, "parameters", None)
    if left and (words is None or any(word.startswith("-") for word in left)):
        parser.error(f"unrecognized arguments: {' '.join(left)}")
    if left:
        args.parameters = [*(words or ()), *left]
    if args.version:
        from gateway.cli import version

        return version.run()
    if args.command is None:
        parser.error(f"a command is missing: {', '.join(COMMANDS)}")
    return COMMANDS[args.command].load().run(args)


def _let_go(stream: TextIO | None) -> None:
    """Where whoever read it has gone: keep the interpreter, which writes what is left at its end, from failing. None:
    it was closed from the beginning."""
    if stream is None:
        return
    try:
        stream.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _say(message: str, code: int) -> int:
    print(message, file=sys.stderr)
    return code


def _survive_plain_terminals() -> None:
    """A model's name may hold letters that the terminal's encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
