"""Whatever a node does to the pages of a log, the log is either right or refused with the reason."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from starknet_py.net.client_errors import ClientError
from starknet_py.net.client_models import EmittedEvent, EventsChunk

from medsync.errors import InputError, NetworkError, VerificationError
from medsync.log.fetch import AccessHistory, fetch_events, fetch_log, fetch_raw, prove_complete
from medsync.protocol.events import LogEntry, RewardDeposited, selector_of
from medsync.protocol.types import LogHead
from medsync.protocol.vocabulary import Decision, Reason
from tests.harness.histories import CHAIN, CONTRACT, ENTRIES, HEAD, PATIENT, POOL, START

LATEST = 9
KEYS = [[selector_of(LogEntry)], [PATIENT]]


def emitted(entry: LogEntry) -> EmittedEvent:
    """An entry as a node's page has it: one per block, the block's number the entry's."""
    assert entry.location is not None
    return EmittedEvent(
        CONTRACT,
        [selector_of(LogEntry), entry.patient, entry.accessor, entry.purpose.felt],
        [
            *(entry.seq, entry.at, entry.decision, entry.reason, entry.version, int(entry.categories)),
            *(entry.record, entry.campaign, entry.justification),
        ],
        transaction_hash=entry.location.transaction_hash,
        transaction_index=0,
        event_index=0,
        block_number=entry.location.block_number,
    )


EVENTS = [emitted(entry) for entry in ENTRIES]


class FakeNode:
    """A node with these pages, whose tokens are page numbers like a devnet's, and this log head."""

    def __init__(self, *pages: list[EmittedEvent], head: LogHead = HEAD) -> None:
        self.pages = pages
        self.head = head
        self.requests: list[dict[str, Any]] = []
        self.viewed: list[Any] = []
        self.tokens: Callable[[int], str | None] = lambda page: (
            str(page + 1) if page + 1 < len(self.pages) else None
        )

    async def get_chain_id(self) -> str:
        return hex(CHAIN)

    async def call_contract(self, call: Any, block_number: Any) -> list[int]:
        self.viewed.append(block_number)
        return [self.head.count, self.head.head]

    async def get_events(self, *, continuation_token: str | None = None, **request: Any) -> EventsChunk:
        self.requests.append(request)
        page = int(continuation_token or 0)
        return EventsChunk(list(self.pages[page]), self.tokens(page))

    async def get_block_with_tx_hashes(self, block_number: int | str) -> Any:
        number = LATEST if isinstance(block_number, str) else block_number
        return SimpleNamespace(block_number=number, timestamp=START + number)

    async def log(self, **options: Any) -> AccessHistory:
        return await fetch_log(self, CONTRACT, PATIENT, **options)  # type: ignore[arg-type]

    async def raw(self, to_block: int = LATEST, **options: Any) -> list[EmittedEvent]:
        return await fetch_raw(self, CONTRACT, 0, to_block, KEYS, **options)  # type: ignore[arg-type]


def findings(refused: pytest.ExceptionInfo[VerificationError]) -> str:
    return "\n".join(refused.value.findings)


# --- a node that does its work ------------------------------------------------------------------------------


async def test_a_log_in_pages_is_put_together_and_proven() -> None:
    node = FakeNode(EVENTS[:2], [], EVENTS[2:4], EVENTS[4:])
    history = await node.log(from_block=1, chunk_size=2)
    assert [replace(entry, location=None) for entry in history.entries] == [
        replace(entry, location=None) for entry in ENTRIES
    ]
    assert (history.head, history.block_number, history.chain_id) == (HEAD, LATEST, CHAIN)
    prove_complete(history, HEAD)


async def test_the_range_and_the_page_size_stay_the_same_and_are_numbers() -> None:
    node = FakeNode(*([event] for event in EVENTS))
    await node.log(from_block=1, chunk_size=1)
    assert len(node.requests) == len(EVENTS)
    assert all(request == node.requests[0] for request in node.requests)
    assert node.requests[0] == {
        "address": CONTRACT,
        "keys": KEYS,
        "from_block_number": 1,
        "to_block_number": LATEST,
        "chunk_size": 1,
    }
    assert node.viewed == [LATEST]


async def test_an_empty_log_is_complete() -> None:
    history = await FakeNode([], head=LogHead(0, 0)).log()
    assert history.entries == ()


