"""Benchmarks of the private side: speeds on this machine, and costs per record."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from medsync.deployment import deployer
from medsync.deployment.devnet import Devnet
from medsync.private.bridge import proofs
from medsync.private.records import service
from medsync.private.records.tickets import read_ticket
from medsync.private.records.vault import Note
from medsync.protocol.merkle import MerkleLog
from medsync.protocol.types import AccessRequest, ConsentTerms, Statement
from medsync.protocol.vocabulary import Category, Purpose, Role, category_of
from medsync.starknet.accounts import predeployed_accounts
from medsync.starknet.anchor import sign_statement
from medsync.starknet.clients import MedSyncClient
from medsync.starknet.network import STRK_TOKEN, Connection, connect
from medsync.starknet.rpc import newest_block
from medsync.starknet.signer import StarkSigner
from medsync.starknet.transactions import Account
from scripts.bench.lab import NODE_KEYS, THRESHOLD, Metering, open_lab
from scripts.bench.speed import Speed, seconds, speed
from scripts.demo.institutions import PrivateSide, open_private_side
from scripts.demo.synthetic import load_patients

_RECORDS: Final = 200
_TICKETS: Final = 5
#: Numbers of records per anchor, measured in this order.
_BATCHES: Final = (1, 10, 100, 1_000, 10_000)
_FELT_BYTES: Final = 32
_HOUR: Final = 3_600


async def measure_private() -> list[Speed]:
    """Run all measurements, each on a new devnet."""
    speeds = await _anchors()
    with (
        Devnet.start() as devnet,
        tempfile.TemporaryDirectory(prefix="medsync-bench-") as folder,
    ):
        async with connect("devnet", devnet.rpc_url) as connection:
            return speeds + await _records(connection, Path(folder))


async def _anchors() -> list[Speed]:
    """The cost of anchoring per record in Sierra gas, by the number of records per anchor."""
    speeds = []
    async with open_lab(Metering.SIERRA_GAS) as lab:
        client, log = lab.anchor_as("relayer"), MerkleLog()
        chain_id = client.chain_id
        signers = [StarkSigner(key, chain_id) for key in NODE_KEYS[:THRESHOLD]]
        # The first anchor costs more, because its cells are new.
        for batch in (1, *_BATCHES):
            before = len(log)
            for value in range(batch):
                log.append(value)
            head = await client.head()
            statement = Statement(len(log), log.root(), state=1, epoch=head.epoch)
            signatures = [
                sign_statement(signer, client.address, head, statement, node=index, chain_id=chain_id)
                for index, signer in enumerate(signers)
            ]
            invocation = client.anchor(statement, log.consistency_path(before), signatures)
            receipt = await lab.do(client.account, invocation.call)
            if before:
                name = f"anchoring, 3 of 5 nodes, {batch:,} record{'s' if batch > 1 else ''}: each"
                speeds.append(speed(name, receipt.l2_gas / batch, "L2 gas"))
    return speeds


async def _records(connection: Connection, folder: Path) -> list[Speed]:
    """Records in the in-process node, tickets from request to data, proofs, and sizes in bytes."""
    administrator, researcher, patient, payer, *_ = await predeployed_accounts(connection)
    place = folder / "devnet.json"
    arguments: dict[str, Any] = {"admin": administrator.address, "tokens": [STRK_TOKEN], "salt": 1}
    record = await deployer.deploy(administrator, "devnet", place, **arguments)
    contract = MedSyncClient(record.medsync, administrator)
    await contract.register_entity(researcher.address, Role.RESEARCHER, 1).send()
    async with open_private_side(folder, connection.chain_id, record.medsync) as private:
        record = await deployer.deploy(administrator, "devnet", place, **arguments, anchor=private.quorum)
        observation = next(
            resource
            for resource in load_patients()[0].resources
            if category_of(resource) is Category.OBSERVATION
        )
        store, note = private.hospital.store, Note(patient=patient.address)
        started = time.perf_counter()
        kept = [await service.put(store, private.vault, observation, note) for _ in range(_RECORDS)]
        putting = time.perf_counter() - started
        await private.open_bridge(record, payer)
        await private.step()
        now = (await newest_block(connection.client)).timestamp
        terms = ConsentTerms(
            Purpose.HRESCH,
            study=0,
            categories=Category.OBSERVATION,
            starts_at=now,
            expires_at=now + _HOUR,
            max_uses=0,
            scoped=False,
            reward=None,
            terms_commitment=1,
        )
        await MedSyncClient(record.medsync, patient).add_consent(researcher.address, terms).send()
        commitments = [sealed.record.commitment for sealed in kept[:_TICKETS]]
        latencies = await _latencies(private, researcher, record.medsync, patient.address, commitments)
        size = len(private.bridge.journal.log)
        await private.step()
        anchor = private.bridge.anchor
        proof = proofs.prove(private.bridge.journal, anchor.chain_id, anchor.address, size, 7)
        private_bytes = sum(len(sealed.ciphertext) for sealed in kept) / len(kept)
        return [
            speed(
                f"records kept by the in-process node, {_RECORDS} in one context", _RECORDS / putting, "1/s"
            ),
            speed("ticket, from the request to the decrypted record", statistics.median(latencies), "s"),
            speed(f"inclusion proof under {size:,} entries", len(proof.canonical()), "bytes"),
            speed("inclusion proofs verified offline", 1 / seconds(proof.verify), "1/s"),
            speed("kept private for a record of this kind, encrypted", private_bytes, "bytes"),
            speed("on the chain for its request, calldata and event", _on_chain(), "bytes"),
        ]


async def _latencies(
    private: PrivateSide, researcher: Account, contract: int, patient: int, commitments: list[int]
) -> list[float]:
    """Seconds from the request for a record to its decryption, including chain, bridge and node."""
    key, medsync = private.hand_in_card(researcher), MedSyncClient(contract, researcher)
    latencies = []
    for commitment in commitments:
        started = time.perf_counter()
        request = AccessRequest(patient, Purpose.HRESCH, 0, Category.OBSERVATION, commitment)
        await medsync.request_access(request)
        (path,) = (await private.step()).issued
        ticket = read_ticket(path)
        entry = await service.logged_request(researcher.client, contract, ticket.ticket)
        await service.fetch(private.hospital.store, ticket, key, requested=entry.record)
        latencies.append(time.perf_counter() - started)
    return latencies


def _on_chain() -> int:
    """Bytes of a request without a campaign: its calldata, and the keys and data of its event."""
    calldata = len(AccessRequest(1, Purpose.HRESCH, 0, Category.OBSERVATION, 1).calldata())
    keys, data = 1 + 3, 11
    return _FELT_BYTES * (calldata + keys + data)
