"""A folder with a valid sample of everything, a node, and the command line run between the two.

Distinctive secrets are planted wherever MedSync meets secrets: keys, passwords, the node's URL, openings.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import io
import json
import os
import shutil
import stat
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self
from unittest.mock import patch

import typer
from eth_keyfile.keyfile import create_keyfile_json
from starknet_py.net.client_models import Call

from medsync import artifacts
from medsync.cli import app, campaigns
from medsync.cli.commands import watch
from medsync.deployment import deployer, record
from medsync.deployment.record import MEDSYNC, PRIVATE_ANCHOR, REWARD_POOL, Record, Request
from medsync.log.exports import csv, fhir
from medsync.log.exports import json as json_export
from medsync.log.exports.receipt import consent_receipt
from medsync.log.histories import BlockHeader, History, PatientHistory
from medsync.private.home import Home
from medsync.private.keys.keyfiles import write_key
from medsync.private.records.tickets import LONGEST_LIFE
from medsync.protocol.chains import Chain, ChainEvent, entry_digests
from medsync.protocol.commitments import Domain, Opening, commitment
from medsync.protocol.events import (
    CampaignCloseAnnounced,
    CampaignOpened,
    ConsentAdded,
    ConsentRequested,
    EmergencyJustified,
    PoolCreated,
)
from medsync.protocol.felt import decode_short_string
from medsync.protocol.hashing import starknet_keccak
from medsync.protocol.types import AnchorNode, Head
from medsync.starknet import account_files, accounts
from medsync.starknet.account_files import OPEN_ZEPPELIN_CLASS, Blueprint
from medsync.starknet.network import STRK_TOKEN
from medsync.starknet.outside import sign_calls
from medsync.starknet.signer import StarkSigner, public_key_of
from medsync.starknet.signing import sign_consent, sign_revocation
from medsync.starknet.transactions import Account
from medsync.storage.passphrase import ACCOUNT_PASSPHRASE_VARIABLE, PASSPHRASE_VARIABLE
from scripts import build, repository
from tests.fuzz import institutions
from tests.fuzz.institutions import Institutions
from tests.fuzz.node import BLOCK_HASHES, EDITION, LATEST, NOW, StubNode, Twist, World, anchored
from tests.harness.histories import (
    CHAIN,
    CONSENT_TERMS,
    CONSENTS,
    DAY,
    ENTRIES,
    PATIENT,
    POOL,
    REGISTRY,
    RESEARCHER,
    STUDY,
    SUCCESSOR,
    TERMS,
    at,
    place,
)

#: Seconds a command gets. None here needs more than a few: who needs so many hangs.
PATIENCE: Final = 60.0

DEVNET_KEY: Final = 0x02D5EC4E7A11CE0BADC0FFEE5A1AD0DDBA11FEEDFACE0DEFACEDCAB1E5EED001
OWN_KEY: Final = 0x03E5EC4E7B0BCA7FEEDBEE5ACC01ADE0FACADE5C0DEDD15EA5EDDEBA5EDAB0DE
STORED_KEY: Final = 0x01F5EC4E7C0C0A5EED0FF1CE5BADC0DE0DECADE5FADED0C0A57A1BEDABB1E5E5
SALT: Final = 0x0475A17C0FFEE0DDB0DE5ACADE5EEDF00DD15C0B0A7E5CA1EDBADD0065AC5C0D
PASSWORD: Final = "tr0ub4dor&3-bätterystaple"
API_KEY: Final = "kEy9fQ2xV7mB4wZ8tR1p"
TEXT: Final = "diagnosis: hypochondria, treated with tests"
OWN_ADDRESS: Final = 0xACC0

TOKEN_CLASS: Final = 0x70CE4C1A55
TOKEN_FUNCTIONS: Final = ("balance_of", "transfer", "transfer_from")

#: What the commands are given, relative to the folder they run in.
STATE: Final = "../state/medsync/devnet.json"
UNSETTLED: Final = f"../state/medsync/unsettled-{CHAIN:x}-de70.json"
ARTIFACTS: Final = "../checkout/medsync/artifacts"
REPORT: Final = "report.txt"
OPENING: Final = "known.opening.json"
TERMS_FILE: Final = "terms.json"
KEYSTORE: Final = "keystore.json"
ACCOUNT: Final = "account.json"
CONSENT_FILE: Final = "signed-consent.json"
#: Signed by the account that runs the commands.
OWN_CONSENT_FILE: Final = "own-consent.json"
REVOCATION_FILE: Final = "signed-revocation.json"
ACTS_FILE: Final = "signed-acts.json"
BATCH: Final = "batch.json"
TABLE: Final = "batch.csv"
STUDY_FILE: Final = "study.opening.json"
STATEMENT: Final = "why.opening.json"
EXPORTS: Final = {
    "json": "log.json",
    "csv": "log.csv",
    "fhir": "log.fhir",
    "receipt": "log.receipt",
    "consents": "consents.csv",
    "registry": "registry.csv",
}
#: What a batch asks for.
QUERY: Final = ("--purpose=HRESCH", "--categories=LABORATORY", f"--study={STUDY:#x}")
RECORD: Final = "../checkout/deployments/devnet.json"

#: Where runs log to, relative to the bench's folder.
LOG: Final = "state/log.jsonl"

#: A file's or folder's state: what it is, when it was changed, how large it is.
Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class Done:
    """One run: how it ended, what it said, and what it did to node and folder."""

    line: tuple[str, ...]
    code: int
    out: bytes
    err: bytes
    #: What it logged, at the level that logs most.
    log: bytes
    #: The methods the node was asked for, in order, and those of them that hand a transaction over.
    asked: tuple[str, ...]
    submitted: tuple[str, ...]
    #: What was added, changed or removed, relative to the bench's folder; None for what is gone or no file.
    touched: Mapping[str, bytes | None]


class Bench:
    """The folder, the node, and the command line. With `with`, the node runs until the end of the block."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.work = folder / "work"
        self._stack = ExitStack()
        self._artifacts = folder / "checkout" / build.PRODUCT.artifacts
        for part in ("work", "home", "state/medsync", "cache"):
            (folder / part).mkdir(parents=True)
        _make_checkout(folder / "checkout")
        with patch.object(artifacts, "FOLDER", self._artifacts):
            _forget_artifacts()
            self.world, made, history = asyncio.run(_make_world(self.work))
            self._issue, self._issued = made.issue, time.monotonic()
            self._record = _record(self.world)
            record.write(self.work / RECORD, self._record)
            self.secrets = _make_samples(self.work, self.world, history, made.secrets)
        self.node = StubNode(self.world)

    def __enter__(self) -> Self:
        self._stack.enter_context(self.node)
        # Nothing comes later here than at once: whoever waits, waits in vain.
        for waiting in (Account.confirm, Account.send):
            self._stack.enter_context(patch.dict(waiting.__kwdefaults__ or {}, within=0.05))
        self._stack.enter_context(patch.object(watch, "POLL_INTERVAL", 0.01))
        # Keys are made with next to no work, and homes with a bundle that may be spoilt.
        self._stack.enter_context(patch.object(accounts, "_SCRYPT_N", 2))
        self._stack.enter_context(patch.dict(write_key.__kwdefaults__, work=institutions.WORK))
        own = {"work": institutions.WORK, "bundle": self.work / institutions.BUNDLE}
        self._stack.enter_context(patch.dict(Home.create.__kwdefaults__, own))
        # The command tree is half of what a run costs, and always the same.
        self._stack.enter_context(patch.object(app, "app", typer.main.get_command(app.app)))
        self._stack.enter_context(patch.object(artifacts, "FOLDER", self._artifacts))
        self._stack.callback(_forget_artifacts)
        self.url = f"http://user:{API_KEY}@127.0.0.1:{self.node.port}/v2/{API_KEY}?key={API_KEY}"
        self.environment = {
            "PATH": "",
            "HOME": str(self.folder / "home"),
            "COLUMNS": "200",
            "XDG_STATE_HOME": str(self.folder / "state"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            record.FOLDER_VARIABLE: str(self.folder / "checkout" / "deployments"),
            accounts.KEY_VARIABLE: hex(OWN_KEY),
            ACCOUNT_PASSPHRASE_VARIABLE: PASSWORD,
            PASSPHRASE_VARIABLE: institutions.PASSPHRASE,
            "MEDSYNC_LOG_LEVEL": "debug",
            "MEDSYNC_LOG_FILE": str(self.folder / LOG),
        }
        institutions.make_real_home(self.work, self.node.port)
        self._before = self._original = self._stamps()
        self._kept = {
            name: (self.folder / name).read_bytes() for name in self._original if self._is_file(name)
        }
        home = f"--home={institutions.HOSPITAL}"
        self._keep(institutions.PROOF, ["anchor", "prove", "--index=0", home])
        clinic = f"--home={institutions.CLINIC}"
        self._keep(institutions.ATTESTATION, ["bridge", "attest", clinic, institutions.REQUEST])
        for name, file in institutions.ROTATIONS.items():
            self._keep(file, ["anchor", "sign-rotation", institutions.NEXT_NODES, f"--home={name}"])
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(
        self,
        line: Sequence[str],
        twists: Mapping[int | str, Twist] | None = None,
        *,
        environment: Mapping[str, str] | None = None,
    ) -> Done:
        """Run a command line to its end; `twists` make answers bad, see `StubNode.begin`. Then put all back.

        It asks the bench's node, unless it says otherwise.
        """
        if not any(word.startswith("--rpc-url") for word in line):
            line = ["--rpc-url", self.url, *line]
        # What `deploy` finds undone it does: the pool of another salt is never there before.
        self.node.begin(dict(twists or {}))
        out = io.TextIOWrapper(io.BytesIO(), "utf-8", errors="strict")
        err = io.TextIOWrapper(io.BytesIO(), "utf-8", errors="backslashreplace")
        codes: list[int | BaseException] = []

        def run() -> None:
            try:
                codes.append(contextvars.copy_context().run(app.run, list(line)))
            except BaseException as error:
                codes.append(error)

        changed = environment or {}
        # A variable that names a file takes the place of the one that it is named after.
        kept = {name: value for name, value in self.environment.items() if f"{name}_FILE" not in changed}
        _forget_artifacts()
        with (
            patch.dict(os.environ, {**kept, **changed}, clear=True),
            contextlib.chdir(self.work),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            patch.object(sys, "stdin", io.StringIO()),
        ):
            # In a thread, because it brings an event loop of its own, and may hang.
            thread = threading.Thread(target=run, daemon=True)
            thread.start()
            thread.join(PATIENCE)
        if not codes:
            raise AssertionError(f"{line} does not end")
        if isinstance(codes[0], BaseException):
            raise AssertionError(f"{line} ended with a traceback") from codes[0]
        asked, submitted = tuple(self.node.asked), tuple(self.node.submitted)
        return Done(
            tuple(line), codes[0], _said(out), _said(err), self._logged(), asked, submitted, self._put_back()
        )

    def _logged(self) -> bytes:
        """What the last run logged; nothing if it said itself where to, or did not begin."""
        log = self.folder / LOG
        content = log.read_bytes() if log.exists() else b""
        log.unlink(missing_ok=True)
        return content

    def place(self, name: str, content: bytes) -> None:
        """Have a file with this content in the folder during the next run."""
        (self.work / name).write_bytes(content)
        self.placed()

    def placed(self) -> None:
        """What is in the folder now is what the next run finds: nothing of it was that run's doing."""
        self._before = self._stamps()

    def sample(self, name: str) -> bytes:
        """The content of a sample file, as it was made."""
        return self._kept[os.path.normpath(f"work/{name}")]

    def _keep(self, name: str, line: list[str]) -> None:
        """Have what a command writes for a sample."""
        done = self.run([*line, f"--output={name}"])
        content = done.touched.get(f"work/{name}")
        assert content is not None, done
        self._have(name, content)

    def _have(self, name: str, content: bytes) -> None:
        """Have a file among the samples from now on."""
        self.place(name, content)
        self._kept[f"work/{name}"] = content
        self._original = self._before

    def _put_back(self) -> dict[str, bytes | None]:
        """Undo what happened since the folder was made; return what happened since `placed`."""
        now = self._stamps()
        touched = {
            name: (self.folder / name).read_bytes() if self._is_file(name) else None
            for name in now.keys() | self._before.keys()
            if now.get(name) != self._before.get(name)
        }
        # Folders come after what is in them.
        for name in sorted(now.keys() - self._original.keys(), reverse=True):
            path = self.folder / name
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        for name, content in self._kept.items():
            if now.get(name) != self._original[name]:
                path = self.folder / name
                if path.is_dir():
                    path.rmdir()
                path.unlink(missing_ok=True)
                path.write_bytes(content)
                path.chmod(stat.S_IMODE(self._original[name][0]))
                self._original[name] = _stamp(path)
        for path in (self.folder / "state" / "medsync").glob("unsettled-*"):
            path.unlink()
        self._before = self._original
        if time.monotonic() > self._issued + LONGEST_LIFE / 2:
            self._issued = time.monotonic()
            for name, content in self._issue().items():
                self._have(name, content)
        return touched

    def _stamps(self) -> dict[str, Stamp]:
        """Everything in the folder, but locks and logs of what runs in the background."""
        found = {}
        for root, folders, names in os.walk(self.folder):
            for name in (*folders, *names):
                path = Path(root, name)
                if not path.is_relative_to(self.folder / "state"):
                    found[str(path.relative_to(self.folder))] = _stamp(path)
        return found

    def _is_file(self, name: str) -> bool:
        return (self.folder / name).is_file()


def _said(stream: io.TextIOWrapper) -> bytes:
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue()


def _stamp(path: Path) -> Stamp:
    state = path.lstat()
    # A folder changes with what is in it, which is listed itself.
    return (state.st_mode, 0, 0) if path.is_dir() else (state.st_mode, state.st_mtime_ns, state.st_size)


def _forget_artifacts() -> None:
    for cached in (artifacts.load, artifacts.verified, artifacts.errors):
        cached.cache_clear()


# --- what is in the folder ----------------------------------------------------------------------------------


def _make_checkout(target: Path) -> None:
    """A checkout with the true sources and interfaces, but programs so small that hashing them is quick."""
    source = repository.root()
    for name in (
        *("Scarb.toml", "Scarb.lock", "contracts/Scarb.toml", "contracts/interfaces/Scarb.toml"),
        "tests/mocks/Scarb.toml",
    ):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / name, target / name)
    for name in ("contracts/src", "contracts/interfaces/src", "tests/mocks/src"):
        shutil.copytree(source / name, target / name)
    small = {
        kind: json.loads((source / build.MOCKS.artifacts / f"Study.{kind}.json").read_bytes())
        for kind in ("sierra", "casm")
    }
    names = {build.PRODUCT: (MEDSYNC, REWARD_POOL, PRIVATE_ANCHOR), build.MOCKS: ("Study",)}
    with patch.object(repository, "root", lambda: target):
        for package, contracts in names.items():
            files = {}
            for name in contracts:
                abi = json.loads((source / package.artifacts / f"{name}.abi.json").read_bytes())
                files[f"{name}.sierra.json"] = json.dumps(small["sierra"] | {"abi": abi}).encode()
                files[f"{name}.casm.json"] = json.dumps(small["casm"]).encode()
            (target / package.artifacts).mkdir(parents=True)
            for name, content in build._describe(package, files).items():
                (target / package.artifacts / name).write_bytes(content)


