"""Deploying: from artifacts to contracts on a network, with a record that can be trusted at every moment.

Addresses are known before anything is sent, so nothing can be deployed twice: a deployment that died is run
again, asks the chain what is there already, and sends only the rest. The addresses of MedSync and
PrivateAnchor follow from class, constructor arguments and salt alone (the universal deployer, not `unique`).
MedSync takes only pools that it deployed itself (`create_pool`): their addresses follow from MedSync's, the
token, the salt, and the account that has them created.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from typing import Final, Literal

from starknet_py.common import create_casm_class, create_sierra_compiled_contract
from starknet_py.hash.address import compute_address
from starknet_py.hash.casm_class_hash import compute_casm_class_hash
from starknet_py.hash.transaction import TransactionHashPrefix, compute_declare_v3_transaction_hash
from starknet_py.net.client_models import (
    Call,
    EstimatedFee,
    ResourceBoundsMapping,
    SierraContractClass,
    TransactionExecutionStatus,
)
from starknet_py.net.full_node_client import FullNodeClient
from starknet_py.net.models.transaction import AccountTransaction, DeclareV3, InvokeV3
from starknet_py.net.udc_deployer.deployer import Deployer

from medsync import artifacts
from medsync._version import __version__
from medsync.artifacts import Artifact
from medsync.deployment.record import (
    MEDSYNC,
    PRIVATE_ANCHOR,
    REWARD_POOL,
    ContractName,
    DeclaredClass,
    DeployedContract,
    IncludedTransaction,
    OwnContractName,
    Pending,
    Pool,
    Quorum,
    Record,
    Request,
    Tools,
    Wiring,
    exclusive,
    read_if_there,
    write,
)
from medsync.deployment.token import NotAToken, Token, read_token
from medsync.errors import ContractError, InputError, VerificationError
from medsync.protocol.felt import decode_short_string
from medsync.protocol.hashing import poseidon, starknet_keccak
from medsync.protocol.src5 import interface_id
from medsync.starknet.account_deployment import account_state
from medsync.starknet.anchor import PrivateAnchorClient
from medsync.starknet.clients import ContractClient, MedSyncClient, RewardPoolClient
from medsync.starknet.fees import InsufficientBalance
from medsync.starknet.network import STRK_TOKEN
from medsync.starknet.rpc import (
    CLASS_NOT_FOUND,
    asking,
    class_hash_at,
)
from medsync.starknet.transactions import Account, UnknownOutcome, hand_over, max_fee
from medsync.starknet.transport import TRANSACTION_NOT_FOUND

#: SRC-5 interfaces that each contract must answer for.
INTERFACES: Final[Mapping[ContractName, tuple[str, ...]]] = {
    MEDSYNC: ("ISRC5", "IEntityRegistry", "IConsentRegistry", "IAccessLog", "IRewardBudgets"),
    REWARD_POOL: ("ISRC5", "IRewardPool"),
    PRIVATE_ANCHOR: ("ISRC5", "IPrivateAnchor"),
}

_CLIENTS: Final[Mapping[OwnContractName, type[ContractClient]]] = {
    MEDSYNC: MedSyncClient,
    PRIVATE_ANCHOR: PrivateAnchorClient,
}

#: What to do when a deployment was cut short, wherever.
RESUME_HINT: Final = "Run the same command again: it resumes, and sends nothing twice."

#: Salt of a deployment that names none. Another one gives the same contracts other addresses.
DEFAULT_SALT: Final = 0

_log = logging.getLogger(__name__)


# --- what is to be done ---


@dataclass(frozen=True)
class Step:
    """One transaction of a deployment."""

    action: Literal["declare", "deploy", "create"]
    contract: ContractName
    artifact: Artifact
    #: Where the contract will be; zero for a class.
    address: int = 0
    constructor: Mapping[str, int] = field(default_factory=dict)
    salt: int = 0

    @property
    def name(self) -> str:
        name = f"{self.action} {self.contract}"
        return f"{name} for {self.constructor['token']:#x}" if self.action == "create" else name


def steps(request: Request) -> tuple[Step, ...]:
    """Everything a deployment does, in order. Raises InputError if the artifacts are missing."""
    medsync, pool = artifacts.verified(MEDSYNC), artifacts.verified(REWARD_POOL)
    medsync_arguments = {"admin": request.admin, "pool_class": pool.class_hash}
    medsync_address = address_of(medsync.class_hash, medsync_arguments, request.salt)
    always = (
        Step("declare", REWARD_POOL, pool),
        Step("declare", MEDSYNC, medsync),
        Step("deploy", MEDSYNC, medsync, medsync_address, medsync_arguments, request.salt),
        *(
            Step(
                "create",
                REWARD_POOL,
                pool,
                pool_address(pool.class_hash, medsync_address, token, request.deployer, request.salt),
                {"token": token, "medsync": medsync_address},
                request.salt,
            )
            for token in request.tokens
        ),
    )
    if request.anchor is None:
        return always
    anchor = artifacts.verified(PRIVATE_ANCHOR)
    anchor_arguments = _constructor_of_anchor(request.anchor)
    anchor_address = address_of(anchor.class_hash, anchor_arguments, request.salt)
    return (
        *always,
        Step("declare", PRIVATE_ANCHOR, anchor),
        Step("deploy", PRIVATE_ANCHOR, anchor, anchor_address, anchor_arguments, request.salt),
    )


def _constructor_of_anchor(quorum: Quorum) -> dict[str, int]:
    """Every felt of the arguments, by a name of its own."""
    arguments = {"nodes": len(quorum.nodes)}
    for index, node in enumerate(quorum.nodes):
        arguments |= {f"nodes[{index}].{name}": felt for name, felt in node}
    return arguments | {"threshold": quorum.threshold}


def address_of(class_hash: int, constructor: Mapping[str, int], salt: int) -> int:
    """The address of a contract that the universal deployer deploys, for any caller."""
    return int(
        compute_address(class_hash=class_hash, constructor_calldata=list(constructor.values()), salt=salt)
    )


def pool_address(class_hash: int, medsync: int, token: int, creator: int, salt: int) -> int:
    """The address of the pool that `creator` gets from `MedSync.create_pool(token, salt)`.

    `class_hash` is `MedSync.pool_class_hash()`. Source: `contracts/src/reward_budgets.cairo`.
    """
    return int(
        compute_address(
            class_hash=class_hash,
            constructor_calldata=[token, medsync],
            salt=poseidon([creator, salt]),
            deployer_address=medsync,
        )
    )


@dataclass(frozen=True)
class Planned:
    """A step as `plan` sees it. Amounts are in FRI (10^-18 STRK), and zero if nothing is to be sent."""

    step: Step
    #: Bounds of the transaction; None if the step's work is on the chain already.
    bounds: ResourceBoundsMapping | None = None
    #: Estimated fee.
    fee: int = 0
    l2_gas: int = 0

    @property
    def present(self) -> bool:
        """Whether the step's work is on the chain already."""
        return self.bounds is None

    @property
    def highest_fee(self) -> int:
        """The most that the transaction may cost: 2.25 times the estimate."""
        return 0 if self.bounds is None else max_fee(self.bounds)


