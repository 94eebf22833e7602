"""A devnet with deterministic costs: the same contracts, clock and signatures in every run.

Starknet meters classes compiled to Sierra 1.7 or later in Sierra gas, and older ones in Cairo steps, rounded
up to multiples of 40,000 L2 gas. Devnet 0.10.1 reads a class's Sierra version from the wrong field,
`contract_class_version`, and therefore counts steps for all classes. The laboratory therefore declares each
class with its Sierra version in that field, which devnet does not include in the class hash.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from starknet_py.hash.address import compute_address
from starknet_py.net.client_models import Call, ResourceBounds, ResourceBoundsMapping
from starknet_py.net.client_utils import _create_broadcasted_txn
from starknet_py.net.models.transaction import DeclareV3, InvokeV3
from starknet_py.net.udc_deployer.deployer import Deployer

from medsync import artifacts
from medsync.artifacts import Artifact
from medsync.deployment.deployer import address_of
from medsync.deployment.devnet import Devnet
from medsync.errors import VerificationError
from medsync.protocol.hashing import poseidon, starknet_keccak
from medsync.protocol.types import AnchorNode
from medsync.starknet.accounts import make_account, predeployed_accounts
from medsync.starknet.anchor import PrivateAnchorClient
from medsync.starknet.clients import Erc20Client, MedSyncClient, RewardPoolClient
from medsync.starknet.network import STRK_TOKEN, Connection, connect
from medsync.starknet.signer import public_key_of
from medsync.starknet.transactions import Account
from scripts import build
from scripts.build import Package

#: Time of the first block in unix seconds: 2026-01-01 00:00:00 UTC.
START_TIME: Final = 1_767_225_600

#: The pool's token: devnet's second ERC-20, because STRK fees would affect the counts.
TOKEN: Final = 0x049D36570D4E46F48E99674BD3FCC84644DDD6B96F7C741B1562B82F9E004DC7

#: The roles, each with the smallest possible account (`Account` of the mocks).
ROLES: Final = (
    *("administrator", "successor", "hospital", "researcher", "partner", "delegate", "relayer"),
    *("patient", "neighbour", "rewarded", "signing", "ward", "newcomer", "surveyor"),
)

#: Private keys of the attesting nodes, and the number of required signatures.
NODE_KEYS: Final = (101, 102, 103, 104, 105)
THRESHOLD: Final = 3

#: Patients of the batches: devnet's predeployed accounts except the first, which deploys.
CROWD: Final = 50

_MAX_GAS: Final = 500_000_000
_MAX_DATA_GAS: Final = 1_000_000
_MAX_PRICE: Final = 10**10

#: Cells of each yardstick that hold `RESTING`, for `Yardstick.change`.
_YARDSTICK_CELLS: Final = 120
RESTING: Final = 1


#: A storage cell: contract and key.
Cell = tuple[int, int]


class Metering(StrEnum):
    """The unit in which computation is metered."""

    SIERRA_GAS = "Sierra gas"
    STEPS = "Cairo steps"


@dataclass(frozen=True)
class Simulation:
    """The effects of a simulated transaction."""

    l2_gas: int
    #: Storage cells it reads, with their values, including those it changes.
    touched: Mapping[Cell, int]
    #: Storage cells it changes, with their new values, except for the fee payment.
    changed: Mapping[Cell, int]
    #: The calls made by its account, as traced by the node.
    calls: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Receipt:
    """The cost of a transaction."""

    l2_gas: int
    l1_data_gas: int


class Lab:
    """Contracts and accounts on a dedicated devnet. Create one with `open_lab`."""

    def __init__(self, devnet: Devnet, connection: Connection, metering: Metering) -> None:
        self.devnet = devnet
        self.metering = metering
        self.now = START_TIME
        self.accounts: dict[str, Account] = {}
        self.crowd: list[Account] = []
        self.medsync = self.pool = self.anchor = 0
        #: Two yardsticks whose cells contain `RESTING`, and one whose cells are zero.
        self.yardsticks: tuple[int, int, int] = (0, 0, 0)
        self._connection = connection
        self._nonces: dict[int, int] = {}

    @property
    def contracts(self) -> tuple[int, int, int]:
        """The contracts whose effects are counted."""
        return self.medsync, self.pool, self.anchor

    def address(self, role: str) -> int:
        """The address of a role's account."""
        return self.accounts[role].address

    def medsync_as(self, account: str | Account) -> MedSyncClient:
        """The MedSync contract, called by a role or another account."""
        return MedSyncClient(self.medsync, self._account(account))

    def pool_as(self, role: str) -> RewardPoolClient:
        """The RewardPool, called by a role."""
        return RewardPoolClient(self.pool, self._account(role))

    def anchor_as(self, role: str) -> PrivateAnchorClient:
        """The PrivateAnchor, called by a role."""
        return PrivateAnchorClient(self.anchor, self._account(role))

    def token_as(self, role: str) -> Erc20Client:
        """The token, called by a role."""
        return Erc20Client(TOKEN, self._account(role))

    def wait(self, seconds: int) -> None:
        """Advance the clock."""
        self.now += seconds

    async def sign(self, account: Account, *calls: Call) -> dict[str, Any]:
        """Sign a transaction with the account's next nonce."""
        nonce = self._nonce(account.address)
        transaction = await account.sign_invoke_v3(list(calls), nonce=nonce, resource_bounds=_BOUNDS)
        return _as_json(transaction)

    def simulate(self, transaction: Mapping[str, Any]) -> Simulation:
        """Simulate a signed transaction in the next block. Raises VerificationError if it would fail."""
        answer = self.devnet.rpc(
            "starknet_simulateTransactions",
            block_id="latest",
            transactions=[transaction],
            simulation_flags=["RETURN_INITIAL_READS"],
        )
        (simulated,) = answer["simulated_transactions"]
        trace = simulated["transaction_trace"]
        _assert_success(trace["execute_invocation"])
        return Simulation(
            l2_gas=int(simulated["fee_estimation"]["l2_gas_consumed"], 16),
            touched={
                (int(cell["contract_address"], 16), int(cell["key"], 16)): int(cell["value"], 16)
                for cell in answer["initial_reads"]["storage"]
            },
            changed={
                (int(contract["address"], 16), int(cell["key"], 16)): int(cell["value"], 16)
                for contract in trace["state_diff"]["storage_diffs"]
                if int(contract["address"], 16) != STRK_TOKEN
                for cell in contract["storage_entries"]
            },
            calls=trace["execute_invocation"]["calls"],
        )

    def send(self, transaction: Mapping[str, Any]) -> Receipt:
        """Send a signed transaction. Raises VerificationError if it fails."""
        sent = self.devnet.rpc("starknet_addInvokeTransaction", invoke_transaction=transaction)
        receipt = self.devnet.rpc("starknet_getTransactionReceipt", transaction_hash=sent["transaction_hash"])
        _assert_success(receipt)
        self._nonces[int(transaction["sender_address"], 16)] += 1
        resources = receipt["execution_resources"]
        return Receipt(resources["l2_gas"], resources["l1_data_gas"])

    async def do(self, account: Account, *calls: Call) -> Receipt:
        """Send a transaction a few seconds after the previous one."""
        self.tick()
        return self.send(await self.sign(account, *calls))

    def tick(self) -> None:
        """Advance the clock a few seconds, and fix the time of the next block."""
        self.wait(10)
        self.devnet.set_time(self.now, create_block=True)

    def poke(self, cells: Mapping[Cell, int]) -> None:
        """Overwrite storage cells directly, without a transaction. No time passes."""
        by_contract: dict[int, list[dict[str, str]]] = {}
        for (contract, key), value in cells.items():
            by_contract.setdefault(contract, []).append({"key": hex(key), "value": hex(value)})
        diffs = [
            {"address": hex(contract), "storage_entries": entries}
            for contract, entries in by_contract.items()
        ]
        self.devnet.rpc("devnet_applyStateDiff", state_diff={"storage_diffs": diffs})
        self.devnet.set_time(self.now, create_block=True)

    async def set_up(self) -> None:
        """Declare the classes, deploy contracts and accounts, and fund the accounts."""
        deployer, *self.crowd = await predeployed_accounts(self._connection)
        classes = {}
        for name, package in _CLASSES:
            classes[name] = artifacts.load(name, package.folder)
            await self._declare(deployer, classes[name], package)
        keys = {role: 1 + place for place, role in enumerate(ROLES)}
        deployments: list[Call] = []

        def deploy(name: str, *constructor: int, salt: int = 0) -> int:
            class_hash = classes[name].class_hash
            deployment = Deployer().create_contract_deployment_raw(
                class_hash, salt=salt, raw_calldata=list(constructor)
            )
            deployments.append(deployment.call)
            arguments = {str(place): felt for place, felt in enumerate(constructor)}
            return address_of(class_hash, arguments, salt)

        for role, key in keys.items():
            address = deploy("Account", public_key_of(key))
            self.accounts[role] = make_account(
                self._connection.client, self._connection.chain_id, address, key
            )
        pool_class = classes["RewardPool"].class_hash
        self.medsync = deploy("MedSync", self.address("administrator"), pool_class)
        nodes = [felt for node in map(node_of, NODE_KEYS) for felt in node.calldata()]
        self.anchor = deploy("PrivateAnchor", len(NODE_KEYS), *nodes, THRESHOLD)
        self.yardsticks = (
            deploy("Yardstick"),
            deploy("Yardstick", salt=1),
            deploy("Yardstick", salt=2),
        )
        await self.do(deployer, *deployments)
        strk, token = Erc20Client(STRK_TOKEN, deployer), Erc20Client(TOKEN, deployer)
        gifts = [strk.transfer(account.address, 10**22).call for account in self.accounts.values()]
        await self.do(deployer, *gifts, token.transfer(self.address("researcher"), 10**18).call)
        creator = self.medsync_as("relayer")
        await self.do(creator.account, creator.create_pool(TOKEN, salt=0).call)
        salt = poseidon([creator.account.address, 0])
        self.pool = compute_address(
            class_hash=pool_class,
            constructor_calldata=[TOKEN, self.medsync],
            salt=salt,
            deployer_address=self.medsync,
        )
        for yardstick in self.yardsticks[:2]:
            await self.do(deployer, call(yardstick, "change", _YARDSTICK_CELLS, RESTING))
        funder = self.token_as("researcher")
        approvals = [funder.approve(spender, 2**256 - 1).call for spender in (self.pool, self.yardsticks[0])]
        await self.do(funder.account, *approvals)

    async def endow_yardstick(self) -> None:
        """Fund the yardstick that represents the pool once the pool has tokens."""
        funder = self.token_as("researcher")
        await self.do(funder.account, funder.transfer(self.yardsticks[0], 10**9).call)

    async def _declare(self, deployer: Account, artifact: Artifact, package: Package) -> None:
        transaction = await deployer.sign_declare_v3(
            artifact.sierra,
            artifact.compiled_class_hash,
            nonce=self._nonce(deployer.address),
            resource_bounds=_bounds(10 * _MAX_GAS),
        )
        content = _as_json(transaction)
        if self.metering is Metering.SIERRA_GAS:
            version = artifacts.manifest(package.folder)["contracts"][artifact.name]["sierra"]
            content["contract_class"]["contract_class_version"] = version
        self.devnet.rpc("starknet_addDeclareTransaction", declare_transaction=content)
        self._nonces[deployer.address] += 1

    def _nonce(self, address: int) -> int:
        if address not in self._nonces:
            nonce = self.devnet.rpc("starknet_getNonce", contract_address=hex(address), block_id="latest")
            self._nonces[address] = int(nonce, 16)
        return self._nonces[address]

    def _account(self, account: str | Account) -> Account:
        return self.accounts[account] if isinstance(account, str) else account