async def _make_world(work: Path) -> tuple[World, Institutions, PatientHistory]:
    """The chain, with MedSync, its pool, the patient's histories, and the anchor of the institutions."""
    keys = {0xDE70 + number: DEVNET_KEY + number for number in range(3)}
    account = next(iter(keys))
    medsync = _deployed(_request(account))[0].address
    nodes = await institutions.make_homes(work, medsync)
    medsync_step, pool, anchor = _deployed(_request(account, nodes))
    why = _statement()
    entries = tuple(
        replace(one, statement=why.commitment) if isinstance(one, EmergencyJustified) else one
        for one in ENTRIES
    )
    log = _head(medsync, entries)
    signer = StarkSigner(DEVNET_KEY, CHAIN)
    kept = await institutions.keep_records(work, medsync, anchor.address, signer, log)
    classes = {}
    for step in (medsync_step, pool, anchor):
        sierra = json.loads(step.artifact.sierra)
        sierra = {
            name: sierra[name]
            for name in ("sierra_program", "contract_class_version", "entry_points_by_type")
        }
        casm = json.loads(step.artifact.casm)
        classes[step.artifact.class_hash] = (sierra | {"abi": json.dumps(step.artifact.abi)}, casm)
    contracts = {step.address: step.artifact.class_hash for step in (medsync_step, pool, anchor)}
    contracts[POOL] = pool.artifact.class_hash
    # STRK, and the class of accounts: of the predeployed ones, and of one that is not deployed yet.
    small = classes[pool.artifact.class_hash]
    called = [{"selector": hex(starknet_keccak(name)), "function_idx": 0} for name in TOKEN_FUNCTIONS]
    entry_points = {"CONSTRUCTOR": [], "EXTERNAL": called, "L1_HANDLER": []}
    classes[TOKEN_CLASS] = (small[0] | {"entry_points_by_type": entry_points}, small[1])
    classes[OPEN_ZEPPELIN_CLASS] = small
    contracts[STRK_TOKEN] = TOKEN_CLASS
    contracts |= dict.fromkeys(keys, OPEN_ZEPPELIN_CLASS)
    entries = (*entries, kept.entry)
    asked = ConsentRequested(
        PATIENT,
        RESEARCHER,
        CONSENT_TERMS.purpose,
        open_until=NOW + 2 * DAY,
        study=STUDY,
        categories=CONSENT_TERMS.categories,
        starts_at=CONSENT_TERMS.starts_at,
        expires_at=CONSENT_TERMS.expires_at,
        max_uses=0,
        scoped=False,
        reward=None,
        terms_commitment=0,
        location=place(16),
    )
    made = PoolCreated(pool.address, STRK_TOKEN, creator=account, salt=0, location=place(-239))
    world = World(
        medsync=medsync,
        reward_pool=pool.address,
        deployer=account,
        keys=keys,
        classes=classes,
        contracts=contracts,
        events={
            medsync: [*REGISTRY, made, *DECISIONS, asked, *entries],
            pool.address: [
                CampaignOpened(TERMS.id, TERMS.funder, TERMS.purpose, TERMS, location=place(-1)),
                CampaignCloseAnnounced(TERMS.id, NOW + DAY, location=place(17)),
            ],
            anchor.address: anchored(nodes, kept.anchored),
        },
        consents=_head(medsync, DECISIONS),
        accesses=kept.head,
        registry=_head(medsync, REGISTRY),
        pool_class=pool.artifact.class_hash,
        anchor=anchor.address,
        nodes=nodes,
        anchored=kept.anchored,
    )
    return world, kept, _history(world, entries)


