"""An export in which one value is another, as valid as before, is found out; so is whatever is signed."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from starknet_py.hash.utils import verify_message_signature

from medsync.errors import ExitCode
from medsync.protocol.chains import Chain
from medsync.protocol.events import event_name
from medsync.protocol.messages import message_hash
from medsync.protocol.vocabulary import (
    Category,
    Decision,
    EmergencyChoice,
    Power,
    Purpose,
    Reason,
    Role,
)
from medsync.starknet.signer import public_key_of
from medsync.starknet.signing import signed_from_json
from tests.fuzz.bench import CONSENT_FILE, EXPORTS, OPENING, REVOCATION_FILE, TERMS_FILE, Bench
from tests.fuzz.malformed import at, changed, paths, written
from tests.fuzz.oracle import check, tally
from tests.harness.reach import Reach, profile

#: What a json export holds.
HISTORIES: Final = ("consents", "accesses", "registry")

#: Where an event stands is not part of the log's hash: whoever doubts it looks the transaction up.
UNHASHED: Final = ("block_number", "transaction_hash", "timestamp")

#: Fields of an entry that are words, with the words there are.
WORDS: Final = {
    "purpose": [purpose.value for purpose in Purpose],
    "decision": [decision.name for decision in Decision],
    "reason": [reason.name for reason in Reason],
    "role": [role.name for role in Role],
    "choice": [choice.name for choice in EmergencyChoice],
    "event": [event_name(kind) for chain in Chain for kind in chain.kinds],
}

#: Fields that are sets, with what they may hold.
SETS: Final = {"categories": Category.ALL.names, "powers": tuple(Power.__members__)}

Path = tuple[str | int, ...]


#: How many other values are tried in one place.
MANY: Final = 2 if profile() == "quick" else 100


def others(name: str | int, value: Any) -> list[Any]:
    """Other values that could stand there: near, far, and nothing."""
    return list(_others(name, value))[:MANY]


def _others(name: str | int, value: Any) -> Iterator[Any]:
    if name in WORDS:
        yield from (word for word in WORDS[name] if word != value)
    elif name in SETS and isinstance(value, list):
        yield from ([*value, one] for one in SETS[name] if one not in value)
        yield value[1:]
    elif isinstance(value, bool):
        yield not value
    elif value in ("true", "false"):
        yield "false" if value == "true" else "true"
    elif isinstance(value, str) and value.startswith("0x"):
        yield from sorted({hex(int(value, 16) ^ 1), hex(int(value, 16) ^ 2**200), "0x0"} - {value})
    elif isinstance(value, int):
        yield from sorted({value + 1, abs(value - 1), 0} - {value})
    else:
        yield f"{value[:-1]}N" if value[-1:] != "N" else f"{value}X"


def leaves(document: Any, covered: Callable[[Path], bool]) -> Iterator[tuple[Path, Any]]:
    """Every value of a document that is covered, and each other value it could have."""
    for path in paths(document):
        value = at(document, path)
        is_leaf = not isinstance(value, dict | list) or (path and path[-1] in SETS)
        if is_leaf and covered(path) and not SETS.keys() & set(path[:-1]):
            yield from ((path, other) for other in others(path[-1], value))


def hashed(path: Path) -> bool:
    """Whether what stands there in a json export is proven, or compared with the chain."""
    return path[0] == "block" or (path[0] != "coverage" and path[-1] not in UNHASHED)


def test_json(bench: Bench, record_property: Callable[[str, object], None]) -> None:
    """Against the chain, and against nothing but itself."""
    document = json.loads(bench.sample(EXPORTS["json"]))
    reach = Reach("Altered exports, json", seed=0)
    for number, (path, other) in enumerate(leaves(document, hashed)):
        bench.place(EXPORTS["json"], written(changed(document, path, other)).encode())
        # One after the other: each kind of value is tried in both ways. Only the chain knows its blocks.
        offline = number % 2 and path[0] != "block"
        line = ["access", "verify", EXPORTS["json"], *(["--offline"] if offline else [])]
        _assert_found(bench, line, str(path[-1]), reach)
    fields = {name for history in HISTORIES for entry in document[history]["entries"] for name in entry}
    reach.expect("tried", ["count", "head", "digest", "hash", *sorted(fields - set(UNHASHED))])
    reach.expect("tried", ["schema", "chain_id", "contract", "patient"])
    record_property("reach", reach.as_property())
    reach.assert_all_reached()


@pytest.mark.parametrize("form", ["csv", "consents", "registry"])
def test_csv(bench: Bench, form: str, record_property: Callable[[str, object], None]) -> None:
    reach = Reach(f"Altered exports, {form}", seed=0)
    table = list(csv.reader(io.StringIO(bench.sample(EXPORTS[form]).decode(), newline="")))
    names = [name for name in table[0] if name not in UNHASHED]
    for row in range(1, len(table)):
        for name in names:
            column = table[0].index(name)
            for other in _other_cells(name, table[row][column]):
                text = io.StringIO()
                csv.writer(text).writerows(changed(table, (row, column), other))
                bench.place(EXPORTS[form], text.getvalue().encode())
                _assert_found(bench, ["access", "verify", EXPORTS[form]], name, reach)
    reach.expect("tried", names)
    record_property("reach", reach.as_property())
    reach.assert_all_reached()


def _other_cells(name: str, cell: str) -> list[str]:
    value: Any = cell.split(" ") if name in SETS and cell else int(cell) if cell.isdigit() else cell
    return [" ".join(other) if isinstance(other, list) else str(other) for other in others(name, value)]


def _assert_found(bench: Bench, line: list[str], target: str, reach: Reach) -> None:
    done = bench.run(line)
    check(bench, done)
    tally(reach, target, done.code)
    assert done.code in (ExitCode.NOT_VERIFIED, ExitCode.BAD_INPUT), (line, target, done)


def test_whole_rows(bench: Bench) -> None:
    """Entries that are missing, doubled or exchanged, in both forms that carry histories."""
    document = json.loads(bench.sample(EXPORTS["json"]))
    rows = bench.sample(EXPORTS["csv"]).decode().splitlines(keepends=True)
    reach = Reach("", seed=0)
    for number in range(5):
        for edit in (_without, _doubled, _exchanged):
            for history in HISTORIES:
                entries = edit(document[history]["entries"], number)
                altered = document | {history: document[history] | {"entries": entries}}
                bench.place(EXPORTS["json"], json.dumps(altered).encode())
                _assert_found(bench, ["access", "verify", EXPORTS["json"]], history, reach)
            bench.place(EXPORTS["csv"], "".join([rows[0], *edit(rows[1:], number)]).encode())
            _assert_found(bench, ["access", "verify", EXPORTS["csv"]], "rows", reach)


def _without(rows: list[Any], number: int) -> list[Any]:
    return rows[:number] + rows[number + 1 :]


def _doubled(rows: list[Any], number: int) -> list[Any]:
    return [*rows[:number], rows[number], *rows[number:]]


def _exchanged(rows: list[Any], number: int) -> list[Any]:
    other = (number + 1) % len(rows)
    rows = list(rows)
    rows[number], rows[other] = rows[other], rows[number]
    return rows


@pytest.mark.parametrize("form", ["fhir", "receipt"])
def test_forms_without_a_log_are_never_taken_for_verified(bench: Bench, form: str) -> None:
    for more in ([], ["--offline"]):
        done = bench.run(["access", "verify", EXPORTS[form], *more])
        check(bench, done)
        assert done.code == ExitCode.BAD_INPUT


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (TERMS_FILE, ["pool", "close", f"--terms={TERMS_FILE}"]),
        (
            OPENING,
            ["access", "request", "0x7061", "--purpose=HRESCH", "--categories=ALL", f"--record={OPENING}"],
        ),
    ],
)
def test_what_names_its_own_hash(bench: Bench, name: str, line: list[str]) -> None:
    """Campaign terms carry their id, openings their commitment: neither is used with anything changed."""
    document = json.loads(bench.sample(name))
    reach = Reach("", seed=0)
    for path, other in leaves(document, lambda path: True):
        bench.place(name, json.dumps(changed(document, path, other)).encode())
        _assert_found(bench, line, str(path[-1]), reach)
    assert reach.tables["tried"].keys() == document.keys()


@pytest.mark.parametrize("name", [CONSENT_FILE, REVOCATION_FILE])
def test_signed_messages(bench: Bench, name: str) -> None:
    """What is signed cannot be changed so that it is still signed, and is what MedSync would hash.

    The signature is for the patient's account to judge, on the chain; here the judge is the same equation.
    """
    document = json.loads(bench.sample(name))
    key = public_key_of(next(iter(bench.world.keys.values())))
    assert _is_signed(document, key)
    tried = 0
    for path, other in leaves(document, lambda path: True):
        altered = changed(document, path, other)
        try:
            signed_from_json(altered)
        except ValueError:
            continue
        assert not _is_signed(altered, key), path
        tried += 1
    assert tried > 10


def _is_signed(document: Any, key: int) -> bool:
    """Whether a document's signature is of its message, for its account, with this key."""
    signed = signed_from_json(document)
    digest = message_hash(signed.typed_data(), signed.patient)
    try:
        return verify_message_signature(digest, list(signed.signature), key)
    except ValueError:  # Zero has no inverse.
        return False


def test_it_would_be_noticed_if_nothing_were(bench: Bench) -> None:
    """In which transaction an entry was made is not covered, as the export says: there these checks fail."""
    document = json.loads(bench.sample(EXPORTS["json"]))
    altered = changed(document, ("consents", "entries", 0, "transaction_hash"), "0x1")
    bench.place(EXPORTS["json"], json.dumps(altered).encode())
    with pytest.raises(AssertionError, match="transaction_hash"):
        _assert_found(bench, ["access", "verify", EXPORTS["json"]], "transaction_hash", Reach("", seed=0))
