"""The published specification: it is what the sources say, leaves nothing out, and drift is noticed."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starkware.cairo.common.poseidon_hash import poseidon_hash_many

from medsync.errors import ExitCode, VerificationError
from scripts import repository
from scripts.__main__ import main
from scripts.reference import spec
from scripts.reference.cairo_docs import SourceError, contract_reference
from tests.harness import rfc9162

ROOT = repository.root()
SPEC = (ROOT / spec.PATH).read_text()
SOURCES = "".join(
    path.read_text() for path in sorted((ROOT / "contracts").rglob("*.cairo")) if path.stem != "tests"
)
ABIS = {
    name: json.loads((ROOT / f"medsync/artifacts/{name}.abi.json").read_text())
    for name in ("MedSync", "PrivateAnchor", "RewardPool")
}
ENTRIES = [(name, entry) for name, abi in ABIS.items() for entry in abi]


def section(heading: str) -> str:
    """What stands under a heading, up to the next one of any level."""
    found = re.findall(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", SPEC, re.M | re.S)
    assert len(found) == 1, f"{heading} is there {len(found)} times"
    return str(found[0])


def short(cairo_type: str) -> str:
    """A type of the ABI as the sources write it."""
    return re.sub(r"(?:\w+::)+(?=\w)", "", cairo_type).replace("::<", "<")


# --- nothing is left out: the ABI, which the compiler writes, against the text ------------------------------


def test_it_is_published() -> None:
    spec.check()


@pytest.mark.parametrize(
    ("contract", "function"),
    [
        (contract, function)
        for contract, entry in ENTRIES
        for function in (entry["items"] if entry["type"] == "interface" else [entry])
        if function["type"] in ("function", "constructor")
    ],
    ids=lambda value: value if isinstance(value, str) else value["name"],
)
def test_every_entry_point_is_there(contract: str, function: dict[str, Any]) -> None:
    is_constructor = function["type"] == "constructor"
    text = section(contract if is_constructor else function["name"])
    view = not is_constructor and function["state_mutability"] == "view"
    parameters = [
        f"{'self: @' if view else 'ref self: '}{'ContractState' if is_constructor else 'TState'}",
        *(f"{one['name']}: {short(one['type'])}" for one in function["inputs"]),
    ]
    answer = "".join(f" -> {short(one['type'])}" for one in function.get("outputs", ()))
    assert f"```cairo\nfn {function['name']}({', '.join(parameters)}){answer}\n```" in text
    if not is_constructor:
        assert "- **Access:** " in text


@pytest.mark.parametrize(
    ("contract", "event"),
    [(name, entry) for name, entry in ENTRIES if entry["type"] == "event" and entry["kind"] == "struct"],
    ids=lambda value: value if isinstance(value, str) else short(value["name"]),
)
def test_every_event_is_there(contract: str, event: dict[str, Any]) -> None:
    text = section(short(event["name"]))
    assert f"- **From:** `{contract}`" in text
    for line, kind in (("Further keys", "key"), ("Data", "data")):
        members = [one for one in event["members"] if one["kind"] == kind]
        fields = ", ".join(f"`{one['name']}: {short(one['type'])}`" for one in members)
        assert f"- **{line}:** {fields or 'none'}\n" in text


def test_every_entry_of_a_history_has_its_kind() -> None:
    in_sources = re.findall(r"pub const ([A-Z_]+): felt252 = (\d+);", SOURCES)
    assert len(in_sources) == 23
    published = re.findall(
        r"^### (\w+)\n[^#]*?^- \*\*Entry of:\*\* (the [^,]*), kind (\d+)$", SPEC, re.M | re.S
    )
    assert {(re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper(), kind) for name, _, kind in published} == set(
        in_sources
    )
    assert {(history, int(kind) // 32) for _, history, kind in published} == {
        ("the consent history", 0),
        ("the access log", 1),
        ("the registry's history", 2),
    }


def test_a_list_stands_below_its_heading_and_a_single_item_beside_it() -> None:
    text = section("suspend_entity")
    assert (
        "- **Preconditions:** registered and not suspended\n"
        "- **Effects:**\n"
        "  - writes the entity's cell\n"
        "  - appends to the registry's history\n"
        "- **Emits:** `EntitySuspended`\n"
    ) in text


def test_errors_adopted_from_another_function_are_spelt_out() -> None:
    assert "**Errors:** `ACCESS/BAD_PURPOSE`, " in section("request_access_batch")


@pytest.mark.parametrize(
    "structure",
    [entry for _, entry in ENTRIES if entry["type"] == "struct" and entry["name"].startswith("medsync")],
    ids=lambda structure: short(structure["name"]),
)
def test_every_struct_is_there(structure: dict[str, Any]) -> None:
    rows = re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", section(short(structure["name"])), re.M)
    assert rows == [(one["name"], short(one["type"])) for one in structure["members"]]


@pytest.mark.parametrize(
    "enum",
    [entry for _, entry in ENTRIES if entry["type"] == "enum" and entry["name"].startswith("medsync")],
    ids=lambda enum: short(enum["name"]),
)
def test_every_enum_is_there(enum: dict[str, Any]) -> None:
    text, variants = section(short(enum["name"])), enum["variants"]
    if any(one["type"] != "()" for one in variants):
        rows = re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", text, re.M)
        assert rows == [(one["name"], short(one["type"])) for one in variants]
    else:
        rows = re.findall(r"^\| (\d+) \| `(\w+)` \| .", text, re.M)
        assert rows == [(str(index), one["name"]) for index, one in enumerate(variants)]


def test_every_error_code_is_there_and_can_happen() -> None:
    in_sources = set(re.findall(r"felt252 = '([A-Z]+/[A-Z_]+)'", SOURCES))
    rows = re.findall(r"^\| `([A-Z]+/[A-Z_]+)` \| (.+) \| (.*) \|$", SPEC, re.M)
    assert {code for code, _, _ in rows} == in_sources
    assert len(rows) == len(in_sources)
    for code, meaning, functions in rows:
        assert meaning, code
        assert functions, f"no function says that it fails with {code}"


def test_every_interface_id_is_the_sources() -> None:
    in_sources = re.findall(r"const (I\w+)_ID: felt252 =\s+(0x[0-9a-f]+);", SOURCES)
    assert len(in_sources) == 7
    rows = re.findall(r"^\| `\w+` \| \[`(I\w+)`\]\(#\w+\) \| `(0x[0-9a-f]+)` \|$", SPEC, re.M)
    # `ISNIP12Metadata` is no interface of ours, and has none.
    assert {(name.replace("_", "").lower(), felt) for name, felt in in_sources} == {
        (name.lower(), felt) for name, felt in rows
    }


def test_every_storage_variable_and_packed_struct_is_there() -> None:
    variables = re.findall(r"^        (?:pub )?(\w+): Map<", SOURCES, re.M)
    assert len(variables) == 14
    assert set(variables) <= set(re.findall(r"^\| `(\w+)` \| `\S+.*` \|", SPEC, re.M))
    packed = re.findall(r"of StorePacking<(\w+),", SOURCES)
    assert sorted(re.findall(r"^- `(\w+)`: .*`\w+:\d+", section("Packed cells"), re.M)) == sorted(packed)


@pytest.mark.parametrize("layout", re.findall(r"^- `\w+`: .*", section("Packed cells"), re.M))
def test_every_layout_fits_a_felt(layout: str) -> None:
    low, _, high = layout.partition(" and above ")
    widths = [sum(int(width) for width in re.findall(r"\w+:(\d+)", part)) for part in (low, high)]
    assert 0 < sum(widths) <= 251
    assert not high or (widths[0] <= 128 and widths[1] <= 123)


# --- test vectors, recomputed with cairo-lang ---------------------------------------------------------------


def vector(heading: str) -> list[int]:
    """The felts of the vector under a heading; the last one is the result."""
    block = re.search(r"```text\n(.*?)```", section(heading), re.S)
    assert block is not None
    return [int(line.split()[-1], 16) for line in block[1].splitlines() if line]


def test_campaign_id_vector() -> None:
    *fields, result = vector("Campaign id")
    assert len(fields) == 11
    assert poseidon_hash_many(fields) == result


@pytest.mark.parametrize(
    ("history", "tag", "count"),
    [
        ("the consent history", "MEDSYNC/CONSENTS/2", 22),
        ("the access log", "MEDSYNC/ACCESSES/2", 19),
        ("the registry's history", "MEDSYNC/REGISTRY/2", 11),
    ],
)
def test_entry_digest_vectors(history: str, tag: str, count: int) -> None:
    *fields, digest = vector(f"Digest in {history}")
    assert (len(fields), fields[0]) == (count, short_string(tag))
    assert poseidon_hash_many(fields) % 2**219 == digest


def test_digest_of_a_second_entry() -> None:
    *fields, first = vector("Digest in the access log")
    text = section("Digest in the registry's history")
    assert f"whose digest is `{first:#x}`" in text
    # What the sentence says, and nothing else.
    fields[4:7] = [first, 2, fields[6] + 1]
    fields[11:13] = [1, 14]
    assert f"gives `{poseidon_hash_many(fields) % 2**219:#x}`" in text


def test_fields_of_entries_are_the_events() -> None:
    """In the order of the compiler's ABI, without what stands before them."""
    events = {short(entry["name"]): entry for _, entry in ENTRIES if entry["type"] == "event"}
    before = {"patient", "seq", "at"}
    for history, name in (
        ("the consent history", "ConsentAdded"),
        ("the access log", "AccessLogged"),
        ("the registry's history", "EntityRegistered"),
    ):
        names = re.findall(r"^(\w+) +0x", section(f"Digest in {history}"), re.M)
        members = [member["name"] for member in events[name]["members"] if member["name"] not in before]
        assert names[8:-1] == members