_FIRST: Final = CONSENTS[0]
assert isinstance(_FIRST, ConsentAdded)

#: What the patient decided: after revoking everything, to consent to the study once more.
DECISIONS: Final = (
    *CONSENTS,
    replace(
        _FIRST,
        seq=len(CONSENTS) + 1,
        nonce=0,
        version=4,
        generation=4,
        categories=CONSENT_TERMS.categories,
        scoped=False,
        campaign=0,
        **at(14),
    ),
)


def _statement() -> Opening:
    """What opens the statement that the log names."""
    value = b"unconscious on arrival"
    salt = SALT ^ 1
    committed = commitment(Domain.JUSTIFICATION, value, salt)
    return Opening(domain=Domain.JUSTIFICATION, commitment=committed, value=value, salt=salt)


def _head(contract: int, entries: Sequence[ChainEvent]) -> Head:
    return Head(len(entries), entry_digests(CHAIN, contract, entries)[-1])


def _history(world: World, entries: Sequence[ChainEvent]) -> PatientHistory:
    """The histories that are on the chain, as of its newest block."""
    block = BlockHeader(LATEST, BLOCK_HASHES + LATEST, NOW)

    def one(chain: Chain, entries: Sequence[ChainEvent], head: Head) -> History[Any]:
        subject = 0 if chain is Chain.REGISTRY else PATIENT
        return History(CHAIN, world.medsync, chain, subject, tuple(entries), head, block)

    return PatientHistory(
        consents=one(Chain.CONSENTS, DECISIONS, world.consents),
        accesses=one(Chain.ACCESSES, entries, world.accesses),
        registry=one(Chain.REGISTRY, REGISTRY, world.registry),
    )


