"""Inviting and joining nodes from the command line, with a node that plays what a real one answered once."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import shutil
import stat
from pathlib import Path

import pytest

from medsync.errors import ExitCode
from medsync.private.home import Settings
from medsync.private.node.calimero import Invitation
from medsync.private.records.application import Status
from tests.cli.conftest import Done, Here
from tests.cli.institutions import Private, institutions
from tests.private.node.support import (
    BRIDGE,
    CHAIN,
    CONTRACT,
    NODE_RECORDINGS,
    Exchange,
    Recordings,
    context_of,
    replay,
)

RECORDED = Recordings.read(NODE_RECORDINGS)
#: The group that was invited to, and who was its first member and who came; the group of who came.
GROUP = RECORDED["76"].path.split("/")[3]
FIRST, GUEST = "G6F2bgJC4myqtBzSdLq22pvfERN89XDHoHLbQPHRvjiC", "FvZREcxM743oEK7FdgTBDPBcYJL9XzrViAvUocSKvbbb"
GUESTS_GROUP = context_of(RECORDED["10"]).group
APPLICATION = context_of(RECORDED["10"]).application
CONTEXTS = [row["contextId"] for row in json.loads(RECORDED["96"].answer)["data"]]

JOIN, LISTED, NOT_MEMBER = RECORDED["71"], RECORDED["96"], RECORDED["97"]
EXPIRED = dataclasses.replace(JOIN, status=500, answer=RECORDED["95"].answer)
REFUSED = dataclasses.replace(NOT_MEMBER, path=LISTED.path)
MEMBERS = RECORDED["76"]
FIRST_JOINED, SECOND_JOINED = (
    dataclasses.replace(RECORDED["72"], path=f"/admin-api/contexts/{one}/join") for one in CONTEXTS
)


@pytest.fixture(scope="module")
def private(here: Here) -> Private:
    return institutions(here, "joining.json", "0x9c", "joining-")


def opened(group: str, member: str) -> list[Exchange]:
    """What every command asks first: the own contexts, who the node is there, and how they are set up."""
    context = context_of(RECORDED["10"]).id
    rows = json.loads(RECORDED["11"].answer)
    rows["data"]["contexts"][0]["groupId"] = group
    status = Status(
        version="0.1.0",
        capacity=100,
        records=0,
        erased=0,
        receipts=0,
        refusals=0,
        uncounted=0,
        configured=True,
        bridge_key=BRIDGE.public_key().public_bytes_raw(),
        chain=CHAIN,
        contract=CONTRACT,
    ).model_dump(mode="json")
    asked = {"contextId": context, "method": "status", "argsJson": {}}
    return [
        dataclasses.replace(RECORDED["11"], answer=json.dumps(rows)),
        dataclasses.replace(RECORDED["13"], answer=json.dumps({"data": {"identities": [member]}})),
        Exchange(
            *("POST", "/jsonrpc", 200, {"jsonrpc": "2.0", "id": 1, "method": "execute", "params": asked}),
            answer=json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"output": status}}),
        ),
    ]


async def run(private: Private, line: str, group: str, *script: Exchange) -> Done:
    """Run a command for an institution whose node plays the script, and nothing else."""
    member = FIRST if group == GROUP else GUEST
    home = private.here.folder / "joining-real"
    if not home.exists():
        shutil.copytree(private.here.folder / "joining-hospital", home)
    async with replay(*opened(group, member), *script) as node:
        path = home / "home.json"
        settings = Settings.read(path.read_bytes(), "settings")
        changed = {"node": node.url, "group": group, "application": APPLICATION}
        path.write_bytes(settings.model_copy(update=changed).canonical())
        return await asyncio.to_thread(private.run, f"private {line} --home joining-real --json")


def invited(private: Private, name: str = "recorded.json") -> Path:
    """The invitation that the recorded node made."""
    path = private.here.folder / name
    invitation = Invitation(GROUP, JOIN.body)
    path.write_text(invitation.to_json())
    return path


# --- inviting -----------------------------------------------------------------------------------------------


async def test_an_invitation_is_for_its_owners_eyes_only(private: Private) -> None:
    output = private.here.folder / "invitation.json"
    asked = dataclasses.replace(RECORDED["70"], body={"expirationTimestamp": 60})
    done = await run(private, "invite --output invitation.json --life 60", GROUP, asked)
    assert done.ok().json == {"invitation": "invitation.json", "group": GROUP, "seconds": 60}
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    made = Invitation.from_json(output.read_text())
    assert (made.group, dict(made.document)) == (GROUP, JOIN.body)
    salt = json.dumps(JOIN.body["invitation"]["invitation"]["secret_salt"])
    assert salt not in done.out + done.err + private.here.log.read_text()
    # No second one is made where it could not be kept.
    again = await run(private, "invite --output invitation.json", GROUP)
    assert (again.code, "exists already" in again.err) == (ExitCode.BAD_INPUT, True)


async def test_an_invitation_that_is_refused_leaves_no_file(private: Private) -> None:
    refused = dataclasses.replace(
        RECORDED["70"], body={"expirationTimestamp": 600}, status=500, answer='{"error":"no"}'
    )
    done = await run(private, "invite --output refused.json", GROUP, refused)
    assert done.code == ExitCode.REFUSED
    assert not (private.here.folder / "refused.json").exists()


# --- joining ------------------------------------------------------------------------------------------------


async def test_it_joins_every_context_of_the_group(private: Private) -> None:
    line = f"join {invited(private)}"
    done = await run(private, line, GUESTS_GROUP, JOIN, LISTED, FIRST_JOINED, SECOND_JOINED)
    assert done.ok().json == {"group": GROUP, "member": GUEST, "contexts": CONTEXTS}


async def test_joining_that_is_stopped_anywhere_is_completed(private: Private) -> None:
    line, broken = f"join {invited(private)}", dataclasses.replace(FIRST_JOINED, status=500, answer="")
    for script in (
        [dataclasses.replace(JOIN, status=500, answer=""), REFUSED],
        [JOIN, dataclasses.replace(LISTED, status=500, answer="")],
        [JOIN, LISTED, broken],
        [JOIN, LISTED, FIRST_JOINED, dataclasses.replace(SECOND_JOINED, status=500, answer="")],
    ):
        assert (await run(private, line, GUESTS_GROUP, *script)).code == ExitCode.REFUSED
    # Meanwhile it has expired; who joined in time is a member all the same.
    done = await run(private, line, GUESTS_GROUP, EXPIRED, LISTED, FIRST_JOINED, SECOND_JOINED)
    assert done.ok().json["contexts"] == CONTEXTS


async def test_an_invitation_that_has_expired(private: Private) -> None:
    done = await run(private, f"join {invited(private)}", GUESTS_GROUP, EXPIRED, REFUSED)
    assert (done.code, "ask for a new one" in done.err) == (ExitCode.REFUSED, True)


async def test_nobody_joins_its_own_group(private: Private) -> None:
    done = await run(private, f"join {invited(private)}", GROUP)
    assert (done.code, "own" in done.err) == (ExitCode.BAD_INPUT, True)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"group": "ab", "document": {"invitation": {}}}'])
def test_what_is_no_invitation_is_not_sent(private: Private, text: str) -> None:
    private.here.write("none.json", text)
    done = private.run("private join none.json --home joining-hospital")
    assert (done.code, "FILE: " in done.err) == (ExitCode.BAD_INPUT, True), done


# --- who is there -------------------------------------------------------------------------------------------


async def test_members_are_those_that_are_expected(private: Private) -> None:
    listed = (await run(private, "members", GROUP, MEMBERS)).ok().json
    assert listed == [
        {"member": FIRST, "role": "Admin", "own": True},
        {"member": GUEST, "role": "Member", "own": False},
    ]
    assert (await run(private, f"members --expect {GUEST}", GROUP, MEMBERS, MEMBERS)).ok().json == listed
    stranger = await run(private, f"members --expect {CONTEXTS[0]}", GROUP, MEMBERS)
    assert stranger.code == ExitCode.NOT_VERIFIED
    assert f"{GUEST} is an unexpected member" in stranger.err
    assert f"{CONTEXTS[0]} is not a member" in stranger.err
    malformed = private.run("private members --expect nobody --home joining-hospital")
    assert (malformed.code, "--expect" in malformed.err) == (ExitCode.BAD_INPUT, True)
