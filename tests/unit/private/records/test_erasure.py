"""Erasure: everywhere or not certified, resumed wherever it was stopped, and what the certificate says."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from medsync.errors import InputError, VerificationError
from medsync.private.keys.cards import KeyCard
from medsync.private.keys.keys import AccessorKey, BridgeKey, CustodianKey, RecordVersion, SigningKey
from medsync.private.records import erasure
from medsync.private.records.erasure import (
    Certificate,
    Erasure,
    ErasureIncomplete,
    OnChain,
    PublicEntry,
    certificate_path,
    read_certificate,
)
from medsync.private.records.sealing import open_record
from medsync.private.records.tickets import SignedTicket
from medsync.private.records.vault import KeyVault, UnknownRecord
from medsync.storage.files import NewFile, replace
from tests.harness.records import (
    CHAIN,
    CONTEXT,
    CONTRACT,
    MARKER,
    NOW,
    RESEARCHER,
    Store,
    entry,
    everything_under,
    observation,
    put,
    spellings,
)

KEY = CustodianKey(bytes(range(32)))
ACCESSOR = AccessorKey(bytes(range(64)))
CARD = KeyCard(
    address=RESEARCHER,
    chain=CHAIN,
    encryption_key=ACCESSOR.encryption.public,
    signing_key=ACCESSOR.signing.public,
    expires_at=NOW + 1000,
    signature=(),
)


class Crash(BaseException):
    """The machine stops."""


@dataclass
class Journal:
    """What the bridge's journal does."""

    tickets: set[str] = field(default_factory=set)

    def forget_tickets(self, record: str) -> None:
        self.tickets.discard(record)


@dataclass
class Hospital:
    """Two records, a backup of their keys, and a ticket for each."""

    folder: Path
    vault: KeyVault
    store: Store
    journal: Journal
    records: list[RecordVersion]
    salts: list[int]

    def erasure(self, **changes: Any) -> Erasure:
        arguments: dict[str, Any] = {
            "store": self.store,
            "vault": self.vault,
            "signer": KEY.signing,
            "tickets": self.folder / "tickets",
            "journal": self.journal,
            "clock": lambda: NOW + 5.5,
        }
        record = self.records[0]
        return Erasure(self.folder / "erasures", record.id, [record], **(arguments | changes))

    @property
    def chain(self) -> OnChain:
        named = PublicEntry.of(entry(self.records[0]))
        return OnChain(chain=CHAIN, contract=CONTRACT, anchor=0xA, entries=(named,), roots=(0x1,))

    def assert_gone(self) -> None:
        gone, kept = self.records
        assert list(self.store.kept) == [kept.id]
        assert self.vault.records() == [kept.id]
        with KeyVault(self.folder / "backup.db", KEY) as backup:
            assert backup.records() == [kept.id]
        assert [path.name for path in (self.folder / "tickets").iterdir()] == ["1.json"]
        assert self.journal.tickets == {kept.id}
        assert sorted(path.name for path in (self.folder / "erasures").iterdir()) == [
            f"{gone.id}.erased.json"
        ]


def hospital(folder: Path) -> Hospital:
    folder.mkdir(exist_ok=True)
    vault = KeyVault(folder / "keys.db", KEY, create=True)
    store, journal, records, salts = Store(), Journal(), [], []
    for number in range(2):
        sealed = put(store, vault, observation())
        data_key = vault.unwrap(sealed.record, sealed.keys)
        opened = open_record(sealed.ciphertext, data_key, sealed.record, requested=sealed.record.commitment)
        salts.append(opened.opening.salt)
        ticket = SignedTicket.issue(
            BridgeKey.generate(),
            chain=CHAIN,
            contract=CONTRACT,
            context=CONTEXT,
            entry=entry(sealed.record),
            digest=number,
            record=sealed.record,
            card=CARD,
            data_key=data_key,
            now=NOW,
        )
        replace(
            NewFile(folder / "tickets" / f"{number}.json", ticket.canonical(), "The ticket", private=True)
        )
        journal.tickets.add(sealed.record.id)
        records.append(sealed.record)
    vault.backup(folder / "backup.db")
    return Hospital(folder, vault, store, journal, records, salts)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Hospital]:
    scene = hospital(tmp_path / "hospital")
    yield scene
    scene.vault.close()


# --- everywhere ---------------------------------------------------------------------------------------------


