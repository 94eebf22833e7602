"""Acts signed for a relayer: which may be, in which order, and that a file of them hides nothing."""

import copy
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from starknet_py.hash.utils import verify_message_signature
from starknet_py.net.client_models import Call
from starkware.cairo.common.poseidon_hash import poseidon_hash_many
from starkware.starknet.public.abi import get_selector_from_name

from medsync import artifacts
from medsync.errors import InputError
from medsync.protocol.felt import encode_short_string
from medsync.protocol.serde import encode
from medsync.protocol.types import CampaignTerms, Claim
from medsync.protocol.vocabulary import EmergencyChoice, Power, Purpose
from medsync.starknet import outside
from medsync.starknet.outside import ANY_CALLER, SignedActs, acts_from_json, sign_calls
from medsync.starknet.signer import StarkSigner

CHAIN = encode_short_string("SN_SEPOLIA")
SIGNER = StarkSigner(0x5EC4E7, CHAIN)
PATIENT, MEDSYNC, POOL, RESEARCHER, HOSPITAL, RELAYER = 0xA11CE, 0x5, 0x6, 0x7, 0x8, 0x9
UNTIL = 1_798_761_600
GENERATION = 3
TERMS = CampaignTerms(POOL, RESEARCHER, Purpose.HRESCH, 0, 10, 0, 0, UNTIL, 0, 1)


def call(entry_point: str, *calldata: int, to: int = MEDSYNC) -> Call:
    return Call(to, get_selector_from_name(entry_point), list(calldata))


def guard(patient: int = PATIENT, generation: int = GENERATION, to: int = MEDSYNC) -> Call:
    return call("assert_generation", patient, generation, to=to)


WITHDRAW = call("withdraw", 20, PATIENT, *encode([Claim(RESEARCHER, TERMS)], list[Claim]), to=POOL)
CLOSING = [
    call("refuse_consent", RESEARCHER, Purpose.HRESCH.felt, 0x57),
    call("revoke_all", 0),
    call("revoke_all", 1),
    call("refuse_purpose", Purpose.HRESCH.felt),
    call("set_delegate", RELAYER, 0, 0),
    call("dismiss_delegates"),
    call("set_emergency_choice", EmergencyChoice.NOBODY),
    call("forbid_emergency", HOSPITAL),
    call("cancel_signatures"),
    call("contest_emergency", HOSPITAL, 4),
]
OPENING = [
    call("allow_purpose", Purpose.HRESCH.felt),
    call("set_delegate", RELAYER, Power.REFUSE, UNTIL),
    call("set_emergency_choice", EmergencyChoice.EVERY_HOSPITAL),
    call("set_emergency_choice", EmergencyChoice.NAMED_HOSPITALS),
    call("allow_emergency", HOSPITAL),
    WITHDRAW,
]


def sign(*calls: Call, **changes: Any) -> SignedActs:
    arguments: dict[str, Any] = {
        "contract": MEDSYNC,
        "generation": GENERATION,
        "execute_before": UNTIL,
        **changes,
    }
    return sign_calls(SIGNER, PATIENT, calls, **arguments)


def made(*calls: Call) -> SignedActs:
    """As somebody else may have put it together."""
    return SignedActs(CHAIN, PATIENT, ANY_CALLER, 1, 0, UNTIL, calls, (1, 2))


def test_names_and_types_are_the_contracts() -> None:
    types = {
        int: ("core::felt252", "core::starknet::contract_address::ContractAddress", "core::integer::u128"),
        bool: ("core::bool",),
        Purpose: ("core::felt252",),
        Power: ("core::integer::u8",),
        EmergencyChoice: ("medsync_interfaces::consent_registry::EmergencyChoice",),
        list[Claim]: ("core::array::Array::<medsync_interfaces::reward_pool::Claim>",),
    }
    integers = ("core::integer::u32", "core::integer::u64")
    functions = {
        item["name"]: item
        for contract in ("RewardPool", "MedSync")
        for entry in artifacts.load(contract).abi
        if entry["type"] == "interface"
        for item in entry["items"]
    }
    for name, parameters in outside._PARAMETERS.items():
        inputs = {parameter["name"]: parameter["type"] for parameter in functions[name]["inputs"]}
        assert list(inputs) == list(parameters), name
        for parameter, kind in parameters.items():
            assert inputs[parameter] in (*types[kind], *(integers if kind is int else ())), (name, parameter)


