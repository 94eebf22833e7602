"""The committed WebAssembly: every error, every refusal in its order, and nothing private in what is shared.

Clock, storage and delta are this test's, so that edges of time and every byte can be looked at. The Rust
tests in `private-records/tests` look at the same rules from inside.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import base58
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from medsync.artifacts import BUNDLE
from medsync.private.node.bundle import Bundle
from medsync.private.node.host import Call, Program
from medsync.private.node.interface import ApplicationError, ExecutionFailed

NOW = 1_800_000_000
CONTEXT = hashlib.sha256(b"a context").digest()
SEALED = "ciphertext"
CHAIN, CONTRACT, PATIENT, ACCESSOR = "0x4d53", "0x5afe", "0x7a71e47", "0xacce5"


def key(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())


def public(name: str) -> str:
    return key(name).public_key().public_bytes_raw().hex()


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


@dataclass
class App:
    """The application in one context, with all it was given to keep in plain sight."""

    program: Program
    now: int = NOW
    stored: dict[tuple[bool, bytes], bytes] = field(default_factory=dict)
    #: What other members were sent: deltas, and kinds and data of events.
    sent: list[bytes] = field(default_factory=list)
    events: list[tuple[str, Any]] = field(default_factory=list)

    def __call__(self, method: str, **arguments: Any) -> Any:
        call = Call(method, json.dumps(arguments).encode(), CONTEXT, bytes(32), self.now * 1_000_000_000)
        outcome = self.program.run(call, lambda private, name: self.stored.get((private, name)))
        if outcome.commit is not None:
            self.sent.append(outcome.commit.delta)
            for place, value in outcome.commit.writes.items():
                if value is None:
                    self.stored.pop(place, None)
                else:
                    self.stored[place] = value
        for kind, data in outcome.events:
            self.sent += [kind.encode(), data]
            self.events.append((kind, json.loads(data)))
        return None if outcome.output is None else json.loads(outcome.output)

    def refused(self, method: str, **arguments: Any) -> str:
        """What the call fails with; it changes nothing."""
        before = dict(self.stored)
        with pytest.raises(ApplicationError) as raised:
            self(method, **arguments)
        assert self.stored == before
        return raised.value.code

    def release(self, ticket: Mapping[str, Any], bridge: str = "bridge", accessor: str = "accessor") -> Any:
        return self("release", **presented(ticket, bridge, accessor))

    def reason(self, ticket: Mapping[str, Any], bridge: str = "bridge", accessor: str = "accessor") -> str:
        """Why a release is refused; the answer holds nothing else."""
        answer = self.release(ticket, bridge, accessor)
        assert answer == {"outcome": "REFUSED", "reason": answer["reason"]}
        return str(answer["reason"])


def presented(ticket: Mapping[str, Any], bridge: str, accessor: str) -> dict[str, str]:
    text = json.dumps(ticket)
    signature = key(bridge).sign(b"medsync.ticket.v1\0" + text.encode())
    digest = hashlib.sha256(text.encode()).digest()
    presentation = key(accessor).sign(b"medsync.presentation.v1\0" + digest)
    return {"ticket": text, "signature": signature.hex(), "presentation": presentation.hex()}


@pytest.fixture(scope="module")
def program() -> Program:
    return Program(Bundle.read(BUNDLE).wasm)


@pytest.fixture
def bare(program: Program) -> App:
    app = App(program)
    app("init", capacity=3)
    return app


@pytest.fixture
def app(bare: App) -> App:
    bare("configure", bridge_key=public("bridge"), chain=CHAIN, contract=CONTRACT)
    return bare


def record_id(number: int) -> str:
    return f"{number:032x}"


def commitment(number: int, version: int = 1) -> str:
    return f"0xc{number:08x}{version:08x}"


def record(number: int, version: int = 1, **changed: Any) -> dict[str, Any]:
    whole = {
        "id": record_id(number),
        "patient": PATIENT,
        "commitment": commitment(number, version),
        "categories": 129,
        "consent": "0xc0",
        SEALED: b64(f"sealed {number} {version}".encode()),
        "keys": {"ab" * 32: b64(b"wrapped")},
    }
    return {**whole, **changed}


def ticket(number: int, **changed: Any) -> dict[str, Any]:
    whole = {
        "v": 1,
        "chain": CHAIN,
        "contract": CONTRACT,
        "context": base58.b58encode(CONTEXT).decode(),
        "patient": PATIENT,
        "seq": 7,
        "digest": f"0xd{number:x}",
        "decision": "PERMIT",
        "record": record_id(number),
        "version": 1,
        "commitment": commitment(number),
        "accessor": ACCESSOR,
        "accessor_key": public("accessor"),
        "wrapped_key": b64(b"wrapped for the accessor"),
        "issued_at": NOW,
        "deadline": NOW + 900,
    }
    return {name: value for name, value in {**whole, **changed}.items() if value is not None}


def test_a_record_is_put_released_updated_and_erased(app: App) -> None:
    assert app("put", record=record(1)) == 1
    shown = {
        "id": record_id(1),
        "version": 1,
        "commitment": commitment(1),
        "categories": 129,
        "consent": "0xc0",
    }
    assert app("records", offset=0, limit=9) == [{**shown, "former": [], "erased": False}]
    assert app("keys", id=record_id(1)) == {"version": 1, "keys": {"ab" * 32: b64(b"wrapped")}}
    found = {"id": record_id(1), "version": 1, "patient": PATIENT, "categories": 129}
    assert app("find", commitment=commitment(1)) == {**found, "current": True, "erased": False}
    assert app("find", commitment="0x1") is None

    text = json.dumps(ticket(1))
    facts = {
        "ticket": hashlib.sha256(text.encode()).hexdigest(),
        "digest": "0xd1",
        "commitment": commitment(1),
        "accessor": ACCESSOR,
    }
    released = app.release(ticket(1))
    assert released == {
        "outcome": "RELEASED",
        "id": record_id(1),
        "version": 1,
        "commitment": commitment(1),
        SEALED: b64(b"sealed 1 1"),
    }
    assert app.reason(ticket(1)) == "USED"
    assert app.reason(ticket(1, seq=8)) == "USED"
    assert app("update", record=record(1, 2), version=2) == 2
    assert app.reason(ticket(1, digest="0xd2")) == "STALE"
    again = app.release(
        ticket(1, digest="0xd2", version=2, commitment=commitment(1, 2), decision="EMERGENCY")
    )
    assert again[SEALED] == b64(b"sealed 1 2")
    app.now += 5
    assert app("erase", id=record_id(1)) is True
    assert app("erase", id=record_id(1)) is False
    assert app("erase", id=record_id(9)) is False
    gone = {"id": record_id(1), "patient": "0x0", "categories": 0, "erased": True}
    assert app("find", commitment=commitment(1)) == {**gone, "version": 1, "current": False}
    assert app("find", commitment=commitment(1, 2)) == {**gone, "version": 2, "current": True}
    assert app.refused("keys", id=record_id(1)) == "ERASED"

    second = {**shown, "version": 2, "commitment": commitment(1, 2)}
    assert app("records", offset=0, limit=9) == [{**second, "former": [commitment(1)], "erased": True}]
    operations = app("operations", offset=0, limit=500)
    assert [(entry["seq"], entry["kind"]) for entry in operations] == list(
        enumerate(["RECORD", "RECEIPT", "RECEIPT", "RECEIPT", "RECORD", "RECEIPT", "RECEIPT", "ERASED"])
    )
    assert operations[0] == {"seq": 0, "kind": "RECORD", **shown, "at": NOW}
    receipt = {**facts, "outcome": "RELEASED", "reason": None, "at": NOW}
    assert operations[1] == {"seq": 1, "kind": "RECEIPT", **receipt}
    assert operations[4] == {"seq": 4, "kind": "RECORD", **second, "at": NOW}
    assert operations[7] == {"seq": 7, "kind": "ERASED", "id": record_id(1), "version": 2, "at": NOW + 5}
    assert app("operations", offset=6, limit=1) == operations[6:7]
    assert app("operations", offset=8, limit=1) == app("operations", offset=2**32 - 1, limit=500) == []
    receipts = app("receipts", offset=0, limit=500)
    assert receipt in receipts
    told = [{k: v for k, v in entry.items() if k not in ("seq", "kind")} for entry in operations]
    assert sorted(map(str, receipts)) == sorted(str(e) for e in told if "ticket" in e)
    assert app.events[:2] == [("RecordPut", shown), ("RecordReleased", facts)]
    assert [kind for kind, _ in app.events[2:]] == [
        "RecordRefused",
        "RecordRefused",
        "RecordUpdated",
        "RecordRefused",
        "RecordReleased",
        "RecordErased",
    ]
    assert app("status") == {
        "version": "0.1.0",
        "capacity": 3,
        "records": 0,
        "erased": 1,
        "receipts": 2,
        "refusals": 3,
        "uncounted": 0,
        "configured": True,
        "bridge_key": public("bridge"),
        "chain": CHAIN,
        "contract": CONTRACT,
    }


MAX = 1 << 20


@pytest.mark.parametrize(
    ("code", "changed"),
    [
        ("BAD_ID", {"id": "0F" * 16}),
        ("BAD_ID", {"id": "0" * 31}),
        ("BAD_FELT", {"patient": "0x0"}),
        ("BAD_FELT", {"commitment": "0x0"}),
        ("BAD_FELT", {"commitment": "0x01"}),
        ("BAD_FELT", {"commitment": hex(2**251 + 17 * 2**192 + 1)}),
        ("BAD_FELT", {"consent": ""}),
        ("BAD_CATEGORIES", {"categories": 0}),
        ("BAD_CATEGORIES", {"categories": 1 << 16}),
        ("BAD_KEYS", {"keys": {}}),
        ("BAD_KEYS", {"keys": {"ab": b64(b"wrapped")}}),
        ("BAD_KEYS", {"keys": {"ab" * 32: ""}}),
        ("BAD_KEYS", {"keys": {"ab" * 32: b64(bytes(513))}}),
        ("BAD_KEYS", {"keys": {f"{number:064x}": b64(b"wrapped") for number in range(33)}}),
        ("EMPTY_CIPHERTEXT", {SEALED: ""}),
        ("BAD_CIPHERTEXT", {SEALED: "AA"}),
        ("TOO_LARGE", {SEALED: b64(bytes(MAX + 1))}),
    ],
)
def test_every_field_must_have_its_form(app: App, code: str, changed: dict[str, Any]) -> None:
    assert app.refused("put", record=record(1, **changed)) == code
    assert app.refused("update", record=record(1, **changed), version=2) == code


def test_the_largest_record_comes_back_whole(app: App) -> None:
    largest = record(1, consent="0x0", categories=0xFFFF)
    largest[SEALED] = b64(bytes(range(256)) * (MAX // 256))
    largest["keys"] = {f"{number:064x}": b64(bytes(512)) for number in range(32)}
    largest["commitment"] = hex(2**251 + 17 * 2**192)
    assert app("put", record=largest) == 1
    assert app.release(ticket(1, commitment=largest["commitment"]))[SEALED] == largest[SEALED]


def test_what_a_call_needs(bare: App) -> None:
    for method, arguments in (("put", {}), ("update", {"version": 2})):
        assert bare.refused(method, record=record(1), **arguments) == "NOT_CONFIGURED"
    assert bare.refused("rotate_bridge", new_key=public("new"), signature="00" * 64) == "NOT_CONFIGURED"
    assert bare.reason(ticket(1)) == "NOT_CONFIGURED"
    identity, no_point = "01" + "00" * 31, "02" + "00" * 31
    for bad in ("", "ab", public("bridge").upper(), identity, no_point):
        assert bare.refused("configure", bridge_key=bad, chain=CHAIN, contract=CONTRACT) == "BAD_KEY"
    for chain, contract in (("0x0", CONTRACT), (CHAIN, "0x0"), ("SN", CONTRACT)):
        arguments = {"bridge_key": public("bridge"), "chain": chain, "contract": contract}
        assert bare.refused("configure", **arguments) == "BAD_FELT"
    app, configuration = bare, {"bridge_key": public("bridge"), "chain": CHAIN, "contract": CONTRACT}
    app("configure", **configuration)
    assert app.refused("configure", **configuration) == "CONFIGURED"
    assert app.refused("keys", id=record_id(1)) == "UNKNOWN_RECORD"
    assert app.refused("update", record=record(1), version=2) == "UNKNOWN_RECORD"

    app("put", record=record(1))
    assert app.refused("put", record=record(1, 2)) == "EXISTS"
    assert app.refused("put", record=record(2, commitment=commitment(1))) == "EXISTS"
    for wrong in (0, 1, 3, 2**32 - 1):
        assert app.refused("update", record=record(1, 2), version=wrong) == "WRONG_VERSION"
    assert app.refused("update", record=record(1), version=2) == "EXISTS"
    app("put", record=record(2))
    app("put", record=record(3))
    app("erase", id=record_id(1))
    assert app.refused("put", record=record(4)) == "FULL"
    assert app.refused("put", record=record(1, 9)) == "ERASED"
    assert app.refused("update", record=record(1, 9), version=2) == "ERASED"
    assert app("update", record=record(2, 2), version=2) == 2
    assert [entry["id"] for entry in app("records", offset=1, limit=1)] == [record_id(2)]


def test_what_is_not_in_the_table_is_not_taken(app: App) -> None:
    for arguments in ({}, {"record": record(1, more=1)}, {"record": record(1), "more": 1}):
        with pytest.raises(ExecutionFailed):
            app("put", **arguments)
    with pytest.raises(ExecutionFailed):
        app("put", record={name: value for name, value in record(1).items() if name != "keys"})
    with pytest.raises(ExecutionFailed):
        app("init", capacity=3)


@pytest.mark.parametrize("capacity", [0, 10_001])
def test_a_capacity_has_bounds(program: Program, capacity: int) -> None:
    with pytest.raises(ExecutionFailed):
        App(program)("init", capacity=capacity)


def test_the_first_reason_that_applies_is_given(app: App) -> None:
    """A ticket that is wrong in one more way at each step, from the last reason to the first."""
    for number in (1, 2, 3):
        app("put", record=record(number))
    app("erase", id=record_id(2))
    app.release(ticket(1))
    wrong = ticket(3, version=2)
    stranger: dict[str, str] = {}

    def worse(**changed: Any) -> dict[str, Any]:
        return {**wrong, **changed}

    def steps() -> Iterator[tuple[str, dict[str, Any]]]:
        yield "STALE", {}
        yield "WRONG_PATIENT", {"patient": "0xbad"}
        yield "ERASED", {"record": record_id(2)}
        yield "UNKNOWN_RECORD", {"record": record_id(99)}
        yield "USED", {"digest": "0xd1"}
        yield "EXPIRED", {"issued_at": NOW - 901, "deadline": NOW - 1}
        # No ticket is both too old and too new.
        yield "NOT_YET", {"issued_at": NOW + 61, "deadline": NOW + 61}
        stranger["accessor"] = "thief"
        yield "BAD_PRESENTATION", {}
        yield "WRONG_CONTEXT", {"context": base58.b58encode(bytes(32)).decode()}
        yield "WRONG_CONTRACT", {"contract": "0xbad"}
        yield "WRONG_CHAIN", {"chain": "0xbad"}
        stranger["bridge"] = "thief"
        yield "BAD_SIGNATURE", {}
        yield "MALFORMED", {"v": 2}

    for reason, changed in steps():
        wrong = worse(**changed)
        assert app.reason(wrong, **stranger) == reason


@pytest.mark.parametrize(
    "changed",
    [
        {"v": 2},
        {"v": "1"},
        {"chain": "SN_MAIN"},
        {"contract": "0x0"},
        {"patient": "0x01"},
        {"digest": "d"},
        {"commitment": "0x0"},
        {"accessor": "0X1"},
        {"record": "1"},
        {"version": -1},
        {"version": 1.0},
        {"seq": "7"},
        {"decision": "DENY"},
        {"decision": "permit"},
        {"accessor_key": "00"},
        {"wrapped_key": ""},
        {"wrapped_key": "?"},
        {"deadline": NOW - 1},
        {"deadline": NOW + 3601},
        {"deadline": 2**64 - 1},
        {"wrapped_key": b64(bytes(8192))},
        {"more": 1},
        *({name: None} for name in ticket(1)),
    ],
)
def test_what_is_not_of_the_published_form_is_malformed(app: App, changed: dict[str, Any]) -> None:
    app("put", record=record(1))
    assert app.reason(ticket(1, **changed)) == "MALFORMED"


def test_neither_is_another_text_or_signature(app: App) -> None:
    app("put", record=record(1))
    good = presented(ticket(1), "bridge", "accessor")
    text = good["ticket"]
    for bad in ("", "null", "[]", text + "x", text.replace("{", '{"v": 1, ', 1)):
        assert app("release", **{**good, "ticket": bad})["reason"] == "MALFORMED"
    for name in ("signature", "presentation"):
        for bad in ("", "00", good[name].upper(), good[name] + "00"):
            assert app("release", **{**good, name: bad})["reason"] == "MALFORMED"
    other = presented(ticket(1, digest="0xd2"), "bridge", "accessor")
    assert app("release", **{**good, "ticket": other["ticket"]})["reason"] == "BAD_SIGNATURE"
    assert app("release", **{**good, "ticket": text.replace(": ", ":")})["reason"] == "BAD_SIGNATURE"
    for presentation in (other["presentation"], good["signature"]):
        assert app("release", **{**good, "presentation": presentation})["reason"] == "BAD_PRESENTATION"
    assert app("release", **good)["outcome"] == "RELEASED"


@pytest.mark.parametrize("weak", ["01" + "00" * 31, "02" + "00" * 31, "00" * 32])
def test_nobody_presents_for_a_key_that_anybody_can_sign_for(app: App, weak: str) -> None:
    """A real node's host stops the guest for what is no point of the curve: the application asks first."""
    app("put", record=record(1))
    signed = presented(ticket(1, accessor_key=weak), "bridge", "accessor")
    for forged in (signed["presentation"], "01" + "00" * 63):
        assert app("release", **{**signed, "presentation": forged})["reason"] == "BAD_PRESENTATION"