async def test_a_past_block_is_asked_for_as_it_was_then() -> None:
    node = FakeNode(EVENTS[:3], head=LogHead(3, 0))
    with pytest.raises(VerificationError):
        await node.log(to_block=3)
    assert node.viewed == [3]
    assert node.requests[0]["to_block_number"] == 3


async def test_repeated_and_reordered_pages_are_put_right() -> None:
    """An honest node may do so: positions tell, and the proof is of the result."""
    node = FakeNode(EVENTS[2:4], EVENTS[:3], EVENTS[4:])
    history = await node.log()
    assert [entry.seq for entry in history.entries] == [1, 2, 3, 4, 5]


async def test_events_of_several_contracts_come_in_the_chains_order_with_their_times() -> None:
    class Two(FakeNode):
        async def get_events(self, *, address: int, **request: Any) -> EventsChunk:
            deposit = EmittedEvent(
                POOL,
                [selector_of(RewardDeposited), 0, 0],
                [5],
                transaction_hash=1,
                transaction_index=1,
                event_index=0,
                block_number=2,
            )
            return EventsChunk(EVENTS if address == CONTRACT else [deposit], None)

    node: Any = Two()
    events = await fetch_events(node, {CONTRACT: "MedSync", POOL: "RewardPool"})
    assert [type(one) for one in events] == [LogEntry, LogEntry, RewardDeposited, *[LogEntry] * 3]
    for one in events:
        assert one.location is not None
        assert one.location.timestamp == START + one.location.block_number
    without = await fetch_events(node, {CONTRACT: "MedSync"}, timestamps=False)
    assert {one.location.timestamp for one in without if one.location} == {None}


# --- a node that does not -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dropped", range(len(EVENTS)))
async def test_a_dropped_entry_is_missed(dropped: int) -> None:
    node = FakeNode(EVENTS[:dropped], EVENTS[dropped + 1 :])
    with pytest.raises(VerificationError) as refused:
        await node.log()
    assert "missing" in findings(refused)
    assert f"entry {dropped + 1} " in findings(refused)


async def test_a_truncated_log_is_missed() -> None:
    with pytest.raises(VerificationError) as refused:
        await FakeNode(EVENTS[:3]).log()
    assert "missing: entries 4 to 5 of 5 not there" in findings(refused)


async def test_a_log_that_begins_too_late_is_missed() -> None:
    with pytest.raises(VerificationError) as refused:
        await FakeNode(EVENTS[1:]).log(from_block=2)
    assert "entry 1 " in findings(refused)
    assert "earlier block" in refused.value.hint


async def test_an_altered_entry_is_found() -> None:
    forged = emitted(replace(ENTRIES[1], decision=Decision.PERMIT, reason=Reason.GRANTED))
    with pytest.raises(VerificationError) as refused:
        await FakeNode([EVENTS[0], forged, *EVENTS[2:]]).log()
    assert "altered" in findings(refused)


async def test_an_invented_entry_is_found() -> None:
    location = ENTRIES[4].location
    assert location is not None
    invented = emitted(replace(ENTRIES[4], seq=6, location=replace(location, block_number=6)))
    with pytest.raises(VerificationError) as refused:
        await FakeNode([*EVENTS, invented]).log()
    assert "invented" in findings(refused)


async def test_one_entry_in_two_places_is_found() -> None:
    location = ENTRIES[4].location
    assert location is not None
    again = emitted(replace(ENTRIES[4], location=replace(location, block_number=6)))
    with pytest.raises(VerificationError) as refused:
        await FakeNode([*EVENTS, again]).log()
    assert "entry 5 is there 2 times" in findings(refused)


async def test_exchanged_entries_are_found() -> None:
    """Their positions exchanged too, so that sorting does not put them right."""
    second, third = emitted(ENTRIES[2]), emitted(ENTRIES[1])
    second.block_number, third.block_number = 2, 3
    with pytest.raises(VerificationError) as refused:
        await FakeNode([EVENTS[0], second, third, *EVENTS[3:]]).log()
    assert "reordered" in findings(refused)


async def test_a_false_head_is_found() -> None:
    for head in (LogHead(HEAD.count, HEAD.head + 1), LogHead(HEAD.count + 1, HEAD.head), LogHead(0, 0)):
        with pytest.raises(VerificationError):
            await FakeNode(EVENTS, head=head).log()


async def test_tokens_in_a_circle_are_found() -> None:
    node = FakeNode(EVENTS[:2], EVENTS[2:])
    node.tokens = lambda page: str(1 - page)
    with pytest.raises(NetworkError, match="circles"):
        await node.raw()
    assert len(node.requests) == 3


