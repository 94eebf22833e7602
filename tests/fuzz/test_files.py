"""Every kind of file and setting that MedSync reads, malformed."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from medsync.cli.commands.private import HOME_VARIABLE
from medsync.errors import ExitCode
from medsync.starknet import accounts, network
from medsync.starknet.network import URL_VARIABLE
from medsync.storage.locks import Lock
from medsync.storage.passphrase import ACCOUNT_PASSPHRASE_VARIABLE, PASSPHRASE_VARIABLE
from tests.fuzz import institutions
from tests.fuzz.bench import (
    ACTS_FILE,
    ARTIFACTS,
    BATCH,
    CONSENT_FILE,
    EXPORTS,
    KEYSTORE,
    OPENING,
    OWN_ADDRESS,
    QUERY,
    RECORD,
    REVOCATION_FILE,
    STATE,
    STATEMENT,
    STUDY_FILE,
    TABLE,
    TERMS_FILE,
    UNSETTLED,
    Bench,
)
from tests.fuzz.malformed import malformed, texts
from tests.fuzz.node import Reply, Twist
from tests.fuzz.oracle import check, examples, tally
from tests.harness.histories import DAY, HOSPITAL, PATIENT, RESEARCHER
from tests.harness.reach import Reach

AS_OWNER: Final = ["--account", f"{OWN_ADDRESS:#x}@{KEYSTORE}"]
HOME: Final = f"--home={institutions.HOSPITAL}"
ACCESSOR: Final = f"--key={institutions.ACCESSOR_KEY}"
GET: Final = [
    *("private", "get", institutions.TICKET, HOME),
    *(ACCESSOR, "--output=new.json"),
]
PRESENT: Final = ["private", "present", institutions.TICKET, ACCESSOR, "--output=new.json"]
OPEN: Final = [
    *("private", "open", institutions.RELEASED, f"--ticket={institutions.TICKET}"),
    *(ACCESSOR, "--output=new.json"),
]
CARD: Final = ["private", "card", ACCESSOR]
RUN: Final = [
    *("bridge", "run", "--once", HOME, f"--also={institutions.CLINIC}", f"--oldest-entry={30 * DAY}"),
]
TERMS: Final = ["--purpose=HRESCH", "--categories=LABORATORY", "--expires=+1d"]


@dataclass(frozen=True)
class Target:
    """A kind of file: a valid one, and commands that read it."""

    file: str
    lines: tuple[list[str], ...]
    #: What the node must answer for the file to be read at all.
    twists: dict[int | str, Twist] = field(default_factory=dict)
    #: The valid file, if it is not a sample of the bench.
    content: bytes | None = None


def _refused(_good: dict[str, Any]) -> Reply:
    error = {"code": 40, "message": "Contract error", "data": "0x1 ('ENTITY/NOT_ADMIN')"}
    return Reply(json.dumps({"jsonrpc": "2.0", "id": 0, "error": error}).encode())


RUNNING: Final = json.dumps({"url": "http://127.0.0.1:5050", "pid": 4242, "log": "devnet.log"}).encode()
LOST: Final = json.dumps(
    [{"hash": 1, "nonce": 0, "at": 1.7e9, "calls": [{"to": 2, "selector": 3, "calldata": [4]}]}]
).encode()

TARGETS: Final = {
    "keystore": Target(KEYSTORE, (["consent", "cancel-signatures", *AS_OWNER],)),
    "deployment record": Target(
        RECORD,
        (["deployments", "check"], ["deployments", "list"], ["deploy"], ["entity", "show", hex(RESEARCHER)]),
    ),
    "campaign terms": Target(
        TERMS_FILE,
        (
            ["pool", "close", f"--terms={TERMS_FILE}"],
            ["pool", "fund", "--uses=2", f"--terms={TERMS_FILE}"],
            ["consent", "add", hex(RESEARCHER), *TERMS, f"--reward={TERMS_FILE}"],
            ["access", "batch", BATCH, *QUERY, f"--campaign={TERMS_FILE}"],
        ),
    ),
    "batch": Target(BATCH, (["access", "batch", BATCH, *QUERY],)),
    "signed consent": Target(CONSENT_FILE, (["consent", "submit", CONSENT_FILE],)),
    "table": Target(TABLE, (["access", "batch", TABLE, *QUERY],)),
    "signed acts": Target(ACTS_FILE, (["consent", "submit", ACTS_FILE],)),
    "opening of a study": Target(
        STUDY_FILE,
        (
            ["consent", "study", "show", STUDY_FILE],
            ["consent", "refuse", hex(RESEARCHER), TERMS[0], f"--study={STUDY_FILE}"],
        ),
    ),
    "opening of a statement": Target(STATEMENT, (["access", "statement", STATEMENT, hex(PATIENT)],)),
    "signed revocation": Target(REVOCATION_FILE, (["consent", "submit", REVOCATION_FILE],)),
    "opening": Target(OPENING, (["access", "request", hex(PATIENT), *TERMS[:2], f"--record={OPENING}"],)),
    "export, json": Target(
        EXPORTS["json"],
        (["access", "verify", EXPORTS["json"]], ["access", "verify", "--offline", EXPORTS["json"]]),
    ),
    "export, csv": Target(EXPORTS["csv"], (["access", "verify", EXPORTS["csv"]],)),
    "export of consents, csv": Target(EXPORTS["consents"], (["access", "verify", EXPORTS["consents"]],)),
    "export of the registry, csv": Target(EXPORTS["registry"], (["access", "verify", EXPORTS["registry"]],)),
    "export, fhir": Target(EXPORTS["fhir"], (["access", "verify", EXPORTS["fhir"]],)),
    "export, receipt": Target(EXPORTS["receipt"], (["access", "verify", EXPORTS["receipt"]],)),
    "manifest": Target(f"{ARTIFACTS}/manifest.json", (["doctor"], ["deploy"])),
    "error codes": Target(
        f"{ARTIFACTS}/errors.json",
        (["entity", "suspend", hex(HOSPITAL)],),
        {"starknet_estimateFee": _refused},
    ),
    "Sierra class": Target(f"{ARTIFACTS}/MedSync.sierra.json", (["deploy"], ["deployments", "check"])),
    "CASM class": Target(f"{ARTIFACTS}/RewardPool.casm.json", (["deploy"], ["deployments", "check"])),
    "unsettled transactions": Target(
        UNSETTLED, (["consent", "cancel-signatures"], ["pool", "withdraw", "1"]), content=LOST
    ),
    "nodes of an anchor": Target(institutions.NODES, (["deploy", f"--anchor-nodes={institutions.NODES}"],)),
    "home": Target(
        f"{institutions.HOSPITAL}/home.json",
        (["private", "list", HOME], ["bridge", "status", HOME], ["bridge", "run", "--once", HOME]),
    ),
    "key of an institution": Target(
        f"{institutions.HOSPITAL}/keys/custodian.json",
        (
            ["private", "list", HOME, f"--patient={PATIENT:#x}"],
            ["bridge", "run", "--once", HOME],
            ["private", "rekey", HOME],
        ),
    ),
    "key of an accessor": Target(institutions.ACCESSOR_KEY, (GET, [*CARD, "--output=new.json"])),
    "ticket": Target(institutions.TICKET, (GET, PRESENT, OPEN)),
    "presentation": Target(
        institutions.PRESENTATION,
        (["private", "release", institutions.PRESENTATION, HOME, "--output=new.bin"],),
    ),
    "released record": Target(institutions.RELEASED, (OPEN,)),
    "login of a node": Target(
        institutions.LOGIN,
        (["private", "members", f"--home={institutions.REAL}"],),
    ),
    "key card": Target(institutions.CARD, (RUN,)),
    "attestation request": Target(
        institutions.REQUEST,
        (
            ["bridge", "attest", institutions.REQUEST, "--output=new.json", f"--home={institutions.CLINIC}"],
            RUN,
        ),
    ),
    "attestation": Target(institutions.ATTESTATION, (RUN,)),
    "signature of a rotation": Target(
        institutions.ROTATIONS[institutions.CLINIC],
        (["anchor", "rotate", institutions.NEXT_NODES, *institutions.ROTATIONS.values()],),
    ),
    "next nodes of an anchor": Target(
        institutions.NEXT_NODES,
        (
            ["anchor", "rotate", institutions.NEXT_NODES, *institutions.ROTATIONS.values()],
            ["anchor", "sign-rotation", institutions.NEXT_NODES, HOME, "--output=new.json"],
        ),
    ),
    "invitation": Target(
        institutions.INVITATION,
        (["private", "join", institutions.INVITATION, f"--home={institutions.REAL}"],),
    ),
    "home with a real node": Target(
        f"{institutions.REAL}/home.json",
        (["private", "members", f"--home={institutions.REAL}"],),
    ),
    "key of a bridge": Target(
        f"{institutions.HOSPITAL}/keys/bridge.json",
        (["bridge", "rotate-key", HOME], ["bridge", "run", "--once", HOME]),
    ),
    "copy of a key vault": Target(
        institutions.VAULT_COPY,
        (["private", "register-backup", institutions.VAULT_COPY, HOME],),
    ),
    "inclusion proof": Target(institutions.PROOF, (["anchor", "verify", institutions.PROOF],)),
    "bundle": Target(institutions.BUNDLE, (["private", "init", "--home=new-home"],)),
    "resource": Target(
        institutions.RESOURCE,
        (["private", "put", institutions.RESOURCE, f"--patient={PATIENT:#x}", HOME],),
    ),
    "key vault": Target(
        f"{institutions.HOSPITAL}/vault.db", (["private", "list", HOME, f"--patient={PATIENT:#x}"],)
    ),
    "journal": Target(f"{institutions.HOSPITAL}/bridge/journal.db", (RUN,)),
    "state of the devnet": Target(STATE, (["devnet", "status"], ["doctor"]), content=RUNNING),
}

LISTING: Final = ["private", "list", HOME, f"--patient={PATIENT:#x}"]
#: Settings by the environment's variable or the option that names them, and commands that heed them.
SETTINGS: Final = {
    "MEDSYNC_NETWORK": ["entity", "list"],
    "MEDSYNC_ACCOUNT": ["consent", "cancel-signatures"],
    "MEDSYNC_DEPLOYMENT": ["entity", "list"],
    "MEDSYNC_DEPLOYMENTS": ["entity", "list"],
    accounts.ADDRESS_VARIABLE: ["consent", "cancel-signatures"],
    accounts.KEY_VARIABLE: ["consent", "cancel-signatures"],
    accounts.KEYSTORE_VARIABLE: ["consent", "cancel-signatures"],
    ACCOUNT_PASSPHRASE_VARIABLE: ["consent", "cancel-signatures", *AS_OWNER],
    network.DEVNET_URL_VARIABLE: ["entity", "list", "--rpc-url="],
    URL_VARIABLE: ["entity", "list", "--network=sepolia", "--rpc-url="],
    PASSPHRASE_VARIABLE: LISTING,
    f"{PASSPHRASE_VARIABLE}_FILE": LISTING,
    HOME_VARIABLE: ["private", "list"],
    "XDG_STATE_HOME": ["devnet", "down"],
    "XDG_CACHE_HOME": ["devnet", "up"],
    "--network": ["entity", "list"],
    "--rpc-url": ["entity", "list"],
    "--account": ["consent", "cancel-signatures"],
    "--deployment": ["entity", "list"],
    "MEDSYNC_LOG_LEVEL": ["entity", "list"],
    "MEDSYNC_LOG_FILE": ["entity", "list"],
    "--log-level": ["entity", "list"],
    "--log-file": ["entity", "list"],
}


def test_malformed_files(bench: Bench, record_property: Callable[[str, object], None]) -> None:
    reach = Reach("Malformed files", seed=0)
    reach.expect("tried", TARGETS)
    for name, target in TARGETS.items():
        with _used(bench, target):
            for line in target.lines:
                done = bench.run(line, target.twists)
                check(bench, done)
                assert done.code != ExitCode.BAD_INPUT or name in ("export, fhir", "export, receipt"), done
            _try(bench, name, target, reach)
    record_property("reach", reach.as_property())
    reach.assert_all_reached()


def _try(bench: Bench, name: str, target: Target, reach: Reach) -> None:
    good = target.content or bench.sample(target.file)

    @examples(8, name)
    @given(content=malformed(good), line=st.sampled_from(target.lines), form=FORMS)
    def spoilt(content: bytes, line: list[str], form: list[str]) -> None:
        bench.place(target.file, content)
        done = bench.run([*form, *line], target.twists)
        check(bench, done)
        tally(reach, name, done.code)
        if done.code == ExitCode.BAD_INPUT:
            # doctor lists what is wrong in its answer.
            assert Path(target.file).stem in (done.err + done.out).decode(), done

    spoilt()


FORMS: Final = st.sampled_from([[], ["--json"], ["--verbose"]])


@contextmanager
def _used(bench: Bench, target: Target) -> Iterator[None]:
    """Hold the lock of a devnet that runs, if it is its state that is tried."""
    if target.file != STATE:
        yield
        return
    with Lock((bench.work / STATE).with_suffix(".lock"), "The background devnet"):
        yield


def test_malformed_settings(bench: Bench, record_property: Callable[[str, object], None]) -> None:
    reach = Reach("Malformed settings", seed=0)
    reach.expect("tried", SETTINGS)
    for name, line in SETTINGS.items():
        _try_setting(bench, name, line, reach)
    record_property("reach", reach.as_property())
    reach.assert_all_reached()


def _try_setting(bench: Bench, name: str, line: list[str], reach: Reach) -> None:
    # No environment can hold a NUL.
    values = texts().filter(lambda text: "\x00" not in text and not _is_unencodable(text))

    @examples(8, name)
    @given(value=values, form=FORMS)
    def malformed(value: str, form: list[str]) -> None:
        if name.startswith("--"):
            done = bench.run([*form, f"{name}={value}", *line])
        else:
            address = {accounts.ADDRESS_VARIABLE: hex(OWN_ADDRESS)} if name.startswith("MEDSYNC_") else {}
            done = bench.run([*form, *line], environment=address | {name: value})
        check(bench, done)
        tally(reach, name, done.code)

    malformed()


def _is_unencodable(text: str) -> bool:
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return True
    return False
