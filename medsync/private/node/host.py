"""An in-process host for Calimero applications: runs one method of their WebAssembly on given storage.

It offers the host functions of calimero-sys 0.11.0-rc.4 that an application on a single node needs, with the
meaning and the limits they have in calimero-runtime of that version. What needs a network (`fetch`, blobs,
calls into other contexts) is absent, and an application that imports it is not accepted.

The guest is not trusted: fuel, memory, table, stack, and all it hands out are bounded, and it reaches nothing
but what is here.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import wasmtime
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from medsync.errors import InputError
from medsync.private.node.interface import ApplicationError, ExecutionFailed, Failure

MIB: Final = 1 << 20

#: Reads a stored value: (private, key) to the value or None.
Reader = Callable[[bool, bytes], bytes | None]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one execution may use; sizes in bytes. Most are calimero-runtime's own."""

    #: About as many WebAssembly instructions. Extrapolated to 10,000 records, writing one takes a fortieth of
    #: it, listing 500 a twentieth.
    fuel: int = 20_000_000_000
    memory: int = 64 * MIB
    table_elements: int = 10_000
    #: The guest's native stack.
    stack: int = MIB // 2
    module: int = 20 * MIB
    key: int = MIB
    value: int = 10 * MIB
    #: All that is written, together.
    written: int = 64 * MIB
    registers: int = 100
    logs: int = 1024
    events: int = 100
    event_kind: int = 100
    event_data: int = 16 * 1024


DEFAULT_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a method."""

    method: str
    #: JSON.
    arguments: bytes = field(repr=False)
    #: 32 bytes.
    context: bytes
    #: The member who calls: 32 bytes.
    executor: bytes
    #: Unix nanoseconds.
    time: int


@dataclass(frozen=True, slots=True)
class Commit:
    """What an execution asks to be kept."""

    #: Root of the replicated state: 32 bytes.
    root: bytes
    #: What the other members would be sent.
    delta: bytes = field(repr=False)
    #: (private, key) to the new value, or None where it is removed.
    writes: dict[tuple[bool, bytes], bytes | None] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an execution returned."""

    #: JSON; None where the method returns nothing.
    output: bytes | None = field(repr=False)
    #: None where the guest did not commit: then nothing it wrote is kept, private or not.
    commit: Commit | None
    #: Kind and JSON of each event.
    events: list[tuple[str, bytes]] = field(repr=False)


class Program:
    """A compiled application, which any number of contexts may run."""

    def __init__(self, wasm: bytes, limits: Limits = DEFAULT_LIMITS) -> None:
        """Compile it. Raises InputError for what is no application that this host can run."""
        if len(wasm) > limits.module:
            raise InputError(f"The application has more than {limits.module} bytes.")
        self._limits = limits
        self._engine, self._module = _compiled(wasm, limits.stack)
        self._imports = _imports(self._module)
        self._methods = {
            item.name
            for item in self._module.exports
            if isinstance(item.type, wasmtime.FuncType) and not item.type.params and not item.type.results
        }

    def run(self, call: Call, read: Reader) -> Outcome:
        """Run a method; what it wrote is returned, not stored.

        Raises ApplicationError if the method returned an error, ExecutionFailed if it did not return.
        """
        if call.method not in self._methods:
            raise ExecutionFailed(Failure.UNKNOWN_METHOD)
        # Wasmtime's Python binding hands exceptions from callbacks over in a global variable.
        with _ONE_AT_A_TIME, wasmtime.Store(self._engine) as store:
            store.set_fuel(self._limits.fuel)
            store.set_limits(self._limits.memory, self._limits.table_elements, 1, 1, 1)
            guest = _Guest(store, call, read, self._limits)
            try:
                guest.run(self._engine, self._module, self._imports)
            except wasmtime.Trap as trap:
                out_of = {wasmtime.TrapCode.OUT_OF_FUEL, wasmtime.TrapCode.STACK_OVERFLOW}
                failure = Failure.LIMIT if trap.trap_code in out_of else Failure.TRAP
                raise ExecutionFailed(failure) from None
            except wasmtime.WasmtimeError:
                raise ExecutionFailed(Failure.LIMIT) from None
        return guest.outcome()


_ONE_AT_A_TIME: Final = threading.Lock()

#: What the SDK generates to say how states are merged; its storage wants it before it writes.
_REGISTER_MERGE: Final = "__calimero_register_merge"


@lru_cache(maxsize=4)
def _compiled(wasm: bytes, stack: int) -> tuple[wasmtime.Engine, wasmtime.Module]:
    # Kept in memory only: machine code in a file would have to be trusted like this program itself.
    config = wasmtime.Config()
    config.consume_fuel = True
    config.max_wasm_stack = stack
    config.wasm_threads = False
    config.wasm_memory64 = False
    engine = wasmtime.Engine(config)
    try:
        return engine, wasmtime.Module(engine, wasm)
    except wasmtime.WasmtimeError:
        digest = hashlib.sha256(wasm).hexdigest()
        raise InputError(f"The application with SHA-256 {digest} is no valid WebAssembly.") from None


