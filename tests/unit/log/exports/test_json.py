"""The JSON export: exact form, round trip, and every way of tampering with it."""

import json
from dataclasses import replace

import pytest

from medsync.errors import ExitCode, VerificationError
from medsync.log.completeness import entry_digests
from medsync.log.exports.json import dumps, loads, verify_export
from medsync.protocol.felt import InvalidValue
from medsync.protocol.types import LogHead
from medsync.protocol.vocabulary import Decision, Reason
from tests.harness.histories import CHAIN, CONTRACT, DIGESTS, EXPORT, HEAD, PATIENT, TERMS, entry


def document() -> dict:
    return json.loads(dumps(EXPORT))


def verify(changed: dict, head: LogHead | None = HEAD) -> list[str]:
    """What `verify_export` finds in a changed document."""
    with pytest.raises(VerificationError) as caught:
        verify_export(json.dumps(changed), head)
    assert caught.value.exit_code is ExitCode.NOT_VERIFIED
    assert str(caught.value).startswith("the document is not the patient's complete log\n")
    return caught.value.findings


def test_exact_form():
    written = document()
    assert {name: written[name] for name in ("schema", "chain_id", "contract", "patient", "log")} == {
        "schema": "medsync.export/1",
        "chain_id": "SN_SEPOLIA",
        "contract": "0x6d6564",
        "patient": "0x7061",
        "log": {"count": 5, "head": hex(DIGESTS[4])},
    }
    assert written["entries"][1] == {
        "patient": "0x7061",
        "accessor": "0x7265",
        "purpose": "HRESCH",
        "seq": 2,
        "at": 1_767_232_800,
        "decision": "DENY",
        "reason": "CATEGORY_NOT_COVERED",
        "version": 1,
        "categories": ["IMAGING", "LABORATORY"],
        "record": "0x2ec002",
        "campaign": "0x0",
        "justification": "0x0",
        "block_number": 2,
        "transaction_hash": "0xabc002",
        "timestamp": 1_767_232_800,
        "digest": hex(DIGESTS[1]),
    }
    assert written["consents"][0] == {
        "event": "ConsentAdded",
        "patient": "0x7061",
        "grantee": "0x7265",
        "purpose": "HRESCH",
        "by": "0x7061",
        "version": 1,
        "epoch": 0,
        "categories": ["LABORATORY", "OBSERVATION"],
        "starts_at": 1_767_225_600,
        "expires_at": 1_769_817_600,
        "max_uses": 5,
        "campaign": hex(TERMS.id),
        "terms_commitment": "0x7e245",
        "block_number": 1,
        "transaction_hash": "0xabc001",
        "timestamp": 1_767_229_200,
    }
    assert [event["event"] for event in written["consents"][2:]] == [
        "ConsentAdded",
        "ConsentRevoked",
        "AllConsentsRevoked",
    ]


def test_round_trip():
    text = dumps(EXPORT)
    assert loads(text) == EXPORT
    assert dumps(loads(text.encode())) == text
    empty = replace(EXPORT, head=LogHead(0, 0), entries=(), consents=())
    assert loads(dumps(empty)) == empty
    verify_export(dumps(empty), LogHead(0, 0))


def test_round_trip_without_locations():
    bare = replace(EXPORT, entries=tuple(replace(entry, location=None) for entry in EXPORT.entries))
    assert loads(dumps(bare)) == bare
    some = replace(EXPORT.entries[0].location, timestamp=None)
    partly = replace(EXPORT, entries=(replace(EXPORT.entries[0], location=some), *EXPORT.entries[1:]))
    assert loads(dumps(partly)) == partly


def test_whole_log_verifies():
    anchored = verify_export(dumps(EXPORT), HEAD)
    assert anchored.export == EXPORT
    assert anchored.anchored
    assert not verify_export(dumps(EXPORT)).anchored


@pytest.mark.parametrize("head", [HEAD, None])
def test_four_ways_of_tampering(head):
    missing = document()
    del missing["entries"][2]
    assert "missing: entry 3 of 5 not there" in verify(missing, head)

    altered = document()
    altered["entries"][1]["decision"] = "PERMIT"
    assert verify(altered, head) == ["altered: entry 2 does not give the digest it states"]

    reordered = document()
    reordered["entries"][1:3] = reordered["entries"][2:0:-1]
    assert verify(reordered, head) == ["reordered: entry 2 stands after entry 3"]

    invented = document()
    invented["entries"].append(invented["entries"][0] | {"seq": 6})
    assert "invented: entry 6 is beyond the 5 entries that were logged" in verify(invented, head)


def test_each_field_of_an_entry_is_covered():
    for name, value in {
        "accessor": "0x1",
        "purpose": "TREAT",
        "at": 1,
        "decision": "EMERGENCY",
        "reason": "EXPIRED",
        "version": 7,
        "categories": ["ALLERGY"],
        "record": "0x1",
        "campaign": "0x1",
        "justification": "0x1",
    }.items():
        changed = document()
        changed["entries"][1][name] = value
        assert verify(changed) == ["altered: entry 2 does not give the digest it states"]


