"""New keys and nodes, typed by the people who hold them; and what becomes of the vault's backups."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from unittest.mock import patch

import pytest

from medsync.errors import ExitCode
from medsync.private.keys.keyfiles import write_key
from medsync.private.records.erasure import read_certificate
from medsync.private.records.vault import KeyVault
from tests.cli.conftest import Cli, Here
from tests.cli.institutions import PASSPHRASE, Private, institutions
from tests.harness.records import MARKER, observation

RESEARCHER, PATIENT = "devnet:2", "devnet:7"
HOSPITAL, CLINIC, UNIVERSITY = (f"--home rotation-{name}" for name in ("hospital", "clinic", "university"))
HOMES = {name: f"rotation-{name}" for name in ("hospital", "clinic", "university")}


@pytest.fixture(scope="module")
def private(cli: Cli, here: Here) -> Private:
    """The three with an anchor, and a record in the hospital."""
    private = institutions(here, "rotation.json", "0x9b", "rotation-")
    private.json(f"anchor nodes {' '.join(HOMES.values())} --output rotation-nodes.json --threshold 2")
    private.json("deploy --salt 0x9b --anchor-nodes rotation-nodes.json")
    cli.write("rotation-observation.json", observation())
    private.json(f"private put rotation-observation.json --patient {PATIENT} {HOSPITAL}")
    return private


@pytest.fixture(autouse=True)
def quick_keys() -> object:
    with patch.dict(write_key.__kwdefaults__, work=2**4):
        yield


# --- the attestors ------------------------------------------------------------------------------------------


def sign(private: Private, nodes: str, name: str, output: str) -> str:
    private.json(f"anchor sign-rotation {nodes} --home {HOMES[name]} --output {output}")
    return output


def test_a_quorum_hands_over_to_the_next_nodes(private: Private, cli: Cli) -> None:
    everyone = "rotation-nodes.json"
    private.json(f"anchor nodes {HOMES['hospital']} {HOMES['university']} --output next.json --threshold 2")
    told = private.json(f"anchor sign-rotation next.json {HOSPITAL} --output hospital.rotation.json")
    assert (told["node"], told["epoch"], told["next_threshold"]) == (0, 0, 2)
    assert [one["stark_key"] for one in told["next_nodes"]] == [
        one["stark_key"] for one in cli.read("next.json")["nodes"]
    ]

    # One is too few, also if it is given twice; nothing is sent, whatever is wrong.
    few = private.run("anchor rotate next.json hospital.rotation.json")
    assert (few.code, "1 of the 2" in few.err) == (ExitCode.NOT_VERIFIED, True)
    shutil.copy(cli.folder / "hospital.rotation.json", cli.folder / "copy.rotation.json")
    twice = private.run("anchor rotate next.json hospital.rotation.json copy.rotation.json")
    assert (twice.code, "signed another of these" in twice.err) == (ExitCode.NOT_VERIFIED, True)

    sign(private, "next.json", "clinic", "clinic.rotation.json")
    other = sign(private, everyone, "clinic", "other.rotation.json")
    good = cli.read("clinic.rotation.json")
    foreign = {
        "chain.json": good | {"chain": "0x1"},
        "anchor.json": good | {"anchor": "0x1"},
        "epoch.json": good | {"epoch": 1},
        "nobody.json": good | {"node": 3},
        "impostor.json": good | {"node": 2},
        "altered.json": good | {"s": hex(int(good["s"], 16) ^ 1)},
        "nothing.json": good | {"s": "0x0"},
    }
    for name, content in foreign.items():
        cli.write(name, content)
    for name in (*foreign, other):
        done = private.run(f"anchor rotate next.json hospital.rotation.json {name}")
        assert (done.code, name in done.err) == (ExitCode.NOT_VERIFIED, True), done
    for content in ("", "[]", "{}", json.dumps(good | {"node": -1}), json.dumps(good | {"more": 1})):
        cli.write("malformed.json", content)
        done = private.run("anchor rotate next.json hospital.rotation.json malformed.json")
        assert (done.code, "malformed.json" in done.err) == (ExitCode.BAD_INPUT, True), done
    assert private.json(f"bridge status {HOSPITAL}")["epoch"] == 0

    rotate = "anchor rotate next.json hospital.rotation.json clinic.rotation.json"
    done = private.json(rotate)
    assert (done["rotated"], done["epoch"], done["nodes"], done["threshold"]) == (True, 1, 2, 2)
    # The same again, after a Ctrl-C for example, finds it done.
    again = private.json(rotate)
    assert (again["rotated"], again["epoch"]) == (False, 1)

    # Signatures of an epoch that is over are of no use.
    sign(private, everyone, "hospital", "back.rotation.json")
    stale = private.run(f"anchor rotate {everyone} back.rotation.json {other}")
    assert (stale.code, "epoch 0; the chain is in 1" in stale.err) == (ExitCode.NOT_VERIFIED, True)
    # The clinic is out, and the bridge anchors with those that are in.
    out = private.run(f"anchor sign-rotation {everyone} {CLINIC} --output unsigned.json")
    assert (out.code, "not a registered node" in out.err) == (ExitCode.BAD_INPUT, True)
    step = private.json(f"bridge run --once {HOSPITAL} --also {HOMES['university']}")
    assert step["anchored"] == 1
    audited = private.json("anchor audit")
    assert audited["epochs"] == 2


def test_signing_a_rotation_takes_the_right_passphrase_and_file(private: Private, cli: Cli) -> None:
    line = f"anchor sign-rotation {{}} {HOSPITAL} --output unsigned.json"
    wrong = private.run(line.format("rotation-nodes.json"), "another")
    assert (wrong.code, "does not open" in wrong.err) == (ExitCode.BAD_INPUT, True)
    cli.write("no-nodes.json", {"threshold": 2})
    none = private.run(line.format("no-nodes.json"))
    assert (none.code, "NODES: " in none.err) == (ExitCode.BAD_INPUT, True)
    assert not (cli.folder / "unsigned.json").exists()
    # What no contract would take is the contract's to refuse.
    one = cli.read("rotation-nodes.json")["nodes"][0]
    cli.write("twins.json", {"threshold": 1, "nodes": [one, one]})
    names = [sign(private, "twins.json", name, f"{name}.twins.json") for name in ("hospital", "university")]
    refused = private.run(f"anchor rotate twins.json {' '.join(names)}")
    assert (refused.code, "ANCHOR/DUPLICATE_KEY" in refused.err) == (ExitCode.REFUSED, True)


# --- the bridge's key ---------------------------------------------------------------------------------------


def test_a_new_bridge_key_voids_the_tickets_that_are_out(private: Private, cli: Cli) -> None:
    private.json("private key rotation.key")
    private.json(f"private card --account {RESEARCHER} --key rotation.key --output rotation.card")
    cards = cli.folder / HOMES["hospital"] / "bridge" / "cards"
    shutil.copy(cli.folder / "rotation.card", cards / "researcher.json")
    (kept,) = private.json(f"private list {HOSPITAL}")
    consent = "--purpose HRESCH --categories OBSERVATION"
    private.run(f"entity register {RESEARCHER} --role researcher --profile 0x5")
    private.json(f"consent add {RESEARCHER} --account {PATIENT} {consent} --expires +1d")
    ask = f"access request {PATIENT} --account {RESEARCHER} {consent} --record {kept['commitment']}"
    step = f"bridge run --once {HOSPITAL} --also {HOMES['university']}"
    private.json(ask)
    (old,) = private.json(step)["tickets"]

    wrong = private.run(f"bridge rotate-key {HOSPITAL}", "another")
    assert (wrong.code, "does not open" in wrong.err) == (ExitCode.BAD_INPUT, True)
    told = private.json(f"bridge rotate-key {HOSPITAL}")
    assert told["contexts"] == 1
    assert told["bridge_key"] != told["former_bridge_key"]

    get = f"private get {{}} --key rotation.key --output rotation-got.json {HOSPITAL}"
    assert private.run(get.format(old)).code == ExitCode.NOT_PERMITTED
    private.json(ask)
    (new,) = private.json(step)["tickets"]
    private.json(get.format(new))
    assert cli.read("rotation-got.json") == observation()


# --- backups, and the custodian's key -----------------------------------------------------------------------


def test_backups_are_listed_registered_and_struck(private: Private, cli: Cli) -> None:
    assert private.json(f"private backups {HOSPITAL}") == []
    private.json(f"private backup made.db {HOSPITAL}")
    made, moved = cli.folder / "made.db", cli.folder / "moved.db"
    made.rename(moved)
    (listed,) = private.json(f"private backups {HOSPITAL}")
    assert (listed["backup"], listed["reached"]) == (str(made), False)
    assert "does not exist" in listed["why_not"]

    # Where it went it is registered, what it was is struck; what is no copy, or is still there, is refused.
    cli.write("no-vault.db", "precious")
    for line in (
        "register-backup no-vault.db",
        f"register-backup {HOMES['clinic']}/vault.db",
        f"register-backup {HOMES['hospital']}/vault.db",
        "register-backup nowhere.db",
        "forget-backup nowhere.db",
    ):
        done = private.run(f"private {line} {HOSPITAL}")
        assert (done.code, "FILE: " in done.err) == (ExitCode.BAD_INPUT, True), done
    assert private.json(f"private register-backup moved.db {HOSPITAL}")["backups"] == [str(made), str(moved)]
    still = private.run(f"private forget-backup moved.db {HOSPITAL}")
    assert (still.code, "still exists" in still.err) == (ExitCode.BAD_INPUT, True)
    assert private.json(f"private forget-backup made.db {HOSPITAL}")["backups"] == [str(moved)]
    assert private.json(f"private backups {HOSPITAL}") == [
        {"backup": str(moved), "reached": True, "why_not": ""}
    ]


def test_another_custodian_key(private: Private, cli: Cli) -> None:
    (kept,) = private.json(f"private put rotation-observation.json --patient {PATIENT} {CLINIC}")
    private.json(f"private backup clinic.db {CLINIC}")
    away = cli.folder / "clinic.away"
    (cli.folder / "clinic.db").rename(away)
    refused = private.run(f"private rekey {CLINIC}")
    assert (refused.code, "clinic.db" in refused.err) == (ExitCode.NOT_VERIFIED, True)
    away.rename(cli.folder / "clinic.db")
    assert private.run(f"private rekey {CLINIC}", "another").code == ExitCode.BAD_INPUT

    # Stopped when the backup was done and the vault was not: the same command completes it.
    reseal = KeyVault._reseal

    def stopped(vault: KeyVault, key: object) -> None:
        if vault.path.name == "vault.db":
            raise KeyboardInterrupt
        reseal(vault, key)  # type: ignore[arg-type]

    with patch.object(KeyVault, "_reseal", stopped):
        assert private.run(f"private rekey {CLINIC}").code == ExitCode.INTERRUPTED
    told = private.json(f"private rekey {CLINIC}")
    assert told["signing_key"] != told["former_signing_key"]
    (listed,) = private.json(f"private list --patient {PATIENT} {CLINIC}")
    assert listed["record"] == kept["record"]
    erased = private.json(f"private erase {kept['record']} {CLINIC}")
    assert {one["place"] for one in erased["deleted"] if one["found"]} == {"vault", "backup", "node"}
    certificate = read_certificate(Path(cli.folder / erased["certificate"]))
    certificate.verify(bytes.fromhex(told["signing_key"]))
    # The next key changes nothing about what the former signed.
    private.json(f"private rekey {CLINIC}")
    assert private.json(f"private erase {kept['record']} {CLINIC}") == erased


# --- other institutions' nodes ------------------------------------------------------------------------------


@pytest.mark.parametrize("line", ["invite --output uninvited.json", "join {}", "members"])
def test_nobody_joins_an_in_process_node(private: Private, cli: Cli, line: str) -> None:
    cli.write("made-up.json", {"group": "0" * 64, "document": {"invitation": {}}})
    done = private.run(f"private {line.format('made-up.json')} {HOSPITAL}")
    assert (done.code, "replicates nothing" in done.err) == (ExitCode.BAD_INPUT, True), done
    assert "medsync private init --node URL" in done.err
    assert not (cli.folder / "uninvited.json").exists()


def test_nothing_that_was_said_or_logged_tells_a_secret(private: Private, cli: Cli) -> None:
    said = "".join([*private.said, cli.log.read_text()])
    assert PASSPHRASE not in said
    assert MARKER not in said
