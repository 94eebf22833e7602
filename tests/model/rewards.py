"""The reward pools: escrow by campaign, a fixed price per permitted access, credits for their owners."""

from .log import campaign_id
from .state import Campaign, Credit, Pool, Puppet, operation
from .tokens import Tokens
from .words import BPS_WHOLE, CLOSE_NOTICE, PURPOSES, U123_MAX, CampaignTerms, require

# What a pool answers when it does not pay, and the reason that becomes in the log.
REFUSALS = {
    "Closed": "CampaignClosed",
    "Expired": "CampaignExpired",
    "Unfunded": "RewardUnfunded",
    "AllowanceExceeded": "AllowanceExceeded",
}


def shares(rate: int, custodian_bps: int) -> tuple[int, int]:
    """(patient, custodian): the custodian's part rounded down, the patient gets all the rest."""
    custodian = rate * custodian_bps // BPS_WHOLE
    return rate - custodian, custodian


class Rewards(Tokens):
    @operation
    def deposit(self, caller: int, now: int, pool: int, terms: CampaignTerms, amount: int) -> None:
        at, key, campaign = self._own_campaign(caller, pool, terms)
        require(amount != 0, "POOL/ZERO_AMOUNT")
        require(terms.purpose in PURPOSES, "POOL/BAD_PURPOSE")
        require(terms.rate != 0, "POOL/ZERO_RATE")
        require(terms.custodian_bps <= BPS_WHOLE, "POOL/BAD_BPS")
        require((terms.custodian == 0) == (terms.custodian_bps == 0), "POOL/BAD_CUSTODIAN")
        require(now < terms.expires_at, "POOL/CAMPAIGN_EXPIRED")
        require(campaign.status != "Closed", "POOL/CAMPAIGN_CLOSED")
        require(at.lifetime_deposits + amount <= U123_MAX, "POOL/DEPOSIT_CAP")
        if campaign.status == "None":
            campaign.status = "Open"
            at.campaigns[key] = campaign
            self.emit(
                pool,
                "CampaignOpened",
                {"campaign": key, "funder": caller, "purpose": terms.purpose},
                {"terms": terms},
            )
        campaign.remaining += amount
        campaign.deposited += amount
        at.lifetime_deposits += amount
        self.emit(pool, "RewardDeposited", {"campaign": key, "funder": caller}, {"amount": amount})
        self.take(at.token, now, caller, pool, amount)
        after = self.state.pools[pool]
        require(self.state.tokens[after.token].balances.get(pool, 0) >= after.liabilities(), "POOL/SHORTFALL")

    @operation
    def set_allowance(
        self, caller: int, now: int, pool: int, terms: CampaignTerms, accessor: int, amount: int
    ) -> None:
        """What `accessor` may still spend of the campaign; a new amount replaces the old one."""
        at, key, _ = self._own_campaign(caller, pool, terms)
        require(accessor != 0, "POOL/ZERO_ADDRESS")
        at.allowances[key, accessor] = amount
        self.emit(pool, "AllowanceSet", {"campaign": key, "accessor": accessor}, {"amount": amount})

    @operation
    def announce_close(self, caller: int, now: int, pool: int, terms: CampaignTerms) -> None:
        _, key, campaign = self._own_campaign(caller, pool, terms)
        require(campaign.status == "Open", "POOL/NOT_OPEN")
        campaign.closing_at = now + CLOSE_NOTICE
        self.emit(pool, "CampaignCloseAnnounced", {"campaign": key}, {"closing_at": campaign.closing_at})

    @operation
    def close_campaign(self, caller: int, now: int, pool: int, terms: CampaignTerms) -> None:
        at, key, campaign = self._own_campaign(caller, pool, terms)
        require(campaign.status == "Open", "POOL/NOT_OPEN")
        announced = campaign.closing_at != 0 and now >= campaign.closing_at
        require(now >= terms.expires_at or announced, "POOL/CLOSE_TOO_EARLY")
        refund, campaign.remaining = campaign.remaining, 0
        campaign.refunded += refund
        campaign.status = "Closed"
        self._credit(at, caller, refund)
        self.emit(pool, "CampaignClosed", {"campaign": key}, {"refunded": refund})

    @operation
    def withdraw(self, caller: int, now: int, pool: int, amount: int, recipient: int) -> None:
        at = self.state.pools[pool]
        require(amount != 0, "POOL/ZERO_AMOUNT")
        require(recipient not in (0, pool), "POOL/BAD_RECIPIENT")
        credit = at.credits.get(caller, Credit())
        require(amount <= credit.claimable, "POOL/INSUFFICIENT_CREDIT")
        credit.claimable -= amount
        credit.withdrawn += amount
        self.emit(pool, "RewardWithdrawn", {"owner": caller}, {"recipient": recipient, "amount": amount})
        self.give(at.token, now, pool, recipient, amount)

    def pay(self, now: int, terms: CampaignTerms, patient: int, accessor: int) -> str | None:
        """Have the pool pay for one permitted access; None, or the first reason why it is not paid."""
        pool = self.state.pools[terms.pool]
        if isinstance(pool, Puppet):
            return None if pool.accrual == "Paid" else REFUSALS.get(pool.accrual, "PoolFailed")
        key = campaign_id(terms)
        campaign = pool.campaigns.get(key, Campaign())
        if campaign.status == "Closed":
            return "CampaignClosed"
        if now >= terms.expires_at:
            return "CampaignExpired"
        if campaign.status == "None" or campaign.remaining < terms.rate:
            return "RewardUnfunded"
        if accessor != terms.funder:
            if pool.allowances.get((key, accessor), 0) < terms.rate:
                return "AllowanceExceeded"
            pool.allowances[key, accessor] -= terms.rate
        patient_share, custodian_share = shares(terms.rate, terms.custodian_bps)
        campaign.remaining -= terms.rate
        campaign.paid_count += 1
        campaign.paid += terms.rate
        self._credit(pool, patient, patient_share)
        self._credit(pool, terms.custodian, custodian_share)
        self.emit(
            terms.pool,
            "RewardAccrued",
            {"campaign": key, "patient": patient, "accessor": accessor},
            {
                "custodian": terms.custodian,
                "patient_share": patient_share,
                "custodian_share": custodian_share,
            },
        )
        return None

    def ask_campaign(self, terms: CampaignTerms) -> tuple[int, int, str] | None:
        """What the pool that the terms name says of them: id, log and status; None if it is no pool."""
        pool = self.state.pools.get(terms.pool)
        if pool is None:
            return None
        if isinstance(pool, Puppet):
            return pool.campaign, pool.log, "Open"
        key = campaign_id(terms)
        return key, pool.log, pool.campaigns.get(key, Campaign()).status

    @operation
    def accrue(
        self, caller: int, now: int, pool: int, terms: CampaignTerms, patient: int, accessor: int
    ) -> None:
        """Called from outside: nobody but the log gets past the door, and the log calls `pay`."""
        require(caller == self.state.pools[pool].log, "POOL/NOT_LOG")

    def _own_campaign(self, caller: int, pool: int, terms: CampaignTerms) -> tuple[Pool, int, Campaign]:
        """The campaign these terms name, for its funder only."""
        require(terms.pool == pool, "POOL/WRONG_POOL")
        require(caller == terms.funder, "POOL/NOT_FUNDER")
        key, at = campaign_id(terms), self.state.pools[pool]
        return at, key, at.campaigns.get(key, Campaign())

    def _credit(self, pool: Pool, owner: int, amount: int) -> None:
        pool.credits.setdefault(owner, Credit()).claimable += amount
