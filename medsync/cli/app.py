"""The command line as a whole: its groups, its global options, and what becomes of errors."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from medsync._version import __version__
from medsync.cli import output
from medsync.cli.commands import (
    access,
    anchor,
    bridge,
    consent,
    deploy,
    deployments,
    devnet,
    doctor,
    entity,
    pool,
    private,
    watch,
)
from medsync.cli.context import interrupted
from medsync.cli.options import Options, current, hoist
from medsync.errors import ExitCode, MedSyncError

app = typer.Typer(name="medsync", no_args_is_help=True, pretty_exceptions_enable=False)
app.add_typer(devnet.app, name="devnet")
doctor.register(app)
deploy.register(app)
app.add_typer(deployments.app, name="deployments")
app.add_typer(entity.app, name="entity")
app.add_typer(consent.app, name="consent")
app.add_typer(access.app, name="access")
app.add_typer(pool.app, name="pool")
app.add_typer(private.app, name="private")
app.add_typer(bridge.app, name="bridge")
app.add_typer(anchor.app, name="anchor")
watch.register(app)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"medsync {__version__}")
        raise typer.Exit


@app.callback()
def options(
    network: Annotated[
        str,
        typer.Option(help="devnet, sepolia or mainnet.", envvar="MEDSYNC_NETWORK", rich_help_panel="Global"),
    ] = "devnet",
    rpc_url: Annotated[
        str | None,
        typer.Option(
            help="The node to use, or several separated by commas or spaces, of which the next one answers "
            "when one fails; else MEDSYNC_RPC_URL (or MEDSYNC_DEVNET_URL).",
            rich_help_panel="Global",
        ),
    ] = None,
    account: Annotated[
        str | None,
        typer.Option(
            help="Who signs: devnet:<n>, or <address>@<keystore>; else the environment says "
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
        bool, typer.Option("--json", help="Answer in JSON, errors too.", rich_help_panel="Global")
    ] = False,
    allow_public_network: Annotated[
        bool,
        typer.Option(
            "--allow-public-network",
            help="Use a network where everything is seen by all and stays.",
            rich_help_panel="Global",
        ),
    ] = False,
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
    9 access not permitted, 130 interrupted.

    Begin with: medsync devnet up, medsync deploy, medsync doctor.
    """
    current.set(Options(network, rpc_url, account, deployment, json, allow_public_network, verbose))


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code. Errors are told on standard error."""
    arguments = hoist(arguments)
    as_json, verbose = "--json" in arguments, "--verbose" in arguments
    failure: MedSyncError
    try:
        return int(app(arguments, prog_name="medsync", standalone_mode=False) or ExitCode.OK)
    except MedSyncError as error:
        failure = error
    except typer.TyperException as error:
        failure = _usage(error)
    except (KeyboardInterrupt, typer.Abort):
        failure = interrupted([])
    except BrokenPipeError:
        # Whoever read the answer had enough of it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILED
    except Exception as error:
        # Its text may quote anything, a key among it: only its type is shown.
        failure = MedSyncError(
            f"Unexpected {type(error).__name__}.", hint="--verbose shows where it happened."
        ).with_traceback(error.__traceback__)
        failure.__cause__ = error
    if verbose and failure.__traceback__ is not None:
        print(output.discreet("".join(_trace(failure))), file=sys.stderr)
    output.show_error(failure, as_json=as_json)
    return failure.exit_code


def _trace(error: BaseException) -> Iterator[str]:
    """Where an error comes from. What others say in theirs may quote a secret: of those only the type."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        yield from _trace(cause)
        yield "which led to:\n"
    yield "Traceback (most recent call last):\n"
    yield from traceback.format_tb(error.__traceback__)
    yield type(error).__name__ + (f": {error}\n" if isinstance(error, MedSyncError) else "\n")


class _UsageError(MedSyncError):
    code = "USAGE"
    exit_code = ExitCode.USAGE


def _usage(error: typer.TyperException) -> MedSyncError:
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "medsync"
    return _UsageError(error.format_message(), hint=f"See {path} --help.")
