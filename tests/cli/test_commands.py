"""Every command that the story does not use, once."""

import csv
import json
from collections.abc import Iterator

import pytest
import typer

from medsync.cli import campaigns
from medsync.cli.app import app
from medsync.deployment.record import read
from medsync.errors import ExitCode
from medsync.protocol.types import CampaignTerms
from medsync.protocol.vocabulary import Purpose
from medsync.starknet.network import NETWORKS, Network
from scripts.reference import command_line
from tests.cli.conftest import Done, Here

HOSPITAL, RESEARCHER, PARTNER = "devnet:10", "devnet:11", "devnet:12"
PATIENT, GUARDIAN = "devnet:13", "devnet:14"
AS_PATIENT, AS_GUARDIAN = f"--account {PATIENT}", f"--account {GUARDIAN}"


@pytest.fixture(scope="session")
def registered(here: Here) -> None:
    for entity, role in ((HOSPITAL, "hospital"), (RESEARCHER, "researcher"), (PARTNER, "researcher")):
        here.run(f"entity register {entity} --role {role} --profile 0x9").ok()


def commands() -> Iterator[str]:
    """Every command and group of the command line."""

    def below(command: object, path: str) -> Iterator[str]:
        yield path
        for name, inner in getattr(command, "commands", {}).items():
            yield from below(inner, f"{path} {name}")

    return below(typer.main.get_command(app), "")


def assert_refused(done: Done, code: str) -> None:
    """A contract refused with that code."""
    assert done.code == ExitCode.REFUSED
    assert f"refused: {code}" in done.err


def test_help_of_every_command(here: Here) -> None:
    found = list(commands())
    assert len(found) > 40
    for path in found:
        done = here.run(f"{path} --help").ok()
        assert f"Usage: medsync{path}" in done.out
        assert done.err == ""


def test_documentation_is_what_the_commands_say() -> None:
    command_line.check()


def test_entities(here: Here, registered: None) -> None:
    assert here.json(f"entity suspend {PARTNER}")["suspended"] is True
    shown = here.json(f"entity show {PARTNER}")
    assert (shown["role"], shown["suspended"]) == ("RESEARCHER", True)
    assert here.json(f"entity reinstate {PARTNER}")["suspended"] is False
    assert {one["role"] for one in here.json("entity list")} == {"HOSPITAL", "RESEARCHER"}

    assert here.json("entity admin show")["successor"] is None
    begun = here.json(f"entity admin begin {GUARDIAN}")
    assert here.json("entity admin show")["ready_at"] == begun["ready_at"]
    assert_refused(here.run(f"entity admin accept {AS_GUARDIAN}"), "ENTITY/TRANSFER_NOT_READY")
    assert here.json("entity admin cancel")["cancelled"] is True


def test_consents(here: Here, registered: None) -> None:
    terms = "--purpose TREAT --categories ALL --starts 1 --expires 2099-12-31"
    asked = here.json(f"consent request {PATIENT} {terms} --account {HOSPITAL}")
    assert asked["expires_at"] == "2099-12-31T00:00:00Z"
    here.json(f"consent refuse {HOSPITAL} --purpose TREAT {AS_PATIENT}")

    allowed = here.json(f"consent delegate {GUARDIAN} --powers give,revoke,refuse {AS_PATIENT}")
    assert allowed["powers"] == ["GIVE", "REVOKE", "REFUSE"]
    given = here.json(f"consent add {HOSPITAL} {terms} --for {PATIENT} {AS_GUARDIAN}")
    assert given["version"] == 1
    here.json(f"consent refuse {RESEARCHER} --purpose HRESCH --for {PATIENT} {AS_GUARDIAN}")
    revoked = here.json(f"consent revoke {HOSPITAL} --purpose TREAT --for {PATIENT} {AS_GUARDIAN}")
    assert revoked["status"] == "REVOKED"
    assert here.json(f"consent delegate {GUARDIAN} --powers none {AS_PATIENT}")["powers"] == []
    assert_refused(here.run(f"consent revoke-all --for {PATIENT} {AS_GUARDIAN}"), "CONSENT/NOT_DELEGATE")

    here.write("agreement.txt", "what was agreed")
    signed = here.json(
        f"consent sign {HOSPITAL} {terms} --terms agreement.txt --output signed.json {AS_PATIENT}"
    )
    assert (signed["message"], signed["keep"]) == ("Consent", ["agreement.txt.terms.opening.json"])
    submitted = here.json("consent submit signed.json")
    assert submitted["version"] == 3
    assert submitted["terms_commitment"] == here.read("agreement.txt.terms.opening.json")["commitment"]
    assert here.json(f"consent show {PATIENT} {HOSPITAL} --purpose TREAT")["status"] == "GIVEN"
    (listed,) = here.json(f"consent list {PATIENT}")
    assert (listed["decision"], listed["purpose"]) == ("PERMIT", "TREAT")
    withdrawn = here.json(f"consent revoke {HOSPITAL} --purpose TREAT {AS_PATIENT}")
    assert withdrawn["status"] == "WITHDRAWN"
    state = here.json(f"consent cancel-signatures {AS_PATIENT}")
    assert here.json(f"consent revoke-all {AS_PATIENT}")["nonce"] == state["nonce"] + 1


