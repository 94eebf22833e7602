"""Commitments: what they hash, that salts stay hidden, and what canonical JSON does and does not do."""

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from starkware.cairo.common.poseidon_hash import poseidon_hash_many

from medsync.errors import VerificationError
from medsync.protocol import commitments
from medsync.protocol.commitments import (
    Domain,
    Opening,
    bytes_digest,
    canonical_json,
    commitment,
    new_salt,
    parse_json,
)
from medsync.protocol.felt import PRIME, InvalidValue

SALT = 0x5EC2E7 << 200
VALUE = b'{"resourceType":"Observation","valueString":"confidential finding"}'


def opening(value: bytes = VALUE, salt: int = SALT, domain: Domain = Domain.RECORD) -> Opening:
    return Opening(domain=domain, commitment=commitment(domain, value, salt), value=value, salt=salt)


def test_what_is_hashed():
    value = bytes(range(1, 65))  # 31 + 31 + 2 bytes
    chunks = [int.from_bytes(value[:31]), int.from_bytes(value[31:62]), int.from_bytes(value[62:])]
    digest = poseidon_hash_many([64, *chunks])
    assert bytes_digest(value) == digest
    domain = int.from_bytes(b"MEDSYNC/RECORD/1")
    assert commitment(Domain.RECORD, value, SALT) == poseidon_hash_many([domain, digest, SALT])
    assert commitment(Domain.RECORD, 42, SALT) == poseidon_hash_many([domain, 42, SALT])


def test_lengths_do_not_collide():
    values = [b"", b"\0", b"\0" * 30, b"\0" * 31, b"\0" * 32, b"\0" * 62, b"\0" * 63]
    assert len({bytes_digest(value) for value in values}) == len(values)


def test_domains_keep_fields_apart():
    assert len({commitment(domain, VALUE, SALT) for domain in Domain}) == len(Domain)


def test_salt_and_value_bind():
    base = commitment(Domain.RECORD, VALUE, SALT)
    assert commitment(Domain.RECORD, VALUE, SALT + 1) != base
    assert commitment(Domain.RECORD, VALUE + b" ", SALT) != base


@pytest.mark.parametrize(("value", "salt"), [(b"", PRIME), (b"", -1), (PRIME, 1), (-1, 1)])
def test_only_felts_commit(value, salt):
    with pytest.raises(InvalidValue, match="of a Poseidon hash must be a field element"):
        commitment(Domain.RECORD, value, salt)


def test_salts_are_full_width_and_fresh(monkeypatch):
    bounds = []
    monkeypatch.setattr(commitments.secrets, "randbelow", lambda bound: bounds.append(bound) or 7)
    assert new_salt() == 7
    assert bounds == [PRIME]
    monkeypatch.undo()
    salts = {new_salt() for _ in range(200)}
    assert len(salts) == 200
    assert max(salts).bit_length() == 252 or max(salts) > PRIME // 2
    assert Opening.of(Domain.RECORD, VALUE).commitment != Opening.of(Domain.RECORD, VALUE).commitment


def test_opening_round_trip():
    made = Opening.of_json(Domain.TERMS, {"b": 1, "a": "ä"})
    assert made.value == '{"a":"ä","b":1}'.encode()
    made.verify()
    made.verify(made.commitment)
    read = Opening.from_json(made.to_json())
    assert read == made
    document = json.loads(made.to_json())
    assert document["schema"] == "medsync.opening/1"
    assert document["domain"] == "MEDSYNC/TERMS/1"
    assert document["commitment"] == hex(made.commitment)
    assert document["salt"] == hex(made.salt)


def test_opening_takes_any_bytes():
    made = Opening.of(Domain.JUSTIFICATION, bytes(range(256)))
    assert Opening.from_json(made.to_json()).value == bytes(range(256))


