"""Two institutions' folders and an accessor's files, made once: of every kind that the private side reads.

The hospital keeps two records; the entry of the first is anchored, that of the second waits for attestations.
"""

from __future__ import annotations

import base64
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from starknet_py.net.full_node_client import FullNodeClient

from medsync.artifacts import BUNDLE as SHIPPED
from medsync.private.home import Home
from medsync.private.keys.cards import sign_card
from medsync.private.keys.keyfiles import write_key
from medsync.private.keys.keys import AccessorKey, AttestorKey, BridgeKey, CustodianKey
from medsync.private.node.calimero import Credentials
from medsync.private.records import service, tickets
from medsync.private.records.sealing import open_record
from medsync.private.records.tickets import SignedTicket
from medsync.private.records.vault import Note
from medsync.protocol.anchor import node_identity
from medsync.protocol.chains import entry_digest
from medsync.protocol.commitments import canonical_json
from medsync.protocol.events import LogEntry
from medsync.protocol.types import AnchorHead, AnchorNode, Head
from medsync.protocol.vocabulary import Decision, Reason
from medsync.starknet.anchor import PrivateAnchorClient
from medsync.starknet.signer import StarkSigner
from medsync.starknet.transactions import Account
from medsync.storage.database import Database
from tests.fuzz import calimero
from tests.harness.histories import CHAIN, DAY, PATIENT, RESEARCHER, at, entry

#: Folders and files, relative to the folder that commands run in.
HOSPITAL: Final = "hospital"
CLINIC: Final = "clinic"
RESOURCE: Final = "observation.json"
PASSPHRASE_FILE: Final = "passphrase.txt"
ACCESSOR_KEY: Final = "accessor.json"
TICKET: Final = "ticket.json"
CARD: Final = f"{HOSPITAL}/bridge/cards/accessor.card.json"
OPENINGS: Final = f"{HOSPITAL}/openings"
REQUEST: Final = f"{HOSPITAL}/bridge/requests/0-2.json"
ATTESTATION: Final = f"{HOSPITAL}/bridge/attestations/clinic.json"
PRESENTATION: Final = "presentation.json"
RELEASED: Final = "released.bin"
PROOF: Final = "proof.json"
NODES: Final = "nodes.json"
#: The next nodes of the anchor, and what the present ones signed for them.
NEXT_NODES: Final = "next-nodes.json"
ROTATIONS: Final = {HOSPITAL: "hospital.rotation.json", CLINIC: "clinic.rotation.json"}
#: A folder whose node is a real one, which is all that is in it; and another's invitation.
REAL: Final = "real"
LOGIN: Final = f"{REAL}/login"
INVITATION: Final = "invitation.json"
#: A copy of the key vault that is not registered, and a backup that is, and was never made.
VAULT_COPY: Final = "copy.db"
GONE: Final = "gone.db"
BUNDLE: Final = "records.mpk"

PASSPHRASE: Final = "plinth-Gamut-overböard-71"
LABEL: Final = "Wilhelmina of ward nineteen"
FINDING: Final = "fasting glucose far beyond range"
#: Ids of the records that are there.
RECORDS: Final = ("3f" * 16, "a7" * 16)
#: scrypt's work for all key files here: next to none.
WORK: Final = 2**4


@dataclass(frozen=True)
class Institutions:
    """What of them the rest of the world has to fit."""

    #: The log entry that permits the accessor to have the first record, and the log it ends.
    entry: LogEntry
    head: Head
    #: What the PrivateAnchor has.
    anchored: AnchorHead
    #: Makes the ticket for the first record anew: no ticket is good for as long as all tests may take.
    issue: Callable[[], dict[str, bytes]]
    #: What must never be seen, as text.
    secrets: tuple[str, ...]


async def make_homes(work: Path, medsync: int) -> list[AnchorNode]:
    """Make the folders; how the institutions are registered at the anchor."""
    (work / PASSPHRASE_FILE).write_text(f"{PASSPHRASE}\n")
    (work / RESOURCE).write_text(json.dumps(_observation(), indent=2) + "\n")
    shutil.copy(SHIPPED, work / BUNDLE)
    nodes = []
    for name in (HOSPITAL, CLINIC):
        home = await Home.create(
            work / name,
            PASSPHRASE,
            chain=CHAIN,
            contract=medsync,
            capacity=10,
            work=WORK,
            bundle=work / BUNDLE,
        )
        async with home.store() as store:
            identity = node_identity(store.node.kind, store.member)
        nodes.append(AnchorNode(int(home.public(AttestorKey)["stark_key"], 16), identity))
    (work / OPENINGS).mkdir()
    registered = [{"stark_key": hex(one.stark_key), "identity": hex(one.identity)} for one in nodes]
    for name, ordered in ((NODES, registered), (NEXT_NODES, registered[::-1])):
        (work / name).write_text(json.dumps({"threshold": len(nodes), "nodes": ordered}, indent=2) + "\n")
    return nodes


