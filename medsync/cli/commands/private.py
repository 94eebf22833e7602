"""`medsync private`: encrypted records on a hospital's node, and getting one with a ticket."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from medsync.cli import values
from medsync.cli.command import command
from medsync.cli.context import Context
from medsync.cli.output import Answer, Hex, Time, Whole
from medsync.cli.passphrase import PassphraseFile, passphrase
from medsync.deployment.devnet import state_dir
from medsync.errors import InputError
from medsync.private.home import Home
from medsync.private.keys.cards import LONGEST_LIFE, sign_card
from medsync.private.keys.keyfiles import read_key, write_key
from medsync.private.keys.keys import AccessorKey, AttestorKey, BridgeKey, CustodianKey
from medsync.private.node.calimero import CalimeroNode, Credentials, Invitation
from medsync.private.node.interface import NodeRefused, decode_id
from medsync.private.records import service
from medsync.private.records.application import RecordStore
from medsync.private.records.sealing import OpenedRecord, open_record, read_resources
from medsync.private.records.tickets import Presentation, SignedTicket, read_ticket
from medsync.private.records.vault import Note
from medsync.protocol.anchor import node_identity
from medsync.protocol.commitments import canonical_json
from medsync.protocol.vocabulary import Category
from medsync.storage.files import NewFile, is_there, read_bytes, read_text, replace, write_new

app = typer.Typer(no_args_is_help=True, help="Keep encrypted records on a private node, and get one.")

HOME_VARIABLE: Final = "MEDSYNC_PRIVATE_HOME"

HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home",
        help="The institution's folder; by default private/<network> where MedSync keeps its state.",
        envvar=HOME_VARIABLE,
    ),
]


def home_path(context: Context, home: Path | None) -> Path:
    """The folder that is meant."""
    return home or state_dir() / "private" / context.options.network


@asynccontextmanager
async def opened(context: Context, home: Path | None, *, exclusive: bool = False) -> AsyncIterator[Home]:
    """The home that is meant, which must belong to the deployment that is meant.

    `exclusive` is for who replaces a key: no other command uses the home meanwhile.
    """
    found = Home(home_path(context, home))
    record = await context.record()
    connection = await context.connection()
    if (found.settings.chain, found.settings.contract) != (connection.chain_id, record.medsync):
        raise InputError(
            f"The home {found.folder} belongs to another deployment of MedSync.",
            hint="Choose another --home, --deployment or --network.",
        )
    with found.used(exclusive=exclusive):
        yield found


@contextmanager
def reserved(output: Path) -> Iterator[None]:
    """A new file, made before what cannot be repeated; gone again if that fails. Only its owner reads it."""
    write_new([NewFile(output, b"", "--output:", private=True)])
    try:
        yield
    except BaseException:
        output.unlink()
        raise


@command(app, "init")
async def init(
    context: Context,
    home: HomeOption = None,
    passphrase_file: PassphraseFile = None,
    node: Annotated[
        str, typer.Option(help="embedded, or the URL of a real Calimero node on this machine.")
    ] = "embedded",
    login: Annotated[
        Path | None,
        typer.Option(
            "--login",
            help="File of two lines, the node's user name and password, that only you may read. It is copied"
            " into the folder.",
        ),
    ] = None,
    capacity: Annotated[
        int,
        typer.Option(help="Records in one context; a new one is begun when it is full.", min=1, max=10_000),
    ] = 1_000,
) -> Answer:
    """Make an institution's folder: keys, key vault, node, and a first context of the application.

    Example: medsync private init --home hospital
    """
    record, connection = await context.record(), await context.connection()
    credentials = Credentials.read(login, "--login:") if login is not None else None
    secret = passphrase(passphrase_file, new=True)
    with context.busy("Making keys, vault and node"):
        made = await Home.create(
            home_path(context, home),
            secret,
            chain=connection.chain_id,
            contract=record.medsync,
            node=node,
            login=credentials,
            capacity=capacity,
        )
        async with made.store() as store:
            member = store.member
            kind = store.node.kind
    return {
        "home": str(made.folder),
        "node": kind.value,
        "application": made.settings.application,
        "node_key": member.hex(),
        "bridge_key": made.public(BridgeKey)["signing_key"],
        "stark_key": Hex(int(made.public(AttestorKey)["stark_key"], 16)),
        "identity": Hex(node_identity(kind, member)),
    }


@command(app, "key")
async def key(
    context: Context,
    file: Annotated[Path, typer.Argument(help="Where the new key file goes.")],
    passphrase_file: PassphraseFile = None,
) -> Answer:
    """Make an accessor's key: what data is encrypted for, and tickets are presented with."""
    made = AccessorKey.generate()
    write_key(file, made, passphrase(passphrase_file, new=True))
    return {"key": str(file), **made.public_parts}


