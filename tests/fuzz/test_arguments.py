"""Every argument and option of every command, given what it does not take."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from medsync.errors import ExitCode
from tests.fuzz.bench import Bench
from tests.fuzz.lines import Command, commands
from tests.fuzz.malformed import texts
from tests.fuzz.oracle import check, examples, faults, tally
from tests.harness.reach import Reach

COMMANDS = commands()

#: How errors call what an option gives, if not by its name.
CALLED = {"--passphrase-file": "passphrase"}


def test_every_command_answers_what_is_right(bench: Bench) -> None:
    """Else what follows would only show that nothing works at all."""
    for command in COMMANDS:
        for line, form in product(command.lines, ([], ["--json"])):
            done = bench.run([*form, *line])
            check(bench, done)
            assert done.log, done
            needs_devnet = command.path == "devnet up"
            assert done.code == (ExitCode.MISSING_TOOL if needs_devnet else ExitCode.OK), done


def test_an_answer_that_is_no_json_is_found(bench: Bench) -> None:
    for line in (["entity", "list"], ["watch", "--from-block=0", "--count=2"]):
        done = bench.run(["--json", *line])
        assert not faults(bench, done)
        assert faults(bench, replace(done, out=done.out + b"{'entity': 1}\n")) == ["the answer is no JSON"]


def test_malformed_arguments(bench: Bench, record_property: Callable[[str, object], None]) -> None:
    reach = Reach("Malformed arguments", seed=0)
    for command in COMMANDS:
        for parameter in command.parameters:
            reach.expect("tried", [f"{command.path} {parameter.shown}"])
        _try(bench, command, reach)
    record_property("reach", reach.as_property())
    reach.assert_all_reached()


def _try(bench: Bench, command: Command, reach: Reach) -> None:
    """Give each parameter of a command something else, one at a time."""

    @examples(3, command.path)
    @given(data=st.data())
    def malformed(data: st.DataObject) -> None:
        for parameter in command.parameters:
            value = data.draw(texts(parameter.value), label=f"{command.path} {parameter.shown}")
            form = data.draw(st.sampled_from([[], ["--json"]]))
            done = bench.run([*form, *command.line(parameter, value)])
            check(bench, done)
            tally(reach, f"{command.path} {parameter.shown}", done.code)
            if done.code in (ExitCode.USAGE, ExitCode.BAD_INPUT):
                said = done.err.decode().lower()
                name = CALLED.get(parameter.shown, parameter.shown)
                assert name.strip("-").lower() in said, done

    malformed()