@dataclass(frozen=True)
class Plan:
    """What `deploy` would do now, what it costs, and whether the account can pay. Amounts are in FRI."""

    steps: tuple[Planned, ...]
    #: What the pools will hold, in the order of the request.
    tokens: tuple[Token, ...]
    #: The account's STRK.
    balance: int

    @property
    def fee(self) -> int:
        """What all transactions together will cost, by their estimates."""
        return sum(planned.fee for planned in self.steps)

    @property
    def highest_fee(self) -> int:
        """The most that all transactions together may cost."""
        return sum(planned.highest_fee for planned in self.steps)

    @property
    def needed(self) -> int:
        """The balance with which every transaction is accepted, if each costs what was estimated.

        The network accepts a transaction only if the account holds the most that it may cost, after what
        the ones before it did cost.
        """
        before = accumulate((planned.fee for planned in self.steps), initial=0)
        return max(
            (spent + planned.highest_fee for spent, planned in zip(before, self.steps, strict=False)),
            default=0,
        )

    @property
    def missing(self) -> int:
        """By how much the balance is too small; zero if it suffices."""
        return max(0, self.needed - self.balance)


async def plan(account: Account, request: Request) -> Plan:
    """What `deploy` would do now, with estimated fees. Sends nothing.

    Raises InputError if the artifacts are missing, NotAToken if a token is not an ERC-20, ContractError if
    there is no account or the key is another account's.
    """
    return await _plan(_Sender(account), request)


