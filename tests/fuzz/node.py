"""A node of one small world, which answers every question well until a test has it answer one badly.

It is no devnet: nothing is executed. It answers what the commands ask, so that each runs to its end on good
answers, and what a bad answer does to them is seen at every place they ask.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import Any, Final, Self

from aiohttp import web

from medsync.deployment import toolchain
from medsync.protocol.events import (
    EVENTS,
    Anchored,
    Event,
    EventLocation,
    NodesRotated,
    event_name,
    selector_of,
)
from medsync.protocol.felt import encode_short_string
from medsync.protocol.hashing import starknet_keccak
from medsync.protocol.types import (
    AccessReceipt,
    AnchorHead,
    AnchorNode,
    Budget,
    Campaign,
    Consent,
    Emergency,
    Entity,
    Head,
    PaidUses,
    PatientState,
    PendingAdmin,
    Verdict,
)
from medsync.protocol.vocabulary import (
    CampaignStatus,
    Category,
    ConsentStatus,
    Decision,
    EmergencyChoice,
    Purpose,
    Reason,
    Role,
)
from medsync.starknet import network
from medsync.starknet.network import STRK_TOKEN
from medsync.starknet.signer import public_key_of
from tests.fuzz import calimero
from tests.harness.histories import CHAIN, DAY, HOSPITAL, PATIENT, START, SUCCESSOR, TERMS

LATEST: Final = 1_024
NOW: Final = START + 10 * DAY
TRANSACTION: Final = 0x7A27
#: Hash of the block without a number.
BLOCK_HASHES: Final = 0xB10C0000
EDITION: Final = "2"

#: Keys of the event structs in the chain's order: how many of the first fields of each.
KEYS: Final = {name: keys for events in EVENTS.values() for name, (_, keys) in events.items()}

#: Views of histories that only the patient has.
HEADS: Final = frozenset({starknet_keccak("history_head"), starknet_keccak("log_head")})

#: What hands a transaction over.
SUBMITS: Final = frozenset(
    {
        "starknet_addInvokeTransaction",
        "starknet_addDeclareTransaction",
        "starknet_addDeployAccountTransaction",
    }
)


@dataclass(frozen=True)
class Reply:
    """What goes over the wire instead of a good answer."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"


#: Makes of a method's good answer, a JSON-RPC document, what is sent instead.
Twist = Callable[[dict[str, Any]], Reply]


def felts(value: Any) -> list[int]:
    """A value as Cairo's `Serde` writes it; a plain None is `Option::None`."""
    if value is None:
        return [1]
    if isinstance(value, Purpose):
        return [value.felt]
    if isinstance(value, list):
        return [len(value), *(felt for item in value for felt in felts(item))]
    if is_dataclass(value):
        return [
            felt
            for field in fields(value)
            if field.name != "location"
            for felt in felts(getattr(value, field.name))
        ]
    assert isinstance(value, int | Enum)
    return [int(value)]  # type: ignore[arg-type]


