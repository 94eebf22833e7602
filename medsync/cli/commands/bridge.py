"""`medsync bridge`: anchors what a private node did, and issues tickets for what the log permits."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from medsync.cli import output, values
from medsync.cli.command import command
from medsync.cli.commands.private import HomeOption, opened
from medsync.cli.context import Context
from medsync.cli.output import Answer, Hex
from medsync.cli.passphrase import PassphraseFile, passphrase
from medsync.errors import ExitCode, InputError, MedSyncError
from medsync.private.bridge.attestor import AttestationRequest
from medsync.private.bridge.bridge import Bridge, BridgeStep
from medsync.private.bridge.journal import Journal, ProcessedEntry
from medsync.private.home import Home
from medsync.private.keys.keys import BridgeKey
from medsync.protocol.commitments import Domain, Opening
from medsync.starknet.anchor import PrivateAnchorClient
from medsync.storage.files import read_bytes

app = typer.Typer(no_args_is_help=True, help="Anchor what a node did, issue tickets for what is permitted.")

_log = logging.getLogger(__name__)

#: Seconds between two steps.
INTERVAL: Final = 5.0

Also = Annotated[
    list[Path],
    typer.Option("--also", help="Another institution's folder on this machine that attests; repeatable."),
]


Openings = Annotated[
    Path | None,
    typer.Option(
        "--openings",
        help="Folder of openings (*.opening.json) of consents' terms. Where a consent has a sealed scope,"
        " nothing is released without it: compare the records with it before you give it.",
    ),
]


@command(app, "run")
async def run(
    context: Context,
    home: HomeOption = None,
    once: Annotated[bool, typer.Option("--once", help="Do one step and end.")] = False,
    interval: Annotated[float, typer.Option(help="Seconds between two steps.", min=0.1)] = INTERVAL,
    also: Also = [],  # noqa: B006
    openings: Openings = None,
    ticket_life: Annotated[int, typer.Option(help="Seconds a ticket is good for.", min=1, max=3_600)] = 900,
    oldest_entry: Annotated[
        int, typer.Option(help="Seconds after which a logged permit gets no ticket any more.", min=1)
    ] = 3_600,
    passphrase_file: PassphraseFile = None,
) -> Answer | None:
    """Collect, anchor, issue; again and again, until Ctrl-C. Whatever stops it, it goes on where it was.

    Key cards go into the folder's bridge/cards; tickets come out in bridge/tickets. Attestors elsewhere are
    asked by the files in bridge/requests, and answer into bridge/attestations (medsync bridge attest).

    Example: medsync bridge run --home hospital --also clinic --also university --once
    """
    secret = passphrase(passphrase_file)
    settings = {"ticket_life": ticket_life, "oldest_entry": oldest_entry}
    while True:
        # The node is only held for one step, so that records can be put meanwhile.
        try:
            step = await _step(context, home, also, openings, secret, settings)
            answer = _describe(step)
        except MedSyncError as error:
            if once:
                raise
            _log.error("The step failed: %s", error.message, extra={"error": error.code, "hint": error.hint})
            output.show_error(error, as_json=context.options.json)
        else:
            if step.trouble:
                _log.error(
                    "The log was not anchored: %s", step.trouble.message, extra={"error": step.trouble.code}
                )
            if once:
                context.exit_code = step.trouble.exit_code if step.trouble else ExitCode.OK
                return answer
            if answer["collected"] or answer["transaction"] or answer["tickets"] or answer["trouble"]:
                output.show_line(answer, as_json=context.options.json)
        await asyncio.sleep(interval)


async def _step(
    context: Context,
    home: Path | None,
    also: list[Path],
    openings: Path | None,
    secret: str,
    settings: dict[str, int],
) -> BridgeStep:
    record = await context.record()
    async with AsyncExitStack() as stack:
        own = await stack.enter_async_context(opened(context, home))
        client = await anchor_client(context, signing=True)
        attestors = []
        for folder in also:
            with values.named("--also"):
                other = Home(folder)
                opened_store = await stack.enter_async_context(other.store())
                attestor = await other.attestor(opened_store, secret, client)
            stack.callback(attestor.close)
            attestors.append(attestor)
        store = await stack.enter_async_context(own.store())
        bridge: Bridge = await stack.enter_async_context(
            own.bridge(
                store,
                secret,
                client,
                first_block=record.first_block,
                attestors=tuple(attestors),
                openings=_openings(openings),
                **settings,
            )
        )
        with context.busy("Collecting, anchoring, issuing"):
            return await bridge.step()


def _openings(folder: Path | None) -> tuple[Opening, ...]:
    """What is in the folder of openings. It is read in each step, so that it may grow."""
    if folder is None:
        return ()
    if not folder.is_dir():
        raise InputError(f"--openings: {folder} is not a folder.")
    return tuple(
        values.read_any_opening(path, "--openings", (Domain.TERMS,))
        for path in sorted(folder.glob("*.opening.json"))
    )


def _describe(step: BridgeStep) -> dict[str, Any]:
    return {
        "collected": step.collected,
        "anchored": step.anchored,
        "transaction": Hex(step.transaction) if step.transaction else None,
        "tickets": [str(path) for path in step.issued],
        "entries": [f"{entry.patient:#x} {entry.seq}: {_outcome(entry)}" for entry in step.processed],
        "trouble": step.trouble.message if step.trouble else None,
    }


def _outcome(entry: ProcessedEntry) -> str:
    if entry.unopened is None:
        return entry.outcome
    return (
        f"{entry.outcome}: the consent has a sealed scope, and nothing is released without the opening of its"
        f" terms {entry.unopened:#x}. Ask the accessor or the patient for it, and give it with --openings."
    )


async def anchor_client(context: Context, *, signing: bool = False) -> PrivateAnchorClient:
    """The deployment's PrivateAnchor. Raises InputError if it has none."""
    address = (await context.record()).private_anchor
    if address is None:
        raise InputError(
            "This deployment has no PrivateAnchor.", hint="Deploy one: medsync deploy --anchor-nodes FILE."
        )
    return PrivateAnchorClient(
        address, await context.account() if signing else (await context.connection()).client
    )


