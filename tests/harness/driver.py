"""A thin, synchronous driver of contracts on a devnet, made for many small transactions.

It shares nothing with the SDK. One HTTP request carries a whole step: set the clock, send the transaction,
fetch its trace and read the views that are to be compared. The trace makes the comparison complete: it holds
the return value, every event with its emitter, and every storage cell that changed.
"""

import hashlib
import http.client
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from eth_hash.auto import keccak
from fastecdsa.curve import Curve
from fastecdsa.point import Point
from starknet_py.common import create_casm_class, create_sierra_compiled_contract
from starknet_py.hash.casm_class_hash import compute_casm_class_hash
from starknet_py.hash.hash_method import HashMethod
from starknet_py.hash.sierra_class_hash import compute_sierra_class_hash
from starknet_py.hash.transaction import (
    CommonTransactionV3Fields,
    TransactionHashPrefix,
    compute_declare_v3_transaction_hash,
    compute_invoke_v3_transaction_hash,
)
from starknet_py.net.client_models import DAMode, ResourceBounds, ResourceBoundsMapping

UDC = 0x02CEED65A4BD731034C01113685C831B01C15D7D432F71AFB1CF1634B53A2125
L2_GAS = 300_000_000  # far above what the dearest step, a batch, needs
L1_DATA_GAS = 100_000
GAS_PRICE = 10**10  # ten times devnet's
CLASS_ALREADY_DECLARED = 51  # JSON-RPC error code of the Starknet specification

_ORDER = 0x0800000000000010FFFFFFFFFFFFFFFFB781126DCAE7B2321E66A241ADC64D2F
_CURVE = Curve(
    "stark",
    2**251 + 17 * 2**192 + 1,
    1,
    0x06F21413EFBE40DE150E596D72F7A8C5609AD26C15C915C1F4CDFCB99CEE9E89,
    _ORDER,
    0x01EF15C18599971B7BECED415A40F0C7DEACFD9B0D1819E03D723D8BC943CFCA,
    0x005668060AA49730B7BE4801DF46EC62DE53ECD11ABE43A32873000C36E8DC1F,
)
_GENERATOR = Point(
    0x01EF15C18599971B7BECED415A40F0C7DEACFD9B0D1819E03D723D8BC943CFCA,
    0x005668060AA49730B7BE4801DF46EC62DE53ECD11ABE43A32873000C36E8DC1F,
    _CURVE,
)


def selector(name: str) -> int:
    return int.from_bytes(keccak(name.encode("ascii")), "big") & (2**250 - 1)


def sign(message: int, key: int) -> list[int]:
    """Plain ECDSA on the STARK curve. The nonce is derived from key and message, so that runs repeat."""
    attempt = 0
    while True:
        secret = hashlib.sha256(f"{key}/{message}/{attempt}".encode()).digest() * 2
        k = int.from_bytes(secret, "big") % (_ORDER - 1) + 1
        r = int((_GENERATOR * k).x)
        s = pow(k, -1, _ORDER) * (message + r * key) % _ORDER
        if 0 < r < 2**251 and 0 < s < 2**251 and 0 < pow(s, -1, _ORDER) < 2**251:
            return [r, s]
        attempt += 1


class RpcError(Exception):
    """The node refused a request."""

    def __init__(self, method: str, error: dict[str, Any]) -> None:
        super().__init__(f"{method}: {error}")
        self.code = error.get("code")


