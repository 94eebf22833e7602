"""A finished deployment: what was planned is what is there, it is left alone, and what is false is found."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starknet_py.net.full_node_client import FullNodeClient

from medsync.deployment import deployer
from medsync.deployment import record as deployments
from medsync.deployment.deployer import Plan
from medsync.deployment.devnet import Devnet
from medsync.deployment.record import Record, Request
from medsync.deployment.token import NotAToken, Token
from medsync.errors import InputError, VerificationError
from medsync.starknet.accounts import predeployed_accounts
from medsync.starknet.network import STRK_TOKEN, Connection, connect
from medsync.starknet.transactions import Account
from tests.deploy.support import STEPS, SUCCESSOR, deploy, files, read

SALT = 3


@dataclass
class Finished:
    """A deployment, what was planned before it, and how many blocks there were after that."""

    account: Account
    connection: Connection
    path: Path
    record: Record
    planned: Plan
    blocks_planned: int


@pytest.fixture(scope="module")
async def finished(own_devnet: Devnet, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Finished]:
    path = tmp_path_factory.mktemp("deployments") / "devnet.json"
    with own_devnet.restored():
        async with connect("devnet", own_devnet.rpc_url) as connection:
            account = (await predeployed_accounts(connection))[0]
            planned = await deployer.plan(account, _request(account))
            blocks = await connection.client.get_block_number()
            record = await deploy(account, path, admin=SUCCESSOR, salt=SALT)
            yield Finished(account, connection, path, record, planned, blocks)


def _request(account: Account) -> Request:
    return Request(deployer=account.address, admin=SUCCESSOR, tokens=(STRK_TOKEN,), salt=SALT)


async def test_plan_is_what_happens(finished: Finished) -> None:
    assert finished.blocks_planned == 0
    assert [one.step.name for one in finished.planned.steps] == list(STEPS)
    assert all(one.fee > 0 and one.l2_gas > 0 and not one.present for one in finished.planned.steps)
    assert finished.planned.steps[2].step.address == finished.record.medsync
    assert finished.planned.steps[3].step.address == finished.record.reward_pool

    again = await deployer.plan(finished.account, _request(finished.account))
    assert [(one.present, one.fee) for one in again.steps] == [(True, 0)] * len(STEPS)


async def test_it_is_left_alone(finished: Finished, tmp_path: Path) -> None:
    written = finished.path.read_bytes()
    nonce = await finished.account.get_nonce()

    assert await deploy(finished.account, finished.path, admin=SUCCESSOR, salt=SALT) == finished.record
    with pytest.raises(InputError, match="records another deployment: its admin is 0x5acce5504, not"):
        await deploy(finished.account, finished.path, salt=SALT)
    assert finished.path.read_bytes() == written

    # Another name finds everything there, and does not claim to have sent it.
    other = await deploy(finished.account, tmp_path / "other.json", admin=SUCCESSOR, salt=SALT)
    assert other.medsync == finished.record.medsync
    assert {part.deployed for part in other.contracts.values()} == {None}
    assert {part.declared for part in other.classes.values()} == {None}
    assert {pool.created for pool in other.pools} == {None}
    assert await finished.account.get_nonce() == nonce

    # Another salt is another deployment, of the same classes.
    forced = await deploy(finished.account, tmp_path / "other.json", salt=7, force=True)
    assert forced.medsync != finished.record.medsync
    assert read(tmp_path / "other.json") == forced
    assert await finished.account.get_nonce() == nonce + 2


async def test_record_of_an_earlier_devnet_is_replaced(
    untouched: Devnet, account: Account, finished: Finished, tmp_path: Path
) -> None:
    path = tmp_path / "devnet.json"
    # As if devnet had been started anew: nothing of what the record says is there.
    document = json.loads(finished.record.to_json().replace(hex(_class_hash(finished.record)), "0x5555"))
    document["classes"]["RewardPool"]["class_hash"] = "0x6666"
    path.write_text(json.dumps(document))

    with pytest.raises(InputError, match="its admin is 0x5acce5504"):
        await deploy(account, path)
    record = await deploy(account, path, replaceable=True)

    assert record == read(path)
    assert record.request.admin == account.address


def _class_hash(record: Record) -> int:
    return record.classes["MedSync"].class_hash


ANOTHER = "0x1234"
PLANTED = [
    ("chain_id", "SN_MAIN", "the chain is MEDSYNC_DEVNET, recorded is SN_MAIN"),
    ("contracts.MedSync.address", ANOTHER, "MedSync: there is no contract at 0x1234"),
    ("contracts.MedSync.address", hex(STRK_TOKEN), "MedSync: the contract is of class"),
    ("contracts.MedSync.class_hash", ANOTHER, "MedSync: the contract is of class"),
    ("contracts.MedSync.constructor.admin", ANOTHER, "MedSync: class, constructor arguments and salt give"),
    (
        "contracts.MedSync.constructor.pool_class",
        ANOTHER,
        "MedSync: class, constructor arguments and salt give",
    ),
    ("contracts.MedSync.deployed.transaction", ANOTHER, "MedSync: transaction 0x1234 is not on the chain"),
    ("contracts.MedSync.deployed.block", 1, "MedSync: transaction"),
    ("pools.0.address", ANOTHER, "pool 0x1234: MedSync, token, deployer and salt give"),
    ("pools.0.address", ANOTHER, "pool 0x1234: MedSync did not deploy it"),
    ("pools.0.salt", ANOTHER, "pool POOL: MedSync, token, deployer and salt give"),
    ("request.deployer", ANOTHER, "pool POOL: MedSync, token, deployer and salt give"),
    ("pools.0.symbol", "USDC", "pool POOL: the token calls itself 'STRK', recorded is 'USDC'"),
    ("pools.0.created.transaction", ANOTHER, "pool POOL: transaction 0x1234 is not on the chain"),
    ("classes.MedSync.class_hash", ANOTHER, "class MedSync: 0x1234 is not declared"),
    ("classes.MedSync.compiled_class_hash", ANOTHER, "class MedSync: compiles to"),
    ("classes.MedSync.artifacts", {"MedSync.sierra.json": "0" * 64}, "class MedSync: the artifacts are not"),
    ("classes.RewardPool.declared.transaction", ANOTHER, "class RewardPool: transaction 0x1234 is not"),
    ("wiring.admin", ANOTHER, "admin() is 0x5acce5504, recorded is 0x1234"),
    ("wiring.edition", "MedSync/1", "edition() is MedSync/2, recorded is MedSync/1"),
    ("wiring.pool_class_hash", ANOTHER, "pool_class_hash() is"),
    ("wiring.successor", ANOTHER, "successor() is 0x0, recorded is 0x1234"),
]


async def test_check_finds_planted_differences(finished: Finished) -> None:
    assert await deployer.check(finished.connection.client, finished.record) == []
    for place, value, finding in PLANTED:
        document = json.loads(finished.record.to_json())
        _plant(document, place, value)
        record = Record.model_validate_json(json.dumps(document))
        found = await deployer.check(finished.connection.client, record)
        expected = finding.replace("POOL", hex(finished.record.reward_pool))
        assert any(line.startswith(expected) for line in found), (place, found)


@pytest.mark.parametrize("token", [0x1234567, "MedSync", "account"])
async def test_what_is_no_token_is_refused_before_anything_is_sent(
    finished: Finished, tmp_path: Path, token: int | str
) -> None:
    """A reward pool never changes its token: one that is none would never take a deposit."""
    contracts = {"MedSync": finished.record.medsync, "account": finished.account.address}
    address = contracts[token] if isinstance(token, str) else token
    nonce = await finished.account.get_nonce()
    for attempt in (
        deploy(finished.account, tmp_path / "devnet.json", salt=8, tokens=[STRK_TOKEN, address]),
        deployer.plan(finished.account, _request(finished.account).model_copy(update={"tokens": (address,)})),
    ):
        with pytest.raises(NotAToken, match=f"{address:#x}"):
            await attempt
    assert files(tmp_path) == []
    assert await finished.account.get_nonce() == nonce


async def test_check_finds_a_token_that_is_none(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an earlier release would have deployed it."""

    async def believe(client: FullNodeClient, address: int, **options: object) -> Token:
        return Token(address, "", "", 0)

    monkeypatch.setattr(deployer, "read_token", believe)
    path = tmp_path / "devnet.json"
    record = await deploy(finished.account, path, salt=8, tokens=[finished.account.address])
    monkeypatch.undo()

    (finding,) = await deployer.check(finished.connection.client, record)
    assert finding.startswith(f"pool {record.reward_pool:#x}: token: The contract at")
    assert "is not an ERC-20" in finding


