"""Every event of the contracts' ABI has its typed value, and only genuine ones are decoded."""

from typing import Any

import pytest
from eth_hash.auto import keccak
from starknet_py.net.client_models import EmittedEvent, TransactionReceiptWithBlockInfo
from starknet_py.net.client_models import Event as RawEvent

from medsync.protocol import events
from medsync.protocol.events import (
    EVENTS,
    ConsentRevoked,
    EventLocation,
    LogEntry,
    UnknownEvent,
    decode_event,
    event_name,
    events_of,
    selector_of,
)
from medsync.protocol.serde import DecodingError
from medsync.protocol.vocabulary import Category, Decision, Purpose, Reason, Role
from tests.harness.abi_types import ABIS, assert_same_members, entry
from tests.harness.histories import (
    CONSENTS,
    CONTRACT,
    ENTRIES,
    HISTORY,
    HOSPITAL,
    PATIENT,
    RESEARCHER,
    TERMS,
    emitted,
)
from tests.harness.histories import POOL as POOL_ADDRESS


def selector(name: str) -> int:
    """Computed apart from the package: eth-hash's keccak, cut to 250 bits."""
    return int.from_bytes(keccak(name.encode()), "big") % 2**250


def raw_of(entry: Any) -> RawEvent:
    """The raw event of one of the sample's entries."""
    found = emitted(entry)
    return RawEvent(CONTRACT, found.keys, found.data)


def logged() -> RawEvent:
    return raw_of(ENTRIES[0])


@pytest.mark.parametrize("contract", ABIS)
def test_every_event_of_the_abi_is_known_and_no_other(contract: str) -> None:
    structs = [each for each in ABIS[contract] if each["type"] == "event" and each["kind"] == "struct"]
    assert set(EVENTS[contract]) == {each["name"].rpartition("::")[2] for each in structs}


@pytest.mark.parametrize(
    ("contract", "name"), [(contract, name) for contract, known in EVENTS.items() for name in known]
)
def test_types_have_the_abis_members(contract: str, name: str) -> None:
    kind, keys = EVENTS[contract][name]
    members: list[dict[str, Any]] = entry(ABIS[contract], "event", name)["members"]
    assert [member["kind"] for member in members] == ["key"] * keys + ["data"] * (len(members) - keys)
    assert_same_members(kind, members, ABIS[contract])
    assert event_name(kind) == name
    assert selector_of(kind) == selector(name)


@pytest.mark.parametrize("event", HISTORY.entries, ids=event_name)
def test_an_entry_of_a_history_is_decoded(event: Any) -> None:
    assert decode_event(raw_of(event), "MedSync", event.location) == event
    assert decode_event(emitted(event), "MedSync") == event


def test_a_node_page_says_where_an_event_stands() -> None:
    raw = EmittedEvent(
        CONTRACT,
        [selector("EntityRegistered"), HOSPITAL],
        [3, 1000, 1, 9],
        transaction_hash=77,
        transaction_index=0,
        event_index=0,
        block_number=5,
    )
    decoded = decode_event(raw, "MedSync")
    expected = events.EntityRegistered(HOSPITAL, 3, 1000, Role.HOSPITAL, 9, location=EventLocation(5, 77))
    assert decoded == expected


def test_optional_terms_are_decoded() -> None:
    keys = [selector("ConsentRequested"), PATIENT, RESEARCHER, Purpose.HRESCH.felt]
    asked = [99, TERMS.study, 3, 1, 2, 0, 1]
    without = decode_event(RawEvent(CONTRACT, keys, [*asked, 1, 8]), "MedSync")
    assert isinstance(without, events.ConsentRequested)
    assert (without.open_until, without.reward, without.terms_commitment) == (99, None, 8)
    rewarded = decode_event(RawEvent(CONTRACT, keys, [*asked, 0, *TERMS.calldata(), 8]), "MedSync")
    assert isinstance(rewarded, events.ConsentRequested)
    assert (rewarded.reward, rewarded.categories) == (TERMS, Category(3))


@pytest.mark.parametrize("keys", [[], [1], [selector("Transfer"), 1, 2]])
def test_an_unknown_event_is_refused(keys: list[int]) -> None:
    with pytest.raises(UnknownEvent, match=f"{CONTRACT:#x}"):
        decode_event(RawEvent(CONTRACT, keys, []), "MedSync")


def test_another_contracts_event_is_unknown() -> None:
    with pytest.raises(UnknownEvent):
        decode_event(logged(), "RewardPool")


@pytest.mark.parametrize("damage", ["key more", "key less", "data more", "data less", "decision", "purpose"])
def test_a_damaged_event_is_refused(damage: str) -> None:
    raw = logged()
    match damage:
        case "key more":
            raw.keys.append(1)
        case "key less":
            raw.keys.pop()
        case "data more":
            raw.data.append(0)
        case "data less":
            raw.data.pop()
        case "decision":
            raw.data[3] = len(Decision)
        case "purpose":
            raw.keys[3] = 1
    with pytest.raises(DecodingError):
        decode_event(raw, "MedSync")


def test_an_entry_out_of_range_is_refused() -> None:
    raw = logged()
    raw.data[0] = 2**32
    with pytest.raises(DecodingError, match="seq"):
        decode_event(raw, "MedSync")


def receipt(*emitted: RawEvent) -> TransactionReceiptWithBlockInfo:
    made: Any = TransactionReceiptWithBlockInfo.__new__(TransactionReceiptWithBlockInfo)
    made.block_number, made.transaction_hash, made.events = 12, 0xABC, list(emitted)
    return made  # type: ignore[no-any-return]


def test_only_the_named_contracts_events_count() -> None:
    stranger = RawEvent(0xBAD, logged().keys, logged().data)
    revoked = raw_of(CONSENTS[9])
    deposited = RawEvent(POOL_ADDRESS, [selector("RewardDeposited"), TERMS.id, TERMS.funder], [100, 1])
    found = events_of(
        receipt(stranger, revoked, deposited, logged()), {CONTRACT: "MedSync", POOL_ADDRESS: "RewardPool"}
    )
    assert [type(event) for event in found] == [ConsentRevoked, events.RewardDeposited, LogEntry]
    assert {event.location for event in found} == {EventLocation(12, 0xABC)}
    assert found[2].reason is Reason.GRANTED  # type: ignore[union-attr]


def test_a_pool_cannot_pass_an_event_off_as_the_logs() -> None:
    forged = RawEvent(POOL_ADDRESS, logged().keys, logged().data)
    with pytest.raises(UnknownEvent):
        events_of(receipt(forged), {CONTRACT: "MedSync", POOL_ADDRESS: "RewardPool"})
    assert events_of(receipt(forged), {CONTRACT: "MedSync"}) == []
