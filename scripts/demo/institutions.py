"""The private side of the demo: three institutions, their nodes, and the hospital's bridge.

With `PRIVATE=calimero make demo`, the hospital and the clinic run real Calimero nodes, and the clinic
replicates the hospital's contexts; otherwise all nodes are in-process.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from medsync.deployment.record import Quorum, QuorumNode, Record
from medsync.errors import InputError, VerificationError
from medsync.private.bridge import proofs
from medsync.private.bridge.bridge import Bridge, BridgeStep
from medsync.private.bridge.journal import EntryOutcome
from medsync.private.bridge.leaves import leaf_value
from medsync.private.home import EMBEDDED, Home
from medsync.private.keys.cards import sign_card
from medsync.private.keys.keys import AccessorKey, AttestorKey, CustodianKey
from medsync.private.node.calimero import CalimeroNode
from medsync.private.records import service
from medsync.private.records.application import RecordOperation, RecordStore
from medsync.private.records.sealing import SealedRecord
from medsync.private.records.service import NotReleased
from medsync.private.records.tickets import SignedTicket, read_ticket
from medsync.private.records.vault import KeyVault, Note
from medsync.protocol.anchor import NodeKind, node_identity
from medsync.protocol.vocabulary import Category, category_of
from medsync.starknet.anchor import PrivateAnchorClient
from medsync.starknet.transactions import Account
from scripts.calimero.daemon import RealNode
from scripts.demo.synthetic import SyntheticPatient, load_patients

if TYPE_CHECKING:
    from scripts.demo.story import Narrator, Stage

#: Environment variable for the kind of nodes: `embedded`, the default, or `calimero`.
VARIABLE: Final = "PRIVATE"

#: The institutions, in the order of their nodes, and the number of required signatures.
INSTITUTIONS: Final = ("hospital", "clinic", "university")
THRESHOLD: Final = 2

#: The demo's keys are temporary, so their files use a low scrypt cost.
_WORK: Final = 2**10


@dataclass
class Institution:
    """An institution: its folder, and its node for the duration of the demo."""

    home: Home
    store: RecordStore

    @property
    def quorum_node(self) -> QuorumNode:
        """The node as registered in the quorum."""
        return QuorumNode(
            stark_key=int(self.home.public(AttestorKey)["stark_key"], 16),
            identity=node_identity(self.store.node.kind, self.store.member),
        )


@dataclass
class PrivateSide:
    """The three institutions. The hospital keeps the records."""

    folder: Path
    institutions: list[Institution]
    vault: KeyVault
    passphrase: str = field(repr=False)
    stack: AsyncExitStack
    #: The hospital's records, by patient and category.
    records: dict[str, dict[Category, SealedRecord]] = field(default_factory=dict)
    _bridge: Bridge | None = None

    @property
    def hospital(self) -> Institution:
        return self.institutions[0]

    @property
    def quorum(self) -> Quorum:
        """The nodes whose signatures the anchor requires."""
        return Quorum(
            threshold=THRESHOLD, nodes=tuple(institution.quorum_node for institution in self.institutions)
        )

    @property
    def bridge(self) -> Bridge:
        """The hospital's bridge, after `open_bridge`."""
        assert self._bridge is not None
        return self._bridge

    async def open_bridge(self, record: Record, account: Account) -> None:
        """Open the bridge; `account` pays for anchoring."""
        assert record.private_anchor is not None
        client = PrivateAnchorClient(record.private_anchor, account)
        others = [
            await institution.home.attestor(institution.store, self.passphrase, client)
            for institution in self.institutions[1:]
        ]
        for attestor in others:
            self.stack.callback(attestor.close)
        opened = self.hospital.home.bridge(
            self.hospital.store,
            self.passphrase,
            client,
            first_block=record.first_block,
            attestors=tuple(others),
        )
        self._bridge = await self.stack.enter_async_context(opened)

    async def step(self) -> BridgeStep:
        """Run a step of the bridge. Raises the error that prevented anchoring."""
        deadline = time.monotonic() + 60
        while (done := await self.bridge.step()).trouble is not None:
            # Another institution's node may not have replicated the hospital's state yet.
            if self.hospital.store.node.kind is NodeKind.EMBEDDED or time.monotonic() > deadline:
                raise done.trouble
        return done

    def hand_in_card(self, account: Account) -> AccessorKey:
        """Make an accessor's key, and give the hospital the account's key certificate."""
        key = AccessorKey.generate()
        card = sign_card(account.stark_signer, account.address, key, int(time.time()) + 86_400)
        (self.bridge.folder / "cards" / f"{account.address:#x}.json").write_bytes(card.canonical())
        return key

    def files_with(self, markers: Iterable[bytes]) -> list[str]:
        """The institutions' files that contain any of the markers."""
        wanted = list(markers)
        return [
            str(path.relative_to(self.folder))
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and any(marker in path.read_bytes() for marker in wanted)
        ]


