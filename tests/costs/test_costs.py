"""The published costs are what the contracts cost today, number by number, and they add up."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path
from shutil import copy

import pytest

from medsync import artifacts
from medsync.errors import VerificationError
from medsync.protocol.vocabulary import Reason
from scripts import bench
from scripts.bench import report
from scripts.bench.cases import MARGINS
from scripts.bench.floor import PRICED
from scripts.bench.measure import Costs, Row, measure_costs, refusal
from scripts.bench.report import Difference

NUMBERS = [field.name for field in fields(Row) if field.name not in ("operation", "case")]

BY_POOLS = {
    "grant_budget": "deposit",
    "take_budget": "revoke_allowance",
    "take_unsettled": "settle",
    "take_custodian_unsettled": "settle_custodian",
}
"""What only a pool may call is measured in the pool's operation that calls it."""

VIEWS = {"verify_consent", "verify_inclusion"}
"""Measured all the same: other contracts call them."""

COMPARED = {"transfer"}
"""No operation of these contracts."""

NOT_MEASURED = {
    Reason.GRANTED: "no refusal",
    Reason.BREAK_GLASS: "no refusal",
    Reason.ENTITY_UNKNOWN: "only views answer it: a stranger's request reverts",
    Reason.ENTITY_SUSPENDED: "only views answer it: a suspended entity's request reverts",
}
"""Why no case is refused for a reason."""


@pytest.fixture(scope="module")
def published() -> Costs:
    return report.read_costs()


@pytest.fixture(scope="module")
async def measured(published: Costs) -> Costs:
    """On a devnet of its own: addresses and clock must be the same every time."""
    return await measure_costs(published)


def test_published_costs_are_measured_again(published: Costs, measured: Costs) -> None:
    found = report.differences(published, measured)
    assert not found, "\n".join(["`make bench` accepts these:", *report.difference_table(found)])


@pytest.mark.parametrize("change", [1, -1])
@pytest.mark.parametrize("number", NUMBERS)
def test_one_wrong_number_is_found(measured: Costs, number: str, change: int) -> None:
    """Dearer or cheaper."""
    row = measured.rows[0]
    old = getattr(row, number) + change
    wrong = replace(row, **{number: old})
    found = report.differences(replace(measured, rows=(wrong, *measured.rows[1:])), measured)
    assert Difference(row.title, number, old, getattr(row, number)) in found
    assert {one.number for one in found} <= {number, "ratio"}


def test_a_wrong_price_a_missing_row_and_an_unknown_one_are_found(measured: Costs) -> None:
    first, *rest = measured.rows
    prices = replace(measured.prices, reads=1)
    planted = Costs(prices, (replace(first, case="unheard of"), *rest))
    assert report.differences(planted, measured) == [
        Difference("price", "reads", 1, measured.prices.reads),
        Difference(f"{first.operation}, unheard of", "l2_gas", first.l2_gas, None),
        Difference(first.title, "l2_gas", None, first.l2_gas),
    ]


def test_differences_are_shown_as_a_table() -> None:
    found = [
        Difference("price", "acts", 10_000, 10_840),
        Difference("deposit, again", "l2_gas", 2_045_040, 2_004_139),
        Difference("deposit, again", "ratio", 1.044, 1.023),
        Difference("deposit, again", "new_cells", 0, 1),
        Difference("withdraw", "l2_gas", None, 1_731_135),
        Difference("close", "l2_gas", 931, None),
    ]
    assert report.difference_table(found) == [
        "case            number     published   measured            change",
        "price           acts          10,000     10,840     +840 (+8.40%)",
        "deposit, again  l2_gas     2,045,040  2,004,139  -40,901 (-2.00%)",
        "deposit, again  ratio          1.044      1.023   -0.021 (-2.01%)",
        "deposit, again  new_cells          0          1                +1",
        "withdraw        l2_gas             -  1,731,135               new",
        "close           l2_gas           931          -              gone",
    ]
    assert report.difference_table([]) == []


def plant_cost(folder: Path) -> None:
    costs = folder / report.COSTS
    costs.write_text(costs.read_text().replace('"reads": 4', '"reads": 5', 1))


def plant_prose(folder: Path) -> None:
    (folder / report.PAGE).write_text("It costs nothing.\n")


def remove_chart(folder: Path) -> None:
    (folder / report.CHART).unlink()


