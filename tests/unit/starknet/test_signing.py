"""What a patient signed survives being a file, and nothing else passes for it."""

import copy
import json
from collections.abc import Callable
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
from tests.harness.histories import CHAIN, CONSENT_TERMS, CONTRACT, PATIENT, RESEARCHER, START, STUDY, TERMS

SIGNER = StarkSigner(0x5EC4E7, CHAIN)
REWARDED = ConsentTerms(Purpose.HRESCH, STUDY, Category.ALL, START, 2**40 - 1, 2**32 - 1, True, TERMS, 2**251)


def consent(terms: ConsentTerms) -> SignedConsent:
    return sign_consent(
        SIGNER,
        PATIENT,
        contract=CONTRACT,
        grantee=RESEARCHER,
        terms=terms,
        version=3,
        generation=2**32 - 1,
        counter=5,
        deadline=START + 60,
    )


REVOCATION = sign_revocation(
    SIGNER,
    PATIENT,
    contract=CONTRACT,
    grantee=RESEARCHER,
    purpose=Purpose.TREAT,
    study=STUDY,
    generation=1,
    deadline=START,
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
        changed("account", to="one"),
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
        changed("typed_data", "message", "version", to="three"),
        changed("typed_data", "message", "version", to=3.0),
        changed("typed_data", "message", "version", to=True),
        changed("typed_data", "message", "generation", to="-1"),
        changed("typed_data", "message", "counter", to=None),
        changed("typed_data", "message", "study", to="CORONARY"),
        changed("typed_data", "message", "scoped", to=2),
        changed("typed_data", "message", "scoped", to="yes"),
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


# --- as wallets write them ----------------------------------------------------------------------------------

R, S = consent(REWARDED).signature


@pytest.mark.parametrize(
    "signature",
    [
        [hex(R), hex(S)],
        [f"0x{R:064X}", f"0x{S:064x}"],
        [str(R), str(S)],
        [R, S],
        {"r": str(R), "s": str(S), "recovery": 0},
    ],
    ids=["hexadecimal", "padded", "starknet.js", "starknet.py", "starknet.js object"],
)
def test_signatures_are_read_as_wallets_write_them(signature: Any) -> None:
    assert signed_from_json(changed("signature", to=signature)) == consent(REWARDED)


@pytest.mark.parametrize("write", [lambda felt: f"0x{felt:064x}", lambda felt: f"0x{felt:X}", str, int])
def test_addresses_may_be_written_in_any_way(write: Callable[[int], str | int]) -> None:
    """What is signed is the value, which starknet_py hashes from what was written."""
    document = changed("account", to=write(PATIENT))
    message = document["typed_data"]["message"]
    for name, value in (
        ("contract", CONTRACT),
        ("grantee", RESEARCHER),
        ("study", STUDY),
        ("generation", 2**32 - 1),
    ):
        message[name] = write(value)
    message["reward"]["pool"] = write(TERMS.pool)
    assert signed_from_json(document) == consent(REWARDED)
    assert message_hash(document["typed_data"], PATIENT) == message_hash(
        consent(REWARDED).typed_data(), PATIENT
    )


@pytest.mark.parametrize("write", [True, 1, "1", "0x1"])
def test_a_truth_value_may_be_written_in_any_way(write: object) -> None:
    assert signed_from_json(changed("typed_data", "message", "scoped", to=write)) == consent(REWARDED)


def without(*path: str) -> dict[str, Any]:
    document = copy.deepcopy(consent(REWARDED).to_json())
    place = document
    for step in path[:-1]:
        place = place[step]
    del place[path[-1]]
    return document


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "typed_data is missing"),
        (without("account"), "account is missing"),
        (without("signature"), "signature is missing"),
        (without("typed_data", "message"), "typed_data.message is missing"),
        (without("typed_data", "domain", "chainId"), "typed_data.domain.chainId is missing"),
        (without("typed_data", "message", "reward", "salt"), "typed_data.message.reward.salt is missing"),
        (without("typed_data", "types"), "typed_data.types is not what MedSync writes there"),
        (changed("typed_data", "domain", "version", to="1"), "typed_data.domain is not what MedSync writes"),
        (changed("typed_data", "message", to=[]), "typed_data.message must be an object"),
        (changed("signature", to="0x1"), "signature must be a list or an object"),
        (changed("signature", to={"r": "1"}), "signature.s is missing"),
        (changed("signature", to=[1, "zz"]), r"signature\[1\] must be written 0x"),
        (
            changed("typed_data", "message", "purpose", to="hresch"),
            "'hresch' was signed, .* 'HRESCH': sign that",
        ),
        (
            changed("typed_data", "message", "purpose", to="HMARKT"),
            "'HMARKT' is not a purpose; the purposes are TREAT",
        ),
        (changed("typed_data", "message", "note", to="x"), "typed_data.message.note does not belong there"),
        (
            changed("typed_data", "message", "deadline", to="1796083200000"),
            "deadline .* looks like milliseconds",
        ),
    ],
)
def test_the_error_names_the_member(document: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        signed_from_json(document)


def test_a_deadline_in_milliseconds_is_not_signed() -> None:
    asked: dict[str, Any] = {"contract": CONTRACT, "grantee": RESEARCHER, "generation": 1}
    with pytest.raises(InputError, match="milliseconds"):
        sign_revocation(SIGNER, PATIENT, purpose=Purpose.TREAT, study=0, deadline=1_796_083_200_000, **asked)
    with pytest.raises(InputError, match="milliseconds"):
        sign_consent(SIGNER, PATIENT, terms=CONSENT_TERMS, version=1, counter=1, deadline=2**40, **asked)