def make_real_home(work: Path, port: int) -> None:
    """Make the folder whose node is behind a port, and the invitation."""
    own = json.loads((work / HOSPITAL / "home.json").read_bytes())
    (work / REAL).mkdir()
    (work / REAL / "home.json").write_bytes(canonical_json(calimero.settings(own, port)))
    (work / INVITATION).write_text(calimero.INVITATION)
    login = work / LOGIN
    login.write_text(Credentials("operator", PASSPHRASE).text())
    login.chmod(0o600)


async def keep_records(work: Path, medsync: int, anchor: int, signer: StarkSigner, log: Head) -> Institutions:
    """Fill the hospital's folder. `signer` is the researcher's; `log` the patient's before the last entry."""
    home = Home(work / HOSPITAL)
    key = AccessorKey.generate()
    write_key(work / ACCESSOR_KEY, key, PASSPHRASE, work=WORK)
    card = sign_card(signer, RESEARCHER, key, int(time.time()) + 90 * DAY)
    # It only names the contract: nobody is asked anything.
    client = PrivateAnchorClient(anchor, Account(RESEARCHER, FullNodeClient("http://127.0.0.1:1"), signer))
    clinic = Home(work / CLINIC)
    async with clinic.store() as store:
        # Its memory is there from now on, empty.
        (await clinic.attestor(store, PASSPHRASE, client)).close()
    sealed = []
    async with home.store() as store, home.bridge(store, PASSPHRASE, client, first_block=0) as bridge:
        (bridge.folder / "cards" / Path(CARD).name).write_bytes(card.canonical())
        for record in RECORDS:
            with patch.object(service, "new_record_id", lambda record=record: record):
                note = Note(patient=PATIENT, label=LABEL)
                sealed.append(await service.put(store, bridge.vault, _observation(), note))
        with suppress(OSError), patch.object(Database, "copy", side_effect=OSError):
            bridge.vault.backup(work / GONE)
        shutil.copy(bridge.vault.path, work / VAULT_COPY)
        await bridge.collect()
        head = AnchorHead(1, bridge.journal.log.root(1), 0, 2, 2, 0)
        await bridge.request(head, 2)
        first = sealed[0]
        data_key = bridge.vault.unwrap(first.record, first.keys)
        permitted = entry(
            log.count + 1,
            Decision.PERMIT,
            Reason.GRANTED,
            record=first.record.commitment,
            categories=first.categories,
            version=4,
            scoped=False,
            campaign=0,
            **at(15),
        )
        digest = entry_digest(CHAIN, medsync, log.head, permitted)
        bridge_key, context = bridge.key, store.apps[0].context.id

    def issue() -> dict[str, bytes]:
        ticket = SignedTicket.issue(
            bridge_key,
            chain=CHAIN,
            contract=medsync,
            context=context,
            entry=permitted,
            digest=digest,
            record=first.record,
            card=card,
            data_key=data_key,
            now=int(time.time()),
            life=tickets.LONGEST_LIFE,
        )
        return {TICKET: ticket.canonical(), PRESENTATION: ticket.present(key.signing).canonical()}

    for name, content in issue().items():
        (work / name).write_bytes(content)
    (work / RELEASED).write_bytes(first.ciphertext)
    opening = open_record(first.ciphertext, data_key, first.record, requested=first.record.commitment).opening
    hidden = [data_key.reveal(), key.reveal(), opening.salt.to_bytes(32, "big")]
    for name in (HOSPITAL, CLINIC):
        one = Home(work / name)
        hidden += [one.key(kind, PASSPHRASE).reveal() for kind in (CustodianKey, BridgeKey, AttestorKey)]
        hidden.append(bytes.fromhex((work / name / "node" / "node.key").read_text()))
    written = (PASSPHRASE, LABEL, FINDING, *(text for secret in hidden for text in _texts(secret)))
    return Institutions(permitted, Head(permitted.seq, digest), head, issue, written)


def _observation() -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": "synthetic-observation",
        "status": "final",
        "code": {"text": FINDING},
    }


def _texts(secret: bytes) -> Iterator[str]:
    """How a secret may be written."""
    yield secret.hex()
    yield str(int.from_bytes(secret, "big"))
    yield base64.b64encode(secret).decode()
