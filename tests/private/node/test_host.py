"""The in-process host: what a guest may do, what stops it, and that nothing of a stopped one is kept."""

import dataclasses
import json
import time
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest
import wasmtime
from hypothesis import example, given
from hypothesis import strategies as st

from medsync.errors import InputError, VerificationError
from medsync.private.node.bundle import pack
from medsync.private.node.embedded import EmbeddedNode
from medsync.private.node.host import DEFAULT_LIMITS, Call, Outcome, Program, _is_point
from medsync.private.node.interface import (
    ApplicationError,
    ClaimRequest,
    ExecutionFailed,
    Failure,
    verify_claim,
)
from medsync.protocol.anchor import NodeKind
from tests.private.node.guest import SIGNER, guest, guest_bundle

LIMITS = dataclasses.replace(DEFAULT_LIMITS, fuel=50_000_000)
CONTEXT, MEMBER = b"\x01" * 32, b"\x02" * 32


def run(method: str, arguments: bytes = b'{"id":"x"}', limits: Any = LIMITS) -> Outcome:
    call = Call(method, arguments, CONTEXT, MEMBER, time.time_ns())
    return Program(guest(), limits).run(call, lambda private, key: None)


def test_a_call_returns_what_is_to_be_kept() -> None:
    outcome = run("put")
    assert outcome.output == b'{"id":"x"}'
    assert outcome.events == [("Put", b'{"id":"x"}')]
    assert outcome.commit is not None
    assert outcome.commit.root == bytes(32)
    assert outcome.commit.delta == b'{"id":"x"}'
    stored = b'{"id":"x"}'
    assert outcome.commit.writes == {(False, stored): stored, (True, stored): stored}


@pytest.mark.parametrize(
    ("method", "failure"),
    [
        ("panic", Failure.PANIC),
        ("trap", Failure.TRAP),
        ("spin", Failure.LIMIT),
        ("recurse", Failure.LIMIT),
        ("grow", Failure.PANIC),
        ("grow_table", Failure.PANIC),
        ("write_for_ever", Failure.LIMIT),
        ("emit_for_ever", Failure.LIMIT),
        ("log_for_ever", Failure.LIMIT),
        ("registers", Failure.LIMIT),
        ("out_of_bounds", Failure.TRAP),
        ("negative", Failure.TRAP),
        ("huge_length", Failure.LIMIT),
        ("commit_twice", Failure.TRAP),
        ("without_delta", Failure.INCONSISTENT),
        ("no_such_method", Failure.UNKNOWN_METHOD),
        ("takes_a_parameter", Failure.UNKNOWN_METHOD),
        ("memory", Failure.UNKNOWN_METHOD),
    ],
)
def test_a_guest_that_goes_wrong_is_stopped(method: str, failure: Failure) -> None:
    with pytest.raises(ExecutionFailed) as caught:
        run(method)
    assert caught.value.failure is failure


@pytest.mark.parametrize(
    "limit", [{"value": 9}, {"key": 9}, {"events": 0}, {"event_kind": 2}, {"event_data": 9}, {"written": 30}]
)
def test_every_limit_holds(limit: dict[str, int]) -> None:
    with pytest.raises(ExecutionFailed) as caught:
        run("put", limits=dataclasses.replace(LIMITS, **limit))
    assert caught.value.failure is Failure.LIMIT


def test_memory_is_limited_from_the_start() -> None:
    with pytest.raises(ExecutionFailed):
        run("put", limits=dataclasses.replace(LIMITS, memory=1000))