async def test_false_record_is_not_taken_for_finished(finished: Finished, tmp_path: Path) -> None:
    path = tmp_path / "devnet.json"
    document = json.loads(finished.record.to_json())
    _plant(document, "wiring.pool_class_hash", ANOTHER)
    path.write_text(json.dumps(document))
    with pytest.raises(VerificationError, match="is not what is on the chain"):
        await deploy(finished.account, path, admin=SUCCESSOR, salt=SALT)


def _plant(document: dict[str, Any], place: str, value: object) -> None:
    inner: Any = document
    *parents, last = [int(name) if name.isdigit() else name for name in place.split(".")]
    for name in parents:
        inner = inner[name]
    inner[last] = value


@pytest.mark.parametrize(
    ("place", "value", "problem"),
    [
        ("status", "complete and more", "status"),
        ("wiring", None, "a complete deployment names"),
        ("finished_at", None, "a complete deployment names"),
        ("contracts", {}, "a complete deployment names"),
        ("pools", [], "a complete deployment names"),
        ("request.tokens", ["0x5"], "a complete deployment names"),
        ("request.tokens", ["0x5", "0x5"], "a token is named twice"),
        ("pending", {"step": "deploy MedSync", "transaction": "0x1"}, "a complete deployment names"),
        ("schema", "medsync.deployment/1", "version 1; this program reads version 2"),
        ("schema", "medsync.deployment/3", "version 3; this program reads version 2"),
        ("schema", "medsync.deployment/x", "schema"),
        ("surplus", 1, "surplus"),
        ("request.admin", "five", "request.admin"),
        ("classes.MedSync.artifacts", {"MedSync.sierra.json": "short"}, "artifacts"),
    ],
)
def test_half_a_record_is_refused(
    finished: Finished, tmp_path: Path, place: str, value: object, problem: str
) -> None:
    path = tmp_path / "devnet.json"
    document = json.loads(finished.record.to_json())
    _plant(document, place, value)
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match=problem):
        deployments.read(path)


@pytest.mark.parametrize("name", ["", "schema", ".hidden", "dev\nnet", "réseau"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(InputError, match="cannot be the name of a deployment"):
        deployments.path_of(name)