def _deployed(request: Request) -> list[deployer.Step]:
    """The steps that put the contracts on the chain."""
    return [step for step in deployer.steps(request) if step.action != "declare"]


def _request(account: int, nodes: Sequence[AnchorNode] = ()) -> Request:
    quorum = (
        record.Quorum(
            threshold=len(nodes),
            nodes=tuple(record.QuorumNode(stark_key=one.stark_key, identity=one.identity) for one in nodes),
        )
        if nodes
        else None
    )
    return Request(deployer=account, admin=account, tokens=(STRK_TOKEN,), salt=0, anchor=quorum)


def _record(world: World) -> Record:
    """The record of the deployment that is on the chain."""
    request = _request(world.deployer, world.nodes)
    began = datetime.fromtimestamp(NOW - DAY, UTC)
    classes, contracts, pools = {}, {}, []
    for step in _deployed(request):
        sent = record.IncludedTransaction(transaction=0x5E47, block=LATEST)
        classes[step.contract] = record.DeclaredClass(
            class_hash=step.artifact.class_hash,
            compiled_class_hash=step.artifact.compiled_class_hash,
            artifacts=deployer._digests(step.contract),
            declared=None,
        )
        if step.contract == REWARD_POOL:
            pools.append(
                record.Pool(address=step.address, token=STRK_TOKEN, symbol="STRK", salt=0, created=sent)
            )
            continue
        contracts[step.contract] = record.DeployedContract(
            address=step.address,
            class_hash=step.artifact.class_hash,
            constructor=dict(step.constructor),
            deployed=None,
        )
    return Record(
        status="complete",
        network="devnet",
        chain_id=decode_short_string(CHAIN),
        request=request,
        tools=record.Tools(medsync="0", scarb="0", cairo="0", starknet="0"),
        started_at=began,
        finished_at=began,
        classes=classes,
        contracts=contracts,
        pools=tuple(pools),
        wiring=record.Wiring(
            admin=world.deployer,
            edition=EDITION,
            pool_class_hash=world.pool_class,
            successor=SUCCESSOR,
        ),
    )