@pytest.mark.parametrize(
    ("plant", "finding"),
    [
        (plant_cost, r"register_entity +reads +5 +4 +-1 \(-20.00%\)"),
        (plant_prose, rf"{report.PAGE} does not match the published numbers"),
        (remove_chart, rf"{report.CHART} does not match the published numbers"),
    ],
)
def test_check_fails_with_what_differs(
    measured: Costs,
    plant: Callable[[Path], None],
    finding: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def as_measured(published: Costs) -> Costs:
        return measured

    (tmp_path / "docs").mkdir()
    for name in (report.COSTS, report.BENCHMARKS, report.PAGE, report.CHART):
        copy(report.path(name), tmp_path / name)
    monkeypatch.setattr(report, "path", tmp_path.joinpath)
    monkeypatch.setattr(bench, "measure_costs", as_measured)
    bench.check()
    plant(tmp_path)
    with pytest.raises(VerificationError) as refusal:
        bench.check()
    assert re.search(finding, "\n".join(refusal.value.findings))


def test_page_and_chart_are_rendered_from_what_is_published(published: Costs) -> None:
    for name, content in report.files(published, report.read_speeds()).items():
        assert report.path(name).read_text() == content, name


def test_everything_that_changes_state_is_measured(published: Costs) -> None:
    entry_points = {
        item["name"]
        for contract in ("MedSync", "RewardPool", "PrivateAnchor")
        for entry in artifacts.load(contract).abi
        if entry["type"] == "interface"
        for item in entry["items"]
        if item["state_mutability"] == "external"
    }
    measured = {row.operation for row in published.rows}
    assert measured == entry_points - BY_POOLS.keys() | VIEWS | COMPARED
    assert measured >= set(BY_POOLS.values())
    assert entry_points >= BY_POOLS.keys()


def test_every_operation_is_in_one_section_of_the_page(published: Costs) -> None:
    shown = Counter(operation for operations in report.OPERATIONS.values() for operation in operations)
    assert shown == Counter({row.operation for row in published.rows})


def test_every_reason_for_a_refusal_is_measured(published: Costs) -> None:
    cases = [row.case.partition("refused: ") for row in published.rows]
    measured = {refusal(reason) for _, refused, reason in cases if refused}
    assert measured | NOT_MEASURED.keys() == set(Reason)
    assert not measured & NOT_MEASURED.keys()


def test_floors_add_up(published: Costs) -> None:
    margins = {case for case, *_ in MARGINS}
    prices = asdict(published.prices)
    for row in published.rows:
        if row.case not in margins:
            work = sum(prices[name] * getattr(row, name) for name in PRICED)
            assert row.floor == prices["transaction"] + work + row.state_update + row.foreign, row.name


def test_a_transfer_is_its_own_floor(published: Costs) -> None:
    """None of these contracts takes part in it."""
    (transfer,) = (row for row in published.rows if row.operation == "transfer")
    assert transfer.floor == transfer.l2_gas
    assert (transfer.reads, transfer.writes, transfer.events, transfer.calls) == (0, 0, 0, 0)


def test_nothing_costs_less_than_its_floor_and_much_more_only_for_a_reason(published: Costs) -> None:
    assert [row.name for row in published.rows if row.ratio < 1] == []
    assert report.missed(published) == []


def test_every_reason_is_needed(published: Costs) -> None:
    assert {row.name for row in published.rows if report.is_above_goal(row)} == report.REASONS.keys()


@pytest.mark.parametrize(
    ("name", "finding"),
    [
        (("request_access", "permit, paid"), "a warm paid access, against a transfer of STRK"),
        (("request_access_batch", "each further, paid by one campaign"), "each further paid request"),
        (("deposit", "again"), "deposit, again"),
        (("request_access_batch", "10 unpaid"), "request_access_batch, 10 unpaid"),
    ],
)
def test_what_costs_more_than_is_allowed_is_found(
    published: Costs, name: tuple[str, str], finding: str
) -> None:
    rows = [replace(row, l2_gas=2 * row.l2_gas) if row.name == name else row for row in published.rows]
    assert any(finding in one for one in report.missed(replace(published, rows=tuple(rows))))


def test_a_batch_may_cost_more_than_a_single_operation(published: Costs) -> None:
    """Its floor lacks what makes a single one's floor high: a transaction of its own."""
    row = published.rows[0]
    batch = replace(row, operation="request_access_batch")
    assert (report.goal(row), report.goal(batch)) == (report.GOAL, report.BATCH_GOAL) == (1.15, 1.3)
