"""Records: validated before they are encrypted, bound to what they are, opened against what the log names."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medsync.errors import VerificationError
from medsync.private.keys.keys import SEAL_BYTES, DataKey, EncryptionKey, RecordVersion, pad, seal, wrap
from medsync.private.records import sealing
from medsync.private.records.sealing import (
    LARGEST,
    SMALLEST,
    OpenedRecord,
    SealedRecord,
    categories_of,
    new_record_id,
    open_record,
    read_resources,
    seal_record,
)
from medsync.protocol.commitments import Domain, Opening, canonical_json, commitment
from medsync.protocol.felt import InvalidValue
from medsync.protocol.vocabulary import Category
from scripts.demo.synthetic import load_patients
from tests.harness.records import MARKER, dumps, observation, opener, resources

RECORD = "0123456789abcdef" * 2
KEY = EncryptionKey(bytes(range(32)))


def sealed(resource: dict[str, Any] | None = None, **options: Any) -> SealedRecord:
    return seal_record(resource or observation(), RECORD, [KEY.public], **options)


def opened(found: SealedRecord, **changes: Any) -> OpenedRecord:
    arguments = {
        "content": found.ciphertext,
        "key": KEY.unwrap(opener(found, KEY), found.record),
        "record": found.record,
        "requested": found.record.commitment,
    } | changes
    return open_record(
        arguments["content"], arguments["key"], arguments["record"], requested=arguments["requested"]
    )


# --- validation ---------------------------------------------------------------------------------------------


def places(node: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where anything stands in a document."""
    if path:
        yield path
    for key, value in (
        node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    ):
        yield from places(value, (*path, key))


PATHS = [
    (resource, path) for resource in resources() for path in places(resource) if path != ("resourceType",)
]


@given(st.sampled_from(PATHS), st.sampled_from([MARKER, [MARKER], {MARKER: 1}, {"text": [MARKER]}]))
def test_errors_name_the_element_and_never_what_is_in_it(place: Any, value: Any) -> None:
    resource, path = place
    document = copy.deepcopy(resource)
    node = document
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    said = ""
    try:
        seal_record(document, RECORD, [])
    except InvalidValue as error:
        said = str(error)
    # The name of an element that FHIR does not have is a name, not a value.
    assert MARKER not in said.replace(f".{MARKER}: Extra inputs are not permitted", "")
    assert not said or document["resourceType"] in said


