"""Write `medsync/protocol/poseidon.wat`: Starknet's Poseidon hash as WebAssembly with wide arithmetic.

    python -m scripts poseidon           write the module
    python -m scripts poseidon --check   compare it with what this script writes

The hash is Poseidon with the Hades permutation over Starknet's field: width 3, rate 2, 8 full and 83 partial
rounds, S-box x**3, and the round constants and matrix of
https://github.com/starkware-industries/poseidon (parameters "poseidon3"). The WebAssembly needs the
wide-arithmetic proposal, https://github.com/WebAssembly/wide-arithmetic (`i64.add128`, `i64.sub128`,
`i64.mul_wide_u`).

Why not a Rust crate: starknet-types-core 1.0.0 and starknet-crypto 0.8.1, compiled to wasm32 with the same
instructions, take 7.5 microseconds a permutation where poseidon-py takes 70, which leaves the check of a log
below 12 times poseidon-py's (and 22 microseconds without them). This module takes 3 microseconds.

How numbers are kept
--------------------
A number is four 64-bit limbs, the lowest first, in Montgomery form with R = 2**256. The prime is
p = 1 + P3 * 2**192, so it is 1 modulo 2**192, which makes the reduction of a product cheap: the low three
limbs m of a product T are cleared by T - m * p, with no multiplication by an inverse, and so is the fourth.

Numbers are not reduced below p but kept below a few p; 2**256 is almost 32 p. The bounds, in units of p:

- `multiply` returns a number in (ab/32, ab/32 + 1], so never a negative one.
- The S-box `cube` returns less than 2.4 for z, which is at most 10.3, and less than 1.3 for x and y in full
  rounds, which are at most 4.2: by the line above, (aa/32 + 1) a/32 + 1.
- `mix` reduces x and y below 2.1. Before they go through the S-box again they grow by a constant at most, or
  by what is absorbed (1.1) and a constant.
- `mix` returns z = x + y - 2s + k + 5, with what the S-box made of z as s and a round constant as k. Five is
  more than 2s, and 3 more than y, so neither this nor y = x - y + s + k + 3 is negative. z is less than
  2.1 + 2.1 + 1 + 5 = 10.2 in partial rounds and less than 1.3 + 1.3 + 1 + 5 = 8.6 in full ones; after the
  last, where k is zero, it is less than 7.6, and the next permutation adds a constant to that.
"""

import re
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Final

from medsync.errors import VerificationError
from medsync.protocol.felt import PRIME
from medsync.protocol.poseidon import WAT
from medsync.storage.files import NewFile, read_text, replace
from scripts.options import write_or_check

FULL_ROUNDS: Final = 8
PARTIAL_ROUNDS: Final = 83

_R: Final = 2**256
_P3: Final = PRIME >> 192
#: What `mix` adds so that no difference is negative, in units of p; see above.
_Y_OFFSET, _Z_OFFSET = 3, 5

# Where things are in the module's memory. The rest, from `BUFFER` on, is the caller's.
_STATE: Final = 0
_PREFIX: Final = 96
_DIGEST: Final = 192
_MASK: Final = 224
_ONE, _ZERO, _R_SQUARED = 256, 288, 320
_THIRD: Final = 352
_KEYS: Final = 448
_PAGES: Final = 16

Vector = Sequence[str]
"""The four limbs of a number, as expressions."""


def run(arguments: Sequence[str]) -> None:
    """Write the module, or compare it with `--check`."""
    write_or_check("poseidon", arguments, write, check)


def write() -> None:
    """Write the module's text."""
    replace(NewFile(WAT, module().encode(), "The Poseidon module"))


def check() -> None:
    """Raise VerificationError if the committed module is not what this script writes."""
    if read_text(WAT, "The Poseidon module") != module():
        raise VerificationError(
            f"{WAT.name} is not what its generator writes.",
            hint="Run `python -m scripts poseidon` and commit the result.",
        )
    print(f"{WAT.name} is what its generator writes.")


# --- the constants ---


