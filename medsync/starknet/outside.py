"""Acts of a patient that have no message of their own, signed off-chain for anyone to submit (SNIP-9).

Consents are given and withdrawn by messages that MedSync itself verifies, with any account: see
`medsync.starknet.signing`. All other acts of a patient (to refuse, to revoke everything, to dismiss
delegates, to choose about emergencies, purposes and delegates, to draw pay) can be signed with an account
that supports outside execution, version 2 of SNIP-9. A relayer then submits them and pays the fee. It can
neither change nor repeat them.

Which accounts can: OpenZeppelin's presets since 0.20.0, which `medsync account new` makes and devnets have,
are tested here. By their published sources also those of Argent (Ready) since 0.4.0, and those of Braavos.
Every account is asked before anything is signed (`supports_outside_execution`). If it cannot, the patient
sends the acts from the account itself.

What is signed is an ordinary call by the patient's account, so these rules keep it as safe as a message:

- It never gives a consent, and contains only the acts that are listed here.
- Acts that open something work only at the generation they were signed at: `assert_generation` is called
  first, so that `revoke_all`, `cancel_signatures` or a signed withdrawal voids them too. Acts that only close
  something never have that condition: nobody can hold them up by raising the generation. The two are not
  mixed.
- It is valid for a short time: ten minutes, unless both sides choose otherwise.
"""

import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import NoneType
from typing import Any, Final

from starknet_py.net.client_models import Call, SierraContractClass
from starknet_py.net.full_node_client import FullNodeClient

from medsync.errors import ContractError, InputError
from medsync.protocol.events import events_of
from medsync.protocol.felt import (
    PRIME,
    InvalidValue,
    check_address,
    check_felt,
    decode_short_string,
    encode_short_string,
)
from medsync.protocol.hashing import starknet_keccak
from medsync.protocol.messages import message_hash
from medsync.protocol.serde import DecodingError, decode
from medsync.protocol.types import Claim, check_time, utc_text
from medsync.protocol.vocabulary import EmergencyChoice, Power, Purpose
from medsync.starknet.clients import MedSyncClient
from medsync.starknet.rpc import asking, newest_block
from medsync.starknet.signer import StarkSigner
from medsync.starknet.signing import envelope, member, read_number, read_signature
from medsync.starknet.transactions import Invocation, TransactionResult

#: SRC-5 id of outside execution, version 2. Source: SNIP-9.
ISRC9_V2_ID: Final = 0x1D1144BB2138366FF28D8E9AB57456B1D332AC42196230C3A602003C89872

#: Who may submit: anyone. Source: SNIP-9.
ANY_CALLER: Final = encode_short_string("ANY_CALLER")

#: Seconds for which signed acts are good, unless signer and submitter both say otherwise.
LIFETIME: Final = 600

_EXECUTE: Final = starknet_keccak("execute_from_outside_v2")

_MESSAGE: Final = "typed_data.message"

_GUARD: Final = "assert_generation"
_WITHDRAW: Final = "withdraw"

#: What can be signed: entry points of MedSync, and drawing pay from one of its pools. Parameters, by name.
_PARAMETERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "refuse_consent": {"grantee": int, "purpose": Purpose, "study": int},
    "revoke_all": {"dismiss_delegates": bool},
    "refuse_purpose": {"purpose": Purpose},
    "allow_purpose": {"purpose": Purpose},
    "set_delegate": {"delegate": int, "powers": Power, "expires_at": int},
    "dismiss_delegates": {},
    "set_emergency_choice": {"choice": EmergencyChoice},
    "allow_emergency": {"hospital": int},
    "forbid_emergency": {"hospital": int},
    "cancel_signatures": {},
    "contest_emergency": {"hospital": int, "emergency": int},
    _WITHDRAW: {"amount": int, "recipient": int, "claims": list[Claim]},
    _GUARD: {"patient": int, "generation": int},
}

#: By entry point, whether its arguments open something. What is not here only closes.
_OPENS: Final[Mapping[str, Callable[[Mapping[str, Any]], bool]]] = {
    "allow_purpose": lambda arguments: True,
    "allow_emergency": lambda arguments: True,
    "set_delegate": lambda arguments: bool(arguments["powers"]),
    # For somebody who chose nobody, named hospitals are more.
    "set_emergency_choice": lambda arguments: arguments["choice"] is not EmergencyChoice.NOBODY,
    _WITHDRAW: lambda arguments: True,
}

