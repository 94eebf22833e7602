"""The JSON export: exact form, round trip, and every way of tampering with an entry of the histories."""

import json
from dataclasses import fields, replace

import pytest

from medsync.errors import ExitCode, VerificationError
from medsync.log.exports.json import NOT_PROVEN, coverage, dumps, loads, verify_export
from medsync.log.histories import BlockHeader, Heads
from medsync.protocol.chains import KINDS, Chain
from medsync.protocol.events import event_name
from medsync.protocol.felt import InvalidValue
from medsync.protocol.types import Head
from medsync.protocol.vocabulary import Decision, Reason
from tests.harness.histories import (
    BLOCK,
    CHAIN,
    CONTRACT,
    DIGESTS,
    ENTRIES,
    HEAD,
    HISTORY,
    PATIENT,
    TERMS,
    entry,
    history_of,
)

MEMBERS = {"consents": HISTORY.consents, "accesses": HISTORY.accesses, "registry": HISTORY.registry}
HEADS = Heads(CHAIN, CONTRACT, PATIENT, BLOCK, {part.chain: part.head for part in MEMBERS.values()})
EVERY_ENTRY = pytest.mark.parametrize(
    ("member", "index"),
    [
        pytest.param(member, index, id=f"{member}-{index + 1}-{event_name(part.entries[index])}")
        for member, part in MEMBERS.items()
        for index in range(part.head.count)
    ],
)
ANCHORED_OR_NOT = pytest.mark.parametrize("heads", [HEADS, None], ids=["anchored", "alone"])


def document() -> dict:
    return json.loads(dumps(HISTORY))


def verify(changed: dict, heads: Heads | None = HEADS) -> list[str]:
    """What `verify_export` finds in a changed document."""
    with pytest.raises(VerificationError) as caught:
        verify_export(json.dumps(changed), heads)
    assert caught.value.exit_code is ExitCode.NOT_VERIFIED
    assert str(caught.value).startswith("the document is not the patient's whole history\n")
    return caught.value.findings


def test_exact_form():
    written = document()
    assert list(written) == [
        *("schema", "chain_id", "contract", "patient", "block"),
        *("consents", "accesses", "registry", "coverage"),
    ]
    assert {name: written[name] for name in ("schema", "chain_id", "contract", "patient", "block")} == {
        "schema": "medsync.export/2",
        "chain_id": "SN_SEPOLIA",
        "contract": "0x6d6564",
        "patient": "0x7061",
        "block": {"number": 1_024, "hash": "0xb10c", "timestamp": 1_767_312_000},
    }
    for member, part in MEMBERS.items():
        assert list(written[member]) == ["count", "head", "entries"]
        assert (written[member]["count"], written[member]["head"]) == (part.head.count, hex(part.head.head))
        assert [found["event"] for found in written[member]["entries"]] == [
            event_name(each) for each in part.entries
        ]
    assert written["accesses"]["entries"][1] == {
        "event": "AccessLogged",
        "patient": "0x7061",
        "accessor": "0x7265",
        "purpose": "HRESCH",
        "seq": 2,
        "at": 1_767_232_800,
        "study": "0x57d7",
        "decision": "DENY",
        "reason": "CATEGORY_NOT_COVERED",
        "version": 1,
        "scoped": True,
        "categories": ["IMAGING", "LABORATORY"],
        "record": "0x2ec002",
        "campaign": hex(TERMS.id),
        "registration": 2,
        "block_number": 1_002,
        "transaction_hash": "0xabc3ea",
        "digest": hex(DIGESTS[1]),
    }
    assert written["consents"]["entries"][0] == {
        "event": "ConsentAdded",
        "patient": "0x7061",
        "grantee": "0x7265",
        "purpose": "HRESCH",
        "seq": 1,
        "at": 1_767_229_200,
        "study": "0x57d7",
        "by": "0x7061",
        "nonce": 2**32 + 1,
        "version": 1,
        "generation": 1,
        "categories": ["LABORATORY", "OBSERVATION"],
        "starts_at": 1_767_225_600,
        "expires_at": 1_769_817_600,
        "max_uses": 5,
        "scoped": True,
        "campaign": hex(TERMS.id),
        "terms_commitment": "0x7e245",
        "block_number": 1_001,
        "transaction_hash": "0xabc3e9",
        "digest": written["consents"]["entries"][0]["digest"],
    }
    assert written["consents"]["entries"][1]["powers"] == ["GIVE", "REVOKE"]
    assert written["consents"]["entries"][11]["delegates_dismissed"] is False
    assert written["registry"]["entries"][2]["role"] == "HOSPITAL"


