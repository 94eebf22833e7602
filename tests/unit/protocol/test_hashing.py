"""Hashes against oracles that share no code with them: cairo-lang's Poseidon, eth-hash's keccak, starknet
contracts' published ids, and the type strings in the contracts' sources."""

import json
import re
from dataclasses import replace

import pytest
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st
from starkware.cairo.common.poseidon_hash import poseidon_hash_many

from medsync.protocol import chains, events, hashing, messages, src5
from medsync.protocol.events import event_name
from medsync.protocol.felt import (
    PRIME,
    InvalidValue,
    decode_short_string,
    encode_short_string,
    parse_felt,
)
from medsync.protocol.types import CampaignTerms, ConsentTerms
from medsync.protocol.vocabulary import Category, Purpose
from scripts import repository
from tests.harness import typed_data, words
from tests.harness.histories import (
    CHAIN,
    CONSENT_TERMS,
    CONTRACT,
    HISTORY,
    PATIENT,
    POOL,
    RESEARCHER,
    START,
    STUDY,
    TERMS,
    digests_of,
)

ROOT = repository.root()
SOURCES = ROOT / "contracts/src"


def oracle_keccak(text: str) -> int:
    return int.from_bytes(keccak(text.encode("ascii")), "big") & (2**250 - 1)


# --- felts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "felt"), [("", 0), ("A", 0x41), ("SN_MAIN", 0x534E5F4D41494E), ("~" * 31, None)]
)
def test_short_strings(text, felt):
    encoded = encode_short_string(text)
    assert encoded == felt or felt is None
    assert decode_short_string(encoded) == text


@pytest.mark.parametrize("text", ["x" * 32, "é"])
def test_text_that_is_no_short_string(text):
    with pytest.raises(InvalidValue, match="at most 31 ASCII characters"):
        encode_short_string(text)


@pytest.mark.parametrize("felt", [1, 0x41FF, 2**250, int.from_bytes(b"A\0B")])
def test_felt_that_is_no_short_string(felt):
    with pytest.raises(InvalidValue, match="is not a short string"):
        decode_short_string(felt)


def test_parse_felt():
    assert parse_felt("0x0", "x") == 0
    assert parse_felt(hex(PRIME - 1), "x") == PRIME - 1
    for text in ("", "0x", "10", "0x_1", "0xg", " 0x1", "0x1 ", "-0x1", 1, hex(PRIME)):
        with pytest.raises(InvalidValue, match="amount must be"):
            parse_felt(text, "amount")


# --- Poseidon and keccak ------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, PRIME - 1) | st.sampled_from([0, 1, PRIME - 1]), max_size=8))
def test_poseidon_is_cairo_langs(felts):
    assert hashing.poseidon(felts) == poseidon_hash_many(felts)


@pytest.mark.parametrize("felts", [[PRIME], [-1], [1, True], ["1"]])
def test_poseidon_takes_felts_only(felts):
    with pytest.raises(InvalidValue, match=r"felt . of a Poseidon hash"):
        hashing.poseidon(felts)


def test_keccak_known_answer():
    # Keccak-256 of nothing, as every Ethereum implementation has it, cut to 250 bits.
    empty = 0xC5D2460186F7233C927E7DB2DCC703C0E500B653CA82273B7BFAD8045D85A470
    assert hashing.starknet_keccak("") == empty & (2**250 - 1)
    assert (
        hashing.starknet_keccak("transfer")
        == 0x83AFD3F4CAEDC6EEBF44246FE54E38C95E3179A5EC9EA81740ECA5B482D12E
    )


@given(st.text(st.characters(codec="ascii"), max_size=300))
def test_keccak_is_eth_hashs(text):
    assert hashing.starknet_keccak(text) == oracle_keccak(text)


def abis() -> dict[str, list[dict]]:
    return {
        name: json.loads((ROOT / f"medsync/artifacts/{name}.abi.json").read_text())
        for name in ("MedSync", "PrivateAnchor", "RewardPool")
    }


def test_every_selector_is_eth_hashs():
    functions = {item["name"] for abi in abis().values() for entry in abi for item in entry.get("items", ())}
    assert len(functions) > 40
    for name in functions:
        assert hashing.starknet_keccak(name) == oracle_keccak(name)


