"""Each entry point has its method, which encodes what the contract tests' own encoder makes of the ABI."""

import inspect
from typing import Any

import pytest
from starknet_py.net.client_errors import ClientError
from starknet_py.net.full_node_client import FullNodeClient

from medsync.errors import ContractError, InputError, NetworkError
from medsync.protocol.felt import InvalidValue
from medsync.protocol.types import (
    AccessRequest,
    AnchorNode,
    CampaignTerms,
    Claim,
    ConsentTerms,
    NodeSignature,
    Payee,
    Statement,
    Subject,
)
from medsync.protocol.vocabulary import Category, EmergencyChoice, PayeeKind, Power, Purpose, Role
from medsync.starknet.anchor import PrivateAnchorClient
from medsync.starknet.clients import ContractClient, Erc20Client, MedSyncClient, RewardPoolClient
from medsync.starknet.fees import InsufficientBalance
from medsync.starknet.signer import StarkSigner
from medsync.starknet.signing import sign_consent, sign_revocation
from medsync.starknet.transactions import Account, Invocation, Sent
from tests.harness.abi_types import ABIS, assert_same, functions
from tests.harness.driver import Abi
from tests.harness.histories import CHAIN, CONTRACT, PATIENT, RESEARCHER, START, STUDY, TERMS
from tests.harness.histories import POOL as POOL_ADDRESS

NODE = FullNodeClient("http://127.0.0.1:1")
ACCOUNT = Account(PATIENT, NODE, StarkSigner(5, CHAIN))
CLIENTS: dict[str, ContractClient] = {
    "MedSync": MedSyncClient(CONTRACT, ACCOUNT),
    "PrivateAnchor": PrivateAnchorClient(0xA2C, ACCOUNT),
    "RewardPool": RewardPoolClient(POOL_ADDRESS, ACCOUNT),
}
#: Called by pools and wallets only.
INTERNAL = {
    "grant_budget",
    "take_budget",
    "take_unsettled",
    "take_custodian_unsettled",
    "snip12_metadata",
}

CONSENT = ConsentTerms(Purpose.HRESCH, STUDY, Category.IMAGING, START, START + 60, 3, True, TERMS, 99)
UNPAID = ConsentTerms(Purpose.TREAT, 0, Category.ALL, START, START + 60, 0, False, None, 0)
REQUEST = AccessRequest(PATIENT, Purpose.HRESCH, STUDY, Category.IMAGING, 5, TERMS.id)
SIGNATURES = [NodeSignature(0, 10, 11), NodeSignature(255, 12, 13)]
SUBJECTS = [Subject(PATIENT, 5), Subject(RESEARCHER, 0)]