@command(app, "status")
async def status(context: Context, home: HomeOption = None) -> Answer:
    """Say how far the log is anchored, and what became of the log entries."""
    async with opened(context, home) as found:
        head = await (await anchor_client(context)).head()
        with Journal(found.folder / "bridge" / "journal.db") as journal:
            journal.check_prefix(head.size, head.root)
            return {
                "entries": len(journal.log),
                "anchored": head.size,
                "root": Hex(head.root),
                "epoch": head.epoch,
                "threshold": head.threshold,
                "nodes": head.nodes,
                "outcomes": {outcome.value: count for outcome, count in journal.outcomes().items()},
            }


@command(app, "attest")
async def attest(
    context: Context,
    request: Annotated[Path, typer.Argument(help="The bridge's request, from its bridge/requests.")],
    output_file: Annotated[Path, typer.Option("--output", help="Where the attestation goes.")],
    home: HomeOption = None,
    passphrase_file: PassphraseFile = None,
) -> Answer:
    """Check a request of another institution's bridge, and sign it with this one's key.

    Nothing in the request is believed: see docs/private-side.md. Exit code 7 if it is refused.
    """
    asked = AttestationRequest.read(read_bytes(request, "REQUEST:"), f"REQUEST: {request}")
    secret = passphrase(passphrase_file)
    async with opened(context, home) as found, found.store() as store:
        attestor = await found.attestor(store, secret, await anchor_client(context))
        try:
            made = await attestor.attest(asked)
        finally:
            attestor.close()
    context.files.add(output_file, made.canonical().decode(), "--output")
    context.files.write()
    return {"attestation": str(output_file), "node": made.node, "size": made.size, "root": Hex(made.root)}


@command(app, "rotate-key")
async def rotate_key(
    context: Context, home: HomeOption = None, passphrase_file: PassphraseFile = None
) -> Answer:
    """Replace the key that tickets are signed with, in every context of this institution's node.

    Tickets that are out are void then: who has one asks for access again. What was interrupted is completed
    by the same command; until then the bridge stands still.
    """
    secret = passphrase(passphrase_file)
    async with opened(context, home, exclusive=True) as found, found.store() as store:
        former = found.public(BridgeKey)["signing_key"]
        with context.busy("Replacing the bridge's key"):
            await found.rotate_bridge_key(store, secret)
        return {
            "bridge_key": found.public(BridgeKey)["signing_key"],
            "former_bridge_key": former,
            "contexts": len(store.apps),
        }
