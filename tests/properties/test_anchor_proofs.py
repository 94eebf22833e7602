"""The contract judges every proof as `medsync.protocol.merkle` does, the right ones and the spoiled."""

from hypothesis import given, note, settings
from hypothesis import strategies as st

from medsync.protocol.felt import PRIME
from medsync.protocol.merkle import EMPTY_ROOT, MerkleLog, verify_consistency, verify_inclusion
from tests.harness.anchoring import Anchoring
from tests.harness.anchoring import log as values_of
from tests.harness.chain import Chain
from tests.harness.reach import profile
from tests.harness.world import World

EXAMPLES = {"quick": 8, "ci": 100, "deep": 2_000}
QUESTIONS = 25
"""In each example: proofs of one kind for one log."""
LARGEST = 300
LOG = MerkleLog(values_of(LARGEST))

SIZES = st.one_of(
    st.integers(1, LARGEST), st.integers(1, 20), st.sampled_from([1, 2, 4, 8, 64, 128, 255, 256, 257])
)


@st.composite
def spoiled(draw: st.DrawFn, path: list[int]) -> list[int]:
    """A proof, as it is or with something wrong with it."""
    path = list(path)
    match draw(st.sampled_from(["good", "good", "change", "drop", "repeat", "swap", "add"])):
        case "change" if path:
            place = draw(st.integers(0, len(path) - 1))
            path[place] = (path[place] + draw(st.sampled_from([1, -1]))) % PRIME
        case "drop" if path:
            path.pop(draw(st.integers(0, len(path) - 1)))
        case "repeat" if path:
            place = draw(st.integers(0, len(path) - 1))
            path.insert(place, path[place])
        case "swap" if len(path) > 1:
            path[0], path[-1] = path[-1], path[0]
        case "add":
            path.append(draw(st.sampled_from([0, 1, PRIME - 1])))
    return path


def test_inclusion(chain: Chain) -> None:
    anchoring = Anchoring(World(chain))
    seen = {True: 0, False: 0}

    @settings(max_examples=EXAMPLES[profile()])
    @given(SIZES, st.data())
    def judge(size: int, data: st.DataObject) -> None:
        # The contract may hold another size than the proofs are for.
        held = data.draw(st.sampled_from([size, size, size, size + 1, max(size - 1, 1)]))
        root = LOG.root(size)
        anchoring.put(held, root)
        asked: list[tuple[int, int, list[int]]] = []
        for _ in range(QUESTIONS):
            index = data.draw(st.integers(0, size - 1))
            path = data.draw(spoiled(LOG.inclusion_path(index, size)))
            place = data.draw(
                st.sampled_from([index] * 5 + [index ^ 1, index + 1, held, held - 1, 2**64 - 1])
            )
            value = values_of(size)[index] + data.draw(st.sampled_from([0, 0, 0, 0, 1]))
            asked.append((value, place, path))
        for (value, place, path), answer in zip(asked, anchoring.includes_all(asked), strict=True):
            expected = verify_inclusion(value, place, held, path, root)
            note(f"{value} at {place} of {held} by {path}")
            assert answer is expected
            seen[expected] += 1

    judge()
    assert min(seen.values()) > 10, seen


def test_growth(chain: Chain) -> None:
    anchoring = Anchoring(World(chain))
    seen = {True: 0, False: 0}

    @settings(max_examples=EXAMPLES[profile()])
    @given(st.just(0) | SIZES, st.data())
    def judge(first: int, data: st.DataObject) -> None:
        first = min(first, LARGEST - 1)
        held = LOG.root(first) if first else EMPTY_ROOT
        anchoring.put(first, held)
        asked: list[tuple[int, int, list[int]]] = []
        for _ in range(QUESTIONS):
            second = data.draw(st.integers(first + 1, LARGEST) | st.integers(first + 1, first + 9))
            second = min(second, LARGEST)
            path = data.draw(spoiled(LOG.consistency_path(first, second)))
            size = data.draw(st.sampled_from([second] * 5 + [second + 1, first + 1]))
            root = LOG.root(data.draw(st.sampled_from([second] * 5 + [first + 1])))
            asked.append((size, root, path))
        for (size, root, path), answer in zip(asked, anchoring.judges(asked), strict=True):
            expected = verify_consistency(first, size, path, held, root)
            note(f"{size} on top of {first} by {path}")
            assert answer is expected
            seen[expected] += 1

    judge()
    assert min(seen.values()) > 10, seen