class Node:
    """JSON-RPC over one connection that stays open."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port)
        self.requests = 0

    def batch(self, calls: Sequence[tuple[str, dict[str, Any]]]) -> list[Any]:
        """Run calls in order in one round trip and return their results in order."""
        self.requests += len(calls)
        body = [
            {"jsonrpc": "2.0", "id": index, "method": method, "params": params}
            for index, (method, params) in enumerate(calls)
        ]
        self._connection.request("POST", "/rpc", json.dumps(body), {"Content-Type": "application/json"})
        answers = json.loads(self._connection.getresponse().read())
        results = []
        for (method, _), answer in zip(calls, sorted(answers, key=lambda a: a["id"]), strict=True):
            if "error" in answer:
                raise RpcError(method, answer["error"])
            results.append(answer["result"])
        return results

    def call(self, method: str, **params: Any) -> Any:
        return self.batch([(method, params)])[0]

    def close(self) -> None:
        self._connection.close()


class Raised(NamedTuple):
    """An event as decoded by its contract's ABI; compares equal to the model's."""

    source: int
    name: str
    keys: dict[str, Any]
    data: dict[str, Any]


class Abi:
    """Calldata and events by a contract's ABI: structs as dicts, enums as names (with what a variant carries:
    as name and value), options as value or None."""

    def __init__(self, entries: list[dict[str, Any]]) -> None:
        self.functions: dict[str, dict[str, Any]] = {}
        self._structs: dict[str, list[dict[str, str]]] = {}
        self._enums: dict[str, list[dict[str, str]]] = {}
        self._events: dict[int, tuple[str, list[dict[str, str]]]] = {}
        for entry in entries:
            kind, name = entry["type"], entry.get("name", "")
            if kind == "struct" and not name.startswith("core::array::Span::<"):
                self._structs[name] = entry["members"]
            elif kind == "enum":
                self._enums[name] = entry["variants"]
            elif kind == "interface":
                self.functions |= {item["name"]: item for item in entry["items"]}
            elif kind == "event" and entry["kind"] == "struct":
                short = name.rsplit("::", 1)[1]
                self._events[selector(short)] = (short, entry["members"])

    def operations(self) -> set[str]:
        """The functions that may change something."""
        return {n for n, item in self.functions.items() if item.get("state_mutability") == "external"}

    def event_names(self) -> set[str]:
        return {name for name, _ in self._events.values()}

    def encode_call(self, function: str, arguments: dict[str, Any]) -> list[int]:
        inputs = self.functions[function]["inputs"]
        assert [item["name"] for item in inputs] == list(arguments), f"{function} takes {inputs}"
        return [felt for item in inputs for felt in self._encode(item["type"], arguments[item["name"]])]

    def decode_result(self, function: str, felts: list[int]) -> Any:
        outputs = self.functions[function]["outputs"]
        reader = iter(felts)
        result = self._decode(outputs[0]["type"], reader) if outputs else None
        assert not list(reader), f"{function} returned more than its type says"
        return result

    def decode_event(self, source: int, keys: list[int], data: list[int]) -> Raised:
        name, members = self._events[keys[0]]
        readers = {"key": iter(keys[1:]), "data": iter(data)}
        parts: dict[str, dict[str, Any]] = {"key": {}, "data": {}}
        for member in members:
            parts[member["kind"]][member["name"]] = self._decode(member["type"], readers[member["kind"]])
        assert not [*readers["key"], *readers["data"]], f"{name} carries more than its type says"
        return Raised(source, name, parts["key"], parts["data"])

    def _encode(self, kind: str, value: Any) -> list[int]:
        if kind in self._structs and kind != "core::integer::u256":
            fields = value if isinstance(value, dict) else vars(value)
            members = self._structs[kind]
            assert [member["name"] for member in members] == list(fields), f"{kind} has {members}"
            return [
                felt for member in members for felt in self._encode(member["type"], fields[member["name"]])
            ]
        if kind.startswith("core::option::Option::<"):
            return [1] if value is None else [0, *self._encode(_inner(kind), value)]
        if kind.startswith(("core::array::Array::<", "core::array::Span::<")):
            return [len(value), *(felt for item in value for felt in self._encode(_inner(kind), item))]
        if kind == "core::bool":
            return [int(value)]
        if kind in self._enums:
            name, carried = value if isinstance(value, tuple) else (value, None)
            variants = [variant["name"] for variant in self._enums[kind]]
            place = variants.index(name)
            inner = self._enums[kind][place]["type"]
            return [place] if inner == "()" else [place, *self._encode(inner, carried)]
        if kind == "core::integer::u256":
            return [value & (2**128 - 1), value >> 128]
        assert kind.startswith(("core::felt252", "core::integer::u", "core::starknet::")), kind
        return [value]

    def _decode(self, kind: str, reader: Any) -> Any:
        if kind.startswith("("):
            return tuple(self._decode(part, reader) for part in kind[1:-1].split(", "))
        if kind.endswith("::Raw"):  # a puppet's answer, which may have any shape
            return list(reader)
        if kind in self._structs and kind != "core::integer::u256":
            return {m["name"]: self._decode(m["type"], reader) for m in self._structs[kind]}
        if kind.startswith("core::option::Option::<"):
            return self._decode(_inner(kind), reader) if next(reader) == 0 else None
        if kind.startswith(("core::array::Array::<", "core::array::Span::<")):
            return [self._decode(_inner(kind), reader) for _ in range(next(reader))]
        if kind == "core::bool":
            return (False, True)[next(reader)]
        if kind in self._enums:
            variant = self._enums[kind][next(reader)]
            if variant["type"] == "()":
                return variant["name"]
            return variant["name"], self._decode(variant["type"], reader)
        if kind == "core::integer::u256":
            return next(reader) + (next(reader) << 128)
        assert kind.startswith(("core::felt252", "core::integer::u", "core::starknet::")), kind
        return next(reader)


def _inner(kind: str) -> str:
    return kind[kind.index("<") + 1 : -1]


@dataclass
class Contract:
    address: int
    abi: Abi


@dataclass
class Account:
    address: int
    key: int
    nonce: int


@dataclass(frozen=True)
class View:
    """A view to read, or an operation to call."""

    contract: Contract
    function: str
    arguments: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.function}({', '.join(f'{k}={v!r}' for k, v in self.arguments.items())})"


@dataclass
class Receipt:
    """All that a transaction did, as far as the watched contracts go."""

    error: str | None
    result: Any = None  # of several calls, a list
    events: list[Raised] = field(default_factory=list)
    cells: dict[int, int] = field(default_factory=dict)  # contract -> number of storage cells changed
    views: list[Any] = field(default_factory=list)  # what the views asked for answered afterwards
    storage: dict[int, dict[int, int]] = field(default_factory=dict)  # contract -> its changed cells


class Snapshot(NamedTuple):
    id: str
    nonces: dict[int, int]


class Chain:
    """Accounts and contracts on one devnet."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.chain_id = int(node.call("starknet_chainId"), 16)
        self.accounts: dict[int, Account] = {}
        self.watched: dict[int, Contract] = {}
        for account in node.call("devnet_getPredeployedAccounts"):
            address = int(account["address"], 16)
            nonce = int(node.call("starknet_getNonce", contract_address=hex(address), block_id="latest"), 16)
            self.accounts[address] = Account(address, int(account["private_key"], 16), nonce)

    def watch(self, address: int, abi: Abi) -> Contract:
        """From now on events and changed cells of this contract are part of every receipt."""
        return self.watched.setdefault(address, Contract(address, abi))

    def abi_of(self, address: int) -> Abi:
        """The ABI of a contract that is there already."""
        declared = self.node.call("starknet_getClassAt", contract_address=hex(address), block_id="latest")
        return Abi(json.loads(declared["abi"]))

    def declare(self, caller: int, artifacts: Path, name: str) -> tuple[int, Abi]:
        """Declare a compiled contract class, unless the node has it; return its hash and ABI."""
        sierra, class_hash, compiled_hash = _compiled(artifacts, name)
        account = self.accounts[caller]
        common, transaction = self._envelope(TransactionHashPrefix.DECLARE, account, l2_gas=10_000_000_000)
        transaction_hash = compute_declare_v3_transaction_hash(
            class_hash=class_hash,
            account_deployment_data=[],
            compiled_class_hash=compiled_hash,
            common_fields=common,
        )
        transaction |= {
            "type": "DECLARE",
            "contract_class": sierra,
            "compiled_class_hash": hex(compiled_hash),
            "signature": [hex(felt) for felt in sign(transaction_hash, account.key)],
        }
        try:
            self.node.call("starknet_addDeclareTransaction", declare_transaction=transaction)
            account.nonce += 1
        except RpcError as error:
            if error.code != CLASS_ALREADY_DECLARED:
                raise
        return class_hash, Abi(json.loads(sierra["abi"]))

    def deploy(self, caller: int, class_hash: int, constructor: list[int], salt: int) -> int:
        """Deploy through the universal deployer and return the address."""
        call = [UDC, selector("deployContract"), 4 + len(constructor)]
        call += [class_hash, salt, 0, len(constructor), *constructor]
        *_, trace = self.node.batch(self._invoke(caller, [call]))
        execution = trace["execute_invocation"]
        assert "revert_reason" not in execution, execution["revert_reason"]
        return int(execution["calls"][0]["result"][0], 16)

    def send(
        self,
        caller: int,
        contract: Contract,
        function: str,
        arguments: dict[str, Any],
        *,
        now: int,
        views: Sequence[View] = (),
    ) -> Receipt:
        """One transaction of one call, in a block of its own at second `now`, then views at that second."""
        receipt = self.send_all(caller, [View(contract, function, arguments)], now=now, views=views)
        if receipt.error is None:
            (receipt.result,) = receipt.result
        return receipt

    def send_all(
        self, caller: int, calls: Sequence[View], *, now: int, views: Sequence[View] = ()
    ) -> Receipt:
        """`send` for a transaction of several calls: all of them happen, or none."""
        transaction = self._invoke(caller, [_encoded(call) for call in calls])
        answers = self.node.batch([_clock(now), *transaction, _clock(now), *map(_call, views)])
        receipt = self._receipt(answers[2], calls)
        receipt.views = _decoded(views, answers[4:])
        return receipt

    def simulate(self, transactions: Sequence[tuple[int, Sequence[View]]], *, now: int) -> list[Receipt]:
        """What transactions would do one after the other, each of a caller's calls; nothing is done."""
        nonces = {caller: self.accounts[caller].nonce for caller, _ in transactions}
        signed = []
        for caller, calls in transactions:
            signed.append(self._signed(caller, [_encoded(call) for call in calls], nonces[caller])[0])
            nonces[caller] += 1
        simulation = {"block_id": "latest", "transactions": signed, "simulation_flags": []}
        _, answers = self.node.batch([_clock(now), ("starknet_simulateTransactions", simulation)])
        return [
            self._receipt(answer["transaction_trace"], calls)
            for answer, (_, calls) in zip(answers, transactions, strict=True)
        ]

    def read(self, views: Sequence[View], *, now: int) -> list[Any]:
        """What views answer at second `now`, decoded."""
        return _decoded(views, self.node.batch([_clock(now), *map(_call, views)])[1:])

    def snapshot(self) -> Snapshot:
        return Snapshot(
            self.node.call("devnet_snapshot"), {a.address: a.nonce for a in self.accounts.values()}
        )

    def revert(self, snapshot: Snapshot) -> None:
        """Back to a snapshot, which is used up by it."""
        assert self.node.call("devnet_revert", snapshot_id=snapshot.id) is True
        for address, nonce in snapshot.nonces.items():
            self.accounts[address].nonce = nonce

    def _invoke(self, caller: int, calls: Sequence[list[int]]) -> list[tuple[str, dict[str, Any]]]:
        """Send one signed transaction of these encoded calls and fetch its trace."""
        account = self.accounts[caller]
        transaction, transaction_hash = self._signed(caller, calls, account.nonce)
        account.nonce += 1
        return [
            ("starknet_addInvokeTransaction", {"invoke_transaction": transaction}),
            ("starknet_traceTransaction", {"transaction_hash": hex(transaction_hash)}),
        ]

    def _signed(self, caller: int, calls: Sequence[list[int]], nonce: int) -> tuple[dict[str, Any], int]:
        """A transaction of these encoded calls, and its hash."""
        account = replace(self.accounts[caller], nonce=nonce)
        calldata = [len(calls), *(felt for call in calls for felt in call)]
        common, transaction = self._envelope(TransactionHashPrefix.INVOKE, account, l2_gas=L2_GAS)
        transaction_hash = compute_invoke_v3_transaction_hash(
            account_deployment_data=[], calldata=calldata, common_fields=common
        )
        transaction |= {
            "type": "INVOKE",
            "calldata": [hex(felt) for felt in calldata],
            "signature": [hex(felt) for felt in sign(transaction_hash, account.key)],
        }
        return transaction, transaction_hash

    def _envelope(
        self, prefix: TransactionHashPrefix, account: Account, *, l2_gas: int
    ) -> tuple[CommonTransactionV3Fields, dict[str, Any]]:
        """What every transaction of version 3 has, as starknet-py hashes it and as it is sent."""
        bounds = {"l1_gas": 0, "l2_gas": l2_gas, "l1_data_gas": L1_DATA_GAS}
        common = CommonTransactionV3Fields(
            tx_prefix=prefix,
            version=3,
            address=account.address,
            chain_id=self.chain_id,
            nonce=account.nonce,
            tip=0,
            paymaster_data=[],
            resource_bounds=ResourceBoundsMapping(
                **{name: ResourceBounds(amount, GAS_PRICE) for name, amount in bounds.items()}
            ),
            nonce_data_availability_mode=DAMode.L1,
            fee_data_availability_mode=DAMode.L1,
        )
        return common, {
            "version": "0x3",
            "sender_address": hex(account.address),
            "nonce": hex(account.nonce),
            "resource_bounds": {
                name: {"max_amount": hex(amount), "max_price_per_unit": hex(GAS_PRICE)}
                for name, amount in bounds.items()
            },
            "tip": "0x0",
            "paymaster_data": [],
            "account_deployment_data": [],
            "nonce_data_availability_mode": "L1",
            "fee_data_availability_mode": "L1",
        }

    def _receipt(self, trace: dict[str, Any], calls: Sequence[View]) -> Receipt:
        storage = changed_cells(trace, self.watched)
        cells = {address: len(changed) for address, changed in storage.items()}
        execution = trace["execute_invocation"]
        if "revert_reason" in execution:
            return Receipt(error_code(execution["revert_reason"]), cells=cells, storage=storage)
        # The account wraps what each call returned: number of calls, then length and felts of each.
        returned = iter([int(felt, 16) for felt in execution["result"]][1:])
        results = [
            call.contract.abi.decode_result(call.function, [next(returned) for _ in range(next(returned))])
            for call in calls
        ]
        events: list[tuple[int, Raised]] = []
        _collect(execution, self.watched.get, events)
        in_order = [event for _, event in sorted(events, key=lambda pair: pair[0])]
        return Receipt(None, results, in_order, cells, storage=storage)


