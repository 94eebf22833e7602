"""What a command uses of a deployment: its record, clients of its contracts, and their history."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar, cast

from medsync.cli.chain import Chain
from medsync.deployment import record as records
from medsync.errors import InputError, NetworkError, VerificationError
from medsync.log.exports import PatientExport
from medsync.log.fetch import fetch_events, fetch_log
from medsync.protocol.events import (
    AllConsentsRevoked,
    ConsentAdded,
    ConsentEvent,
    ConsentRevoked,
    Event,
    selector_of,
)
from medsync.protocol.felt import decode_short_string
from medsync.starknet.clients import Erc20Client, MedSyncClient, RewardPoolClient
from medsync.starknet.network import NETWORKS, STRK_TOKEN
from medsync.starknet.rpc import is_deployed

E = TypeVar("E", bound=Event)


class Contracts(Chain):
    """The deployment that the options name, on the node's chain."""

    #: Whether the recorded contracts were found on a devnet, which may have been restarted since.
    _is_on_chain = False

    def record_path(self) -> Path:
        """The file of the deployment that is meant: by default the one named like the network."""
        if self.options.deployment:
            return records.path_of(self.options.deployment)
        if self.options.network not in NETWORKS:
            known = ", ".join(NETWORKS)
            raise InputError(f"{self.options.network!r} is not a known network; known are {known}.")
        return records.path_of(self.options.network)

    async def record(self) -> records.Record:
        """The deployment that is meant, which must be on the node's chain."""
        record = records.read(self.record_path())
        connection = await self.connection()
        chain = decode_short_string(connection.chain_id)
        if record.chain_id != chain:
            raise InputError(
                f"{self.record_path()} is a deployment on {record.chain_id}; the node is on {chain}.",
                hint="Choose another --deployment or --network.",
            )
        if connection.is_local and not self._is_on_chain:
            self._is_on_chain = await is_deployed(connection.client, record.medsync)
            if not self._is_on_chain:
                raise VerificationError(
                    f"The contracts of {self.record_path()} are not on this chain: the devnet was probably "
                    "restarted.",
                    hint="`medsync deploy` deploys again; `medsync deployments check` shows what is missing.",
                )
        return record

    async def medsync(self, *, signing: bool = False) -> MedSyncClient:
        """The MedSync contract, with the account if something is to be signed."""
        address = (await self.record()).medsync
        return MedSyncClient(address, await self._sender(signing))

    async def pool(self, *, signing: bool = False) -> RewardPoolClient:
        """The reward pool, with the account if something is to be signed."""
        address = (await self.record()).reward_pool
        return RewardPoolClient(address, await self._sender(signing))

    async def token(self, *, signing: bool = False) -> Erc20Client:
        """The token the reward pool holds, with the account if something is to be signed."""
        return Erc20Client((await self.record()).request.token, await self._sender(signing))

    async def token_unit(self) -> tuple[int, str]:
        """The token's decimal places, and what it is called here."""
        token = await self.token()
        decimals = await token.decimals()
        if decimals >= 2**8:
            raise NetworkError(f"The token {token.address:#x} says it has {decimals:#x} decimal places.")
        return decimals, "STRK" if token.address == STRK_TOKEN else "tokens"

    async def events(self, *kinds: type[E], patient: int | None = None) -> list[E]:
        """MedSync's events of some kinds, all or one patient's, in the chain's order."""
        record = await self.record()
        keys = [[selector_of(cast("type[Event]", kind)) for kind in kinds]] + (
            [] if patient is None else [[patient]]
        )
        found = await fetch_events(
            (await self.connection()).client,
            {record.medsync: "MedSync"},
            from_block=record.first_block,
            keys=keys,
        )
        return [cast("E", event) for event in found]

    async def history(self, patient: int) -> PatientExport:
        """A patient's consents and log, the log proven complete."""
        record, connection = await self.record(), await self.connection()
        with self.busy("Reading events"):
            log = await fetch_log(connection.client, record.medsync, patient, from_block=record.first_block)
            consents: list[ConsentEvent] = await self.events(
                ConsentAdded, ConsentRevoked, AllConsentsRevoked, patient=patient
            )
        return PatientExport(log.chain_id, log.contract, patient, log.head, log.entries, tuple(consents))

    async def _sender(self, signing: bool) -> Any:
        return await self.account() if signing else (await self.connection()).client