# --- what may be signed -------------------------------------------------------------------------------------


@pytest.mark.parametrize("closing", CLOSING, ids=lambda act: outside._SELECTORS[act.selector])
def test_what_only_closes_has_no_condition(closing: Call) -> None:
    signed = sign(closing)
    assert signed.calls == (closing,)
    assert (signed.generation, signed.contract) == (None, MEDSYNC)
    assert not any(act.opens for act in signed.acts)
    with pytest.raises(InputError, match="must not contain assert_generation"):
        made(guard(), closing)


@pytest.mark.parametrize("opening", OPENING, ids=lambda act: outside._SELECTORS[act.selector])
def test_what_opens_begins_with_the_generation(opening: Call) -> None:
    signed = sign(opening)
    assert signed.calls == (guard(), opening)
    assert (signed.generation, signed.contract) == (GENERATION, MEDSYNC)
    assert [act.opens for act in signed.acts] == [True]
    for calls in (
        [opening],
        [opening, guard()],
        [guard(), guard(), opening],
        [guard(patient=RELAYER), opening],
    ):
        with pytest.raises(InputError, match="begin with one call of assert_generation"):
            made(*calls)


def test_several_acts_of_one_kind_are_signed_together() -> None:
    assert len(sign(*CLOSING).acts) == len(CLOSING)
    assert len(sign(*OPENING).acts) == len(OPENING)
    for calls in ([CLOSING[0], OPENING[0]], [OPENING[0], CLOSING[0]]):
        with pytest.raises(InputError, match="are signed apart"):
            sign(*calls)


