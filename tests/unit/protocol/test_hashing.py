"""Hashes against oracles that share no code with them: cairo-lang's Poseidon, eth-hash's keccak, starknet
contracts' published ids, and the type strings in the contracts' sources."""

import json
import re
from dataclasses import astuple, replace

import pytest
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st
from starkware.cairo.common.poseidon_hash import poseidon_hash_many

from medsync.log import completeness
from medsync.protocol import hashing, messages, src5
from medsync.protocol.felt import PRIME, InvalidValue, decode_short_string, encode_short_string, parse_felt
from medsync.protocol.types import CampaignTerms, ConsentTerms
from medsync.protocol.vocabulary import Category, Purpose
from scripts import repository
from tests.harness.histories import CHAIN, CONSENT_TERMS, CONTRACT, ENTRIES, PATIENT, RESEARCHER, START, TERMS
from tests.model import log as model
from tests.model import words

ROOT = repository.root()
SOURCES = ROOT / "contracts/src"


def oracle_keccak(text: str) -> int:
    return int.from_bytes(keccak(text.encode("ascii")), "big") & (2**250 - 1)


def modelled(terms: CampaignTerms) -> words.CampaignTerms:
    return words.CampaignTerms(
        *[value.felt if isinstance(value, Purpose) else value for value in astuple(terms)]
    )


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
    for source in SOURCES.glob("*.cairo"):
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
    assert found == constants
    assert set(found) == {
        *("SRC5", "ENTITYREGISTRY", "CONSENTREGISTRY", "ACCESSLOG", "REWARDPOOL", "PRIVATEANCHOR"),
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


def test_campaign_id_is_the_models():
    assert TERMS.id == model.campaign_id(modelled(TERMS))
    assert replace(TERMS, salt=TERMS.salt + 1).id != TERMS.id


felts = st.integers(0, PRIME - 1)
addresses = st.integers(0, 2**251 - 257)
campaign_terms = st.builds(
    CampaignTerms,
    pool=addresses,
    funder=addresses,
    purpose=st.sampled_from(Purpose),
    rate=st.integers(0, 2**128 - 1),
    custodian=addresses,
    custodian_bps=st.integers(0, 2**16 - 1),
    expires_at=st.integers(0, 2**64 - 1),
    salt=felts,
)
consent_terms = st.builds(
    ConsentTerms,
    purpose=st.sampled_from(Purpose),
    categories=st.integers(0, 2**32 - 1).map(Category),
    starts_at=st.integers(0, 2**64 - 1),
    expires_at=st.integers(0, 2**64 - 1),
    max_uses=st.integers(0, 2**32 - 1),
    reward=st.none() | campaign_terms,
    terms_commitment=felts,
)


@given(
    consent_terms, addresses, st.integers(1, 2**32 - 1), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)
)
def test_consent_message_is_the_models(terms, grantee, version, nonce, deadline):
    message = messages.consent_message(CHAIN, CONTRACT, grantee, terms, version, nonce, deadline)
    assert json.loads(json.dumps(message)) == message
    expected = words.ConsentTerms(
        purpose=terms.purpose.felt,
        categories=int(terms.categories),
        starts_at=terms.starts_at,
        expires_at=terms.expires_at,
        max_uses=terms.max_uses,
        reward=terms.reward and modelled(terms.reward),
        terms_commitment=terms.terms_commitment,
    )
    assert messages.message_hash(message, PATIENT) == model.consent_message(
        CHAIN, CONTRACT, PATIENT, grantee, expected, version, nonce, deadline
    )


def test_revocation_message_is_the_models():
    message = messages.revocation_message(CHAIN, CONTRACT, RESEARCHER, Purpose.HRESCH, 7, START)
    assert messages.message_hash(message, PATIENT) == model.revocation_message(
        CHAIN, CONTRACT, PATIENT, RESEARCHER, Purpose.HRESCH.felt, 7, START
    )


def test_what_a_wallet_shows():
    terms = replace(CONSENT_TERMS, reward=TERMS)
    message = messages.consent_message(CHAIN, CONTRACT, RESEARCHER, terms, 3, 7, START)
    assert message["primaryType"] == "RewardedConsent"
    assert set(message["types"]) == {"StarknetDomain", "RewardedConsent", "CampaignTerms"}
    assert message["domain"] == {"name": "MedSync", "version": "v1", "chainId": "SN_SEPOLIA", "revision": 1}
    assert message["message"]["purpose"] == "HRESCH"
    assert message["message"]["version"] == "3"
    assert message["message"]["reward"]["rate"] == "1000000000000000001"


def test_every_field_is_signed():
    """Messages that differ in one field, the chain, the contract or the account have different hashes."""
    base = (CHAIN, CONTRACT, RESEARCHER, CONSENT_TERMS, 3, 7, START)
    variants = [base]
    for index, other in ((0, encode_short_string("SN_MAIN")), (1, 1), (2, 1), (4, 4), (5, 8), (6, START + 1)):
        variants.append((*base[:index], other, *base[index + 1 :]))
    for change in (
        {"purpose": Purpose.TREAT},
        {"categories": Category.ALL},
        {"starts_at": 1},
        {"expires_at": START},
        {"max_uses": 0},
        {"terms_commitment": 0},
        {"reward": TERMS},
    ):
        variants.append((*base[:3], replace(CONSENT_TERMS, **change), *base[4:]))
    hashes = {messages.message_hash(messages.consent_message(*variant), PATIENT) for variant in variants}
    assert len(hashes) == len(variants)
    assert messages.message_hash(messages.consent_message(*base), RESEARCHER) not in hashes


# --- the log ------------------------------------------------------------------------------------------------


def test_entry_digest_is_the_models():
    previous = 0
    for entry in ENTRIES:
        digest = completeness.entry_digest(CHAIN, CONTRACT, previous, entry)
        assert digest < 2**219
        assert digest == model.entry_digest(
            chain_id=CHAIN,
            contract=CONTRACT,
            patient=entry.patient,
            previous_head=previous,
            seq=entry.seq,
            at=entry.at,
            accessor=entry.accessor,
            purpose=entry.purpose.felt,
            categories=int(entry.categories),
            record=entry.record,
            decision=int(entry.decision),
            reason=int(entry.reason),
            version=entry.version,
            campaign=entry.campaign,
            justification=entry.justification,
        )
        previous = digest