def _imports(module: wasmtime.Module) -> dict[str, wasmtime.FuncType]:
    """The host functions a module imports. Raises InputError for anything else, and for other types."""
    found: dict[str, wasmtime.FuncType] = {}
    for item in module.imports:
        name, kind = item.name or "", item.type
        if item.module != "env" or not isinstance(kind, wasmtime.FuncType) or name not in _HOST_FUNCTIONS:
            raise InputError(
                f"The application needs {item.module}.{name}, which this in-process host lacks.",
                hint="Run it on a real Calimero node.",
            )
        count, result = _HOST_FUNCTIONS[name]
        taken, returned = [str(one) for one in kind.params], [str(one) for one in kind.results]
        if taken != ["i64"] * count or returned != ([] if result is None else [result]):
            raise InputError(f"The application takes the host function {name} for another one.")
        found[name] = kind
    return found


class _Guest:
    """One execution. The methods in `_HOST_FUNCTIONS` are those, named as the guest imports them.

    What the guest passes is the address of a descriptor; a buffer's is its address and length, two u64.
    """

    def __init__(self, store: wasmtime.Store, call: Call, read: Reader, limits: Limits) -> None:
        self._store, self._call, self._stored, self._limits = store, call, read, limits
        self._memory: wasmtime.Memory
        self._registers: dict[int, bytes] = {}
        self._writes: dict[tuple[bool, bytes], bytes | None] = {}
        self._written = self._logged = 0
        self._events: list[tuple[str, bytes]] = []
        self._returned: tuple[bool, bytes] | None = None
        self._committed: tuple[bytes, bytes] | None = None

    def run(
        self, engine: wasmtime.Engine, module: wasmtime.Module, imports: dict[str, wasmtime.FuncType]
    ) -> None:
        """Instantiate the module and call the method."""
        linker = wasmtime.Linker(engine)
        for name, kind in imports.items():
            linker.define_func("env", name, kind, getattr(self, name))
        exports = linker.instantiate(self._store, module).exports(self._store)
        memory, method = exports.get("memory"), exports.get(self._call.method)
        if not isinstance(memory, wasmtime.Memory) or not isinstance(method, wasmtime.Func):
            raise ExecutionFailed(Failure.TRAP)
        self._memory = memory
        register = exports.get(_REGISTER_MERGE)
        if isinstance(register, wasmtime.Func):
            register(self._store)
        method(self._store)

    def outcome(self) -> Outcome:
        """What it came to, once it ran to its end."""
        succeeded, output = self._returned or (True, None)
        if not succeeded:
            raise ApplicationError.of(output or b"", self._call.method)
        commit = None
        if self._committed is not None:
            root, delta = self._committed
            if not delta:
                raise ExecutionFailed(Failure.INCONSISTENT)
            commit = Commit(root, delta, self._writes)
        return Outcome(output, commit, self._events)

    # --- the end of an execution

    def panic(self, location: int) -> None:
        raise ExecutionFailed(Failure.PANIC)

    def panic_utf8(self, message: int, location: int) -> None:
        # The message may quote arguments: it is not even read.
        raise ExecutionFailed(Failure.PANIC)

    def value_return(self, value: int) -> None:
        # An enum: 0 for a result, 1 for an error, and then the buffer.
        self._returned = self._u64(value) == 0, self._buffer(value + 8)

    def commit(self, root: int, delta: int) -> None:
        hashed = self._buffer(root)
        if len(hashed) != 32 or self._committed is not None:
            raise ExecutionFailed(Failure.TRAP)
        self._committed = hashed, self._buffer(delta)

    # --- registers: where the host puts what the guest then fetches

    def register_len(self, register: int) -> int:
        return len(self._registers[register]) if register in self._registers else -1

    def read_register(self, register: int, target: int) -> int:
        if register not in self._registers:
            raise ExecutionFailed(Failure.TRAP)
        value = self._registers[register]
        address, length = self._u64(target), self._u64(target + 8)
        if length != len(value):
            return 0
        self._fill(address, value)
        return 1

    def input(self, register: int) -> None:
        self._set(register, self._call.arguments)

    def context_id(self, register: int) -> None:
        self._set(register, self._call.context)

    def executor_id(self, register: int) -> None:
        self._set(register, self._call.executor)

    # --- storage

    def storage_read(self, key: int, register: int) -> int:
        return self._read(False, key, register)

    def storage_write(self, key: int, value: int, register: int) -> int:
        return self._write(False, key, self._bounded(value, self._limits.value), register)

    def storage_remove(self, key: int, register: int) -> int:
        return self._write(False, key, None, register)

    def private_storage_read(self, key: int, register: int) -> int:
        return self._read(True, key, register)

    def private_storage_write(self, key: int, value: int) -> int:
        # Unlike its replicated sibling it tells that it succeeded, not that there was a value.
        self._write(True, key, self._bounded(value, self._limits.value), None)
        return 1

    def private_storage_remove(self, key: int, register: int) -> int:
        return self._write(True, key, None, register)

    # --- what else there is

    def emit(self, event: int) -> None:
        kind = self._bounded(event, self._limits.event_kind)
        data = self._bounded(event + 16, self._limits.event_data)
        if len(self._events) >= self._limits.events:
            raise ExecutionFailed(Failure.LIMIT)
        try:
            self._events.append((kind.decode(), data))
        except UnicodeDecodeError:
            raise ExecutionFailed(Failure.TRAP) from None

    def log_utf8(self, message: int) -> None:
        # Logs may quote arguments: they are counted, and dropped.
        self._logged += 1
        if self._logged > self._limits.logs:
            raise ExecutionFailed(Failure.LIMIT)

    def random_bytes(self, target: int) -> None:
        address, length = self._u64(target), self._u64(target + 8)
        self._check(address, length)
        self._fill(address, os.urandom(length))

    def time_now(self, target: int) -> None:
        address, length = self._u64(target), self._u64(target + 8)
        if length != 8:
            raise ExecutionFailed(Failure.TRAP)
        self._fill(address, self._call.time.to_bytes(8, "little"))

    def ed25519_verify(self, signature: int, public_key: int, message: int) -> int:
        signed, key = self._buffer(signature), self._buffer(public_key)
        if len(signed) != 64 or len(key) != 32 or not _is_point(key):
            raise ExecutionFailed(Failure.TRAP)
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(signed, self._buffer(message))
        except InvalidSignature:
            return 0
        return 1

    # --- memory and storage behind them

    def _check(self, address: int, length: int) -> None:
        if address + length > self._memory.data_len(self._store):
            raise ExecutionFailed(Failure.TRAP)

    def _bytes(self, address: int, length: int) -> bytes:
        self._check(address, length)
        base = ctypes.addressof(self._memory.data_ptr(self._store).contents)
        return ctypes.string_at(base + address, length)

    def _fill(self, address: int, value: bytes) -> None:
        self._check(address, len(value))
        base = ctypes.addressof(self._memory.data_ptr(self._store).contents)
        ctypes.memmove(base + address, value, len(value))

    def _u64(self, address: int) -> int:
        # The binding gives i64 as a signed number.
        return int.from_bytes(self._bytes(address & _U64, 8), "little")

    def _buffer(self, descriptor: int) -> bytes:
        return self._bytes(self._u64(descriptor), self._u64(descriptor + 8))

    def _bounded(self, descriptor: int, most: int) -> bytes:
        if self._u64(descriptor + 8) > most:
            raise ExecutionFailed(Failure.LIMIT)
        return self._buffer(descriptor)

    def _set(self, register: int, value: bytes) -> None:
        if register not in self._registers and len(self._registers) >= self._limits.registers:
            raise ExecutionFailed(Failure.LIMIT)
        self._registers[register] = value

    def _value(self, private: bool, key: bytes) -> bytes | None:
        if (private, key) in self._writes:
            return self._writes[private, key]
        return self._stored(private, key)

    def _read(self, private: bool, key: int, register: int) -> int:
        value = self._value(private, self._bounded(key, self._limits.key))
        if value is None:
            return 0
        self._set(register, value)
        return 1

    def _write(self, private: bool, key: int, value: bytes | None, register: int | None) -> int:
        name = self._bounded(key, self._limits.key)
        before = None if register is None else self._value(private, name)
        self._written += len(name) + len(value or b"")
        if self._written > self._limits.written:
            raise ExecutionFailed(Failure.LIMIT)
        self._writes[private, name] = value
        if register is None or before is None:
            return 0
        self._set(register, before)
        return 1


