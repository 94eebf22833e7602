"""Commands while faults happen, Ctrl-C among them: a right answer or a clear error, no traceback, no secret.

No file is half written, what was sent is told, and who just gives the same command again does nothing twice.
"""

import asyncio
import contextlib
import io
import os
import re
import shlex
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import pytest
from starknet_py.net.client_errors import ClientError
from starknet_py.net.client_models import TransactionExecutionStatus

from medsync.cli import interrupt, unsettled
from medsync.cli.app import run as run_here
from medsync.deployment.record import read
from medsync.errors import ExitCode
from medsync.log.exports import json as json_export
from medsync.log.fetch import fetch_heads
from medsync.protocol.vocabulary import Purpose
from medsync.starknet.clients import Erc20Client, MedSyncClient, RewardPoolClient
from tests.faults.books import PLACES, RecordProperty, reaching
from tests.faults.proxy import FAULTS, INTERRUPTIONS, SECRET, SUBMISSIONS, Planned
from tests.faults.scene import Scene
from tests.harness.words import DAY

#: What a withdrawal is of, and what one use costs, which is what a deposit is of.
AMOUNT: Final = 10
RATE: Final = 1_000_000

#: Faults that a command can meet, less those that only a past or much time bring about.
HERE: Final = [name for name in FAULTS if name not in ("stale", "silence after")]

#: A request that is permitted, and paid for.
REQUEST: Final = (
    "access request PATIENT --purpose HRESCH --categories LABORATORY --record 0x1 --campaign paid.json"
)
EXPORT: Final = "access export PATIENT --output"


@dataclass(frozen=True)
class Done:
    """What a command ended with."""

    code: int
    out: str
    err: str