_SELECTORS: Final = {starknet_keccak(name): name for name in _PARAMETERS}

#: What has a message of its own, and who makes it.
_MESSAGES: Final = {
    starknet_keccak("add_consent"): "a consent is never given this way, but by a message (`sign_consent`)",
    starknet_keccak("revoke_consent"): "a consent is withdrawn by a message (`sign_revocation`)",
}

_TYPES: Final = {
    "StarknetDomain": [
        {"name": "name", "type": "shortstring"},
        {"name": "version", "type": "shortstring"},
        {"name": "chainId", "type": "shortstring"},
        {"name": "revision", "type": "shortstring"},
    ],
    "OutsideExecution": [
        {"name": "Caller", "type": "ContractAddress"},
        {"name": "Nonce", "type": "felt"},
        {"name": "Execute After", "type": "u128"},
        {"name": "Execute Before", "type": "u128"},
        {"name": "Calls", "type": "Call*"},
    ],
    "Call": [
        {"name": "To", "type": "ContractAddress"},
        {"name": "Selector", "type": "selector"},
        {"name": "Calldata", "type": "felt*"},
    ],
}


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that signed calls do, as people read it."""

    #: MedSync's address, or the pool's that pays.
    address: int
    entry_point: str
    #: By the names that the contract gives them.
    arguments: Mapping[str, Any]

    @property
    def opens(self) -> bool:
        """Whether it opens something, so that it must be voided by a panic button."""
        return self.entry_point in _OPENS and _OPENS[self.entry_point](self.arguments)


@dataclass(frozen=True, slots=True)
class SignedActs:
    """Acts that wait to be submitted with `submit_acts`. Only those that keep the rules can be made.

    >>> signer = StarkSigner(private_key=1, chain_id=0x534E5F5345504F4C4941)
    >>> call = Call(5, starknet_keccak("revoke_all"), [1])
    >>> signed = sign_calls(signer, 7, [call], contract=5, generation=1, execute_before=1_798_761_600)
    >>> [(act.entry_point, act.arguments, act.opens) for act in signed.acts]
    [('revoke_all', {'dismiss_delegates': True}, False)]
    >>> acts_from_json(signed.to_json()) == signed
    True
    """

    chain_id: int
    #: The account that signed.
    patient: int
    #: The account that may submit, or `ANY_CALLER`.
    caller: int
    #: Of the account's own; a random one is good once.
    nonce: int
    #: Unix seconds: they can happen after the one and before the other, in neither itself.
    execute_after: int
    execute_before: int
    calls: tuple[Call, ...]
    signature: tuple[int, ...]

    def __post_init__(self) -> None:
        check_address(self.patient, "patient")
        check_address(self.caller, "caller")
        check_felt(self.nonce, "nonce")
        check_time(self.execute_after, "execute_after")
        check_time(self.execute_before, "execute_before")
        _check(self.patient, self.calls)

    @property
    def contract(self) -> int:
        """The MedSync contract that they are for."""
        return self.calls[0].to_addr

    @property
    def generation(self) -> int | None:
        """The generation at which they are good; None for acts that only close something."""
        first = _read(self.calls[0])
        return first.arguments["generation"] if first.entry_point == _GUARD else None

    @property
    def acts(self) -> tuple[Act, ...]:
        """What they do."""
        acts = map(_read, self.calls)
        return tuple(act for act in acts if act.entry_point != _GUARD)

    def typed_data(self) -> dict[str, Any]:
        """The SNIP-12 message that is signed, as SNIP-9 defines it.

        Numbers are hexadecimal: some relayers take them for calldata as they stand.
        """
        return {
            "types": _TYPES,
            "primaryType": "OutsideExecution",
            "domain": {
                "name": "Account.execute_from_outside",
                # The number 2: libraries encode a short string of digits as the number.
                "version": "2",
                "chainId": decode_short_string(self.chain_id),
                "revision": 1,
            },
            "message": {
                "Caller": hex(self.caller),
                "Nonce": hex(self.nonce),
                "Execute After": hex(self.execute_after),
                "Execute Before": hex(self.execute_before),
                "Calls": [
                    {
                        "To": hex(call.to_addr),
                        "Selector": hex(call.selector),
                        "Calldata": [hex(felt) for felt in call.calldata],
                    }
                    for call in self.calls
                ],
            },
        }

    def to_json(self) -> dict[str, Any]:
        """The file's content, as `json.dumps` takes it."""
        return envelope(self.patient, self.typed_data(), self.signature)

    def call(self) -> Call:
        """The call of the patient's account that does them."""
        calls = [[call.to_addr, call.selector, len(call.calldata), *call.calldata] for call in self.calls]
        bounds = self.caller, self.nonce, self.execute_after, self.execute_before
        calldata = [*bounds, len(calls), *(felt for call in calls for felt in call)]
        calldata += [len(self.signature), *self.signature]
        return Call(self.patient, _EXECUTE, calldata)


