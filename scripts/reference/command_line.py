"""Generates `docs/cli.md` from the command line, and `deployments/schema.json` from the record model."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from medsync.cli.app import app
from medsync.deployment import record
from medsync.errors import ExitCode, VerificationError
from scripts import repository

_HEAD = """\
# The command line

Written by `python -m scripts reference` from the commands; `medsync <command> --help` shows the same text.

Global options may be given anywhere. Results go to standard output, everything else to standard error. With
`--json` both are JSON: felts as hexadecimal text, times as ISO 8601 in UTC, amounts as decimal text in the
token's smallest unit. An error is an object with `error`, `message`, `hint` and `exit_code`.

`--log-level` says how much is logged; `--log-file` appends it to a file as JSON lines: objects with `time`
(UTC), `level`, `logger`, `message` and further fields. Without a file it goes to standard error; with one,
standard error gets only warnings and errors. Under `--json` standard error is JSON lines as well: those that
have a `level` are log lines, and an error, if there is one, is the last line.

If standard output is not a terminal, `TERM` is `dumb` or `NO_COLOR` is set, there are no escape codes: no
colour, no bold text, no spinner. If the reader closes the output early, as `head` does, the command ends
silently with exit code 141; a full disk or a closed standard output is an error with exit code 1. Ctrl-C ends
a command at any time with exit code 130 and a report of what was sent until then. In the first tenth of a
second, before the package is loaded, the signal itself ends the process, which a shell reports as 130 too,
and nothing is sent or written.

Addresses are `0x…`, the name of an account (`medsync account new`), `devnet:<n>` for a predeployed account
of a local devnet, or `me` for the signing account. Where a commitment is expected, `0x…` is used unchanged.
For a file, a salted commitment is made and its opening is stored beside the file (reported as `keep`):
without the opening, the commitment proves nothing.

"""


def pages() -> dict[Path, str]:
    """The generated files with their content."""
    root = repository.root()
    return {root / "docs" / "cli.md": _commands(), root / "deployments" / "schema.json": record.schema()}


def write() -> None:
    """Write the generated files."""
    for path, text in pages().items():
        path.write_text(text)


def check() -> None:
    """Raise VerificationError, naming the files, if any differs from the sources."""
    drifted = [path.name for path, text in pages().items() if not path.is_file() or path.read_text() != text]
    if drifted:
        raise VerificationError(
            "Not what the sources say:",
            findings=drifted,
            hint="Run `python -m scripts reference` and commit the result.",
        )


def _commands() -> str:
    command = typer.main.get_command(app)
    return _HEAD + _exit_codes() + "".join(_sections(command, "medsync"))


def _exit_codes() -> str:
    rows = "".join(f"| {code.value} | `{code.name}` | {_meaning(code)} |\n" for code in ExitCode)
    return f"## Exit codes\n\n| Code | Name | Meaning |\n| --- | --- | --- |\n{rows}\n"


def _meaning(code: ExitCode) -> str:
    """The docstring below an enum member, read from the source because Python does not keep it."""
    source = inspect.getsource(ExitCode)
    return source.partition(f"    {code.name} = {code.value}\n")[2].split('"""')[1]


def _sections(command: Any, path: str) -> Iterator[str]:
    """The section of a command, and those of its subcommands."""
    text = _wrapped(inspect.cleandoc(command.help or ""))
    usage = " ".join([path, *command.collect_usage_pieces(typer.Context(command, info_name=path))])
    yield f"## {path}\n\n{text}\n\n```text\n{usage}\n```\n\n"
    rows = [
        f"| {_name(parameter)} | {_text(parameter)} |\n"
        for parameter in command.params
        if parameter.name not in ("install_completion", "show_completion", "help")
    ]
    if rows:
        yield f"| Argument or option | Meaning |\n| --- | --- |\n{''.join(rows)}\n"
    for name, inner in getattr(command, "commands", {}).items():
        yield from _sections(inner, f"{path} {name}")


def _wrapped(text: str) -> str:
    """Paragraphs of one line, as commands have them, broken as the other documents are."""
    lines = [line for part in text.split("\n") for line in textwrap.wrap(part, 110) or [""]]
    return "\n".join(lines)


def _name(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.name.upper()}`"
    return ", ".join(f"`{name}`" for name in parameter.opts)


def _text(parameter: Any) -> str:
    text = (parameter.help or "").replace("|", "\\|").rstrip(".")
    default = parameter.default
    if parameter.required:
        text += " (required)"
    elif not isinstance(default, bool) and default not in (None, ""):
        text += f" (default: `{getattr(default, 'value', default)}`)"
    return f"{text}."