@pytest.mark.parametrize(
    ("change", "element"),
    [
        ({"status": MARKER}, "Observation.status"),
        ({"status": None}, "Observation"),
        ({"code": MARKER}, "Observation.code"),
        ({"valueQuantity": {"value": MARKER}}, "Observation.valueQuantity.value"),
        ({"effectiveDateTime": MARKER}, "Observation.effectiveDateTime"),
        ({"component": [{"valueString": MARKER}]}, r"Observation.component\[0\].code"),
        ({"valueString": MARKER}, "Observation"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], element: str) -> None:
    with pytest.raises(InvalidValue, match=f"record: {element}") as refused:
        sealed(observation() | change)
    assert MARKER not in str(refused.value)


def test_a_bundle_is_one_record_for_each_resource() -> None:
    patient = load_patients()[0]
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": resource} for resource in patient.resources],
    }
    assert read_resources(dumps(bundle), "bundle.json") == list(patient.resources)
    assert read_resources(dumps(observation()), "one.json") == [observation()]
    bundle["entry"][2]["resource"] = observation() | {"status": MARKER}
    with pytest.raises(
        InvalidValue, match=r"bundle.json: Bundle.entry\[2\].resource: Observation.status"
    ) as bad:
        read_resources(dumps(bundle), "bundle.json")
    assert MARKER not in str(bad.value)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"resourceType": "Bundle", "type": "collection"}, "Bundle.entry: missing"),
        ({"resourceType": "Bundle", "type": "collection", "entry": []}, "Bundle.entry: missing"),
        ({"resourceType": "Bundle", "type": "collection", "entry": [{}]}, r"entry\[0\].resource: missing"),
        ({"resourceType": "Bundle", "type": "collection", "entry": ["a"]}, r"entry\[0\].resource: missing"),
        ({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": 1}]}, "not a FHIR resource"),
        (
            {"resourceType": "Bundle", "type": "x", "entry": [{"resource": observation()}]},
            "Bundle.type: must be one of",
        ),
        (
            {
                "resourceType": "Bundle",
                "type": "collection",
                "entry": [{"resource": {"resourceType": "Bundle", "type": "collection"}}],
            },
            "a Bundle within a Bundle",
        ),
        ([], "not a FHIR resource"),
        ({"resourceType": "Person2"}, "not a FHIR R5 resource"),
    ],
)
def test_what_holds_no_record_is_refused(document: Any, message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        read_resources(dumps(document), "file.json")


def test_text_that_two_readers_understand_differently_is_refused() -> None:
    for text in ('{"resourceType": "Patient", "id": "a", "id": "b"}', "{", f'{{"{MARKER}'):
        with pytest.raises(InvalidValue, match=r"file\.json: not") as refused:
            read_resources(text, "file.json")
        assert MARKER not in str(refused.value)


def test_categories_come_from_the_table_unless_told_otherwise() -> None:
    assert categories_of(observation()) is Category.OBSERVATION
    told = {"Observation": Category.LABORATORY | Category.OBSERVATION, "Basic": Category.DOCUMENT}
    assert categories_of(observation(), told) == told["Observation"]
    assert categories_of({"resourceType": "Basic"}, told) is Category.DOCUMENT
    assert categories_of({"resourceType": "Condition"}, told) is Category.CONDITION
    with pytest.raises(InvalidValue, match="no data category"):
        categories_of({"resourceType": "Basic"})
    assert sealed(overrides=told).categories == told["Observation"]


# --- there and back -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", resources(), ids=lambda resource: resource["id"])
def test_a_record_comes_back_and_opens_its_commitment(resource: dict[str, Any]) -> None:
    found = sealed(resource)
    back = opened(found)
    assert back.resource == resource
    assert back.record == found.record == RecordVersion(RECORD, 1, found.record.commitment)
    assert back.opening.value == canonical_json(resource)
    # What is on the chain, recomputed.
    salted = commitment("MEDSYNC/RECORD/1", canonical_json(resource), back.opening.salt)
    assert salted == found.record.commitment
    for shown in (repr(back), repr(found)):
        assert resource["id"] not in shown
        assert str(back.opening.salt) not in shown
        assert found.ciphertext.hex()[:32] not in shown


def test_nothing_is_used_twice() -> None:
    first, second = sealed(), sealed()
    assert first.record.commitment != second.record.commitment
    assert first.ciphertext != second.ciphertext
    assert KEY.unwrap(opener(first, KEY), first.record) != KEY.unwrap(opener(second, KEY), second.record)
    assert len({new_record_id() for _ in range(100)}) == 100


def test_every_recipient_gets_the_same_key_and_nobody_else() -> None:
    other, stranger = EncryptionKey.generate(), EncryptionKey.generate()
    found = seal_record(observation(), RECORD, [KEY.public, other.public])
    assert set(found.keys) == {KEY.public.hex(), other.public.hex()}
    assert other.unwrap(opener(found, other), found.record) == KEY.unwrap(opener(found, KEY), found.record)
    with pytest.raises(VerificationError):
        stranger.unwrap(opener(found, KEY), found.record)


def test_what_is_sealed_shows_nothing_but_its_magnitude() -> None:
    lengths = {len(sealed(observation("x" * size)).ciphertext) for size in (1, 10, 100, 1000)}
    assert lengths == {SMALLEST}
    large = sealed(observation(MARKER * 1000))
    assert len(large.ciphertext) == 32_768
    assert MARKER.encode() not in large.ciphertext


def test_the_largest_record_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert LARGEST == 2**20
    # Hashing a megabyte takes seconds.
    monkeypatch.setattr(sealing, "LARGEST", 2**13)
    fits = 2**13 - 512 - len(canonical_json(observation("")))
    assert len(sealed(observation("x" * fits)).ciphertext) == 2**13
    with pytest.raises(InvalidValue, match="it has 7681 bytes; 7680 are the most"):
        sealed(observation("x" * (fits + 1)))


def test_a_number_that_does_not_survive_is_refused() -> None:
    with pytest.raises(InvalidValue, match="contains a number that is too large"):
        sealed(observation() | {"valueQuantity": {"value": 1e20}})
    back = opened(sealed(observation() | {"valueQuantity": {"value": 1.50, "unit": "mmol/L"}}))
    assert json.dumps(back.resource["valueQuantity"]["value"]) == "1.5"


# --- what is bound to what ----------------------------------------------------------------------------------


def test_a_record_opens_as_itself_only() -> None:
    found, other = sealed(), sealed()
    record = found.record
    swaps: list[dict[str, Any]] = [
        {"content": other.ciphertext},
        {"key": KEY.unwrap(opener(other, KEY), other.record)},
        {"key": DataKey.generate()},
        {"record": RecordVersion("f" * 32, 1, record.commitment)},
        {"record": RecordVersion(RECORD, 2, record.commitment)},
        {"content": b""},
        {"content": found.ciphertext[:-1]},
        {"content": found.ciphertext + b"\0"},
        {"content": b"\2" + found.ciphertext[1:]},
    ]
    for swap in swaps:
        with pytest.raises(VerificationError, match="cannot be decrypted"):
            opened(found, **swap)


@given(st.data())
def test_every_altered_byte_is_noticed(data: st.DataObject) -> None:
    found = sealed()
    altered = bytearray(found.ciphertext)
    altered[data.draw(st.integers(0, len(altered) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(VerificationError):
        opened(found, content=bytes(altered))


def test_another_record_than_the_requested_is_refused() -> None:
    found, other = sealed(), sealed()
    with pytest.raises(VerificationError, match="a different record from the one named"):
        opened(found, requested=other.record.commitment)
    with pytest.raises(VerificationError, match="a different record from the one named"):
        opened(found, requested=0)


def resealed(envelope: Any, committed: int) -> tuple[SealedRecord, DataKey]:
    """What a hospital could seal that does not keep to the rules: any content under any commitment."""
    record, key = RecordVersion(RECORD, 1, committed), DataKey.generate()
    content = envelope if isinstance(envelope, bytes) else canonical_json(envelope)
    content = pad(content, beside=1 + SEAL_BYTES, least=SMALLEST)
    cipher = b"\1" + seal(key.reveal(), content, record.bound(b"medsync.record.v1\0"))
    return SealedRecord(
        record, Category.OBSERVATION, cipher, {KEY.public.hex(): wrap(key, KEY.public, record)}
    ), key


def test_a_record_that_does_not_open_its_commitment_is_refused() -> None:
    """Whoever encrypts could put another resource, or another opening, under the commitment of a request."""
    good = Opening.of_json(Domain.RECORD, observation())
    profile = Opening.of_json(Domain.PROFILE, observation())
    fields = good.model_dump(mode="json", exclude={"value"})
    attempts = [
        ({"resource": observation("another"), "opening": fields}, good.commitment, "does not open"),
        ({"resource": observation(), "opening": fields | {"salt": "0x1"}}, good.commitment, "does not open"),
        ({"resource": observation(), "opening": fields}, 0xBAD, "not 0xbad"),
        (
            {"resource": observation(), "opening": profile.model_dump(mode="json", exclude={"value"})},
            profile.commitment,
            "belongs to another domain",
        ),
        ({"resource": observation()}, good.commitment, "does not have MedSync's format"),
        (
            {"resource": observation(), "opening": fields | {"salt": MARKER}},
            good.commitment,
            "does not have MedSync's format",
        ),
        ({"resource": observation(), "opening": 5}, good.commitment, "does not have MedSync's format"),
        ([], good.commitment, "does not have MedSync's format"),
        (b"{", good.commitment, "does not have MedSync's format"),
    ]
    for envelope, committed, message in attempts:
        found, _ = resealed(envelope, committed)
        with pytest.raises(VerificationError, match=message) as refused:
            opened(found)
        assert MARKER not in str(refused.value)
    found, _ = resealed({"resource": observation(), "opening": fields}, good.commitment)
    assert opened(found).resource == observation()


def test_the_salt_is_nowhere_but_in_the_ciphertext(monkeypatch: pytest.MonkeyPatch) -> None:
    salts: list[int] = []
    original = Opening.of

    def of(domain: Domain, value: bytes) -> Opening:
        opening = original(domain, value)
        salts.append(opening.salt)
        return opening

    monkeypatch.setattr(Opening, "of", of)
    found = sealed()
    assert opened(found).opening.salt == salts[0]
    shown = repr(found) + str(found.record) + repr(found.keys) + found.ciphertext.hex()
    assert f"{salts[0]:x}" not in shown
    assert str(salts[0]) not in shown
