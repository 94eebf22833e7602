"""Events fetched from a node page by page, and histories proven complete.

A node is not trusted: it may drop, repeat, reorder or cut off. Paging is checked as far as it can be (see
`fetch_raw`), and a history is believed only if its entries recompute to the count and head that the contract
keeps. The head itself comes from a node as well: `connect` can compare several nodes, and
`fetch_agreed_heads` asks each of them for it. What no history contains is not proven: `ConsentRequested`,
pools and their money, the terms behind a campaign's id, and in which transaction and block an entry was made.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Literal, TypeVar, cast

from starknet_py.net.client_models import EmittedEvent
from starknet_py.net.full_node_client import FullNodeClient

from medsync.errors import InputError, NetworkError, VerificationError
from medsync.log.completeness import history_faults
from medsync.log.histories import BlockHeader, Checkpoint, Heads, History, PatientHistory
from medsync.protocol.chains import Chain, ChainEvent, chain_of
from medsync.protocol.events import (
    AccessEvent,
    ConsentEvent,
    Event,
    EventLocation,
    RegistryEvent,
    decode_event,
    selector_of,
)
from medsync.protocol.types import Head
from medsync.starknet.clients import MedSyncClient
from medsync.starknet.network import MAX_LAG, ONE_ANSWER_HINT
from medsync.starknet.rpc import asking, newest_block
from medsync.starknet.transport import shown_url

T = TypeVar("T")

#: Events asked for in one page. Providers set limits of their own, most of them at 1,024 or above.
CHUNK_SIZE: Final = 512

#: Pages in a row that may hold nothing new: nodes send empty ones for long ranges without an event.
_IDLE_PAGES: Final = 1_000

#: Requests for block headers under way at once.
_HEADERS_AT_ONCE: Final = 16

#: Error code of the Starknet JSON-RPC specification.
_BLOCK_NOT_FOUND: Final = 24

_log = logging.getLogger(__name__)


async def fetch_patient(
    client: FullNodeClient,
    contract: int,
    patient: int,
    *,
    from_block: int = 0,
    to_block: int | Literal["latest"] = "latest",
    known: Mapping[Chain, Checkpoint] | None = None,
    nodes: Sequence[FullNodeClient] = (),
    chunk_size: int = CHUNK_SIZE,
) -> PatientHistory:
    """A patient's consents and accesses and the registry, all proven complete as of the same block.

    `from_block` may be any block up to the one the contract was deployed in. With `known`, only what follows
    those checkpoints is fetched; see `PatientHistory.checkpoints` and `followed_by`. With `nodes`, the heads
    are those that these nodes agree on (see `fetch_agreed_heads`), and only the entries are the client's.
    Raises VerificationError as `prove_complete` does or if nodes disagree, NetworkError if a node fails,
    contradicts itself or does not know the checkpoints' block.
    """
    heads = await fetch_agreed_heads(
        nodes or [client], contract, patient, from_block=from_block, to_block=to_block
    )
    consents, accesses, registry = [
        await _fetch_history(client, heads, chain, from_block, (known or {}).get(chain), chunk_size)
        for chain in Chain
    ]
    return PatientHistory(consents=consents, accesses=accesses, registry=registry)


async def fetch_consents(
    client: FullNodeClient,
    contract: int,
    patient: int,
    *,
    from_block: int = 0,
    to_block: int | Literal["latest"] = "latest",
    known: Checkpoint | None = None,
    chunk_size: int = CHUNK_SIZE,
) -> History[ConsentEvent]:
    """A patient's consent history, proven complete up to `to_block`. Arguments and errors: `fetch_patient`.

    Requests for consents (`ConsentRequested`) are in no history: see `fetch_events`.
    """
    heads = await fetch_heads(
        client, contract, patient, from_block=from_block, to_block=to_block, chains=[Chain.CONSENTS]
    )
    return await _fetch_history(client, heads, Chain.CONSENTS, from_block, known, chunk_size)


async def fetch_log(
    client: FullNodeClient,
    contract: int,
    patient: int,
    *,
    from_block: int = 0,
    to_block: int | Literal["latest"] = "latest",
    known: Checkpoint | None = None,
    chunk_size: int = CHUNK_SIZE,
) -> History[AccessEvent]:
    """A patient's access log, proven complete up to `to_block`. Arguments and errors: `fetch_patient`."""
    heads = await fetch_heads(
        client, contract, patient, from_block=from_block, to_block=to_block, chains=[Chain.ACCESSES]
    )
    return await _fetch_history(client, heads, Chain.ACCESSES, from_block, known, chunk_size)


