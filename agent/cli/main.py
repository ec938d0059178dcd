"""Entry point: lazy groups, one way to print errors, exit codes 0, 1, 2, 3."""

from __future__ import annotations

import importlib
import io
import json
import os
import sys
from collections.abc import Sequence

import click

from agent import __version__
from agent.core.errors import ConfigError, TanshuError, UsageError

FAILED, USAGE, PROBLEMS = 1, 2, 3

COMMANDS = {
    "run": ("agent.cli.run", "run", "Run the gateway of one site file."),
    "plant": ("agent.cli.plant", "plant", "Run the virtual plant: meters on real wires."),
    "activity": (
        "agent.cli.activity",
        "activity",
        "Enter, import and list what no meter reads.",
    ),
    "manual": (
        "agent.cli.manual",
        "manual",
        "Enter readings that people take; verify estimates.",
    ),
    "model": (
        "agent.cli.model",
        "model",
        "Fit and show models of what no meter counts.",
    ),
    "report": ("agent.cli.report", "report", "Make, print and review the monthly report."),
    "ledger": ("agent.cli.ledger", "ledger", "Run the ledger, enrol gateways, verify chains."),
    "config": ("agent.cli.config", "config", "Check a site file."),
    "status": ("agent.cli.status", "status", "Ask a running gateway how it is."),
    "doctor": ("agent.cli.doctor", "doctor", "Check this machine: ports, clock, disk, broker."),
    "calc": ("agent.cli.calc", "calc", "Compute an inventory file, every factor with its source."),
    "fill": ("agent.cli.fill", "fill", "Fill the gaps of a table, and say how sure each value is."),
    "gaps": ("agent.cli.gaps", "gaps", "List gaps: how they were filled, and how sure that is."),
    "factors": ("agent.cli.factors", "factors", "List, show, compare and import factors."),
    "meter": ("agent.cli.meter", "meter", "Declare a replaced meter, repair a reading."),
    "db": ("agent.cli.db", "db", "Query and export a gateway's database, read-only."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported only when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tanshu")
def cli() -> None:
    """Tanshu (碳枢): from the meter on the wire to a receipted emission record.

    Exit codes: 0 ok, 1 failed, 2 wrong usage, 3 a check found problems.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; every expected error is one line that says what to do next."""
    _accept_any_text()
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        code = _call(words)
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()  # who read the output has seen enough, as `| head`
        code = FAILED
    except OSError as error:
        # without a file name it is the output itself that cannot be written
        if error.filename is None:
            _drop_output()
        print_error(_of_system(error), as_json="--json" in words and error.filename is not None)
        code = FAILED
    sys.exit(code)


def _call(words: list[str]) -> int:
    try:
        code = cli.main(args=words, prog_name="tanshu", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return USAGE if isinstance(error, click.UsageError) else FAILED
    except (click.Abort, KeyboardInterrupt):
        return 130
    except TanshuError as error:
        print_error(error, as_json="--json" in words)
        return USAGE if isinstance(error, UsageError) else FAILED
    return code if isinstance(code, int) else 0


def _accept_any_text() -> None:
    """A terminal that lacks a character shows a mark in its place."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="replace")


def _drop_output() -> None:
    """What is still buffered would fail again when the interpreter ends."""
    try:
        number = sys.stdout.fileno()
    except (OSError, ValueError):
        return  # not a file of the system
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), number)


def _of_system(error: OSError) -> TanshuError:
    return TanshuError(
        error.strerror or str(error) or type(error).__name__,
        where="" if error.filename is None else str(error.filename),
        hint="check the path, its rights and the space on the disk",
    )


def print_error(error: TanshuError, *, as_json: bool) -> None:
    """One line per error on stderr; with --json an object on stdout."""
    if as_json:
        faults = error.faults if isinstance(error, ConfigError) else ()
        click.echo(
            json.dumps(
                {
                    "error": {
                        "what": error.what,
                        "where": error.where,
                        "hint": error.hint,
                        "faults": [
                            {
                                "file": fault.file,
                                "path": fault.path,
                                "what": fault.what,
                                "hint": fault.hint,
                            }
                            for fault in faults
                        ],
                    }
                },
                ensure_ascii=False,
            )
        )
    else:
        click.echo(
            f"tanshu: {error}" if not isinstance(error, ConfigError) else str(error), err=True
        )


if __name__ == "__main__":
    main()
