"""What a command uses of a deployment: its record, clients of its contracts, and their histories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from medsync.cli.chain import ChainAccess
from medsync.deployment import record as records
from medsync.deployment.token import Token, describe_token
from medsync.errors import InputError, VerificationError
from medsync.log.fetch import fetch_events, fetch_patient, fetch_registry
from medsync.log.histories import Checkpoint, History, PatientHistory
from medsync.protocol.chains import Chain
from medsync.protocol.events import (
    CampaignCloseAnnounced,
    CampaignOpened,
    Event,
    LogEntry,
    RegistryEvent,
    selector_of,
)
from medsync.protocol.felt import decode_short_string
from medsync.protocol.vocabulary import Decision, Purpose
from medsync.starknet.clients import MedSyncClient, RewardPoolClient
from medsync.starknet.network import NETWORKS, STRK_TOKEN
from medsync.starknet.rpc import is_deployed

E = TypeVar("E", bound=Event)


class Contracts(ChainAccess):
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

    async def pool(self, address: int | None = None, *, signing: bool = False) -> RewardPoolClient:
        """A reward pool, the recorded one unless another is meant, with the account if something is signed.

        Raises VerificationError unless MedSync deployed it: another contract may promise and not pay.
        """
        chosen = (await self.record()).reward_pool if address is None else address
        if not await (await self.medsync()).is_pool(chosen):
            raise VerificationError(
                f"The pool at {chosen:#x} was not deployed by MedSync: it may promise and not pay.",
                hint="`medsync pool list` shows the pools that were.",
            )
        return RewardPoolClient(chosen, await self._sender(signing))

    async def token(self, pool: RewardPoolClient) -> Token:
        """The token that a pool holds. Warns of one that calls itself STRK and is another."""
        token = await describe_token(pool.client, await pool.token())
        if "STRK" in token.symbol.upper() and token.address != STRK_TOKEN:
            self.say(
                f"The token {token.address:#x} calls itself {token.symbol}, but it is not Starknet's STRK."
            )
        return token

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

    async def history(self, patient: int, known: Mapping[Chain, Checkpoint] | None = None) -> PatientHistory:
        """A patient's consents and accesses, and the registry, proven complete as of the newest block.

        With `known`, only what follows these checkpoints. Where several nodes are given, all must answer the
        same heads.
        """
        record, connection = await self.record(), await self.connection()
        with self.busy("Reading events"):
            return await fetch_patient(
                connection.client,
                record.medsync,
                patient,
                from_block=record.first_block,
                known=known,
                nodes=connection.nodes,
            )

    async def registry(self) -> History[RegistryEvent]:
        """The registry's history, proven complete as of the newest block on which all nodes agree."""
        record, connection = await self.record(), await self.connection()
        with self.busy("Reading events"):
            return await fetch_registry(
                connection.client, record.medsync, from_block=record.first_block, nodes=connection.nodes
            )

    async def opened_campaigns(self, pool: int, campaigns: Sequence[int]) -> list[CampaignOpened]:
        """How a pool's campaigns with these ids were opened, as far as the node tells."""
        found = await self._found(pool, "RewardPool", [[selector_of(CampaignOpened)], list(campaigns)])
        return [event for event in found if isinstance(event, CampaignOpened)]

    async def announced_closings(self) -> list[tuple[RewardPoolClient, CampaignCloseAnnounced]]:
        """Every announcement that a campaign of the recorded pools closes, with its pool."""
        return [
            (await self.pool(recorded.address), event)
            for recorded in (await self.record()).pools
            for event in await self._found(
                recorded.address, "RewardPool", [[selector_of(CampaignCloseAnnounced)]]
            )
            if isinstance(event, CampaignCloseAnnounced)
        ]

    async def emergencies(self, patient: int | None = None) -> list[LogEntry]:
        """Every emergency access, or those of one patient, as far as the node tells."""
        keys = [[selector_of(LogEntry)], [] if patient is None else [patient], [], [Purpose.BTG.felt]]
        found = await self._found((await self.record()).medsync, "MedSync", keys)
        return [
            event for event in found if isinstance(event, LogEntry) and event.decision is Decision.EMERGENCY
        ]

    async def _found(self, address: int, contract: str, keys: Sequence[Sequence[int]]) -> list[Event]:
        record, connection = await self.record(), await self.connection()
        return await fetch_events(
            connection.client,
            {address: contract},
            from_block=record.first_block,
            keys=keys,
            timestamps=False,
        )

    async def _sender(self, signing: bool) -> Any:
        return await self.account() if signing else (await self.connection()).client
