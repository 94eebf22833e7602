"""Health records on their way into a private node and back: validated, committed to, encrypted, opened.

A record is one FHIR R5 resource. It is validated (types, cardinalities, required codes), committed to with a
fresh salt, and encrypted together with that salt under a fresh data key for each version: so whoever may read
it can also show that it is what the log names, and whoever cannot has nothing to guess with. Errors name
elements and rules, never what is in them.

Numbers keep a double's precision, and the form RFC 8785 gives them: `1.50` comes back as `1.5`.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError

from medsync.errors import VerificationError
from medsync.private.keys.keys import SEAL_BYTES, DataKey, RecordVersion, pad, seal, unpad, unseal, wrap
from medsync.protocol.commitments import Domain, Opening, canonical_json, parse_json
from medsync.protocol.felt import InvalidValue
from medsync.protocol.fhir import parse_resource
from medsync.protocol.vocabulary import Category, category_of

#: Smallest and largest encrypted record, in bytes; each is a power of two.
SMALLEST: Final = 2**11
LARGEST: Final = 2**20

_LABEL: Final = b"medsync.record.v1\0"
#: First byte of an encrypted record: how it is encrypted.
_FORM: Final = b"\x01"
_BESIDE: Final = len(_FORM) + SEAL_BYTES
#: Room for what an encrypted record of the largest size has beside the resource: opening, nonce, tag.
_ENVELOPE: Final = 512


def new_record_id() -> str:
    """A fresh record id: 128 random bits, 32 hexadecimal digits. It says nothing of anybody."""
    return secrets.token_hex(16)


# --- reading FHIR -------------------------------------------------------------------------------------------


def read_resources(text: str | bytes, source: str) -> list[Mapping[str, Any]]:
    """The FHIR R5 resources in JSON text, each validated: a resource by itself, or all of a Bundle's.

    `source` names the text in errors. Raises `InvalidValue` naming every element that is wrong, for a Bundle
    whose entries are not all resources, and for one that is empty.
    """
    try:
        document = parse_json(text)
    except InvalidValue as error:
        raise InvalidValue(f"{source}: {error}") from None
    if not isinstance(document, Mapping) or document.get("resourceType") != "Bundle":
        parse_resource(document, source)
        return [document]
    entries = document.get("entry")
    if not isinstance(entries, list) or not entries:
        raise InvalidValue(f"{source}: Bundle.entry: missing: there is no record in it")
    found: list[Mapping[str, Any]] = []
    for index, entry in enumerate(entries):
        where = f"{source}: Bundle.entry[{index}].resource"
        resource = entry.get("resource") if isinstance(entry, Mapping) else None
        if resource is None:
            raise InvalidValue(f"{where}: missing")
        parse_resource(resource, where)
        if resource["resourceType"] == "Bundle":
            raise InvalidValue(f"{where}: a Bundle within a Bundle is no record")
        found.append(resource)
    parse_resource(document, source)
    return found


def categories_of(resource: Mapping[str, Any], overrides: Mapping[str, Category] | None = None) -> Category:
    """The data categories of a resource, as the chain and the node know them.

    By `medsync.protocol.vocabulary.FHIR_CATEGORIES` and, for documents, their type's code; `overrides` names
    other categories for resource types, also for types without one. Raises `InvalidValue` for a type that has
    none.
    """
    resource_type = resource.get("resourceType")
    if overrides and isinstance(resource_type, str) and resource_type in overrides:
        return overrides[resource_type]
    return category_of(resource)


# --- encrypting and opening ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SealedRecord:
    """A version of a record as a node gets it: nothing in it can be read without a recipient's key."""

    record: RecordVersion
    categories: Category
    #: Its length, a power of two, is all that shows of the content.
    ciphertext: bytes = field(repr=False)
    #: The data key, wrapped, by recipient: 64 hexadecimal digits of an X25519 public key.
    keys: Mapping[str, bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class OpenedRecord:
    """A version of a record that was decrypted, and shown to be what its commitment names."""

    record: RecordVersion
    #: The FHIR resource.
    resource: Mapping[str, Any] = field(repr=False)
    #: What shows to anybody that the commitment is to this resource. As private as the resource.
    opening: Opening = field(repr=False)


def seal_record(
    resource: Mapping[str, Any],
    record_id: str,
    recipients: Iterable[bytes],
    *,
    version: int = 1,
    overrides: Mapping[str, Category] | None = None,
) -> SealedRecord:
    """Validate a FHIR resource, commit to it with a new salt, and encrypt both with a new data key.

    `recipients` are X25519 public keys for which the data key is wrapped, the key vault's for this record
    among them. Raises `InvalidValue` for a resource that is not valid, has no category, or is too large; see
    `categories_of` for `overrides`.
    """
    parse_resource(resource, "record")
    categories = categories_of(resource, overrides)
    value = canonical_json(resource)
    # Before it is hashed, which takes seconds for a megabyte.
    if len(value) > LARGEST - _ENVELOPE:
        raise InvalidValue(f"record: it has {len(value)} bytes; {LARGEST - _ENVELOPE} are the most")
    try:
        canonical_json(parse_json(value))
    except InvalidValue:
        raise InvalidValue("record: a number in it is too large to be written and read again") from None
    opening = Opening.of(Domain.RECORD, value)
    record = RecordVersion(record_id, version, opening.commitment)
    envelope = canonical_json(
        {"resource": resource, "opening": opening.model_dump(mode="json", exclude={"value"})}
    )
    key = DataKey.generate()
    content = pad(envelope, beside=_BESIDE, least=SMALLEST)
    return SealedRecord(
        record,
        categories,
        _FORM + seal(key.reveal(), content, record.bound(_LABEL)),
        {recipient.hex(): wrap(key, recipient, record) for recipient in recipients},
    )


def open_record(ciphertext: bytes, key: DataKey, record: RecordVersion, *, requested: int) -> OpenedRecord:
    """Decrypt a record and check that it is what was asked for.

    `record` is what the node says it is, `requested` the commitment in the logged request: what counts is the
    latter. Raises VerificationError if the ciphertext is another record's or version's, was altered, or does
    not open that commitment.
    """
    if record.commitment != requested:
        raise VerificationError("The node released another record than the one the request named.")
    content = unseal(key.reveal(), ciphertext[len(_FORM) :], record.bound(_LABEL))
    if ciphertext[: len(_FORM)] != _FORM or content is None:
        raise VerificationError(
            "The record does not decrypt: it is another record or version, another key's, or was altered."
        )
    try:
        envelope = parse_json(unpad(content))
        resource, opening = envelope["resource"], envelope["opening"]
        # As JSON, so that felts may be text.
        found = Opening.model_validate(opening | {"value": canonical_json(resource)})
    except (InvalidValue, ValidationError, LookupError, TypeError):
        raise VerificationError("The record's content is not written as MedSync writes it.") from None
    if found.domain is not Domain.RECORD:
        raise VerificationError("The record's opening is of something else than a record.")
    found.verify(requested)
    return OpenedRecord(record, resource, found)