@command(app, "card")
async def card(
    context: Context,
    key: Annotated[Path, typer.Option("--key", help="The accessor's key file.")],
    output: Annotated[Path, typer.Option("--output", help="Where the card goes.")],
    expires: Annotated[str, typer.Option(help="When it is void. " + values.TIME_HELP)] = "+90d",
    passphrase_file: PassphraseFile = None,
) -> Answer:
    """Make the key card of the signing account, for the hospitals it gets data from. It holds no secret.

    Example: medsync private card --account devnet:2 --key researcher.json --output researcher.card.json
    """
    now = int(time.time())
    until = values.time(expires, "--expires", now)
    if not now < until <= now + LONGEST_LIFE:
        raise InputError(f"--expires: a key card is good for at most {LONGEST_LIFE // 86_400} days from now.")
    account = await context.account()
    accessor = read_key(key, AccessorKey, passphrase(passphrase_file))
    made = sign_card(account.stark_signer, account.address, accessor, until)
    context.files.add(output, made.canonical().decode(), "--output")
    context.files.write()
    return {"card": str(output), "address": Hex(account.address), "expires_at": Time(until)}


@command(app, "put")
async def put(
    context: Context,
    file: Annotated[Path, typer.Argument(help="FHIR R5 JSON: a resource, or a Bundle of several.")],
    patient: Annotated[str, typer.Option(help="Whom it is about: " + values.ADDRESS_HELP)],
    update: Annotated[
        str | None, typer.Option("--update", help="Id of the record this is a new version of.")
    ] = None,
    label: Annotated[str, typer.Option(help="A name for people in the hospital; kept in the vault.")] = "",
    categories: Annotated[
        str | None, typer.Option(help="Data categories, with commas, where the resource's type has none.")
    ] = None,
    home: HomeOption = None,
    passphrase_file: PassphraseFile = None,
) -> Answer:
    """Validate, encrypt and store records. Nothing readable leaves this process.

    Each answer's commitment is what an access request names as --record.

    Example: medsync private put observation.json --patient devnet:5
    """
    resources = read_resources(read_bytes(file, "FILE:"), f"FILE: {file}")
    if update is not None and len(resources) != 1:
        raise InputError(f"--update: {file} holds {len(resources)} records; a new version is one.")
    whom = await context.address(patient, "--patient")
    overrides = _overrides(resources, categories)
    stored = []
    async with opened(context, home) as found, found.store() as store:
        with found.vault(passphrase(passphrase_file)) as vault, context.busy("Encrypting and storing"):
            for resource in resources:
                if update is None:
                    note = Note(patient=whom, label=label)
                    sealed = await service.put(store, vault, resource, note, overrides=overrides)
                else:
                    with values.named("--update"):
                        note = vault.note(update)
                    if note.patient != whom:
                        raise InputError("--patient: the record is another patient's.")
                    sealed = await service.update(store, vault, update, resource, overrides=overrides)
                stored.append(
                    {
                        "record": sealed.record.id,
                        "version": sealed.record.version,
                        "type": str(resource["resourceType"]),
                        "categories": sealed.categories,
                        "commitment": Whole(sealed.record.commitment),
                    }
                )
    return stored


def _overrides(resources: list[Any], text: str | None) -> dict[str, Category] | None:
    if text is None:
        return None
    wanted = values.categories(text)
    return {str(resource["resourceType"]): wanted for resource in resources}


@command(app, "list")
async def listing(
    context: Context,
    patient: Annotated[
        str | None, typer.Option(help="Only this patient's, with what the vault knows.")
    ] = None,
    home: HomeOption = None,
    passphrase_file: PassphraseFile = None,
) -> Answer:
    """List the records on the node: ids, versions, commitments. --patient also opens the vault."""
    async with opened(context, home) as found, found.store() as store:
        records = await store.records()
        notes = {}
        if patient is not None:
            whom = await context.address(patient, "--patient")
            with found.vault(passphrase(passphrase_file)) as vault:
                notes = {record: vault.note(record) for record in vault.records()}
            notes = {one: note for one, note in notes.items() if note.patient == whom}
            records = [record for record in records if record.id in notes]
    return [
        {
            "record": record.id,
            "version": record.version,
            "categories": Category(record.categories),
            "commitment": Whole(record.commitment),
            "erased": record.erased,
            **({"label": notes[record.id].label} if record.id in notes else {}),
        }
        for record in records
    ]


