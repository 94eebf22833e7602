"""Every command that the story does not use, once."""

import csv
import json
from collections.abc import Iterator

import pytest
import typer

from medsync.cli import campaigns
from medsync.cli.app import app
from medsync.deployment.devnet import Devnet
from medsync.deployment.record import read
from medsync.errors import ExitCode
from medsync.protocol.types import CampaignTerms
from medsync.protocol.vocabulary import Purpose
from medsync.starknet.network import NETWORKS, STRK_TOKEN, Network
from scripts.reference import command_line
from tests.cli.conftest import Done, Here
from tests.faults.proxy import Planned, Proxy

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
    listed = here.run("entity list --json").ok()
    assert {one["role"] for one in listed.json} == {"HOSPITAL", "RESEARCHER"}
    assert "Complete as of block" in here.run("entity list").ok().err
    assert_refused(here.run(f"entity profile 0x10 --account {PARTNER}"), "ENTITY/PROFILE_TOO_SOON")

    assert here.json(f"entity suspend-self --account {PARTNER}")["suspended"] is True
    assert_refused(here.run(f"entity suspend-self --account {PARTNER}"), "ENTITY/SUSPENDED")
    assert here.json(f"entity reinstate {PARTNER}")["suspended"] is False


def test_a_profile_is_replaced_after_a_day(here: Here, registered: None) -> None:
    devnet = Devnet(here.json("devnet status")["url"])
    with devnet.restored():
        devnet.increase_time(86_400)
        here.write("partner.json", {"name": "Test Partner"})
        changed = here.json(f"entity profile partner.json --account {PARTNER}")
        assert changed["keep"] == ["partner.json.profile.opening.json"]
        profiles = {one["entity"]: one["profile_commitment"] for one in here.json("entity list")}
        assert profiles[changed["entity"]] == changed["profile_commitment"]


def test_the_administration(here: Here) -> None:
    assert here.json("entity admin show")["next_admin"] is None
    begun = here.json(f"entity admin begin {GUARDIAN}")
    assert here.json("entity admin show")["ready_at"] == begun["ready_at"] < begun["lapses_at"]
    assert_refused(here.run(f"entity admin accept {AS_GUARDIAN}"), "ENTITY/TRANSFER_NOT_READY")
    assert here.json("entity admin cancel")["cancelled"] is True

    assert here.json("entity successor show")["successor"] is None
    announced = here.json("entity successor announce 0x5")
    assert (announced["successor"], here.json("entity successor show")["successor"]) == ("0x5", "0x5")
    assert "Never follow it on this word alone" in here.run("entity successor show").ok().err
    assert here.json("entity successor retract")["successor"] is None
    assert here.json("entity successor show")["successor"] is None


def test_a_study_is_named_by_its_opening(here: Here, registered: None) -> None:
    made = here.json("consent study new --protocol p --approval a --contact c --output cohort.json")
    assert (here.folder / "cohort.json").stat().st_mode & 0o077 == 0
    assert here.json("consent study show cohort.json") == {
        name: made[name] for name in ("study", "protocol", "approval", "contact")
    }
    terms = "--purpose DSRCH --categories GENOMICS --expires +1d"
    given = here.json(f"consent add {RESEARCHER} {terms} --study cohort.json {AS_PATIENT}")
    assert given["study"] == made["study"]
    judge = f"consent verify {PATIENT} {RESEARCHER} --purpose DSRCH --categories GENOMICS"
    assert here.json(f"{judge} --study {made['study']}")["reason"] == "GRANTED"
    broad = here.run(f"{judge} --json")
    assert (broad.code, broad.json["reason"]) == (ExitCode.NOT_PERMITTED, "NEVER_GIVEN")

    here.write("asthma.txt", "a study, perhaps")
    refused = here.run(f"consent add {RESEARCHER} {terms} --study asthma.txt {AS_PATIENT}")
    assert refused.code == ExitCode.BAD_INPUT
    assert not (here.folder / "asthma.txt.study.opening.json").exists()
    here.json(f"consent revoke {RESEARCHER} --purpose DSRCH --study cohort.json {AS_PATIENT}")


