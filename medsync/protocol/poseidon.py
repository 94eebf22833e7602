"""Starknet's Poseidon hash: of felts, of a log's chained entries, and up a Merkle path.

Two implementations give the same answers. poseidon-py runs one permutation per call. `poseidon.wat` is a
WebAssembly module for wasmtime that runs as many as are wanted in one call, each about 20 times faster; but
loading it takes as long as poseidon-py takes for a thousand permutations. So a process begins with
poseidon-py, and loads the module when it has enough to hash. Where the module cannot be loaded, poseidon-py
does everything: the module needs a wasmtime that supports the wide-arithmetic proposal.

`scripts/poseidon.py` writes the module and explains it. Sources: the parameters "poseidon3" of
https://github.com/starkware-industries/poseidon; Starknet documentation, "Hash functions", for the padding.
"""

from __future__ import annotations

import atexit
import logging
import struct
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from poseidon_py.poseidon_hash import poseidon_hash_many, poseidon_perm

from medsync.protocol.felt import PRIME, check_felt

_log: Final = logging.getLogger(__name__)

#: The module's text.
WAT: Final = Path(__file__).with_suffix(".wat")

#: From this many permutations on, done or to do, loading the module is worth its while: it takes about 60 ms
#: with wasmtime's import, and poseidon-py about 70 microseconds for each.
_WORTH_LOADING: Final = 900

#: The felts that one call of the module takes: an even number, and its memory of 1 MiB has room for four
#: times as many.
_MOST_FELTS: Final = 8_192


class PathStep(NamedTuple):
    """One permutation on a path: what a value is hashed with."""

    #: The other of the two elements.
    felt: int
    #: Whether the other one comes first.
    first: bool
    #: The permutation's third element: 0, 1 or 2.
    third: int


def hash_felts(felts: Sequence[int]) -> int:
    """The hash of any number of felts, as Cairo's `poseidon_hash_span`.

    Raises `InvalidValue` if one of them is not a felt, naming its position.
    """
    _check(felts)
    return _CHOICE.engine(_permutations(len(felts))).hash(felts)


def hash_chain(
    prefix: Sequence[int], previous: int, entries: Iterable[Sequence[int]], bits: int
) -> list[int]:
    """The digest of each entry of a chain: the lowest `bits` of the hash of prefix, digest before, and entry.

    `previous` is the digest before the first entry. The prefix is hashed once. Raises `InvalidValue` if
    something is not a felt, naming its position in prefix, digest before, and entry.

    >>> hash_chain([1, 2], 0, [[3], [4, 5]], 8)
    [118, 85]
    """
    digests: list[int] = []
    _check([*prefix, previous])
    for engine, batch in _batches(len(prefix) + 1, entries):
        digests += engine.chain(prefix, digests[-1] if digests else previous, batch, bits)
    return digests


def hash_each(prefix: Sequence[int], entries: Iterable[Sequence[int]], bits: int) -> list[int]:
    """The lowest `bits` of the hash of prefix and entry, for each entry. The prefix is hashed once.

    Raises `InvalidValue` if something is not a felt, naming its position in prefix and entry.
    """
    digests: list[int] = []
    _check(prefix)
    for engine, batch in _batches(len(prefix), entries):
        digests += engine.chain(prefix, None, batch, bits)
    return digests


def hash_path(start: int, steps: Sequence[PathStep]) -> int:
    """The hash at the end of a path: each step permutes the hash so far, a felt and a third element.

    Raises `InvalidValue` if `start` (position 0) or the felt of a step (from 1 on) is not a felt.
    """
    _check([start, *(step.felt for step in steps)])
    for first in range(0, len(steps), _MOST_FELTS):
        part = steps[first : first + _MOST_FELTS]
        start = _CHOICE.engine(len(part)).path(start, part)
    return start


def _check(felts: Sequence[int], position: int = 0) -> None:
    for index, felt in enumerate(felts, position):
        # The common case without a call.
        if type(felt) is not int or not 0 <= felt < PRIME:
            check_felt(felt, f"felt {index} of a Poseidon hash")


def _permutations(felts: int) -> int:
    return felts // 2 + 1