def _make_samples(work: Path, world: World, history: PatientHistory, hidden: Sequence[str]) -> Secrets:
    """A valid file of every kind a command reads, but the institutions'; return what must never be seen.

    `hidden` is what must not of the institutions.
    """

    def put(name: str, content: str | Any) -> None:
        text = content if isinstance(content, str) else json.dumps(content, indent=2) + "\n"
        (work / name).write_text(text)

    put(REPORT, "a report\n")
    value = TEXT.encode()
    opening = Opening(
        domain=Domain.RECORD, commitment=commitment(Domain.RECORD, value, SALT), value=value, salt=SALT
    )
    put(OPENING, opening.to_json())
    put(TERMS_FILE, campaigns.dumps(replace(TERMS, funder=world.deployer)))
    password: Any = PASSWORD.encode()  # As every tool encodes it; see `medsync.starknet.accounts`.
    keystore = create_keyfile_json(STORED_KEY.to_bytes(32, "big"), password, kdf="scrypt", iterations=2)
    put(KEYSTORE, keystore)
    put(ACCOUNT, account_files.to_json(Blueprint(public_key_of(STORED_KEY)), Path(KEYSTORE)))
    signer = StarkSigner(DEVNET_KEY, CHAIN)
    ends: dict[str, Any] = {
        "contract": world.medsync,
        "grantee": RESEARCHER,
        "generation": 4,
        "deadline": NOW + DAY,
    }
    terms = replace(CONSENT_TERMS, study=STUDY, reward=TERMS)
    consent = sign_consent(signer, PATIENT, terms=terms, version=5, counter=1, **ends)
    put(CONSENT_FILE, consent.to_json())
    own = sign_consent(signer, world.deployer, terms=terms, version=2, counter=1, **ends)
    put(OWN_CONSENT_FILE, own.to_json())
    put(
        REVOCATION_FILE,
        sign_revocation(signer, PATIENT, purpose=terms.purpose, study=STUDY, **ends).to_json(),
    )
    panic = Call(world.medsync, starknet_keccak("revoke_all"), [1])
    acts = sign_calls(
        signer, PATIENT, [panic], contract=world.medsync, generation=4, execute_before=NOW + 300
    )
    put(ACTS_FILE, acts.to_json())
    study = Opening.of_json(Domain.STUDY, {"protocol": "asthma", "approval": "17", "contact": "office"})
    put(STUDY_FILE, study.to_json())
    put(STATEMENT, _statement().to_json())
    asked = {"patient": hex(PATIENT)}
    put(BATCH, [asked | {"record": REPORT}, asked | {"record": "0x7"}])
    put(TABLE, f"patient,record\n{PATIENT:#x},{REPORT}\n{PATIENT:#x},0x7\n")
    put(EXPORTS["json"], json_export.dumps(history))
    for name, one in (
        ("csv", history.accesses),
        ("consents", history.consents),
        ("registry", history.registry),
    ):
        (work / EXPORTS[name]).write_bytes(csv.dumps(one.chain, one.entries).encode())
    put(EXPORTS["fhir"], fhir.dumps(history, NOW))
    put(EXPORTS["receipt"], [consent_receipt(history, RESEARCHER, terms.purpose, STUDY)])

    # What can be named as a file, and is none, or none that can be read.
    (work / "folder").mkdir()
    os.mkfifo(work / "pipe")
    (work / "loop").symlink_to("loop")
    (work / "dangling").symlink_to("nowhere")
    (work / "secret").touch(mode=0)

    crypto = keystore["crypto"]
    written = json.loads(opening.to_json())["value"]
    return Secrets(
        *(hex(key) for key in (*world.keys.values(), OWN_KEY, STORED_KEY, SALT)),
        *(str(key) for key in (*world.keys.values(), OWN_KEY, STORED_KEY, SALT)),
        hex(SALT ^ 1),
        *(PASSWORD, API_KEY, TEXT, written, crypto["ciphertext"], crypto["mac"]),
        *hidden,
    )


class Secrets:
    """What must not be seen, not even in parts."""

    #: Characters in a row that tell something.
    PART: Final = 10

    def __init__(self, *secrets: str) -> None:
        self._parts = {part for secret in secrets for part in self._parts_of(secret)}

    def found_in(self, text: str) -> set[str]:
        """The parts of secrets that are in a text, in whatever case."""
        return self._parts.intersection(self._parts_of(text))

    def _parts_of(self, text: str) -> list[str]:
        text = text.lower()
        return [text[start : start + self.PART] for start in range(len(text) - self.PART + 1)]