@cache
def _compiled(artifacts: Path, name: str) -> tuple[dict[str, Any], int, int]:
    """A contract class as it is declared, and both its hashes, which take seconds to compute."""
    sierra = json.loads((artifacts / f"{name}.sierra.json").read_text())
    casm = json.loads((artifacts / f"{name}.casm.json").read_text())
    casm["hints"] = []  # no part of the hash, and newer compilers write some that starknet-py cannot read
    sierra.pop("sierra_program_debug_info", None)
    abi = sierra["abi"] if isinstance(sierra["abi"], list) else json.loads(sierra["abi"])
    sierra["abi"] = json.dumps(abi)
    class_hash = compute_sierra_class_hash(
        create_sierra_compiled_contract(json.dumps(sierra)).convert_to_sierra_contract_class()
    )
    return (
        sierra,
        class_hash,
        compute_casm_class_hash(create_casm_class(json.dumps(casm)), HashMethod.BLAKE2S),
    )


def error_code(revert_reason: str) -> str:
    """The short string with which the innermost call panicked."""
    texts = [
        text
        for text in re.findall(r"0x[0-9a-f]+ \('([^']*)'\)", revert_reason)
        if text != "ENTRYPOINT_FAILED"
    ]
    return texts[-1] if texts else revert_reason


