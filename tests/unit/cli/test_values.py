"""Reading what people type and showing what they get, without a chain."""

import dataclasses
import re
from pathlib import Path
from typing import get_args

import pytest

from medsync.cli import output, values
from medsync.cli.commands.watch import ws_url
from medsync.cli.options import hoist
from medsync.cli.output import Amount, Hex, Time
from medsync.cli.values import Unit
from medsync.errors import InputError, VerificationError
from medsync.protocol import events, types
from medsync.protocol.commitments import Domain, Opening
from medsync.protocol.vocabulary import Category, Decision, Power, Purpose
from medsync.storage.files import write_new
from medsync.storage.versions import UnsupportedVersion

NOW = 1_800_000_000


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("now", NOW),
        ("+0s", NOW),
        ("+90s", NOW + 90),
        ("+15m", NOW + 900),
        ("+2h", NOW + 7_200),
        ("+30d", NOW + 2_592_000),
        ("+2w", NOW + 1_209_600),
        ("+1y", NOW + 31_536_000),
        ("0", 0),
        ("1893456000", 1_893_456_000),
        ("2030-01-01", 1_893_456_000),
        ("20300101", 1_893_456_000),
        ("2030-01-01T00:00:00Z", 1_893_456_000),
        ("2030-01-01T01:00:00+01:00", 1_893_456_000),
    ],
)
def test_time(text: str, seconds: int) -> None:
    assert values.time(text, "--expires", NOW) == seconds


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (f"{NOW}000", f"It looks like milliseconds; in seconds it is {NOW}."),
        (f"{NOW + 86_400}123", f"It looks like milliseconds; in seconds it is {NOW + 86_400}."),
        ("9999-12-31", "That is more than 100 years ahead."),
        ("+101y", "That is more than 100 years ahead."),
        ("99999999999999999999", "That is more than 100 years ahead."),
    ],
)
def test_a_time_too_far_ahead_is_refused(text: str, hint: str) -> None:
    with pytest.raises(InputError, match=re.escape(f"--expires cannot be {text!r}.")) as refused:
        values.time(text, "--expires", NOW)
    assert refused.value.hint == hint


@pytest.mark.parametrize(
    ("text", "unit", "smallest"),
    [
        ("0", Unit.TOKEN, 0),
        ("12", Unit.TOKEN, 12 * 10**18),
        ("12.5", Unit.TOKEN, 125 * 10**17),
        ("0.000000000000000001", Unit.TOKEN, 1),
        ("1.0000000000000000000000", Unit.TOKEN, 10**18),
        ("340282366920938463463.374607431768211455", Unit.TOKEN, 2**128 - 1),
        ("340282366920938463463374607431768211455", Unit.SMALLEST, 2**128 - 1),
        ("7.00", Unit.SMALLEST, 7),
    ],
)
def test_amount(text: str, unit: Unit, smallest: int) -> None:
    assert values.amount(text, "--amount", 18, unit) == smallest
    if unit is Unit.TOKEN:
        assert values.amount(str(Amount(smallest, 18)), "--amount", 18, unit) == smallest


def test_words() -> None:
    assert values.purpose("hresch") is Purpose.HRESCH
    assert values.categories("laboratory, discharge-report,CONDITION") == (
        Category.LABORATORY | Category.DISCHARGE_REPORT | Category.CONDITION
    )
    assert values.categories("all") == Category.ALL
    assert values.powers("give,REVOKE") == Power.GIVE | Power.REVOKE
    assert values.powers("none") == Power(0)


def test_commitments(tmp_path: Path) -> None:
    file, kept = tmp_path / "report.pdf", tmp_path / "report.pdf.record.opening.json"
    file.write_bytes(b"a report")
    assert values.commitment("0x12", "--record", Domain.RECORD) == (0x12, None)

    committed, opening = values.commitment(str(file), "--record", Domain.RECORD)
    assert opening is not None
    assert (opening.path, kept.exists()) == (kept, False)
    write_new([opening])
    assert kept.stat().st_mode & 0o077 == 0
    Opening.from_json(kept.read_text()).verify(committed)

    # Again, and by the opening itself, it is the same commitment; for something else it is another.
    assert values.commitment(str(file), "--record", Domain.RECORD) == (committed, None)
    assert values.commitment(str(kept), "--record", Domain.RECORD) == (committed, None)
    other, _ = values.commitment(str(file), "--terms", Domain.TERMS)
    assert other != committed

    with pytest.raises(InputError, match="opens a RECORD commitment, not a TERMS one"):
        values.commitment(str(kept), "--terms", Domain.TERMS)
    file.write_bytes(b"another report")
    with pytest.raises(InputError, match="does not open"):
        values.commitment(str(file), "--record", Domain.RECORD)
    kept.write_text(kept.read_text().replace(f"{committed:#x}", "0x1"))
    with pytest.raises(VerificationError):
        values.commitment(str(kept), "--record", Domain.RECORD)