async def fetch_registry(
    client: FullNodeClient,
    contract: int,
    *,
    from_block: int = 0,
    to_block: int | Literal["latest"] = "latest",
    known: Checkpoint | None = None,
    nodes: Sequence[FullNodeClient] = (),
    chunk_size: int = CHUNK_SIZE,
) -> History[RegistryEvent]:
    """The registry's history, proven complete up to `to_block`. Arguments and errors: `fetch_patient`."""
    heads = await fetch_agreed_heads(
        nodes or [client], contract, 0, from_block=from_block, to_block=to_block, chains=[Chain.REGISTRY]
    )
    return await _fetch_history(client, heads, Chain.REGISTRY, from_block, known, chunk_size)


async def fetch_heads(
    client: FullNodeClient,
    contract: int,
    patient: int,
    *,
    from_block: int = 0,
    to_block: int | Literal["latest"] = "latest",
    chains: Iterable[Chain] = Chain,
) -> Heads:
    """The heads of these histories as of one block.

    Raises NetworkError if the node fails or its chain ends before `from_block`.
    """
    block = await block_header(client, await _last_block(client, from_block, to_block))
    medsync = MedSyncClient(contract, client)
    heads: dict[Chain, Head] = {}
    for chain in chains:
        match chain:
            case Chain.CONSENTS:
                heads[chain] = await medsync.history_head(patient, block=block.number)
            case Chain.ACCESSES:
                heads[chain] = await medsync.log_head(patient, block=block.number)
            case Chain.REGISTRY:
                heads[chain] = await medsync.registry_head(block=block.number)
    return Heads(await _chain_id(client), contract, patient, block, heads)


async def fetch_agreed_heads(
    nodes: Sequence[FullNodeClient],
    contract: int,
    patient: int,
    *,
    from_block: int = 0,
    to_block: int | Literal["latest"] = "latest",
    chains: Iterable[Chain] = Chain,
) -> Heads:
    """The heads that nodes, each asked alone, agree on, as of the newest block that all of them have.

    Of several nodes, those that fail are left out with a warning. Raises VerificationError if nodes disagree,
    if their newest blocks are far apart, or if only one of several answers, and as `fetch_heads` does.
    """
    wanted = tuple(chains)
    if to_block == "latest":
        newest = await _ask_each(nodes, lambda node: _last_block(node, from_block, "latest"))
        nodes = [node for node, _ in newest]
        to_block = _newest_of_all(newest)
    answers = await _ask_each(
        nodes, lambda node: fetch_heads(node, contract, patient, to_block=to_block, chains=wanted)
    )
    (_, heads), *others = answers
    for _, found in others:
        _compare(heads, found)
    return heads


def _newest_of_all(newest: Sequence[tuple[FullNodeClient, int]]) -> int:
    """The newest block that all nodes have, which none of them may hold back further than MAX_LAG."""
    numbers = [number for _, number in newest]
    if max(numbers) - min(numbers) > MAX_LAG:
        raise VerificationError(
            f"The nodes' newest blocks are more than {MAX_LAG} blocks apart:",
            findings=[f"{shown_url(node.url)} is at block {number}" for node, number in newest],
            hint="Ask again later, or leave out the node that is behind or ahead of the others.",
        )
    return min(numbers)


async def _ask_each(
    nodes: Sequence[FullNodeClient], ask: Callable[[FullNodeClient], Awaitable[T]]
) -> list[tuple[FullNodeClient, T]]:
    """The nodes that answer, with their answers. Raises VerificationError if it is only one of several,
    NetworkError if none does."""
    answers: list[tuple[FullNodeClient, T]] = []
    failures: list[tuple[str, NetworkError]] = []
    for node in nodes:
        try:
            answers.append((node, await ask(node)))
        except NetworkError as failure:
            failures.append((shown_url(node.url), failure))
    if not answers:
        raise failures[0][1]
    if failures and len(answers) == 1:
        raise VerificationError(
            f"Only one of {len(nodes)} nodes answers, so its answers cannot be compared:",
            findings=[f"{where}: {error}" for where, error in failures],
            hint=ONE_ANSWER_HINT,
        )
    for where, error in failures:
        _log.warning("The node at %s is left out: %s", where, error, extra={"node": where})
    return answers


def prove_complete(history: History[ChainEvent], head: Head) -> None:
    """Recompute a history's hash chain and compare it with the count and head that the contract keeps.

    `head` must be read from the chain, as of the history's block. Raises VerificationError that lists what is
    missing, altered, reordered or invented.
    """
    faults = history_faults(history, head)
    if faults:
        raise VerificationError(
            f"{history.title} is not complete as of block {history.block.number}:",
            findings=[str(fault) for fault in faults],
            hint="Ask another node, or begin at an earlier block.",
        )