def test_false_openings_are_caught():
    genuine = opening()
    for change in ({"value": VALUE + b" "}, {"salt": SALT + 1}, {"domain": Domain.TERMS}, {"commitment": 1}):
        with pytest.raises(VerificationError, match="does not open the"):
            genuine.model_copy(update=change).verify()
    with pytest.raises(VerificationError, match=r"not 0x7b$"):
        genuine.verify(123)


def leaks(text: str) -> bool:
    return any(secret in text for secret in (hex(SALT)[2:], str(SALT), "confidential", "Y29uZmlkZW50aWFs"))


def test_repr_and_logs_hide_salt_and_value(caplog):
    made = opening()
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").warning("%s %r %s", made, made, f"{made}")
    assert hex(made.commitment) in made.to_json()
    assert not leaks(caplog.text)
    assert leaks(made.to_json())


def test_errors_hide_salt_and_value():
    text = opening().to_json()
    broken = [
        text.replace("0x", "0y"),
        text.replace(hex(SALT), hex(PRIME + SALT)),
        text.replace('"value":"', '"value":"%%'),
        text[:-1] + ',"extra":"confidential"}',
        text[:-5],
        text.replace("medsync.opening/1", "medsync.opening/2"),
        text.replace("RECORD", "SECRET"),
    ]
    for document in broken:
        assert document != text
        with pytest.raises(InvalidValue, match=r"^not an opening: ") as caught:
            Opening.from_json(document)
        assert not leaks(str(caught.value))
        assert caught.value.__cause__ is None
    with pytest.raises(ValidationError) as invalid:
        Opening(domain="x", commitment=1, value=VALUE, salt=hex(SALT) + "x")
    assert not leaks(str(invalid.value))


def test_error_names_every_wrong_member():
    text = opening().to_json().replace("RECORD", "SECRET").replace("0x", "0y")
    with pytest.raises(InvalidValue, match=r"domain: .*; commitment: .*; salt: "):
        Opening.from_json(text)


# --- canonical JSON -----------------------------------------------------------------------------------------


def test_rfc_8785_example():
    """The sample of RFC 8785, section 3.2.2 and 3.2.3."""
    text = r"""{
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
      "literals": [null, true, false]
    }"""
    assert canonical_json(parse_json(text)).decode() == (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        r'"string":"€$\u000f\nA' + "'" + r'B\"\\\\\"/"}'
    )


def test_members_sort_by_utf16():
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\x80", "ö"]
    found = list(json.loads(canonical_json(dict.fromkeys(keys, 0))))
    assert found == ["\r", "1", "\x80", "ö", "\u20ac", "\U0001f600", "\ufb33"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(json_values)
def test_canonical_form_is_stable(value):
    form = canonical_json(value)
    assert parse_json(form) == value
    assert canonical_json(parse_json(json.dumps(value, indent=3, sort_keys=False))) == form


def test_what_is_not_canonicalised():
    assert canonical_json([2, 1]) != canonical_json([1, 2])
    assert canonical_json("\u00e9") != canonical_json("e\u0301")
    assert canonical_json(parse_json("1.50")) == canonical_json(parse_json("1.5"))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**53, "\ud800", {1: 2}, {"a": {3}}])
def test_values_without_canonical_form(value):
    with pytest.raises(InvalidValue, match=r"^the document has no canonical JSON form \(\w+\)$"):
        canonical_json(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a":1,"a":2}', "names a member twice"),
        ('{"o":{"a":1,"b":2,"a":1}}', "names a member twice"),
        ("[NaN]", "NaN is not a JSON number"),
        ("-Infinity", "-Infinity is not a JSON number"),
        ('{"a":', "in line 1, column 6"),
        ("", "in line 1, column 1"),
        (b"\xff\xfe\xff", "can be read"),
        ("[" * 100_000, "can be read"),
        ("1" * 5_000, "can be read"),
    ],
)
def test_text_that_is_not_usable_json(text, message):
    with pytest.raises(InvalidValue, match=message):
        parse_json(text)
