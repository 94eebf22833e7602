"""The CSV export: exact form, round trip, malformed tables, for each of the three histories."""

import csv
import io
from dataclasses import replace

import pytest

from medsync.log.completeness import history_faults
from medsync.log.exports.csv import dumps, loads
from medsync.protocol.chains import Chain
from medsync.protocol.felt import InvalidValue
from tests.harness.histories import CONSENTS, ENTRIES, HISTORY, REGISTRY, TERMS

EACH_HISTORY = pytest.mark.parametrize("history", HISTORY.histories, ids=lambda history: history.chain.name)


def test_exact_accesses():
    lines = dumps(Chain.ACCESSES, [*ENTRIES[:2], *ENTRIES[5:]]).split("\r\n")
    assert lines == [
        "event,patient,accessor,purpose,seq,at,study,decision,reason,version,scoped,categories,record,campaign,"
        "registration,emergency,statement,block_number,transaction_hash",
        f"AccessLogged,0x7061,0x7265,HRESCH,1,1767229200,0x57d7,PERMIT,GRANTED,1,true,LABORATORY,0x2ec001,"
        f"{hex(TERMS.id)},2,,,1001,0xabc3e9",
        "AccessLogged,0x7061,0x7265,HRESCH,2,1767232800,0x57d7,DENY,CATEGORY_NOT_COVERED,1,true,"
        f"IMAGING LABORATORY,0x2ec002,{hex(TERMS.id)},2,,,1002,0xabc3ea",
        "EmergencyJustified,0x7061,0x686f,,6,1767261600,,,,,,,,,,5,0x7e5,1010,0xabc3f2",
        "EmergencyContested,0x7061,0x686f,,7,1767265200,,,,,,,,,,5,,1011,0xabc3f3",
        "DeletionStated,0x7061,0x7265,HRESCH,8,1767268800,0x57d7,,,3,,,,,2,,0xde1,1012,0xabc3f4",
        "",
    ]


def test_exact_consents():
    lines = dumps(Chain.CONSENTS, [CONSENTS[1], CONSENTS[7], CONSENTS[9]]).split("\r\n")
    heading = lines[0].split(",")
    rows = [dict(zip(heading, line.split(","), strict=True)) for line in lines[1:-1]]
    assert [{name: cell for name, cell in row.items() if cell} for row in rows] == [
        {
            "event": "DelegateSet",
            "patient": "0x7061",
            "seq": "2",
            "at": "1767232800",
            "delegate": "0x6465",
            "powers": "GIVE REVOKE",
            "expires_at": "1775001600",
            "epoch": "0",
            "block_number": "1002",
            "transaction_hash": "0xabc3ea",
        },
        {
            "event": "EmergencyChoiceSet",
            "patient": "0x7061",
            "seq": "8",
            "at": "1767254400",
            "choice": "NAMED_HOSPITALS",
            "block_number": "1008",
            "transaction_hash": "0xabc3f0",
        },
        {
            "event": "ConsentRevoked",
            "patient": "0x7061",
            "grantee": "0x7265",
            "purpose": "HRESCH",
            "seq": "10",
            "at": "1767261600",
            "study": "0x57d7",
            "by": "0x7061",
            "nonce": "4294967296",
            "version": "3",
            "generation": "2",
            "block_number": "1010",
            "transaction_hash": "0xabc3f2",
        },
    ]


def test_exact_registry():
    lines = dumps(Chain.REGISTRY, REGISTRY[1:2]).split("\r\n")
    assert lines == [
        "event,entity,seq,at,role,profile_commitment,by,new_admin,ready_at,lapses_at,previous,admin,successor,"
        "block_number,transaction_hash",
        "EntityRegistered,0x7265,2,1766397600,RESEARCHER,0xf1,,,,,,,,770,0xabc302",
        "",
    ]


@EACH_HISTORY
def test_round_trips(history):
    assert loads(history.chain, dumps(history.chain, history.entries)) == list(history.entries)
    bare = [replace(entry, location=None) for entry in history.entries]
    assert loads(history.chain, dumps(history.chain, bare)) == bare
    assert loads(history.chain, dumps(history.chain, [])) == []


@EACH_HISTORY
def test_a_table_can_be_verified(history):
    read = tuple(loads(history.chain, dumps(history.chain, history.entries)))
    assert history_faults(replace(history, entries=read)) == []


@EACH_HISTORY
def test_no_cell_is_a_formula(history):
    for row in csv.reader(io.StringIO(dumps(history.chain, history.entries))):
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("patient,accessor", "accessor,patient", "the heading row must be event,patient,accessor"),
        ("AccessLogged", "ConsentAdded", "row 2.event must be one of AccessLogged, "),
        ("HRESCH,1,", "HMARKT,1,", r"row 2.purpose: 'HMARKT' is not one of TREAT, "),
        ("PERMIT", "permit", r"row 2.decision: 'permit' is not one of PERMIT, "),
        ("true", "yes", "row 2.scoped must be true or false"),
        ("IMAGING LABORATORY", "IMAGING  LABORATORY", "row 3.categories: '' is not one of "),
        ("HRESCH,2,", "HRESCH,two,", r"row 3.seq must be an integer"),
        ("HRESCH,2,", f"HRESCH,{'9' * 5000},", r"row 3.seq must be an integer"),
        ("HRESCH,2,", "HRESCH,²,", r"row 3.seq must be an integer"),
        ("HRESCH,2,", "HRESCH,,", r"row 3.seq must be an integer"),
        ("0x2ec002", "", r"row 3.record must be written 0x"),
        ("0xabc3ea", "", r"row 3: transaction_hash must be a field element"),
        ("1002,0xabc3ea", ",0xabc3ea", r"row 3: block_number must be an integer"),
        ("0xabc3ea", "0xabc3ea,1", "row 3 has 20 cells, not 19"),
        ("0x2ec002", '"0x2ec002', "invalid CSV"),
        (",,5,0x7e5,", ",1,5,0x7e5,", "row 7: EmergencyJustified does not have registration"),
    ],
)
def test_malformed_accesses(old, new, message):
    text = dumps(Chain.ACCESSES, ENTRIES)
    assert old in text
    with pytest.raises(InvalidValue, match=message):
        loads(Chain.ACCESSES, text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("GIVE REVOKE", "GIVE ALL", "row 3.powers: 'ALL' is not one of GIVE, REVOKE, REFUSE"),
        ("NAMED_HOSPITALS", "3", "row 9.choice"),
        ("ConsentRefused,0x7061,0x6175", "ConsentRefused,0x7061,", "row 6.grantee must be written 0x"),
    ],
)
def test_malformed_consents(old, new, message):
    text = dumps(Chain.CONSENTS, CONSENTS)
    assert old in text
    with pytest.raises(InvalidValue, match=message):
        loads(Chain.CONSENTS, text.replace(old, new, 1))


@pytest.mark.parametrize("chain", Chain)
@pytest.mark.parametrize("text", ["", "\n", "x"])
def test_table_without_heading(chain, text):
    with pytest.raises(InvalidValue, match="the heading row must be"):
        loads(chain, text)