def test_commitment_vector() -> None:
    domain, digest, salt, result = vector("Commitments")
    text = re.search(r"For the 41 bytes `(.*)`:", section("Commitments"))
    assert text is not None
    data = text[1].encode()
    assert (
        poseidon_hash_many([len(data), *(int.from_bytes(part) for part in (data[:31], data[31:]))]) == digest
    )
    assert poseidon_hash_many([domain, digest, salt]) == result


def short_string(text: str) -> int:
    return int.from_bytes(text.encode())


def test_leaf_vectors() -> None:
    text = section("Leaf values")
    block = re.search(r"```json\n(.*?)```", text, re.S)
    assert block is not None
    rows = re.findall(r"^\| `(\w+)` \| (.*) \| `(0x[0-9a-f]+)` \|$", text, re.M)
    operations = [json.loads(line) for line in block[1].splitlines()]
    assert (
        [kind for kind, _, _ in rows]
        == [one["kind"] for one in operations]
        == ["RECORD", "ERASED", "RECEIPT"]
    )
    for (kind, fields, leaf), operation in zip(rows, operations, strict=True):
        felts = [short_string("MEDSYNC/LEAF/1"), short_string(kind)]
        for name in re.findall(r"`(\w+)`", fields):
            value = operation[name]
            if name in ("id", "ticket"):
                felts += [int(value[start : start + 32], 16) for start in range(0, len(value), 32)]
            elif value is None or isinstance(value, int):
                felts.append(value or 0)
            else:
                felts.append(int(value, 16) if value.startswith("0x") else short_string(value))
        assert poseidon_hash_many(felts) == int(leaf, 16), kind