async def test_a_record_is_erased_everywhere_and_certified(scene: Hospital) -> None:
    secret = scene.vault._row(scene.records[0].id).secret
    certificate = await scene.erasure().run(scene.chain)
    scene.assert_gone()
    with pytest.raises(UnknownRecord, match="was erased"):
        scene.vault.note(scene.records[0].id)
    left = everything_under(scene.folder)
    for gone in (secret, scene.salts[0].to_bytes(32, "big"), MARKER.encode().rjust(32, b"-")[-19:]):
        for spelling in spellings(gone):
            assert spelling not in left
    statement = certificate.verify(KEY.signing.public)
    record = scene.records[0]
    assert statement.record == record.id
    assert [(one.version, one.commitment) for one in statement.versions] == [(1, record.commitment)]
    assert statement.begun_at == statement.completed_at == NOW + 5
    assert [(one.place, one.name, one.found) for one in statement.deleted] == [
        ("vault", "", True),
        ("backup", str(scene.folder / "backup.db"), True),
        ("node", "", True),
        ("bridge", "", False),
        ("ticket", "0.json", True),
    ]
    assert statement.by == KEY.signing.public
    assert statement.chain == scene.chain
    assert json.loads(certificate.canonical())["statement"]["chain"]["entries"] == [
        {
            "patient": "0x7061",
            "seq": 4,
            "accessor": "0x7265",
            "purpose": "HRESCH",
            "categories": ["OBSERVATION"],
            "decision": "PERMIT",
            "at": NOW - 30,
            "record": hex(record.commitment),
        }
    ]
    words = " ".join([*statement.remains, statement.why_it_names_nobody, *statement.still_identifies])
    for word in ("address", "accessor", "purpose", "categories", "commitment", "root", "salt", "pseudonym"):
        assert word in words
    assert "released before" in words


async def test_the_file_is_the_certificate(scene: Hospital) -> None:
    certificate = await scene.erasure().run(scene.chain)
    path = certificate_path(scene.folder / "erasures", scene.records[0].id)
    assert read_certificate(path) == certificate
    path.write_text("{}")
    with pytest.raises(InputError, match="statement"):
        read_certificate(path)


async def test_a_certificate_holds_its_signer_to_every_word(scene: Hospital) -> None:
    certificate = await scene.erasure().run(scene.chain)
    document = json.loads(certificate.canonical())
    with pytest.raises(VerificationError, match="not signed by that key"):
        certificate.verify(SigningKey.generate().public)
    for name, value in {
        "record": "f" * 32,
        "begun_at": 1,
        "completed_at": 1,
        "deleted": [],
        "versions": [],
        "remains": [],
        "why_it_names_nobody": "",
        "still_identifies": [],
        "by": "00" * 32,
        "chain": document["statement"]["chain"] | {"entries": []},
    }.items():
        assert document["statement"][name] != value
        changed = document | {"statement": document["statement"] | {name: value}}
        forged = Certificate.read(json.dumps(changed), "it")
        for signer in {KEY.signing.public, forged.statement.by}:
            with pytest.raises(VerificationError):
                forged.verify(signer)


async def test_erasing_again_finds_nothing_and_changes_nothing(scene: Hospital) -> None:
    first = await scene.erasure().run(scene.chain)
    again = await scene.erasure(clock=lambda: NOW + 99.0).run(scene.chain)
    assert again == first
    scene.assert_gone()


async def test_a_certificate_outlives_the_key_that_signed_it(scene: Hospital) -> None:
    first = await scene.erasure().run(scene.chain)
    new = CustodianKey.generate()
    scene.vault.rekey(new)
    again = scene.erasure(clock=lambda: NOW + 99.0)
    again._signer = new.signing
    assert await again.run(scene.chain) == first
    first.verify(KEY.signing.public)


async def test_what_came_back_is_erased_again_and_certified_anew(scene: Hospital) -> None:
    """A ticket from a backup of another kind: the old certificate would not cover it."""
    path = scene.folder / "tickets" / "0.json"
    ticket = path.read_bytes()
    await scene.erasure().run(scene.chain)
    path.write_bytes(ticket)
    again = await scene.erasure(clock=lambda: NOW + 99.0).run(scene.chain)
    assert [one.name for one in again.statement.deleted if one.found] == ["0.json"]
    assert again.statement.completed_at == NOW + 99
    scene.assert_gone()


async def test_an_erasure_takes_the_records_own_versions_only(scene: Hospital) -> None:
    record, other = scene.records
    with pytest.raises(InputError, match="belong to different records"):
        Erasure(scene.folder, record.id, [other], store=scene.store, vault=scene.vault, signer=KEY.signing)