def _batches(
    position: int, entries: Iterable[Sequence[int]]
) -> Iterator[tuple[_Engine, list[Sequence[int]]]]:
    """Checked entries, as many at a time as one call takes, and what hashes them.

    `position` is that of an entry's first felt in what is hashed.
    """
    batch: list[Sequence[int]] = []
    felts = 0
    for entry in entries:
        _check(entry, position)
        # The digest before it, and what is left of the prefix, are two more.
        if felts + len(entry) + 2 > _MOST_FELTS and batch:
            yield _engine_for(position, batch), batch
            batch, felts = [], 0
        batch.append(entry)
        felts += len(entry) + 2
    if batch:
        yield _engine_for(position, batch), batch


def _engine_for(position: int, batch: Sequence[Sequence[int]]) -> _Engine:
    return _CHOICE.engine(sum(_permutations(position + len(entry)) for entry in batch))


class _Engine(Protocol):
    """An implementation. What it is given are felts."""

    def hash(self, felts: Sequence[int]) -> int: ...

    def chain(
        self, prefix: Sequence[int], previous: int | None, entries: Sequence[Sequence[int]], bits: int
    ) -> list[int]: ...

    def path(self, start: int, steps: Sequence[PathStep]) -> int: ...


class _PoseidonPy:
    """poseidon-py."""

    def hash(self, felts: Sequence[int]) -> int:
        return int(poseidon_hash_many(felts))

    def chain(
        self, prefix: Sequence[int], previous: int | None, entries: Sequence[Sequence[int]], bits: int
    ) -> list[int]:
        digests = []
        mask = (1 << bits) - 1
        for entry in entries:
            digest = self.hash([*prefix, *entry] if previous is None else [*prefix, previous, *entry]) & mask
            digests.append(digest)
            previous = None if previous is None else digest
        return digests

    def path(self, start: int, steps: Sequence[PathStep]) -> int:
        for felt, first, third in steps:
            start = int(poseidon_perm(*((felt, start) if first else (start, felt)), third)[0])
        return start