TicketFile = Annotated[Path, typer.Argument(help="The ticket that the hospital's bridge issued.")]
AccessorKeyFile = Annotated[Path, typer.Option("--key", help="The accessor's key file.")]
RecordFile = Annotated[Path, typer.Option("--output", help="Where the record goes; only you can read it.")]


@command(app, "get")
async def get(
    context: Context,
    ticket: TicketFile,
    key: AccessorKeyFile,
    output: RecordFile,
    home: HomeOption = None,
    passphrase_file: PassphraseFile = None,
) -> Answer:
    """Get a record with a ticket, decrypt it, and check that it is what the logged request named.

    A ticket releases once. A refusal is logged on the node; exit code 9. This is present, release and open in
    one, for an accessor on the machine of the hospital's folder.
    """
    # What the ticket releases, it releases once.
    with reserved(output):
        signed = read_ticket(ticket)
        accessor = read_key(key, AccessorKey, passphrase(passphrase_file))
        requested = await _requested(context, signed)
        async with opened(context, home) as found, found.store() as store:
            record = await service.fetch(store, signed, accessor, requested=requested)
        return _written(record, output)


@command(app, "present")
async def present(
    context: Context,
    ticket: TicketFile,
    key: AccessorKeyFile,
    output: Annotated[Path, typer.Option("--output", help="Where the presentation goes: for the hospital.")],
    passphrase_file: PassphraseFile = None,
) -> Answer:
    """Sign a ticket for the hospital to release what it is for. The first of three steps.

    Nothing is used up yet. The ticket must rest on a logged request of this accessor's. The presentation need
    not be kept secret: what it releases only this key opens.

    Example: medsync private present TICKET --key researcher.key --output presentation.json
    """
    signed = read_ticket(ticket)
    accessor = read_key(key, AccessorKey, passphrase(passphrase_file))
    await _requested(context, signed)
    # A ticket that would not open what it releases is not worth using up.
    signed.data_key(accessor)
    made = signed.present(accessor.signing)
    context.files.add(output, made.canonical().decode() + "\n", "--output")
    context.files.write()
    return {
        "presentation": str(output),
        "record": signed.ticket.record,
        "deadline": Time(signed.ticket.deadline),
    }


@command(app, "release")
async def release(
    context: Context,
    presentation: Annotated[Path, typer.Argument(help="What the accessor wrote with private present.")],
    output: Annotated[
        Path, typer.Option("--output", help="Where the encrypted record goes: for the accessor.")
    ],
    home: HomeOption = None,
) -> Answer:
    """Have the hospital's node release an encrypted record against a ticket. The second of three steps.

    The node judges the ticket, and logs a receipt. A ticket releases once; exit code 9 if it does not.

    Example: medsync private release presentation.json --output released.bin --home hospital
    """
    with reserved(output):
        given = Presentation.read(read_bytes(presentation, "PRESENTATION:"), f"PRESENTATION: {presentation}")
        async with opened(context, home) as found, found.store() as store:
            ciphertext = await service.release(store, given)
        replace(NewFile(output, ciphertext, "--output:", private=True))
    return {"released": str(output), "bytes": len(ciphertext)}


@command(app, "open")
async def open_released(
    context: Context,
    released: Annotated[Path, typer.Argument(help="What the hospital wrote with private release.")],
    ticket: Annotated[Path, typer.Option("--ticket", help="The ticket that it was released against.")],
    key: AccessorKeyFile,
    output: RecordFile,
    passphrase_file: PassphraseFile = None,
) -> Answer:
    """Decrypt what was released, and check that it is what the logged request named. The last of three steps.

    It may be repeated. Exit code 7 if it is another record, or another version of it.

    Example: medsync private open released.bin --ticket TICKET --key researcher.key --output record.json
    """
    ciphertext = read_bytes(released, "RELEASED:")
    signed = read_ticket(ticket)
    accessor = read_key(key, AccessorKey, passphrase(passphrase_file))
    requested = await _requested(context, signed)
    data_key, version = signed.data_key(accessor), signed.ticket.record_version
    record = open_record(ciphertext, data_key, version, requested=requested)
    with reserved(output):
        return _written(record, output)