# --- SRC-5 --------------------------------------------------------------------------------------------------

U256 = {
    "type": "struct",
    "name": "core::integer::u256",
    "members": [
        {"name": "low", "type": "core::integer::u128"},
        {"name": "high", "type": "core::integer::u128"},
    ],
}
BOOL = {
    "type": "enum",
    "name": "core::bool",
    "variants": [{"name": "False", "type": "()"}, {"name": "True", "type": "()"}],
}
SPAN = {
    "type": "struct",
    "name": "core::array::Span::<core::felt252>",
    "members": [{"name": "snapshot", "type": "@core::array::Array::<core::felt252>"}],
}
CALL = {
    "type": "struct",
    "name": "core::starknet::account::Call",
    "members": [
        {"name": "to", "type": "core::starknet::contract_address::ContractAddress"},
        {"name": "selector", "type": "core::felt252"},
        {"name": "calldata", "type": "core::array::Array::<core::felt252>"},
    ],
}
ADDRESS = "core::starknet::contract_address::ContractAddress"


def function(name: str, inputs: list[str], outputs: list[str]) -> dict:
    return {
        "type": "function",
        "name": name,
        "inputs": [{"name": f"p{index}", "type": kind} for index, kind in enumerate(inputs)],
        "outputs": [{"type": kind} for kind in outputs],
    }


def interface(name: str, *functions: dict) -> dict:
    return {"type": "interface", "name": name, "items": list(functions)}


def test_published_interface_ids():
    """Ids that the ecosystem publishes: SNIP-5's own, SNIP-6 accounts, ERC-721 tokens."""
    u256, span = U256["name"], SPAN["name"]
    calls = f"core::array::Array::<{CALL['name']}>"
    abi = [
        U256,
        BOOL,
        SPAN,
        CALL,
        interface("src5::ISRC5", function("supports_interface", ["core::felt252"], ["core::bool"])),
        interface(
            "account::ISRC6",
            function(
                "is_valid_signature",
                ["core::felt252", "core::array::Array::<core::felt252>"],
                ["core::felt252"],
            ),
            function("__execute__", [calls], [f"core::array::Array::<{span}>"]),
            function("__validate__", [calls], ["core::felt252"]),
        ),
        interface(
            "token::IERC721",
            function("balance_of", [ADDRESS], [u256]),
            function("owner_of", [u256], [ADDRESS]),
            function("transfer_from", [ADDRESS, ADDRESS, u256], []),
            function("safe_transfer_from", [ADDRESS, ADDRESS, u256, span], []),
            function("approve", [ADDRESS, u256], []),
            function("set_approval_for_all", [ADDRESS, "core::bool"], []),
            function("get_approved", [u256], [ADDRESS]),
            function("is_approved_for_all", [ADDRESS, ADDRESS], ["core::bool"]),
        ),
    ]
    assert src5.interface_id(abi, "ISRC5") == src5.SRC5_ID
    assert (
        src5.interface_id(abi, "account::ISRC6")
        == 0x2CECCEF7F994940B3962A6C67E0BA4FCD37DF7D131417C604F91E03CAECC1CD
    )
    assert (
        src5.interface_id(abi, "IERC721") == 0x33EB2F84C309543403FD69F0D0F363781EF06EF6FAEB0131FF16EA3175BD943
    )


def test_snip5_example_signature():
    abi = [
        U256,
        BOOL,
        {
            "type": "enum",
            "name": "MyEnum",
            "variants": [
                {"name": "FirstVariant", "type": "(core::felt252, core::integer::u256)"},
                {"name": "SecondVariant", "type": "core::array::Array::<core::integer::u128>"},
            ],
        },
        {
            "type": "struct",
            "name": "MyStruct",
            "members": [{"name": "field1", "type": "MyEnum"}, {"name": "field2", "type": "core::felt252"}],
        },
    ]
    foo = function("foo", ["@MyEnum", "MyStruct"], ["core::bool"])
    assert (
        src5.signature(abi, foo)
        == "foo(@E((felt252,(u128,u128)),Array<u128>),(E((felt252,(u128,u128)),Array<u128>),felt252))"
        "->E((),())"
    )
    assert src5.signature(abi, function("none", [], [])) == "none()"