@pytest.mark.parametrize(("version", "hint"), [(0, "an older MedSync"), (2, "upgrade this one")])
def test_an_opening_of_another_version_is_refused_by_name(tmp_path: Path, version: int, hint: str) -> None:
    path = tmp_path / "terms.opening.json"
    text = Opening.of(Domain.TERMS, b"what was agreed").to_json()
    path.write_text(text.replace("medsync.opening/1", f"medsync.opening/{version}"))
    with pytest.raises(UnsupportedVersion) as refused:
        values.commitment(str(path), "--terms", Domain.TERMS)
    assert f"--terms: {path} has format version {version}; this program reads version 1" in str(refused.value)
    assert hint in refused.value.hint


@pytest.mark.parametrize(
    ("line", "hoisted"),
    [
        ("deploy --json --dry-run", "--json deploy --dry-run"),
        ("deploy --network sepolia --salt 0x1", "--network sepolia deploy --salt 0x1"),
        ("deploy --network=sepolia", "--network=sepolia deploy"),
        ("--account devnet:1 consent list --verbose", "--account devnet:1 --verbose consent list"),
        ("access verify -- --json", "access verify -- --json"),
        ("deploy --network", "deploy --network"),
        ("consent list --help", "consent list --help"),
    ],
)
def test_global_options_stand_anywhere(line: str, hoisted: str) -> None:
    assert hoist(line.split()) == hoisted.split()


def test_values_are_shown_by_their_kind() -> None:
    answer = {
        "address": Hex(2**200),
        "at": Time(1_893_456_000),
        "never": Time(0),
        "far": Time(2**40 - 1),
        "amount": Amount(1_500, 3, "T"),
        "categories": Category.LABORATORY | Category.IMAGING,
        "powers": Power.GIVE | Power.REFUSE,
        "decision": Decision.NO_CONSENT,
        "purpose": Purpose.TREAT,
        "nothing": None,
    }
    assert output.plain(answer) == {
        "address": hex(2**200),
        "at": "2030-01-01T00:00:00Z",
        "never": None,
        "far": str(2**40 - 1),
        "amount": "1500",
        "categories": ["IMAGING", "LABORATORY"],
        "powers": ["GIVE", "REFUSE"],
        "decision": "NO_CONSENT",
        "purpose": "TREAT",
        "nothing": None,
    }
    assert output.shown(answer["amount"]) == "1.5 T"
    assert output.shown(answer["address"], short=True) == "0x100000…000000"
    assert output.shown(answer["categories"]) == "IMAGING, LABORATORY"
    assert (output.shown(True), output.shown(False), output.shown(None)) == ("yes", "no", "-")


SHOWN_AS_FELTS = {
    *("stark_key", "identity", "root", "state", "r", "s"),
    *(
        "patient",
        "accessor",
        "grantee",
        "by",
        "delegate",
        "entity",
        "admin",
        "previous",
        "new_admin",
        "address",
    ),
    *("hospital", "successor", "creator", "spender", "pool", "funder", "custodian", "owner", "recipient"),
    *("campaign", "id", "salt", "study", "record", "statement", "terms_commitment", "profile_commitment"),
    *("token", "key", "value", "commitment", "head", "digest", "transaction_hash"),
    # A bit set.
    "refused_purposes",
}


def test_every_integer_of_the_protocol_is_shown_as_what_it_is() -> None:
    answers = {
        kind
        for name, kind in vars(types).items()
        if isinstance(kind, type) and dataclasses.is_dataclass(kind) and not name.startswith("_")
    }
    for kind in answers | set(get_args(events.Event)):
        for field in dataclasses.fields(kind):
            if field.type in (int, "int"):
                known = field.name in SHOWN_AS_FELTS | output.TIMES | output.AMOUNTS | output.NUMBERS
                assert known, f"{kind.__name__}.{field.name}"


@pytest.mark.parametrize(
    ("url", "guess"),
    [
        ("http://127.0.0.1:5050/rpc", "ws://127.0.0.1:5050/ws"),
        ("http://127.0.0.1:5050", "ws://127.0.0.1:5050/ws"),
        ("https://node.example.org/v0_10/key", "wss://node.example.org/v0_10/key"),
    ],
)
def test_where_a_websocket_is_looked_for(url: str, guess: str) -> None:
    assert ws_url(url) == guess
