"""The CSV export: exact form, round trip, malformed tables."""

import csv
import io
from dataclasses import replace

import pytest

from medsync.log.exports.csv import dumps_consents, dumps_log, loads_consents, loads_log
from medsync.protocol.felt import InvalidValue
from tests.harness.histories import CONSENTS, ENTRIES, TERMS


def test_exact_log():
    lines = dumps_log(ENTRIES[:2]).split("\r\n")
    assert lines == [
        "patient,accessor,purpose,seq,at,decision,reason,version,categories,record,campaign,justification,"
        "block_number,transaction_hash,timestamp",
        f"0x7061,0x7265,HRESCH,1,1767229200,PERMIT,GRANTED,1,LABORATORY,0x2ec001,{hex(TERMS.id)},0x0,"
        "1,0xabc001,1767229200",
        "0x7061,0x7265,HRESCH,2,1767232800,DENY,CATEGORY_NOT_COVERED,1,IMAGING LABORATORY,0x2ec002,0x0,0x0,"
        "2,0xabc002,1767232800",
        "",
    ]


def test_exact_consents():
    lines = dumps_consents(CONSENTS[3:]).split("\r\n")
    assert lines == [
        "event,patient,grantee,purpose,by,version,epoch,categories,starts_at,expires_at,max_uses,campaign,"
        "terms_commitment,block_number,transaction_hash,timestamp,nonce",
        "ConsentRevoked,0x7061,0x7265,HRESCH,0x7061,3,,,,,,,,6,0xabc006,1767247200,",
        "AllConsentsRevoked,0x7061,,,0x6465,,1,,,,,,,8,0xabc008,1767254400,4",
        "",
    ]


def test_round_trips():
    assert loads_log(dumps_log(ENTRIES)) == list(ENTRIES)
    bare = [replace(entry, location=None) for entry in ENTRIES]
    assert loads_log(dumps_log(bare)) == bare
    assert loads_log(dumps_log([])) == []
    assert loads_consents(dumps_consents(CONSENTS)) == list(CONSENTS)
    assert loads_consents(dumps_consents([])) == []


def test_no_cell_is_a_formula():
    for text in (dumps_log(ENTRIES), dumps_consents(CONSENTS)):
        for row in csv.reader(io.StringIO(text)):
            assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("patient,accessor", "accessor,patient", "the heading row must be patient,accessor"),
        ("HRESCH,1,", "HMARKT,1,", r"row 2.purpose: 'HMARKT' is not a purpose"),
        ("IMAGING LABORATORY", "IMAGING  LABORATORY", "row 3.*'' is not a data category"),
        ("HRESCH,2,", "HRESCH,two,", r"row 3.seq must be an integer"),
        ("HRESCH,2,", f"HRESCH,{'9' * 5000},", r"row 3.seq must be an integer"),
        ("HRESCH,2,", "HRESCH,²,", r"row 3.seq must be an integer"),
        ("HRESCH,2,", "HRESCH,,", r"row 3.seq must be an integer"),
        ("0x2ec002", "", r"row 3.record must be written 0x"),
        ("0xabc002", "", r"row 3: transaction_hash must be a field element"),
        ("0xabc002,", "0xabc002,1,", "row 3 has 16 cells, not 15"),
        ("0x2ec002", '"0x2ec002', "invalid CSV"),
    ],
)
def test_malformed_log(old, new, message):
    text = dumps_log(ENTRIES)
    assert old in text
    with pytest.raises(InvalidValue, match=message):
        loads_log(text.replace(old, new, 1))


@pytest.mark.parametrize("text", ["", "\n", "x"])
def test_log_without_heading(text):
    with pytest.raises(InvalidValue, match="the heading row must be"):
        loads_log(text)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("AllConsentsRevoked", "NoneRevoked", "row 6.event must be one of"),
        (
            "AllConsentsRevoked,0x7061,,",
            "AllConsentsRevoked,0x7061,0x7265,",
            "row 6: AllConsentsRevoked does not have grantee",
        ),
        ("ConsentRevoked,0x7061,0x7265", "ConsentRevoked,0x7061,", "row 5.grantee must be written 0x"),
    ],
)
def test_malformed_consents(old, new, message):
    text = dumps_consents(CONSENTS)
    assert old in text
    with pytest.raises(InvalidValue, match=message):
        loads_consents(text.replace(old, new, 1))