@pytest.mark.parametrize(
    ("now", "reason"),
    [(NOW - 61, "NOT_YET"), (NOW - 60, None), (NOW + 3600, None), (NOW + 3601, "EXPIRED")],
)
def test_a_ticket_has_its_time(app: App, now: int, reason: str | None) -> None:
    app("put", record=record(1))
    app.now = now
    assert app.release(ticket(1, deadline=NOW + 3600)).get("reason") == reason


def test_receipts_are_bounded_and_a_refusal_has_one(program: Program) -> None:
    app = App(program)
    app("init", capacity=1)
    app("configure", bridge_key=public("bridge"), chain=CHAIN, contract=CONTRACT)
    app("put", record=record(1))
    numbered = [ticket(1, digest=hex(number)) for number in range(1, 6)]
    for forged in (numbered[0], numbered[0], *numbered):
        assert app.reason(forged, bridge="thief") == "BAD_SIGNATURE"
    status = app("status")
    assert (status["refusals"], status["uncounted"]) == (4, 1)
    receipts = app("receipts", offset=0, limit=500)
    assert len(receipts) == 4
    for receipt in receipts:
        # Nothing of what a stranger wrote.
        assert receipt == {
            "ticket": receipt["ticket"],
            "outcome": "REFUSED",
            "reason": "BAD_SIGNATURE",
            **dict.fromkeys(("digest", "commitment", "accessor")),
            "at": NOW,
        }
    for permitted in numbered[:4]:
        assert app.release(permitted)["outcome"] == "RELEASED"
    assert app.reason(numbered[4]) == "FULL"
    assert app.reason(numbered[3]) == "USED"
    status = app("status")
    assert (status["receipts"], status["refusals"], status["uncounted"]) == (4, 4, 3)
    assert len(app("operations", offset=0, limit=500)) == 9


