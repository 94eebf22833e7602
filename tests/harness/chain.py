"""Transactions of any shape, sent raw: several calls at once, malformed calldata, contracts as callers.

Built on the stateful tests' driver, which signs, encodes by the ABI and reads everything from the trace.
"""

import json
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from starknet_py.hash.address import compute_address
from starknet_py.hash.transaction import (
    TransactionHashPrefix,
    compute_declare_v3_transaction_hash,
    compute_invoke_v3_transaction_hash,
)

from medsync import artifacts
from scripts import build
from tests.harness import driver
from tests.harness.driver import UDC, Abi, Contract, Raised, error_code, selector


class Call(NamedTuple):
    """One call of a transaction."""

    to: int
    function: str
    calldata: Sequence[int]


@dataclass
class Outcome:
    """What a transaction did. `error` is the innermost panic's short string, `reason` the node's whole
    text."""

    error: str | None = None
    reason: str = ""
    results: list[list[int]] = field(default_factory=list)
    events: list[Raised] = field(default_factory=list)
    storage: dict[int, dict[int, int]] = field(default_factory=dict)
    """By watched contract: the storage cells that changed, and what they hold now."""
    outward: set[tuple[int, int, int]] = field(default_factory=set)
    """The calls that watched contracts made: from, to, and the entry point's selector."""

    @property
    def cells(self) -> dict[int, int]:
        """How many storage cells changed, by watched contract."""
        return {address: len(cells) for address, cells in self.storage.items()}


class Class(NamedTuple):
    """A declared class."""

    hash: int
    abi: Abi


