"""`medsync account`: from no key at all to an account that signs, on a public network and on a devnet."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from medsync.errors import ExitCode
from medsync.starknet import accounts
from medsync.storage.passphrase import ACCOUNT_PASSPHRASE_VARIABLE
from tests.cli.conftest import Here
from tests.harness.public_node import PublicNode, public_node

PASSPHRASE = "a long enough passphrase"
PUBLIC = "--network sepolia --allow-public-network"
STRK = 10**18


@pytest.fixture(scope="module")
def node() -> Iterator[PublicNode]:
    """A node of Sepolia, as far as anybody can tell."""
    with public_node() as node:
        yield node


@pytest.fixture
def home(node: PublicNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    """The command line of somebody who has nothing yet but a node's URL and a passphrase."""
    monkeypatch.setattr(accounts, "_SCRYPT_N", 2)
    here = Here(tmp_path)
    here.environment |= {"MEDSYNC_RPC_URL": node.url, ACCOUNT_PASSPHRASE_VARIABLE: PASSPHRASE}
    return here


def faucet(node: PublicNode, account: dict[str, Any], amount: int) -> None:
    """What a faucet's page does."""
    node.devnet.mint(int(account["address"], 16), amount)


def test_a_newcomer_needs_nothing_else(node: PublicNode, home: Here) -> None:
    made = home.json("account new newcomer --network sepolia")
    assert "faucet" in made["fund_it"]
    assert made["then"] == f"medsync {PUBLIC} account deploy newcomer"
    key = hex(accounts.read_keystore(Path(made["keystore"]), PASSPHRASE))
    (listed,) = home.json("account list")
    assert (listed["account"], listed["address"]) == ("newcomer", made["address"])

    shown = home.json(f"account show newcomer {PUBLIC}")
    assert (shown["deployed"], shown["balance"], shown["address"]) == (False, "0", made["address"])
    assert (shown["network"], shown["class"]) == ("sepolia", "OpenZeppelin 1.0.0")
    undeployed = home.run(f"deploy --dry-run --account newcomer {PUBLIC}")
    assert undeployed.code == ExitCode.REFUSED
    assert f"No account is deployed at {made['address']}" in undeployed.err

    poor = home.run(f"account deploy newcomer {PUBLIC} --json")
    assert poor.code == ExitCode.REFUSED
    missing = json.loads(poor.err)
    assert (missing["error"], missing["balance"]) == ("INSUFFICIENT_BALANCE", "0")
    faucet(node, made, int(missing["missing"]))
    deployed = home.json(f"account deploy newcomer {PUBLIC}")
    assert (deployed["deployed"], deployed["address"]) == ("now", made["address"])
    again = home.json(f"account deploy newcomer {PUBLIC}")
    assert (again["deployed"], again["balance"]) == ("before", deployed["balance"])

    everything = poor.out + poor.err + str([made, listed, shown, deployed, again])
    assert key[2:] not in everything
    assert PASSPHRASE not in everything


def test_one_account_funds_another_and_signs_by_its_name(node: PublicNode, home: Here) -> None:
    payer = home.json("account new payer")
    friend = home.json("account new friend")
    unfunded = home.run(f"account fund friend --amount 1 {PUBLIC}")
    assert unfunded.code == ExitCode.BAD_INPUT
    assert "faucet" in unfunded.err
    faucet(node, payer, 20 * STRK)
    home.json(f"account deploy payer {PUBLIC}")

    # The fee comes out of the same balance: a transfer of all of it would be reverted, and paid.
    balance = int(home.json(f"account show payer {PUBLIC}")["balance"])
    all_of_it = f"{balance // STRK}.{balance % STRK:018d}"
    too_much = home.run(f"account fund friend --amount {all_of_it} --account payer {PUBLIC} --json")
    assert (too_much.code, json.loads(too_much.err)["error"]) == (ExitCode.REFUSED, "INSUFFICIENT_BALANCE")
    assert int(json.loads(too_much.err)["needed"]) > balance
    assert int(home.json(f"account show payer {PUBLIC}")["balance"]) == balance
    nothing = home.run(f"account fund friend --amount 0 --account payer {PUBLIC}")
    assert (nothing.code, "--amount must be more than zero" in nothing.err) == (ExitCode.BAD_INPUT, True)

    paid = home.json(f"account fund friend --amount 1.5 --account payer {PUBLIC}")

    assert (paid["address"], paid["received"]) == (friend["address"], str(3 * STRK // 2))
    assert paid["balance"] == paid["received"]
    assert int(home.json(f"account show payer {PUBLIC}")["balance"]) < 37 * STRK // 2
    # Wherever an address is asked for, the name will do.
    plan = home.json(f"deploy --dry-run --account payer --admin friend {PUBLIC}")
    by_address = home.json(f"deploy --dry-run --account payer --admin {friend['address']} {PUBLIC}")
    assert plan == by_address


def test_files_of_other_tools_name_accounts_too(node: PublicNode, home: Here) -> None:
    made = home.json("account new theirs")
    keystore = Path(made["keystore"]).rename(home.folder / "key.json")
    written = json.loads(Path(made["file"]).read_text())
    Path(made["file"]).unlink()
    del written["keystore"]
    home.write("starkli.json", written)
    key = hex(accounts.read_keystore(keystore, PASSPHRASE))
    entry = {"private_key": key, "type": "open_zeppelin", "public_key": made["public_key"]}
    entry |= {name: written["deployment"][name] for name in ("class_hash", "salt")}
    home.write("sncast.json", {"alpha-sepolia": {"theirs": entry}})
    faucet(node, made, STRK)

    named = ("starkli.json@key.json", "sncast:theirs@sncast.json", f"{made['address']}@key.json")
    for source in named:
        shown = home.json(f"account show {source} {PUBLIC}")
        assert (shown["address"], shown["deployed"]) == (made["address"], False)
    assert home.json(f"account deploy {named[0]} {PUBLIC}")["deployed"] == "now"
    assert home.json(f"account deploy {named[1]} {PUBLIC}")["deployed"] == "before"
    for source in named:
        done = home.run(f"deploy --dry-run --account {source} {PUBLIC} --json")
        assert done.json["deployer"] == made["address"]
        assert key[2:] not in done.out + done.err


def test_an_account_that_only_has_an_address_cannot_be_deployed(home: Here) -> None:
    home.json("account new somebody --keystore key.json")
    done = home.run(f"account deploy 0x5@key.json {PUBLIC}")
    assert done.code == ExitCode.BAD_INPUT
    assert "not known what this address follows from" in done.err


def test_accounts_that_cannot_be_read_are_listed_as_such(home: Here) -> None:
    made = home.json("account new good")
    Path(made["file"]).with_name("bad.json").write_text("{}")
    bad, good = home.json("account list")
    assert "version" in bad["problem"]
    assert (bad["account"], good["account"]) == ("bad", "good")
    assert "/medsync/accounts" in home.run("account list").ok().err


def test_a_local_devnet_makes_strk_out_of_nothing(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "_SCRYPT_N", 2)
    secret = {ACCOUNT_PASSPHRASE_VARIABLE: PASSPHRASE}
    made = here.run("account new local --json", **secret).ok().json
    assert made["fund_it"] == "medsync account fund local --amount 10"
    funded = here.json("account fund local --amount 10")
    assert (funded["balance"], funded["address"]) == (str(10 * STRK), made["address"])
    assert here.run("account deploy local --json", **secret).ok().json["deployed"] == "now"
    given = here.run("consent emergency choose nobody --account local --json", **secret).ok().json
    assert given["emergency"] == "NOBODY"
