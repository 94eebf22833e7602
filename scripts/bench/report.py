"""The published results: two JSON files, and the page and chart rendered from them.

`docs/costs.json` contains the rows, `docs/benchmarks.json` the prices that floors are computed from, and the
speeds. The page and the chart are rendered from these files only, so that a check can compare them.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

from medsync.deployment.toolchain import DEVNET_VERSION, STARKNET_VERSION
from medsync.errors import InputError
from scripts import repository
from scripts.bench.floor import Prices
from scripts.bench.measure import Costs, Row
from scripts.bench.speed import Speed, speeds_from_json

COSTS: Final = "docs/costs.json"
BENCHMARKS: Final = "docs/benchmarks.json"
PAGE: Final = "docs/costs.md"
CHART: Final = "docs/costs.svg"

#: The ratios of cost to floor above which an operation, or a batch of them, needs a reason.
GOAL: Final = 1.15
BATCH_GOAL: Final = 1.30


# --- files ---


def read_costs() -> Costs:
    """Read the published costs. Raises InputError if they are missing."""
    rows, benchmarks = _read(COSTS), _read(BENCHMARKS)
    try:
        return Costs(Prices(**benchmarks["prices"]), tuple(map(Row.from_json, rows)))
    except (KeyError, TypeError) as error:
        raise InputError(f"{COSTS} or {BENCHMARKS} is malformed: {error!r}.", hint=_HINT) from None


def read_speeds() -> list[Speed]:
    """Read the published speeds. Raises InputError if they are missing."""
    return speeds_from_json(_read(BENCHMARKS)["speeds"])


def files(costs: Costs, speeds: Sequence[Speed]) -> dict[str, str]:
    """The content of all published files, by path in the repository."""
    benchmarks = {
        "starknet_version": STARKNET_VERSION,
        "prices": asdict(costs.prices),
        "speeds": [asdict(speed) for speed in speeds],
    }
    return {
        COSTS: _dump([row.to_json() for row in costs.rows]),
        BENCHMARKS: _dump(benchmarks),
        PAGE: page(costs, speeds),
        CHART: chart(costs),
    }


@dataclass(frozen=True)
class Difference:
    """A measured number that differs from the published one. Either side is None if it lacks the row."""

    what: str
    number: str
    published: float | None
    measured: float | None

    @property
    def change(self) -> str:
        """The change in units and in percent."""
        if self.published is None:
            return "new"
        if self.measured is None:
            return "gone"
        change = round(self.measured - self.published, 3)
        share = f" ({change / self.published:+.2%})" if self.published else ""
        return f"{change:+,}{share}"


def differences(published: Costs, measured: Costs) -> list[Difference]:
    """All differences between measured and published costs, in their order, including lower costs."""
    old, new = asdict(published.prices), asdict(measured.prices)
    found = [Difference("price", name, old[name], new[name]) for name in old if old[name] != new[name]]
    before, after = ({row.name: row for row in costs.rows} for costs in (published, measured))
    for name in before | after:
        if name not in before:
            found.append(Difference(after[name].title, "l2_gas", None, after[name].l2_gas))
        elif name not in after:
            found.append(Difference(before[name].title, "l2_gas", before[name].l2_gas, None))
        else:
            old, new = before[name].to_json(), after[name].to_json()
            found += [
                Difference(before[name].title, number, old[number], new[number])
                for number in old
                if old[number] != new[number]
            ]
    return found


def difference_table(found: Sequence[Difference]) -> list[str]:
    """Format differences as the lines of a table with a header row; no lines without differences."""
    if not found:
        return []
    lines = [("case", "number", "published", "measured", "change")]
    lines += [
        (
            difference.what,
            difference.number,
            _amount(difference.published),
            _amount(difference.measured),
            difference.change,
        )
        for difference in found
    ]
    what, number, *amounts = (max(map(len, column)) for column in zip(*lines, strict=True))
    return [
        "  ".join(
            [line[0].ljust(what), line[1].ljust(number)]
            + [cell.rjust(width) for cell, width in zip(line[2:], amounts, strict=True)]
        )
        for line in lines
    ]


def _amount(number: float | None) -> str:
    return "-" if number is None else f"{number:,}"


def path(name: str) -> Path:
    """The path of a published file."""
    return repository.root() / name


_HINT: Final = "Run `make bench` to write it."


def _read(name: str) -> Any:
    try:
        return json.loads(path(name).read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{name} cannot be read: {error}.", hint=_HINT) from None


def _dump(content: object) -> str:
    return json.dumps(content, indent=2) + "\n"


# --- the page ---

OPERATIONS: Final = {
    "Access": (
        *("request_access", "request_access_batch", "request_emergency_access", "justify_emergency"),
        *("contest_emergency", "state_deletion", "verify_consent"),
    ),
    "Consents": (
        *("request_consent", "add_consent", "add_consent_for", "add_consent_by_sig"),
        *("revoke_consent", "revoke_consent_for", "revoke_consent_by_sig", "revoke_all", "revoke_all_for"),
        *("refuse_consent", "refuse_consent_for", "refuse_purpose", "allow_purpose"),
    ),
    "Delegates, emergencies and signatures": (
        *("set_delegate", "dismiss_delegates", "set_emergency_choice", "allow_emergency"),
        *("forbid_emergency", "cancel_signatures"),
    ),
    "Rewards": (
        *("create_pool", "deposit", "increase_allowance", "decrease_allowance", "revoke_allowance"),
        *("settle", "settle_custodian", "withdraw", "spend", "withdraw_by_key"),
        *("announce_close", "close_campaign"),
    ),
    "Entities": (
        *("register_entity", "suspend_entity", "suspend_self", "reinstate_entity", "change_profile"),
        *("begin_admin_transfer", "cancel_admin_transfer", "accept_admin_transfer", "announce_successor"),
    ),
    "Private logs": ("anchor", "rotate", "verify_inclusion"),
    "For comparison": ("transfer",),
}

_PROVEN: Final = (
    "Three signatures (ECDSA) are verified, 187,000 with the message they sign, and a proof that the log only"
    " grew: 12 hashes for one leaf, 21 for 1,000, each with the arithmetic of where it belongs, 12,000 to"
    " 17,000. A floor has neither."
)

#: Why a case costs more than its goal times its floor.
REASONS: Final[Mapping[tuple[str, str], str]] = {
    ("request_access_batch", "10 refused: never given"): (
        "A refused request changes one cell only, so the contracts' own computation weighs more than in a"
        " permitted one: 115,000 per request (storage addresses, unpacking, deciding, digest)."
    ),
    ("anchor", "3 of 5 nodes, 1 leaf"): _PROVEN,
    ("anchor", "3 of 5 nodes, 1,000 leaves"): _PROVEN,
    ("verify_inclusion", "of 2^20 leaves, called in a transaction"): (
        "20 hashes, each with the arithmetic of where it belongs: 12,000."
    ),
}

_PRICE_NAMES: Final = {
    "transaction": "transaction whose one call does nothing",
    "reads": "storage cell read",
    "writes": "storage cell written, without what the change of state costs",
    "new_cells": "storage cell that was zero, on top",
    "events": "event, without keys and data",
    "event_keys": "key of an event",
    "event_data": "datum of an event",
    "calldata": "felt of the call's arguments",
    "answer": "felt of the call's answer",
    "calls": "call of another contract",
    "acts": "execution info (who calls, when)",
}

_INTRODUCTION: Final = f"""\
# What things cost