def round_constants() -> list[tuple[int, int, int]]:
    """What every round adds to the three elements before its S-boxes."""
    flat = [
        int.from_bytes(sha256(f"Hades{number}".encode()).digest()) % PRIME
        for number in range(3 * (FULL_ROUNDS + PARTIAL_ROUNDS))
    ]
    return list(zip(*[iter(flat)] * 3, strict=True))


def keys() -> list[int]:
    """The numbers that the module adds, in the order in which it does.

    Three before the first round; what `mix` adds in each round, which are three for a full one and one for a
    partial one; and between partial and full rounds again two, for x and y. In partial rounds only z goes
    through an S-box, so the constants of x and y are not added round by round: `x_behind` and `y_behind` are
    what x and y lack.
    """
    rounds = round_constants()
    half = FULL_ROUNDS // 2
    none = (0, 0, 0)
    found = [_montgomery(constant) for constant in rounds[0]]
    for after in [*rounds[1 : half + 1], *rounds[-half + 1 :], none]:
        found += [_montgomery(after[0]), _montgomery(after[1], _Y_OFFSET), _montgomery(after[2], _Z_OFFSET)]
    x_behind = y_behind = 0
    partial = []
    for x, y, z in rounds[half + 1 : half + PARTIAL_ROUNDS + 1]:
        partial.append(_montgomery(x_behind + y_behind + z, _Z_OFFSET))
        x_behind, y_behind = 3 * x_behind + y_behind + x, x_behind - y_behind + y
    partial += [_montgomery(x_behind), _montgomery(y_behind)]
    middle = 3 + 3 * half
    return found[:middle] + partial + found[middle:]


def _montgomery(number: int, offset: int = 0) -> int:
    return number * _R % PRIME + offset * PRIME


def _bytes(number: int) -> bytes:
    return number.to_bytes(32, "little")


# --- arithmetic ---


def number(name: str) -> Vector:
    """The number in the locals of that name."""
    return [f"(local.get ${name}{limb})" for limb in range(4)]


def at(place: str | int, offset: int = 0) -> Vector:
    """The number in memory at a pointer (the local of that name) or an address."""
    return [f"(i64.load offset={offset + 8 * limb} {_pointer(place)})" for limb in range(4)]


def _pointer(place: str | int) -> str:
    return f"(local.get ${place})" if isinstance(place, str) else f"(i32.const {place})"


def constant(value: int) -> str:
    return f"(i64.const {value - 2**64 if value >= 2**63 else value})"


def added(wide: str, *terms: str) -> str:
    """A 128-bit number and unsigned 64-bit ones."""
    for term in terms:
        wide = f"(i64.add128 {wide} {term} (i64.const 0))"
    return wide


def less(wide: str, *terms: str) -> str:
    """A 128-bit number without unsigned 64-bit ones."""
    for term in terms:
        wide = f"(i64.sub128 {wide} {term} (i64.const 0))"
    return wide


def added_signed(wide: str, term: str) -> str:
    """A 128-bit number and a signed 64-bit one."""
    return f"(i64.add128 {wide} {term} (i64.shr_s {term} (i64.const 63)))"


def total(*terms: str) -> str:
    """A sum of 64-bit numbers."""
    first, *rest = terms
    for term in rest:
        first = f"(i64.add {first} {term})"
    return first


def split(low: str, high: str, wide: str) -> str:
    """Put the halves of a 128-bit number into two locals."""
    return f"{wide} (local.set ${high}) (local.set ${low})"


def put(name: str, value: str) -> str:
    return f"(local.set ${name} {value})"


def copy(target: str, value: Vector) -> Iterator[str]:
    """Put a number into the locals of a name."""
    for limb in range(4):
        yield put(f"{target}{limb}", value[limb])


def store(address: int, value: Vector) -> Iterator[str]:
    """Put a number into memory."""
    for limb in range(4):
        yield f"(i64.store offset={8 * limb} (i32.const {address}) {value[limb]})"


