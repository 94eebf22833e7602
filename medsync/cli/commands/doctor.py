"""`medsync doctor`: what is there, in which version, what is missing, and how to get it."""

import os
import platform
import re
import sys

import typer

from medsync._version import __version__
from medsync.cli.context import Context, command
from medsync.cli.output import Answer
from medsync.errors import ExitCode, MedSyncError


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    command(app, "doctor")(doctor)


async def doctor(context: Context) -> Answer:
    """Look at tools, artifacts, deployments and settings.

    Exit code 4 if something needed is missing.
    """
    from medsync import artifacts
    from medsync.deployment import devnet, toolchain
    from medsync.starknet.network import NETWORKS

    found: list[dict[str, object]] = []

    def report(part: str, state: str, *, ok: bool = True, needed: bool = True, remedy: str = "") -> None:
        found.append(
            {"part": part, "ok": ok, "needed": needed, "state": state, "remedy": remedy if not ok else ""}
        )

    report("medsync", __version__)
    report("python", f"{platform.python_version()} ({sys.executable})", ok=sys.version_info >= (3, 11))
    node = toolchain.devnet()
    report("starknet-devnet", str(node), ok=node.ok, remedy="make devnet builds it; or put one on PATH")
    scarb = toolchain.scarb()
    report(
        "scarb",
        str(scarb),
        ok=scarb.ok,
        needed=False,
        remedy=f"only to change contracts: install Scarb {toolchain.SCARB_VERSION}",
    )
    try:
        manifest = artifacts.manifest()
        for name in manifest["contracts"]:
            artifacts.verified(name)
        report("artifacts", f"built by Scarb {manifest['scarb']}, class hashes verified")
    except MedSyncError as error:
        report("artifacts", error.message, ok=False, remedy=error.hint)
    report("deployments", _deployments())
    running = devnet.background_status()
    report("devnet", f"runs at {running.url}" if running else "none in the background: medsync devnet up")
    named = context.options.network
    report("network", named if named in NETWORKS else "none that is known")
    report("account", _account(context.options.account))
    if any(one["needed"] and not one["ok"] for one in found):
        context.exit_code = ExitCode.MISSING_TOOL
    return found


def _deployments() -> str:
    from medsync.deployment import record

    return ", ".join(path.stem for path in record.find_all()) or "none recorded: medsync deploy"


def _account(named: str | None) -> str:
    """Where the account would come from, without a word of what is secret, or may be in the wrong place."""
    if named is None:
        if "MEDSYNC_ACCOUNT_ADDRESS" in os.environ:
            return f"{_address(os.environ['MEDSYNC_ACCOUNT_ADDRESS'])} from the environment"
        return "devnet:0 on a local devnet, none elsewhere"
    address, at, keystore = named.partition("@")
    if at:
        return f"{_address(address)} with the keystore {keystore}"
    return (
        named if re.fullmatch("devnet:[0-9]{1,3}", named) else "neither devnet:<n> nor <address>@<keystore>"
    )


def _address(text: str) -> str:
    from medsync.protocol.felt import InvalidValue, check_address, parse_felt

    try:
        check_address(parse_felt(text, "address"), "address")
    except InvalidValue:
        return "an address that is none"
    return text
