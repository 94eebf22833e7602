"""Whatever a node does to the pages of a history, it is either right or refused with the reason."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from starknet_py.net.client_errors import ClientError
from starknet_py.net.client_models import EmittedEvent, EventsChunk

from medsync.errors import InputError, NetworkError, VerificationError
from medsync.log.fetch import (
    fetch_agreed_heads,
    fetch_consents,
    fetch_events,
    fetch_heads,
    fetch_log,
    fetch_patient,
    fetch_raw,
    fetch_registry,
    prove_complete,
)
from medsync.log.histories import BlockHeader, Checkpoint, History, PatientHistory
from medsync.protocol.chains import KINDS, Chain, chain_of
from medsync.protocol.events import EventLocation, RewardDeposited, selector_of
from medsync.protocol.types import Head
from medsync.protocol.vocabulary import Reason
from medsync.starknet.network import MAX_LAG
from medsync.starknet.transport import NodeFailure
from tests.harness.driver import selector
from tests.harness.histories import (
    BLOCK,
    CHAIN,
    CONSENTS,
    CONTRACT,
    ENTRIES,
    HEAD,
    HISTORY,
    PATIENT,
    POOL,
    REGISTRY,
    START,
    emitted,
    history_of,
)

LATEST = BLOCK.number
KEYS = [[selector_of(kind) for kind in Chain.ACCESSES.kinds], [PATIENT]]

EVENTS = [emitted(entry) for entry in ENTRIES]
#: Everything that the contract emitted, in the chain's order.
EVERYTHING = sorted(
    (emitted(entry) for entry in HISTORY.entries), key=lambda event: (event.block_number, event.event_index)
)
VIEWS = {
    selector("history_head"): HISTORY.consents.head,
    selector("log_head"): HISTORY.accesses.head,
    selector("registry_head"): HISTORY.registry.head,
}


class FakeNode:
    """A node with these pages, whose tokens are page numbers like a devnet's, and these heads."""

    url = "http://node.example/key"

    def __init__(self, *pages: list[EmittedEvent], head: Head | None = None) -> None:
        self.pages = pages
        self.heads = dict(VIEWS)
        if head is not None:
            self.heads[selector("log_head")] = head
        self.latest = LATEST
        self.hashes = {LATEST: BLOCK.hash}
        self.requests: list[dict[str, Any]] = []
        self.viewed: list[Any] = []
        self.tokens: Callable[[int], str | None] = lambda page: (
            str(page + 1) if page + 1 < len(self.pages) else None
        )

    async def get_chain_id(self) -> str:
        return hex(CHAIN)

    async def call_contract(self, call: Any, block_number: Any) -> list[int]:
        self.viewed.append(block_number)
        head = self.heads[call.selector]
        return [head.count, head.head]

    async def get_events(self, *, continuation_token: str | None = None, **request: Any) -> EventsChunk:
        self.requests.append(request)
        page = int(continuation_token or 0)
        return EventsChunk(list(self.pages[page]), self.tokens(page))

    async def get_block_with_tx_hashes(
        self, block_number: int | str | None = None, block_hash: int | None = None
    ) -> Any:
        number = self.latest if isinstance(block_number, str) else block_number
        if block_hash is not None:
            known = {found: height for height, found in self.hashes.items()}
            if block_hash not in known:
                raise ClientError("Block not found", 24)  # type: ignore[arg-type]
            number = known[block_hash]
        found = self.hashes.get(number or 0, number)
        return SimpleNamespace(
            block_number=number,
            block_hash=found,
            timestamp=BLOCK.timestamp if number == LATEST else START + (number or 0),
        )

    async def log(self, **options: Any) -> History[Any]:
        return await fetch_log(self, CONTRACT, PATIENT, **options)  # type: ignore[arg-type]

    async def raw(self, to_block: int = LATEST, **options: Any) -> list[EmittedEvent]:
        return await fetch_raw(self, CONTRACT, 0, to_block, KEYS, **options)  # type: ignore[arg-type]