def test_nested_generics_and_tuples():
    kind = "(core::array::Array::<(core::felt252, core::bool)>, core::integer::u8)"
    assert src5.type_name([BOOL], kind) == "(Array<(felt252,E((),()))>,u8)"


def test_interface_must_be_there_once():
    abi = [interface("a::IThing"), interface("b::IThing")]
    with pytest.raises(InvalidValue, match="2 interfaces named 'IThing'"):
        src5.interface_id(abi, "IThing")
    with pytest.raises(InvalidValue, match="0 interfaces named 'Thing'"):
        src5.interface_id(abi, "Thing")
    assert src5.interface_id(abi, "b::IThing") == 0


def test_ids_in_the_sources_are_their_interfaces():
    """Every `I..._ID` constant of the sources, recomputed from the ABI with eth-hash."""
    constants = {}
    for source in (ROOT / "contracts/interfaces/src").glob("*.cairo"):
        for name, value in re.findall(r"pub const I(\w+)_ID: felt252 =\s*(0x[0-9a-f]+);", source.read_text()):
            constants[name.replace("_", "")] = int(value, 16)
    found = {}
    for abi in abis().values():
        for entry in abi:
            if entry["type"] == "interface":
                bare = entry["name"].rpartition("::I")[2].upper()
                oracle = 0
                for item in entry["items"]:
                    oracle ^= oracle_keccak(src5.signature(abi, item))
                assert src5.interface_id(abi, entry["name"]) == oracle
                found[bare] = oracle
    # What a wallet reads has no id: SNIP-12 names none.
    del found["SNIP12METADATA"]
    assert found == constants
    assert set(found) == {
        *("SRC5", "ENTITYREGISTRY", "CONSENTREGISTRY", "ACCESSLOG", "REWARDBUDGETS", "REWARDPOOL"),
        "PRIVATEANCHOR",
    }


# --- SNIP-12 ------------------------------------------------------------------------------------------------


def test_type_strings_are_the_sources():
    strings = set()
    for name in ("campaign.cairo", "snip12.cairo"):
        for text in re.findall(r'selector!\(\s*"((?:[^"\\]|\\.)*)",?\s*\)', (SOURCES / name).read_text()):
            strings.add(text.replace('\\"', '"'))
    assert strings == {hashing.encode_type(name) for name in hashing.SNIP12_TYPES}
    for name, type_hash in hashing.TYPE_HASHES.items():
        assert type_hash == oracle_keccak(hashing.encode_type(name))


felts = st.integers(0, PRIME - 1)
addresses = st.integers(0, 2**251 - 257)
campaign_terms = st.builds(
    CampaignTerms,
    pool=addresses,
    funder=addresses,
    purpose=st.sampled_from(Purpose),
    study=felts,
    rate=st.integers(0, 2**128 - 1),
    custodian=addresses,
    custodian_bps=st.integers(0, 2**16 - 1),
    expires_at=st.integers(0, 2**64 - 1),
    spender=addresses,
    salt=felts,
)
consent_terms = st.builds(
    ConsentTerms,
    purpose=st.sampled_from(Purpose),
    study=felts,
    categories=st.integers(0, 2**32 - 1).map(Category),
    starts_at=st.integers(0, 2**64 - 1),
    expires_at=st.integers(0, 2**64 - 1),
    max_uses=st.integers(0, 2**32 - 1),
    scoped=st.booleans(),
    reward=st.none() | campaign_terms,
    terms_commitment=felts,
)


u32 = st.integers(0, 2**32 - 1)


def types_of(*names: str) -> dict:
    """Types of SNIP-12 as a wallet gets them, from what the contracts' sources hash."""
    text = (SOURCES / "snip12.cairo").read_text() + (SOURCES / "campaign.cairo").read_text()
    written = text.replace('\\"', '"')
    found = {}
    for name in names:
        (fields,) = set(re.findall(rf'"{name}"\(((?:"\w+":"\w+",?)+)\)', written))
        found[name] = [
            {"name": field, "type": kind} for field, kind in re.findall(r'"(\w+)":"(\w+)"', fields)
        ]
    return found


