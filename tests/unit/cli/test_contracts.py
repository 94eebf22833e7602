"""What commands read of several nodes is compared over all of them."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from medsync.cli.commands import access
from medsync.cli.contracts import Contracts
from medsync.cli.options import Options
from medsync.errors import ExitCode, InputError, VerificationError
from medsync.log.exports import csv
from medsync.protocol.chains import Chain
from medsync.protocol.types import Head
from tests.harness.driver import selector
from tests.harness.histories import BLOCK, CONSENTS, CONTRACT, ENTRIES, HISTORY, PATIENT, REGISTRY, history_of
from tests.unit.log.test_fetch import Honest, OtherBlock


class Several(Contracts):
    """Commands' context over these nodes, the first of which sends the entries."""

    def __init__(self, *nodes: Honest) -> None:
        super().__init__(Options())
        self.nodes = nodes

    async def connection(self) -> Any:
        return SimpleNamespace(client=self.nodes[0], nodes=self.nodes)

    async def record(self) -> Any:
        return SimpleNamespace(medsync=CONTRACT, first_block=0)


async def test_histories_on_which_nodes_agree_are_read() -> None:
    context = Several(Honest(), Honest())
    assert await context.history(PATIENT) == HISTORY
    assert await context.registry() == HISTORY.registry


@pytest.mark.parametrize("false", [0, 1])
async def test_another_head_of_one_of_the_nodes_is_found(false: int) -> None:
    nodes = (Honest(), Honest())
    nodes[false].heads[selector("registry_head")] = Head(1, 1)
    for read in (Several(*nodes).history(PATIENT), Several(*nodes).registry()):
        with pytest.raises(VerificationError, match="Two nodes disagree"):
            await read


async def test_a_csv_is_verified_against_heads_on_which_nodes_agree() -> None:
    """A node that hides the last entries agrees with a file that does, but not with the other node."""
    file, whole, cut = Path("log.csv"), csv.dumps(Chain.CONSENTS, CONSENTS), CONSENTS[:9]
    hides = Honest()
    hides.heads[selector("history_head")] = history_of(Chain.CONSENTS, cut).head
    agreed: Any = Several(Honest(), Honest())
    answer: Any = await access._verify_csv(agreed, file, whole)
    assert (answer["complete"], answer["entries"]) == (True, len(CONSENTS))
    for nodes in ((hides, Honest()), (Honest(), hides)):
        divided: Any = Several(*nodes)
        with pytest.raises(VerificationError, match="Two nodes disagree"):
            await access._verify_csv(divided, file, csv.dumps(Chain.CONSENTS, cut))


async def test_the_block_of_a_file_must_be_that_of_each_node() -> None:
    honest, divided = Honest(), Honest()
    divided.hashes[BLOCK.number] = 0xBAD
    agreed: Any = Several(honest, Honest())
    await access._assert_block(agreed, BLOCK)
    for nodes, block in (((honest, divided), BLOCK), ((honest,), replace(BLOCK, timestamp=7))):
        context: Any = Several(*nodes)
        with pytest.raises(VerificationError, match="states another block 1024") as refused:
            await access._assert_block(context, block)
        assert f"of the time {block.timestamp}" in str(refused.value)


def test_a_batch_that_cannot_be_read_as_csv_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "cohort.csv"
    file.write_text("patient,record\n" + "9" * 200_000 + ",0x0\n")
    with pytest.raises(
        InputError, match=r"cohort\.csv is not a CSV that can be read: field larger"
    ) as refused:
        access._rows(file)
    assert refused.value.exit_code is ExitCode.BAD_INPUT


async def test_an_emergency_is_overdue_by_the_time_of_the_block_that_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The clock is years later, when the justification of a later block may be there."""
    node = OtherBlock(later=9 * 3_600 - 1_009)
    node.latest = 1_009
    for view, chain, entries in (
        ("log_head", Chain.ACCESSES, ENTRIES),
        ("history_head", Chain.CONSENTS, CONSENTS),
        ("registry_head", Chain.REGISTRY, REGISTRY),
    ):
        until = tuple(entry for entry in entries if entry.location and entry.location.block_number <= 1_009)
        node.heads[selector(view)] = history_of(chain, until).head
    context: Any = Several(node)
    answer: Any = await access.emergencies(context, hex(PATIENT))
    (row,) = answer
    assert (row["justified"], row["overdue"], row["block"]) == (False, False, 1_009)
    assert "Complete as of block 1009." in capsys.readouterr().err