class Honest(FakeNode):
    """A node that filters as it is asked to, and has the whole contract's events but for those it hides."""

    def __init__(self, events: Sequence[EmittedEvent] = EVERYTHING) -> None:
        super().__init__()
        self.events = events

    async def get_events(self, **request: Any) -> EventsChunk:
        self.requests.append(request)
        first, last = request["from_block_number"], request["to_block_number"]
        fitting = [
            event
            for event in self.events
            if event.block_number is not None
            and first <= event.block_number <= last
            and all(key in wanted for key, wanted in zip(event.keys, request["keys"], strict=False))
        ]
        return EventsChunk(fitting, None)

    async def patient(self, **options: Any) -> PatientHistory:
        return await fetch_patient(self, CONTRACT, PATIENT, **options)  # type: ignore[arg-type]


def entry_at(index: int) -> Any:
    return ENTRIES[index]


def findings(refused: pytest.ExceptionInfo[VerificationError]) -> str:
    return "\n".join(refused.value.findings)


# --- the three histories of a patient -----------------------------------------------------------------------


async def test_a_patients_whole_picture_stands_at_one_block() -> None:
    node = Honest()
    assert await node.patient() == HISTORY
    assert set(node.viewed) == {LATEST}
    assert {(request["from_block_number"], request["to_block_number"]) for request in node.requests} == {
        (0, LATEST)
    }


async def test_each_history_can_be_fetched_alone() -> None:
    node: Any = Honest()
    assert await fetch_consents(node, CONTRACT, PATIENT) == HISTORY.consents
    assert await fetch_log(node, CONTRACT, PATIENT) == HISTORY.accesses
    assert await fetch_registry(node, CONTRACT) == HISTORY.registry
    assert len(node.viewed) == 3, "only the head that is needed is asked for"
    assert [len(request["keys"]) for request in node.requests] == [2, 2, 1]


async def test_heads_are_of_the_block_that_was_asked_for() -> None:
    node: Any = Honest()
    heads = await fetch_heads(node, CONTRACT, PATIENT)
    assert heads.block == BLOCK
    assert heads.of == {history.chain: history.head for history in HISTORY.histories}
    past = await fetch_heads(node, CONTRACT, PATIENT, to_block=3)
    assert past.block == BlockHeader(3, 3, START + 3)
    assert node.viewed[-3:] == [3, 3, 3]


@pytest.mark.parametrize("hidden", EVERYTHING, ids=[f"{event.block_number}" for event in EVERYTHING])
async def test_an_entry_that_a_node_hides_is_named(hidden: EmittedEvent) -> None:
    """Of any kind, in any of the three histories: no answer is given without it."""
    node = Honest([event for event in EVERYTHING if event is not hidden])
    (entry,) = (
        entry
        for entry in HISTORY.entries
        if (emitted(entry).block_number, emitted(entry).event_index)
        == (hidden.block_number, hidden.event_index)
    )
    with pytest.raises(VerificationError) as refused:
        await node.patient()
    assert f"missing: entry {entry.seq} of" in findings(refused)
    chain = chain_of(entry)
    title = next(history.title for history in HISTORY.histories if history.chain is chain)
    assert str(refused.value).startswith(f"{title} is not complete as of block {LATEST}")


@pytest.mark.parametrize("kind", KINDS)
async def test_an_entry_that_a_node_alters_is_found(kind: Any) -> None:
    events = list(EVERYTHING)
    index = next(place for place, event in enumerate(events) if event.keys[0] == selector_of(kind))
    data = list(events[index].data)
    data[1] += 1
    events[index] = replace(events[index], data=data)
    with pytest.raises(VerificationError, match="altered"):
        await Honest(events).patient()


# --- from a checkpoint on -----------------------------------------------------------------------------------


def checkpoints(hour: int) -> tuple[dict[Chain, Checkpoint], PatientHistory]:
    """What was known at the end of an hour after the start, and the histories up to it."""
    number = 1_000 + hour
    block = BlockHeader(number, 0xB10C + hour, START + hour * 3_600)
    parts: dict[str, Any] = {}
    for name, entries in (("consents", CONSENTS), ("accesses", ENTRIES), ("registry", REGISTRY)):
        until = tuple(e for e in entries if e.location is not None and e.location.block_number <= number)
        parts[name] = replace(history_of(Chain[name.upper()], until), block=block)
    patient = PatientHistory(**parts)
    return patient.checkpoints, patient


@pytest.mark.parametrize("hour", [0, 1, 5, 9, 13, 24])
async def test_a_later_proof_continues_where_the_last_one_ended(hour: int) -> None:
    known, before = checkpoints(hour)
    node = Honest()
    node.hashes |= {before.block.number: before.block.hash}
    if hour == 24:
        node.hashes = {LATEST: before.block.hash}
    later = await node.patient(known=known)
    assert {request["from_block_number"] for request in node.requests} <= {before.block.number + 1}
    whole = before.followed_by(later)
    assert whole.entries == HISTORY.entries
    assert [history.head for history in whole.histories] == [history.head for history in HISTORY.histories]