_CLASSES: Final = (
    ("MedSync", build.PRODUCT),
    ("RewardPool", build.PRODUCT),
    ("PrivateAnchor", build.PRODUCT),
    ("Account", build.MOCKS),
    ("Yardstick", build.MOCKS),
)


@asynccontextmanager
async def open_lab(metering: Metering) -> AsyncIterator[Lab]:
    """Open a laboratory on a new devnet, which ends with the context."""
    with Devnet.start(accounts=1 + CROWD, start_time=START_TIME) as devnet:
        async with connect("devnet", devnet.rpc_url) as connection:
            lab = Lab(devnet, connection, metering)
            await lab.set_up()
            yield lab


def node_of(key: int) -> AnchorNode:
    """The registered node of a private key."""
    return AnchorNode(public_key_of(key), identity=key)


def call(to: int, entry_point: str, *calldata: int) -> Call:
    """Make a call with raw calldata."""
    return Call(to, starknet_keccak(entry_point), list(calldata))


def frames(call: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A traced call and its nested calls, in pre-order."""
    yield call
    for inner in call["calls"]:
        yield from frames(inner)


def _bounds(l2_gas: int) -> ResourceBoundsMapping:
    return ResourceBoundsMapping(
        l1_gas=ResourceBounds(0, _MAX_PRICE),
        l1_data_gas=ResourceBounds(_MAX_DATA_GAS, _MAX_PRICE),
        l2_gas=ResourceBounds(l2_gas, _MAX_PRICE),
    )


_BOUNDS: Final = _bounds(_MAX_GAS)


def _as_json(transaction: InvokeV3 | DeclareV3) -> dict[str, Any]:
    return dict(_create_broadcasted_txn(transaction))


def _assert_success(outcome: Mapping[str, Any]) -> None:
    if reason := outcome.get("revert_reason"):
        raise VerificationError(f"A measured transaction failed: {reason}")
