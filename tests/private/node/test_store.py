"""The embedded node's folder: sealed, for one process, and honest about damage."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from medsync.errors import InputError, MedSyncError
from medsync.private.node.embedded import EmbeddedNode
from medsync.private.node.interface import NodeUnavailable
from medsync.storage import locks
from tests.private.node.guest import guest_bundle

KEY = bytes(range(32))
MARKER = "Zq7MarkerOfARecord"


async def filled(folder: Path, tmp_path: Path, key: bytes | None = None) -> str:
    """A node with a few entries, closed; returns its context."""
    async with EmbeddedNode(folder, store_key=key) as node:
        context = await node.create_context(await node.install(guest_bundle(tmp_path)), {})
        for number in range(8):
            await node.execute(context.id, "put", {"id": f"{MARKER}{number}"})
        return context.id


@pytest.mark.parametrize("key", [None, KEY], ids=["own key", "caller's key"])
async def test_it_is_the_same_after_a_restart(tmp_path: Path, key: bytes | None) -> None:
    folder = tmp_path / "node"
    context = await filled(folder, tmp_path, key)
    async with EmbeddedNode(folder, store_key=key) as node:
        before, contexts = await node.state(context), await node.contexts()
    async with EmbeddedNode(folder, store_key=key) as node:
        assert (await node.state(context), await node.contexts()) == (before, contexts)
        assert await node.execute(context, "has", {"id": f"{MARKER}7"}) == 3


@pytest.mark.parametrize("key", [None, KEY], ids=["own key", "caller's key"])
async def test_files_are_private_and_sealed(tmp_path: Path, key: bytes | None) -> None:
    folder = tmp_path / "node"
    folder.mkdir(mode=0o755)
    await filled(folder, tmp_path, key)
    assert folder.stat().st_mode & 0o777 == 0o700
    names = {"node.sqlite", "node.json"} | ({"node.key"} if key is None else set())
    assert {path.name for path in folder.iterdir()} == names
    for path in folder.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600, path.name
    entries = (folder / "node.sqlite").read_bytes()
    # Keys of entries are readable: an application has to hash what its keys must not say.
    with closing(sqlite3.connect(folder / "node.sqlite")) as connection:
        values = [
            row[0]
            for table in ("entries", "deltas", "events")
            for row in connection.execute(f"SELECT value FROM {table}")
        ]
    assert len(values) > 24
    assert not [value for value in values if MARKER.encode() in value]
    assert MARKER.encode() in entries


async def test_a_second_process_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "WAIT", 0)
    async with EmbeddedNode(tmp_path / "node"):
        with pytest.raises(InputError, match="in use by"):
            EmbeddedNode(tmp_path / "node")
    async with EmbeddedNode(tmp_path / "node") as node:
        await node.health()
    await node.close()
    with pytest.raises(NodeUnavailable, match="closed"):
        await node.health()


async def test_the_store_key_counts(tmp_path: Path) -> None:
    given, own = tmp_path / "given", tmp_path / "own"
    await filled(given, tmp_path, KEY)
    await filled(own, tmp_path)
    for folder, key, said in (
        (given, None, "needs its store key"),
        (given, bytes(32), "another key"),
        (own, KEY, "keeps its own key"),
        (tmp_path / "new", b"short", "32 bytes"),
    ):
        with pytest.raises(InputError, match=said):
            EmbeddedNode(folder, store_key=key)


@pytest.mark.parametrize("name", ["node.sqlite", "node.json", "node.key"])
@pytest.mark.parametrize("damage", ["removed", "emptied", "cut", "overwritten"])
async def test_damage_is_told(tmp_path: Path, name: str, damage: str) -> None:
    folder = tmp_path / "node"
    await filled(folder, tmp_path)
    path = folder / name
    content = path.read_bytes()
    if damage == "removed":
        path.unlink()
    elif damage == "emptied":
        path.write_bytes(b"")
    elif damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    else:
        path.write_bytes(b"\x55" * len(content))
    if (name, damage) == ("node.json", "removed"):
        # It is made again from the database, which is whole.
        async with EmbeddedNode(folder):
            assert path.exists()
        return
    with pytest.raises(InputError, match=r"damage|another key") as caught:
        EmbeddedNode(folder)
    assert caught.value.hint


async def test_a_database_cut_anywhere_is_no_answer(tmp_path: Path) -> None:
    """Whatever is missing at its end, a node opens with all of it, or not at all."""
    folder = tmp_path / "node"
    context = await filled(folder, tmp_path)
    path = folder / "node.sqlite"
    content = path.read_bytes()
    for kept in range(0, len(content), max(4096, len(content) // 40)):
        path.write_bytes(content[:kept])
        with pytest.raises(InputError, match="damaged"):
            EmbeddedNode(folder)
    path.write_bytes(content)
    async with EmbeddedNode(folder) as node:
        assert await node.execute(context, "has", {"id": f"{MARKER}7"}) == 3


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE entries SET value = (SELECT value FROM entries AS o WHERE o.key != entries.key LIMIT 1)",
        "UPDATE entries SET private = 1 - private, key = key || x'00'",
        "UPDATE entries SET value = substr(value, 1, length(value) - 1)",
        "UPDATE contexts SET position = zeroblob(120)",
        "UPDATE deltas SET number = number + 100",
        "UPDATE events SET value = zeroblob(10)",
        "UPDATE applications SET bundle = zeroblob(1000)",
    ],
)
async def test_altered_or_exchanged_values_are_noticed(tmp_path: Path, change: str) -> None:
    folder = tmp_path / "node"
    context = await filled(folder, tmp_path)
    with closing(sqlite3.connect(folder / "node.sqlite")) as connection, connection:
        assert connection.execute(change).rowcount

    async def use() -> None:
        async with EmbeddedNode(folder) as node:
            assert await node.execute(context, "has", {"id": f"{MARKER}3"}) == 3
            await node.deltas(context)
            async for event in node.events(context, after=0):
                assert event.kind
                break

    with pytest.raises((MedSyncError, AssertionError)):
        await use()


async def test_what_was_removed_is_gone_after_compaction(tmp_path: Path) -> None:
    folder = tmp_path / "node"
    context = await filled(folder, tmp_path)
    async with EmbeddedNode(folder) as node:
        await node.execute(context, "forget", {"id": f"{MARKER}7"})
        assert await node.compact()
        assert await node.execute(context, "has", {"id": f"{MARKER}7"}) == 2
        assert await node.execute(context, "has", {"id": f"{MARKER}6"}) == 3