class Chain(driver.Chain):
    """One devnet, its accounts, and the classes declared on it."""

    def __init__(self, node: driver.Node) -> None:
        super().__init__(node)
        self._classes: dict[str, Class] = {}
        # Salts of contracts to come. Several of these may use one devnet, one after the other.
        self._salt = 1_000 * int(node.call("starknet_blockNumber"))

    def refresh(self) -> int:
        """Read the accounts' nonces again, in case somebody else used the devnet; return the latest block's
        time."""
        calls: list[tuple[str, dict[str, Any]]] = [
            ("starknet_getNonce", {"contract_address": hex(address), "block_id": "latest"})
            for address in self.accounts
        ]
        *nonces, block = self.node.batch([*calls, ("starknet_getBlockWithTxHashes", {"block_id": "latest"})])
        for account, nonce in zip(self.accounts.values(), nonces, strict=True):
            account.nonce = int(nonce, 16)
        return int(block["timestamp"])

    def set_clock(self, now: int) -> None:
        """Make an empty block at second `now`, which may lie in the past."""
        self.node.batch([driver._clock(now)])

    def declared(self, name: str, package: build.Package = build.PRODUCT) -> Class:
        """The class of a built contract, declared when it is first asked for."""
        if name not in self._classes:
            artifact = artifacts.load(name, package.folder)
            self._declare(artifact)
            self._classes[name] = Class(artifact.class_hash, Abi(artifact.abi))
        return self._classes[name]

    def _declare(self, artifact: artifacts.Artifact) -> None:
        sender = next(iter(self.accounts.values()))
        common, transaction = self._envelope(TransactionHashPrefix.DECLARE, sender, l2_gas=10_000_000_000)
        transaction_hash = compute_declare_v3_transaction_hash(
            class_hash=artifact.class_hash,
            account_deployment_data=[],
            compiled_class_hash=artifact.compiled_class_hash,
            common_fields=common,
        )
        sierra = json.loads(artifact.sierra)
        sierra.pop("sierra_program_debug_info", None)
        transaction |= {
            "type": "DECLARE",
            "contract_class": sierra | {"abi": json.dumps(sierra["abi"])},
            "compiled_class_hash": hex(artifact.compiled_class_hash),
            "signature": [hex(felt) for felt in driver.sign(transaction_hash, sender.key)],
        }
        try:
            self.node.call("starknet_addDeclareTransaction", declare_transaction=transaction)
            sender.nonce += 1
        except driver.RpcError as error:
            if error.code != driver.CLASS_ALREADY_DECLARED:
                raise

    def deployment(self, declared: Class, constructor: Sequence[int]) -> tuple[Contract, Call]:
        """A new contract's address, watched from now on, and the call of the universal deployer that puts it
        there."""
        self._salt += 1
        address = compute_address(
            class_hash=declared.hash,
            constructor_calldata=list(constructor),
            salt=self._salt,
            deployer_address=0,
        )
        call = Call(UDC, "deployContract", [declared.hash, self._salt, 0, len(constructor), *constructor])
        return self.watch(address, declared.abi), call

    def execute(self, sender: int, calls: Sequence[Call], now: int) -> Outcome:
        """One transaction in a block of its own at second `now`."""
        transaction, transaction_hash = self._transaction(sender, calls)
        self.accounts[sender].nonce += 1
        *_, trace = self.node.batch(
            [
                driver._clock(now),
                ("starknet_addInvokeTransaction", {"invoke_transaction": transaction}),
                ("starknet_traceTransaction", {"transaction_hash": hex(transaction_hash)}),
            ]
        )
        return self._outcome(trace)

    def rehearse(self, sender: int, calls: Sequence[Call], now: int) -> Outcome:
        """What `execute` would do; nothing is done."""
        transaction, _ = self._transaction(sender, calls, signed=False)
        simulation = {
            "block_id": "latest",
            "transactions": [transaction],
            "simulation_flags": ["SKIP_VALIDATE"],
        }
        _, (answer,) = self.node.batch([driver._clock(now), ("starknet_simulateTransactions", simulation)])
        return self._outcome(answer["transaction_trace"])

    def _outcome(self, trace: dict[str, Any]) -> Outcome:
        storage = driver.changed_cells(trace, self.watched)
        execution = trace["execute_invocation"]
        if (reason := execution.get("revert_reason")) is not None:
            return Outcome(error_code(reason), reason, storage=storage)
        events: list[tuple[int, Raised]] = []
        driver._collect(execution, self.watched.get, events)
        return Outcome(
            results=_split(execution["result"]),
            events=[event for _, event in sorted(events, key=lambda pair: pair[0])],
            storage=storage,
            outward=set(_outward(execution, self.watched)),
        )

    def _transaction(
        self, sender: int, calls: Sequence[Call], *, signed: bool = True
    ) -> tuple[dict[str, Any], int]:
        """A transaction of any number of calls, and its hash."""
        calldata = [len(calls)]
        for call in calls:
            calldata += [call.to, selector(call.function), len(call.calldata), *call.calldata]
        account = self.accounts[sender]
        common, transaction = self._envelope(TransactionHashPrefix.INVOKE, account, l2_gas=driver.L2_GAS)
        transaction_hash = compute_invoke_v3_transaction_hash(
            account_deployment_data=[], calldata=calldata, common_fields=common
        )
        transaction |= {
            "type": "INVOKE",
            "calldata": [hex(felt) for felt in calldata],
            "signature": [
                hex(felt) for felt in (driver.sign(transaction_hash, account.key) if signed else ())
            ],
        }
        return transaction, transaction_hash


def _outward(invocation: dict[str, Any], watched: Container[int]) -> Iterator[tuple[int, int, int]]:
    """The calls that watched contracts make within a call."""
    caller = int(invocation["contract_address"], 16)
    for call in invocation["calls"]:
        if caller in watched:
            yield caller, int(call["contract_address"], 16), int(call["entry_point_selector"], 16)
        yield from _outward(call, watched)


def _split(result: Sequence[str]) -> list[list[int]]:
    """The answers of the calls, from what the account returns: their number, then length and felts of
    each."""
    felts = [int(felt, 16) for felt in result]
    answers, place = [], 1
    for _ in range(felts[0]):
        length = felts[place]
        answers.append(felts[place + 1 : place + 1 + length])
        place += 1 + length
    return answers
