"""`medsync anchor`: proofs that an entry is included in an anchored log, and audits of the whole of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from medsync.cli import values
from medsync.cli.command import command
from medsync.cli.commands.bridge import anchor_client
from medsync.cli.commands.private import HomeOption, opened
from medsync.cli.context import Context, paid
from medsync.cli.output import Answer, Hex, Time
from medsync.cli.passphrase import PassphraseFile, passphrase
from medsync.deployment.record import read_quorum
from medsync.errors import InputError
from medsync.private.bridge import proofs, rotation
from medsync.private.bridge.journal import Journal
from medsync.private.home import Home
from medsync.private.keys.keys import AttestorKey
from medsync.private.records.application import Operation, RecordOperation
from medsync.protocol.anchor import node_identity
from medsync.protocol.types import AnchorNode
from medsync.protocol.vocabulary import Category
from medsync.storage.files import read_bytes

app = typer.Typer(
    no_args_is_help=True, help="Prove what a private log includes, verify, audit; rotate its nodes."
)


@command(app, "nodes")
async def nodes(
    context: Context,
    homes: Annotated[
        list[Path], typer.Argument(help="The institutions' folders, in the order of the nodes.")
    ],
    output: Annotated[Path, typer.Option("--output", help="Where the file of nodes goes.")],
    threshold: Annotated[int, typer.Option(help="How many must sign.", min=1, max=16)],
) -> Answer:
    """Write a file of nodes, from folders on this machine: for deploy --anchor-nodes, or anchor rotate."""
    found = []
    for folder in homes:
        with values.named("HOMES"):
            home = Home(folder)
            async with home.store() as store:
                identity = node_identity(store.node.kind, store.member)
            found.append({"stark_key": home.public(AttestorKey)["stark_key"], "identity": hex(identity)})
    if threshold > len(found):
        raise InputError(f"--threshold: {threshold} is more than the number of nodes, {len(found)}.")
    context.files.add(
        output, json.dumps({"threshold": threshold, "nodes": found}, indent=2) + "\n", "--output"
    )
    context.files.write()
    return {"nodes": len(found), "threshold": threshold, "output": str(output)}


NextNodes = Annotated[
    Path, typer.Argument(help="The file of the next nodes and their threshold, as anchor nodes writes it.")
]


@command(app, "sign-rotation")
async def sign_rotation(
    context: Context,
    nodes: NextNodes,
    output: Annotated[Path, typer.Option("--output", help="Where the signature goes.")],
    home: HomeOption = None,
    passphrase_file: PassphraseFile = None,
) -> Answer:
    """Sign, as one of the present nodes, that those of a file take over. It changes nothing yet.

    Read the file before: who is not in it attests nothing any more, and nobody can undo it.

    Example: medsync anchor sign-rotation next.json --home clinic --output clinic.rotation.json
    """
    following, threshold = _next_nodes(nodes)
    secret = passphrase(passphrase_file)
    async with opened(context, home) as found:
        signer = found.key(AttestorKey, secret).signer(found.settings.chain)
        client = await anchor_client(context)
        with values.named("--home"):
            made = await rotation.sign(signer, client, following, threshold)
    context.files.add(output, made.canonical().decode() + "\n", "--output")
    context.files.write()
    return {
        "signature": str(output),
        "node": made.node,
        "epoch": made.epoch,
        "next_threshold": threshold,
        "next_nodes": [
            {"stark_key": Hex(node.stark_key), "identity": Hex(node.identity)} for node in following
        ],
    }


@command(app, "rotate")
async def rotate(
    context: Context,
    nodes: NextNodes,
    signatures: Annotated[
        list[Path], typer.Argument(help="What present nodes wrote with anchor sign-rotation.")
    ],
) -> Answer:
    """Have the nodes of a file take over from the present ones, a quorum of which signed that. For anyone.

    Every signature is checked before anything is sent; exit code 7 if one is not good, or there are too few.

    Example: medsync anchor rotate next.json hospital.rotation.json clinic.rotation.json
    """
    following, threshold = _next_nodes(nodes)
    given = {
        str(path): rotation.RotationSignature.read(read_bytes(path, "SIGNATURES:"), f"SIGNATURES: {path}")
        for path in signatures
    }
    client = await anchor_client(context, signing=True)
    head = await client.head()
    if (await client.nodes(), head.threshold) == (following, threshold):
        # Somebody was faster; or this command was, and was stopped before it could say so.
        return {"rotated": False, "epoch": head.epoch, "nodes": head.nodes, "threshold": head.threshold}
    quorum = await rotation.check(client, following, threshold, given)
    result = await context.send(client.rotate(following, threshold, quorum))
    return {
        "rotated": True,
        "epoch": head.epoch + 1,
        "nodes": len(following),
        "threshold": threshold,
        **paid(result),
    }


def _next_nodes(path: Path) -> tuple[list[AnchorNode], int]:
    """The nodes and the threshold of a file."""
    with values.named("NODES"):
        quorum = read_quorum(path)
    return [AnchorNode(node.stark_key, node.identity) for node in quorum.nodes], quorum.threshold


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
    if (index is None) == (record is None):
        raise InputError("One of --index and --record says which entry.")
    async with opened(context, home) as found:
        client = await anchor_client(context)
        head = await client.head()
        with Journal(found.folder / "bridge" / "journal.db") as journal:
            journal.check_prefix(head.size, head.root)
            place = index if index is not None else _place(journal, head.size, str(record))
            with values.named("--index"):
                proof = proofs.prove(journal, found.settings.chain, client.address, head.size, place)
    context.files.add(output, proof.canonical().decode() + "\n", "--output")
    context.files.write()
    return {
        "proof": str(output),
        "entry": proof.operation.kind,
        "index": proof.index,
        "size": proof.size,
        "root": Hex(proof.root),
    }


def _place(journal: Journal, size: int, record: str) -> int:
    operations = journal.operations(0, size)
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
    proof = proofs.InclusionProof.read(read_bytes(file, "FILE:"), f"FILE: {file}")
    connection = await context.connection()
    found = await proofs.verify(proof, connection.client, connection.chain_id)
    if not found.published:
        context.say("The contract's class is not the PrivateAnchor that this package publishes.")
    return {
        "included": True,
        "entry": _shown(proof.operation),
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


def _shown(operation: Operation) -> dict[str, Any]:
    """An entry, its categories and times as other commands answer them."""
    shown = operation.model_dump(mode="json") | {"at": Time(operation.at)}
    if isinstance(operation, RecordOperation):
        shown["categories"] = Category(operation.categories)
    return shown


@command(app, "audit")
async def audit(
    context: Context,
    entries: Annotated[
        bool, typer.Option("--entries", help="Recompute every root from the entries in the bridge's journal.")
    ] = False,
    home: HomeOption = None,
) -> Answer:
    """Replay all that the deployment's PrivateAnchor emitted, and find contradictions (exit code 7)."""
    client = await anchor_client(context)
    operations = None
    if entries:
        async with opened(context, home) as found:
            with Journal(found.folder / "bridge" / "journal.db") as journal:
                operations = list(journal.operations())
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