@dataclass(frozen=True)
class World:
    """What is on the node's chain."""

    medsync: int
    reward_pool: int
    deployer: int
    #: Private keys of the predeployed accounts, by address.
    keys: dict[int, int]
    #: Classes by hash: as the node answers them, Sierra and CASM.
    classes: dict[int, tuple[dict[str, Any], dict[str, Any]]]
    #: Class hashes by address.
    contracts: dict[int, int]
    #: What contracts emitted, by address.
    events: dict[int, list[Event]]
    #: Heads of the patient's consents and log, and of the registry.
    consents: Head
    accesses: Head
    registry: Head
    pool_class: int
    #: The PrivateAnchor, its nodes and its head.
    anchor: int
    nodes: list[AnchorNode]
    anchored: AnchorHead

    def views(self) -> dict[str, list[int]]:
        """What the contracts' views answer, whatever they are asked about."""
        consent = Consent(
            state=Reason.GRANTED,
            status=ConsentStatus.GIVEN,
            starts_at=START,
            expires_at=START + 90 * DAY,
            categories=Category.ALL,
            version=1,
            generation=1,
            max_uses=0,
            uses=2,
            rewarded=True,
            scoped=False,
            by_delegate=False,
        )
        verdict = Verdict(Decision.PERMIT, Reason.GRANTED, 1, False)
        return {
            "entity": felts(Entity(Role.RESEARCHER, False, START, START, START, 2)),
            "admin": [self.deployer],
            "pending_admin": [0, *felts(PendingAdmin(HOSPITAL, NOW, NOW + DAY))],
            "successor": [SUCCESSOR],
            "edition": [encode_short_string(EDITION)],
            "consent": felts(consent),
            "patient_state": felts(PatientState(4, 1, 4, 1, 0, EmergencyChoice.NAMED_HOSPITALS)),
            "verify_consent": felts(verdict),
            "verify_consents": felts([verdict, verdict]),
            "emergency": felts(Emergency(START, True, True)),
            "history_head": felts(self.consents),
            "log_head": felts(self.accesses),
            "registry_head": felts(self.registry),
            "budget": felts(Budget(5, 3, NOW + DAY, 1)),
            "paid_uses": felts(PaidUses(1, 3, 0, 1)),
            "is_pool": [1],
            "pool_class_hash": [self.pool_class],
            "supports_interface": [1],
            "is_valid_outside_execution_nonce": [1],
            "token": [STRK_TOKEN],
            "medsync": [self.medsync],
            "campaign": felts(Campaign(TERMS.id, CampaignStatus.OPEN, 20, 3, 0, NOW + DAY)),
            "accepts_consents": [0],
            "unsettled": [10**18],
            "name": [0, encode_short_string("Starknet Token"), 14],
            "symbol": [encode_short_string("STRK")],
            "decimals": [18],
            "total_supply": [10**28, 0],
            "balance_of": [10**24, 0],
            **{name: [10**19] for name in ("allowance", "claimable", "withdrawn", "accumulated")},
            "liabilities": [10**19],
            "head": felts(self.anchored),
            "verify_inclusion": [1],
            "is_valid_signature": [encode_short_string("VALID")],
        }


RECEIPT: Final = AccessReceipt(Decision.PERMIT, Reason.GRANTED, 6, 0xD16E57)

#: What entry points return; all others nothing.
RETURNS: Final = {
    "add_consent": [2],
    "add_consent_for": [2],
    "add_consent_by_sig": [2],
    "request_access": felts(RECEIPT),
    "request_access_batch": felts([RECEIPT, RECEIPT]),
    "request_emergency_access": felts(RECEIPT),
    "approve": [1],
    "create_pool": [0x900C],
    "revoke_allowance": [2],
    "settle": [2],
    "settle_custodian": [2],
}