async def _plan(chain: _Sender, request: Request) -> Plan:
    tokens = [await read_token(chain.client, token, own=_own_classes()) for token in request.tokens]
    todo = steps(request)
    missing = [step for step in todo if not await chain.has(step)]
    estimates = dict(zip((step.name for step in missing), await chain.estimate(missing), strict=True))
    planned = tuple(
        Planned(step, fee.to_resource_bounds(), fee.overall_fee, fee.l2_gas_consumed)
        if (fee := estimates.get(step.name))
        else Planned(step)
        for step in todo
    )
    state = await account_state(chain.client, chain.account.address)
    return Plan(planned, tuple(tokens), state.balance)


def _own_classes() -> set[int]:
    return {artifacts.load(name).class_hash for name in INTERFACES}


# --- doing it ---

Stage = Literal["present", "signed", "sent", "accepted", "recorded"]


@dataclass(frozen=True)
class Progress:
    """Where a deployment stands. `transaction` is set from `signed` on, unless the step was there already."""

    step: str
    stage: Stage
    transaction: int | None = None


async def deploy(
    account: Account,
    network: str,
    path: Path,
    *,
    admin: int,
    tokens: Sequence[int] = (STRK_TOKEN,),
    salt: int = DEFAULT_SALT,
    anchor: Quorum | None = None,
    replaceable: bool = False,
    force: bool = False,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> Record:
    """Declare and deploy what is not there yet, read everything back, and return the finished record.

    Run again after an interruption, with the same arguments, it resumes; a finished deployment is checked and
    returned as it is. For each of `tokens` (ERC-20s, each once) a reward pool is created; naming all that are
    recorded and more adds pools. With `anchor`, a PrivateAnchor that begins with these nodes is a part of it,
    and is added if the record has none; without, what is recorded of one stays. `replaceable` says that the
    chain may have been thrown away and begun again, as devnets are: then a record of an earlier chain is
    replaced. `force` replaces any record. `progress` hears of every stage.

    Raises InputError if the record is another deployment's, or its artifacts are not today's, or a token is
    named twice; NotAToken or InsufficientBalance, before anything is sent or written, if a token is not an
    ERC-20 or the account cannot pay; VerificationError if the chain is not as it must be; NetworkError or
    ContractError if a transaction fails, or there is no account.
    """

    def report(stage: Progress) -> None:
        transaction = None if stage.transaction is None else hex(stage.transaction)
        _log.info(
            "%s: %s.", stage.step, stage.stage, extra={"stage": stage.stage, "transaction": transaction}
        )
        progress(stage)

    if len(set(tokens)) != len(tokens):
        raise InputError("A token is named twice.", hint="One deployment makes one pool for each token.")
    chain = _Sender(account)
    request = Request(deployer=account.address, admin=admin, tokens=tuple(tokens), salt=salt, anchor=anchor)
    with exclusive(path):
        known = None if force else read_if_there(path)
        record = await _begin(chain, network, path, request, known, replaceable=replaceable)
        todo = steps(record.request)
        _assert_same_artifacts(record, todo, path)
        if record.complete:
            if differences := await check(chain.client, record):
                raise VerificationError(f"{path} is not what is on the chain:", findings=differences)
            return record
        if record.pending is not None:
            # What is still under way must not be planned, nor paid, again.
            await chain.fate(record.pending.transaction)
        planned = await _plan(chain, record.request)
        if planned.missing:
            raise InsufficientBalance(
                "The deployment", account.address, balance=planned.balance, needed=planned.needed
            )
        write(path, record)
        symbols = {token.address: token.symbol for token in planned.tokens}
        for step, bounds in ((step_plan.step, step_plan.bounds) for step_plan in planned.steps):
            record = await _take(chain, path, record, step, bounds, symbols, report)
        record = record.replace(
            status="complete", finished_at=_now(), wiring=await chain.wiring(record.medsync)
        )
        if differences := await check(chain.client, record):
            raise VerificationError("What was deployed is not what was asked for:", findings=differences)
        write(path, record)
        return record


async def _begin(
    chain: _Chain,
    network: str,
    path: Path,
    request: Request,
    record: Record | None,
    *,
    replaceable: bool,
) -> Record:
    """The record to go on with: the one there is, if it is of the same deployment, else a new one."""
    chain_id = await chain.chain_id()
    if record is not None and not (replaceable and await _is_gone(chain, record)):
        if other := _other(record, request, chain_id):
            raise InputError(
                f"{path} records another deployment: {other}.",
                hint="Choose another --deployment, or --force to replace the record.",
            )
        known = record.request
        added = tuple(token for token in request.tokens if token not in known.tokens)
        wanted = known.model_copy(
            update={"tokens": known.tokens + added, "anchor": request.anchor or known.anchor}
        )
        if wanted == known:
            return record
        return record.replace(request=wanted, status="incomplete", wiring=None, finished_at=None)
    manifest = artifacts.manifest()
    return Record(
        status="incomplete",
        network=network,
        chain_id=chain_id,
        request=request,
        tools=Tools(
            medsync=__version__,
            scarb=manifest["scarb"],
            cairo=manifest["contracts"][MEDSYNC]["cairo"],
            starknet=await chain.protocol_version(),
        ),
        started_at=_now(),
    )


async def _is_gone(chain: _Chain, record: Record) -> bool:
    """Whether there is nothing on the chain of what the record says: it was on a chain that is no more."""
    there = [await chain.class_of(known.class_hash) is not None for known in record.classes.values()]
    return bool(there) and not any(there)


def _other(record: Record, request: Request, chain_id: str) -> str:
    """What makes a request one for another deployment than the recorded one; empty if nothing does."""
    known = record.request
    differing = [
        f"its {name} is {getattr(known, name):#x}, not {getattr(request, name):#x}"
        for name in ("deployer", "admin", "salt")
        if getattr(known, name) != getattr(request, name)
    ]
    ours, theirs = set(known.tokens), set(request.tokens)
    if not (ours <= theirs or theirs <= ours):
        asked, recorded = (", ".join(map(hex, tokens)) for tokens in (request.tokens, known.tokens))
        differing.append(f"its pools are for {recorded}, not {asked} (name every token to add one)")
    # While it is not deployed, other nodes may still be named.
    if PRIVATE_ANCHOR in record.contracts and request.anchor not in (None, known.anchor):
        differing.append("its PrivateAnchor began with other nodes")
    if record.chain_id != chain_id:
        differing.append(f"its chain is {record.chain_id}, not {chain_id}")
    return ", ".join(differing)


def _assert_same_artifacts(record: Record, todo: tuple[Step, ...], path: Path) -> None:
    for step in todo:
        known = record.classes.get(step.contract)
        if known is not None and known.class_hash != step.artifact.class_hash:
            raise InputError(
                f"{path} was begun with class {known.class_hash:#x} of {step.contract}; "
                f"the artifacts are now of class {step.artifact.class_hash:#x}.",
                hint="Check out the sources it was begun with, choose another --deployment, or --force.",
            )


async def _take(
    chain: _Sender,
    path: Path,
    record: Record,
    step: Step,
    bounds: ResourceBoundsMapping | None,
    symbols: Mapping[int, str],
    progress: Callable[[Progress], None],
) -> Record:
    """Take one step, or find it taken; return the record that says so. `symbols` are those of the tokens."""
    if _is_recorded(record, step) and await chain.has(step):
        progress(Progress(step.name, "present"))
        return record

    # A transaction of an earlier run may still be under way: sending another would be one too many.
    sent = None
    if record.pending is not None and record.pending.step == step.name:
        sent = await chain.fate(record.pending.transaction)
    if await chain.has(step):
        progress(Progress(step.name, "present", sent.transaction if sent else None))
    else:
        if bounds is None:
            raise VerificationError(f"{step.name}: what was on the chain a moment ago is not on it any more.")
        transaction = await chain.sign(step, resource_bounds=bounds)
        expected = transaction.calculate_hash(chain.account.chain_id)
        record = record.replace(pending=Pending(step=step.name, transaction=expected))
        write(path, record)
        progress(Progress(step.name, "signed", expected))
        await chain.send(step, transaction, expected)
        progress(Progress(step.name, "sent", expected))
        sent = await chain.wait(expected)
        if not await chain.has(step):
            raise VerificationError(f"{step.name}: {expected:#x} succeeded, and yet it is not on the chain.")
        progress(Progress(step.name, "accepted", expected))

    record = record.replace(**_done(record, step, sent, symbols), pending=None)
    write(path, record)
    progress(Progress(step.name, "recorded", sent.transaction if sent else None))
    return record


def _is_recorded(record: Record, step: Step) -> bool:
    match step.action:
        case "declare":
            return step.contract in record.classes
        case "deploy":
            return step.contract in record.contracts
        case "create":
            return step.address in [pool.address for pool in record.pools]


def _done(
    record: Record, step: Step, sent: IncludedTransaction | None, symbols: Mapping[int, str]
) -> dict[str, object]:
    """The part of the record that a step that was taken changes."""
    match step.action:
        case "declare":
            declared = DeclaredClass(
                class_hash=step.artifact.class_hash,
                compiled_class_hash=step.artifact.compiled_class_hash,
                artifacts=_digests(step.contract),
                declared=sent,
            )
            return {"classes": record.classes | {step.contract: declared}}
        case "deploy":
            deployed = DeployedContract(
                address=step.address,
                class_hash=step.artifact.class_hash,
                constructor=dict(step.constructor),
                deployed=sent,
            )
            return {"contracts": record.contracts | {step.contract: deployed}}
        case "create":
            token = step.constructor["token"]
            created = Pool(
                address=step.address, token=token, symbol=symbols[token], salt=step.salt, created=sent
            )
            pools = {pool.token: pool for pool in record.pools} | {token: created}
            return {"pools": tuple(pools[known] for known in record.request.tokens if known in pools)}


def _digests(name: str) -> dict[str, str]:
    files = (f"{name}.sierra.json", f"{name}.casm.json")
    return {file: hashlib.sha256((artifacts.FOLDER / file).read_bytes()).hexdigest() for file in files}


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


# --- checking it ---


async def check(client: FullNodeClient, record: Record) -> list[str]:
    """Read all that a record says from chain and artifacts again; return what differs, one line each."""
    chain = _Chain(client)
    chain_id = await chain.chain_id()
    if chain_id != record.chain_id:
        return [f"the chain is {chain_id}, recorded is {record.chain_id}"]
    found: list[str] = []
    if not record.complete:
        found.append("the deployment is incomplete")
    for name, declared in record.classes.items():
        found += [f"class {name}: {line}" for line in await _check_class(chain, name, declared)]
    of_contracts = {
        name: await _check_contract(chain, record, name, contract)
        for name, contract in record.contracts.items()
    }
    found += [f"{name}: {line}" for name, lines in of_contracts.items() for line in lines]
    if of_contracts.get(MEDSYNC) != []:
        # What is asked next is asked of MedSync.
        return found
    for pool in record.pools:
        found += [f"pool {pool.address:#x}: {line}" for line in await _check_pool(chain, record, pool)]
    if record.wiring is not None:
        found += await _check_wiring(chain, record.medsync, record.wiring)
    return found


async def _check_class(chain: _Chain, name: str, declared: DeclaredClass) -> list[str]:
    found = []
    artifact = artifacts.verified(name)
    if declared.artifacts != _digests(name):
        found.append("the artifacts are not the recorded ones")
    if declared.class_hash != artifact.class_hash:
        found.append(
            f"the artifacts are of class {artifact.class_hash:#x}, recorded is {declared.class_hash:#x}"
        )
    there = await chain.class_of(declared.class_hash)
    if there is None:
        return [*found, f"{declared.class_hash:#x} is not declared"]
    sierra = json.loads(artifact.sierra)
    if (
        list(map(_as_int, there.sierra_program)) != list(map(_as_int, sierra["sierra_program"]))
        or json.loads(there.abi or "null") != artifact.abi
    ):
        found.append("the program on the chain is not the artifacts'")
    compiled = await chain.compiled_class_hash(declared.class_hash)
    if compiled != declared.compiled_class_hash:
        found.append(f"compiles to {compiled:#x}, recorded is {declared.compiled_class_hash:#x}")
    return found + await _check_sent(chain, declared.declared)


async def _check_contract(
    chain: _Chain, record: Record, name: OwnContractName, contract: DeployedContract
) -> list[str]:
    found = []
    expected = address_of(contract.class_hash, contract.constructor, record.request.salt)
    if contract.address != expected:
        found.append(
            f"class, constructor arguments and salt give {expected:#x}, recorded is {contract.address:#x}"
        )
    class_hash = await chain.class_hash_at(contract.address)
    if class_hash is None:
        return [*found, f"there is no contract at {contract.address:#x}"]
    if class_hash != contract.class_hash:
        found.append(f"the contract is of class {class_hash:#x}, recorded is {contract.class_hash:#x}")
        return found
    found += await _check_interfaces(_CLIENTS[name](contract.address, chain.client), name)
    return found + await _check_sent(chain, contract.deployed)


async def _check_interfaces(client: ContractClient, name: ContractName) -> list[str]:
    abi = artifacts.verified(name).abi
    return [
        f"does not say that it supports {interface}"
        for interface in INTERFACES[name]
        if not await client.supports_interface(interface_id(abi, interface))
    ]


async def _check_pool(chain: _Chain, record: Record, pool: Pool) -> list[str]:
    medsync = MedSyncClient(record.medsync, chain.client)
    class_hash = await medsync.pool_class_hash()
    found = []
    expected = pool_address(class_hash, medsync.address, pool.token, record.request.deployer, pool.salt)
    if pool.address != expected:
        found.append(f"MedSync, token, deployer and salt give {expected:#x}")
    # It is what says that the pool's storage was MedSync's from its first second on; its class does not.
    if not await medsync.is_pool(pool.address):
        return [*found, "MedSync did not deploy it"]
    there = await chain.class_hash_at(pool.address)
    if there != class_hash:
        return [*found, f"it is of class {there or 0:#x}, MedSync's pools are of class {class_hash:#x}"]
    client = RewardPoolClient(pool.address, chain.client)
    for view, answer, recorded in (
        ("token", await client.token(), pool.token),
        ("medsync", await client.medsync(), medsync.address),
    ):
        if answer != recorded:
            found.append(f"{view}() is {answer:#x}, recorded is {recorded:#x}")
    found += await _check_interfaces(client, REWARD_POOL)
    try:
        token = await read_token(chain.client, pool.token, own=_own_classes())
    except NotAToken as error:
        found.append(f"token: {error.message}")
    else:
        if token.symbol != pool.symbol:
            found.append(f"the token calls itself {token.symbol!r}, recorded is {pool.symbol!r}")
    return found + await _check_sent(chain, pool.created)


async def _check_sent(chain: _Chain, sent: IncludedTransaction | None) -> list[str]:
    if sent is None:
        return []
    there = await chain.sent(sent.transaction)
    if there is None:
        return [f"transaction {sent.transaction:#x} is not on the chain, or failed"]
    if there != sent:
        return [f"transaction {sent.transaction:#x} is in block {there.block}, recorded is {sent.block}"]
    return []


async def _check_wiring(chain: _Chain, medsync: int, wiring: Wiring) -> list[str]:
    answers = (await chain.wiring(medsync)).model_dump(mode="json")
    recorded = wiring.model_dump(mode="json")
    return [
        f"{view}() is {answer}, recorded is {recorded[view]}"
        for view, answer in answers.items()
        if answer != recorded[view]
    ]


# --- the chain ---


class _Chain:
    """What a deployment asks of a node. It reads accepted blocks only: what is recorded stays true."""

    def __init__(self, client: FullNodeClient) -> None:
        self.client = client

    async def chain_id(self) -> str:
        with asking("request for the chain id"):
            return decode_short_string(int(await self.client.get_chain_id(), 16))

    async def protocol_version(self) -> str:
        with asking("request for the newest block"):
            return (await self.client.get_block_with_tx_hashes(block_number="latest")).starknet_version

    async def class_of(self, class_hash: int) -> SierraContractClass | None:
        with asking("request for a class", absent=CLASS_NOT_FOUND):
            found = await self.client.get_class_by_hash(class_hash, block_number="latest")
            assert isinstance(found, SierraContractClass)
            return found
        return None

    async def compiled_class_hash(self, class_hash: int) -> int:
        """The compiled class hash of what the node runs for a class."""
        # Not by `client.get_compiled_casm`: it cannot read this compiler's hints. The hash needs none.
        with asking("request for a compiled class"):
            casm = await self.client._client.call("getCompiledCasm", {"class_hash": hex(class_hash)})
            return compute_casm_class_hash(create_casm_class(json.dumps({**casm, "hints": []})))

    async def class_hash_at(self, address: int) -> int | None:
        return await class_hash_at(self.client, address)

    async def has(self, step: Step) -> bool:
        """Whether a step's work is on the chain, regardless of who did it.

        Raises VerificationError if another contract is in its place.
        """
        if step.action == "declare":
            return await self.class_of(step.artifact.class_hash) is not None
        class_hash = await self.class_hash_at(step.address)
        if class_hash not in (None, step.artifact.class_hash):
            raise VerificationError(
                f"At {step.address:#x}, where {step.contract} belongs, is a class {class_hash:#x}."
            )
        return class_hash is not None

    async def sent(self, transaction: int) -> IncludedTransaction | None:
        """A transaction that succeeded, or None."""
        with asking("request for a receipt", absent=TRANSACTION_NOT_FOUND):
            receipt = await self.client.get_transaction_receipt(transaction)
            if receipt.execution_status is TransactionExecutionStatus.SUCCEEDED:
                return IncludedTransaction(transaction=transaction, block=receipt.block_number)
        return None

    async def wiring(self, address: int) -> Wiring:
        medsync = MedSyncClient(address, self.client)
        return Wiring(
            admin=await medsync.admin(),
            edition=await medsync.edition(),
            pool_class_hash=await medsync.pool_class_hash(),
            successor=await medsync.successor(),
        )


@functools.cache
def _declaration_of(name: str) -> type[DeclareV3]:
    """The declarations of a deployed contract's class, which know its hash.

    starknet-py computes a class hash again for every hash of a transaction, in a good part of a second. That
    of an artifact was verified when it was loaded.
    """
    class_hash = artifacts.verified(name).class_hash

    class Declaration(DeclareV3):
        def calculate_hash(self, chain_id: int) -> int:
            return compute_declare_v3_transaction_hash(
                class_hash=class_hash,
                account_deployment_data=self.account_deployment_data,
                compiled_class_hash=self.compiled_class_hash,
                common_fields=self.get_common_fields(
                    TransactionHashPrefix.DECLARE, self.sender_address, chain_id
                ),
            )

    return Declaration


@functools.cache
def _contract_class(name: str) -> SierraContractClass:
    """The class of a deployed contract as it is declared."""
    compiled = create_sierra_compiled_contract(artifacts.verified(name).sierra)
    return compiled.convert_to_sierra_contract_class()


class _Sender(_Chain):
    """A chain and the account that deploys onto it."""

    def __init__(self, account: Account) -> None:
        super().__init__(account.client)
        self.account = account

    async def estimate(self, todo: list[Step]) -> list[EstimatedFee]:
        """What each step will cost when all are sent in this order."""
        if not todo:
            return []
        with asking("request for the account's nonce"):
            nonce = await self.account.get_nonce()
        unbounded = ResourceBoundsMapping.init_with_zeros()  # type: ignore[no-untyped-call]
        transactions: list[AccountTransaction] = [
            await self.sign(step, nonce=nonce + index, resource_bounds=unbounded)
            for index, step in enumerate(todo)
        ]
        with asking("fee estimate"):
            fees = await self.account.estimate_fee(transactions)
        assert isinstance(fees, list)
        return fees

    async def sign(
        self, step: Step, *, resource_bounds: ResourceBoundsMapping, nonce: int | None = None
    ) -> DeclareV3 | InvokeV3:
        """A step's transaction."""
        artifact = step.artifact
        with asking(step.name):
            if step.action == "declare":
                unsigned = _declaration_of(artifact.name)(
                    contract_class=_contract_class(artifact.name),
                    compiled_class_hash=artifact.compiled_class_hash,
                    sender_address=self.account.address,
                    signature=[],
                    nonce=await self.account.get_nonce() if nonce is None else nonce,
                    version=3,
                    resource_bounds=resource_bounds,
                    tip=0,
                )
                return replace(unsigned, signature=self.account.stark_signer.sign_transaction(unsigned))
            if step.action == "create":
                arguments = [step.constructor["token"], step.salt]
                call = Call(step.constructor["medsync"], starknet_keccak("create_pool"), arguments)
            else:
                call = (
                    Deployer()
                    .create_contract_deployment_raw(
                        artifact.class_hash, salt=step.salt, raw_calldata=list(step.constructor.values())
                    )
                    .call
                )
            return await self.account.sign_invoke_v3(call, resource_bounds=resource_bounds, nonce=nonce)

    async def send(self, step: Step, transaction: DeclareV3 | InvokeV3, transaction_hash: int) -> None:
        """Give a transaction to the network, unless it has it already."""
        with asking(step.name), _resumable():
            await hand_over(self.client, transaction, transaction_hash)

    async def wait(self, transaction: int) -> IncludedTransaction:
        """Wait until a transaction is accepted on L2."""
        with _resumable():
            receipt = await self.account.confirm(transaction)
        return IncludedTransaction(transaction=transaction, block=receipt.block_number)

    async def fate(self, transaction: int) -> IncludedTransaction | None:
        """Wait for a transaction if the network knows it; None if it does not, or it was reverted."""
        with asking("request for a transaction's status", absent=TRANSACTION_NOT_FOUND):
            await self.client.get_transaction_status(transaction)
            with contextlib.suppress(ContractError):
                return await self.wait(transaction)
        return None


@contextlib.contextmanager
def _resumable() -> Iterator[None]:
    """Say what to do about an outcome that was not learnt: unlike other commands, this one resumes."""
    try:
        yield
    except UnknownOutcome as error:
        error.hint = RESUME_HINT
        raise


def _as_int(felt: int | str) -> int:
    return felt if isinstance(felt, int) else int(felt, 16)