@given(consent_terms, addresses, u32, u32, u32, st.integers(0, 2**64 - 1), felts)
def test_consent_messages_are_what_a_wallet_signs(
    terms, grantee, version, generation, counter, deadline, patient
):
    """The message is JSON, says the terms, and hashes as the standard says."""
    message = messages.consent_message(
        CHAIN, CONTRACT, grantee, terms, version, generation, counter, deadline
    )
    assert json.loads(json.dumps(message)) == message
    kind = "Consent" if terms.reward is None else "RewardedConsent"
    values = {
        "contract": CONTRACT,
        "grantee": grantee,
        "purpose": terms.purpose.value,
        "study": terms.study,
        "categories": int(terms.categories),
        "starts_at": terms.starts_at,
        "expires_at": terms.expires_at,
        "max_uses": terms.max_uses,
        "scoped": terms.scoped,
        "terms_commitment": terms.terms_commitment,
        "version": version,
        "generation": generation,
        "counter": counter,
        "deadline": deadline,
    }
    names = ["StarknetDomain", kind]
    if terms.reward is not None:
        names.append("CampaignTerms")
        values["reward"] = {
            "pool": terms.reward.pool,
            "funder": terms.reward.funder,
            "purpose": terms.reward.purpose.value,
            "study": terms.reward.study,
            "rate": terms.reward.rate,
            "custodian": terms.reward.custodian,
            "custodian_bps": terms.reward.custodian_bps,
            "expires_at": terms.reward.expires_at,
            "spender": terms.reward.spender,
            "salt": terms.reward.salt,
        }
        own_id = typed_data.struct_hash("CampaignTerms", types_of("CampaignTerms"), values["reward"])
        assert terms.reward.id == own_id
    expected = {
        "types": types_of(*names),
        "primaryType": kind,
        "domain": {"name": "MedSync", "version": "v2", "chainId": CHAIN, "revision": 1},
        "message": values,
    }
    assert messages.message_hash(message, patient) == typed_data.message_hash(expected, patient)
    assert typed_data.message_hash(message, patient) == typed_data.message_hash(expected, patient)


@given(addresses, st.sampled_from(Purpose), felts, u32, st.integers(0, 2**64 - 1), felts)
def test_revocation_messages_are_what_a_wallet_signs(grantee, purpose, study, generation, deadline, patient):
    message = messages.revocation_message(CHAIN, CONTRACT, grantee, purpose, study, generation, deadline)
    assert json.loads(json.dumps(message)) == message
    expected = {
        "types": types_of("StarknetDomain", "Revocation"),
        "primaryType": "Revocation",
        "domain": {"name": "MedSync", "version": "v2", "chainId": CHAIN, "revision": 1},
        "message": {
            "contract": CONTRACT,
            "grantee": grantee,
            "purpose": purpose.value,
            "study": study,
            "generation": generation,
            "deadline": deadline,
        },
    }
    assert messages.message_hash(message, patient) == typed_data.message_hash(expected, patient)


SIGNED = replace(CONSENT_TERMS, study=STUDY, scoped=True)
MESSAGES = {
    "Consent": messages.consent_message(CHAIN, CONTRACT, RESEARCHER, SIGNED, 3, 2, 7, START),
    "RewardedConsent": messages.consent_message(
        CHAIN, CONTRACT, RESEARCHER, replace(SIGNED, reward=TERMS), 3, 2, 7, START
    ),
    "Revocation": messages.revocation_message(CHAIN, CONTRACT, RESEARCHER, Purpose.HRESCH, STUDY, 2, START),
}

STARKNET_JS = {
    "Consent": 0x30AB03E7B0C2B2DFE367124073D251E2A23E1FCCFE79B793A31A3D832050117,
    "RewardedConsent": 0x30F7D02150C5122946DCB929211A80AC3FC7F2F943B3559E5ACEFE0C8ABDF74,
    "Revocation": 0x7E939EB1CAE27D045ADD5C278BED7FA642D74F7E7B806FA67EBD03C64EFF393,
}
"""`typedData.getMessageHash(message, PATIENT)` of starknet.js 10.8.0."""


