"""Prepaid uses: what accessors may still spend of a campaign, and what consents have earned."""

from .entities import Entities
from .hashes import campaign_id
from .state import Budget, Key, PaidUses, Pool, operation
from .words import U64_MAX, CampaignTerms, require


class Budgets(Entities):
    @operation
    def create_pool(self, caller: int, now: int, token: int, salt: int) -> int:
        require(token != 0, "BUDGET/ZERO_TOKEN")
        address = self.place_of_pool(caller, token, salt)
        self.state.pools[address] = Pool(token)
        keys = {"pool": address, "token": token}
        self.emit(self.medsync, "PoolCreated", keys, {"creator": caller, "salt": salt})
        return address

    @operation
    def grant_budget(self, caller: int, now: int, terms: CampaignTerms, accessor: int, uses: int) -> None:
        self.grant(caller, terms, accessor, uses)

    @operation
    def take_budget(
        self, caller: int, now: int, terms: CampaignTerms, accessor: int, uses: int | None
    ) -> int:
        return self.take_back(caller, terms, accessor, uses)

    @operation
    def take_unsettled(self, caller: int, now: int, terms: CampaignTerms, patient: int, grantee: int) -> int:
        return self.settle_patient(caller, terms, patient, grantee)

    @operation
    def take_custodian_unsettled(self, caller: int, now: int, terms: CampaignTerms, accessor: int) -> int:
        return self.settle_share(caller, terms, accessor)

    # ---------------------------------------------------------------- what pools ask for

    def grant(self, pool: int, terms: CampaignTerms, accessor: int, uses: int) -> None:
        budget = self._budget_of(pool, terms, accessor)
        require(budget.left + budget.paid + uses <= U64_MAX, "BUDGET/TOO_MANY_USES")
        budget.left += uses
        budget.expires_at = terms.expires_at

    def take_back(self, pool: int, terms: CampaignTerms, accessor: int, uses: int | None) -> int:
        budget = self._budget_of(pool, terms, accessor)
        uses = budget.left if uses is None else uses
        require(uses <= budget.left, "BUDGET/TOO_FEW_USES")
        budget.left -= uses
        return uses

    def settle_patient(self, pool: int, terms: CampaignTerms, patient: int, grantee: int) -> int:
        self._only_pool(pool, terms)
        key = (patient, grantee, terms.purpose, terms.study)
        cell = self.paid_uses(key, campaign_id(terms))
        uses, cell.settled = cell.paid - cell.settled, cell.paid
        return uses

    def settle_share(self, pool: int, terms: CampaignTerms, accessor: int) -> int:
        budget = self._budget_of(pool, terms, accessor)
        uses, budget.custodian_settled = budget.paid - budget.custodian_settled, budget.paid
        return uses

    # ---------------------------------------------------------------- views

    def budget(self, campaign: int, accessor: int) -> Budget:
        return self.state.budgets.get((campaign, accessor), Budget())

    def paid_uses(self, key: Key, campaign: int) -> PaidUses:
        return self.state.paid.get((key, campaign), PaidUses())

    def is_pool(self, address: int) -> bool:
        return address in self.state.pools and self.state.pools[address].deployed_by_medsync

    def _budget_of(self, pool: int, terms: CampaignTerms, accessor: int) -> Budget:
        """The budget, for the pool that the terms name only."""
        self._only_pool(pool, terms)
        return self.state.budgets.setdefault((campaign_id(terms), accessor), Budget())

    def _only_pool(self, caller: int, terms: CampaignTerms) -> None:
        require(caller == terms.pool and self.is_pool(caller), "BUDGET/NOT_POOL")