async def test_nothing_is_asked_for_where_nothing_can_have_followed() -> None:
    node = Honest()
    later = await node.patient(known=HISTORY.checkpoints)
    assert node.requests == []
    assert HISTORY.followed_by(later) == HISTORY


async def test_a_block_that_the_node_does_not_know_is_a_reorganisation() -> None:
    known, _ = checkpoints(5)
    with pytest.raises(NetworkError, match="does not know block 0xb111") as refused:
        await Honest().patient(known=known)
    assert "reorganised" in refused.value.hint


async def test_a_node_that_is_behind_what_is_known_is_refused() -> None:
    known, before = checkpoints(5)
    node = Honest()
    node.hashes |= {before.block.number: before.block.hash}
    with pytest.raises(NetworkError, match="known up to block 1005"):
        await node.patient(known=known, to_block=1_004)


async def test_an_entry_hidden_behind_a_checkpoint_is_missed() -> None:
    known, before = checkpoints(5)
    node = Honest([event for event in EVERYTHING if event.block_number != 1_007])
    node.hashes |= {before.block.number: before.block.hash}
    with pytest.raises(VerificationError) as refused:
        await node.patient(known=known)
    assert "missing: entry 7 of 13 not there" in findings(refused)


# --- several nodes ------------------------------------------------------------------------------------------


class Silent(Honest):
    """A node that fails to say which block is its newest, or what its heads are."""

    def __init__(self, at: str) -> None:
        super().__init__()
        self.at = at

    async def get_block_with_tx_hashes(self, block_number: Any = None, block_hash: Any = None) -> Any:
        if self.at == "newest block":
            raise NodeFailure("it is out of order")
        return await super().get_block_with_tx_hashes(block_number, block_hash)

    async def call_contract(self, call: Any, block_number: Any) -> list[int]:
        raise NodeFailure("it is out of order")


async def test_nodes_that_agree_are_believed() -> None:
    first, second = Honest(), Honest()
    assert await Honest().patient(nodes=[first, second]) == HISTORY
    assert first.requests == second.requests == [], "they are asked for heads alone"
    assert set(first.viewed) == set(second.viewed) == {LATEST}


async def test_heads_are_of_the_newest_block_that_all_nodes_have() -> None:
    behind = Honest()
    behind.latest = LATEST - 1
    nodes: Any = [Honest(), behind]
    heads = await fetch_agreed_heads(nodes, CONTRACT, PATIENT, chains=[Chain.ACCESSES])
    assert (heads.block.number, list(heads.of)) == (LATEST - 1, [Chain.ACCESSES])
    assert nodes[0].viewed == behind.viewed == [LATEST - 1]


@pytest.mark.parametrize("behind", [0, 1])
async def test_no_node_holds_the_others_back_without_limit(behind: int) -> None:
    nodes: Any = [Honest(), Honest()]
    nodes[behind].latest = LATEST - MAX_LAG
    heads = await fetch_agreed_heads(nodes, CONTRACT, PATIENT)
    assert heads.block.number == LATEST - MAX_LAG
    nodes[behind].latest -= 1
    with pytest.raises(VerificationError, match="more than 50 blocks apart") as refused:
        await fetch_agreed_heads(nodes, CONTRACT, PATIENT)
    assert refused.value.findings[behind] == f"http://node.example is at block {LATEST - MAX_LAG - 1}"
    assert "leave out the node" in refused.value.hint


async def test_the_heads_are_not_taken_from_the_node_that_sends_the_entries() -> None:
    """It may be another one than before, after a failure."""
    hides = Honest([event for event in EVERYTHING if event.block_number != 1_013])
    with pytest.raises(VerificationError, match="not complete"):
        await hides.patient(nodes=[Honest(), Honest()])