@pytest.mark.parametrize("kind", STARKNET_JS)
def test_starknet_js_hashes_the_same(kind):
    assert MESSAGES[kind]["primaryType"] == kind
    assert messages.message_hash(MESSAGES[kind], PATIENT) == STARKNET_JS[kind]
    assert typed_data.message_hash(MESSAGES[kind], PATIENT) == STARKNET_JS[kind]


def test_what_a_wallet_shows():
    message = MESSAGES["RewardedConsent"]
    assert set(message["types"]) == {"StarknetDomain", "RewardedConsent", "CampaignTerms"}
    assert message["domain"] == {"name": "MedSync", "version": "v2", "chainId": "SN_SEPOLIA", "revision": 1}
    shown = {name: message["message"][name] for name in ("purpose", "study", "scoped", "version", "counter")}
    assert shown == {"purpose": "HRESCH", "study": "0x57d7", "scoped": True, "version": "3", "counter": "7"}
    assert message["message"]["reward"]["rate"] == "1000000000000000001"


def test_every_field_is_signed():
    """Messages that differ in one field, the chain, the contract or the account have different hashes."""
    base = (CHAIN, CONTRACT, RESEARCHER, CONSENT_TERMS, 3, 2, 7, START)
    variants = [base]
    other_chain = encode_short_string("SN_MAIN")
    for index, other in ((0, other_chain), (1, 1), (2, 1), (4, 4), (5, 8), (6, 9), (7, START + 1)):
        variants.append((*base[:index], other, *base[index + 1 :]))
    for change in (
        {"purpose": Purpose.TREAT},
        {"study": 1},
        {"categories": Category.ALL},
        {"starts_at": 1},
        {"expires_at": START},
        {"max_uses": 0},
        {"scoped": True},
        {"terms_commitment": 0},
        {"reward": TERMS},
    ):
        variants.append((*base[:3], replace(CONSENT_TERMS, **change), *base[4:]))
    hashes = {messages.message_hash(messages.consent_message(*variant), PATIENT) for variant in variants}
    assert len(hashes) == len(variants)
    assert messages.message_hash(messages.consent_message(*base), RESEARCHER) not in hashes


def test_a_draw_is_what_the_pool_hashes():
    drawn = messages.draw_message(CHAIN, POOL, key=9, amount=5, recipient=PATIENT, nonce=2)
    assert drawn == poseidon_hash_many([words.felt("MEDSYNC/DRAW/1"), CHAIN, POOL, 9, 5, PATIENT, 2])


# --- histories ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("history", HISTORY.histories, ids=lambda history: history.chain.name)
def test_digests_are_the_oracles(history):
    """Every kind of entry, hashed by poseidon_py in the order of the contract's ABI."""
    expected = digests_of(history.entries)
    assert chains.entry_digests(CHAIN, CONTRACT, history.entries) == expected
    assert max(expected) < 2**219
    previous = 0
    for entry, digest in zip(history.entries, expected, strict=True):
        assert chains.entry_digest(CHAIN, CONTRACT, previous, entry) == digest
        previous = digest
    assert chains.entry_digests(CHAIN, CONTRACT, history.entries[3:], expected[2]) == expected[3:]
    assert chains.entry_digests(CHAIN, CONTRACT, []) == []


def test_kinds_are_the_contracts():
    assert {event_name(kind): code for kind, code in chains.KINDS.items()} == words.KINDS
    source = (ROOT / "contracts/interfaces/src/chain.cairo").read_text()
    codes = re.findall(r"pub const (\w+): felt252 = (\d+);", source)
    assert {name.replace("_", ""): int(code) for name, code in codes} == {
        name.upper(): code for name, code in words.KINDS.items()
    }
    tags = re.findall(r"pub const \w+_TAG: felt252 = '([\w/]+)';", source)
    assert tags == [chain.value for chain in chains.Chain]
    assert [words.felt(tag) for tag in tags] == [chain.tag for chain in chains.Chain]


def test_every_entry_has_its_chain_and_subject():
    for history in HISTORY.histories:
        assert {type(entry) for entry in history.entries} == set(history.chain.kinds)
        assert {chains.chain_of(entry) for entry in history.entries} == {history.chain}
        assert {chains.subject_of(entry) for entry in history.entries} == {history.subject}
    assert chains.chain_of(events.ConsentRequested) is None
    assert chains.chain_of(events.PoolCreated) is None