def multiply(target: str, a: Vector, b: Vector) -> Iterator[str]:
    """The Montgomery product of two numbers."""
    yield from _product([(limb, factor, a) for limb, factor in enumerate(b)])
    yield from _reduce(target)


def square(target: str, name: str) -> Iterator[str]:
    """The Montgomery product of the number in these locals, below 2**255, with itself."""
    a = number(name)
    for limb in (1, 2, 3):
        yield put(f"d{limb}", f"(i64.shl {a[limb]} (i64.const 1))")
    for limb in (2, 3):
        carried = f"(i64.shr_u {a[limb - 1]} (i64.const 63))"
        yield put(f"e{limb}", f"(i64.or (local.get $d{limb}) {carried})")
    # Row i is a[i] times a[i] and twice what is above it.
    d1, d2, d3, e2, e3 = (f"(local.get ${name})" for name in ("d1", "d2", "d3", "e2", "e3"))
    rows = [[a[0], d1, e2, e3], [a[1], d2, e3], [a[2], d3], [a[3]]]
    yield from _product([(2 * limb, a[limb], row) for limb, row in enumerate(rows)])
    yield from _reduce(target)


def _product(rows: Sequence[tuple[int, str, Vector]]) -> Iterator[str]:
    """The sum of rows, each a factor times limbs from some limb on, and of p * R: eight limbs t."""
    filled: set[int] = set()
    for first, factor, limbs in rows:
        carry: list[str] = []
        for column, limb in enumerate(limbs, first):
            wide = f"(i64.mul_wide_u {limb} {factor})"
            if column in filled:
                wide = added(wide, f"(local.get $t{column})")
            yield split(f"t{column}", "c", added(wide, *carry))
            filled.add(column)
            carry = ["(local.get $c)"]
        last = first + len(limbs)
        # p * R is 1 in limb 4 and P3 in limb 7. The high half of a product leaves room for the first.
        extra = {4: 1, 7: _P3}.get(last)
        yield put(f"t{last}", total("(local.get $c)", constant(extra)) if extra else "(local.get $c)")
        filled.add(last)


def _reduce(target: str) -> Iterator[str]:
    """Divide t by R, modulo p; see the top."""
    t = [f"(local.get $t{limb})" for limb in range(8)]
    # Less m * p for the low three limbs m: the fifth limb of the result is t7.
    carry: list[str] = []
    borrow = ""
    for limb in range(3):
        wide = added(f"(i64.mul_wide_u {t[limb]} {constant(_P3)})", *carry)
        yield split("u", "c", wide)
        carry = ["(local.get $c)"]
        wide = less(f"{t[limb + 3]} (i64.const 0)", "(local.get $u)")
        yield split(f"t{limb + 3}", "h", f"(i64.add128 {wide} {borrow})" if borrow else wide)
        borrow = "(local.get $h) (local.get $h)"
    wide = less(f"{t[6]} (i64.const 0)", "(local.get $c)")
    yield split("t6", "h", f"(i64.add128 {wide} {borrow})")
    yield put("t7", total(t[7], "(local.get $h)"))
    # And once more for one limb, t3.
    yield put(f"{target}0", t[4])
    yield put(f"{target}1", t[5])
    product = f"(i64.mul_wide_u {t[3]} {constant(_P3)})"
    yield split(f"{target}2", f"{target}3", f"(i64.sub128 {t[6]} {t[7]} {product})")


def cube(name: str) -> Iterator[str]:
    """The S-box."""
    yield from square("q", name)
    yield from multiply(name, number("q"), number(name))


def plus(name: str, other: Vector) -> Iterator[str]:
    """Add a number to that in the locals of a name."""
    carry: list[str] = []
    for limb, (own, more) in enumerate(zip(number(name), other, strict=True)):
        if limb < 3:
            yield split(f"{name}{limb}", "c", added(f"{own} (i64.const 0)", more, *carry))
            carry = ["(local.get $c)"]
        else:
            yield put(f"{name}3", total(own, more, *carry))


