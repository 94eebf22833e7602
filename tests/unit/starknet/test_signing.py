"""What a patient signed survives being a file, and nothing else passes for it."""

import copy
import json
from typing import Any

import pytest
from starknet_py.hash.utils import verify_message_signature

from medsync.errors import InputError
from medsync.protocol.messages import message_hash
from medsync.protocol.types import ConsentTerms
from medsync.protocol.vocabulary import Category, Purpose
from medsync.starknet.signer import StarkSigner
from medsync.starknet.signing import (
    SignedConsent,
    SignedRevocation,
    sign_consent,
    sign_revocation,
    signed_from_json,
)
from tests.harness.histories import CHAIN, CONSENT_TERMS, CONTRACT, PATIENT, RESEARCHER, START, TERMS

SIGNER = StarkSigner(0x5EC4E7, CHAIN)
REWARDED = ConsentTerms(Purpose.HRESCH, Category.ALL, START, 2**40 - 1, 2**32 - 1, TERMS, 2**251)


def consent(terms: ConsentTerms) -> SignedConsent:
    return sign_consent(
        SIGNER,
        PATIENT,
        contract=CONTRACT,
        grantee=RESEARCHER,
        terms=terms,
        version=3,
        nonce=2**64 - 1,
        deadline=START + 60,
    )


REVOCATION = sign_revocation(
    SIGNER, PATIENT, contract=CONTRACT, grantee=RESEARCHER, purpose=Purpose.TREAT, nonce=0, deadline=START
)
SIGNED = [consent(CONSENT_TERMS), consent(REWARDED), REVOCATION]


@pytest.mark.parametrize("signed", SIGNED, ids=["consent", "rewarded consent", "revocation"])
def test_a_file_gives_back_what_was_signed(signed: SignedConsent | SignedRevocation) -> None:
    again = signed_from_json(json.loads(json.dumps(signed.to_json())))
    assert again == signed
    expected = message_hash(again.typed_data(), PATIENT)
    assert verify_message_signature(expected, list(again.signature), SIGNER.public_key)


def changed(*path: str, to: Any) -> dict[str, Any]:
    document = copy.deepcopy(consent(REWARDED).to_json())
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    return document


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "text",
        {},
        {"account": "0x1", "signature": [], "typed_data": None},
        changed("account", to="1"),
        changed("account", to=hex(2**251)),
        changed("account", to=None),
        changed("signature", to=["zz"]),
        changed("signature", to=5),
        changed("typed_data", "primaryType", to="CampaignTerms"),
        changed("typed_data", "primaryType", to="Consent"),
        changed("typed_data", "domain", "chainId", to="SN_" + "X" * 40),
        changed("typed_data", "domain", "name", to="Other"),
        changed("typed_data", "domain", "extra", to="1"),
        changed("typed_data", "types", to={}),
        changed("typed_data", "message", "note", to="the wallet shows it, nothing hashes it"),
        changed("typed_data", "message", "purpose", to="HMARKT"),
        changed("typed_data", "message", "grantee", to="0xzz"),
        changed("typed_data", "message", "version", to="0x3"),
        changed("typed_data", "message", "version", to=3),
        changed("typed_data", "message", "version", to="03"),
        changed("typed_data", "message", "nonce", to="-1"),
        changed("typed_data", "message", "deadline", to="9" * 5000),
        changed("typed_data", "message", "categories", to=str(2**32)),
        changed("typed_data", "message", "reward", to=None),
        changed("typed_data", "message", "reward", "rate", to=str(2**128)),
    ],
)
def test_anything_else_is_refused(document: Any) -> None:
    with pytest.raises(InputError):
        signed_from_json(document)


def test_another_value_is_another_message() -> None:
    """Well formed, it is read; but the signature is not of it, which the patient's account will find."""
    document = changed("typed_data", "message", "max_uses", to="7")
    forged = signed_from_json(document)
    assert isinstance(forged, SignedConsent)
    assert forged.terms.max_uses == 7
    digest = message_hash(forged.typed_data(), PATIENT)
    assert not verify_message_signature(digest, list(forged.signature), SIGNER.public_key)