#: One set of arguments for each entry point that changes state, in the order of the ABI's parameters.
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "register_entity": (RESEARCHER, Role.RESEARCHER, 7),
    "suspend_entity": (RESEARCHER,),
    "suspend_self": (),
    "change_profile": (7,),
    "announce_successor": (RESEARCHER,),
    "create_pool": (RESEARCHER, 2**251),
    "reinstate_entity": (RESEARCHER,),
    "begin_admin_transfer": (RESEARCHER,),
    "cancel_admin_transfer": (),
    "accept_admin_transfer": (),
    "add_consent": (RESEARCHER, CONSENT),
    "add_consent_for": (PATIENT, RESEARCHER, UNPAID),
    "add_consent_by_sig": (PATIENT, RESEARCHER, CONSENT, 1, 2, START, [10, 11]),
    "revoke_consent": (RESEARCHER, Purpose.TREAT, 0),
    "revoke_consent_for": (PATIENT, RESEARCHER, Purpose.TREAT, STUDY),
    "revoke_consent_by_sig": (PATIENT, RESEARCHER, Purpose.TREAT, STUDY, 2, START, [10, 11, 12]),
    "revoke_all": (True,),
    "revoke_all_for": (PATIENT,),
    "request_consent": (PATIENT, CONSENT, START + 60),
    "refuse_consent": (RESEARCHER, Purpose.TREAT, STUDY),
    "refuse_consent_for": (PATIENT, RESEARCHER, Purpose.TREAT, 0),
    "refuse_purpose": (Purpose.HRESCH,),
    "allow_purpose": (Purpose.HRESCH,),
    "set_delegate": (RESEARCHER, Power.GIVE | Power.REFUSE, START),
    "dismiss_delegates": (),
    "set_emergency_choice": (EmergencyChoice.NAMED_HOSPITALS,),
    "allow_emergency": (RESEARCHER,),
    "forbid_emergency": (RESEARCHER,),
    "cancel_signatures": (),
    "request_access": (REQUEST,),
    "request_access_batch": (Purpose.HRESCH, STUDY, Category.IMAGING, TERMS.id, SUBJECTS),
    "request_emergency_access": (PATIENT, Category.ALL, 5),
    "justify_emergency": (PATIENT, 4, 5),
    "contest_emergency": (RESEARCHER, 4),
    "state_deletion": (PATIENT, Purpose.HRESCH, STUDY, 5),
    "deposit": (TERMS, 2**128 - 1),
    "increase_allowance": (TERMS, RESEARCHER, 2**64 - 1),
    "decrease_allowance": (TERMS, RESEARCHER, 1),
    "revoke_allowance": (TERMS, RESEARCHER),
    "settle": (PATIENT, RESEARCHER, TERMS),
    "settle_custodian": (TERMS, RESEARCHER),
    "withdraw": (1, PATIENT, [Claim(RESEARCHER, TERMS)]),
    "spend": (TERMS, Payee(PayeeKind.KEY, 6)),
    "withdraw_by_key": (5, 1, PATIENT, 10, 11),
    "announce_close": (TERMS,),
    "close_campaign": (TERMS,),
    "anchor": (Statement(2**64 - 1, 5, 6, 2**32 - 1, 7), [7, 8, 9], SIGNATURES),
    "rotate": ([AnchorNode(5, 6), AnchorNode(7, 8)], 2, SIGNATURES),
}
VIEWS = {
    contract: {name for name, one in functions(abi).items() if one["state_mutability"] == "view"}
    for contract, abi in ABIS.items()
}
CHANGES = [(contract, name) for contract, abi in ABIS.items() for name in functions(abi) if name in ARGUMENTS]


def plain(value: Any) -> Any:
    """A typed value as the encoder takes it: structs as dicts, enums by name, all else as integers."""
    match value:
        case (
            CampaignTerms()
            | Claim()
            | ConsentTerms()
            | AccessRequest()
            | Subject()
            | Statement()
            | AnchorNode()
            | NodeSignature()
        ):
            return {name: plain(getattr(value, name)) for name in value.__slots__}
        case Purpose():
            return int.from_bytes(value.value.encode(), "big")
        case Role() | EmergencyChoice():
            return value.variant
        case Payee():
            return value.kind.variant, value.value
        case list():
            return [plain(item) for item in value]
    return value


def test_every_entry_point_has_a_method_and_no_more() -> None:
    for contract, abi in ABIS.items():
        exported = set(functions(abi)) - INTERNAL
        client = CLIENTS[contract]
        assert exported <= set(dir(client))
        assert exported - VIEWS[contract] == {name for owner, name in CHANGES if owner == contract}


@pytest.mark.parametrize(("contract", "name"), CHANGES)
def test_calldata_is_what_the_abi_demands(contract: str, name: str) -> None:
    method = getattr(CLIENTS[contract], name)
    function = functions(ABIS[contract])[name]
    names = [parameter["name"] for parameter in function["inputs"]]
    arguments = dict(zip(names, ARGUMENTS[name], strict=True))
    given = dict(arguments)
    if name == "withdraw_by_key":
        given["signature"] = given.pop("signature_r"), given.pop("signature_s")
    invocation: Invocation[Any] = method(**given)
    expected = Abi(ABIS[contract]).encode_call(
        name, {name: plain(value) for name, value in arguments.items()}
    )
    assert list(invocation.call.calldata) == expected
    assert invocation.call.to_addr == CLIENTS[contract].address
    assert invocation.function == f"{contract}.{name}"
    assert inspect.signature(method).parameters.keys() == given.keys()
    outputs = function["outputs"]
    if outputs:
        assert_same(invocation.answer, outputs[0]["type"], ABIS[contract])
    else:
        assert invocation.answer is type(None)


class _Spy:
    """A node that answers every view with the same felts and remembers what it was asked."""

    def __init__(self, *felts: int) -> None:
        self.felts = list(felts)
        self.trouble: Exception | None = None
        self.asked: list[tuple[Any, Any]] = []

    async def call_contract(self, call: Any, block_number: Any) -> list[int]:
        self.asked.append((call, block_number))
        if self.trouble is not None:
            raise self.trouble
        return self.felts