class Desk:
    """Somebody at a keyboard, with a deployment and a history: a consent that pays, and accesses.

    Commands run in this process's main thread, because only there Ctrl-C finds what it finds in a command.
    """

    def __init__(self, scene: Scene, runner: asyncio.Runner, folder: Path) -> None:
        self.scene = scene
        self.runner = runner
        self.folder = folder
        self.patient, self.researcher = scene.world.patient, scene.world.researcher
        # Devnet's clock is not this machine's: what begins now must have begun there. Given in seconds, the
        # same command means the same whenever it is given.
        self.window = f"--starts {scene.world.now} --expires {scene.world.now + 9 * DAY}"
        scene.mend()
        (folder / "profile.json").write_text("{}")
        self.succeeds(scene.world.admin, "deploy --salt 0xDE5C")
        # Only now there is a deployment to read.
        record = read(folder / "devnet.json")
        self.medsync = MedSyncClient(record.medsync, scene.past.client)
        self.pool = RewardPoolClient(record.reward_pool, scene.past.client)
        register = "entity register RESEARCHER --role researcher --profile profile.json"
        self.succeeds(scene.world.admin, register)
        campaign = f"--terms paid.json --purpose HRESCH --rate {RATE} --expires +9d"
        self.succeeds(self.researcher, f"pool fund {campaign} --amount 1000000000 --unit smallest")
        consent = "--purpose HRESCH --categories LABORATORY WINDOW --reward paid.json"
        self.succeeds(self.patient, f"consent add RESEARCHER {consent}")
        self.succeeds(self.researcher, REQUEST)

    def run(self, sender: int, line: str) -> Done:
        """Give a command as somebody."""
        out, err = io.StringIO(), io.StringIO()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MEDSYNC_")}
        environment = {
            **kept,
            "XDG_STATE_HOME": str(self.folder),
            "MEDSYNC_DEPLOYMENT": "./devnet.json",
            "MEDSYNC_ACCOUNT_ADDRESS": hex(sender),
            "MEDSYNC_PRIVATE_KEY": hex(self.scene.world.chain.accounts[sender].key),
        }
        line = line.replace("PATIENT", hex(self.patient)).replace("RESEARCHER", hex(self.researcher))
        line = line.replace("WINDOW", self.window)
        with (
            patch.dict(os.environ, environment, clear=True),
            patch("asyncio.run", _run_apart),
            contextlib.chdir(self.folder),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = run_here([*shlex.split(line), "--rpc-url", self.scene.proxy.url])
        return Done(code, out.getvalue(), err.getvalue())

    def succeeds(self, sender: int, line: str) -> None:
        """Give a command that nothing goes wrong with."""
        done = self.run(sender, line)
        assert done.code == ExitCode.OK, done

    async def is_on_chain(self, transaction: int) -> bool:
        """Whether a transaction happened, as somebody finds out who looks it up."""
        try:
            receipt = await self.scene.past.client.get_transaction_receipt(transaction)
        except ClientError:
            return False
        return receipt.execution_status is TransactionExecutionStatus.SUCCEEDED


def _run_apart(main: Any) -> Any:
    """`asyncio.run`, but the loop that asynchronous tests share stays the current one."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        return runner.run(main)


async def _deposits(desk: Desk) -> int:
    """What the pool ever got: what it holds, and what was drawn."""
    token = Erc20Client(await desk.pool.token(), desk.pool.client)
    drawn = await desk.pool.withdrawn(desk.patient)
    return (await token.balance_of(desk.pool.address) + drawn) // RATE


async def _withdrawals(desk: Desk) -> int:
    return await desk.pool.withdrawn(desk.patient) // AMOUNT


async def _consents(desk: Desk) -> int:
    return (await desk.medsync.consent(desk.patient, desk.researcher, Purpose.TREAT, 0)).version


async def _requests(desk: Desk) -> int:
    return (await desk.medsync.log_head(desk.patient)).count


#: By name: whose command it is, how it goes, and how often what it does has happened so far.
COMMANDS: Final[dict[str, tuple[Callable[[Desk], int], str, Callable[[Desk], Coroutine[Any, Any, int]]]]] = {
    "pool fund": (
        lambda desk: desk.researcher,
        f"pool fund --terms paid.json --amount {RATE} --unit smallest",
        _deposits,
    ),
    "pool withdraw": (
        lambda desk: desk.patient,
        f"pool withdraw {AMOUNT} --unit smallest",
        _withdrawals,
    ),
    "consent add": (
        lambda desk: desk.patient,
        "consent add RESEARCHER --purpose TREAT --categories IMAGING WINDOW",
        _consents,
    ),
    "access request": (lambda desk: desk.researcher, REQUEST, _requests),
}


@pytest.fixture(scope="module")
def desk(scene: Scene, runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(scene, runner, tmp_path_factory.mktemp("desk"))


def meets(desk: Desk, sender: int, line: str, plan: Planned) -> Done:
    """A command that a fault happens to: it succeeds, or fails in the one way that it should."""
    desk.scene.plan(plan)
    done = desk.run(sender, line)
    desk.scene.mend()
    assert "Traceback" not in done.err
    assert SECRET not in done.out + done.err
    if plan.fault in INTERRUPTIONS:
        assert done.code == ExitCode.INTERRUPTED, done
    assert done.code in (ExitCode.OK, ExitCode.INTERRUPTED, ExitCode.UNREACHABLE), done
    assert bool(done.out) == (done.code == ExitCode.OK)
    return done


def happens_once(desk: Desk, name: str, plan: Planned) -> str:
    """Give a command; if it fails, give it again. What was sent by then, it must have said."""
    who, line, count = COMMANDS[name]
    if name == "pool withdraw":
        # The patient has something to be settled with it.
        desk.succeeds(desk.researcher, REQUEST)
    before = desk.runner.run(count(desk))
    done = meets(desk, who(desk), line, plan)
    outcome = "right answer"
    if done.code != ExitCode.OK:
        told = [int(text, 16) for text in re.findall("0x[0-9a-f]{10,}", done.err)]
        there = [one for one in told if desk.runner.run(desk.is_on_chain(one))]
        assert there or desk.runner.run(count(desk)) == before, f"{name} happened and does not say so: {done}"
        desk.succeeds(who(desk), line)
        desk.scene.proxy.release()
        outcome = f"exit code {done.code}, {'was sent' if there else 'was not sent'}, given again"
    happened = desk.runner.run(count(desk)) - before
    assert happened == 1, f"{name} happened {happened} times: {done}"
    return outcome


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_happens_once(desk: Desk, name: str, record_property: RecordProperty) -> None:
    with reaching(record_property, name, [*INTERRUPTIONS], name) as reach:
        # Every other fault meets every operation in the tests of the library: here are some of them.
        faults = [*INTERRUPTIONS, *reach.some(HERE, 4 * PLACES)]
        who, line, _ = COMMANDS[name]
        desk.scene.proxy.seen.clear()
        desk.succeeds(who(desk), line)
        seen = list(desk.scene.proxy.seen)
        for fault in faults:
            reach.add(name, fault, happens_once(desk, name, Planned(fault, SUBMISSIONS)))
        for number in reach.elsewhere(seen):
            for fault in reach.some(faults, 2 * PLACES):
                reach.add(name, fault, happens_once(desk, name, Planned(fault, skip=number)))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_ends_after_its_block_is_not_done_again(desk: Desk, name: str) -> None:
    who, line, _ = COMMANDS[name]
    desk.scene.proxy.seen.clear()
    desk.succeeds(who(desk), line)
    seen = list(desk.scene.proxy.seen)
    submitted = next(number for number, method in enumerate(seen) if method in SUBMISSIONS)
    for number in range(submitted + 1, len(seen)):
        assert "was sent" in happens_once(desk, name, Planned("Ctrl-C before", skip=number))


def test_an_export_is_whole_or_not_there(desk: Desk, record_property: RecordProperty) -> None:
    """And after an interruption the same command writes it."""
    with reaching(record_property, "export interrupted", [*INTERRUPTIONS], "access export") as reach:
        desk.scene.proxy.seen.clear()
        desk.succeeds(desk.patient, f"{EXPORT} first.json")
        seen = list(desk.scene.proxy.seen)
        there = set(desk.folder.iterdir())
        heads = desk.runner.run(fetch_heads(desk.medsync.client, desk.medsync.address, desk.patient))
        for kind in INTERRUPTIONS:
            for number in reach.elsewhere(seen):
                done = meets(desk, desk.patient, f"{EXPORT} log.json", Planned(kind, skip=number))
                assert "nothing was sent" in done.err
                assert set(desk.folder.iterdir()) == there
                desk.succeeds(desk.patient, f"{EXPORT} log.json")
                file = desk.folder / "log.json"
                assert json_export.verify_export(file.read_text(), heads).anchored
                file.unlink()
                reach.add("access export", kind, "130, no file, then whole")


def test_a_command_that_does_not_tell_is_found_out(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = interrupt.Interrupted("nothing was sent")
    monkeypatch.setattr(interrupt, "interrupted", lambda sent, resume_hint: silent)
    with pytest.raises(AssertionError, match="happened and does not say so"):
        happens_once(desk, "pool fund", Planned("Ctrl-C after", SUBMISSIONS))


def test_a_command_that_forgets_is_found_out(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the next command did not know what the last one sent, it would do it twice."""
    monkeypatch.setattr(unsettled, "recall", lambda account: None)
    with pytest.raises(AssertionError, match="happened 2 times"):
        happens_once(desk, "pool fund", Planned("Ctrl-C after", SUBMISSIONS))