def rotation(old: str, new: str, context: bytes = CONTEXT) -> dict[str, str]:
    keys = bytes.fromhex(public(old) + public(new))
    signature = key(old).sign(b"medsync.bridge-rotation.v1\0" + context + keys)
    return {"new_key": public(new), "signature": signature.hex()}


def test_the_old_bridge_key_signs_for_the_new_one(app: App) -> None:
    app("put", record=record(1))
    good = rotation("bridge", "new")
    wrong = [rotation("new", "new"), rotation("bridge", "third"), rotation("bridge", "new", bytes(32))]
    for signature in ("", "00" * 64, *(bad["signature"] for bad in wrong)):
        assert app.refused("rotate_bridge", **{**good, "signature": signature}) == "BAD_SIGNATURE"
    assert app.refused("rotate_bridge", **{**good, "new_key": "00"}) == "BAD_KEY"
    app("rotate_bridge", **good)
    assert app.events[-1] == ("BridgeRotated", {"key": public("new")})
    assert app.reason(ticket(1)) == "BAD_SIGNATURE"
    assert app.release(ticket(1), bridge="new")["outcome"] == "RELEASED"
    # No key comes back: otherwise what it signed once could be used again.
    assert app.refused("rotate_bridge", **rotation("new", "bridge")) == "BAD_KEY"