def changed_cells(trace: dict[str, Any], watched: Iterable[int]) -> dict[int, dict[int, int]]:
    """By watched contract: the storage cells that a transaction changed, and what they hold now."""
    storage: dict[int, dict[int, int]] = {address: {} for address in watched}
    for diff in trace["state_diff"]["storage_diffs"]:
        if (address := int(diff["address"], 16)) in storage:
            storage[address] |= {
                int(entry["key"], 16): int(entry["value"], 16) for entry in diff["storage_entries"]
            }
    return storage


def _clock(now: int) -> tuple[str, dict[str, Any]]:
    # The empty block matters: without it the next block's header gets the time, but not its transactions.
    return "devnet_setTime", {"time": now, "generate_block": True}


def _decoded(views: Sequence[View], answers: Sequence[list[str]]) -> list[Any]:
    return [
        view.contract.abi.decode_result(view.function, [int(felt, 16) for felt in answer])
        for view, answer in zip(views, answers, strict=True)
    ]


def _encoded(call: View) -> list[int]:
    """A call as an account takes it."""
    calldata = call.contract.abi.encode_call(call.function, call.arguments)
    return [call.contract.address, selector(call.function), len(calldata), *calldata]


def _call(view: View) -> tuple[str, dict[str, Any]]:
    calldata = view.contract.abi.encode_call(view.function, view.arguments)
    request = {
        "contract_address": hex(view.contract.address),
        "entry_point_selector": hex(selector(view.function)),
        "calldata": [hex(felt) for felt in calldata],
    }
    return "starknet_call", {"request": request, "block_id": "latest"}


def _collect(
    invocation: dict[str, Any], watched: Callable[[int], Contract | None], into: list[tuple[int, Raised]]
) -> None:
    """Events of a call and of the calls inside it, with their place in the transaction; a call that failed
    inside one that survived it has none."""
    if invocation["is_reverted"]:
        return
    contract = watched(int(invocation["contract_address"], 16))
    if contract is not None:
        for event in invocation["events"]:
            keys, data = ([int(felt, 16) for felt in event[part]] for part in ("keys", "data"))
            into.append((event["order"], contract.abi.decode_event(contract.address, keys, data)))
    for call in invocation["calls"]:
        _collect(call, watched, into)