def test_round_trip():
    text = dumps(HISTORY)
    assert loads(text) == HISTORY
    assert dumps(loads(text.encode())) == text
    bare = replace(
        HISTORY,
        accesses=replace(HISTORY.accesses, entries=tuple(replace(each, location=None) for each in ENTRIES)),
    )
    assert loads(dumps(bare)) == bare


def test_an_empty_history_is_whole():
    empty = replace(HISTORY, accesses=history_of(Chain.ACCESSES, ()))
    assert loads(dumps(empty)) == empty
    heads = replace(HEADS, of=HEADS.of | {Chain.ACCESSES: Head(0, 0)})
    assert verify_export(dumps(empty), heads).anchored


def test_whole_histories_verify():
    anchored = verify_export(dumps(HISTORY), HEADS)
    assert anchored.history == HISTORY
    assert anchored.anchored
    assert not verify_export(dumps(HISTORY)).anchored


def test_a_part_is_not_exported():
    later = replace(HISTORY.accesses, known=HISTORY.accesses.checkpoint, entries=())
    with pytest.raises(InvalidValue, match="The access log of 0x7061 continues from entry 8"):
        dumps(replace(HISTORY, accesses=later))


# --- what the proof covers ----------------------------------------------------------------------------------


def test_every_field_is_said_to_be_covered_or_not():
    said = document()["coverage"]
    assert set(said["proven"]) == {event_name(kind) for kind in KINDS}
    for part in MEMBERS.values():
        for each in part.entries:
            own = [field.name for field in fields(each) if field.name != "location"]
            assert said["proven"][event_name(each)] == own
    for member in MEMBERS:
        for found in document()[member]["entries"]:
            others = set(found) - set(said["proven"][found["event"]]) - {"event", "digest"}
            assert others <= set(said["not_proven"])
    assert set(NOT_PROVEN) >= {"block", "budgets and money", "requests for consents", "campaign terms"}


@EVERY_ENTRY
def test_where_an_entry_was_found_is_not_covered(member, index):
    """As the document says."""
    changed = document()
    changed[member]["entries"][index] |= {"block_number": 1, "transaction_hash": "0x1"}
    assert verify_export(json.dumps(changed), HEADS).anchored


def test_a_document_cannot_claim_more():
    changed = document()
    changed["coverage"]["proven"]["AccessLogged"].append("block_number")
    with pytest.raises(InvalidValue, match="coverage: it does not say what the proof covers"):
        verify_export(json.dumps(changed))
    assert changed["coverage"] != coverage()


# --- tampering ----------------------------------------------------------------------------------------------


@EVERY_ENTRY
@ANCHORED_OR_NOT
def test_four_ways_of_tampering(member, index, heads):
    count, seq = MEMBERS[member].head.count, index + 1
    missing = document()
    del missing[member]["entries"][index]
    assert f"{member}: missing: entry {seq} of {count} not there" in verify(missing, heads)

    altered = document()
    altered[member]["entries"][index]["at"] += 1
    assert verify(altered, heads) == [f"{member}: altered: entry {seq} does not give the digest it states"]

    reordered = document()
    entries = reordered[member]["entries"]
    last = index or 1
    entries[last - 1], entries[last] = entries[last], entries[last - 1]
    expected = [f"{member}: reordered: entry {last} stands after entry {last + 1}"]
    assert verify(reordered, heads) == expected

    invented = document()
    invented[member]["entries"].append(invented[member]["entries"][index] | {"seq": count + 1})
    beyond = f"{member}: invented: entry {count + 1} is beyond the {count} entries that were written"
    assert beyond in verify(invented, heads)


