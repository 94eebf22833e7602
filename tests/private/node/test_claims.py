"""A node's signed claim: every field counts, and the kind of node does."""

import dataclasses
import json
from typing import Any

import pytest

from medsync.errors import InputError, VerificationError
from medsync.private.node.calimero import CalimeroNode
from medsync.private.node.interface import (
    CalimeroContext,
    ClaimRequest,
    SignedClaim,
    claim_payload,
    decode_id,
    encode_id,
    verify_claim,
)
from medsync.protocol.anchor import NodeKind
from tests.private.node.guest import SIGNER
from tests.private.node.support import Recordings, context_of, replay

REQUEST = ClaimRequest("starknet:SN_DEVNET:0x1", "medsync:1:0x2a:state:1", "ab" * 16)
KEY = SIGNER.public_key().public_bytes_raw()
CONTEXT = CalimeroContext(encode_id(b"\x01" * 32), "cd" * 32, encode_id(KEY))
ISSUED = 1_795_339_861_973


def signed(payload: bytes, kind: NodeKind = NodeKind.EMBEDDED) -> SignedClaim:
    return SignedClaim(KEY, payload, SIGNER.sign(kind.claim_domain + payload))


def check(claim: SignedClaim, *, kind: NodeKind = NodeKind.EMBEDDED, seconds_later: float = 1) -> None:
    verify_claim(claim, kind=kind, context=CONTEXT, request=REQUEST, now=ISSUED / 1000 + seconds_later)


async def test_a_real_nodes_claim_holds(recordings: Recordings) -> None:
    exchange, context = recordings["40"], context_of(recordings["10"])
    asked = {name: exchange.body[name] for name in ("audience", "subject", "nonce")}
    async with replay(recordings["12"], exchange) as node, CalimeroNode(node.url) as client:
        claim = await client.attest(context, ClaimRequest(**asked))
    now = json.loads(claim.payload)["issued_at_ms"] / 1000 + 1
    verify_claim(claim, kind=NodeKind.CALIMERO, context=context, request=ClaimRequest(**asked), now=now)
    with pytest.raises(VerificationError, match="not one of a EMBEDDED node"):
        verify_claim(claim, kind=NodeKind.EMBEDDED, context=context, request=ClaimRequest(**asked), now=now)


@pytest.mark.parametrize("made", NodeKind)
@pytest.mark.parametrize("taken_for", NodeKind)
def test_one_kinds_claim_is_none_of_the_others(made: NodeKind, taken_for: NodeKind) -> None:
    claim = signed(claim_payload(CONTEXT, REQUEST, ISSUED), made)
    if made is taken_for:
        check(claim, kind=taken_for)
    else:
        with pytest.raises(VerificationError, match="the signature"):
            check(claim, kind=taken_for)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("v", 2),
        ("audience", "starknet:SN_MAIN:0x1"),
        ("group_id", "ce" * 32),
        ("issuer_identity", encode_id(b"\x02" * 32)),
        ("context_id", ""),
        ("context_id", encode_id(b"\x02" * 32)),
        ("subject", "medsync:1:0x2b:state:1"),
        ("nonce", "ab" * 15 + "ac"),
        ("issued_at_ms", ISSUED + 90_000),
        ("issued_at_ms", ISSUED - 1),
        ("issued_at_ms", True),
        ("expires_at_ms", ISSUED + 300_001),
        ("expires_at_ms", ISSUED),
        ("expires_at_ms", str(ISSUED + 1000)),
        ("nonce", None),
        ("more", 1),
    ],
)
def test_every_field_counts(name: str, value: Any) -> None:
    payload = json.loads(claim_payload(CONTEXT, REQUEST, ISSUED))
    payload[name] = value
    with pytest.raises(VerificationError):
        check(signed(json.dumps(payload).encode()))


@pytest.mark.parametrize("name", json.loads(claim_payload(CONTEXT, REQUEST, ISSUED)))
def test_no_field_may_be_absent_or_twice(name: str) -> None:
    payload = json.loads(claim_payload(CONTEXT, REQUEST, ISSUED))
    twice = json.dumps(payload)[:-1] + f', "{name}": {json.dumps(payload[name])}' + "}"
    del payload[name]
    for text in (json.dumps(payload), twice, "[]", "", "{"):
        with pytest.raises(VerificationError, match="its payload is not a claim"):
            check(signed(text.encode()))


def test_bytes_and_keys_count() -> None:
    claim = signed(claim_payload(CONTEXT, REQUEST, ISSUED))
    for changed in (
        {"payload": claim.payload + b" "},
        {"signature": claim.signature[:-1] + bytes([claim.signature[-1] ^ 1])},
        {"signature": b""},
        {"signer": b"\x02" * 32},
        {"signer": bytes(32)},
    ):
        with pytest.raises(VerificationError):
            check(dataclasses.replace(claim, **changed))


@pytest.mark.parametrize(("later", "holds"), [(-61, False), (-59, True), (359, True), (361, False)])
def test_clocks_may_differ_by_a_minute(later: float, holds: bool) -> None:
    claim = signed(claim_payload(CONTEXT, REQUEST, ISSUED))
    if holds:
        check(claim, seconds_later=later)
    else:
        with pytest.raises(VerificationError, match=r"expired|future"):
            check(claim, seconds_later=later)


@pytest.mark.parametrize(
    "wrong",
    [
        {"audience": ""},
        {"audience": "é" * 129},
        {"subject": "s" * 513},
        {"nonce": "ab" * 15},
        {"nonce": "AB" * 16},
        {"nonce": "a" * 33},
        {"nonce": "ab" * 65},
        {"life_ms": 0},
        {"life_ms": 300_001},
    ],
)
def test_what_no_node_signs_is_not_asked_for(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        dataclasses.replace(REQUEST, **wrong)


@pytest.mark.parametrize("text", ["", "1", "0" * 44, "1" * 33, "é" * 44, encode_id(b"\x01" * 31), "a b"])
def test_only_ids_are_ids(text: str) -> None:
    with pytest.raises(InputError, match="The context must be base58 of 32 bytes"):
        decode_id(text, "context")