def test_consents(here: Here, registered: None) -> None:
    terms = "--purpose TREAT --categories ALL --starts 1 --expires 2099-12-31"
    asked = here.json(f"consent request {PATIENT} {terms} --open-until +1d --account {HOSPITAL}")
    assert asked["expires_at"] == "2099-12-31T00:00:00Z"
    (waiting,) = here.json(f"consent requests {PATIENT}")
    assert (waiting["state"], waiting["grantee"]) == ("open", asked["grantee"])
    refused = here.json(f"consent refuse {HOSPITAL} --purpose TREAT {AS_PATIENT}")
    assert (refused["status"], refused["state"]) == ("REFUSED", "REFUSED")
    assert here.json(f"consent requests {PATIENT}") == []
    assert [one["state"] for one in here.json(f"consent requests {PATIENT} --all")] == ["answered"]

    delegate = f"consent delegate {GUARDIAN} --powers give,revoke,refuse {AS_PATIENT}"
    assert here.json(delegate)["powers"] == ["GIVE", "REVOKE", "REFUSE"]
    as_delegate = f"--for {PATIENT} {AS_GUARDIAN}"
    assert_refused(here.run(f"consent add {HOSPITAL} {terms} {as_delegate}"), "CONSENT/PATIENT_DECIDED")
    other = terms.replace("TREAT", "CAREMGT")
    assert here.json(f"consent add {HOSPITAL} {other} {as_delegate}")["version"] == 1
    here.json(f"consent refuse {RESEARCHER} --purpose HRESCH {as_delegate}")
    revoked = here.json(f"consent revoke {HOSPITAL} --purpose CAREMGT {as_delegate}")
    assert (revoked["status"], revoked["by_delegate"]) == ("REVOKED", True)
    mixed = here.run(f"consent revoke-all --dismiss-delegates {as_delegate}")
    assert mixed.code == ExitCode.BAD_INPUT
    (named,) = here.json(f"consent list {PATIENT}")["delegates"]
    assert named["powers"] == ["GIVE", "REVOKE", "REFUSE"]
    assert here.json(f"consent dismiss-delegates {AS_PATIENT}")["delegate_epoch"] == 1
    assert here.json(f"consent list {PATIENT}")["delegates"] == []
    assert_refused(here.run(f"consent revoke-all {as_delegate}"), "CONSENT/NOT_DELEGATE")

    here.write("agreement.txt", "what was agreed")
    signed = here.json(
        f"consent sign {HOSPITAL} {terms} --scoped --terms agreement.txt --output signed.json {AS_PATIENT}"
    )
    assert (signed["message"], signed["keep"]) == ("Consent", ["agreement.txt.terms.opening.json"])
    submitted = here.json("consent submit signed.json")
    assert (submitted["version"], submitted["scoped"]) == (2, True)
    assert submitted["terms_commitment"] == here.read("agreement.txt.terms.opening.json")["commitment"]
    assert here.json(f"consent show {PATIENT} {HOSPITAL} --purpose TREAT")["status"] == "GIVEN"
    listed = here.json(f"consent list {PATIENT}")
    states = {(one["purpose"], one["state"]) for one in listed["consents"]}
    assert {("TREAT", "GRANTED"), ("CAREMGT", "REVOKED"), ("HRESCH", "REFUSED")} <= states
    withdrawn = here.json(f"consent revoke {HOSPITAL} --purpose TREAT {AS_PATIENT}")
    assert withdrawn["status"] == "WITHDRAWN"