@pytest.mark.parametrize(
    ("calls", "problem"),
    [
        ([], "do nothing"),
        ([guard()], "do nothing"),
        ([call("add_consent", RESEARCHER)], r"never given this way, but by a message \(`sign_consent`\)"),
        ([call("revoke_consent", RESEARCHER)], r"withdrawn by a message \(`sign_revocation`\)"),
        ([call("add_consent_for", PATIENT)], "the acts that can be signed are refuse_consent, revoke_all"),
        ([call("transfer", RELAYER, 1, 0)], "the acts that can be signed are"),
        ([call("upgrade", 5, to=PATIENT)], "the acts that can be signed are"),
        ([call("revoke_all")], "the arguments of revoke_all are malformed"),
        ([call("revoke_all", 2)], "the arguments of revoke_all are malformed"),
        ([call("revoke_all", 1, 1)], "the arguments of revoke_all are malformed"),
        ([call("cancel_signatures", 1)], "the arguments of cancel_signatures are malformed"),
        ([call("set_delegate", RELAYER, 8, UNTIL)], "the arguments of set_delegate are malformed"),
        ([call("refuse_purpose", 5)], "the arguments of refuse_purpose are malformed"),
        ([call("withdraw", 1, PATIENT, 1, to=POOL)], "the arguments of withdraw are malformed"),
        ([CLOSING[0], call("revoke_all", 0, to=0x55)], "two MedSync contracts"),
        ([guard(to=0x55), OPENING[0]], "two MedSync contracts"),
    ],
)
def test_what_is_never_signed(calls: Sequence[Call], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        made(*calls)


def test_acts_for_another_contract_are_not_signed() -> None:
    with pytest.raises(InputError, match="not for the MedSync at 0x5"):
        sign(call("revoke_all", 0, to=0x55))
    with pytest.raises(InputError, match="two MedSync contracts"):
        sign(call("allow_emergency", HOSPITAL, to=0x55))
    with pytest.raises(InputError, match="milliseconds"):
        sign(CLOSING[0], execute_before=UNTIL * 1000)


# --- what is signed -----------------------------------------------------------------------------------------


def test_the_hash_is_snip_9s() -> None:
    """Put together from the standards' own words; both type hashes are published in SNIP-9."""
    signed = sign(*OPENING, caller=RELAYER, execute_after=UNTIL - 60)
    call_type = 0x3635C7F2A7BA93844C0D064E18E487F35AB90F7C39D00F186A781FC3F0C2CA9
    execution_type = 0x312B56C05A7965066DDBDA31C016D8D05AFC305071C0CA3CDC2192C3C2F1F0F
    domain_type = get_selector_from_name(
        '"StarknetDomain"("name":"shortstring","version":"shortstring","chainId":"shortstring",'
        '"revision":"shortstring")'
    )
    name = encode_short_string("Account.execute_from_outside")
    domain = poseidon_hash_many([domain_type, name, 2, CHAIN, 1])
    calls = [
        poseidon_hash_many([call_type, act.to_addr, act.selector, poseidon_hash_many(act.calldata)])
        for act in signed.calls
    ]
    bounds = [RELAYER, signed.nonce, UNTIL - 60, UNTIL]
    execution = poseidon_hash_many([execution_type, *bounds, poseidon_hash_many(calls)])
    message = encode_short_string("StarkNet Message")
    digest = poseidon_hash_many([message, domain, PATIENT, execution])
    assert verify_message_signature(digest, list(signed.signature), SIGNER.public_key)


def test_every_signature_has_a_nonce_of_its_own() -> None:
    assert len({sign(CLOSING[0]).nonce for _ in range(50)}) == 50


def test_the_call_holds_all_of_it() -> None:
    signed = sign(call("revoke_all", 1), nonce=0xABC)
    assert signed.call() == Call(
        PATIENT,
        get_selector_from_name("execute_from_outside_v2"),
        [
            *(ANY_CALLER, 0xABC, 0, UNTIL),
            *(1, MEDSYNC, get_selector_from_name("revoke_all"), 1, 1),
            *(2, *signed.signature),
        ],
    )


# --- files --------------------------------------------------------------------------------------------------

SIGNED = sign(WITHDRAW, nonce=0xABC)


def changed(*path: str | int, to: Any) -> dict[str, Any]:
    """The file with one member changed, or added; removed for None."""
    document: Any = copy.deepcopy(json.loads(json.dumps(SIGNED.to_json())))
    place = document
    for step in path[:-1]:
        place = place[step]
    if to is None:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return dict(document)


MESSAGE = ("typed_data", "message")


@pytest.mark.parametrize("write", [hex, str, int, lambda felt: f"0x{felt:064X}"])
def test_a_file_gives_back_what_was_signed(write: Callable[[int], str | int]) -> None:
    document = changed("account", to=write(PATIENT))
    document["signature"] = [write(felt) for felt in SIGNED.signature]
    message = document["typed_data"]["message"]
    message["Nonce"] = write(0xABC)
    message["Execute Before"] = write(UNTIL)
    message["Calls"][1]["Calldata"] = [write(felt) for felt in WITHDRAW.calldata]
    assert acts_from_json(document) == SIGNED
    (act,) = SIGNED.acts
    assert (act.address, act.entry_point) == (POOL, "withdraw")
    assert act.arguments == {"amount": 20, "recipient": PATIENT, "claims": [Claim(RESEARCHER, TERMS)]}


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ([], "must be a JSON object"),
        (changed("signature", to=None), "signature is missing"),
        (changed("account", to="0x0800" + "0" * 60), "patient must be a contract address"),
        (changed("typed_data", "primaryType", to="Consent"), "must be 'OutsideExecution'"),
        (changed("typed_data", "domain", "version", to="1"), "typed_data.domain is not what SNIP-9 defines"),
        (changed("typed_data", "types", "Call", 0, "type", to="felt"), "typed_data.types is not what"),
        (changed("typed_data", "note", to="x"), "typed_data.note is not what SNIP-9 defines"),
        (changed(*MESSAGE, "note", to="x"), "typed_data.message.note does not belong there"),
        (changed(*MESSAGE, "Nonce", to=None), "typed_data.message.Nonce is missing"),
        (changed(*MESSAGE, "Nonce", to="five"), "typed_data.message.Nonce must be written 0x"),
        (changed(*MESSAGE, "Execute Before", to="1798761600000"), "execute_before .* milliseconds"),
        (changed(*MESSAGE, "Calls", to={}), "typed_data.message.Calls must be a list"),
        (changed(*MESSAGE, "Calls", 1, "To", to=None), r"Calls\[1\].To is missing"),
        (changed(*MESSAGE, "Calls", 1, "note", to=1), r"Calls\[1\].note does not belong there"),
        (changed(*MESSAGE, "Calls", 1, "Calldata", 0, to=True), r"Calls\[1\].Calldata\[0\] must be a field"),
        (changed(*MESSAGE, "Calls", 0, to=None), "begin with one call of assert_generation"),
        (changed(*MESSAGE, "Calls", 1, "Selector", to="0x5"), "the acts that can be signed are"),
    ],
)
def test_the_error_names_what_is_wrong_with_a_file(document: Any, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        acts_from_json(document)