def test_accesses(here: Here, registered: None) -> None:
    here.json(f"consent add {RESEARCHER} --purpose HRESCH --categories GENOMICS --expires +1y {AS_PATIENT}")
    here.write("report.json", {"resourceType": "DiagnosticReport"})
    here.write(
        "requests.json",
        [
            {"patient": PATIENT, "purpose": "HRESCH", "categories": ["GENOMICS"], "record": "report.json"},
            {"patient": PATIENT, "purpose": "TREAT", "categories": ["ALL"], "record": "0x2"},
        ],
    )
    batch = here.run(f"access batch requests.json --account {RESEARCHER} --json")
    assert batch.code == ExitCode.NOT_PERMITTED
    assert [one["decision"] for one in batch.json["requests"]] == ["PERMIT", "NO_CONSENT"]
    assert batch.json["keep"] == ["report.json.record.opening.json"]

    glass = (
        f"access emergency {PATIENT} --categories ALL --record report.json --justification 0x3 "
        f"--account {HOSPITAL}"
    )
    assert here.json(glass)["decision"] == "EMERGENCY"
    assert here.json(f"consent opt-out {AS_PATIENT}")["emergency_opt_out"] is True
    assert here.run(glass).code == ExitCode.NOT_PERMITTED
    assert here.json(f"consent opt-out --undo {AS_PATIENT}")["emergency_opt_out"] is False

    log = here.json(f"access log {PATIENT}")
    assert [entry["seq"] for entry in log] == list(range(1, len(log) + 1))
    assert (
        f"Complete: the log of length {len(log)} leads to the head"
        in here.run(f"access log {PATIENT}").ok().err
    )

    for format in ("csv", "fhir", "receipt"):
        here.json(f"access export {PATIENT} --format {format} --output export.{format}")
    with (here.folder / "export.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(log)
    assert here.read("export.fhir")["resourceType"] == "Bundle"
    assert len(here.read("export.receipt")) == len(here.json(f"consent list {PATIENT}"))
    assert (here.folder / "export.fhir").stat().st_mode & 0o077 == 0

    assert here.json("access verify export.csv")["complete"] is True
    lines = (here.folder / "export.csv").read_text().splitlines(keepends=True)
    here.write("short.csv", "".join(lines[:-1]))
    short = here.run("access verify short.csv")
    assert short.code == ExitCode.NOT_VERIFIED
    assert "missing: " in short.err


def test_rewards(here: Here, registered: None) -> None:
    terms, as_funder = "--terms trial.json", f"--account {RESEARCHER}"
    new = "--purpose CLINTRCH --rate 7 --expires +1w --unit smallest"
    assert here.json(f"pool fund {terms} {new} --amount 21 {as_funder}")["remaining"] == "21"
    assert here.json(f"pool fund {terms} --amount 0.000000000000000009 {as_funder}")["remaining"] == "30"
    changed = here.run(f"pool fund {terms} {new} --amount 1 {as_funder}")
    assert changed.code == ExitCode.BAD_INPUT
    assert "its terms cannot change" in changed.err

    here.json(f"pool allow {PARTNER} {terms} --amount 14 --unit smallest {as_funder}")
    status = here.json(f"pool status {PARTNER} {terms}")
    assert (status["allowance"], status["remaining"], status["status"]) == ("14", "30", "OPEN")
    assert status["claimable"] == "0"
    assert_refused(here.run(f"pool withdraw 1 {as_funder}"), "POOL/INSUFFICIENT_CREDIT")
    assert_refused(here.run(f"pool close {terms} {as_funder}"), "POOL/CLOSE_TOO_EARLY")
    assert here.json(f"pool announce-close {terms} {as_funder}")["closing_at"] is not None


def test_a_deposit_beyond_the_balance_names_both(here: Here) -> None:
    """The fee comes out of the same balance: a deposit of all of it would be reverted, and paid."""
    before = here.json(f"account show {PARTNER}")["balance"]
    new = "--terms beyond.json --purpose HRESCH --rate 1 --expires +1w --unit smallest"
    for deposit in (int(before), 2 * int(before)):
        refused = here.run(f"pool fund {new} --amount {deposit} --account {PARTNER} --json")
        assert refused.code == ExitCode.REFUSED
        error = json.loads(refused.err)
        assert (error["error"], error["balance"]) == ("INSUFFICIENT_BALANCE", before)
        assert int(error["needed"]) > deposit
        assert "The deposit needs a balance of " in error["message"]
    assert here.json(f"account show {PARTNER}")["balance"] == before
    assert not (here.folder / "beyond.json").exists()


def test_a_pool_that_is_not_the_published_one(here: Here, registered: None) -> None:
    """It might promise and not pay, which no contract can tell; with --any-pool the contract is asked."""
    terms = CampaignTerms(
        pool=read(here.folder / "devnet.json").medsync,
        funder=1,
        purpose=Purpose.HRESCH,
        rate=1,
        custodian=0,
        custodian_bps=0,
        expires_at=2**32,
        salt=1,
    )
    here.write("foreign.json", campaigns.dumps(terms))
    give = f"consent add {RESEARCHER} --purpose HRESCH --categories ALL --expires +1d --reward foreign.json"
    refused = here.run(f"{give} --account {PATIENT}")
    assert refused.code == ExitCode.NOT_VERIFIED
    assert "is not the published RewardPool" in refused.err
    assert_refused(here.run(f"{give} --account {PATIENT} --any-pool"), "CONSENT/NOT_A_POOL")


def test_looking_around(here: Here) -> None:
    running = here.json("devnet status")
    assert running["running"] is True
    assert here.json("devnet up") == running
    checked = here.json("deployments check")
    assert (checked["deployment"], checked["ok"], checked["findings"]) == ("devnet", True, [])
    assert "ok          yes" in here.run("deployments check").ok().out
    planned = here.json("deploy --dry-run --salt 0x99")
    assert (planned["sufficient"], planned["missing"]) == (True, "0")
    assert planned["token"]["symbol"] == "STRK"
    assert planned["record"] == str(here.folder / "devnet.json")
    assert [one["state"] for one in planned["steps"]] == ["on the chain"] * 2 + ["to be sent"] * 2
    report = {one["part"]: one for one in here.run("doctor --json").json}
    assert report["starknet-devnet"]["ok"] is True
    assert {"python", "scarb", "artifacts", "devnet", "account"} <= set(report)


def test_looking_around_writes_nothing(here: Here) -> None:
    url = here.json("devnet status")["url"]
    here.write("file", "")
    nowhere = {"XDG_STATE_HOME": str(here.folder / "file")}
    planned = here.run(f"deploy --dry-run --rpc-url {url}/rpc", **nowhere).ok()
    assert "on the chain" in planned.out
    assert here.run("devnet status", **nowhere).ok().err == ""


def test_an_incomplete_deployment_says_how_to_complete_it(here: Here) -> None:
    record = here.read("devnet.json")
    here.write("half.json", record | {"status": "incomplete", "wiring": None, "finished_at": None})
    checked = here.run("deployments check --deployment ./half.json")
    assert checked.code == ExitCode.NOT_VERIFIED
    assert "the deployment is incomplete" in checked.err
    assert "Run `medsync deploy` again: it resumes." in checked.err


def test_listing_says_where_it_looked(here: Here) -> None:
    folder = here.folder / "records"
    folder.mkdir()
    empty = here.run("deployments list", MEDSYNC_DEPLOYMENTS=str(folder)).ok()
    assert str(folder) in empty.err
    (folder / "kept.json").write_text((here.folder / "devnet.json").read_text())
    (listed,) = here.run("deployments list --json", MEDSYNC_DEPLOYMENTS=str(folder)).ok().json
    assert (listed["deployment"], listed["record"]) == ("kept", str(folder / "kept.json"))


def test_doctor_says_what_is_missing_and_how_to_get_it(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    # A devnet of the machine's user may listen at the usual place.
    monkeypatch.setitem(NETWORKS, "devnet", Network("devnet", None, "http://127.0.0.1:1/rpc"))
    nowhere = str(here.folder / "none")
    nothing = {"PATH": "", "XDG_CACHE_HOME": nowhere, "XDG_STATE_HOME": nowhere}
    bare = here.run("doctor --json", **nothing)
    report = {one["part"]: one for one in bare.json}
    assert bare.code == ExitCode.MISSING_TOOL
    assert (report["starknet-devnet"]["ok"], report["starknet-devnet"]["needed"]) == (False, True)
    assert "make devnet" in report["starknet-devnet"]["remedy"]
    assert (report["scarb"]["ok"], report["scarb"]["needed"]) == (False, False)


def test_answers_for_people(here: Here, registered: None) -> None:
    status = here.run("pool status").ok().out
    assert "lifetime deposits" in status
    assert " STRK\n" in status
    assert "…" in here.run("entity list").ok().out
    record = here.read("devnet.json")
    here.write("planted.json", record | {"wiring": record["wiring"] | {"token": "0x1"}})
    checked = here.run("deployments check --deployment ./planted.json")
    assert checked.code == ExitCode.NOT_VERIFIED
    (finding,) = json.loads(here.run("deployments check --deployment ./planted.json --json").err)["findings"]
    assert finding in checked.err
    assert "token() is 0x4718" in checked.err
