"""Both implementations of Poseidon against cairo-lang's, which shares no code with either."""

from __future__ import annotations

import doctest
import logging
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import wasmtime
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from poseidon_py.poseidon_hash import poseidon_hash_many as poseidon_pys_hash
from starkware.cairo.common.poseidon_hash import poseidon_hash_many, poseidon_perm

from medsync.protocol import poseidon
from medsync.protocol.felt import PRIME, InvalidValue
from medsync.protocol.poseidon import PathStep, hash_chain, hash_each, hash_felts, hash_path

BOUNDARIES = [
    *(0, 1, 2, PRIME - 1, PRIME - 2, (PRIME - 1) // 2),
    *(2**bits + more for bits in (64, 128, 192) for more in (-1, 0, 1)),
    *(2**251 - 1, 2**251, 17 * 2**192 - 1, 17 * 2**192, 2**251 + 17 * 2**192 - 2**64),
    # Montgomery forms at carries.
    *(number * pow(2**256, -1, PRIME) % PRIME for number in (1, 2**64 - 1, 2**192 - 1, 2**251, PRIME - 1)),
]
FELTS = st.integers(0, PRIME - 1) | st.sampled_from(BOUNDARIES)


@pytest.fixture(scope="module")
def module() -> Iterator[poseidon._Module]:
    opened = poseidon._Module()
    yield opened
    opened.close()


@pytest.fixture(params=["poseidon-py", "WebAssembly"])
def engine(
    request: pytest.FixtureRequest, module: poseidon._Module, monkeypatch: pytest.MonkeyPatch
) -> poseidon._Engine:
    """Each implementation in turn, whatever there is to hash."""
    chosen = poseidon._POSEIDON_PY if request.param == "poseidon-py" else module
    monkeypatch.setattr(poseidon._CHOICE, "engine", lambda permutations: chosen)
    return chosen


def some_felts(count: int, seed: int) -> list[int]:
    drawn = random.Random(seed)
    return [drawn.choice([drawn.choice(BOUNDARIES), drawn.randrange(PRIME)]) for _ in range(count)]


def chained(
    prefix: Sequence[int],
    previous: int,
    entries: Sequence[Sequence[int]],
    bits: int,
    hashed: Callable[[list[int]], int] = poseidon_hash_many,
) -> list[int]:
    """The digests of a chain, one hash after another."""
    digests = []
    for entry in entries:
        previous = hashed([*prefix, previous, *entry]) % 2**bits
        digests.append(previous)
    return digests


@pytest.mark.usefixtures("engine")
class TestHashes:
    @pytest.mark.parametrize("length", range(21))
    def test_every_length(self, length: int) -> None:
        felts = some_felts(length, length)
        assert hash_felts(felts) == poseidon_hash_many(felts) == poseidon_pys_hash(felts)

    @pytest.mark.parametrize("felt", BOUNDARIES)
    def test_felts_at_carries(self, felt: int) -> None:
        for felts in ([felt], [felt] * 2, [0, felt], [PRIME - 1, felt, PRIME - 1]):
            assert hash_felts(felts) == poseidon_hash_many(felts)

    @settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(FELTS, max_size=8))
    def test_any_felts(self, felts: list[int]) -> None:
        assert hash_felts(felts) == poseidon_hash_many(felts)

    @pytest.mark.parametrize("length", [7, 8, 9, 15, 16, 17])
    def test_more_than_one_call_takes(self, length: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(poseidon, "_MOST_FELTS", 8)
        felts = some_felts(length, length)
        assert hash_felts(felts) == poseidon_hash_many(felts)

    def test_as_much_as_memory_holds(self) -> None:
        felts = some_felts(poseidon._MOST_FELTS + 1, 1)
        assert hash_felts(felts) == poseidon_pys_hash(felts)

    @pytest.mark.parametrize("felts", [[PRIME], [-1], [2**256], [1, True], [1, 1.0], [1, "1"], [1, None]])
    def test_other_values_are_refused_by_position(self, felts: list[Any]) -> None:
        with pytest.raises(InvalidValue, match=f"felt {len(felts) - 1} of a Poseidon hash"):
            hash_felts(felts)


@pytest.mark.usefixtures("engine")
class TestChains:
    @pytest.mark.parametrize("length", [0, 1, 2, 20])
    @pytest.mark.parametrize("prefix", range(6))
    def test_chains_of_any_prefix(self, prefix: int, length: int) -> None:
        before = some_felts(prefix, prefix)
        entries = [some_felts(count % 5, count) for count in range(length)]
        for previous in (0, PRIME - 1):
            expected = chained(before, previous, entries, 219)
            assert hash_chain(before, previous, entries, 219) == expected

    def test_a_long_chain(self) -> None:
        prefix = some_felts(4, 1)
        entries = [some_felts(3, seed) for seed in range(1000)]
        assert hash_chain(prefix, 0, entries, 219) == chained(prefix, 0, entries, 219, poseidon_pys_hash)

    @pytest.mark.parametrize("bits", [1, 64, 65, 192, 219, 251, 252, 256])
    def test_digests_are_cut(self, bits: int) -> None:
        entries = [[number] for number in range(5)]
        digests = hash_chain([1, 2], 3, entries, bits)
        assert digests == chained([1, 2], 3, entries, bits)
        assert max(digests) < 2**bits

    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(FELTS, max_size=5), FELTS, st.lists(st.lists(FELTS, max_size=4), max_size=4))
    def test_any_chain(self, prefix: list[int], previous: int, entries: list[list[int]]) -> None:
        assert hash_chain(prefix, previous, entries, 219) == chained(prefix, previous, entries, 219)

    def test_entries_each_for_itself(self) -> None:
        for prefix in ([], [1], [1, 2, 3, 4], [1, 2, 3, 4, 5]):
            entries = [some_felts(count, count) for count in range(8)]
            expected = [poseidon_hash_many([*prefix, *entry]) % 2**219 for entry in entries]
            assert hash_each(prefix, entries, 219) == expected

    def test_more_than_one_call_takes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Also an entry, and a prefix, of more felts than that."""
        monkeypatch.setattr(poseidon, "_MOST_FELTS", 8)
        for lengths in ([3] * 7, [1, 40, 1], [0] * 20):
            entries = [some_felts(length, length) for length in lengths]
            for prefix in ([], some_felts(5, 5), some_felts(20, 20)):
                assert hash_chain(prefix, 7, entries, 219) == chained(prefix, 7, entries, 219)

    @pytest.mark.parametrize("wrong", [-1, PRIME, True, "1", None])
    def test_other_values_are_refused_by_position(self, wrong: Any) -> None:
        for arguments, position in (
            (([0, wrong], 0, [[0]]), 1),
            (([0, 0], wrong, [[0]]), 2),
            (([0, 0], 0, [[0], [0, wrong]]), 4),
        ):
            with pytest.raises(InvalidValue, match=f"felt {position} of a Poseidon hash"):
                hash_chain(*arguments, 219)
        for prefix, entries, position in (([0, wrong], [[0]], 1), ([0, 0], [[0], [0, wrong]], 3)):
            with pytest.raises(InvalidValue, match=f"felt {position} of a Poseidon hash"):
                hash_each(prefix, entries, 219)


@pytest.mark.usefixtures("engine")
class TestPaths:
    @pytest.mark.parametrize("felt", BOUNDARIES)
    def test_one_permutation(self, felt: int) -> None:
        for third in range(3):
            for other in (0, PRIME - 1, felt):
                assert (
                    hash_path(felt, [PathStep(other, False, third)]) == poseidon_perm(felt, other, third)[0]
                )
                assert hash_path(felt, [PathStep(other, True, third)]) == poseidon_perm(other, felt, third)[0]

    def test_many(self) -> None:
        steps = [PathStep(felt, felt % 3 == 0, felt % 2 + 1) for felt in some_felts(20, 20)]
        expected = 7
        for felt, first, third in steps:
            pair = (felt, expected) if first else (expected, felt)
            expected = poseidon_perm(*pair, third)[0]
        assert hash_path(7, steps) == expected
        assert hash_path(7, []) == 7

    def test_more_than_one_call_takes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        steps = [PathStep(felt, felt % 2 == 0, 2) for felt in some_felts(20, 20)]
        whole = hash_path(7, steps)
        monkeypatch.setattr(poseidon, "_MOST_FELTS", 8)
        assert hash_path(7, steps) == whole

    @pytest.mark.parametrize("wrong", [-1, PRIME, True, "1"])
    def test_other_values_are_refused_by_position(self, wrong: Any) -> None:
        with pytest.raises(InvalidValue, match="felt 0 of a Poseidon hash"):
            hash_path(wrong, [])
        with pytest.raises(InvalidValue, match="felt 2 of a Poseidon hash"):
            hash_path(0, [PathStep(0, False, 1), PathStep(wrong, False, 2)])


# --- the module ---------------------------------------------------------------------------------------------


def test_the_example_in_the_documentation() -> None:
    assert doctest.testmod(poseidon) == (0, 1)


def test_threads_take_turns(module: poseidon._Module) -> None:
    wrong = []

    def work(seed: int) -> None:
        entries = [some_felts(11, seed) for _ in range(20)]
        expected = poseidon._POSEIDON_PY.chain([seed], 0, entries, 219)
        for _ in range(20):
            if module.chain([seed], 0, entries, 219) != expected:
                wrong.append(seed)
            if module.hash([seed]) != poseidon_pys_hash([seed]):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_memory_holds_the_largest_batches(module: poseidon._Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poseidon._CHOICE, "engine", lambda permutations: module)
    most = poseidon._MOST_FELTS
    for prefix, entries in (
        ([1], [[]] * most),
        ([1] * most, [[2] * (most - 2)]),
        ([1] * (2 * most - 3), [[2], [3]]),
    ):
        expected = chained(prefix, 0, entries, 219, module.hash)
        assert hash_chain(prefix, 0, entries, 219) == expected


def test_nothing_stays_in_memory(module: poseidon._Module) -> None:
    """What is hashed may be a salt."""
    before = bytes(module._memory)
    module.hash(some_felts(3 * poseidon._MOST_FELTS - 5, 1))
    assert bytes(module._memory) == before
    module.chain(some_felts(5, 5), 7, [some_felts(3, seed) for seed in range(50)], 219)
    assert bytes(module._memory) == before
    module.path(7, [PathStep(felt, True, 2) for felt in some_felts(5, 5)])
    assert bytes(module._memory) == before


def test_a_call_that_was_interrupted_changes_no_other(
    module: poseidon._Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(name: str, *arguments: int) -> None:
        original(name, *arguments)
        raise KeyboardInterrupt

    original, before = module._call, bytes(module._memory)
    monkeypatch.setattr(module, "_call", interrupted)
    for call in (
        lambda: module.hash([1, 2, 3]),
        lambda: module.chain([1], 2, [[3]], 219),
        lambda: module.path(1, [PathStep(2, True, 2)]),
    ):
        with pytest.raises(KeyboardInterrupt):
            call()
    monkeypatch.undo()
    assert bytes(module._memory) == before
    assert module.hash([1, 2, 3]) == poseidon_hash_many([1, 2, 3])


def test_a_closed_module_hashes_no_more() -> None:
    opened = poseidon._Module()
    opened.close()
    for call in (
        lambda: opened.hash([1]),
        lambda: opened.chain([1], 0, [[1]], 219),
        lambda: opened.path(1, []),
    ):
        with pytest.raises(ValueError, match="memoryview assignment"):
            call()


# --- which one is used --------------------------------------------------------------------------------------


@pytest.fixture
def choice() -> Iterator[poseidon._Choice]:
    made = poseidon._Choice()
    yield made
    if isinstance(made._chosen, poseidon._Module):
        made._retire(made._chosen)


def test_the_module_is_loaded_when_there_is_enough_to_hash(choice: poseidon._Choice) -> None:
    assert choice.engine(poseidon._WORTH_LOADING - 2) is poseidon._POSEIDON_PY
    assert choice.engine(1) is poseidon._POSEIDON_PY
    chosen = choice.engine(1)
    assert isinstance(chosen, poseidon._Module)
    assert choice.engine(1) is chosen


def test_threads_load_it_once(choice: poseidon._Choice) -> None:
    chosen: list[poseidon._Engine] = []
    together = threading.Barrier(4)

    def ask() -> None:
        together.wait()
        chosen.append(choice.engine(poseidon._WORTH_LOADING))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(chosen) == 4
    assert len({id(one) for one in chosen}) == 1


def no_wide_arithmetic(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """As a wasmtime that knows nothing of it."""
    known = wasmtime.Config.wasm_wide_arithmetic
    switched_off = property(fset=lambda config, _: known.fset(config, False))
    monkeypatch.setattr(wasmtime.Config, "wasm_wide_arithmetic", switched_off)


def no_wasmtime(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setitem(sys.modules, "wasmtime", None)


def no_file(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(poseidon, "WAT", folder / "poseidon.wat")


def other_constants(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    text = poseidon.WAT.read_text()
    (folder / "poseidon.wat").write_text(text.replace("\\ab", "\\ac", 1))
    monkeypatch.setattr(poseidon, "WAT", folder / "poseidon.wat")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (no_wide_arithmetic, "wide arithmetic"),
        (no_wasmtime, "wasmtime"),
        (no_file, "No such file"),
        (other_constants, "wrong hashes"),
    ],
)
def test_poseidon_py_does_it_where_the_module_cannot(
    fault: Callable[[pytest.MonkeyPatch, Path], None],
    said: str,
    choice: poseidon._Choice,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(poseidon, "_CHOICE", choice)
    fault(monkeypatch, tmp_path)
    felts = some_felts(2 * poseidon._WORTH_LOADING, 1)
    assert hash_felts(felts) == poseidon_pys_hash(felts)
    assert choice.engine(1) is poseidon._POSEIDON_PY
    assert said in caplog.text


_SCRIPT = """
import resource
import sys

resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
from medsync.protocol import poseidon
poseidon.hash_felts([1, 2])
assert "wasmtime" not in sys.modules
poseidon.hash_felts([1] * 2 * poseidon._WORTH_LOADING)
assert isinstance(poseidon._CHOICE._chosen, poseidon._Module)
"""


def test_a_process_loads_it_late_and_ends_without_a_word() -> None:
    """It also needs little address space: less than the 4 GiB that wasmtime reserves by default."""
    run = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, timeout=120)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