def mix(full: bool) -> Iterator[str]:
    """Multiply (x, y, z) by the matrix ((3, 1, 1), (1, -1, 1), (1, 1, -2)), and add the next constants.

    x and y are reduced: their highest limb says how many times p is less than they are, give or take one.
    """
    x, y, z = number("x"), number("y"), number("z")
    keys = {name: at("key", 32 * place) for place, name in enumerate("xyz" if full else "z")}
    key = {name: [[keys[name][limb]] if name in keys else [] for limb in range(4)] for name in "xyz"}
    offset = [] if full else [constant(_Y_OFFSET * _P3)]
    yield put("a3", total(x[3], y[3]))
    yield put("b3", total("(local.get $a3)", z[3]))
    yield put("top_x", total("(local.get $b3)", x[3], x[3], *key["x"][3]))
    lower = f"(i64.sub (local.get $b3) {total(y[3], y[3])})"
    yield put("top_y", total(lower, *key["y"][3], *offset))
    for name in "xy":
        parts = f"(i64.shr_u (local.get $top_{name}) (i64.const 59))"
        yield put(f"less_{name}", f"(i64.sub (i64.const 1) {parts})")
    carry = {"x": "(local.get $less_x)", "y": "(local.get $less_y)"}
    if not full:
        carry["y"] = total(carry["y"], constant(_Y_OFFSET))
    for limb in range(3):
        yield split("a", "ah", added(f"{x[limb]} (i64.const 0)", y[limb]))
        yield split("b", "bh", added("(local.get $a) (local.get $ah)", z[limb]))
        a, b = "(local.get $a) (local.get $ah)", "(local.get $b) (local.get $bh)"
        sums = {
            "x": added(b, x[limb], x[limb], *key["x"][limb]),
            "y": less(added(b, *key["y"][limb]), y[limb], y[limb]),
            "z": less(added(a, *key["z"][limb]), z[limb], z[limb]),
        }
        for name, wide in sums.items():
            if name in carry:
                wide = added_signed(wide, carry[name])
            yield split(f"{name}{limb}", f"carry_{name}", wide)
            carry[name] = f"(local.get $carry_{name})"
    lower = f"(i64.sub (local.get $a3) {total(z[3], z[3])})"
    yield put("z3", total(lower, *key["z"][3], carry["z"]))
    for name in "xy":
        parts = f"(i64.mul (local.get $less_{name}) {constant(_P3)})"
        yield put(f"{name}3", total(f"(local.get $top_{name})", carry[name], parts))
    yield f"(local.set $key (i32.add (local.get $key) (i32.const {32 * len(keys)})))"


def repeat(counter: str, times: int, body: Iterator[str]) -> Iterator[str]:
    """A loop."""
    yield put(counter, f"(i32.const {times})")
    yield f"(loop ${counter}_again"
    yield from body
    count = f"(local.tee ${counter} (i32.sub (local.get ${counter}) (i32.const 1)))"
    yield f"(br_if ${counter}_again {count}))"


# --- functions ---

_LOCALS: Final = (
    *(f"{name}{limb}" for name in "xyzq" for limb in range(4)),
    *(f"t{limb}" for limb in range(8)),
    *("a", "ah", "a3", "b", "bh", "b3", "c", "h", "u", "d1", "d2", "d3", "e2", "e3"),
    *(f"{name}_{lane}" for name in ("top", "less") for lane in "xy"),
    *(f"carry_{lane}" for lane in "xyz"),
)


def function(head: str, body: Iterator[str]) -> Iterator[str]:
    """A function that computes."""
    yield f"(func {head} {' '.join(f'(local ${name} i64)' for name in _LOCALS)}"
    yield "(local $key i32) (local $rounds i32) (local $lanes i32)"
    yield from body
    yield ")"


