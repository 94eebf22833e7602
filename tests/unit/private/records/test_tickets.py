"""Tickets: issued for what the log permits only; refused if a byte differs or anything is foreign."""

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medsync.errors import InputError, VerificationError
from medsync.private.keys.cards import KeyCard
from medsync.private.keys.keys import AccessorKey, BridgeKey, DataKey, RecordVersion, SigningKey, is_signed
from medsync.private.records.tickets import (
    LONGEST_LIFE,
    SignedTicket,
    Ticket,
    TicketRefusal,
    TicketRefused,
    delete_tickets,
    is_presented,
    read_ticket,
)
from medsync.protocol.felt import InvalidValue
from medsync.protocol.vocabulary import Decision, Reason
from medsync.storage.files import NewFile, replace
from tests.harness.records import CHAIN, CONTEXT, CONTRACT, NOW, RESEARCHER, entry

RECORD = RecordVersion("0123456789abcdef" * 2, 2, 0xC0FFEE)
DIGEST = 0xD16E57
BRIDGE = BridgeKey(bytes(range(32)))
ACCESSOR = AccessorKey(bytes(range(64)))
DATA_KEY = DataKey(b"k" * 32)
CARD = KeyCard(
    address=RESEARCHER,
    chain=CHAIN,
    encryption_key=ACCESSOR.encryption.public,
    signing_key=ACCESSOR.signing.public,
    expires_at=NOW + 86_400,
    signature=(1, 2),
)


def issue(**changes: Any) -> SignedTicket:
    arguments: dict[str, Any] = {
        "chain": CHAIN,
        "contract": CONTRACT,
        "context": CONTEXT,
        "entry": entry(RECORD),
        "digest": DIGEST,
        "record": RECORD,
        "card": CARD,
        "data_key": DATA_KEY,
        "now": NOW,
    }
    return SignedTicket.issue(BRIDGE, **(arguments | changes))


def verify(signed: SignedTicket, **changes: Any) -> Ticket:
    arguments: dict[str, Any] = {"chain": CHAIN, "contract": CONTRACT, "context": CONTEXT, "now": NOW}
    bridge_key = changes.pop("bridge_key", BRIDGE.signing.public)
    return signed.verify(bridge_key, **(arguments | changes))


def refused(signed: SignedTicket, **changes: Any) -> TicketRefusal:
    with pytest.raises(TicketRefused) as caught:
        verify(signed, **changes)
    return caught.value.reason


# --- issuing ------------------------------------------------------------------------------------------------


def test_a_ticket_says_what_the_log_entry_permits() -> None:
    signed = issue()
    ticket = verify(signed)
    written = json.loads(signed.text)
    wrapped = written.pop("wrapped_key")
    assert written == {
        "v": 1,
        "chain": hex(CHAIN),
        "contract": "0x6d6564",
        "context": CONTEXT,
        "patient": "0x7061",
        "seq": 4,
        "digest": "0xd16e57",
        "decision": "PERMIT",
        "record": RECORD.id,
        "version": 2,
        "commitment": "0xc0ffee",
        "accessor": "0x7265",
        "accessor_key": ACCESSOR.signing.public.hex(),
        "issued_at": NOW,
        "deadline": NOW + 900,
    }
    assert len(wrapped) == 108
    assert signed.text == json.dumps(json.loads(signed.text), sort_keys=True, separators=(",", ":"))
    assert ticket.record_version == RECORD
    assert signed.data_key(ACCESSOR) == DATA_KEY
    # The bytes that are signed, as the node's application checks them.
    message = b"medsync.ticket.v1\0" + signed.text.encode()
    assert is_signed(BRIDGE.signing.public, signed.signature, message)
    assert wrapped not in repr(signed) + repr(ticket)


def test_an_emergency_gets_one_too() -> None:
    emergency = entry(RECORD, decision=Decision.EMERGENCY, reason=Reason.BREAK_GLASS)
    assert verify(issue(entry=emergency)).decision == "EMERGENCY"


@pytest.mark.parametrize("decision", [Decision.DENY, Decision.NO_CONSENT])
def test_what_was_not_permitted_gets_none(decision: Decision) -> None:
    with pytest.raises(InputError, match="is not a permit"):
        issue(entry=entry(RECORD, decision=decision))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"entry": entry(RECORD, record=0)}, "names a different record"),
        ({"entry": entry(RECORD, record=RECORD.commitment + 1)}, "names a different record"),
        ({"entry": entry(RECORD, accessor=RESEARCHER + 1)}, "not the accessor's"),
        ({"life": 0}, "1 to 3600 seconds"),
        ({"life": LONGEST_LIFE + 1}, "1 to 3600 seconds"),
        ({"chain": CHAIN + 1}, "another chain"),
        ({"now": CARD.expires_at}, "expired"),
        ({"card": CARD.model_copy(update={"encryption_key": bytes(32)})}, "not a usable X25519"),
    ],
)
def test_none_is_issued_for_what_does_not_fit(changes: dict[str, Any], error: str) -> None:
    with pytest.raises((InputError, VerificationError), match=error):
        issue(**changes)