Written by `make bench` from [costs.json](costs.json) and [benchmarks.json](benchmarks.json); do not edit
it. All gas is that of Starknet {STARKNET_VERSION}, taken from receipts of starknet-devnet
{DEVNET_VERSION}. The same contracts cost exactly the same in every run. `make test` measures all of it
again, as does `python -m scripts bench --check`, and fails with a table of every number that rose or fell. To
accept such a change, run `make bench`, which shows the same table, and commit what it wrote.

- **L2 gas** is that of the complete transaction, sent by the smallest possible account. Computation is
  metered in Sierra gas, as Starknet does for classes of Sierra 1.7 and later. By default, devnet meters it in
  Cairo steps, because it reads a class's Sierra version from the wrong field; `make demo` therefore shows the
  column **in steps**, plus about 200,000 for devnet's larger accounts. On Starknet, this metering applies if
  the sender's account has an older class.
- **floor** is the minimal cost of the same effects (see [below](#floors)), **ratio** is cost divided by
  floor. The goal is at most {GOAL:.2f}, and {BATCH_GOAL:.2f} for batches, whose requests share one
  transaction.
- **cells** are storage cells of MedSync, RewardPool and PrivateAnchor: read / changed / new. A cell counts as
  read if the transaction depends on it: the node reports the cells it needed (`RETURN_INITIAL_READS`), and
  each changed cell is set to a different value in an experiment; if no effect of the transaction depends on
  it, it was not read. A cell counts once however often it is read or written; repeated access shows in the
  ratio.
- **events** are those of these contracts: number / keys / data felts. **felts** are the call's arguments /
  result; **calls** are the calls that the contracts make. **data gas** is L1 data gas.
- *First* cases pay for new storage cells, {{new_cells}} each, once per patient, consent, campaign and so on;
  the other cases show the cost from then on. Purposes are the most frequent ones; a rare one costs up to
  1,500 more. For a patient who refuses everyone for another purpose, every request also looks for the bit of
  its purpose: see *permit, paid, another purpose refused*.
- Requests of unknown and of suspended entities revert. They have no effects, are logged nowhere, and are not
  measured.
"""

_LIMITS: Final = """\
## Limits

`make bench` fails if one of these is exceeded, or if an operation costs more than its goal without a
[reason](#above-the-goal). The transfer is one of STRK to an account that has some, sent by the same smallest
account in the same run. *Warm* means that it is not the patient's first access.
"""

_LIFETIME: Final = """\
## A paid access over its life

A permitted access reserves its pay; later, one transaction settles all uses of a consent since the last
settlement, and one pays them out. L2 gas per access, by the number of uses that are settled together, from
the rows *permit, paid*, `settle` *again*, and `withdraw` *to a recipient with tokens* or *with one claim*,
which settles and pays out in one transaction. The custodian's share is settled once for all patients of an
accessor: `settle_custodian`.
"""

_RELAYER: Final = """\
## A patient's first consent through a relayer

A patient without gas signs a message, and a relayer sends it: `add_consent_by_sig`, whose signature is
verified by the patient's account, here the smallest one. The first consent writes three new cells: the
consent, the patient's state, and the head of the patient's history.
"""

_FLOORS: Final = """\
## Floors

A floor is the cost of the same effects in the yardstick contract (`tests/mocks/src/yardstick.cairo`), which
produces them without any other work: without computing storage addresses, packing, checking or decoding. It
is measured in the same run and from the same account:

    floor = transaction + sum of counts times prices + state update + foreign work

*State update* is the protocol's charge, in addition to the writes, for the number of changed cells and
contracts (in steps of 40,000, and higher per cell beyond about twenty). *Foreign work* is the cost of called
external contracts, a token (devnet's ETH, a real ERC-20) and a patient's account, and of deploying a pool.
Both are measured by making the yardstick do the same. Calls between MedSync and its pools are not foreign:
the work of both counts as the product's. Every call that has effects may read the execution info once. A
transfer of STRK calls none of the product's contracts: all of it is foreign work, so it is its own floor.
`costs.json` contains all counts, so that each floor can be recomputed.
"""

_SPEED: Final = """\
## Speeds

Measured in a single run on the machine that last generated this page; only ratios between them are meaningful
on other machines.
"""


def page(costs: Costs, speeds: Sequence[Speed]) -> str:
    """`docs/costs.md`."""
    above = [row for rows in _sections(costs).values() for row in rows if is_above_goal(row)]
    prices = asdict(costs.prices)
    blocks = [
        _INTRODUCTION.format(new_cells=f"{costs.prices.new_cells:,}"),
        f"![L2 gas of each operation and what it is made of]({Path(CHART).name})\n",
        _LIMITS,
        _table(
            ("what", "measured", "at most"),
            [(limit.what, limit.show(limit.measured), limit.show(limit.most)) for limit in limits(costs)],
        ),
        _LIFETIME,
        _table(("uses settled together", "settled, then paid out", "in one transaction"), _lifetimes(costs)),
        _RELAYER,
        _table(("L2 gas", "times a transfer of STRK"), [_first_consent(costs)]),
        *(_section(title, rows) for title, rows in _sections(costs).items()),
        "## Above the goal\n",
        _table(
            ("operation", "case", "ratio", "why"),
            [
                (
                    f"`{row.operation}`",
                    row.case,
                    f"{row.l2_gas / row.floor:.4f}",
                    REASONS.get(row.name, "unexplained"),
                )
                for row in above
            ],
        ),
        _FLOORS,
        _table(("one", "L2 gas"), [(_PRICE_NAMES[name], f"{price:,}") for name, price in prices.items()]),
        _SPEED,
        _table(
            ("what", "how fast", "unit"), [(speed.name, f"{speed.value:,g}", speed.unit) for speed in speeds]
        ),
    ]
    return "\n".join(blocks)


@dataclass(frozen=True)
class Limit:
    """A number that must not be exceeded."""

    what: str
    measured: float
    most: float

    def show(self, number: float) -> str:
        """A ratio with four digits, gas in full."""
        return f"{number:,}" if isinstance(number, int) else f"{number:.4f}"


def limits(costs: Costs) -> list[Limit]:
    """What single costs must not exceed."""
    return [
        Limit(
            "a warm paid access, against a transfer of STRK",
            _gas(costs, *_PAID) / _gas(costs, *_TRANSFER),
            1.25,
        ),
        Limit("each further paid request of a batch, L2 gas", _gas(costs, *_FURTHER), 600_000),
    ]


def goal(row: Row) -> float:
    """The ratio above which a row needs a reason."""
    return BATCH_GOAL if row.operation == "request_access_batch" else GOAL


def is_above_goal(row: Row) -> bool:
    """Whether a row needs a reason. Its ratio is not rounded."""
    return row.l2_gas > goal(row) * row.floor


def missed(costs: Costs) -> list[str]:
    """What costs more than it may: above its limit, or above its goal without a reason."""
    findings = [
        f"{limit.what}: {limit.show(limit.measured)}, where {limit.show(limit.most)} is allowed"
        for limit in limits(costs)
        if limit.measured > limit.most
    ]
    findings += [
        f"{row.title}: {row.l2_gas / row.floor:.4f} times its floor, where {goal(row)} is the goal"
        for row in costs.rows
        if is_above_goal(row) and row.name not in REASONS
    ]
    return findings


_TRANSFER: Final = ("transfer", "of STRK, to a recipient with tokens")
_PAID: Final = ("request_access", "permit, paid")
_FURTHER: Final = ("request_access_batch", "each further, paid by one campaign")
_SETTLE: Final = ("settle", "again")
_WITHDRAW: Final = ("withdraw", "to a recipient with tokens")
_WITHDRAW_CLAIM: Final = ("withdraw", "with one claim")
_FIRST_CONSENT: Final = ("add_consent_by_sig", "the patient's first")


def _gas(costs: Costs, operation: str, case: str) -> int:
    return next(row.l2_gas for row in costs.rows if row.name == (operation, case))


def _lifetimes(costs: Costs) -> list[tuple[str, ...]]:
    """L2 gas of a paid access with its share of what pays it out, by uses per settlement."""
    paid, settle, withdraw, claim = (
        _gas(costs, *name) for name in (_PAID, _SETTLE, _WITHDRAW, _WITHDRAW_CLAIM)
    )
    return [
        (str(uses), f"{paid + round((settle + withdraw) / uses):,}", f"{paid + round(claim / uses):,}")
        for uses in (1, 10, 100)
    ]


def _first_consent(costs: Costs) -> tuple[str, str]:
    gas = _gas(costs, *_FIRST_CONSENT)
    return f"{gas:,}", f"{gas / _gas(costs, *_TRANSFER):.2f}"


def _sections(costs: Costs) -> dict[str, list[Row]]:
    """The rows by section, in the order of the page."""
    return {
        title: [row for operation in operations for row in costs.rows if row.operation == operation]
        for title, operations in OPERATIONS.items()
    }


def _section(title: str, rows: Sequence[Row]) -> str:
    lines = [
        (
            f"`{row.operation}`",
            row.case,
            f"{row.l2_gas:,}",
            f"{row.floor:,}",
            f"{row.ratio:.2f}",
            f"{row.reads} / {row.writes} / {row.new_cells}",
            f"{row.events} / {row.event_keys} / {row.event_data}",
            f"{row.calldata} / {row.answer}",
            str(row.calls),
            f"{row.l1_data_gas:,}",
            f"{row.l2_gas_in_steps:,}",
        )
        for row in rows
    ]
    return f"## {title}\n\n{_table(_COLUMNS, lines)}"


_COLUMNS: Final = (
    *("operation", "case", "L2 gas", "floor", "ratio", "cells", "events", "felts", "calls", "data gas"),
    "in steps",
)
_NUMBERS: Final = (
    *("L2 gas", "floor", "ratio", "calls", "data gas", "in steps", "how fast", "measured", "at most"),
    *("uses settled together", "settled, then paid out", "in one transaction", "times a transfer of STRK"),
)


def _table(columns: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rule = ["---:" if column in _NUMBERS else "---" for column in columns]
    return "".join(f"| {' | '.join(line)} |\n" for line in (columns, rule, *lines))


# --- the chart ---

#: The components of a cost in the order of the bars, with colours that colour-blind readers can distinguish
#: (those of Okabe and Ito, and grey for the transaction itself).
_PARTS: Final = {
    "empty transaction": "#bbbbbb",
    "new cells": "#0072b2",
    "reads, writes, state update": "#56b4e9",
    "events": "#009e73",
    "arguments and answer": "#f0e442",
    "calls, token, account": "#cc79a7",
    "beyond the floor": "#d55e00",
}
_LEFT, _WIDTH, _RIGHT, _LINE, _TOP = 390, 560, 60, 17, 54
_SCALE: Final = 4_500_000


def chart(costs: Costs) -> str:
    """`docs/costs.svg`: a bar for each row, except for large batches."""
    rows = [row for rows in _sections(costs).values() for row in rows if row.l2_gas <= _SCALE]
    width, height = _LEFT + _WIDTH + _RIGHT, _TOP + _LINE * len(rows) + 10
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        f' width="{width}" height="{height}" font-family="sans-serif" font-size="11">',
        f"<title>L2 gas by operation, Starknet {STARKNET_VERSION}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for place, (part, colour) in enumerate(_PARTS.items()):
        x, y = 10 + place % 4 * 220, 8 + place // 4 * 18
        drawn.append(f'<rect x="{x}" y="{y}" width="11" height="11" fill="{colour}"/>')
        drawn.append(f'<text x="{x + 17}" y="{y + 10}">{part}</text>')
    for million in range(_SCALE // 1_000_000 + 1):
        x = _LEFT + million * 1_000_000 * _WIDTH // _SCALE
        drawn.append(f'<path d="M{x} {_TOP - 4}V{height - 10}" stroke="#dddddd"/>')
        drawn.append(f'<text x="{x}" y="{_TOP - 7}" text-anchor="middle">{million} M</text>')
    for place, row in enumerate(rows):
        drawn += _bar(costs.prices, row, _TOP + place * _LINE)
    return "\n".join([*drawn, "</svg>", ""])


def _bar(prices: Prices, row: Row, y: int) -> list[str]:
    label = escape(": ".join(filter(None, row.name)))
    drawn = [f'<text x="{_LEFT - 6}" y="{y + 11}" text-anchor="end">{label}</text>']
    x = float(_LEFT)
    for colour, gas in zip(_PARTS.values(), parts(prices, row), strict=True):
        if gas > 0:
            width = gas * _WIDTH / _SCALE
            drawn.append(
                f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_LINE - 4}" fill="{colour}"/>'
            )
            x += width
    drawn.append(f'<text x="{x + 5:.1f}" y="{y + 11}">{row.ratio:.2f}</text>')
    return drawn


def parts(prices: Prices, row: Row) -> tuple[int, ...]:
    """The components of a cost in the chart. Margins include no transaction."""
    priced = {
        name: price * getattr(row, name) for name, price in asdict(prices).items() if name != "transaction"
    }
    work = (
        priced["new_cells"],
        priced["reads"] + priced["writes"] + row.state_update,
        priced["events"] + priced["event_keys"] + priced["event_data"],
        priced["calldata"] + priced["answer"],
        priced["calls"] + priced["acts"] + row.foreign,
    )
    return row.floor - sum(work), *work, row.l2_gas - row.floor
