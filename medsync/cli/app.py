"""The command line as a whole: its groups, its global options, and what becomes of errors."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from medsync._version import __version__
from medsync.cli import output
from medsync.cli.groups import LazyGroup
from medsync.cli.interrupt import interrupted
from medsync.cli.logs import Level
from medsync.cli.options import Options, current
from medsync.errors import ExitCode, MedSyncError

app = typer.Typer(name="medsync", cls=LazyGroup, no_args_is_help=True, pretty_exceptions_enable=False)


#: What the first edition's options and commands became.
_REPLACED: Final = {
    "--any-pool": "Consents may name only pools that MedSync deployed: see medsync pool list.",
    "--justification": "Break the glass first, then give the reason with medsync access justify.",
    "opt-out": "medsync consent emergency choose says who may break the glass: every, named or nobody.",
    "allow": "medsync pool allowance add moves uses to an accessor, allowance remove takes them back.",
}

#: Why a stream without a name, which is standard output, cannot be written.
_UNWRITABLE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF})


def _version(context: typer.Context, wanted: bool) -> None:
    if not wanted:
        return
    if context.params.get("json"):
        output.show({"version": __version__}, as_json=True)
    else:
        print(f"medsync {__version__}")
    raise typer.Exit


@app.callback()
def options(
    network: Annotated[
        str,
        typer.Option(
            help="devnet, sepolia or mainnet.",
            envvar="MEDSYNC_NETWORK",
            rich_help_panel="Global",
            autocompletion=lambda: ["devnet", "sepolia", "mainnet"],
        ),
    ] = "devnet",
    rpc_url: Annotated[
        str | None,
        typer.Option(
            help="The node to use, or several separated by commas or spaces: at least two must answer and "
            "agree, and the next one is asked when one fails; else MEDSYNC_RPC_URL (or MEDSYNC_DEVNET_URL).",
            rich_help_panel="Global",
        ),
    ] = None,
    account: Annotated[
        str | None,
        typer.Option(
            help="Who signs: the name of an account (medsync account new), devnet:<n>, an account file of "
            "starkli, <file or address>@<keystore>, or sncast:<name>; else the environment says "
            "(MEDSYNC_ACCOUNT_ADDRESS with MEDSYNC_KEYSTORE or MEDSYNC_PRIVATE_KEY), else devnet:0.",
            envvar="MEDSYNC_ACCOUNT",
            rich_help_panel="Global",
        ),
    ] = None,
    deployment: Annotated[
        str | None,
        typer.Option(
            help="Name or path of the deployment record; by default the network's.",
            envvar="MEDSYNC_DEPLOYMENT",
            rich_help_panel="Global",
        ),
    ] = None,
    json: Annotated[
        bool,
        # Eager, as --version is, which looks at it.
        typer.Option("--json", help="Answer in JSON, errors too.", rich_help_panel="Global", is_eager=True),
    ] = False,
    allow_public_network: Annotated[
        bool,
        typer.Option(
            "--allow-public-network",
            help="Use a network where everything is seen by all and stays.",
            rich_help_panel="Global",
        ),
    ] = False,
    log_level: Annotated[
        Level,
        typer.Option(
            help="Log what is of this level or above: to --log-file, else to standard error.",
            envvar="MEDSYNC_LOG_LEVEL",
            case_sensitive=False,
            rich_help_panel="Global",
        ),
    ] = Level.WARNING,
    log_file: Annotated[
        Path | None,
        typer.Option(
            help="Append what is logged to this file, one JSON object per line. Warnings and errors appear "
            "on standard error as well.",
            envvar="MEDSYNC_LOG_FILE",
            rich_help_panel="Global",
        ),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Show tracebacks of failures.", rich_help_panel="Global")
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Consent, access log and rewards for health data on Starknet.

    Patients say who may use their data, for what and until when; every request is logged, and may be paid.
    The global options may stand before or after the command. Exit codes: 0 done, 1 failed, 2 bad usage,
    3 bad input, 4 tool missing, 5 node unreachable, 6 contract refused, 7 not verified, 8 public network,
    9 access not permitted, 130 interrupted, 141 nobody read the answer to its end.

    Begin with: medsync devnet up, medsync deploy, medsync doctor.
    """
    current.set(
        Options(
            network=network,
            rpc_url=rpc_url,
            account=account,
            deployment=deployment,
            json=json,
            allow_public_network=allow_public_network,
            log_level=log_level,
            log_file=log_file,
            verbose=verbose,
        )
    )


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code. Errors are shown on standard error."""
    as_json, verbose = "--json" in arguments, "--verbose" in arguments
    if os.environ.get("NO_COLOR"):
        # rich omits only colours, but users who set it also want no bold text and no spinner.
        os.environ["TERM"] = "dumb"
    failure: MedSyncError
    try:
        if sys.stdout is None:
            raise _NoOutput("Standard output is closed: the answer would be lost. Nothing was done.")
        code = int(app(list(arguments), prog_name="medsync", standalone_mode=False) or ExitCode.OK)
        sys.stdout.flush()
        return code
    except output.OutputError as error:
        _drop_output()
        failure = error
    except MedSyncError as error:
        failure = error
    except typer.TyperException as error:
        failure = _usage(error)
    except (KeyboardInterrupt, typer.Abort):
        failure = interrupted()
    except SystemExit as error:
        # From rich where nobody reads its output, else from typer after it installed or showed completion.
        unread = isinstance(error.__context__, BrokenPipeError)
        return ExitCode.BROKEN_PIPE if unread else int(error.code or ExitCode.OK)
    except BrokenPipeError:
        _drop_output()
        return ExitCode.BROKEN_PIPE
    except Exception as error:
        if isinstance(error, OSError) and error.filename is None and error.errno in _UNWRITABLE:
            _drop_output()
            failure = output.OutputError(str(error.strerror))
        else:
            # Its text may quote anything, a key among it: only its type is shown.
            failure = MedSyncError(
                f"Unexpected {type(error).__name__}.", hint="--verbose shows where it happened."
            ).with_traceback(error.__traceback__)
            failure.__cause__ = error
    with contextlib.suppress(OSError):
        if verbose and failure.__traceback__ is not None:
            print(output.discreet("".join(output.trace(failure))), file=sys.stderr)
        output.show_error(failure, as_json=as_json)
    return failure.exit_code


def _drop_output() -> None:
    """Keep the interpreter from writing at its end what could not be written before."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _NoOutput(MedSyncError):
    code = output.OutputError.code


class _UsageError(MedSyncError):
    code = "USAGE"
    exit_code = ExitCode.USAGE


def _usage(error: typer.TyperException) -> MedSyncError:
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "medsync"
    message = error.format_message()
    # The name is quoted in typer's message of a command, and stands behind a colon in that of an option.
    unknown = re.search(r"No such (?:option: |command ')(\S+?)'?(?:\.| |$)", message)
    became = _REPLACED.get(unknown[1], "") if unknown else ""
    return _UsageError(message, hint=f"{became} See {path} --help.".lstrip())
