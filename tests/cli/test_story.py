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

    # The researcher names the study, and pays for 20 accesses.
    cli.run("consent study new --protocol asthma --approval 17 --contact office --output study.json").ok()
    study = cli.read("study.json")["commitment"]
    funded = cli.json(
        f"--account {RESEARCHER} pool fund --terms pay.json --purpose HRESCH --study study.json --rate 0.5 "
        f"--amount 10 --expires +90d --custodian {HOSPITAL} --custodian-bps 2500"
    )
    assert (funded["uses"], funded["funder_uses_left"], int(funded["deposited"])) == (20, 20, 10 * STRK)
    assert cli.read("pay.json")["id"] == funded["campaign"]

    # The patient agrees, if it is paid.
    given = cli.json(
        f"--account {PATIENT} consent add {RESEARCHER} --purpose hresch --categories laboratory,CONDITION "
        "--expires +30d --max-uses 5 --study study.json --reward pay.json"
    )
    assert (given["version"], given["study"]) == (1, study)
    assert given["categories"] == ["LABORATORY", "CONDITION"]

    # The researcher asks: for what was agreed, and for more.
    what = "--purpose HRESCH --study study.json"
    question = f"access request {PATIENT} {what} --record 0x7 --campaign pay.json"
    paid = cli.json(f"{question} --categories LABORATORY --account {RESEARCHER}")
    assert (paid["decision"], paid["seq"]) == ("PERMIT", 1)
    refused = cli.run(f"{question} --categories IMAGING --account {RESEARCHER}")
    assert refused.code == ExitCode.NOT_PERMITTED
    assert "CATEGORY_NOT_COVERED" in refused.out

    # The patient is paid, signs a revocation, and anybody submits it.
    assert int(cli.json(f"pool withdraw --account {PATIENT}")["withdrawn"]) == 3 * STRK // 8
    assert int(cli.json(f"pool settle-custodian {RESEARCHER} --terms pay.json")["claimable"]) == STRK // 8
    cli.run(
        f"consent sign {RESEARCHER} --purpose HRESCH --study study.json --revoke --output revocation.json "
        f"--account {PATIENT}"
    ).ok()
    cli.run(f"consent submit revocation.json --account {RELAYER}").ok()
    judged = cli.run(f"consent verify {PATIENT} {RESEARCHER} {what} --categories LABORATORY --json")
    assert (judged.code, judged.json["reason"]) == (ExitCode.NOT_PERMITTED, "WITHDRAWN")

    # The patient takes the histories home; who alters them is found out.
    assert cli.json(f"access export {PATIENT} --output log.json")["entries"] == 2
    assert cli.json("access verify log.json")["proven"] == ["included", "append-only"]
    text = (cli.folder / "log.json").read_text()
    assert "DENY" in text
    cli.write("forged.json", text.replace("DENY", "PERMIT"))
    forged = cli.run("access verify forged.json --offline --json")
    assert forged.code == ExitCode.NOT_VERIFIED
    assert "entry 2 does not give the digest it states" in json.loads(forged.err)["message"]

    # And whoever watched has seen it all, and was warned of the new hospital.
    watched = cli.run(f"watch --from-block {registered['block']} --count 11 --timeout 60 --json").ok()
    lines = [json.loads(line) for line in watched.out.splitlines()]
    seen = [line for line in lines if "event" in line]
    assert "may break the glass" in seen[0]["warning"]
    assert "warning" not in seen[1]
    assert [line["event"] for line in seen] == [
        "EntityRegistered",
        "EntityRegistered",
        "CampaignOpened",
        "RewardDeposited",
        "ConsentAdded",
        "AccessLogged",
        "AccessLogged",
        "RewardSettled",
        "RewardWithdrawn",
        "CustodianSettled",
        "ConsentRevoked",
    ]
    assert watched.err == ""