async def test_a_page_that_repeats_its_own_token_is_found() -> None:
    node = FakeNode(EVENTS)
    node.tokens = lambda page: "0"
    with pytest.raises(NetworkError, match="circles"):
        await node.raw()


async def test_two_events_in_one_place_are_refused() -> None:
    other = emitted(replace(ENTRIES[0], record=1))
    with pytest.raises(NetworkError, match=r"two different events for one place, \(1, 0, 0\)"):
        await FakeNode(EVENTS, [other]).raw()


@pytest.mark.parametrize("wrong", ["contract", "patient", "event", "early", "late", "no block"])
async def test_what_was_not_asked_for_is_refused(wrong: str) -> None:
    event = emitted(ENTRIES[0])
    match wrong:
        case "contract":
            event.from_address += 1
        case "patient":
            event.keys[1] += 1
        case "event":
            event.keys = event.keys[:1]
        case "early":
            event.block_number = -1
        case "late":
            event.block_number = LATEST + 1
        case "no block":
            event.block_number = None
    with pytest.raises(NetworkError, match="event that"):
        await FakeNode([event]).raw()


@pytest.mark.parametrize(("first", "last"), [(-1, 3), (4, 3)])
async def test_the_range_must_be_one(first: int, last: int) -> None:
    with pytest.raises(InputError):
        await fetch_raw(FakeNode([]), CONTRACT, first, last)  # type: ignore[arg-type]


async def test_one_block_is_a_range() -> None:
    assert await fetch_raw(FakeNode([]), CONTRACT, LATEST, LATEST) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "trouble",
    [ClientError("Requested page size is too big", 31), TimeoutError(), ConnectionResetError()],  # type: ignore[arg-type]
)
async def test_a_node_that_fails_is_a_network_error(trouble: Exception) -> None:
    class Broken(FakeNode):
        async def get_events(self, **request: Any) -> EventsChunk:
            raise trouble

        async def get_block_with_tx_hashes(self, block_number: int) -> Any:
            raise trouble

    with pytest.raises(NetworkError, match="events"):
        await Broken([]).raw()


@pytest.mark.parametrize(
    "trouble",
    [ClientError("Internal error", -32603), TimeoutError(), ConnectionResetError()],  # type: ignore[arg-type]
)
@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("get_block_with_tx_hashes", "newest block"),
        ("get_chain_id", "chain"),
    ],
)
async def test_a_node_that_fails_at_another_question_is_a_network_error(
    trouble: Exception, question: str, told: str
) -> None:
    async def broken(**_: Any) -> Any:
        raise trouble

    node: Any = FakeNode(EVENTS)
    setattr(node, question, broken)
    with pytest.raises(NetworkError, match=told):
        await (node.log() if question == "get_chain_id" else fetch_events(node, {CONTRACT: "MedSync"}))


async def test_a_node_that_does_not_give_a_block_by_number_is_a_network_error() -> None:
    class Forgetful(FakeNode):
        async def get_block_with_tx_hashes(self, block_number: int | str) -> Any:
            if block_number == 2:
                raise TimeoutError
            return await super().get_block_with_tx_hashes(block_number)

    node: Any = Forgetful(EVENTS)
    with pytest.raises(NetworkError, match="block 2 failed: the node did not answer in time"):
        await fetch_events(node, {CONTRACT: "MedSync"})


async def test_a_chain_that_ends_before_the_first_block_was_probably_restarted() -> None:
    """As a devnet is behind an old deployment record."""
    node: Any = FakeNode([])
    for fetching in (node.log(from_block=10), fetch_events(node, {CONTRACT: "MedSync"}, from_block=10)):
        with pytest.raises(NetworkError, match="newest block is 9; block 10") as failed:
            await fetching
        assert "`medsync deploy` deploys them again" in failed.value.hint
    assert not node.requests


async def test_a_range_may_begin_with_the_newest_block() -> None:
    node: Any = FakeNode([])
    assert await fetch_events(node, {CONTRACT: "MedSync"}, from_block=LATEST) == []
    assert node.requests


async def test_an_event_may_have_no_more_keys_than_were_asked_for() -> None:
    node: Any = FakeNode(EVENTS[:1])
    keys = [[key] for key in EVENTS[0].keys]
    assert await fetch_raw(node, CONTRACT, 0, LATEST, keys) == EVENTS[:1]