def test_a_series_of_signed_consents_is_voided_at_one_stroke(here: Here, registered: None) -> None:
    sign = f"consent sign {RESEARCHER} --purpose PUBHLTH --categories GENOMICS --expires +1d {AS_PATIENT}"
    first = here.json(f"{sign} --output signed-1.json")
    second = here.json(f"{sign} --output signed-2.json --after signed-1.json")
    third = here.json(
        f"{sign} --study 0x5 --output signed-3.json --after signed-1.json --after signed-2.json"
    )
    assert [one["counter"] - first["counter"] for one in (first, second, third)] == [0, 1, 2]
    assert [one["version"] for one in (first, second, third)] == [1, 2, 1]
    revocation = f"consent sign {RESEARCHER} --purpose PUBHLTH --revoke --output signed-end.json {AS_PATIENT}"
    assert here.json(revocation)["generation"] == first["generation"]
    assert here.run(f"{revocation} --after signed-1.json").code == ExitCode.BAD_INPUT

    here.json("consent submit signed-1.json")
    here.json("consent submit signed-2.json")
    assert here.run(f"{sign} --output signed-4.json --after signed-1.json").code == ExitCode.BAD_INPUT
    state = here.json(f"consent cancel-signatures {AS_PATIENT}")
    assert (state["generation"], state["counter"]) == (first["generation"] + 1, 1)
    assert_refused(here.run("consent submit signed-3.json"), "CONSENT/BAD_NONCE")

    # A revocation is not voided by that, and works once.
    here.json("consent submit signed-end.json")
    shown = here.json(f"consent show {PATIENT} {RESEARCHER} --purpose PUBHLTH")
    assert shown["status"] == "WITHDRAWN"
    assert_refused(here.run("consent submit signed-end.json"), "CONSENT/BAD_GENERATION")
    everything = here.json(f"consent revoke-all --dismiss-delegates {AS_PATIENT}")
    assert everything["floor"] == everything["generation"] == first["generation"] + 3


def test_a_purpose_is_refused_to_everyone(here: Here, registered: None) -> None:
    terms = "--purpose BIORCH --categories GENOMICS --expires +1d"
    here.json(f"consent add {RESEARCHER} {terms} {AS_PATIENT}")
    state = here.json(f"consent refuse-purpose --purpose BIORCH {AS_PATIENT}")
    assert state["refused_purposes"] == ["BIORCH"]
    judge = f"consent verify {PATIENT} {RESEARCHER} --purpose BIORCH --categories GENOMICS --json"
    judged = here.run(judge)
    assert (judged.code, judged.json["reason"]) == (ExitCode.NOT_PERMITTED, "PURPOSE_REFUSED")
    assert here.json(f"consent list {PATIENT}")["refused_purposes"] == ["BIORCH"]
    assert_refused(here.run(f"consent add {RESEARCHER} {terms} {AS_PATIENT}"), "CONSENT/PURPOSE_REFUSED")
    assert here.json(f"consent allow-purpose --purpose BIORCH {AS_PATIENT}")["refused_purposes"] == []
    assert here.run(judge).ok().json["reason"] == "GRANTED"


def test_acts_are_signed_for_anybody_to_submit(here: Here, registered: None) -> None:
    terms = "--purpose FAMRQT --categories GENOMICS --expires +1d"
    here.json(f"consent add {RESEARCHER} {terms} {AS_PATIENT}")
    before = here.json(f"consent list {PATIENT}")["decisions"]
    opened = here.json(f"consent emergency allow {HOSPITAL} --sign open.json {AS_PATIENT}")
    assert opened["acts"][0]["act"] == "allow_emergency"
    closed = here.json(f"consent revoke-all --dismiss-delegates --sign panic.json {AS_PATIENT}")
    assert (opened["generation"] is not None, closed["generation"]) == (True, None)
    assert here.json(f"consent list {PATIENT}")["decisions"] == before, "nothing was sent"
    delegated = here.run(f"consent revoke-all --sign other.json --for {PATIENT} {AS_GUARDIAN}")
    assert delegated.code == ExitCode.BAD_INPUT

    submitted = here.json(f"consent submit panic.json {AS_GUARDIAN}")
    assert submitted["events"] == ["AllConsentsRevoked"]
    assert_refused(here.run(f"consent submit open.json {AS_GUARDIAN}"), "CONSENT/BAD_GENERATION")
    again = here.run(f"consent submit panic.json {AS_GUARDIAN}")
    assert (again.code, "submitted already" in again.err) == (ExitCode.BAD_INPUT, True)


def test_a_node_that_hides_a_decision_is_found_out(here: Here, registered: None) -> None:
    here.json(f"consent add {RESEARCHER} --purpose HQUALIMP --categories ALL --expires +1d {AS_PATIENT}")
    url = here.json("devnet status")["url"]
    with Proxy(f"{url}/rpc") as node:
        node.plan(Planned("missing last page", ("starknet_getEvents",), times=10**6))
        for line in (
            f"consent list {PATIENT}",
            f"access log {PATIENT}",
            f"access export {PATIENT} --output hidden.json",
            f"pool withdraw {AS_PATIENT}",
            "entity list",
        ):
            hidden = here.run(f"{line} --rpc-url {node.url}")
            assert (hidden.code, hidden.out) == (ExitCode.NOT_VERIFIED, ""), line
            assert "missing: " in hidden.err
    assert not (here.folder / "hidden.json").exists()