@pytest.mark.parametrize(
    ("returned", "code"),
    [
        (b'"EXISTS"', "EXISTS"),
        (b'"patient Jane"', "APPLICATION"),
        (b"{", "APPLICATION"),
        (b"[1]", "APPLICATION"),
    ],
)
def test_an_error_is_its_code_and_nothing_else(returned: bytes, code: str) -> None:
    with pytest.raises(ApplicationError) as caught:
        run("refuse", returned)
    assert caught.value.code == code
    assert "Jane" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('(module (import "env" "xcall" (func (param i64))))', "needs env.xcall"),
        (
            '(module (import "wasi_snapshot_preview1" "fd_write" (func)))',
            "needs wasi_snapshot_preview1.fd_write",
        ),
        ('(module (import "env" "memory" (memory 1)))', "needs env.memory"),
        ('(module (import "env" "input" (func (param i32))))', "takes the host function input"),
        ('(module (import "env" "commit" (func (param i64 i64) (result i32))))', "host function commit"),
    ],
)
def test_an_application_that_needs_more_is_not_accepted(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Program(bytes(wasmtime.wat2wasm(text)))


def test_what_is_no_module_is_not_accepted() -> None:
    for content in (b"", b"\0asm", guest()[:-1], b"#!/bin/sh"):
        with pytest.raises(InputError, match="is not valid WebAssembly"):
            Program(content)
    with pytest.raises(InputError, match="more than 10 bytes"):
        Program(guest(), dataclasses.replace(LIMITS, module=10))


def test_only_points_are_keys() -> None:
    assert _is_point(SIGNER.public_key().public_bytes_raw())
    assert _is_point(bytes(32))
    assert not _is_point(b"\x02" + bytes(31))


async def test_nothing_of_a_failed_call_is_kept(tmp_path: Path) -> None:
    async with EmbeddedNode(tmp_path / "node", limits=LIMITS) as node:
        application = await node.install(guest_bundle(tmp_path))
        context = (await node.create_context(application, {})).id
        before = await node.state(context)

        async def stored(name: str) -> int:
            return int(await node.execute(context, "has", {"id": name}))

        for method, error in (
            ("refuse", ApplicationError),
            ("panic", ExecutionFailed),
            ("trap", ExecutionFailed),
            ("without_delta", ExecutionFailed),
            ("commit_twice", ExecutionFailed),
        ):
            with pytest.raises(error):
                await node.execute(context, method, {"id": method})
            assert await stored(method) == 0, method
        # As on a real node: what was not committed is lost, and it is no error.
        assert await node.execute(context, "without_commit", {"id": "lost"}) is None
        assert await stored("lost") == 0
        assert await node.state(context) == before
        assert await node.execute(context, "put", {"id": "kept"}) == {"id": "kept"}
        assert await stored("kept") == 3
        assert await node.execute(context, "forget", {"id": "kept"}) is None
        assert await stored("kept") == 2
        assert (await node.state(context)).heads != before.heads


async def test_it_says_what_it_is(tmp_path: Path) -> None:
    async with EmbeddedNode(tmp_path / "node") as node:
        health = await node.health()
    assert health.kind is NodeKind.EMBEDDED
    assert health.description == "in-process host for Calimero applications"


@pytest.mark.parametrize(("ahead", "said"), [(-400, "has expired"), (0, ""), (100, "in the future")])
async def test_a_claim_tells_the_nodes_own_time(tmp_path: Path, ahead: int, said: str) -> None:
    async with EmbeddedNode(tmp_path / "node", clock=lambda: time.time_ns() + ahead * 10**9) as node:
        context = await node.create_context(await node.install(guest_bundle(tmp_path)), {})
        request = ClaimRequest("audience", "subject", "ab" * 16)
        claim = await node.attest(context, request)
    with pytest.raises(VerificationError, match=said) if said else nullcontext():
        verify_claim(claim, kind=node.kind, context=context, request=request)


async def test_events_are_kept_for_a_reader_who_was_away(tmp_path: Path) -> None:
    async with EmbeddedNode(tmp_path / "node") as node:
        context = (await node.create_context(await node.install(guest_bundle(tmp_path)), {})).id
        for name in "abc":
            await node.execute(context, "put", {"id": name})
        found = []
        async for event in node.events(context, after=1):
            found.append((event.cursor, event.kind, event.data))
            if event.cursor == 3:
                break
        assert found == [(2, "Put", {"id": "b"}), (3, "Put", {"id": "c"})]
        for after in (4, 1000):
            async for event in node.events(context, after=after):
                assert (event.kind, event.cursor) == (None, 3), "a cursor of the future was believed"
                break


async def test_deltas_and_events_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medsync.private.node.store.KEPT_DELTAS", 3)
    monkeypatch.setattr("medsync.private.node.store.KEPT_EVENTS", 2)
    async with EmbeddedNode(tmp_path / "node") as node:
        context = (await node.create_context(await node.install(guest_bundle(tmp_path)), {})).id
        for name in "abcde":
            await node.execute(context, "put", {"id": name})
        assert await node.deltas(context) == [
            json.dumps({"id": name}).replace(" ", "").encode() for name in "cde"
        ]
        kinds = []
        async for event in node.events(context, after=1):
            kinds.append(event.kind)
            break
        assert kinds == [None], "a gap was not told of"


async def test_a_tampered_bundle_is_not_installed(tmp_path: Path) -> None:
    good = pack(guest(), package="org.medsync.test", version="1", key=SIGNER)
    path = tmp_path / "bad.mpk"
    async with EmbeddedNode(tmp_path / "node") as node:
        for content in (good[:-10], b"", guest(), good[:20] + b"\0" + good[21:]):
            path.write_bytes(content)
            with pytest.raises(InputError):
                await node.install(path)
        with pytest.raises(InputError, match="application is not installed"):
            await node.create_context("1" * 32, {})
        assert await node.contexts() == []


@given(st.integers(0, 2**64 - 1), st.binary(max_size=64))
@example(2**64 - 8, b"")
@example(1032, (2**64 - 1).to_bytes(8, "little") * 2)
@example(1032, (2**16).to_bytes(8, "little") + (2**17).to_bytes(8, "little"))
def test_no_address_reaches_beyond_the_guest(address: int, content: bytes) -> None:
    """Whatever descriptor a guest makes up, it is read within its memory, or it is stopped."""
    with suppress(ExecutionFailed):
        outcome = run("commit_anywhere", address.to_bytes(8, "little") + content)
        assert outcome.commit is not None
        assert len(outcome.commit.delta) <= 2**17