def test_no_ticket_outlives_the_accessors_card() -> None:
    assert verify(issue(now=CARD.expires_at - 10), now=CARD.expires_at - 5).deadline == CARD.expires_at - 1
    assert verify(issue(life=LONGEST_LIFE)).deadline == NOW + LONGEST_LIFE


# --- judging ------------------------------------------------------------------------------------------------


def test_everything_foreign_is_refused() -> None:
    signed = issue()
    assert refused(signed, bridge_key=SigningKey.generate().public) is TicketRefusal.BAD_SIGNATURE
    assert refused(signed, chain=CHAIN + 1) is TicketRefusal.WRONG_CHAIN
    assert refused(signed, contract=CONTRACT + 1) is TicketRefusal.WRONG_CONTRACT
    assert refused(signed, context="1" * 32) is TicketRefusal.WRONG_CONTEXT


def test_time_is_judged_to_the_second() -> None:
    signed = issue()
    assert verify(signed, now=NOW - 60)
    assert refused(signed, now=NOW - 61) is TicketRefusal.NOT_YET
    assert verify(signed, now=NOW + 900)
    assert refused(signed, now=NOW + 901) is TicketRefusal.EXPIRED


@given(st.data())
def test_every_altered_byte_is_refused(data: st.DataObject) -> None:
    signed = issue()
    part = data.draw(st.sampled_from(["text", "signature"]))
    whole = bytearray(signed.text.encode() if part == "text" else signed.signature)
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] = data.draw(st.integers(0, 127).filter(lambda byte: byte != whole[place]))
    altered = signed.model_copy(update={part: whole.decode() if part == "text" else bytes(whole)})
    assert refused(altered) in (TicketRefusal.MALFORMED, TicketRefusal.BAD_SIGNATURE)


@given(st.data())
def test_bytes_put_in_or_taken_out_are_refused(data: st.DataObject) -> None:
    signed = issue()
    place = data.draw(st.integers(0, len(signed.text)))
    put_in, taken_out = data.draw(st.text(max_size=2)), data.draw(st.integers(0, 3))
    text = signed.text[:place] + put_in + signed.text[place + taken_out :]
    if text != signed.text:
        assert refused(signed.model_copy(update={"text": text})) in (
            TicketRefusal.MALFORMED,
            TicketRefusal.BAD_SIGNATURE,
        )


FIELDS: dict[str, Any] = {
    "v": 2,
    "chain": CHAIN + 1,
    "contract": CONTRACT + 1,
    "context": "1" * 32,
    "patient": 5,
    "seq": 5,
    "digest": 5,
    "decision": "EMERGENCY",
    "record": "f" * 32,
    "version": 3,
    "commitment": 5,
    "accessor": 5,
    "accessor_key": bytes(32),
    "wrapped_key": bytes(80),
    "issued_at": NOW - 1,
    "deadline": NOW + 1,
}


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_is_signed(field: str) -> None:
    signed = issue()
    forged = signed.ticket.model_copy(update={field: FIELDS[field]}).canonical().decode()
    assert forged != signed.text
    found = refused(signed.model_copy(update={"text": forged}))
    assert found is (TicketRefusal.MALFORMED if field == "v" else TicketRefusal.BAD_SIGNATURE)


def test_every_field_is_tried() -> None:
    assert FIELDS.keys() == Ticket.model_fields.keys()


MALFORMED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no object": lambda ticket: [],
    "a member more": lambda ticket: ticket | {"x": 1},
    "a member less": lambda ticket: {name: value for name, value in ticket.items() if name != "seq"},
    "a leading zero": lambda ticket: ticket | {"patient": "0x07061"},
    "upper case": lambda ticket: ticket | {"commitment": "0xC0FFEE"},
    "a number for a felt": lambda ticket: ticket | {"patient": 0x7061},
    "text for a number": lambda ticket: ticket | {"seq": "4"},
    "a fraction": lambda ticket: ticket | {"seq": 4.5},
    "no felt": lambda ticket: ticket | {"digest": "0x" + "f" * 64},
    "nobody": lambda ticket: ticket | {"accessor": "0x0"},
    "a record's id in upper case": lambda ticket: ticket | {"record": RECORD.id.upper()},
    "a short key": lambda ticket: ticket | {"accessor_key": "00" * 31},
    "another wrapped key": lambda ticket: ticket | {"wrapped_key": "AAAA"},
    "no base64": lambda ticket: ticket | {"wrapped_key": "*"},
    "no context": lambda ticket: ticket | {"context": "0OIl"},
    "a refusal": lambda ticket: ticket | {"decision": "DENY"},
    "too long a life": lambda ticket: ticket | {"deadline": NOW + LONGEST_LIFE + 1},
    "a life backwards": lambda ticket: ticket | {"deadline": NOW - 1},
    "much text": lambda ticket: ticket | {"context": "1" * 10_000},
}