async def _fetch_history(
    client: FullNodeClient,
    heads: Heads,
    chain: Chain,
    from_block: int,
    known: Checkpoint | None,
    chunk_size: int,
) -> History[Any]:
    """One history's entries up to the block of its head, proven complete."""
    first = from_block if known is None else await _block_after(client, known, heads.block)
    raw: list[EmittedEvent] = []
    if first <= heads.block.number:
        keys = [[selector_of(kind) for kind in chain.kinds]]
        if chain is not Chain.REGISTRY:
            keys.append([heads.patient])
        raw = await fetch_raw(client, heads.contract, first, heads.block.number, keys, chunk_size)
    decoded = [decode_event(event, "MedSync") for event in raw]
    entries = [cast(ChainEvent, event) for event in decoded if chain_of(event) is chain]
    history = heads.history(chain, entries, known)
    prove_complete(history, history.head)
    _log.debug(
        "%s is complete as of block %d: %d entries.",
        history.title,
        heads.block.number,
        history.head.count,
        extra={"patient": hex(heads.patient), "block": heads.block.number, "entries": history.head.count},
    )
    return history


async def _block_after(client: FullNodeClient, known: Checkpoint, end: BlockHeader) -> int:
    """The first block whose entries a checkpoint does not cover; at most the one after the end."""
    with asking("request for a known block", absent=_BLOCK_NOT_FOUND):
        block = await client.get_block_with_tx_hashes(block_hash=known.block_hash)
        number = int(block.block_number)
        if number > end.number:
            raise NetworkError(
                f"The node answers as of block {end.number}; the history is known up to block {number}.",
                hint="The node lags behind. Ask again later, or ask another node.",
            )
        return number + 1
    raise NetworkError(
        f"The node does not know block {known.block_hash:#x}, up to which the history is known.",
        hint="The chain was reorganised, or the node is on another one: fetch the whole history again, "
        "without `known`, and compare several nodes.",
    )


def _compare(heads: Heads, found: Heads) -> None:
    """Raise VerificationError if another node has another block, or other heads, at the same height."""
    number = heads.block.number
    findings = []
    if found.block.hash != heads.block.hash:
        findings.append(f"block {number} is {heads.block.hash:#x} or {found.block.hash:#x}")
    if found.block.timestamp != heads.block.timestamp:
        findings.append(f"the time of block {number} is {heads.block.timestamp} or {found.block.timestamp}")
    findings += [
        f"the head of {chain.name.lower()} is {head.head:#x} after {head.count} entries, or "
        f"{found.of[chain].head:#x} after {found.of[chain].count}"
        for chain, head in heads.of.items()
        if found.of[chain] != head
    ]
    if findings:
        raise VerificationError(
            f"Two nodes disagree as of block {number}:",
            findings=findings,
            hint="At least one of them is on another chain or answers wrongly. Use only nodes you trust.",
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

    What a node leaves out, alters or invents is not found here, only in histories: see `fetch_patient`.
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
    comes back, for pages without an end that hold nothing new, for two events in one place, and for one that
    was not asked for.
    """
    if not 0 <= from_block <= to_block:
        raise InputError(f"There are no blocks from {from_block} to {to_block}.")
    found: dict[tuple[int, int, int], EmittedEvent] = {}
    seen: set[str] = set()
    token: str | None = None
    idle = 0
    while True:
        before = len(found)
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
        idle = idle + 1 if len(found) == before else 0
        if idle >= _IDLE_PAGES:
            raise NetworkError(
                f"The node sent {idle} pages in a row without a new event, and says that more follow.",
                hint="Ask another node.",
            )


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


async def block_header(client: FullNodeClient, number: int) -> BlockHeader:
    """A block as the node has it. Raises NetworkError if it does not, or if the node sends another block."""
    with asking(f"request for block {number}"):
        block = await client.get_block_with_tx_hashes(block_number=number)
        header = BlockHeader(int(block.block_number), int(cast(Any, block).block_hash), int(block.timestamp))
    if header.number != number:
        raise NetworkError(
            f"The node sent block {header.number} instead of block {number}.", hint="Ask another node."
        )
    return header


async def _chain_id(client: FullNodeClient) -> int:
    with asking("request for the chain id"):
        return int(await client.get_chain_id(), 16)


async def _block_times(client: FullNodeClient, numbers: Sequence[int]) -> dict[int, int]:
    slots = asyncio.Semaphore(_HEADERS_AT_ONCE)

    async def time_of(number: int) -> int:
        async with slots:
            return (await block_header(client, number)).timestamp

    return dict(zip(numbers, await asyncio.gather(*map(time_of, numbers)), strict=True))