def test_another_log_is_another_log():
    entries = sum(part.head.count for part in MEMBERS.values())
    for name, value in {"chain_id": "SN_MAIN", "contract": "0x1"}.items():
        changed = document() | {name: value}
        assert len(verify(changed, None)) == entries
        findings = verify(changed)
        assert findings[0].startswith(f"{name}: the document states ")
        assert len(findings) == entries + 1
    findings = verify(document() | {"patient": "0x1"})
    assert findings[0] == "patient: the document states 0x1, expected is 0x7061"
    assert "consents: invented: entry 1, ConsentAdded of 0x7061, belongs to another history" in findings


@pytest.mark.parametrize("changes", [{"hash": 1}, {"timestamp": 1}])
def test_another_block_of_that_number_is_told(changes):
    heads = replace(HEADS, block=replace(BLOCK, **changes))
    assert verify(document(), heads) == ["block: the document states another block 1024 than the chain has"]
    later = replace(HEADS, block=BlockHeader(2_000, 1, BLOCK.timestamp + 9))
    assert verify_export(dumps(HISTORY), later).anchored


@pytest.mark.parametrize("number", [BLOCK.number + 1, 2**40])
def test_a_document_later_than_the_heads_is_not_shown_by_them(number):
    """Otherwise it would say what held at a second that nobody has seen yet."""
    later = BlockHeader(number, 1, BLOCK.timestamp + 1_000_000)
    told = json.loads(dumps(replace_block(HISTORY, later)))
    (finding,) = verify(told)
    assert finding.startswith(f"block: the document states block {number}, later than {BLOCK.number}")
    # Nor is one of a later time in an earlier block.
    (finding,) = verify(json.loads(dumps(replace_block(HISTORY, replace(later, number=1)))))
    assert "later than" in finding


def test_a_block_before_its_entries_is_told():
    early = BlockHeader(1, 1, 5)
    findings = verify(json.loads(dumps(replace_block(HISTORY, early))), None)
    assert findings == [
        f"{member}: the last entry is later than the block that the document states" for member in MEMBERS
    ]


def replace_block(history, block):
    parts = {name: replace(getattr(history, name), block=block) for name in MEMBERS}
    return replace(history, **parts)


@pytest.mark.parametrize("member", MEMBERS)
def test_consistent_forgery_needs_the_chains_head(member):
    """A document whose author recomputed everything agrees with itself; only the chain's head shows it."""
    part = MEMBERS[member]
    forged_part = history_of(part.chain, part.entries[:-1])
    forged = dumps(replace(HISTORY, **{member: forged_part}))
    assert not verify_export(forged).anchored
    findings = verify(json.loads(forged))
    count, head = part.head.count, part.head
    assert findings[0] == (
        f"{member}: the document states length {count - 1} and head {hex(forged_part.head.head)}, "
        f"the chain {count} and {hex(head.head)}"
    )
    assert f"{member}: missing: entry {count} of {count} not there" in findings


def test_an_invented_entry_with_a_digest_of_its_own_is_beyond_the_head():
    invented = entry(9, Decision.PERMIT, Reason.GRANTED)
    forged = dumps(replace(HISTORY, accesses=history_of(Chain.ACCESSES, (*ENTRIES, invented))))
    assert not verify_export(forged).anchored
    findings = verify(json.loads(forged))
    assert "accesses: invented: entry 9 is beyond the 8 entries that were written" in findings


def test_outdated_export_is_not_the_whole_history():
    later = replace(HEADS, of=HEADS.of | {Chain.ACCESSES: Head(10, 12345)})
    assert "accesses: missing: entries 9 to 10 of 10 not there" in verify(document(), later)