def test_no_private_byte_leaves_the_node_or_outlives_erasure(app: App) -> None:
    """The fault this is for: a collection's type written as an alias ends up in what is broadcast."""
    patient = "0x" + b"MARKER-PATIENT".hex()
    sealed, wrapped = b"MARKER-CIPHERTEXT", b"MARKER-KEY"
    marked = {"patient": patient, SEALED: b64(sealed), "keys": {"ef" * 32: b64(wrapped)}}
    markers = [patient.encode(), b"MARKER-PATIENT", b"ef" * 32, b"\xef" * 32]
    for marker in (sealed, wrapped):
        markers += [marker, b64(marker).encode(), marker.hex().encode()]

    def found(content: bytes) -> list[bytes]:
        return [marker for marker in markers if marker in content]

    def kept(private: bool) -> bytes:
        return b"\0".join(value for (kind, _), value in app.stored.items() if kind is private)

    app("put", record=record(1, **marked))
    app("update", record=record(1, 2, **marked), version=2)
    permitted = ticket(1, patient=patient, version=2, commitment=commitment(1, 2))
    released = app.release(permitted)
    assert found(json.dumps(released).encode()) == [b64(sealed).encode()]
    assert app.reason(permitted) == "USED"
    assert len(found(kept(private=True))) >= 3, "the search sees what is there"
    assert app("erase", id=record_id(1)) is True

    sent = b"\0".join(app.sent)
    assert commitment(1, 2).encode() in sent
    assert commitment(1, 2).encode() in kept(private=False)
    assert found(sent) == found(kept(private=False)) == found(kept(private=True)) == []
    for method in ("records", "receipts", "operations"):
        assert found(json.dumps(app(method, offset=0, limit=500)).encode()) == []
    assert found(json.dumps(app("status")).encode()) == []
