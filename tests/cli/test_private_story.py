"""The private side, typed by the people in it: a record's way to a researcher, its proof, its erasure."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from medsync.errors import ExitCode
from medsync.private.home import Home
from tests.cli.conftest import Cli, Here
from tests.cli.institutions import PASSPHRASE, Private, institutions
from tests.harness.records import MARKER, observation

RESEARCHER, PATIENT = "devnet:2", "devnet:6"


@pytest.fixture(scope="module")
def private(cli: Cli, here: Here) -> Private:
    return institutions(here, "private.json", "0x9a")


def test_a_record(private: Private, cli: Cli) -> None:
    # The three agree on who attests.
    too_many = "anchor nodes hospital clinic --output bad-nodes.json --threshold 3"
    assert private.run(too_many).code == ExitCode.BAD_INPUT
    private.json("anchor nodes hospital clinic university --output private-nodes.json --threshold 2")
    without = private.run("anchor audit")
    assert (without.code, "no PrivateAnchor" in without.err) == (ExitCode.BAD_INPUT, True)
    private.json("deploy --salt 0x9a --anchor-nodes private-nodes.json")

    # The researcher makes a key and a card; the hospital keeps a record.
    private.json("private key researcher.key")
    card = f"private card --account {RESEARCHER} --key researcher.key --output card.json"
    private.json(card)
    cli.write("observation.json", observation())
    (kept,) = private.json(f"private put observation.json --patient {PATIENT} --home hospital")
    assert (kept["version"], kept["categories"]) == (1, ["OBSERVATION"])
    cli.write("patient.json", {"resourceType": "Observation", "status": "nonsense"})
    bad = private.run(f"private put patient.json --patient {PATIENT} --home hospital")
    assert bad.code == ExitCode.BAD_INPUT
    assert "code" in bad.err
    listed = private.json(f"private list --home hospital --patient {PATIENT}")
    assert [one["record"] for one in listed] == [kept["record"]]

    # It is anchored, by two of three; with one alone it is not.
    alone = private.run("bridge run --once --home hospital")
    assert alone.code == ExitCode.NOT_VERIFIED
    (request,) = (cli.folder / "hospital/bridge/requests").iterdir()
    attest = f"bridge attest {request} --home clinic --output hospital/bridge/attestations/clinic.json"
    assert private.json(attest)["size"] == 1
    assert private.json("bridge run --once --home hospital")["anchored"] == 1

    # Asked for, permitted, ticketed, delivered once.
    (cli.folder / "hospital/bridge/cards/researcher.json").write_bytes(
        (cli.folder / "card.json").read_bytes()
    )
    private.run(f"entity register {RESEARCHER} --role researcher --profile 0x5")
    consent = "--purpose HRESCH --categories OBSERVATION"
    private.json(f"consent add {RESEARCHER} --account {PATIENT} {consent} --expires +1d")
    asked = f"access request {PATIENT} --account {RESEARCHER} {consent} --record {kept['commitment']}"
    assert private.json(asked)["decision"] == "PERMIT"
    (ticket,) = private.json("bridge run --once --home hospital --also clinic")["tickets"]
    get = f"private get {ticket} --key researcher.key --home hospital"
    private.json(f"{get} --output got.json")
    assert cli.read("got.json") == observation()
    assert (cli.folder / "got.json").stat().st_mode & 0o077 == 0
    for output, code in (("got.json", ExitCode.BAD_INPUT), ("more.json", ExitCode.NOT_PERMITTED)):
        assert private.run(f"{get} --output {output}").code == code
    assert not (cli.folder / "more.json").exists()

    # Asked once more, from a machine without the hospital's folder: in three steps, by two files.
    assert private.json(asked)["decision"] == "PERMIT"
    (ticket,) = private.json("bridge run --once --home hospital --also clinic")["tickets"]
    private.json("private key stranger.key")
    present = f"private present {ticket} --output presentation.json --key"
    assert private.run(f"{present} stranger.key").code == ExitCode.NOT_VERIFIED
    private.json(f"{present} researcher.key")
    release = "private release presentation.json --home hospital --output"
    private.json(f"{release} released.bin")
    assert private.run(f"{release} again.bin").code == ExitCode.NOT_PERMITTED
    assert not (cli.folder / "again.bin").exists()
    opening = f"private open {{}} --ticket {ticket} --key researcher.key --output {{}}"
    private.json(opening.format("released.bin", "opened.json"))
    assert cli.read("opened.json") == observation()
    released = (cli.folder / "released.bin").read_bytes()
    assert MARKER.encode() not in released
    (cli.folder / "altered.bin").write_bytes(released[:-1] + bytes([released[-1] ^ 1]))
    assert private.run(opening.format("altered.bin", "unopened.json")).code == ExitCode.NOT_VERIFIED
    assert not (cli.folder / "unopened.json").exists()

    # A consent with a sealed scope releases nothing until the hospital has the opening of its terms.
    cli.write("terms.json", {"data from": "2026-01-01"})
    sealed = f"consent add {RESEARCHER} --account {PATIENT} {consent} --terms terms.json --scoped"
    private.json(f"{sealed} --expires +1d")
    assert private.json(asked)["decision"] == "PERMIT"
    step = "bridge run --once --home hospital --also clinic"
    waiting = private.json(step)
    assert waiting["tickets"] == []
    assert "NO_OPENING" in waiting["entries"][-1]
    assert "--openings" in waiting["entries"][-1]
    missing = private.run(f"{step} --openings openings")
    assert (missing.code, "--openings: openings" in missing.err) == (ExitCode.BAD_INPUT, True)
    openings = cli.folder / "openings"
    openings.mkdir()
    (openings / "damaged.opening.json").write_text("{}")
    damaged = private.run(f"{step} --openings openings")
    assert (damaged.code, "damaged.opening.json" in damaged.err) == (ExitCode.BAD_INPUT, True)
    (openings / "damaged.opening.json").unlink()
    (cli.folder / "terms.json.terms.opening.json").rename(openings / "terms.opening.json")
    assert len(private.json(f"{step} --openings openings")["tickets"]) == 1

    # Anybody verifies that it is included; who alters the proof is found out.
    private.json("bridge run --once --home hospital --also university")
    private.json(f"anchor prove --record {kept['record']} --home hospital --output proof.json")
    verified = private.json("anchor verify proof.json")
    assert (verified["included"], verified["published_class"]) == (True, True)
    assert verified["attested"] == "2 signed, 2 were needed"
    private.json("anchor prove --index 0 --home hospital --output leaf.json")
    entry = private.json("anchor verify leaf.json")["entry"]
    assert (entry["kind"], entry["categories"]) == ("RECORD", kept["categories"])
    assert datetime.fromisoformat(entry["at"]).tzinfo is UTC
    proof = cli.read("proof.json")
    proof["operation"]["version"] = 2
    cli.write("forged.json", json.dumps(proof))
    assert private.run("anchor verify forged.json").code == ExitCode.NOT_VERIFIED
    audited = private.json("anchor audit --entries --home hospital")
    assert (audited["recomputed"], audited["size"]) == (True, 5)

    # Erased, backups included.
    private.json("private backup vault.backup --home hospital")
    erased = private.json(f"private erase {kept['record']} --home hospital")
    assert {one["place"] for one in erased["deleted"] if one["found"]} == {
        "vault",
        "backup",
        "node",
        "ticket",
    }
    assert Path(cli.folder / erased["certificate"]).exists()
    assert private.json("private list --home hospital")[0]["erased"] is True
    assert private.run("private erase 00 --home hospital").code == ExitCode.BAD_INPUT
    assert private.json("bridge run --once --home hospital --also clinic")["anchored"] == 6
    assert private.json("bridge status --home hospital")["outcomes"] == {"ISSUED": 3}

    # What was said holds no passphrase and nothing of the record.
    said = "".join(private.said)
    assert PASSPHRASE not in said
    assert MARKER not in said


def test_a_new_home(private: Private) -> None:
    made = private.json("private init --home new")
    assert made["node"] == "EMBEDDED"
    assert (private.here.folder / "new" / "bridge" / "cards").is_dir()
    assert private.json("private list --home new") == []
    again = private.run("private init --home new")
    assert again.code == ExitCode.BAD_INPUT
    assert "not empty" in again.err


def test_a_login_that_is_none(private: Private, cli: Cli) -> None:
    cli.write("login", "operator\na password\n")
    login, new = cli.folder / "login", "private init --home unmade --login"
    for mode, line, told in (
        (0o600, f"{new} nothing", "No such file"),
        (0o640, f"{new} login --node http://127.0.0.1:1", "chmod 600"),
        (0o600, f"{new} login", "in-process"),
    ):
        login.chmod(mode)
        refused = private.run(line)
        assert refused.code == ExitCode.BAD_INPUT
        assert told in refused.err
    assert not (cli.folder / "unmade").exists()


def test_a_home_of_another_deployment(private: Private, cli: Cli) -> None:
    elsewhere = Home.create(cli.folder / "stray", PASSPHRASE, chain=1, contract=1, work=2**4)
    asyncio.run(elsewhere)
    stray = private.run("private list --home stray")
    assert stray.code == ExitCode.BAD_INPUT
    assert "another deployment" in stray.err


def test_no_home_and_no_passphrase(private: Private, here: Here) -> None:
    nowhere = private.run("private list --home nowhere")
    assert nowhere.code == ExitCode.BAD_INPUT
    assert "medsync private init" in nowhere.err
    elsewhere = {"MEDSYNC_DEPLOYMENT": str(here.folder / "private.json")}
    asked = here.run("private backup b.db --home clinic", **elsewhere)
    assert asked.code == ExitCode.BAD_INPUT
    assert "passphrase" in asked.err
    wrong = here.run("private backup b.db --home clinic", MEDSYNC_PASSPHRASE="another", **elsewhere)
    assert wrong.code == ExitCode.BAD_INPUT
    assert "does not open" in wrong.err
    assert "Type it again, or correct where it comes from" in wrong.err
