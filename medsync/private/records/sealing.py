"""Validates, commits to, encrypts and opens health records.

A record is a FHIR R5 resource. It is validated (types, cardinalities, required codes), committed to with a
new salt, and encrypted together with that salt under a new data key for each version. Anyone who can read it
can therefore also show that it is the record named in the log, and nobody else can test guesses. Errors name
elements and rules, never values.

Numbers keep the precision of a double and their form in RFC 8785: `1.50` is returned as `1.5`.
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

#: Minimum and maximum size of an encrypted record in bytes. All sizes are powers of two.
SMALLEST: Final = 2**11
LARGEST: Final = 2**20

_LABEL: Final = b"medsync.record.v1\0"
#: First byte of an encrypted record, which identifies the encryption scheme.
_FORM: Final = b"\x01"
_BESIDE: Final = len(_FORM) + SEAL_BYTES
#: Size reserved for the opening, nonce and tag in an encrypted record of maximum size.
_ENVELOPE: Final = 512


def new_record_id() -> str:
    """A new random record id of 128 bits in 32 hexadecimal digits."""
    return secrets.token_hex(16)


def read_resources(text: str | bytes, source: str) -> list[Mapping[str, Any]]:
    """Validate the FHIR R5 resources in JSON text, either a single resource or all resources of a Bundle.

    `source` identifies the text in errors. Raises `InvalidValue` naming every invalid element, and for a
    Bundle that is empty or has entries without a resource.
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
        raise InvalidValue(f"{source}: Bundle.entry: missing: the Bundle has no record")
    found: list[Mapping[str, Any]] = []
    for index, entry in enumerate(entries):
        where = f"{source}: Bundle.entry[{index}].resource"
        resource = entry.get("resource") if isinstance(entry, Mapping) else None
        if resource is None:
            raise InvalidValue(f"{where}: missing")
        parse_resource(resource, where)
        if resource["resourceType"] == "Bundle":
            raise InvalidValue(f"{where}: a Bundle within a Bundle is not a record")
        found.append(resource)
    parse_resource(document, source)
    return found


def categories_of(resource: Mapping[str, Any], overrides: Mapping[str, Category] | None = None) -> Category:
    """The data categories of a resource.

    They follow from `medsync.protocol.vocabulary.FHIR_CATEGORIES` and, for documents, from the type's code.
    `overrides` sets other categories for resource types, including types without one. Raises `InvalidValue`
    for a type without a category.
    """
    resource_type = resource.get("resourceType")
    if overrides and isinstance(resource_type, str) and resource_type in overrides:
        return overrides[resource_type]
    return category_of(resource)


@dataclass(frozen=True, slots=True)
class SealedRecord:
    """An encrypted version of a record, readable only with a recipient's key."""

    record: RecordVersion
    categories: Category
    #: Its length, a power of two, is all that it reveals of the content.
    ciphertext: bytes = field(repr=False)
    #: The data key, wrapped, by recipient: 64 hexadecimal digits of an X25519 public key.
    keys: Mapping[str, bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class OpenedRecord:
    """A decrypted version of a record whose commitment was verified."""

    record: RecordVersion
    #: The FHIR resource.
    resource: Mapping[str, Any] = field(repr=False)
    #: The opening of the commitment, which proves it to be of this resource. Keep it as private as the
    #: resource.
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

    `recipients` are X25519 public keys for which the data key is wrapped, including the key vault's for this
    record. Raises `InvalidValue` for a resource that is invalid, has no category, or is too large. See
    `categories_of` for `overrides`.
    """
    parse_resource(resource, "record")
    categories = categories_of(resource, overrides)
    value = canonical_json(resource)
    # Check the size before hashing, which takes seconds for a megabyte.
    if len(value) > LARGEST - _ENVELOPE:
        raise InvalidValue(f"record: it has {len(value)} bytes; {LARGEST - _ENVELOPE} are the most")
    try:
        canonical_json(parse_json(value))
    except InvalidValue:
        raise InvalidValue("record: it contains a number that is too large") from None
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
    """Decrypt a record and check that it is the requested one.

    `record` is the record according to the node, `requested` is the commitment in the logged request, which
    is authoritative. Raises VerificationError if the ciphertext belongs to another record or version, was
    altered, or does not open that commitment.
    """
    if record.commitment != requested:
        raise VerificationError("The node released a different record from the one named in the request.")
    content = unseal(key.reveal(), ciphertext[len(_FORM) :], record.bound(_LABEL))
    if ciphertext[: len(_FORM)] != _FORM or content is None:
        raise VerificationError(
            "The record cannot be decrypted: the record, version or key is wrong, or it was altered."
        )
    try:
        envelope = parse_json(unpad(content))
        resource, opening = envelope["resource"], envelope["opening"]
        # Validate as JSON, in which felts may be text.
        found = Opening.model_validate(opening | {"value": canonical_json(resource)})
    except (InvalidValue, ValidationError, LookupError, TypeError):
        raise VerificationError("The record's content does not have MedSync's format.") from None
    if found.domain is not Domain.RECORD:
        raise VerificationError("The record's opening belongs to another domain.")
    found.verify(requested)
    return OpenedRecord(record, resource, found)