async def supports_outside_execution(client: FullNodeClient, account: int) -> bool:
    """Whether acts can be signed with an account: it supports version 2 of SNIP-9.

    Raises ContractError if no account is deployed at the address, NetworkError if the node does not answer.
    """
    try:
        with asking("account.supports_interface"):
            answer = await client.call_contract(
                Call(account, starknet_keccak("supports_interface"), [ISRC9_V2_ID]), block_number="latest"
            )
    except ContractError as error:
        if error.code == "CONTRACT_NOT_FOUND":
            raise
        # It does not have the function: it is older than SNIP-5.
        return False
    if answer == [1]:
        return True
    # A devnet's predeployed accounts deny it, because no constructor initialized them; their class has it.
    with asking("request for the account's class"):
        contract_class = await client.get_class_at(account, block_number="latest")
    return isinstance(contract_class, SierraContractClass) and _EXECUTE in {
        entry_point.selector for entry_point in contract_class.entry_points_by_type.external
    }


async def sign_acts(
    medsync: MedSyncClient,
    *acts: Invocation[Any],
    within: int = LIFETIME,
    caller: int = ANY_CALLER,
    now: int | None = None,
    generation: int | None = None,
) -> SignedActs:
    """Acts signed by the client's account as patient, for anyone, or only `caller`, to submit soon.

    `acts` are made by the clients of MedSync and its pools, with the patient's account, and happen in order,
    all or none. They are good for `within` seconds from the second `now` on, and those that open something
    only in the patient's `generation`. Nothing is sent.

    By default both are what the node says, the time that of the newest block: who does not trust it gives
    them. A node that says the next generation makes acts that the next panic button does not void.

    Raises InputError for acts that cannot be signed, or not together, and for an account that cannot.

    Example:
        signed = await sign_acts(medsync, medsync.revoke_all(dismiss_delegates=True))
        json.dump(signed.to_json(), file)
    """
    patient = medsync.account.address
    calls = [act.call for act in acts]
    await _assert_supported(medsync, patient)
    await _assert_pools(medsync, map(_read, calls))
    if now is None:
        now = (await newest_block(medsync.client)).timestamp
    if generation is None and opens(*acts):
        generation = (await medsync.patient_state(patient)).generation
    return sign_calls(
        medsync.account.stark_signer,
        patient,
        calls,
        contract=medsync.address,
        generation=generation or 0,
        execute_before=now + within,
        caller=caller,
    )


def opens(*acts: Invocation[Any]) -> bool:
    """Whether acts open something: then they are good in one generation of the patient's only.

    Raises InvalidValue for acts that cannot be signed.
    """
    return _opens([act.call for act in acts])


def sign_calls(
    signer: StarkSigner,
    patient: int,
    calls: Sequence[Call],
    *,
    contract: int,
    generation: int,
    execute_before: int,
    execute_after: int = 0,
    caller: int = ANY_CALLER,
    nonce: int | None = None,
) -> SignedActs:
    """Sign calls of the account `patient` for the MedSync contract `contract`; the chain is the signer's.

    If they open something, a call of `assert_generation` with the patient's present `generation` is put in
    front. `nonce` is a random one by default. Raises InvalidValue for calls that cannot be signed so.
    """
    if _opens(calls):
        calls = [Call(contract, starknet_keccak(_GUARD), [patient, generation]), *calls]
    unsigned = SignedActs(
        chain_id=signer.chain_id,
        patient=patient,
        caller=caller,
        nonce=secrets.randbelow(PRIME) if nonce is None else nonce,
        execute_after=execute_after,
        execute_before=execute_before,
        calls=tuple(calls),
        signature=(),
    )
    if unsigned.contract != contract:
        raise InvalidValue(f"the acts are for {unsigned.contract:#x}, not for the MedSync at {contract:#x}")
    digest = message_hash(unsigned.typed_data(), patient)
    return replace(unsigned, signature=tuple(signer.sign_hash(digest)))


