"""`medsync anchor`: proofs that an entry is included in an anchored log, and audits of the whole of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from medsync.cli import values
from medsync.cli.bridge import anchor_client
from medsync.cli.context import Context, command
from medsync.cli.output import Answer, Hex, Time
from medsync.cli.private import HomeOption, opened
from medsync.errors import InputError

app = typer.Typer(no_args_is_help=True, help="Prove what a private log includes, verify, audit.")


@command(app, "nodes")
async def nodes(
    context: Context,
    homes: Annotated[
        list[Path], typer.Argument(help="The institutions' folders, in the order of the nodes.")
    ],
    output: Annotated[Path, typer.Option("--output", help="Where the file for medsync deploy goes.")],
    threshold: Annotated[int, typer.Option(help="How many must sign.", min=1, max=16)],
) -> Answer:
    """Write the file of nodes that medsync deploy --anchor-nodes takes, from folders on this machine."""
    from medsync.private.anchor import node_identity
    from medsync.private.home import Home
    from medsync.private.keys import AttestorKey

    found = []
    for folder in homes:
        with values.named("HOMES"):
            home = Home(folder)
            async with home.store() as store:
                identity = node_identity(store.node.kind, store.member)
            found.append({"stark_key": home.public(AttestorKey)["stark_key"], "identity": hex(identity)})
    if threshold > len(found):
        raise InputError(f"--threshold: {threshold} of {len(found)} nodes cannot sign.")
    context.write(output, json.dumps({"threshold": threshold, "nodes": found}, indent=2) + "\n", "--output")
    context.keep()
    return {"nodes": len(found), "threshold": threshold, "output": str(output)}


@command(app, "prove")
async def prove(
    context: Context,
    output: Annotated[Path, typer.Option("--output", help="Where the proof goes.")],
    index: Annotated[int | None, typer.Option(help="Place of the entry in the log, from 0.", min=0)] = None,
    record: Annotated[str | None, typer.Option(help="Id of a record: its newest entry.")] = None,
    home: HomeOption = None,
) -> Answer:
    """Write the proof that an entry is included in the anchored log. It holds commitments, never data.

    Example: medsync anchor prove --record 3f… --output proof.json
    """
    from medsync.private import proofs
    from medsync.private.book import Book

    if (index is None) == (record is None):
        raise InputError("One of --index and --record says which entry.")
    async with opened(context, home) as found:
        client = await anchor_client(context)
        head = await client.head()
        with Book(found.folder / "bridge" / "book.db") as book:
            book.check_prefix(head.size, head.root)
            place = index if index is not None else _place(book, head.size, str(record))
            with values.named("--index"):
                proof = proofs.prove(book, found.settings.chain, client.address, head.size, place)
    context.write(output, proof.canonical().decode() + "\n", "--output")
    context.keep()
    return {
        "proof": str(output),
        "entry": proof.operation.kind,
        "index": proof.index,
        "size": proof.size,
        "root": Hex(proof.root),
    }


def _place(book: object, size: int, record: str) -> int:
    from medsync.private.book import Book

    assert isinstance(book, Book)
    operations = book.operations(0, size)
    places = [place for place, one in enumerate(operations) if getattr(one, "id", None) == record]
    if not places:
        raise InputError(f"--record: no anchored entry is about {record}.", hint="Is the bridge running?")
    return places[-1]


@command(app, "verify")
async def verify(
    context: Context,
    file: Annotated[Path, typer.Argument(help="The proof.")],
) -> Answer:
    """Verify a proof: the entry is **included** in a log that a quorum **attested**. For anyone.

    It needs the file and a node, no deployment record. Exit code 7 if it does not hold.
    """
    from medsync.files import read_bytes
    from medsync.private import proofs

    proof = proofs.InclusionProof.read(read_bytes(file, "FILE:"), f"FILE: {file}")
    connection = await context.connection()
    found = await proofs.verify(proof, connection.client, connection.chain_id)
    if not found.published:
        context.say("The contract's class is not the PrivateAnchor that this package publishes.")
    return {
        "included": True,
        "entry": proof.operation.model_dump(mode="json"),
        "index": proof.index,
        "size": proof.size,
        "root": Hex(proof.root),
        "anchor": Hex(proof.anchor),
        "anchored_at": Time(found.at),
        "block": found.block,
        "epoch": found.epoch,
        "attested": f"{len(found.signers)} signed, {found.threshold} were needed",
        "signers": list(found.signers),
        "published_class": found.published,
    }


@command(app, "audit")
async def audit(
    context: Context,
    entries: Annotated[
        bool, typer.Option("--entries", help="Recompute every root from the entries in the bridge's book.")
    ] = False,
    home: HomeOption = None,
) -> Answer:
    """Replay all that the deployment's PrivateAnchor emitted, and find contradictions (exit code 7)."""
    from medsync.private import proofs
    from medsync.private.book import Book

    client = await anchor_client(context)
    operations = None
    if entries:
        async with opened(context, home) as found:
            with Book(found.folder / "bridge" / "book.db") as book:
                operations = list(book.operations())
    with context.busy("Replaying"):
        result = await proofs.audit(client.client, client.address, operations)
    return {
        "anchors": result.anchors,
        "epochs": result.epochs,
        "size": result.size,
        "root": Hex(result.root),
        "signers": {str(count): times for count, times in result.signers.items()},
        "append_only": "checked by the contract at every anchor",
        "recomputed": result.recomputed,
        "published_class": result.published,
    }