@asynccontextmanager
async def open_private_side(folder: Path, chain: int, contract: int) -> AsyncIterator[PrivateSide]:
    """Create the institutions' folders and start their nodes for the MedSync contract at `contract`."""
    passphrase = secrets.token_urlsafe()
    async with AsyncExitStack() as stack:
        institutions = []
        for name, node in zip(INSTITUTIONS, _nodes(folder, stack), strict=True):
            home = await Home.create(
                folder / name, passphrase, chain=chain, contract=contract, node=node, work=_WORK
            )
            store = await stack.enter_async_context(home.store())
            institutions.append(Institution(home, store))
        hospital, clinic, _ = institutions
        if isinstance(hospital.store.node, CalimeroNode) and isinstance(clinic.store.node, CalimeroNode):
            await _join(clinic.store.node, hospital.store)
        vault = stack.enter_context(hospital.home.vault(passphrase))
        yield PrivateSide(folder, institutions, vault, passphrase, stack)


def _nodes(folder: Path, stack: AsyncExitStack) -> list[str]:
    """The node of each institution. Raises InputError for an unknown kind, ToolError if none is installed."""
    chosen = os.environ.get(VARIABLE) or EMBEDDED
    if chosen == EMBEDDED:
        return [EMBEDDED] * len(INSTITUTIONS)
    if chosen != "calimero":
        raise InputError(f"{VARIABLE} must be {EMBEDDED} or calimero, not {chosen!r}.")
    real = [RealNode(folder / f"{name}-node") for name in INSTITUTIONS[:2]]
    for node, peer in zip(real, reversed(real), strict=True):
        stack.callback(node.stop)
        node.start([peer.address])
    return [*(node.url for node in real), EMBEDDED]


async def _join(node: CalimeroNode, store: RecordStore) -> None:
    """Join a node to the contexts of another node's store."""
    host = store.node
    assert isinstance(host, CalimeroNode)
    context = store.apps[0].context
    member = await node.join(await host.invite(context.group))
    await host.check_members(context.group, {context.member, member})
    for app in store.apps:
        await node.join_context(app.context.id)


async def upload(narrator: Narrator, stage: Stage, private: PrivateSide) -> None:
    """Upload each patient's first resource of each category to the hospital's node, encrypted."""
    for name, institution in zip(INSTITUTIONS, private.institutions, strict=True):
        health = await institution.store.node.health()
        narrator.note(f"the {name}'s node: {health.description}")
    narrator.note(f"each runs the application {private.hospital.home.settings.application}")
    patients = load_patients()
    for patient, account in zip(patients, stage.cast.patients, strict=True):
        private.records[patient.id] = {}
        with narrator.console.status(f"encrypting {patient.name}'s records"):
            for category, resource in _first_of_each(patient).items():
                note = Note(patient=account.address)
                sealed = await service.put(private.hospital.store, private.vault, resource, note)
                private.records[patient.id][category] = sealed
        names = ", ".join(category.name or "" for category in private.records[patient.id])
        narrator.check(
            f"{patient.name}: {len(private.records[patient.id])} FHIR R5 resources valid, encrypted, stored"
            f" [dim]{names}[/dim]",
            len(await private.hospital.store.records()) >= len(private.records[patient.id]),
            True,
        )
    ids = [patient.id.encode() for patient in patients]
    narrator.check("no file of any institution holds a patient's id", private.files_with(ids), [])


def _first_of_each(patient: SyntheticPatient) -> Mapping[Category, Mapping[str, Any]]:
    found: dict[Category, Mapping[str, Any]] = {}
    for resource in patient.resources:
        found.setdefault(category_of(resource), resource)
    return found


async def anchor(narrator: Narrator, stage: Stage, private: PrivateSide) -> None:
    """Anchor the operations of the hospital's node, attested by two of three nodes."""
    await private.open_bridge(stage.record, stage.cast.relayer)
    with narrator.console.status("attesting and anchoring"):
        done = await private.step()
    assert done.transaction is not None
    receipt = await stage.cast.relayer.client.get_transaction_receipt(done.transaction)
    resources = receipt.execution_resources
    narrator.sent(
        f"anchor the {done.anchored} entries, attested by {THRESHOLD} of {len(INSTITUTIONS)} nodes",
        "",
        resources.l2_gas,
        resources.l1_data_gas,
        receipt.actual_fee.amount,
    )
    head = await private.bridge.anchor.head()
    narrator.check("the anchored root is the log's", head.root, private.bridge.journal.log.root())
    log = private.bridge.journal.log
    (first,) = private.bridge.journal.operations(0, 1)
    narrator.check(
        "the contract verifies that the first entry is included",
        await private.bridge.anchor.verify_inclusion(leaf_value(first), 0, log.inclusion_path(0)),
        True,
    )
    narrator.check(
        "… and that another is not",
        await private.bridge.anchor.verify_inclusion(leaf_value(first) + 1, 0, log.inclusion_path(0)),
        False,
    )