def test_another_log_is_another_log():
    for name, value in {"chain_id": "SN_MAIN", "contract": "0x1"}.items():
        assert len(verify(document() | {name: value})) == 5
    assert verify(document() | {"consents": [], "patient": "0x1"})[0].startswith("invented: entry 1 belongs")


def test_consistent_forgery_needs_the_chains_head():
    """A document whose author recomputed everything agrees with itself; only the chain's head shows it."""
    entries = (*EXPORT.entries, entry(6, Decision.PERMIT, Reason.GRANTED))
    head = LogHead(6, entry_digests(CHAIN, CONTRACT, entries)[-1])
    forged = dumps(replace(EXPORT, head=head, entries=entries))
    assert not verify_export(forged).anchored
    findings = verify(json.loads(forged), HEAD)
    assert findings[0] == (
        f"the document states length 6 and head {hex(head.head)}, the chain 5 and {hex(HEAD.head)}"
    )
    assert "invented: entry 6 is beyond the 5 entries that were logged" in findings


def test_outdated_export_is_not_the_whole_log():
    later = LogHead(7, 12345)
    assert "missing: entries 6 to 7 of 7 not there" in verify(document(), later)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("schema",), "medsync.export/2", "schema: expected medsync.export/1, not 'medsync.export/2'"),
        (("chain_id",), 7, "chain_id must be a short string"),
        (("chain_id",), "x" * 32, "at most 31 ASCII"),
        (("contract",), "6d6564", "contract must be written 0x"),
        (("contract",), hex(2**251 - 256), "contract must be a contract address"),
        (("patient",), None, "patient must be written 0x"),
        (("log",), [], "log must be an object"),
        (("log",), {"count": 5}, "log: missing or unknown: head"),
        (("log", "count"), 2**32, "log.count must be an integer"),
        (("log", "count"), 5.0, "log.count must be an integer"),
        (("log", "head"), 5, "log.head must be written 0x"),
        (("entries",), {}, "entries must be a list"),
        (("entries", 0), 5, r"entries\[0\] must be an object with a digest"),
        (("entries", 0, "digest"), "x", r"entries\[0\].digest must be written 0x"),
        (("entries", 3, "purpose"), "HMARKT", r"entries\[3\].purpose: 'HMARKT' is not a purpose"),
        (("entries", 3, "purpose"), ["TREAT"], r"entries\[3\].purpose"),
        (("entries", 3, "decision"), "permit", r"entries\[3\].decision: 'permit' is not a decision"),
        (("entries", 3, "reason"), {}, r"entries\[3\].reason"),
        (("entries", 3, "categories"), "LABORATORY", r"entries\[3\].categories must be a list"),
        (("entries", 3, "categories"), [["ALL"]], r"entries\[3\].categories must be a list"),
        (("entries", 3, "categories"), ["HIV"], r"entries\[3\].categories: 'HIV' is not a data category"),
        (("entries", 3, "seq"), "4", r"entries\[3\].seq must be an integer"),
        (("entries", 3, "seq"), 2**32, r"entries\[3\]: seq must be an integer"),
        (("entries", 3, "at"), True, r"entries\[3\].at must be an integer"),
        (("entries", 3, "block_number"), None, r"entries\[3\]: block_number must be an integer"),
        (("entries", 3, "transaction_hash"), None, r"entries\[3\]: transaction_hash must be a field element"),
        (("entries", 3, "note"), "x", r"entries\[3\]: missing or unknown: note"),
        (("consents", 0), "x", r"consents\[0\].event must be one of ConsentAdded, "),
        (("consents", 0, "event"), "AccessLogged", r"consents\[0\].event must be one of"),
        (("consents", 0, "event"), ["ConsentAdded"], r"consents\[0\].event must be one of"),
        (("consents", 3, "epoch"), 1, r"consents\[3\]: missing or unknown: epoch"),
        (("consents", 3, "patient"), "0x1", "consents: an event belongs to another patient"),
        (("extra",), 1, "document: missing or unknown: extra"),
    ],
)
def test_malformed_documents(path, value, message):
    changed = document()
    target = changed
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    with pytest.raises(InvalidValue, match=message):
        verify_export(json.dumps(changed))
    with pytest.raises(InvalidValue, match=message):
        loads(json.dumps(changed))


@pytest.mark.parametrize("text", ["", "[]", "5", '"x"', '{"schema":1,"schema":2}', b"\xff", "{"])
def test_text_that_is_no_document(text):
    with pytest.raises(InvalidValue):
        loads(text)


def test_missing_member():
    changed = document()
    del changed["consents"]
    with pytest.raises(InvalidValue, match="document: missing or unknown: consents"):
        loads(json.dumps(changed))


def test_export_is_of_one_patient():
    with pytest.raises(InvalidValue, match="another patient"):
        replace(EXPORT, patient=PATIENT + 1)