@pytest.mark.parametrize("how", MALFORMED)
def test_what_is_malformed_is_refused_even_if_the_bridge_signed_it(how: str) -> None:
    document = MALFORMED[how](json.loads(issue().text))
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    signature = BRIDGE.signing.sign(b"medsync.ticket.v1\0" + text.encode())
    if how == "much text":
        with pytest.raises(InvalidValue, match="text"):
            SignedTicket.read(json.dumps({"text": text, "signature": signature.hex()}), "it")
        return
    assert refused(SignedTicket(text=text, signature=signature)) is TicketRefusal.MALFORMED


@pytest.mark.parametrize(
    "write", [lambda text: text + " ", lambda text: json.dumps(json.loads(text), indent=1)]
)
def test_there_is_one_text_for_a_ticket(write: Callable[[str], str]) -> None:
    text = write(issue().text)
    signature = BRIDGE.signing.sign(b"medsync.ticket.v1\0" + text.encode())
    assert refused(SignedTicket(text=text, signature=signature)) is TicketRefusal.MALFORMED


# --- presenting ---------------------------------------------------------------------------------------------


def test_only_the_accessor_presents_it_and_opens_it() -> None:
    signed, thief = issue(), AccessorKey.generate()
    shown = signed.present(ACCESSOR.signing)
    assert is_presented(shown, ACCESSOR.signing.public)
    assert not is_presented(shown, thief.signing.public)
    assert shown.arguments() == {
        "ticket": signed.text,
        "signature": signed.signature.hex(),
        "presentation": shown.presentation.hex(),
    }
    with pytest.raises(TicketRefused) as caught:
        signed.present(thief.signing)
    assert caught.value.reason is TicketRefusal.BAD_PRESENTATION
    with pytest.raises(VerificationError):
        signed.data_key(thief)


def test_a_presentation_is_of_one_ticket() -> None:
    other = issue(digest=DIGEST + 1).present(ACCESSOR.signing)
    shown = issue().present(ACCESSOR.signing)
    mixed = shown.model_copy(update={"presentation": other.presentation})
    assert not is_presented(mixed, ACCESSOR.signing.public)


# --- files --------------------------------------------------------------------------------------------------


def put(folder: Path, name: str, signed: SignedTicket) -> Path:
    replace(NewFile(folder / name, signed.canonical(), "The ticket", private=True))
    return folder / name


def test_a_ticket_survives_its_file(tmp_path: Path) -> None:
    signed = issue()
    path = put(tmp_path, "one.json", signed)
    assert read_ticket(path) == signed
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text('{"text": "secret", "signature": "secret"}')
    with pytest.raises(InputError, match="signature") as caught:
        read_ticket(path)
    assert "secret" not in str(caught.value)


def test_a_records_tickets_are_deleted_and_no_others(tmp_path: Path) -> None:
    other = RecordVersion("f" * 32, 1, RECORD.commitment)
    first = put(tmp_path, "first.json", issue())
    second = put(tmp_path, ".second.json.x1y2.tmp", issue(digest=DIGEST + 1))
    kept = put(tmp_path, "third.json", issue(record=other, entry=entry(other)))
    assert delete_tickets(tmp_path, RECORD.id) == ([second, first], {})
    assert list(tmp_path.iterdir()) == [kept]
    assert delete_tickets(tmp_path, RECORD.id) == ([], {})
    assert delete_tickets(tmp_path / "none", RECORD.id) == ([], {})


def test_what_may_be_a_ticket_and_cannot_be_read_is_named(tmp_path: Path) -> None:
    torn = tmp_path / "torn.json"
    torn.write_bytes(issue().canonical()[:-40])
    folder = tmp_path / "folder"
    folder.mkdir()
    malformed = put(tmp_path, "z.json", SignedTicket(text="{}", signature=bytes(64)))
    assert delete_tickets(tmp_path, RECORD.id) == (
        [],
        dict.fromkeys((folder, torn, malformed), "is not a readable ticket"),
    )
