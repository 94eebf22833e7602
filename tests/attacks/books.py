"""A pool's books as an auditor keeps them: what it owes, put together from what anyone can read."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from tests.harness.driver import Contract, View
from tests.harness.world import World, id_of


@dataclass(frozen=True)
class Books:
    """One pool, and everybody and everything that may have to do with it."""

    world: World
    pool: Contract
    token: Contract
    campaigns: Sequence[dict[str, Any]]
    patients: Sequence[int]
    accessors: Sequence[int]
    """Whoever was given a budget, the funders among them."""
    owners: Sequence[int]
    """Whoever may have a credit."""
    keys: Sequence[int] = ()
    """Whoever is paid without an account."""

    def views(self) -> list[View]:
        medsync, pool = self.world.medsync, self.pool
        budgets = product(self.campaigns, self.accessors)
        consents = product(self.campaigns, self.patients, self.accessors)
        return [
            View(pool, "liabilities", {}),
            View(self.token, "balance_of", {"account": pool.address}),
            *(View(pool, "campaign", {"terms": terms}) for terms in self.campaigns),
            *(
                View(medsync, "budget", {"campaign": id_of(terms), "accessor": accessor})
                for terms, accessor in budgets
            ),
            *(
                View(
                    medsync,
                    "paid_uses",
                    {
                        "patient": patient,
                        "grantee": accessor,
                        "purpose": terms["purpose"],
                        "study": terms["study"],
                        "campaign": id_of(terms),
                    },
                )
                for terms, patient, accessor in consents
            ),
            *(View(pool, "claimable", {"owner": owner}) for owner in self.owners),
            *(View(pool, "key_credit", {"key": key}) for key in self.keys),
        ]

    def check(self) -> int:
        """The pool holds at least what it owes, and owes exactly what campaigns, consents and credits add up
        to; returns that."""
        answers = iter(self.world.read_all(self.views()))
        liabilities, held = next(answers), next(answers)
        # A hostile token's answer may have any shape; here it is the two halves.
        balance = held if isinstance(held, int) else held[0] + (held[1] << 128)
        campaigns = [next(answers) for _ in self.campaigns]
        budgets = {
            (id_of(terms), accessor): next(answers)
            for terms, accessor in product(self.campaigns, self.accessors)
        }
        consents = {
            (id_of(terms), patient, accessor): next(answers)
            for terms, patient, accessor in product(self.campaigns, self.patients, self.accessors)
        }
        owed = sum(next(answers) for _ in self.owners)
        owed += sum(next(answers)["claimable"] for _ in self.keys)
        for terms, campaign in zip(self.campaigns, campaigns, strict=True):
            custodian = terms["rate"] * terms["custodian_bps"] // 10_000
            own = [budget for (id, _), budget in budgets.items() if id == id_of(terms)]
            earned = [uses for (id, *_), uses in consents.items() if id == id_of(terms)]
            left, paid = (sum(budget[field] for budget in own) for field in ("left", "paid"))
            if terms["spender"]:
                left = campaign["granted"] - campaign["taken"] - campaign["spent"]
                assert own == [] or paid == 0
            else:
                assert campaign["granted"] - campaign["taken"] == left + paid
            owed += terms["rate"] * left
            owed += custodian * sum(budget["paid"] - budget["custodian_settled"] for budget in own)
            owed += (terms["rate"] - custodian) * sum(uses["paid"] - uses["settled"] for uses in earned)
            for accessor in self.accessors:
                mine = sum(consents[id_of(terms), one, accessor]["paid"] for one in self.patients)
                assert budgets[id_of(terms), accessor]["paid"] == mine
        assert liabilities == owed
        assert balance >= liabilities
        return int(liabilities)
