"""New keys in an institution's folder: the bridge's in every context, the custodian's over vault and backups.

Whatever stops it, no context and no vault knows a key that is nowhere, and doing it again completes it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from medsync.errors import InputError, VerificationError
from medsync.private.home import Home
from medsync.private.keys import keyfiles
from medsync.private.keys.keyfiles import WrongPassphrase, write_key
from medsync.private.keys.keys import BridgeKey, CustodianKey, KeptKey
from medsync.private.node.interface import NodeUnavailable
from medsync.private.records import service
from medsync.private.records.application import RecordsApp
from medsync.private.records.vault import BackupsOutOfReach, KeyVault, Note, WrongCustodianKey
from medsync.starknet.anchor import PrivateAnchorClient
from medsync.storage import locks
from medsync.storage.locks import InUse
from tests.harness.records import CHAIN, CONTRACT, PATIENT, observation

PASSPHRASE = "a passphrase of tests"
CONTEXTS = 3


@pytest.fixture(autouse=True)
def quick_keys() -> Any:
    with patch.dict(write_key.__kwdefaults__, work=2**4):
        yield


@pytest.fixture
async def hospital(tmp_path: Path) -> Home:
    """A hospital with a record in each of three contexts, and a backup."""
    home = await Home.create(
        tmp_path / "hospital", PASSPHRASE, chain=CHAIN, contract=CONTRACT, capacity=1, work=2**4
    )
    async with home.store() as store:
        with home.vault(PASSPHRASE) as vault:
            for _ in range(CONTEXTS):
                await service.put(store, vault, observation(), Note(patient=PATIENT))
            vault.backup(tmp_path / "backup.db")
    return home


def on_disk(home: Home) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (home.folder / "keys").iterdir()}


async def known(home: Home) -> list[bytes | None]:
    """The bridge key that each context knows."""
    async with home.store() as store:
        return [(await app.status()).bridge_key for app in store.apps]


def opening(home: Home, kind: type[KeptKey]) -> set[str]:
    """The public keys whose private halves are on the disk and open."""
    paths = (home.folder / "keys").glob(f"{kind.kind}*.json")
    return {keyfiles.read_key(path, kind, PASSPHRASE).public_parts["signing_key"] for path in paths}


# --- the bridge's -------------------------------------------------------------------------------------------


async def test_every_context_knows_the_new_bridge_key(hospital: Home) -> None:
    former = hospital.key(BridgeKey, PASSPHRASE)
    async with hospital.store() as store:
        await hospital.rotate_bridge_key(store, PASSPHRASE)
    new = hospital.key(BridgeKey, PASSPHRASE)
    assert new != former
    assert await known(hospital) == [new.signing.public] * CONTEXTS
    assert set(on_disk(hospital)) == {"attestor.json", "bridge.json", "custodian.json"}
    # A context that is begun afterwards knows it as well.
    async with hospital.store() as store:
        with hospital.vault(PASSPHRASE) as vault:
            await service.put(store, vault, observation(), Note(patient=PATIENT))
    assert await known(hospital) == [new.signing.public] * (CONTEXTS + 1)


@pytest.mark.parametrize("done", range(CONTEXTS))
@pytest.mark.parametrize("answered", [False, True])
async def test_a_rotation_that_is_stopped_between_contexts_is_completed(
    hospital: Home, monkeypatch: pytest.MonkeyPatch, done: int, answered: bool
) -> None:
    """Before a context was told, or when it was told and did not say so."""
    original, calls = RecordsApp.rotate_bridge, []

    async def broken(self: RecordsApp, new_key: bytes, signature: bytes) -> None:
        calls.append(self)
        if len(calls) <= done:
            return await original(self, new_key, signature)
        if answered:
            await original(self, new_key, signature)
        raise NodeUnavailable("The node is gone.")

    monkeypatch.setattr(RecordsApp, "rotate_bridge", broken)
    async with hospital.store() as store:
        with pytest.raises(NodeUnavailable):
            await hospital.rotate_bridge_key(store, PASSPHRASE)
    monkeypatch.undo()
    between = {key.hex() for key in await known(hospital) if key is not None}
    assert between <= opening(hospital, BridgeKey), "a context knows a key that is lost"
    (new,) = opening(hospital, BridgeKey) - {hospital.public(BridgeKey)["signing_key"]}

    # Meanwhile nobody gets a ticket that some context would refuse.
    async with hospital.store() as store:
        anchor = PrivateAnchorClient(1, None)  # type: ignore[arg-type]
        with pytest.raises(InputError, match="not in every context yet") as waits:
            async with hospital.bridge(store, PASSPHRASE, anchor, first_block=0):
                pass
        assert "rotate-key" in waits.value.hint
        await hospital.rotate_bridge_key(store, PASSPHRASE)
    assert opening(hospital, BridgeKey) == {new}
    assert {key.hex() for key in await known(hospital) if key is not None} == {new}


@pytest.mark.parametrize("kind", [BridgeKey, CustodianKey])
async def test_a_key_file_that_is_not_whole_is_none(
    hospital: Home, monkeypatch: pytest.MonkeyPatch, kind: type[KeptKey]
) -> None:
    """Stopped while the new key is written: nothing else has happened."""
    before, contexts, vault = on_disk(hospital), await known(hospital), hospital.folder / "vault.db"
    sealed = vault.read_bytes()

    async def replace_key() -> None:
        if kind is CustodianKey:
            hospital.rekey(PASSPHRASE)
        async with hospital.store() as store:
            await hospital.rotate_bridge_key(store, PASSPHRASE)

    def full(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("medsync.storage.files.os.fsync", full)
    with pytest.raises(KeyboardInterrupt):
        await replace_key()
    monkeypatch.undo()
    assert (on_disk(hospital), await known(hospital), vault.read_bytes()) == (before, contexts, sealed)


async def test_a_context_with_another_bridge_key_is_told_before_anything_changes(hospital: Home) -> None:
    """As when the folder was restored from a backup that is older than the node."""
    before, stranger = on_disk(hospital), BridgeKey.generate().signing
    own = hospital.key(BridgeKey, PASSPHRASE).signing
    async with hospital.store() as store:
        app = store.apps[1]
        message = app.rotation_message(own.public, stranger.public)
        await app.rotate_bridge(stranger.public, own.sign(message))
        with pytest.raises(VerificationError, match=app.context.id):
            await hospital.rotate_bridge_key(store, PASSPHRASE)
    assert on_disk(hospital) == before
    assert await known(hospital) == [own.public, stranger.public, own.public]


async def test_a_wrong_passphrase_changes_nothing(hospital: Home) -> None:
    before = on_disk(hospital)
    async with hospital.store() as store:
        with pytest.raises(WrongPassphrase):
            await hospital.rotate_bridge_key(store, "another")
    with pytest.raises(WrongPassphrase):
        hospital.rekey("another")
    assert on_disk(hospital) == before


# --- the custodian's ----------------------------------------------------------------------------------------


async def test_vault_and_backups_are_under_the_new_custodian_key(hospital: Home) -> None:
    former = hospital.key(CustodianKey, PASSPHRASE)
    hospital.rekey(PASSPHRASE)
    backup = hospital.folder.parent / "backup.db"
    for path in (hospital.folder / "vault.db", backup):
        with pytest.raises(WrongCustodianKey):
            KeyVault(path, former)
        with KeyVault(path, hospital.key(CustodianKey, PASSPHRASE)) as vault:
            assert vault.patients() == {PATIENT}
    assert set(on_disk(hospital)) == {"attestor.json", "bridge.json", "custodian.json"}


@pytest.mark.parametrize("stopped", ["before the backup", "before the vault", "before the key is in place"])
async def test_a_rekeying_that_is_stopped_is_completed(
    hospital: Home, monkeypatch: pytest.MonkeyPatch, stopped: str
) -> None:
    reseal, sealed = KeyVault._reseal, []

    def broken(self: KeyVault, key: CustodianKey) -> None:
        if len(sealed) == ("before the backup", "before the vault").index(stopped):
            raise KeyboardInterrupt
        sealed.append(self.path)
        reseal(self, key)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    if stopped == "before the key is in place":
        monkeypatch.setattr(Home, "_complete", crash)
    else:
        monkeypatch.setattr(KeyVault, "_reseal", broken)
    with pytest.raises(KeyboardInterrupt):
        hospital.rekey(PASSPHRASE)
    monkeypatch.undo()
    (new,) = opening(hospital, CustodianKey) - {hospital.public(CustodianKey)["signing_key"]}
    # The vault opens all the same.
    with hospital.vault(PASSPHRASE) as vault:
        (record, *_) = vault.records()
    hospital.rekey(PASSPHRASE)
    assert opening(hospital, CustodianKey) == {new}
    with hospital.vault(PASSPHRASE) as vault:
        assert vault.unreached() == {}
        assert vault.erase(record).reached == {hospital.folder.parent / "backup.db": True}


async def test_a_backup_out_of_reach_keeps_the_key(hospital: Home) -> None:
    before, backup = on_disk(hospital), hospital.folder.parent / "backup.db"
    backup.rename(backup.with_name("elsewhere.db"))
    with pytest.raises(BackupsOutOfReach, match=r"backup\.db"):
        hospital.rekey(PASSPHRASE)
    assert on_disk(hospital) == before
    with hospital.vault(PASSPHRASE) as vault:
        vault.register(backup.with_name("elsewhere.db"))
        vault.forget_backup(backup)
    hospital.rekey(PASSPHRASE)


async def test_a_backup_that_is_lost_after_it_was_resealed_can_be_struck(
    hospital: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The vault is under the new key, which is not in place yet."""

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Home, "_complete", crash)
    with pytest.raises(KeyboardInterrupt):
        hospital.rekey(PASSPHRASE)
    monkeypatch.undo()
    backup = hospital.folder.parent / "backup.db"
    backup.unlink()
    with pytest.raises(BackupsOutOfReach):
        hospital.rekey(PASSPHRASE)
    with hospital.vault(PASSPHRASE) as vault:
        vault.forget_backup(backup)
    hospital.rekey(PASSPHRASE)
    assert len(opening(hospital, CustodianKey)) == 1


# --- two at once --------------------------------------------------------------------------------------------


async def test_no_other_command_uses_a_home_whose_key_is_replaced(
    hospital: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, third = Home(hospital.folder), Home(hospital.folder)
    monkeypatch.setattr(locks, "WAIT", 0)
    with (
        hospital.used(),
        other.used(),
        pytest.raises(InUse, match=f"The home {hospital.folder} is in use by .*process {os.getpid()}"),
    ):
        third.used(exclusive=True)
    with third.used(exclusive=True), pytest.raises(InUse):
        other.used()
    with third.used(exclusive=True):
        pass
