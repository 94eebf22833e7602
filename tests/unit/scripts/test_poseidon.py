"""The arithmetic that the generator of the Poseidon module writes, at the carries and bounds where random
hashes never come, and its constants against cairo-lang's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import wasmtime
from hypothesis import example, given
from hypothesis import strategies as st
from starkware.cairo.common.poseidon_utils import PoseidonParams

from medsync.errors import VerificationError
from medsync.protocol.felt import PRIME
from scripts import poseidon as generator
from scripts.poseidon import at, copy, cube, function, mix, multiply, number, plus, square, store

R = 2**256
TOP = R - 1

# The bounds that the generator's docstring gives: before and after the S-box, and after mixing.
BEFORE_XY, BEFORE_Z = 42 * PRIME // 10, 103 * PRIME // 10
CUBED_XY, CUBED_Z = 13 * PRIME // 10, 24 * PRIME // 10
REDUCED = 21 * PRIME // 10

Run = Callable[..., list[int]]

LIMBS = st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 2**63 - 1, 2**63, 2**64 - 2, 2**64 - 1])


def below(bound: int) -> st.SearchStrategy[int]:
    """Numbers below a bound, of extraordinary limbs too, and close to it."""
    of_limbs = st.lists(LIMBS, min_size=4, max_size=4).map(
        lambda limbs: sum(limb << 64 * place for place, limb in enumerate(limbs)) % bound
    )
    multiples = st.builds(lambda times, more: (times * PRIME + more) % bound, st.integers(0, 31), LIMBS)
    return of_limbs | multiples | st.integers(1, 2**64).map(lambda less: bound - less)


def compiled(body: Iterator[str]) -> Run:
    """A function of x, y, z and constants to x, y, z and q, made of a body that computes with them."""

    def whole() -> Iterator[str]:
        for place, name in enumerate("xyz"):
            yield from copy(name, at(32 * place))
        yield "(local.set $key (i32.const 96))"
        yield from body
        for place, name in enumerate("xyzq"):
            yield from store(32 * place, number(name))

    text = "\n".join(['(module (memory (export "memory") 1)', *function('(export "f")', whole()), ")"])
    config = wasmtime.Config()
    config.wasm_wide_arithmetic = True
    engine = wasmtime.Engine(config)
    store_ = wasmtime.Store(engine)
    exports = wasmtime.Instance(store_, wasmtime.Module(engine, text), []).exports(store_)

    def run(*numbers: int) -> list[int]:
        exports["memory"].write(store_, b"".join(value.to_bytes(32, "little") for value in numbers), 0)
        exports["f"](store_)
        found = bytes(exports["memory"].read(store_, 0, 128))
        return [int.from_bytes(found[at : at + 32], "little") for at in range(0, 128, 32)]

    return run


PRODUCT = compiled(multiply("q", number("x"), number("y")))
SQUARE = compiled(square("q", "x"))
CUBE = compiled(cube("x"))
SUM = compiled(plus("x", at("key")))
FULL = compiled(mix(full=True))
PARTIAL = compiled(mix(full=False))


@given(below(R), below(8 * PRIME))
@example(TOP, 8 * PRIME - 1)
@example(0, 0)
@example(PRIME, PRIME)
def test_product(a: int, b: int) -> None:
    product = PRODUCT(a, b, 0)[3]
    assert product * R % PRIME == a * b % PRIME
    assert a * b < product * R <= a * b + PRIME * R


@given(below(2**255))
@example(2**255 - 1)
@example(0)
def test_square(a: int) -> None:
    squared = SQUARE(a, 0, 0)[3]
    assert squared * R % PRIME == a * a % PRIME
    assert a * a < squared * R <= a * a + PRIME * R


@given(below(BEFORE_Z))
@example(BEFORE_Z - 1)
@example(BEFORE_XY - 1)
def test_cube(a: int) -> None:
    cubed = CUBE(a, 0, 0)[0]
    assert cubed * R * R % PRIME == a**3 % PRIME
    assert cubed < (CUBED_XY if a < BEFORE_XY else CUBED_Z)


@given(below(BEFORE_Z), below(BEFORE_Z))
@example(2**251 - 1, 1)
@example(2**192 - 1, 2**192 + 1)
def test_sum(a: int, b: int) -> None:
    assert SUM(a, 0, 0, b)[0] == a + b


@given(below(CUBED_XY), below(CUBED_XY), below(CUBED_Z), below(PRIME), below(PRIME), below(PRIME))
@example(0, 0, 0, 0, 0, 0)
@example(0, CUBED_XY - 1, 0, 0, 0, 0)
@example(0, 0, CUBED_Z - 1, 0, 0, 0)
@example(CUBED_XY - 1, CUBED_XY - 1, CUBED_Z - 1, PRIME - 1, PRIME - 1, PRIME - 1)
@example(CUBED_XY - 1, CUBED_XY - 1, 0, PRIME - 1, PRIME - 1, PRIME - 1)
def test_mixing_of_a_full_round(x: int, y: int, z: int, for_x: int, for_y: int, for_z: int) -> None:
    mixed = FULL(x, y, z, for_x, for_y + 3 * PRIME, for_z + 5 * PRIME)[:3]
    expected = (3 * x + y + z + for_x, x - y + z + for_y, x + y - 2 * z + for_z)
    assert [value % PRIME for value in mixed] == [value % PRIME for value in expected]
    assert max(mixed[:2]) < REDUCED
    assert 10 * (mixed[2] - for_z) < 76 * PRIME


@given(below(REDUCED), below(REDUCED), below(CUBED_Z), below(PRIME))
@example(0, 0, 0, 0)
@example(0, REDUCED - 1, 0, 0)
@example(0, 0, CUBED_Z - 1, 0)
@example(REDUCED - 1, REDUCED - 1, CUBED_Z - 1, PRIME - 1)
@example(REDUCED - 1, REDUCED - 1, 0, PRIME - 1)
def test_mixing_of_a_partial_round(x: int, y: int, z: int, for_z: int) -> None:
    mixed = PARTIAL(x, y, z, for_z + 5 * PRIME)[:3]
    expected = (3 * x + y + z, x - y + z, x + y - 2 * z + for_z)
    assert [value % PRIME for value in mixed] == [value % PRIME for value in expected]
    assert max(mixed[:2]) < REDUCED
    assert mixed[2] < BEFORE_Z


def test_constants_are_cairo_langs() -> None:
    parameters = PoseidonParams.get_default_poseidon_params()
    assert generator.round_constants() == [tuple(constants) for constants in parameters.ark]
    assert (parameters.r_f, parameters.r_p) == (generator.FULL_ROUNDS, generator.PARTIAL_ROUNDS)
    assert parameters.mds.tolist() == [[3, 1, 1], [1, -1, 1], [1, 1, -2]]


def test_a_module_that_was_changed_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    generator.check()
    changed = tmp_path / "poseidon.wat"
    changed.write_text(generator.module().replace("i64.add", "i64.sub", 1))
    monkeypatch.setattr(generator, "WAT", changed)
    with pytest.raises(VerificationError, match="not what its generator writes"):
        generator.check()
    generator.write()
    generator.check()
