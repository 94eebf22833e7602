"""The published costs are what the contracts cost today, number by number, and they add up."""

from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path
from shutil import copy

import pytest

from medsync import artifacts, bench
from medsync.bench import report
from medsync.bench.cases import MARGINS
from medsync.bench.floor import PRICED
from medsync.bench.measure import Costs, Row, measure_costs
from medsync.errors import VerificationError

NUMBERS = [field.name for field in fields(Row) if field.name not in ("operation", "case")]

INTERNAL = {"accrue"}
"""MedSync alone may call it: it is measured in `request_access`, which does."""


@pytest.fixture(scope="module")
def published() -> Costs:
    return report.read_costs()


@pytest.fixture(scope="module")
async def measured(published: Costs) -> Costs:
    """On a devnet of its own: addresses and clock must be the same every time."""
    return await measure_costs(published)


def test_published_costs_are_measured_again(published: Costs, measured: Costs) -> None:
    assert report.differences(published, measured) == []


@pytest.mark.parametrize("number", NUMBERS)
def test_one_wrong_number_is_found(measured: Costs, number: str) -> None:
    row = measured.rows[0]
    wrong = replace(row, **{number: getattr(row, number) + 1})
    found = report.differences(replace(measured, rows=(wrong, *measured.rows[1:])), measured)
    old, new = getattr(wrong, number), getattr(row, number)
    assert f"{row.operation}: {number} published {old:,}, measured {new:,}" in found


def test_a_wrong_price_a_missing_row_and_an_unknown_one_are_found(measured: Costs) -> None:
    first, *rest = measured.rows
    prices = replace(measured.prices, reads=1)
    planted = Costs(prices, (replace(first, case="unheard of"), *rest))
    assert report.differences(planted, measured) == [
        f"price of reads: published 1, measured {measured.prices.reads:,}",
        f"{first.operation}, unheard of: published, but not measured",
        f"{first.operation}: measured, but not published",
    ]


def plant_cost(folder: Path) -> None:
    costs = folder / report.COSTS
    costs.write_text(costs.read_text().replace('"reads": 2', '"reads": 3', 1))


def plant_prose(folder: Path) -> None:
    (folder / report.PAGE).write_text("It costs nothing.\n")


def remove_chart(folder: Path) -> None:
    (folder / report.CHART).unlink()


@pytest.mark.parametrize(
    ("plant", "finding"),
    [
        (plant_cost, "register_entity: reads published 3, measured 2"),
        (plant_prose, f"{report.PAGE} is not what the published numbers say"),
        (remove_chart, f"{report.CHART} is not what the published numbers say"),
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
    assert finding in refusal.value.findings


def test_page_and_chart_are_rendered_from_what_is_published(published: Costs) -> None:
    for name, content in report.files(published, report.read_speeds()).items():
        assert report.path(name).read_text() == content, name


def test_everything_that_changes_state_is_measured(published: Costs) -> None:
    entry_points = {
        item["name"]
        for contract in ("MedSync", "RewardPool")
        for entry in artifacts.load(contract).abi
        if entry["type"] == "interface"
        for item in entry["items"]
        if item["state_mutability"] == "external"
    }
    assert {row.operation for row in published.rows} == entry_points - INTERNAL | {"verify_consent"}


def test_floors_add_up(published: Costs) -> None:
    margins = {case for case, *_ in MARGINS}
    prices = asdict(published.prices)
    for row in published.rows:
        if row.case not in margins:
            work = sum(prices[name] * getattr(row, name) for name in PRICED)
            assert row.floor == prices["transaction"] + work + row.state_update + row.foreign, row.name


def test_nothing_costs_less_than_its_floor_and_much_more_only_for_a_reason(published: Costs) -> None:
    for row in published.rows:
        assert row.ratio >= 1, row.name
        assert row.ratio <= report.GOAL or report.REASONS.get(row.name), row.name