class StubNode:
    """The node. Start it with `with`; it listens on a free port of this machine and ends with the block."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.port = 0
        #: The methods that were asked for since `begin`, in order, and how they were answered before twists.
        self.asked: list[str] = []
        self.answers: list[dict[str, Any]] = []
        self._twists: dict[int | str, Twist] = {}
        self._sent: list[dict[str, Any]] = []
        self._views = {starknet_keccak(name): answer for name, answer in world.views().items()}
        self._returns = {starknet_keccak(name): answer for name, answer in RETURNS.items()}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> None:
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", calimero.PATH + "/{tail:.*}", calimero.answer)
        app.router.add_post("/{tail:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    def begin(self, twists: dict[int | str, Twist] | None = None) -> None:
        """Begin a case: `twists` by the number of the question, or by the method for all of its questions."""
        self.asked, self.answers, self._sent = [], [], []
        self._twists = twists or {}

    @property
    def submitted(self) -> list[str]:
        """The methods among the asked that hand a transaction over."""
        return [method for method in self.asked if method in SUBMITS]

    async def _handle(self, request: web.Request) -> web.Response:
        question = await request.json()
        method = question["method"]
        number = len(self.asked)
        self.asked.append(method)
        result = self._answer(method, question["params"])
        document = {"jsonrpc": "2.0", "id": question["id"]} | (
            {"error": {"code": result.args[0], "message": result.args[1]}}
            if isinstance(result, LookupError)
            else {"result": result}
        )
        self.answers.append(document)
        twist = self._twists.get(number) or self._twists.get(method)
        reply = twist(document) if twist else Reply(json.dumps(document).encode())
        return web.Response(
            body=reply.body, status=reply.status, headers={"Content-Type": reply.content_type}
        )

    def _answer(self, method: str, params: Any) -> Any:
        answer = getattr(self, method.partition("_")[2], None)
        if answer is None:
            return LookupError(-32601, "Method not found")
        try:
            return answer(**params) if isinstance(params, dict) else answer()
        except LookupError as error:
            return error

    # --- the methods, by their names without prefix ---------------------------------------------------------

    def specVersion(self) -> str:
        return network.RPC_VERSION

    def chainId(self) -> str:
        return hex(CHAIN)

    def getConfig(self) -> dict[str, Any]:
        return {"seed": 1}

    def getPredeployedAccounts(self, **_: Any) -> list[dict[str, str]]:
        return [
            {"address": hex(address), "private_key": hex(key), "public_key": hex(public_key_of(key))}
            for address, key in self.world.keys.items()
        ]

    def blockNumber(self) -> int:
        return LATEST

    def getBlockWithTxHashes(self, block_id: Any) -> dict[str, Any]:
        number = LATEST
        if isinstance(block_id, dict):
            named = block_id.get("block_hash", hex(BLOCK_HASHES + LATEST))
            number = block_id.get("block_number", int(named, 16) - BLOCK_HASHES)
        price = {"price_in_wei": "0x3b9aca00", "price_in_fri": "0x3b9aca00"}
        return {
            "status": "ACCEPTED_ON_L2",
            "block_hash": hex(BLOCK_HASHES + number),
            "parent_hash": "0xb10c",
            "block_number": number,
            "new_root": "0x0",
            "timestamp": NOW,
            "sequencer_address": "0x1",
            "l1_gas_price": price,
            "l1_data_gas_price": price,
            "l2_gas_price": price,
            "l1_da_mode": "BLOB",
            "starknet_version": toolchain.STARKNET_VERSION,
            "transactions": [],
            **dict.fromkeys(
                (
                    "event_commitment",
                    "transaction_commitment",
                    "receipt_commitment",
                    "state_diff_commitment",
                ),
                "0x0",
            ),
            "event_count": 0,
            "transaction_count": 0,
            "state_diff_length": 0,
        }

    def call(self, request: dict[str, Any], block_id: Any) -> list[str]:
        selector = int(request["entry_point_selector"], 16)
        if selector == starknet_keccak("node"):
            return list(map(hex, felts(self.world.nodes[int(request["calldata"][0], 16)])))
        if selector in HEADS and int(request["calldata"][0], 16) != PATIENT:
            return ["0x0", "0x0"]
        return list(map(hex, self._views[selector]))

    def getNonce(self, **_: Any) -> str:
        return hex(3 + len(self._sent))

    def estimateFee(self, request: list[Any], **_: Any) -> list[dict[str, str]]:
        fee = {
            "l1_gas_consumed": "0x0",
            "l1_gas_price": "0x1",
            "l1_data_gas_consumed": "0x80",
            "l1_data_gas_price": "0x1",
            "l2_gas_consumed": "0xf4240",
            "l2_gas_price": "0x3b9aca00",
            "overall_fee": "0x38d7ea4c68000",
            "unit": "FRI",
        }
        return [fee for _ in request]

    def addInvokeTransaction(self, invoke_transaction: dict[str, Any]) -> dict[str, str]:
        self._sent.append(invoke_transaction)
        return {"transaction_hash": hex(TRANSACTION)}

    def addDeclareTransaction(self, declare_transaction: dict[str, Any]) -> dict[str, str]:
        self._sent.append(declare_transaction)
        return {"transaction_hash": hex(TRANSACTION), "class_hash": "0x1"}

    def addDeployAccountTransaction(self, deploy_account_transaction: dict[str, Any]) -> dict[str, str]:
        self._sent.append(deploy_account_transaction)
        return {"transaction_hash": hex(TRANSACTION), "contract_address": "0x1"}

    def mint(self, address: str, amount: int, unit: str) -> dict[str, str]:
        return {"new_balance": str(10**24), "unit": unit, "tx_hash": hex(TRANSACTION)}

    def getTransactionStatus(self, **_: Any) -> dict[str, str]:
        return {"finality_status": "ACCEPTED_ON_L2", "execution_status": "SUCCEEDED"}

    def getTransactionReceipt(self, transaction_hash: str) -> dict[str, Any]:
        return {
            "type": "INVOKE",
            "transaction_hash": transaction_hash,
            "block_hash": hex(BLOCK_HASHES + LATEST),
            "actual_fee": {"amount": "0x38d7ea4c68000", "unit": "FRI"},
            "block_number": LATEST,
            "execution_status": "SUCCEEDED",
            "finality_status": "ACCEPTED_ON_L2",
            "messages_sent": [],
            "events": [],
            "execution_resources": {"l1_gas": 0, "l1_data_gas": 128, "l2_gas": 10**6},
        }

    def traceTransaction(self, **_: Any) -> dict[str, Any]:
        def frame(to: int, selector: int, calldata: list[int], calls: list[Any]) -> dict[str, Any]:
            return {
                "contract_address": hex(to),
                "entry_point_selector": hex(selector),
                "calldata": list(map(hex, calldata)),
                "caller_address": "0x0",
                "class_hash": "0x1",
                "entry_point_type": "EXTERNAL",
                "call_type": "CALL",
                "is_reverted": False,
                "result": list(map(hex, self._returns.get(selector, []))),
                "calls": calls,
                "events": [],
                "messages": [],
                "execution_resources": {"l1_gas": 0, "l2_gas": 10**6},
            }

        sent = [int(felt, 16) for felt in self._sent[-1]["calldata"]]
        rest, calls = sent[1:], []
        for _call in range(sent[0]):
            to, selector, length = rest[:3]
            calls.append(frame(to, selector, rest[3 : 3 + length], []))
            rest = rest[3 + length :]
        return {
            "type": "INVOKE",
            "execute_invocation": frame(self.world.deployer, 1, sent, calls),
            "execution_resources": {"l1_gas": 0, "l1_data_gas": 128, "l2_gas": 10**6},
        }

    def getClassHashAt(self, block_id: Any, contract_address: str) -> str:
        address = int(contract_address, 16)
        if address not in self.world.contracts:
            raise LookupError(20, "Contract not found")
        return hex(self.world.contracts[address])

    def getClass(self, block_id: Any, class_hash: str) -> dict[str, Any]:
        return self._class(class_hash)[0]

    def getCompiledCasm(self, class_hash: str) -> dict[str, Any]:
        return self._class(class_hash)[1]

    def _class(self, class_hash: str) -> tuple[dict[str, Any], dict[str, Any]]:
        if int(class_hash, 16) not in self.world.classes:
            raise LookupError(28, "Class hash not found")
        return self.world.classes[int(class_hash, 16)]

    def getEvents(self, filter: dict[str, Any]) -> dict[str, Any]:
        wanted = [[int(key, 16) for key in keys] for keys in filter.get("keys", [])]
        first, last = filter["from_block"]["block_number"], filter["to_block"]["block_number"]
        address = int(filter["address"], 16)
        found = []
        for index, event in enumerate(self.world.events.get(address, [])):
            location = event.location
            assert isinstance(location, EventLocation)
            keys, data = _emitted(event)
            fits = all(not some or key in some for key, some in zip(keys, wanted, strict=False))
            if not fits or not first <= location.block_number <= last:
                continue
            found.append(
                {
                    "from_address": hex(address),
                    "keys": list(map(hex, keys)),
                    "data": list(map(hex, data)),
                    "transaction_hash": hex(location.transaction_hash),
                    "block_number": location.block_number,
                    "block_hash": "0xb10c",
                    "transaction_index": 0,
                    "event_index": index,
                }
            )
        return {"events": found}


def anchored(nodes: list[AnchorNode], head: AnchorHead) -> list[Event]:
    """What a PrivateAnchor emitted that has this head since its first anchor, which all nodes signed."""
    return [
        NodesRotated(0, head.threshold, nodes, location=EventLocation(0, 0xABC000, START)),
        Anchored(
            head.root,
            0,
            head.size,
            0x57A7E,
            0,
            head.anchored_at,
            2 ** len(nodes) - 1,
            location=EventLocation(7, 0xABC007, head.anchored_at),
        ),
    ]


def _emitted(event: Event) -> tuple[list[int], list[int]]:
    """Keys and data of an event."""
    values, keys = felts(event), KEYS[event_name(event)]
    return [selector_of(type(event)), *values[:keys]], values[keys:]