async def _requested(context: Context, signed: SignedTicket) -> int:
    """The commitment that was asked for, as the patient's log on the chain has it."""
    deployment, connection = await context.record(), await context.connection()
    with context.busy("Reading the log"):
        entry = await service.logged_request(
            connection.client, deployment.medsync, signed.ticket, deployment.first_block
        )
    return entry.record


def _written(record: OpenedRecord, output: Path) -> Answer:
    """Put a record into its reserved file, and say so."""
    replace(NewFile(output, canonical_json(record.resource) + b"\n", "--output:", private=True))
    return {
        "record": record.record.id,
        "version": record.record.version,
        "commitment": Hex(record.record.commitment),
        "verified": "it opens the commitment that the logged request named",
        "output": str(output),
    }


@command(app, "erase")
async def erase(
    context: Context,
    record: Annotated[str, typer.Argument(help="Id of the record.")],
    home: HomeOption = None,
    passphrase_file: PassphraseFile = None,
) -> Answer:
    """Erase a record: ciphertext, keys and salt, backups included, with a signed certificate.

    What was interrupted is completed by the same command. Exit code 7 as long as a backup is out of reach.
    """
    async with opened(context, home) as found, found.store() as store:
        secret = passphrase(passphrase_file)
        with context.busy("Erasing"):
            deployment = await context.record()
            certificate, path = await found.erase(
                store,
                record,
                secret,
                (await context.connection()).client,
                first_block=deployment.first_block,
                anchor=deployment.private_anchor,
            )
    return {
        "record": record,
        "certificate": str(path),
        "deleted": [
            {"place": deletion.place, "name": deletion.name, "found": deletion.found}
            for deletion in certificate.statement.deleted
        ],
        "note": "The certificate says what remains, and what of it still identifies anybody.",
    }


@command(app, "backup")
async def backup(
    context: Context,
    file: Annotated[Path, typer.Argument(help="Where the copy of the key vault goes.")],
    home: HomeOption = None,
    passphrase_file: PassphraseFile = None,
) -> Answer:
    """Copy the key vault, and register the copy so that erasure reaches it. It is useless without its key."""
    async with opened(context, home) as found:
        with found.vault(passphrase(passphrase_file)) as vault:
            with values.named("FILE"):
                vault.backup(file)
            return {
                "backup": str(file),
                "records": len(vault.records()),
                "backups": list(map(str, vault.backups())),
            }


@command(app, "backups")
async def backups(
    context: Context, home: HomeOption = None, passphrase_file: PassphraseFile = None
) -> Answer:
    """List the registered backups of the key vault, and whether erasure reaches each of them now."""
    async with opened(context, home) as found:
        with found.vault(passphrase(passphrase_file)) as vault:
            unreached = vault.unreached()
            return [
                {
                    "backup": str(path),
                    "reached": path not in unreached and is_there(path),
                    "why_not": unreached.get(path, "" if is_there(path) else "It was never completed."),
                }
                for path in vault.backups()
            ]


@command(app, "register-backup")
async def register_backup(
    context: Context,
    file: Annotated[Path, typer.Argument(help="A copy of the key vault that was moved, or made otherwise.")],
    home: HomeOption = None,
    passphrase_file: PassphraseFile = None,
) -> Answer:
    """Have erasure reach a copy of the key vault that private backup did not make where it is."""
    async with opened(context, home) as found:
        with found.vault(passphrase(passphrase_file)) as vault:
            with values.named("FILE"):
                vault.register(file)
            return {"backup": str(file), "backups": list(map(str, vault.backups()))}


@command(app, "forget-backup")
async def forget_backup(
    context: Context,
    file: Annotated[Path, typer.Argument(help="Where the backup was. Destroy it first, and copies of it.")],
    home: HomeOption = None,
    passphrase_file: PassphraseFile = None,
) -> Answer:
    """Strike a backup that no longer exists from the register, so that erasure does not wait for it."""
    async with opened(context, home) as found:
        with found.vault(passphrase(passphrase_file)) as vault:
            with values.named("FILE"):
                if is_there(file):
                    raise InputError(f"{file} still exists.", hint="Destroy it first: it may hold keys.")
                vault.forget_backup(file)
            return {"forgotten": str(file), "backups": list(map(str, vault.backups()))}