# --- not everywhere -----------------------------------------------------------------------------------------


async def test_without_every_backup_and_ticket_there_is_no_certificate(scene: Hospital) -> None:
    backup = scene.folder / "backup.db"
    away = backup.rename(scene.folder / "elsewhere.db")
    torn = scene.folder / "tickets" / "torn.json"
    torn.write_text("{")
    for _ in range(2):
        with pytest.raises(ErasureIncomplete, match="not erased everywhere") as refused:
            await scene.erasure().run(scene.chain)
        assert [finding.partition(":")[0] for finding in refused.value.findings] == [
            f"the backup {backup}",
            f"the file {torn}",
        ]
        assert not certificate_path(scene.folder / "erasures", scene.records[0].id).exists()
    away.rename(backup)
    torn.unlink()
    certificate = await scene.erasure().run(scene.chain)
    assert all(one.found for one in certificate.statement.deleted if one.place != "bridge")
    scene.assert_gone()


async def test_a_node_that_does_not_answer_leaves_the_key_deleted_all_the_same(scene: Hospital) -> None:
    class Silent:
        async def erase(self, id: str) -> bool:
            raise InputError("silence")

    with pytest.raises(InputError, match="silence"):
        await scene.erasure(store=Silent()).run(scene.chain)
    assert scene.vault.records() == [scene.records[1].id]
    certificate = await scene.erasure().run(scene.chain)
    assert [one.place for one in certificate.statement.deleted if one.found] == [
        "vault",
        "backup",
        "node",
        "ticket",
    ]
    scene.assert_gone()


# --- stopped ------------------------------------------------------------------------------------------------

STEPS = ("vault", "node", "bridge", "tickets", *(f"write {number}" for number in range(1, 8)), "unlink")


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
async def test_an_erasure_that_is_stopped_anywhere_is_completed(
    scene: Hospital, monkeypatch: pytest.MonkeyPatch, step: str, before: bool
) -> None:
    """Each thing it does fails once, before it is done or right after; then all is done again."""
    stopped = []

    def stopping(name: str, original: Any) -> Any:
        def act(*arguments: Any, **named: Any) -> Any:
            if name != step or stopped:
                return original(*arguments, **named)
            stopped.append(name)
            if not before:
                original(*arguments, **named)
            raise Crash

        return act

    writes = 0

    def write(file: NewFile) -> None:
        nonlocal writes
        writes += 1
        stopping(f"write {writes}", replace)(file)

    async def erase(id: str) -> bool:
        return bool(stopping("node", lambda: scene.store.kept.pop(id, None) is not None)())

    monkeypatch.setattr(scene.store, "erase", erase)
    monkeypatch.setattr(scene.vault, "erase", stopping("vault", scene.vault.erase))
    monkeypatch.setattr(scene.journal, "forget_tickets", stopping("bridge", scene.journal.forget_tickets))
    monkeypatch.setattr(erasure, "delete_tickets", stopping("tickets", erasure.delete_tickets))
    monkeypatch.setattr(erasure, "replace", write)
    monkeypatch.setattr(Path, "unlink", stopping("unlink", Path.unlink)) if step == "unlink" else None
    with pytest.raises(Crash):
        await scene.erasure().run(scene.chain)
    assert stopped == [step]
    certificate = await scene.erasure().run(scene.chain)
    certificate.verify(KEY.signing.public)
    assert read_certificate(certificate_path(scene.folder / "erasures", scene.records[0].id)) == certificate
    assert {one.place for one in certificate.statement.deleted} >= {"vault", "backup", "node", "bridge"}
    scene.assert_gone()


async def test_the_steps_are_all_there_are(scene: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []

    def write(file: NewFile) -> None:
        written.append(file.path)
        replace(file)

    monkeypatch.setattr(erasure, "replace", write)
    await scene.erasure().run(scene.chain)
    assert len(written) == sum(step.startswith("write") for step in STEPS)


async def test_a_torn_file_of_an_erasure_is_said_to_be_one(scene: Hospital) -> None:
    (scene.folder / "erasures").mkdir()
    (scene.folder / "erasures" / f"{scene.records[0].id}.erasing.json").write_text("{")
    with pytest.raises(InputError, match=r"The erasure .*not JSON"):
        await scene.erasure().run(scene.chain)
    assert len(scene.store.kept) == len(scene.vault.records()) == 2
