"""A hospital with its node and bridge, two institutions that attest, and a researcher, on a devnet.

The institutions' folders are made once and copied for every test; so are keys and node identities, but each
test has a PrivateAnchor of its own.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medsync.private.bridge.attestor import Attestor
from medsync.private.bridge.bridge import Bridge
from medsync.private.home import Home
from medsync.private.keys.cards import KeyCard, sign_card
from medsync.private.keys.keys import AccessorKey, AttestorKey, BridgeKey
from medsync.private.records import service
from medsync.private.records.application import RecordStore
from medsync.private.records.sealing import OpenedRecord, SealedRecord
from medsync.private.records.tickets import SignedTicket, read_ticket
from medsync.private.records.vault import KeyVault, Note
from medsync.protocol.anchor import node_identity
from medsync.protocol.types import AnchorNode
from medsync.protocol.vocabulary import Category
from medsync.starknet.anchor import PrivateAnchorClient
from medsync.starknet.network import Connection
from medsync.starknet.transactions import Account
from tests.harness.records import observation
from tests.harness.world import World

NAMES = ("hospital", "clinic", "university")
PASSPHRASE = "a passphrase of tests"
THRESHOLD = 2
DAY = 86_400


async def make_homes(folder: Path, world: World) -> None:
    """The folders that tests copy."""
    for name in NAMES:
        await Home.create(
            folder / name,
            PASSPHRASE,
            chain=world.chain.chain_id,
            contract=world.medsync.address,
            capacity=100,
            work=2**4,
        )


@dataclass
class Scene:
    """One test's institutions, open."""

    folder: Path
    world: World
    connection: Connection
    accounts: dict[int, Account]
    stack: AsyncExitStack
    homes: dict[str, Home] = field(default_factory=dict)
    stores: dict[str, RecordStore] = field(default_factory=dict)
    nodes: dict[str, AsyncExitStack] = field(init=False)
    anchor: PrivateAnchorClient = field(init=False)
    attestors: dict[str, Attestor] = field(init=False)
    vault: KeyVault = field(init=False)
    #: The accessors' keys, by address.
    keys: dict[int, AccessorKey] = field(default_factory=dict)

    @classmethod
    async def open(
        cls,
        template: Path,
        folder: Path,
        world: World,
        connection: Connection,
        accounts: dict[int, Account],
        stack: AsyncExitStack,
    ) -> Scene:
        scene = cls(folder, world, connection, accounts, stack)
        scene.nodes = {}
        for name in NAMES:
            shutil.copytree(template / name, folder / name)
            scene.homes[name] = Home(folder / name)
            await scene.open_node(name)
            stack.push_async_callback(scene.close_node, name)
        nodes = [scene.node(name) for name in NAMES]
        contract = world.deploy(
            "PrivateAnchor",
            len(nodes),
            *(felt for node in nodes for felt in node.calldata()),
            THRESHOLD,
        )
        # An account of its own: the world counts the nonces of those it uses.
        scene.anchor = PrivateAnchorClient(contract.address, scene.account(list(accounts)[-1]))
        scene.attestors = {}
        for name in NAMES:
            attestor = await scene.homes[name].attestor(scene.stores[name], PASSPHRASE, scene.anchor)
            stack.callback(attestor.close)
            scene.attestors[name] = attestor
        scene.vault = stack.enter_context(scene.homes["hospital"].vault(PASSPHRASE))
        scene.card(world.researcher)
        return scene

    async def open_node(self, name: str) -> None:
        """Start an institution's node."""
        self.nodes[name] = AsyncExitStack()
        self.stores[name] = await self.nodes[name].enter_async_context(self.homes[name].store())

    async def close_node(self, name: str) -> None:
        """Stop it."""
        await self.nodes[name].aclose()

    def node(self, name: str) -> AnchorNode:
        """How an institution is registered."""
        store = self.stores[name]
        stark_key = int(self.homes[name].public(AttestorKey)["stark_key"], 16)
        return AnchorNode(stark_key, node_identity(store.node.kind, store.member))

    def account(self, address: int) -> Account:
        """An account as the package uses it, with no memory."""
        known = self.accounts[address]
        return Account(address, known.client, known.stark_signer)

    @property
    def store(self) -> RecordStore:
        """The hospital's records."""
        return self.stores["hospital"]

    @property
    def bridge_folder(self) -> Path:
        """The hospital's bridge's folder."""
        return self.folder / "hospital" / "bridge"

    def card(self, address: int, *, life: int = DAY) -> AccessorKey:
        """Give the hospital an account's key card."""
        key = AccessorKey.generate()
        card = sign_card(self.accounts[address].stark_signer, address, key, int(time.time()) + life)
        self.hand_in(card)
        self.keys[address] = key
        return key

    def hand_in(self, card: KeyCard) -> None:
        """Put a key card where the bridge looks."""
        folder = self.bridge_folder / "cards"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{card.address:#x}.json").write_bytes(card.canonical())

    def forget_cards(self) -> None:
        """Take all key cards away."""
        for path in (self.bridge_folder / "cards").iterdir():
            path.unlink()

    @property
    def researcher_key(self) -> AccessorKey:
        """What the researcher opens data with."""
        return self.keys[self.world.researcher]

    def bridge(self, *, attestors: Sequence[str] = NAMES, **settings: Any) -> Bridge:
        """The hospital's bridge, newly opened; close it, or use it as a context manager."""
        return Bridge(
            self.bridge_folder,
            store=self.store,
            vault=self.vault,
            key=self.homes["hospital"].key(BridgeKey, PASSPHRASE),
            contract=self.world.medsync.address,
            first_block=0,
            anchor=self.anchor,
            attestors=[self.attestors[name] for name in attestors],
            **settings,
        )

    async def put(self, text: str = "a finding", *, patient: int | None = None) -> SealedRecord:
        """Have the hospital keep an observation."""
        note = Note(patient=patient or self.world.patient)
        return await service.put(self.store, self.vault, observation(text), note)

    def ask(
        self, record: SealedRecord | int, *, terms: Mapping[str, Any] | None = None, **changes: Any
    ) -> None:
        """Have the researcher ask for a record, with the patient's consent on these terms."""
        commitment = record if isinstance(record, int) else record.record.commitment
        world = self.world
        asked = {"categories": int(Category.OBSERVATION), "record": commitment} | changes
        patient = asked.get("patient", world.patient)
        world.send(patient, "add_consent", grantee=world.researcher, terms=world.terms(**terms or {}))
        world.ask(world.researcher, **asked)

    def tickets(self) -> list[SignedTicket]:
        """The tickets that wait to be fetched."""
        return [read_ticket(path) for path in sorted((self.bridge_folder / "tickets").glob("*.json"))]

    async def fetch(self, ticket: SignedTicket, key: AccessorKey | None = None) -> OpenedRecord:
        """Have the accessor look up its request and present the ticket."""
        entry = await service.logged_request(self.anchor.client, self.world.medsync.address, ticket.ticket)
        key = key or self.keys[ticket.ticket.accessor]
        return await service.fetch(self.store, ticket, key, requested=entry.record)

    def everything_on_chain(self) -> set[int]:
        """Every felt of every event, and of every transaction's calldata, in every block."""
        rpc = self.world.chain.node.call
        newest = rpc("starknet_blockNumber")
        felts: set[int] = set()
        for number in range(newest + 1):
            block = rpc("starknet_getBlockWithReceipts", block_id={"block_number": number})
            for one in block["transactions"]:
                felts |= {int(felt, 16) for felt in one["transaction"].get("calldata", [])}
                for event in one["receipt"]["events"]:
                    felts |= {int(felt, 16) for felt in [*event["keys"], *event["data"]]}
        return felts