def acts_from_json(document: Any) -> SignedActs:
    """The acts in a file's content, made by `SignedActs.to_json` or by a wallet.

    The signature is not checked here, nor the time. Numbers may be written as for `signed_from_json`. Raises
    InvalidValue, naming the member, for anything else than acts that keep the rules.
    """
    typed_data = member(document, "typed_data", dict)
    signature = read_signature(member(document, "signature", (list, dict)))
    patient = read_number(member(document, "account"), "account")
    if typed_data.get("primaryType") != "OutsideExecution":
        raise InvalidValue("typed_data.primaryType must be 'OutsideExecution'")
    domain = member(typed_data, "domain", dict, "typed_data.")
    message = member(typed_data, "message", dict, "typed_data.")
    numbers = {
        name: read_number(member(message, name, within=f"{_MESSAGE}."), f"{_MESSAGE}.{name}")
        for name in ("Caller", "Nonce", "Execute After", "Execute Before")
    }
    calls = member(message, "Calls", list, f"{_MESSAGE}.")
    signed = SignedActs(
        chain_id=encode_short_string(member(domain, "chainId", str, "typed_data.domain.")),
        patient=patient,
        caller=numbers["Caller"],
        nonce=numbers["Nonce"],
        execute_after=numbers["Execute After"],
        execute_before=numbers["Execute Before"],
        calls=tuple(_call(call, f"{_MESSAGE}.Calls[{place}]") for place, call in enumerate(calls)),
        signature=signature,
    )
    _assert_nothing_else(message, {*numbers, "Calls"}, _MESSAGE)
    expected = signed.typed_data()
    for name in expected.keys() | typed_data.keys():
        if name != "message" and typed_data.get(name) != expected.get(name):
            raise InvalidValue(f"typed_data.{name} is not what SNIP-9 defines, so that its hash differs")
    return signed


async def submit_acts(
    medsync: MedSyncClient, signed: SignedActs, *, longest: int = LIFETIME
) -> TransactionResult[None]:
    """Submit what a patient signed, by the client's account; the result has MedSync's and pools' events.

    Raises InputError, before anything is sent, if it was signed for another contract, chain or submitter, if
    it is over, was submitted already or is good for longer than `longest` seconds from now, if it would draw
    pay from what is not a pool of this MedSync, or if the patient's account cannot do it; otherwise as
    `Account.send`: ContractError if the account does not accept the signature, or an act is refused
    (`CONSENT/BAD_GENERATION` for acts that a panic button voided).
    """
    account = medsync.account
    if (signed.contract, signed.chain_id) != (medsync.address, account.chain_id):
        raise InputError("The acts were signed for another contract or another chain.")
    if signed.caller not in (ANY_CALLER, account.address):
        raise InputError(
            f"Only {signed.caller:#x} may submit these acts, not {account.address:#x}.",
            hint="Submit them with that account, or have them signed for anyone.",
        )
    # An earlier try, whose outcome is not known, may have done it.
    if not account.unsettled:
        await _assert_submittable(medsync, signed, longest)
    call = signed.call()
    result = await Invocation(account, "account", "execute_from_outside_v2", call, NoneType)
    pools = {act.address: "RewardPool" for act in signed.acts if act.entry_point == _WITHDRAW}
    return replace(result, events=tuple(events_of(result.receipt, {medsync.address: "MedSync"} | pools)))


# --- rules ---