@pytest.mark.parametrize("at", ["newest block", "heads"])
async def test_one_node_that_answers_of_several_is_not_compared_with_itself(
    at: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(VerificationError, match="Only one of 2 nodes answers") as refused:
        await Honest().patient(nodes=[Silent(at), Honest()])
    assert findings(refused).startswith("http://node.example: ")
    assert "out of order" in findings(refused)
    assert "name one node alone" in refused.value.hint
    assert await Honest().patient(nodes=[Silent(at), Honest(), Honest()]) == HISTORY
    assert "The node at http://node.example is left out" in caplog.text
    with pytest.raises(NetworkError, match="out of order"):
        await Honest().patient(nodes=[Silent(at), Silent(at)])


@pytest.mark.parametrize("view", VIEWS)
async def test_another_head_of_another_node_is_told(view: int) -> None:
    other = Honest()
    other.heads[view] = Head(other.heads[view].count, 1)
    with pytest.raises(VerificationError, match="Two nodes disagree as of block 1024") as refused:
        await Honest().patient(nodes=[Honest(), Honest(), other])
    assert "or 0x1 after" in findings(refused)
    assert len(refused.value.findings) == 1


async def test_another_block_of_another_node_is_told() -> None:
    other = Honest()
    other.hashes[LATEST] = 0xBAD
    with pytest.raises(VerificationError) as refused:
        await Honest().patient(nodes=[Honest(), other])
    assert findings(refused) == "block 1024 is 0xb10c or 0xbad"


class OtherBlock(Honest):
    """A node whose blocks have another time, or another number than was asked for."""

    def __init__(self, *, later: int = 0, further: int = 0) -> None:
        super().__init__()
        self.later, self.further = later, further

    async def get_block_with_tx_hashes(self, block_number: Any = None, block_hash: Any = None) -> Any:
        block = await super().get_block_with_tx_hashes(block_number, block_hash)
        block.timestamp += self.later
        if block_number != "latest":
            block.block_number += self.further
        return block


async def test_another_time_of_the_block_is_found() -> None:
    """What holds of a consent depends on it."""
    for nodes in ([OtherBlock(later=1), Honest()], [Honest(), OtherBlock(later=1)]):
        with pytest.raises(VerificationError) as refused:
            await Honest().patient(nodes=nodes)
        times = {BLOCK.timestamp, BLOCK.timestamp + 1}
        assert all(str(time) in findings(refused) for time in times)
        assert findings(refused).startswith(f"the time of block {LATEST} is ")


@pytest.mark.parametrize("further", [-1, 1])
async def test_another_block_than_was_asked_for_is_refused(further: int) -> None:
    with pytest.raises(NetworkError, match=f"sent block {1_020 + further} instead of block 1020"):
        await OtherBlock(further=further).patient(to_block=1_020)


# --- a node that does its work ------------------------------------------------------------------------------


async def test_a_log_in_pages_is_put_together_and_proven() -> None:
    node = FakeNode(EVENTS[:2], [], EVENTS[2:4], EVENTS[4:])
    history = await node.log(from_block=1, chunk_size=2)
    assert history == HISTORY.accesses
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
    history = await FakeNode([], head=Head(0, 0)).log()
    assert history.entries == ()


async def test_a_past_block_is_asked_for_as_it_was_then() -> None:
    node = FakeNode(EVENTS[:3], head=Head(3, 0))
    with pytest.raises(VerificationError):
        await node.log(to_block=1_003)
    assert node.viewed == [1_003]
    assert node.requests[0]["to_block_number"] == 1_003


async def test_repeated_and_reordered_pages_are_put_right() -> None:
    """An honest node may do so: positions tell, and the proof is of the result."""
    node = FakeNode(EVENTS[2:4], EVENTS[:3], EVENTS[4:])
    history = await node.log()
    assert [entry.seq for entry in history.entries] == [*range(1, 9)]


async def test_events_of_several_contracts_come_in_the_chains_order_with_their_times() -> None:
    class Two(FakeNode):
        async def get_events(self, *, address: int, **request: Any) -> EventsChunk:
            deposit = EmittedEvent(
                POOL,
                [selector_of(RewardDeposited), 0, 0],
                [5, 1],
                transaction_hash=1,
                transaction_index=1,
                event_index=0,
                block_number=1_002,
            )
            return EventsChunk(EVENTS if address == CONTRACT else [deposit], None)

    node: Any = Two()
    events = await fetch_events(node, {CONTRACT: "MedSync", POOL: "RewardPool"})
    expected = [type(entry) for entry in ENTRIES]
    assert [type(event) for event in events] == [*expected[:2], RewardDeposited, *expected[2:]]
    for event in events:
        assert event.location is not None
        assert event.location.timestamp == START + event.location.block_number
    without = await fetch_events(node, {CONTRACT: "MedSync"}, timestamps=False)
    assert {event.location.timestamp for event in without if event.location} == {None}


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
    assert "missing: entries 4 to 8 of 8 not there" in findings(refused)


async def test_a_log_that_begins_too_late_is_missed() -> None:
    with pytest.raises(VerificationError) as refused:
        await FakeNode(EVENTS[1:]).log(from_block=1_002)
    assert "entry 1 " in findings(refused)
    assert "earlier block" in refused.value.hint


async def test_an_altered_entry_is_found() -> None:
    forged = emitted(replace(entry_at(1), reason=Reason.EXPIRED))
    with pytest.raises(VerificationError) as refused:
        await FakeNode([EVENTS[0], forged, *EVENTS[2:]]).log()
    assert "altered" in findings(refused)


async def test_an_invented_entry_is_found() -> None:
    invented = emitted(replace(entry_at(4), seq=9, location=EventLocation(1_020, 1)))
    with pytest.raises(VerificationError) as refused:
        await FakeNode([*EVENTS, invented]).log()
    assert "invented" in findings(refused)


async def test_one_entry_in_two_places_is_found() -> None:
    again = emitted(replace(entry_at(4), location=EventLocation(1_020, 1)))
    with pytest.raises(VerificationError) as refused:
        await FakeNode([*EVENTS, again]).log()
    assert "entry 5 is there 2 times" in findings(refused)


async def test_exchanged_entries_are_found() -> None:
    """Their positions exchanged too, so that sorting does not put them right."""
    second, third = emitted(ENTRIES[2]), emitted(ENTRIES[1])
    second.block_number, third.block_number = 1_002, 1_003
    with pytest.raises(VerificationError) as refused:
        await FakeNode([EVENTS[0], second, third, *EVENTS[3:]]).log()
    assert "reordered" in findings(refused)


async def test_a_false_head_is_found() -> None:
    for head in (Head(HEAD.count, HEAD.head + 1), Head(HEAD.count + 1, HEAD.head), Head(0, 0)):
        with pytest.raises(VerificationError):
            await FakeNode(EVENTS, head=head).log()


async def test_tokens_in_a_circle_are_found() -> None:
    node = FakeNode(EVENTS[:2], EVENTS[2:])
    node.tokens = lambda page: str(1 - page)
    with pytest.raises(NetworkError, match="circles"):
        await node.raw()
    assert len(node.requests) == 3


@pytest.mark.parametrize("page", [[], EVENTS[:1]])
async def test_pages_without_an_end_are_found(
    page: list[EmittedEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each with another token, and nothing that was not there before."""
    monkeypatch.setattr("medsync.log.fetch._IDLE_PAGES", 3)
    with pytest.raises(NetworkError, match="3 pages in a row without a new event"):
        await FakeNode(EVENTS[:1], *[page] * 4).raw()
    assert await FakeNode(EVENTS[:1], *[page] * 2, EVENTS[1:2], *[page] * 2, EVENTS[2:3]).raw() == EVENTS[:3]


async def test_a_page_that_repeats_its_own_token_is_found() -> None:
    node = FakeNode(EVENTS)
    node.tokens = lambda page: "0"
    with pytest.raises(NetworkError, match="circles"):
        await node.raw()


async def test_two_events_in_one_place_are_refused() -> None:
    other = emitted(replace(entry_at(0), record=1))
    with pytest.raises(NetworkError, match=r"two different events for one place, \(1001, 0, 32\)"):
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
        async def get_block_with_tx_hashes(self, block_number: Any = None, block_hash: Any = None) -> Any:
            if block_number == 1_002:
                raise TimeoutError
            return await super().get_block_with_tx_hashes(block_number)

    node: Any = Forgetful(EVENTS)
    with pytest.raises(NetworkError, match="block 1002 failed: the node did not answer in time"):
        await fetch_events(node, {CONTRACT: "MedSync"})


async def test_a_chain_that_ends_before_the_first_block_was_probably_restarted() -> None:
    """As a devnet is behind an old deployment record."""
    node: Any = FakeNode([])
    for fetching in (
        node.log(from_block=2_000),
        fetch_events(node, {CONTRACT: "MedSync"}, from_block=2_000),
    ):
        with pytest.raises(NetworkError, match="newest block is 1024; block 2000") as failed:
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
