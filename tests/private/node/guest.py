"""A small application in WebAssembly, for tests of what is around an application."""

from __future__ import annotations

import hashlib
from pathlib import Path

import wasmtime
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from medsync.private.node.bundle import pack

SIGNER = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"signs what tests install").digest())

# Descriptors of buffers are at 0 (the input), 16 (32 zeros: a root) and 32 (an event, whose kind is "Put").
_GUEST = """
(module
  (import "env" "input" (func $input (param i64)))
  (import "env" "register_len" (func $register_len (param i64) (result i64)))
  (import "env" "read_register" (func $read_register (param i64 i64) (result i32)))
  (import "env" "storage_write" (func $storage_write (param i64 i64 i64) (result i32)))
  (import "env" "storage_read" (func $storage_read (param i64 i64) (result i32)))
  (import "env" "storage_remove" (func $storage_remove (param i64 i64) (result i32)))
  (import "env" "private_storage_write" (func $private_storage_write (param i64 i64) (result i32)))
  (import "env" "private_storage_read" (func $private_storage_read (param i64 i64) (result i32)))
  (import "env" "commit" (func $commit (param i64 i64)))
  (import "env" "emit" (func $emit (param i64)))
  (import "env" "value_return" (func $value_return (param i64)))
  (import "env" "panic_utf8" (func $panic_utf8 (param i64 i64)))
  (import "env" "log_utf8" (func $log_utf8 (param i64)))
  (memory (export "memory") 2)
  (table 1 funcref)
  (global $zero (mut i64) (i64.const 0))
  (data (i32.const 16) "\\80\\00\\00\\00\\00\\00\\00\\00\\20\\00\\00\\00\\00\\00\\00\\00")
  (data (i32.const 32) "\\a0\\00\\00\\00\\00\\00\\00\\00\\03\\00\\00\\00\\00\\00\\00\\00")
  (data (i32.const 160) "Put")

  ;; Reads the input to 1024; its descriptor is at 0, and the event's data is it, too.
  (func $load
    (call $input (i64.const 7))
    (i64.store (i32.const 0) (i64.const 1024))
    (i64.store (i32.const 8) (call $register_len (i64.const 7)))
    (drop (call $read_register (i64.const 7) (i64.const 0)))
    (i64.store (i32.const 48) (i64.const 1024))
    (i64.store (i32.const 56) (i64.load (i32.const 8))))
  (func $store
    (call $load)
    (drop (call $storage_write (i64.const 0) (i64.const 0) (i64.const 7)))
    (drop (call $private_storage_write (i64.const 0) (i64.const 0))))
  ;; Returns the input, as a result or as an error.
  (func $answer (param $kind i64)
    (i64.store (i32.const 64) (local.get $kind))
    (i64.store (i32.const 72) (i64.const 1024))
    (i64.store (i32.const 80) (i64.load (i32.const 8)))
    (call $value_return (i64.const 64)))

  (func (export "init")
    (call $load)
    (call $commit (i64.const 16) (i64.const 0)))
  ;; Stores the input twice, shared and private, under itself.
  (func (export "put")
    (call $store)
    (call $emit (i64.const 32))
    (call $commit (i64.const 16) (i64.const 0))
    (call $answer (i64.const 0)))
  ;; Whether the input is stored: neither 0, shared 1, private 2, both 3; as a digit.
  (func (export "has")
    (call $load)
    (i32.store8 (i32.const 1024) (i32.add (i32.const 48) (i32.add
      (call $storage_read (i64.const 0) (i64.const 7))
      (i32.shl (call $private_storage_read (i64.const 0) (i64.const 7)) (i32.const 1)))))
    (i64.store (i32.const 8) (i64.const 1))
    (call $answer (i64.const 0)))
  (func (export "forget")
    (call $load)
    (drop (call $storage_remove (i64.const 0) (i64.const 7)))
    (call $commit (i64.const 16) (i64.const 0)))
  (func (export "without_commit") (call $store))
  (func (export "without_delta")
    (call $store)
    (i64.store (i32.const 8) (i64.const 0))
    (call $commit (i64.const 16) (i64.const 0)))
  (func (export "refuse")
    (call $store)
    (call $commit (i64.const 16) (i64.const 0))
    (call $answer (i64.const 1)))
  (func (export "panic")
    (call $store)
    (call $commit (i64.const 16) (i64.const 0))
    (call $panic_utf8 (i64.const 0) (i64.const 0)))
  (func (export "spin") (loop $again (br $again)))
  (func $recurse (export "recurse") (call $recurse))
  (func (export "trap") (call $store) (unreachable))
  (func (export "grow")
    (if (i32.eq (memory.grow (i32.const 2000)) (i32.const -1))
      (then (call $panic_utf8 (i64.const 0) (i64.const 0)))))
  (func (export "grow_table")
    (if (i32.eq (table.grow (ref.null func) (i32.const 100000)) (i32.const -1))
      (then (call $panic_utf8 (i64.const 0) (i64.const 0)))))
  (func (export "write_for_ever")
    (i64.store (i32.const 8) (i64.const 100000))
    (loop $again
      (i64.store (i32.const 0) (i64.const 1024))
      (drop (call $private_storage_write (i64.const 16) (i64.const 0)))
      (br $again)))
  (func (export "emit_for_ever") (call $load) (loop $again (call $emit (i64.const 32)) (br $again)))
  (func (export "log_for_ever") (call $load) (loop $again (call $log_utf8 (i64.const 0)) (br $again)))
  (func (export "registers")
    (local $register i64)
    (loop $again
      (call $input (local.get $register))
      (local.set $register (i64.add (local.get $register) (i64.const 1)))
      (br $again)))
  (func (export "out_of_bounds") (call $commit (i64.const 131070) (i64.const 0)))
  (func (export "negative") (call $commit (i64.const -8) (i64.const -1)))
  (func (export "huge_length")
    (i64.store (i32.const 8) (i64.const -1))
    (drop (call $storage_write (i64.const 16) (i64.const 0) (i64.const 7))))
  (func (export "commit_twice")
    (call $store)
    (call $commit (i64.const 16) (i64.const 0))
    (call $commit (i64.const 16) (i64.const 0)))
  ;; The first eight bytes of the input are the address of the delta's descriptor.
  (func (export "commit_anywhere")
    (call $load)
    (call $commit (i64.const 16) (i64.load (i32.const 1024))))
  (func (export "takes_a_parameter") (param i32))
  (func (export "__calimero_sync_next") (unreachable))
)
"""


def guest() -> bytes:
    """A small application: what it stores is what it is called with."""
    return bytes(wasmtime.wat2wasm(_GUEST))


def guest_bundle(folder: Path) -> Path:
    """It as a bundle."""
    path = folder / "guest.mpk"
    path.write_bytes(pack(guest(), package="org.medsync.test", version="1", key=SIGNER))
    return path