def test_merkle_vectors() -> None:
    values = list(range(1, 8))
    assert vector("Merkle logs") == [
        *(rfc9162.tree_hash(values[:size]) for size in range(1, 8)),
        *rfc9162.inclusion(4, values),
        *rfc9162.consistency(3, values),
    ]


@pytest.mark.parametrize(
    ("heading", "tag", "count"),
    [
        ("Anchor messages", "MEDSYNC/ANCHOR/2", 10),
        ("Rotation messages", "MEDSYNC/ROTATION/1", 10),
        ("Draws by key", "MEDSYNC/DRAW/1", 7),
    ],
)
def test_vectors_of_what_keys_sign(heading: str, tag: str, count: int) -> None:
    *fields, result = vector(heading)
    assert len(fields) == count
    assert fields[0] == short_string(tag)
    assert poseidon_hash_many(fields) == result


def test_identity_vectors() -> None:
    text = section("Node identities")
    key = bytes(range(32))
    assert f"`{key.hex()}`" in text
    halves = int.from_bytes(key[:16]), int.from_bytes(key[16:])
    for kind in ("EMBEDDED", "CALIMERO"):
        assert f"| `{kind}` | `{poseidon_hash_many([short_string(kind), *halves]):#x}` |" in text


def test_message_vectors() -> None:
    def type_hash(name: str) -> int:
        found = re.search(r"^Type hash `(0x[0-9a-f]+)`\.$", section(f"Message type {name}"), re.M)
        assert found is not None
        return int(found[1], 16)

    def signed(*fields: int) -> str:
        domain = [short_string("MedSync"), short_string("v2"), short_string("SN_SEPOLIA"), 1]
        domain_hash = poseidon_hash_many([type_hash("StarknetDomain"), *domain])
        parts = [short_string("StarkNet Message"), domain_hash, 0x222, poseidon_hash_many(fields)]
        return f"`{poseidon_hash_many(parts):#x}`"

    start, end, purpose = 1_767_225_600, 1_769_817_600, short_string("HRESCH")
    consent = [0x111, 0x333, purpose, 0x50D, 144, start, end, 3, 1, 0x777, 1, 4, 2, start]
    revocation = signed(type_hash("Revocation"), 0x111, 0x333, purpose, 0x50D, 4, start)
    *_, campaign = vector("Campaign id")
    text = section("Message hashes")
    assert f"| `Consent` | {signed(type_hash('Consent'), *consent)} |" in text
    assert f"| `RewardedConsent` | {signed(type_hash('RewardedConsent'), *consent, campaign)} |" in text
    assert f"| `Revocation` | {revocation} |" in text