@command(app, "rekey")
async def rekey(context: Context, home: HomeOption = None, passphrase_file: PassphraseFile = None) -> Answer:
    """Replace the custodian's key: the key vault and its backups are sealed under the new key.

    What was interrupted is completed by the same command. Exit code 7 if a registered backup is out of reach;
    nothing is changed then.
    """
    secret = passphrase(passphrase_file)
    async with opened(context, home, exclusive=True) as found:
        former = found.public(CustodianKey)["signing_key"]
        with context.busy("Sealing the key vault under the new key"):
            found.rekey(secret)
        return {
            "signing_key": found.public(CustodianKey)["signing_key"],
            "former_signing_key": former,
            "note": "Publish both: certificates of erasure made before are signed with the former.",
        }


def _real_node(store: RecordStore) -> CalimeroNode:
    """The node, if it is one that others can join. Raises InputError."""
    if not isinstance(store.node, CalimeroNode):
        raise InputError(
            "--home: its node is the in-process one, which replicates nothing: no node joins another there.",
            hint="Make a home with a real node: medsync private init --node URL.",
        )
    return store.node


@command(app, "invite")
async def invite(
    context: Context,
    output: Annotated[
        Path, typer.Option("--output", help="Where the invitation goes; only you can read it.")
    ],
    life: Annotated[int, typer.Option(help="Seconds it may be used.", min=1, max=86_400)] = 600,
    home: HomeOption = None,
) -> Answer:
    """Invite one more real node, which will replicate what this institution's node publishes to members.

    Anyone who has the file may join until it expires. Hand it over in secret, and look at the members
    afterwards (medsync private members).
    """
    async with opened(context, home) as found, found.store() as store:
        node = _real_node(store)
        with reserved(output), context.busy("Inviting"):
            made = await node.invite(found.settings.group, life)
            replace(NewFile(output, made.to_json().encode() + b"\n", "--output:", private=True))
    return {"invitation": str(output), "group": made.group, "seconds": life}


@command(app, "join")
async def join(
    context: Context,
    file: Annotated[Path, typer.Argument(help="The invitation that another institution made.")],
    home: HomeOption = None,
) -> Answer:
    """Have this institution's real node join the contexts of another's.

    It may be repeated, and resumes; who joined before the invitation expired joins with it the contexts that
    were begun since. Tell the institution that invited which member answered here.
    """
    text = read_text(file, "FILE:")
    with values.named(f"FILE: {file}"):
        invitation = Invitation.from_json(text)
    async with opened(context, home) as found, found.store() as store:
        node = _real_node(store)
        if invitation.group == found.settings.group:
            raise InputError("FILE: the invitation is this institution's own.")
        with context.busy("Joining"):
            contexts = await _joined(node, invitation)
            identities = [await node.join_context(context_id) for context_id in contexts]
    return {"group": invitation.group, "member": next(iter(identities), None), "contexts": contexts}


async def _joined(node: CalimeroNode, invitation: Invitation) -> list[str]:
    """Join the group; its contexts. An invitation that was used before may have expired since."""
    try:
        await node.join(invitation)
    except NodeRefused as refused:
        with suppress(NodeRefused):
            return await node.group_contexts(invitation.group)
        refused.hint = "The invitation may have expired: ask for a new one."
        raise
    return await node.group_contexts(invitation.group)


@command(app, "members")
async def members(
    context: Context,
    expect: Annotated[
        list[str],
        typer.Option(
            "--expect", help="A member, as private join answered it; repeatable. Others must not be."
        ),
    ] = [],  # noqa: B006
    home: HomeOption = None,
) -> Answer:
    """List the members of the group that this institution's contexts are in, its own node first.

    With --expect, exit code 7 unless these and its own node are the members: somebody else may have used an
    invitation.
    """
    for member in expect:
        decode_id(member, "--expect")
    async with opened(context, home) as found, found.store() as store:
        node, own = _real_node(store), store.apps[0].context.member
        if expect:
            await node.check_members(found.settings.group, {own, *expect})
        listed = await node.members(found.settings.group)
    ordered = sorted(listed, key=lambda member: (member.identity != own, member.identity))
    return [{"member": m.identity, "role": m.role, "own": m.identity == own} for m in ordered]