def _permute() -> Iterator[str]:
    for place, name in enumerate("xyz"):
        yield from copy(name, at(_STATE + 32 * place))
    yield put("key", f"(i32.const {_KEYS})")
    yield from _add_keys("xyz")
    yield "(loop $half"
    yield from repeat("rounds", FULL_ROUNDS // 2, _full_round())
    yield f"(if (i32.lt_u (local.get $key) (i32.const {_KEYS + 32 * len(keys())})) (then"
    yield from repeat("rounds", PARTIAL_ROUNDS, _partial_round())
    yield from _add_keys("xy")
    yield "(br $half))))"
    for place, name in enumerate("xyz"):
        yield from store(_STATE + 32 * place, number(name))


def _full_round() -> Iterator[str]:
    yield from repeat("lanes", 3, _next_lane())
    yield from mix(full=True)


def _next_lane() -> Iterator[str]:
    """Put z through the S-box, and (z, x, y) in the place of (x, y, z): three times, and it is as before."""
    yield from cube("z")
    for target, source in zip(("q", "z", "y", "x"), ("z", "y", "x", "q"), strict=True):
        yield from copy(target, number(source))


def _partial_round() -> Iterator[str]:
    yield from cube("z")
    yield from mix(full=False)


def _add_keys(names: str) -> Iterator[str]:
    for place, name in enumerate(names):
        yield from plus(name, at("key", 32 * place))
    yield f"(local.set $key (i32.add (local.get $key) (i32.const {32 * len(names)})))"


def _absorb_pair() -> Iterator[str]:
    for place, (element, pointer) in enumerate((("x", "first"), ("y", "second"))):
        yield from copy(element, at(_STATE + 32 * place))
        yield from multiply("q", at(pointer), at(_R_SQUARED))
        yield from plus(element, number("q"))
        yield from store(_STATE + 32 * place, number(element))
    yield "(call $permute)"


def _squeeze() -> Iterator[str]:
    """The first element, below p: a product with one is at most p."""
    yield from copy("x", at(_STATE))
    yield from multiply("x", number("x"), at(_ONE))
    is_prime = f"(i64.eq (local.get $x0) (i64.const 1)) (i64.eq (local.get $x3) {constant(_P3)}) (i32.and)"
    is_prime += " (i64.eqz (i64.or (local.get $x1) (local.get $x2))) (i32.and)"
    yield f"{is_prime} (if (then {put('x0', '(i64.const 0)')} {put('x3', '(i64.const 0)')}))"
    yield from store(_DIGEST, number("x"))


#: What surrounds the arithmetic. Pointers to felts are addresses of plain numbers below p: 32 bytes each,
#: little-endian. What a function returns is in the digest's place.
_SHELL: Final = f"""\
(func $start (memory.fill (i32.const {_STATE}) (i32.const 0) (i32.const 96)))
;; Take felts into the hash; of an odd number the last one is left out.
(func $absorb (param $felts i32) (param $count i32)
(block $done (loop $next
(br_if $done (i32.lt_u (local.get $count) (i32.const 2)))
(call $absorb_pair (local.get $felts) (i32.add (local.get $felts) (i32.const 32)))
(local.set $felts (i32.add (local.get $felts) (i32.const 64)))
(local.set $count (i32.sub (local.get $count) (i32.const 2)))
(br $next))))
;; Take the last felts, and the padding: a one, and a zero where the number is even.
(func $finish (param $felts i32) (param $count i32)
(call $absorb (local.get $felts) (local.get $count))
(if (i32.and (local.get $count) (i32.const 1))
(then (call $absorb_pair
(i32.add (local.get $felts) (i32.shl (i32.sub (local.get $count) (i32.const 1)) (i32.const 5)))
(i32.const {_ONE})))
(else (call $absorb_pair (i32.const {_ONE}) (i32.const {_ZERO}))))
(call $squeeze))
;; Hash felts, which may come in several calls: all but the last of them give an even number.
(func (export "hash") (param $felts i32) (param $count i32) (param $first i32) (param $last i32)
(if (local.get $first) (then (call $start)))
(if (local.get $last)
(then (call $finish (local.get $felts) (local.get $count)))
(else (call $absorb (local.get $felts) (local.get $count)))))
;; Hash each of several entries after the same prefix, of an even number of felts, and cut the hash by the
;; mask. Unless `slot` is negative, the felt of each entry at that place (in bytes) is made the digest of the
;; entry before it; of the first one, what is in the digest's place.
(func (export "chain") (param $prefix i32) (param $prefix_count i32) (param $counts i32) (param $felts i32)
(param $slot i32) (param $digests i32) (param $entries i32) (local $count i32)
(call $start)
(call $absorb (local.get $prefix) (local.get $prefix_count))
(memory.copy (i32.const {_PREFIX}) (i32.const {_STATE}) (i32.const 96))
(block $done (loop $next
(br_if $done (i32.eqz (local.get $entries)))
(memory.copy (i32.const {_STATE}) (i32.const {_PREFIX}) (i32.const 96))
(if (i32.ge_s (local.get $slot) (i32.const 0)) (then
(memory.copy (i32.add (local.get $felts) (local.get $slot)) (i32.const {_DIGEST}) (i32.const 32))))
(local.set $count (i32.load (local.get $counts)))
(call $finish (local.get $felts) (local.get $count))
(call $cut)
(memory.copy (local.get $digests) (i32.const {_DIGEST}) (i32.const 32))
(local.set $counts (i32.add (local.get $counts) (i32.const 4)))
(local.set $felts (i32.add (local.get $felts) (i32.shl (local.get $count) (i32.const 5))))
(local.set $digests (i32.add (local.get $digests) (i32.const 32)))
(local.set $entries (i32.sub (local.get $entries) (i32.const 1)))
(br $next))))
;; Permute what is in the digest's place with one felt after another, and take the first element. A number
;; for each says whether the felt comes first (bit 0), and what the third element is (from bit 1 on; 0 to 2).
(func (export "path") (param $kinds i32) (param $felts i32) (param $count i32) (local $kind i32)
(block $done (loop $next
(br_if $done (i32.eqz (local.get $count)))
(local.set $kind (i32.load (local.get $kinds)))
(call $start)
(memory.copy (i32.const {_STATE + 64})
(i32.add (i32.const {_THIRD}) (i32.shl (i32.shr_u (local.get $kind) (i32.const 1)) (i32.const 5)))
(i32.const 32))
(if (i32.and (local.get $kind) (i32.const 1))
(then (call $absorb_pair (local.get $felts) (i32.const {_DIGEST})))
(else (call $absorb_pair (i32.const {_DIGEST}) (local.get $felts))))
(call $squeeze)
(local.set $kinds (i32.add (local.get $kinds) (i32.const 4)))
(local.set $felts (i32.add (local.get $felts) (i32.const 32)))
(local.set $count (i32.sub (local.get $count) (i32.const 1)))
(br $next))))"""


def _cut() -> Iterator[str]:
    both = zip(at(_DIGEST), at(_MASK), strict=True)
    yield from store(_DIGEST, [f"(i64.and {limb} {mask})" for limb, mask in both])


def module() -> str:
    """The module's text."""
    fixed = {
        _ONE: [1],
        _ZERO: [0],
        _R_SQUARED: [_R * _R % PRIME],
        _THIRD: [_montgomery(third) for third in range(3)],
        _KEYS: keys(),
    }
    parts = [
        ";; Written by `python -m scripts poseidon`, which explains it; do not edit it.",
        "(module",
        f'(memory (export "memory") {_PAGES} {_PAGES})',
        *(f"(data (i32.const {place}) {_escaped(numbers)})" for place, numbers in fixed.items()),
        *function("$permute", _permute()),
        *function("$absorb_pair (param $first i32) (param $second i32)", _absorb_pair()),
        *function("$squeeze", _squeeze()),
        "(func $cut",
        *_cut(),
        ")",
        _SHELL,
        ")",
    ]
    return "\n".join(parts) + "\n"


def _escaped(numbers: Sequence[int]) -> str:
    """Numbers as the strings of a data segment."""
    return "".join(f'\n"{re.sub("..", _escape, _bytes(number).hex())}"' for number in numbers)


def _escape(digits: re.Match[str]) -> str:
    return "\\" + digits[0]