# --- drift is noticed ---------------------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what the specification is made of, and of the specification."""
    for name in ("Scarb.toml", spec.PATH, *(f"medsync/artifacts/{name}.abi.json" for name in ABIS)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "contracts", tmp_path / "contracts", ignore=shutil.ignore_patterns("target"))
    monkeypatch.setattr(repository, "root", lambda: tmp_path)
    return tmp_path


def rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


DRIFTS: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "none": (lambda root: None, []),
    "effect added": (
        lambda root: rewrite(
            root / "contracts/interfaces/src/access_log.cairo",
            "/// - writes the emergency\n",
            "/// - writes the emergency\n    /// - howls\n",
        ),
        ["justify_emergency: changed"],
    ),
    "error code added": (
        lambda root: rewrite(
            root / "contracts/interfaces/src/reward_pool.cairo",
            "    /// The rate is zero.\n",
            "    /// The moon is full.\n    pub const FULL_MOON: felt252 = 'POOL/FULL_MOON';\n"
            "    /// The rate is zero.\n",
        ),
        ["Errors of RewardPool: changed"],
    ),
    "field renamed": (
        lambda root: rewrite(root / "contracts/interfaces/src/entity_registry.cairo", "pub by:", "pub who:"),
        ["EntitySuspended: changed"],
    ),
    "layout changed": (
        lambda root: rewrite(
            root / "contracts/src/entity_registry/cells.cairo",
            "`role:8 | suspended:1",
            "`role:7 | suspended:1",
        ),
        ["Packed cells: changed"],
    ),
    "interface changed in the ABI": (
        lambda root: rewrite(
            root / "medsync/artifacts/RewardPool.abi.json", '"name": "liabilities"', '"name": "debts"'
        ),
        ["Contracts and interfaces: changed"],
    ),
    "edited by hand": (
        lambda root: rewrite(root / spec.PATH, "## Storage\n", "## Storage\n\nAll is well.\n"),
        ["Storage: changed"],
    ),
    "headings exchanged": (
        lambda root: (root / spec.PATH).write_text(
            SPEC.replace("## Storage\n" + section("Storage"), "") + "## Storage\n" + section("Storage")
        ),
        ["the order of the headings"],
    ),
    "lost": (lambda root: (root / spec.PATH).unlink(), ["MedSync: specification: missing"]),
}


@pytest.mark.parametrize("drift", DRIFTS)
def test_drift_is_noticed(checkout: Path, drift: str) -> None:
    happen, expected = DRIFTS[drift]
    happen(checkout)
    if not expected:
        spec.check()
        return
    with pytest.raises(VerificationError) as caught:
        spec.check()
    assert caught.value.findings[: len(expected)] == expected
    assert drift == "lost" or len(caught.value.findings) == len(expected)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("    /// Calls the hand-over off.\n    ///\n", "", "cancel_admin_transfer has no documentation"),
        ("    /// The address is zero.\n", "", "ENTITY/ZERO_ADDRESS has no documentation"),
        ("`ENTITY/BAD_ROLE`,\n", "`ENTITY/MAD_ROLE`,\n", "undefined errors: ['ENTITY/MAD_ROLE']"),
    ],
)
def test_undocumented_sources_are_refused(checkout: Path, old: str, new: str, message: str) -> None:
    rewrite(checkout / "contracts/interfaces/src/entity_registry.cairo", old, new)
    with pytest.raises(SourceError, match=re.escape(message)):
        contract_reference(checkout / "contracts/src")


def test_the_verb_writes_checks_and_says_what_drifted(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkout / "deployments").mkdir()
    shutil.copytree(
        ROOT / "tests", checkout / "tests", ignore=shutil.ignore_patterns("artifacts", "__pycache__")
    )
    assert main(["reference"]) == ExitCode.OK
    (checkout / spec.PATH).write_text(SPEC.replace("## Hashes\n", "## Hash\n"))
    assert main(["reference", "--check"]) == ExitCode.NOT_VERIFIED
    assert "  Hashes: missing\n  Hash: does not belong there\n" in capsys.readouterr().err
    assert main(["reference"]) == ExitCode.OK
    assert (checkout / spec.PATH).read_text() == SPEC
    assert main(["reference", "--check"]) == ExitCode.OK
    with pytest.raises(SystemExit) as refused:
        main(["reference", "--chekc"])
    assert refused.value.code == ExitCode.USAGE
