"""Every command, told by the node what no node should tell."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from medsync.errors import ExitCode
from tests.fuzz.bench import Bench
from tests.fuzz.lines import commands
from tests.fuzz.malformed import replies
from tests.fuzz.node import Reply
from tests.fuzz.oracle import check, examples, tally
from tests.harness.reach import Reach

#: What a node's answer must never be blamed on: what its user typed.
BLAMELESS = (ExitCode.USAGE, ExitCode.BAD_INPUT, ExitCode.MISSING_TOOL)


@dataclass(frozen=True)
class Question:
    """One of the questions that a command asks the node."""

    line: list[str]
    #: Which one it is, by its place among the questions, and by its method.
    number: int
    method: str
    #: What a good node answers.
    good: dict[str, Any]


def test_malformed_answers(bench: Bench, record_property: Callable[[str, object], None]) -> None:
    by_command: defaultdict[str, list[Question]] = defaultdict(list)
    by_method: defaultdict[str, list[Question]] = defaultdict(list)
    for command in commands():
        done = bench.run(command.line())
        for number, (method, good) in enumerate(zip(done.asked, bench.node.answers, strict=True)):
            question = Question(command.line(), number, method, good)
            by_command[command.path].append(question)
            by_method[method].append(question)
    reach = Reach("Malformed answers of the node", seed=0)
    reach.expect("tried", [*by_command, *by_method])
    assert len(by_command) > 30
    for target, questions in by_command.items():
        _try(bench, target, questions, 3, reach)
    for target, questions in by_method.items():
        _try(bench, target, questions, 7, reach)
    record_property("reach", reach.as_property())
    reach.assert_all_reached()


def _try(bench: Bench, target: str, questions: Sequence[Question], times: int, reach: Reach) -> None:
    """Answer one of a target's questions badly, once or from then on."""

    @examples(times, target)
    @given(data=st.data())
    def malformed(data: st.DataObject) -> None:
        question = data.draw(st.sampled_from(questions))
        bad = data.draw(replies(question.good))
        form = data.draw(st.sampled_from([[], ["--json"], ["--verbose"]]))
        which = question.number if data.draw(st.booleans()) else question.method
        done = bench.run([*form, *question.line], {which: partial(_instead, bad)})
        check(bench, done)
        tally(reach, target, done.code)
        assert done.code not in BLAMELESS, done

    malformed()


def _instead(bad: Reply, _good: dict[str, Any]) -> Reply:
    return bad