def _check(patient: int, calls: Sequence[Call]) -> None:
    """Raise InvalidValue unless an account may be asked to do these calls on a signature."""
    acts = [_read(call) for call in calls]
    if not any(act.entry_point != _GUARD for act in acts):
        raise InvalidValue("the calls do nothing: name at least one act")
    guards = [act for act in acts if act.entry_point == _GUARD]
    opening = {act.opens for act in acts if act.entry_point != _GUARD}
    if len(opening) > 1:
        raise InvalidValue("acts that open something and acts that only close something are signed apart")
    if opening == {True}:
        if guards != acts[:1] or guards[0].arguments["patient"] != patient:
            raise InvalidValue(
                f"acts that open something begin with one call of {_GUARD} for the account that signs"
            )
    elif guards:
        raise InvalidValue(f"acts that only close something must not contain {_GUARD}: it could hold them up")
    for act in acts:
        if act.entry_point != _WITHDRAW and act.address != acts[0].address:
            raise InvalidValue("the acts are for two MedSync contracts: sign them apart")


def _opens(calls: Sequence[Call]) -> bool:
    return any(_read(call).opens for call in calls)


def _read(call: Call) -> Act:
    """What a call does. Raises InvalidValue for what cannot be signed."""
    name = _SELECTORS.get(call.selector)
    if name is None:
        known = ", ".join(entry_point for entry_point in _PARAMETERS if entry_point != _GUARD)
        reason = _MESSAGES.get(call.selector, f"the acts that can be signed are {known}")
        raise InvalidValue(f"the call of selector {call.selector:#x} cannot be signed as an act: {reason}")
    parameters = _PARAMETERS[name]
    kind: Any = tuple[tuple(parameters.values())]  # type: ignore[misc]
    try:
        values = decode(kind, call.calldata) if parameters else decode(NoneType, call.calldata)
    except DecodingError as error:
        raise InvalidValue(f"the arguments of {name} are malformed: {error.message}") from None
    return Act(call.to_addr, name, dict(zip(parameters, values or (), strict=True)))


# --- the chain ---


async def _assert_supported(medsync: MedSyncClient, patient: int) -> None:
    if not await supports_outside_execution(medsync.client, patient):
        raise InputError(
            f"The account {patient:#x} does not support outside execution (SNIP-9, version 2).",
            hint="Send the acts from the account itself. Consents and withdrawals can be signed with any "
            "account.",
        )


async def _assert_pools(medsync: MedSyncClient, acts: Iterable[Act]) -> None:
    for act in acts:
        if act.entry_point == _WITHDRAW and not await medsync.is_pool(act.address):
            raise InputError(f"{act.address:#x} is not a pool of the MedSync at {medsync.address:#x}.")


async def _assert_submittable(medsync: MedSyncClient, signed: SignedActs, longest: int) -> None:
    now = (await newest_block(medsync.client)).timestamp
    if now >= signed.execute_before:
        raise InputError(
            f"The acts had to be submitted before {utc_text(signed.execute_before)}.",
            hint="Have them signed again.",
        )
    if signed.execute_before - now > longest:
        raise InputError(
            f"The acts are good until {utc_text(signed.execute_before)}, which is more than {longest} s "
            "ahead.",
            hint="A signature that stays valid for long may be used when the patient no longer expects it: "
            "have them signed for a shorter time.",
        )
    await _assert_supported(medsync, signed.patient)
    await _assert_pools(medsync, signed.acts)
    with asking("account.is_valid_outside_execution_nonce"):
        free = await medsync.client.call_contract(
            Call(signed.patient, starknet_keccak("is_valid_outside_execution_nonce"), [signed.nonce]),
            block_number="latest",
        )
    if free != [1]:
        raise InputError("The acts were submitted already.")


# --- JSON ---


def _call(document: Any, field: str) -> Call:
    """A call as wallets write it."""
    call = Call(
        read_number(member(document, "To", within=f"{field}."), f"{field}.To"),
        read_number(member(document, "Selector", within=f"{field}."), f"{field}.Selector"),
        [
            read_number(felt, f"{field}.Calldata[{place}]")
            for place, felt in enumerate(member(document, "Calldata", list, f"{field}."))
        ],
    )
    check_address(call.to_addr, f"{field}.To")
    _assert_nothing_else(document, ("To", "Selector", "Calldata"), field)
    return call


def _assert_nothing_else(document: Mapping[str, Any], known: Collection[str], field: str) -> None:
    if strange := sorted(document.keys() - set(known)):
        raise InvalidValue(f"{field}.{strange[0]} does not belong there: no account hashes it")