async def deliver(narrator: Narrator, stage: Stage, private: PrivateSide, record: SealedRecord) -> None:
    """Issue a ticket for the researcher's permitted request for `record`, and release the data for it."""
    narrator.chapter("A permitted request releases the data, once")
    key = private.hand_in_card(stage.cast.researcher)
    with narrator.console.status("reading the log, issuing tickets"):
        done = await private.step()
    narrator.check(
        "the log was proven complete, and the one permit has a ticket",
        [entry.outcome for entry in done.processed if entry.outcome is not EntryOutcome.NOT_PERMITTED],
        [EntryOutcome.ISSUED],
    )
    (path,) = done.issued
    ticket = read_ticket(path)
    thief = AccessorKey.generate()
    stolen = ticket.present(key.signing)
    forged = stolen.model_copy(update={"presentation": thief.signing.sign(b"mine")})
    refused = await private.hospital.store.release(ticket.ticket.context, forged)
    narrator.check(f"a thief presents the ticket: {refused.reason}", refused.ciphertext, None)
    client = stage.cast.researcher.client
    entry = await service.logged_request(
        client, stage.record.medsync, ticket.ticket, stage.record.first_block
    )
    narrator.check("the researcher finds its own request in the log", entry.record, record.record.commitment)
    opened = await service.fetch(private.hospital.store, ticket, key, requested=entry.record)
    narrator.check(
        f"the researcher gets an {opened.resource['resourceType']} and decrypts it",
        opened.record,
        record.record,
    )
    opened.opening.verify(record.record.commitment)
    narrator.check(
        "it opens the commitment that the logged request named",
        opened.opening.commitment,
        record.record.commitment,
    )
    await _not_released(narrator, private, ticket, key, "the same ticket once more", "USED")
    await private.step()
    index = next(
        place
        for place, operation in enumerate(private.bridge.journal.operations())
        if isinstance(operation, RecordOperation) and operation.commitment == record.record.commitment
    )
    contract = private.bridge.anchor
    size = (await contract.head()).size
    proof = proofs.prove(private.bridge.journal, contract.chain_id, contract.address, size, index)
    found = await proofs.verify(proof, client, contract.chain_id)
    narrator.check(
        f"its inclusion proof holds for anyone: included, attested by nodes {found.signers}",
        len(found.signers),
        THRESHOLD,
    )


async def after_revocation(narrator: Narrator, private: PrivateSide, patient: Account) -> None:
    """Check that nothing more is released of the patient who revoked."""
    done = await private.step()
    newest = max(
        (entry for entry in done.processed if entry.patient == patient.address), key=lambda entry: entry.seq
    )
    narrator.check(
        "the bridge sees the request, and that it was refused", newest.outcome, EntryOutcome.NOT_PERMITTED
    )
    patients = [read_ticket(path).ticket.patient for path in done.issued]
    narrator.check("no ticket is issued for it", patient.address in patients, False)


async def erase(narrator: Narrator, stage: Stage, private: PrivateSide, record: SealedRecord) -> None:
    """Erase the first patient's record, with a certificate."""
    narrator.chapter("Erasure closes it")
    home = private.hospital.home
    certificate, _ = await home.erase(
        private.hospital.store,
        record.record.id,
        private.passphrase,
        stage.cast.relayer.client,
        first_block=stage.record.first_block,
        anchor=stage.record.private_anchor,
    )
    statement = certificate.verify(bytes.fromhex(home.public(CustodianKey)["signing_key"]))
    narrator.check(
        "the first patient's observation: key, ciphertext and salt are deleted, and certified",
        {deletion.place for deletion in statement.deleted if deletion.found} >= {"vault", "node"},
        True,
    )
    for remains in statement.remains:
        narrator.note(f"what remains: {remains}")
    found = await private.hospital.store.find(record.record.commitment)
    narrator.check("the node keeps a tombstone", found is not None and found.erased, True)
    with narrator.console.status("anchoring"):
        await private.step()
    audit = await proofs.audit(
        stage.cast.relayer.client,
        private.bridge.anchor.address,
        list(private.bridge.journal.operations()),
    )
    narrator.check(
        f"an audit recomputes all {audit.anchors} anchored roots from the {audit.size} entries",
        audit.recomputed,
        True,
    )


async def _not_released(
    narrator: Narrator,
    private: PrivateSide,
    ticket: SignedTicket,
    key: AccessorKey,
    what: str,
    reason: str,
) -> None:
    try:
        await service.fetch(private.hospital.store, ticket, key, requested=ticket.ticket.commitment)
    except NotReleased as refusal:
        narrator.check(f"{what}: {refusal.code}", refusal.code, reason)
    else:
        raise VerificationError(f"{what}: it was released")
