"""A study, typed by the people in it: every command is a process of its own."""

import json

from medsync.errors import ExitCode
from tests.cli.conftest import Cli

HOSPITAL, RESEARCHER, PATIENT, RELAYER = "devnet:1", "devnet:2", "devnet:5", "devnet:9"
STRK = 10**18


def test_a_study(cli: Cli) -> None:
    # The administrator registers who takes part.
    cli.write("hospital.json", {"name": "Test Hospital"})
    registered = cli.json(f"entity register {HOSPITAL} --role hospital --profile hospital.json")
    assert registered["keep"] == ["hospital.json.profile.opening.json"]
    opening = cli.read("hospital.json.profile.opening.json")
    assert opening["commitment"] == registered["profile_commitment"]
    cli.run(f"entity register {RESEARCHER} --role researcher --profile 0x5").ok()

    # The researcher funds a campaign.
    funded = cli.json(
        f"--account {RESEARCHER} pool fund --terms study.json --purpose HRESCH --rate 0.5 --amount 10 "
        f"--expires +90d --custodian {HOSPITAL} --custodian-bps 2500"
    )
    assert int(funded["remaining"]) == 10 * STRK
    assert cli.read("study.json")["id"] == funded["campaign"]

    # The patient agrees, if it is paid.
    given = cli.json(
        f"--account {PATIENT} consent add {RESEARCHER} --purpose hresch --categories laboratory,CONDITION "
        "--expires +30d --max-uses 5 --reward study.json"
    )
    assert given["version"] == 1
    assert given["categories"] == ["LABORATORY", "CONDITION"]

    # The researcher asks: for what was agreed, and for more.
    question = f"access request {PATIENT} --purpose HRESCH --record 0x7 --campaign study.json"
    paid = cli.json(f"{question} --categories LABORATORY --account {RESEARCHER}")
    assert (paid["decision"], paid["seq"]) == ("PERMIT", 1)
    refused = cli.run(f"{question} --categories IMAGING --account {RESEARCHER}")
    assert refused.code == ExitCode.NOT_PERMITTED
    assert "CATEGORY_NOT_COVERED" in refused.out

    # The patient is paid, signs a revocation, and anybody submits it.
    assert int(cli.json(f"pool withdraw --account {PATIENT}")["withdrawn"]) == 3 * STRK // 8
    cli.run(
        f"consent sign {RESEARCHER} --purpose HRESCH --revoke --output revocation.json --account {PATIENT}"
    ).ok()
    cli.run(f"consent submit revocation.json --account {RELAYER}").ok()
    judged = cli.run(f"consent verify {PATIENT} {RESEARCHER} --purpose HRESCH --categories LABORATORY --json")
    assert (judged.code, judged.json["reason"]) == (ExitCode.NOT_PERMITTED, "WITHDRAWN")

    # The patient takes the log home; who alters it is found out.
    assert cli.json(f"access export {PATIENT} --output log.json")["entries"] == 2
    assert cli.json("access verify log.json")["proven"] == ["included", "append-only"]
    text = (cli.folder / "log.json").read_text()
    assert "DENY" in text
    cli.write("forged.json", text.replace("DENY", "PERMIT"))
    forged = cli.run("access verify forged.json --offline --json")
    assert forged.code == ExitCode.NOT_VERIFIED
    assert "entry 2 does not give the digest it states" in json.loads(forged.err)["message"]

    # And whoever watched has seen it all.
    watched = cli.run(f"watch --from-block {registered['block']} --count 9 --timeout 60 --json").ok()
    assert [json.loads(line)["event"] for line in watched.out.splitlines()] == [
        "EntityRegistered",
        "EntityRegistered",
        "CampaignOpened",
        "RewardDeposited",
        "ConsentAdded",
        "RewardAccrued",
        "AccessLogged",
        "AccessLogged",
        "RewardWithdrawn",
    ]
    assert watched.err == ""
