"""Events fetched from a node page by page, and a patient's log proven complete.

A node is not trusted: it may drop, repeat, reorder or cut off. Paging is checked as far as it can be (see
`fetch_raw`), and a log is believed only if its entries recompute to the count and head that the contract
keeps. The head itself comes from a node as well: `connect` can compare several.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from starknet_py.net.client_models import EmittedEvent
from starknet_py.net.full_node_client import FullNodeClient

from medsync.errors import InputError, NetworkError, VerificationError
from medsync.log.completeness import log_faults
from medsync.protocol.events import Event, EventLocation, LogEntry, decode_event, selector_of
from medsync.protocol.types import LogHead
from medsync.starknet.clients import MedSyncClient
from medsync.starknet.rpc import asking, newest_block

#: Events asked for in one page. Providers set limits of their own, most of them at 1,024 or above.
CHUNK_SIZE: Final = 512

#: Requests for block headers under way at once.
_HEADERS_AT_ONCE: Final = 16

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AccessHistory:
    """A patient's whole log as of a block, entries in order, proven complete when it was fetched.

    >>> history = AccessHistory(
    ...     chain_id=0x534E5F5345504F4C4941, contract=5, patient=7, entries=(), head=LogHead(0, 0),
    ...     block_number=12,
    ... )
    >>> len(history.entries) == history.head.count
    True
    """

    chain_id: int
    contract: int
    patient: int
    entries: tuple[LogEntry, ...]
    #: Count and head that the contract kept as of the block.
    head: LogHead
    block_number: int


async def fetch_log(
    client: FullNodeClient,
    contract: int,
    patient: int,
    *,
    from_block: int = 0,
    to_block: int | Literal["latest"] = "latest",
    chunk_size: int = CHUNK_SIZE,
) -> AccessHistory:
    """A patient's log from the MedSync contract's events, proven complete up to `to_block`.

    `from_block` may be any block before the patient's first entry, such as the one the contract was deployed
    in. Raises VerificationError as `prove_complete` does, NetworkError if the node fails or contradicts
    itself.
    """
    block = await _last_block(client, from_block, to_block)
    # First the head: a devnet without archive answers only for the newest block.
    head = await MedSyncClient(contract, client).log_head(patient, block=block)
    keys = [[selector_of(LogEntry)], [patient]]
    raw = await fetch_raw(client, contract, from_block, block, keys, chunk_size)
    decoded = [decode_event(event, "MedSync") for event in raw]
    entries = [event for event in decoded if isinstance(event, LogEntry)]
    chain_id = await _chain_id(client)
    history = AccessHistory(chain_id, contract, patient, tuple(entries), head, block)
    prove_complete(history, head)
    _log.debug(
        "The log of %#x is complete as of block %d: %d entries.",
        patient,
        block,
        len(entries),
        extra={"patient": hex(patient), "block": block, "entries": len(entries)},
    )
    return history


def prove_complete(history: AccessHistory, head: LogHead) -> None:
    """Recompute a log's hash chain and compare it with the count and head that the contract keeps.

    `head` must be read from the chain, as of the history's block. Raises VerificationError that lists what is
    missing, altered, reordered or invented.
    """
    faults = log_faults(history.chain_id, history.contract, history.patient, history.entries, head)
    if faults:
        raise VerificationError(
            f"The log of {history.patient:#x} is not complete as of block {history.block_number}:",
            findings=[str(fault) for fault in faults],
            hint="Ask another node, or begin at an earlier block.",
        )


async def fetch_events(
    client: FullNodeClient,
    contracts: Mapping[int, str],
    *,
    from_block: int = 0,
    to_block: int | Literal["latest"] = "latest",
    keys: Sequence[Sequence[int]] = (),
    chunk_size: int = CHUNK_SIZE,
    timestamps: bool = True,
) -> list[Event]:
    """Everything that contracts emitted in a range of blocks, ends included, decoded, in the chain's order.

    `contracts` names the contract at each address, such as `MedSync`. `keys` filter by position: the
    selector first, alternatives side by side, an empty list for any. With `timestamps` every event's location
    says when its block was made, at the price of one request per block. Raises as `fetch_raw` and
    `decode_event` do.

    What a node leaves out, alters or invents is not found here: only a patient's log has a hash chain that
    tells, see `fetch_log`.
    """
    end = await _last_block(client, from_block, to_block)
    found = [
        (position(event), contract, event)
        for address, contract in contracts.items()
        for event in await fetch_raw(client, address, from_block, end, keys, chunk_size)
    ]
    found.sort(key=lambda item: item[0])
    times: Mapping[int, int] = {}
    if timestamps:
        times = await _block_times(client, sorted({place[0] for place, _, _ in found}))
    return [
        decode_event(event, contract, EventLocation(place[0], event.transaction_hash, times.get(place[0])))
        for place, contract, event in found
    ]


async def fetch_raw(
    client: FullNodeClient,
    address: int,
    from_block: int,
    to_block: int,
    keys: Sequence[Sequence[int]] = (),
    chunk_size: int = CHUNK_SIZE,
) -> list[EmittedEvent]:
    """One contract's events in a fixed range of blocks, in the chain's order, undecoded.

    The range is numeric and the page size constant, because some nodes count pages. An event that comes
    twice is kept once, pages out of order are sorted. Raises NetworkError for a continuation token that
    comes back, for two events in one place, and for one that was not asked for.
    """
    if not 0 <= from_block <= to_block:
        raise InputError(f"There are no blocks from {from_block} to {to_block}.")
    found: dict[tuple[int, int, int], EmittedEvent] = {}
    seen: set[str] = set()
    token: str | None = None
    while True:
        with asking("request for events"):
            page = await client.get_events(
                address=address,
                keys=[list(alternatives) for alternatives in keys],
                from_block_number=from_block,
                to_block_number=to_block,
                continuation_token=token,
                chunk_size=chunk_size,
            )
        _log.debug(
            "A page of %d events of %#x, from blocks %d to %d.",
            len(page.events),
            address,
            from_block,
            to_block,
            extra={"contract": hex(address), "events": len(page.events)},
        )
        for event in page.events:
            if not _was_asked_for(event, address, from_block, to_block, keys):
                raise NetworkError("The node sent an event that was not asked for.")
            if found.setdefault(position(event), event) != event:
                raise NetworkError(f"The node sent two different events for one place, {position(event)}.")
        token = page.continuation_token
        if token is None:
            return [found[place] for place in sorted(found)]
        if token in seen:
            raise NetworkError(f"The node's pages of events go in circles: token {token!r} came twice.")
        seen.add(token)


def position(event: EmittedEvent) -> tuple[int, int, int]:
    """Where an event stands on the chain: block number, transaction's index in it, event's index in that."""
    if event.block_number is None:
        raise NetworkError("The node sent an event that is in no block yet.")
    return event.block_number, event.transaction_index, event.event_index


def _was_asked_for(
    event: EmittedEvent, address: int, from_block: int, to_block: int, keys: Sequence[Sequence[int]]
) -> bool:
    return (
        event.from_address == address
        and from_block <= position(event)[0] <= to_block
        and len(event.keys) >= len(keys)
        and all(not wanted or key in wanted for key, wanted in zip(event.keys, keys, strict=False))
    )


async def _last_block(client: FullNodeClient, first: int, last: int | Literal["latest"]) -> int:
    """The last block of a range. Raises NetworkError if the node's chain ends before the first."""
    if last != "latest":
        return last
    newest = (await newest_block(client)).number
    if newest < first:
        raise NetworkError(
            f"The node's newest block is {newest}; block {first}, from which events were asked for, is not "
            "there.",
            hint="The node lags behind, or it is a devnet that was restarted: then the contracts are gone, "
            "`medsync deployments check` shows it, and `medsync deploy` deploys them again.",
        )
    return newest


async def _chain_id(client: FullNodeClient) -> int:
    with asking("request for the chain id"):
        return int(await client.get_chain_id(), 16)


async def _block_times(client: FullNodeClient, numbers: Sequence[int]) -> dict[int, int]:
    slots = asyncio.Semaphore(_HEADERS_AT_ONCE)

    async def time_of(number: int) -> int:
        async with slots:
            with asking(f"request for block {number}"):
                return (await client.get_block_with_tx_hashes(block_number=number)).timestamp

    return dict(zip(numbers, await asyncio.gather(*map(time_of, numbers)), strict=True))