# --- documents that are no exports --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("schema",), "medsync.export/1", "format version 1; this program reads version 2"),
        (("schema",), "medsync.campaign/2", "schema: expected medsync.export/2, not 'medsync.campaign/2'"),
        (("chain_id",), 7, "chain_id must be a short string"),
        (("chain_id",), "x" * 32, "at most 31 ASCII"),
        (("contract",), "6d6564", "contract must be written 0x"),
        (("contract",), hex(2**251 - 256), "contract must be a contract address"),
        (("patient",), None, "patient must be written 0x"),
        (("block",), 7, "block must be an object"),
        (("block", "number"), "7", "block number must be an integer"),
        (("block", "hash"), 7, "block.hash must be written 0x"),
        (("block", "timestamp"), 2**40, "block time must be an integer"),
        (("accesses",), [], "accesses must be an object"),
        (("accesses",), {"count": 5}, "accesses: missing or unknown: entries, head"),
        (("accesses", "count"), 2**32, "accesses.count must be an integer"),
        (("accesses", "count"), 5.0, "accesses.count must be an integer"),
        (("registry", "head"), 5, "registry.head must be written 0x"),
        (("accesses", "entries"), {}, "accesses.entries must be a list"),
        (("accesses", "entries", 0), 5, r"accesses.entries\[0\] must be an object with a digest"),
        (("accesses", "entries", 0, "digest"), "x", r"entries\[0\].digest must be written 0x"),
        (("accesses", "entries", 3, "purpose"), "HMARKT", r"entries\[3\].purpose: 'HMARKT' is not one of"),
        (("accesses", "entries", 3, "purpose"), ["TREAT"], r"entries\[3\].purpose"),
        (("accesses", "entries", 3, "decision"), "permit", r"entries\[3\].decision: 'permit' is not one of"),
        (("accesses", "entries", 3, "reason"), {}, r"entries\[3\].reason"),
        (("accesses", "entries", 3, "scoped"), 1, r"entries\[3\].scoped must be true or false"),
        (("accesses", "entries", 3, "categories"), "LABORATORY", r"\[3\].categories must be a list"),
        (("accesses", "entries", 3, "categories"), [["ALL"]], r"\[3\].categories must be a list"),
        (("accesses", "entries", 3, "categories"), ["HIV"], r"\[3\].categories: 'HIV' is not one of"),
        (("accesses", "entries", 3, "seq"), "4", r"entries\[3\].seq must be an integer"),
        (("accesses", "entries", 3, "seq"), 2**32, r"entries\[3\]: seq must be an integer"),
        (("accesses", "entries", 3, "at"), True, r"entries\[3\].at must be an integer"),
        (("accesses", "entries", 3, "block_number"), None, r"\[3\]: block_number must be an integer"),
        (
            ("accesses", "entries", 3, "transaction_hash"),
            None,
            r"\[3\]: transaction_hash must be a field element",
        ),
        (("accesses", "entries", 3, "note"), "x", r"entries\[3\]: missing or unknown: note"),
        (("accesses", "entries", 3, "event"), "ConsentAdded", r"\[3\].event must be one of AccessLogged, "),
        (("consents", "entries", 0, "event"), "AccessLogged", r"\[0\].event must be one of ConsentAdded, "),
        (("consents", "entries", 0, "event"), ["ConsentAdded"], r"\[0\].event must be one of"),
        (("consents", "entries", 1, "powers"), ["ALL"], r"\[1\].powers: 'ALL' is not one of"),
        (("consents", "entries", 3, "epoch"), 1, r"consents.entries\[3\]: missing or unknown: epoch"),
        (("registry", "entries", 1, "role"), "NURSE", r"\[1\].role: 'NURSE' is not one of"),
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


@pytest.mark.parametrize("member", [*MEMBERS, "coverage", "block"])
def test_missing_member(member):
    changed = document()
    del changed[member]
    with pytest.raises(InvalidValue, match=f"document: missing or unknown: {member}"):
        loads(json.dumps(changed))


def test_histories_of_one_picture_belong_together():
    other = replace(HISTORY.accesses, subject=PATIENT + 1)
    with pytest.raises(InvalidValue, match="accesses: it is the history of something else"):
        replace(HISTORY, accesses=other)
    for change in ({"contract": 1}, {"chain_id": 1}):
        with pytest.raises(InvalidValue, match="registry: it is from another chain or contract"):
            replace(HISTORY, registry=replace(HISTORY.registry, **change))
    block = replace(BLOCK, number=1)
    with pytest.raises(InvalidValue, match="registry: it is as of another block"):
        replace(HISTORY, registry=replace(HISTORY.registry, block=block))
    assert HISTORY.accesses.head == HEAD