_U64: Final = 2**64 - 1
#: What each host function takes (i64 all of it), and returns.
_HOST_FUNCTIONS: Final[dict[str, tuple[int, str | None]]] = {
    "panic": (1, None),
    "panic_utf8": (2, None),
    "value_return": (1, None),
    "commit": (2, None),
    "register_len": (1, "i64"),
    "read_register": (2, "i32"),
    "input": (1, None),
    "context_id": (1, None),
    "executor_id": (1, None),
    "storage_read": (2, "i32"),
    "storage_write": (3, "i32"),
    "storage_remove": (2, "i32"),
    "private_storage_read": (2, "i32"),
    "private_storage_write": (2, "i32"),
    "private_storage_remove": (2, "i32"),
    "emit": (1, None),
    "log_utf8": (1, None),
    "random_bytes": (1, None),
    "time_now": (1, None),
    "ed25519_verify": (3, "i32"),
}


def _is_point(key: bytes) -> bool:
    """Whether the bytes are an ed25519 public key: a real node stops the guest for any other."""
    p = 2**255 - 19
    y = int.from_bytes(key, "little") % 2**255
    d = -121665 * pow(121666, -1, p)
    x2 = (y * y - 1) * pow(d * y * y + 1, -1, p) % p
    return x2 == 0 or pow(x2, (p - 1) // 2, p) == 1