async def test_views_ask_for_the_block_that_is_named() -> None:
    spy = _Spy(1, 2)
    client = MedSyncClient(CONTRACT, spy)  # type: ignore[arg-type]
    head = await client.log_head(PATIENT)
    assert (head.count, head.head) == (1, 2)
    await client.log_head(PATIENT, block=17)
    await client.log_head(PATIENT, block="pre_confirmed")
    assert [block for _, block in spy.asked] == ["latest", 17, "pre_confirmed"]


async def test_what_goes_wrong_in_a_view_is_named() -> None:
    spy = _Spy(1)
    client = MedSyncClient(CONTRACT, spy)  # type: ignore[arg-type]
    with pytest.raises(NetworkError, match="Head"):
        await client.log_head(PATIENT)
    spy.trouble = ClientError("Contract not found", 20)  # type: ignore[arg-type]
    with pytest.raises(ContractError, match=r"MedSync\.log_head refused: CONTRACT_NOT_FOUND") as refused:
        await client.log_head(PATIENT)
    assert "`medsync deploy` deploys the contracts again" in refused.value.hint
    # What a traceback shows.
    assert str(refused.value).endswith("a devnet that was restarted has lost its contracts.")
    spy.trouble = TimeoutError()
    with pytest.raises(NetworkError, match=r"MedSync\.log_head failed: the node did not answer in time"):
        await client.log_head(PATIENT)


async def test_a_balance_that_an_earlier_try_may_have_spent_is_not_checked() -> None:
    spy = _Spy(12, 0)
    account = Account(7, spy, StarkSigner(5, CHAIN))  # type: ignore[arg-type]
    token = Erc20Client(0x70, account)
    with pytest.raises(InsufficientBalance, match=r"needs a balance of 30 .* 0x7 has 12"):
        await token.check_balance(30, "The deposit", l2_gas=1)
    account.recall({0x1: Sent(0, [], 0.0)})
    await token.check_balance(30, "The deposit", l2_gas=1)


def test_a_client_without_account_only_reads() -> None:
    with pytest.raises(InputError, match="can only read"):
        MedSyncClient(CONTRACT, NODE).revoke_all()


@pytest.mark.parametrize("address", [-1, 2**251])
def test_the_contracts_address_must_be_one(address: int) -> None:
    with pytest.raises(InvalidValue):
        MedSyncClient(address, NODE)


def test_token_amounts_are_two_felts() -> None:
    token = Erc20Client(0x70, ACCOUNT)
    assert token.approve(POOL_ADDRESS, 2**130 + 5).call.calldata == [POOL_ADDRESS, 5, 4]
    assert token.transfer(PATIENT, 2**256 - 1).call.calldata == [PATIENT, 2**128 - 1, 2**128 - 1]
    with pytest.raises(InvalidValue):
        token.transfer(PATIENT, 2**256)


def test_a_signed_message_is_submitted_as_it_is_and_only_where_it_is_for() -> None:
    medsync = MedSyncClient(CONTRACT, ACCOUNT)
    common: dict[str, Any] = {"grantee": RESEARCHER, "generation": 4, "deadline": START}
    for signer, contract, good in (
        (StarkSigner(6, CHAIN), CONTRACT, True),
        (StarkSigner(6, CHAIN + 1), CONTRACT, False),
        (StarkSigner(6, CHAIN), CONTRACT + 1, False),
    ):
        common["contract"] = contract
        consent = sign_consent(signer, PATIENT, terms=CONSENT, version=1, counter=2, **common)
        revocation = sign_revocation(signer, PATIENT, purpose=Purpose.TREAT, study=STUDY, **common)
        if not good:
            for signed in (consent, revocation):
                with pytest.raises(InputError, match="another"):
                    medsync.submit(signed)
            continue
        submitted = medsync.submit(consent).call
        direct = medsync.add_consent_by_sig(PATIENT, RESEARCHER, CONSENT, 4, 2, START, consent.signature).call
        assert submitted == direct
        submitted = medsync.submit(revocation).call
        direct = medsync.revoke_consent_by_sig(
            PATIENT, RESEARCHER, Purpose.TREAT, STUDY, 4, START, revocation.signature
        ).call
        assert submitted == direct