class _Module:
    """The WebAssembly module, in an instance of its own. Threads take turns.

    Nothing is left in its memory between calls: what is hashed may be a salt.
    """

    # Where the module has things, see its generator; a caller's are from `_BUFFER` on.
    _DIGEST: Final = 192
    _MASK: Final = 224
    _CONSTANTS: Final = 256
    _BUFFER: Final = 4096
    _MEMORY: Final = 1 << 20

    def __init__(self) -> None:
        """Compile it. Raises an exception of wasmtime's, or another, where it cannot be run."""
        import wasmtime

        config = wasmtime.Config()
        config.wasm_wide_arithmetic = True
        # No more address space than the memory takes: by default 4 GiB are reserved, which may be forbidden.
        config.memory_reservation = self._MEMORY
        config.memory_reservation_for_growth = config.memory_guard_size = 0
        engine = wasmtime.Engine(config)
        self._store = wasmtime.Store(engine)
        module = wasmtime.Module(engine, WAT.read_text())
        exports: Any = wasmtime.Instance(self._store, module, []).exports(self._store)
        self._functions = {name: exports[name] for name in ("hash", "chain", "path")}
        # The memory has a fixed size, so it stays where it is until the store is closed.
        self._memory = memoryview(exports["memory"].get_buffer_ptr(self._store)).cast("B")
        self._open: Final = (self._store, module, engine)
        self._turn = threading.Lock()
        # Where the next thing is put, and how far the memory was written.
        self._end = self._written = self._BUFFER

    def hash(self, felts: Sequence[int]) -> int:
        with self._turn, self._wiped():
            for start in range(0, max(len(felts), 1), _MOST_FELTS):
                part = felts[start : start + _MOST_FELTS]
                self._end = self._BUFFER
                place, last = self._put(_packed(part)), start + _MOST_FELTS >= len(felts)
                self._call("hash", place, len(part), start == 0, last)
            return self._digest()

    def chain(
        self, prefix: Sequence[int], previous: int | None, entries: Sequence[Sequence[int]], bits: int
    ) -> list[int]:
        # The prefix is hashed by pairs; one left over begins each entry, and then comes the digest before.
        even = len(prefix) // 2 * 2
        head = _packed(prefix[even:])
        slot = -1 if previous is None else len(head)
        head += b"" if previous is None else bytes(32)
        counts = [len(head) // 32 + len(entry) for entry in entries]
        if len(prefix) + sum(counts) > 2 * _MOST_FELTS:
            return _POSEIDON_PY.chain(prefix, previous, entries, bits)
        with self._turn, self._wiped():
            self._memory[self._DIGEST : self._MASK] = (previous or 0).to_bytes(32, "little")
            self._memory[self._MASK : self._CONSTANTS] = ((1 << bits) - 1).to_bytes(32, "little")
            prefix_place = self._put(_packed(prefix[:even]))
            counts_place = self._put(struct.pack(f"<{len(counts)}I", *counts))
            felts_place = self._put(b"".join([head + _packed(entry) for entry in entries]))
            digests = self._put(bytes(32 * len(entries)))
            places = prefix_place, even, counts_place, felts_place, slot, digests
            self._call("chain", *places, len(entries))
            found = bytes(self._memory[digests : digests + 32 * len(entries)])
        return [int.from_bytes(found[at : at + 32], "little") for at in range(0, len(found), 32)]

    def path(self, start: int, steps: Sequence[PathStep]) -> int:
        kinds = [step.third << 1 | step.first for step in steps]
        with self._turn, self._wiped():
            self._memory[self._DIGEST : self._MASK] = start.to_bytes(32, "little")
            place = self._put(struct.pack(f"<{len(kinds)}I", *kinds))
            self._call("path", place, self._put(_packed([step.felt for step in steps])), len(steps))
            return self._digest()

    def close(self) -> None:
        """Give back what wasmtime holds: at the interpreter's exit its own clean-up comes too late."""
        with self._turn:
            self._memory = memoryview(bytearray())
            for part in self._open:
                part.close()

    def _call(self, name: str, *arguments: int) -> None:
        self._functions[name](self._store, *arguments)

    def _put(self, content: bytes) -> int:
        """Put something into the buffer, and return where it is. Raises ValueError if there is no room."""
        place, self._end = self._end, self._end + len(content)
        self._written = max(self._written, self._end)
        self._memory[place : self._end] = content
        return place

    def _digest(self) -> int:
        return int.from_bytes(self._memory[self._DIGEST : self._MASK], "little")

    @contextmanager
    def _wiped(self) -> Iterator[None]:
        try:
            yield
        finally:
            self._memory[: self._CONSTANTS] = bytes(self._CONSTANTS)
            self._memory[self._BUFFER : self._written] = bytes(self._written - self._BUFFER)
            self._end = self._written = self._BUFFER


def _packed(felts: Sequence[int]) -> bytes:
    return b"".join([felt.to_bytes(32, "little") for felt in felts])


_POSEIDON_PY: Final = _PoseidonPy()


class _Choice:
    """Which implementation is used: poseidon-py until it has done so much that loading the module pays."""

    def __init__(self) -> None:
        self._deciding = threading.Lock()
        self._done = 0
        self._chosen: _Engine | None = None

    def engine(self, permutations: int) -> _Engine:
        """The one that is to do so many permutations."""
        if self._chosen is None:
            with self._deciding:
                self._done += permutations
                if self._done < _WORTH_LOADING:
                    return _POSEIDON_PY
                self._chosen = self._chosen or self._loaded()
        return self._chosen

    def _loaded(self) -> _Engine:
        """The module, or poseidon-py where the module does not run or does not answer as it should."""
        sample: Final = ((0, 1, PRIME - 1), 2**192 - 1, ([2**64, 2**251 - 1], [PRIME - 2]), 219)
        try:
            module = _Module()
            atexit.register(self._retire, module)
            if module.chain(*sample) == _POSEIDON_PY.chain(*sample):
                return module
            reason = "it gives wrong hashes on this machine"
        except Exception as error:
            reason = str(error)
        _log.info(
            "poseidon-py computes Poseidon hashes, because the faster module cannot be used: %s", reason
        )
        return _POSEIDON_PY

    @contextmanager
    def by_poseidon_py(self) -> Iterator[None]:
        """Until the end of the context poseidon-py hashes everything: to compare with it."""
        before, self._chosen = self._chosen, _POSEIDON_PY
        try:
            yield
        finally:
            self._chosen = before

    def _retire(self, module: _Module) -> None:
        self._chosen = _POSEIDON_PY
        module.close()


_CHOICE: Final = _Choice()

by_poseidon_py: Final = _CHOICE.by_poseidon_py