def test_accesses(here: Here, registered: None) -> None:
    here.json(f"consent add {RESEARCHER} --purpose HRESCH --categories GENOMICS --expires +1y {AS_PATIENT}")
    here.write("report.json", {"resourceType": "DiagnosticReport"})
    here.write("cohort.csv", f"patient,record\n{PATIENT},report.json\n{GUARDIAN},\n")
    query = f"--purpose HRESCH --categories GENOMICS --account {RESEARCHER} --json"
    before = here.json(f"access log {PATIENT}")
    judged = here.run(f"access batch cohort.csv {query} --dry-run")
    assert judged.code == ExitCode.NOT_PERMITTED
    assert [one["decision"] for one in judged.json] == ["PERMIT", "NO_CONSENT"]
    assert here.json(f"access log {PATIENT}") == before, "a dry run asks for nothing"
    batch = here.run(f"access batch cohort.csv {query}")
    assert batch.code == ExitCode.NOT_PERMITTED
    assert [one["decision"] for one in batch.json["requests"]] == ["PERMIT", "NO_CONSENT"]
    assert batch.json["keep"] == ["report.json.record.opening.json"]
    here.write("cohort.json", [{"patient": PATIENT, "record": "report.json"}])
    assert here.run(f"access batch cohort.json {query}").ok().json["requests"][0]["decision"] == "PERMIT"

    log = here.json(f"access log {PATIENT}")
    assert [entry["seq"] for entry in log] == list(range(1, len(log) + 1))
    shown = here.run(f"access log {PATIENT}").ok().err
    assert f"the log of length {len(log)} leads to the head" in shown

    for format in ("csv", "fhir", "receipt"):
        here.json(f"access export {PATIENT} --format {format} --output export.{format}")
    with (here.folder / "export.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(log)
    assert here.read("export.fhir")["resourceType"] == "Bundle"
    given = {
        (one["grantee"], one["purpose"], one["study"])
        for one in here.json(f"consent list {PATIENT}")["consents"]
        if one["max_uses"] == 0 and one["status"] != "REFUSED"
    }
    assert len(here.read("export.receipt")) == len(given)
    assert (here.folder / "export.fhir").stat().st_mode & 0o077 == 0

    verified = here.json("access verify export.csv")
    assert (verified["complete"], verified["history"]) == (True, "accesses")
    lines = (here.folder / "export.csv").read_text().splitlines(keepends=True)
    here.write("short.csv", "".join(lines[:-1]))
    short = here.run("access verify short.csv")
    assert short.code == ExitCode.NOT_VERIFIED
    assert "missing: " in short.err
    for name in ("consents", "registry"):
        here.json(f"access export {PATIENT} --format csv --history {name} --output {name}.csv")
        assert here.json(f"access verify {name}.csv")["history"] == name


def test_an_export_stays_verifiable_while_the_histories_grow(here: Here, registered: None) -> None:
    here.json(f"access export {PATIENT} --output earlier.json")
    here.json(f"consent refuse {PARTNER} --purpose FAMRQT {AS_PATIENT}")
    verified = here.json("access verify earlier.json")
    assert verified["written_since"] == {"accesses": 0, "consents": 1, "registry": 0}
    fields = {one["entry"]: one["fields"] for one in verified["covered"]}
    assert "terms_commitment" in fields["ConsentAdded"]
    assert "transaction_hash" in {one["what"] for one in verified["not_covered"]}

    document = here.read("earlier.json")
    consents = document["consents"]
    document["consents"] = {
        "count": consents["count"] - 1,
        "head": consents["entries"][-2]["digest"],
        "entries": consents["entries"][:-1],
    }
    here.write("cut.json", document)
    assert here.json("access verify cut.json --offline")["proven"] == []
    cut = here.run("access verify cut.json")
    assert cut.code == ExitCode.NOT_VERIFIED
    assert "not there" in cut.err
    here.write("moved.json", here.read("earlier.json") | {"block": document["block"] | {"hash": "0x5"}})
    assert here.run("access verify moved.json").code == ExitCode.NOT_VERIFIED


def test_the_past_is_judged_by_proof(here: Here, registered: None) -> None:
    given = here.json(f"consent add {PARTNER} --purpose PATRQT --categories ALL --expires +1d {AS_PATIENT}")
    judge = f"consent verify {PATIENT} {PARTNER} --purpose PATRQT --categories ALL --json"
    before = here.run(f"{judge} --at 1")
    assert (before.code, before.json["decision"]) == (ExitCode.NOT_PERMITTED, "DENY")
    assert before.json["block"] > 0
    later = here.run(f"{judge} --at {given['expires_at']}")
    assert later.code == ExitCode.BAD_INPUT


def test_an_emergency(here: Here, registered: None) -> None:
    glass = f"access emergency {PATIENT} --categories ALL --account {HOSPITAL} --json"
    new = here.run(glass)
    assert (new.code, new.json["reason"]) == (ExitCode.NOT_PERMITTED, "HOSPITAL_TOO_NEW")
    here.write("why.txt", "unconscious on arrival")
    devnet = Devnet(here.json("devnet status")["url"])
    with devnet.restored():
        devnet.increase_time(48 * 3_600)
        broken = here.run(glass).ok().json
        assert (broken["decision"], broken["justify_until"] is not None) == ("EMERGENCY", True)
        entry = broken["seq"]
        why = f"access justify {PATIENT} {entry} --statement why.txt --account {HOSPITAL}"
        justified = here.json(why)
        assert justified["keep"] == ["why.txt.justification.opening.json"]
        assert_refused(here.run(why), "ACCESS/ALREADY_JUSTIFIED")
        checked = here.json(f"access statement why.txt.justification.opening.json {PATIENT}")
        assert (checked["emergency"], checked["opens"]) == (entry, True)
        foreign = here.run(f"access statement why.txt.justification.opening.json {GUARDIAN}")
        assert foreign.code == ExitCode.NOT_VERIFIED
        assert here.json(f"access contest {HOSPITAL} {entry} {AS_PATIENT}")["contested"] is True

        here.run(glass).ok()
        devnet.increase_time(72 * 3_600 + 1)
        first, second = here.json(f"access emergencies {PATIENT}")
        assert (first["justified"], first["contested"], first["overdue"]) == (True, True, False)
        assert (second["justified"], second["overdue"]) == (False, True)
        late = f"access justify {PATIENT} {second['entry']} --statement 0x5 --account {HOSPITAL}"
        assert_refused(here.run(late), "ACCESS/JUSTIFIED_TOO_LATE")
        events = [entry["event"] for entry in here.json(f"access log {PATIENT}")]
        assert {"EmergencyJustified", "EmergencyContested"} <= set(events)

        chosen = here.json(f"consent emergency choose named {AS_PATIENT}")
        assert chosen["emergency"] == "NAMED_HOSPITALS"
        assert here.run(glass).json["reason"] == "EMERGENCY_REFUSED"
        assert here.json(f"consent emergency allow {HOSPITAL} {AS_PATIENT}")["allowed"] is True
        here.run(glass).ok()
        assert here.json(f"consent emergency forbid {HOSPITAL} {AS_PATIENT}")["allowed"] is False
        (named,) = here.json(f"consent list {PATIENT}")["emergency_hospitals"]
        assert named["allowed"] is False
        assert here.json(f"consent emergency choose nobody {AS_PATIENT}")["emergency"] == "NOBODY"


def test_a_deletion_is_stated(here: Here, registered: None) -> None:
    state = f"access deletion {PATIENT} --purpose TRANSRCH --statement gone.txt --account {RESEARCHER}"
    here.write("gone.txt", "all copies deleted")
    assert_refused(here.run(state), "ACCESS/NO_CONSENT")
    assert not (here.folder / "gone.txt.deletion.opening.json").exists(), "nothing was logged"
    here.json(f"consent refuse {RESEARCHER} --purpose TRANSRCH {AS_PATIENT}")
    assert here.json(state)["keep"] == ["gone.txt.deletion.opening.json"]
    checked = here.json(f"access statement gone.txt.deletion.opening.json {PATIENT}")
    assert (checked["event"], checked["purpose"]) == ("DeletionStated", "TRANSRCH")


def test_rewards(here: Here, registered: None) -> None:
    terms, as_funder = "--terms trial.json", f"--account {RESEARCHER}"
    new = "--purpose CLINTRCH --rate 7 --expires +1w --unit smallest"
    funded = here.json(f"pool fund {terms} {new} --amount 21 {as_funder}")
    assert (funded["uses"], funded["funder_uses_left"]) == (3, 3)
    assert here.json(f"pool fund {terms} --uses 2 {as_funder}")["deposited"] == "14"
    odd = here.run(f"pool fund {terms} --amount 20 --unit smallest {as_funder}")
    assert odd.code == ExitCode.BAD_INPUT
    assert "is not a multiple of the rate" in odd.err
    assert "(2 uses) or" in odd.err
    changed = here.run(f"pool fund {terms} {new} --amount 1 {as_funder}")
    assert changed.code == ExitCode.BAD_INPUT
    assert "its terms cannot change" in changed.err

    moved = here.json(f"pool allowance add {PARTNER} {terms} --uses 4 {as_funder}")
    assert (moved["accessor_uses_left"], moved["funder_uses_left"]) == (4, 1)
    assert here.json(f"pool allowance remove {PARTNER} {terms} --uses 1 {as_funder}")["funder_uses_left"] == 2
    assert_refused(
        here.run(f"pool allowance remove {PARTNER} {terms} --uses 9 {as_funder}"), "BUDGET/TOO_FEW_USES"
    )
    give = f"consent add {PARTNER} --purpose CLINTRCH --categories GENOMICS --expires +1d"
    given = here.json(f"{give} --reward {funded['campaign']} {AS_PATIENT}")
    assert (given["symbol"], given["rate"]) == ("STRK", "7")
    ask = f"access request {PATIENT} --purpose CLINTRCH --categories GENOMICS --account {PARTNER}"
    here.json(f"{ask} --campaign trial.json")
    here.json(f"{ask} --campaign {funded['campaign']}")
    unpaid = here.run(f"{ask} --json")
    assert (unpaid.code, unpaid.json["reason"]) == (ExitCode.NOT_PERMITTED, "CAMPAIGN_MISMATCH")
    budget = here.json(f"pool budget trial.json {PARTNER}")
    assert (budget["left"], budget["paid"]) == (1, 2)
    assert here.json(f"pool allowance revoke {PARTNER} {terms} {as_funder}")["taken_back"] == 1
    empty = here.run(f"{ask} --campaign trial.json --json")
    assert (empty.code, empty.json["reason"]) == (ExitCode.NOT_PERMITTED, "REWARD_UNFUNDED")

    (owed,) = here.json(f"pool unsettled {PATIENT}")
    assert (owed["uses"], owed["share"]) == (2, "14")
    settled = here.json(f"pool settle {PATIENT} --account {GUARDIAN}")
    assert (settled["settled"][0]["uses"], settled["left"]) == (2, 0)
    assert here.json(f"pool status {PATIENT}")["claimable"] == "14"
    drawn = here.json(f"pool withdraw 4 --unit smallest {AS_PATIENT}")
    assert (drawn["withdrawn"], drawn["claimable"], drawn["settled"]) == ("4", "10", [])
    assert_refused(here.run(f"pool withdraw 1 {as_funder}"), "POOL/INSUFFICIENT_CREDIT")

    shown = here.json(f"pool campaign {funded['campaign']} --output copy.json")
    assert (shown["status"], shown["granted"], shown["symbol"]) == ("OPEN", 5, "STRK")
    assert here.read("copy.json") == here.read("trial.json")
    assert_refused(here.run(f"pool close {terms} {as_funder}"), "POOL/CLOSE_TOO_EARLY")
    assert here.json(f"pool announce-close {terms} {as_funder}")["closing_at"] is not None
    assert here.json("pool campaign trial.json")["accepts_consents"] is False
    assert_refused(here.run(f"pool settle-custodian {PARTNER} {terms}"), "POOL/NO_CUSTODIAN")
    devnet = Devnet(here.json("devnet status")["url"])
    with devnet.restored():
        devnet.increase_time(7 * 86_400)
        closed = here.json(f"pool close {terms} {as_funder}")
        assert (closed["status"], closed["funder_claimable"]) == ("CLOSED", "21")


def test_a_custodian_takes_its_share(here: Here, registered: None) -> None:
    terms, as_funder = "--terms kept.json", f"--account {RESEARCHER}"
    new = f"--purpose POARCH --rate 8 --expires +1w --unit smallest --custodian {HOSPITAL}"
    lone = here.run(f"pool fund {terms} {new} --uses 1 {as_funder}")
    assert lone.code == ExitCode.BAD_INPUT
    assert "belong together" in lone.err
    here.json(f"pool fund {terms} {new} --custodian-bps 2500 --uses 1 {as_funder}")
    give = "--purpose POARCH --categories GENOMICS"
    # Not the patient whose pay `test_rewards` counts, whichever of the two comes first.
    here.json(f"consent add {RESEARCHER} {give} --expires +1d --reward kept.json {AS_GUARDIAN}")
    here.json(f"access request {GUARDIAN} {give} --campaign kept.json {as_funder}")
    share = here.json(f"pool settle-custodian {RESEARCHER} {terms}")
    assert (share["uses"], share["claimable"]) == (1, "2")


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


def test_pools(here: Here, registered: None) -> None:
    made = here.json(f"pool create --token {STRK_TOKEN:#x} --salt 0x77 {AS_GUARDIAN}")
    pools = {one["pool"]: one for one in here.json("pool list")}
    assert (pools[made["pool"]]["recorded"], pools[made["pool"]]["symbol"]) == (False, "STRK")
    assert sum(one["recorded"] for one in pools.values()) == 1
    status = here.json(f"pool status --pool {made['pool']} {PATIENT}")
    assert (status["pool"], status["liabilities"]) == (made["pool"], "0")
    nothing = here.run("pool create --token 0x1234567")
    assert nothing.code == ExitCode.NOT_VERIFIED


def test_a_pool_that_medsync_did_not_deploy(here: Here, registered: None) -> None:
    """It might promise and not pay: neither a consent nor a signature over one names it."""
    terms = CampaignTerms(
        pool=read(here.folder / "devnet.json").medsync,
        funder=1,
        purpose=Purpose.HRESCH,
        study=0,
        rate=1,
        custodian=0,
        custodian_bps=0,
        expires_at=2**32,
        spender=0,
        salt=1,
    )
    here.write("foreign.json", campaigns.dumps(terms))
    what = f"{RESEARCHER} --purpose HRESCH --categories ALL --expires +1d --reward foreign.json {AS_PATIENT}"
    for line in (f"consent add {what}", f"consent sign {what} --output foreign-signed.json"):
        refused = here.run(line)
        assert refused.code == ExitCode.NOT_VERIFIED
        assert "was not deployed by MedSync" in refused.err


def test_what_the_first_edition_had_is_told_of(here: Here) -> None:
    for line, told in (
        ("consent opt-out", "consent emergency choose"),
        (f"consent add {RESEARCHER} --any-pool", "pool list"),
        (f"access emergency {PATIENT} --justification 0x1", "access justify"),
        (f"pool allow {PARTNER}", "allowance add"),
    ):
        done = here.run(line)
        assert done.code == ExitCode.USAGE
        assert told in done.err


def test_looking_around(here: Here) -> None:
    running = here.json("devnet status")
    assert running["running"] is True
    assert here.json("devnet up") == running
    checked = here.json("deployments check")
    assert (checked["deployment"], checked["ok"], checked["findings"]) == ("devnet", True, [])
    assert "ok          yes" in here.run("deployments check").ok().out
    planned = here.json("deploy --dry-run --salt 0x99")
    assert (planned["sufficient"], planned["missing"]) == (True, "0")
    assert [one["symbol"] for one in planned["tokens"]] == ["STRK"]
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
    assert "liabilities" in status
    assert " STRK\n" in status
    assert "…" in here.run("entity list").ok().out
    record = here.read("devnet.json")
    here.write("planted.json", record | {"wiring": record["wiring"] | {"successor": "0x1"}})
    checked = here.run("deployments check --deployment ./planted.json")
    assert checked.code == ExitCode.NOT_VERIFIED
    (finding,) = json.loads(here.run("deployments check --deployment ./planted.json --json").err)["findings"]
    assert finding in checked.err
    assert "successor() is 0x0" in checked.err
