"""The reward pools: prepaid uses by campaign, a fixed price per permitted access, credits of their owners."""

from .budgets import Budgets
from .hashes import campaign_id, draw_message, is_on_curve
from .state import Campaign, Credit, KeyCredit, Pool, operation
from .tokens import Tokens
from .words import (
    BPS_WHOLE,
    CLOSE_NOTICE,
    CLOSE_WINDOW,
    MAX_CLAIMS,
    PURPOSES,
    TIME_MAX,
    U64_MAX,
    U123_MAX,
    CampaignTerms,
    Claim,
    Payee,
    require,
)


def shares(rate: int, custodian_bps: int) -> tuple[int, int]:
    """(patient, custodian): the custodian's part rounded down, the patient gets all the rest."""
    custodian = rate * custodian_bps // BPS_WHOLE
    return rate - custodian, custodian


class Rewards(Budgets, Tokens):
    # ---------------------------------------------------------------- the funder's money

    @operation
    def deposit(self, caller: int, now: int, pool: int, terms: CampaignTerms, amount: int) -> None:
        at, key, campaign = self._own_campaign(caller, pool, terms)
        require(amount != 0, "POOL/ZERO_AMOUNT")
        require(terms.purpose in PURPOSES, "POOL/BAD_PURPOSE")
        require(terms.rate != 0, "POOL/ZERO_RATE")
        require(terms.custodian_bps <= BPS_WHOLE, "POOL/BAD_BPS")
        has_share = terms.custodian_bps > 0
        require((terms.custodian != 0) == has_share and terms.custodian != pool, "POOL/BAD_CUSTODIAN")
        require(now < terms.expires_at, "POOL/CAMPAIGN_EXPIRED")
        require(terms.expires_at <= TIME_MAX, "POOL/TIME_RANGE")
        require(amount % terms.rate == 0, "POOL/NOT_A_MULTIPLE")
        uses = amount // terms.rate
        require(uses <= U64_MAX, "POOL/TOO_MANY_USES")
        require(campaign.status != "Closed", "POOL/CAMPAIGN_CLOSED")
        require(campaign.granted + uses <= U64_MAX, "POOL/TOO_MANY_USES")
        require(at.liabilities + amount <= U123_MAX, "POOL/LIABILITY_CAP")
        if campaign.status == "None":
            campaign.status = "Open"
            at.campaigns[key] = campaign
            keys = {"campaign": key, "funder": caller, "purpose": terms.purpose}
            self.emit(pool, "CampaignOpened", keys, {"terms": terms})
        campaign.granted += uses
        campaign.closing_at = 0
        at.liabilities += amount
        keys = {"campaign": key, "funder": caller}
        self.emit(pool, "RewardDeposited", keys, {"amount": amount, "uses": uses})
        self.take(at.token, now, caller, pool, amount)
        after = self.state.pools[pool]
        require(self.state.tokens[after.token].balances.get(pool, 0) >= after.liabilities, "POOL/SHORTFALL")
        if terms.spender == 0:
            self.grant(pool, terms, caller, uses)

    @operation
    def increase_allowance(
        self, caller: int, now: int, pool: int, terms: CampaignTerms, accessor: int, uses: int
    ) -> None:
        _, key, campaign = self._own_campaign(caller, pool, terms)
        require(terms.spender == 0, "POOL/OTHER_SPENDER")
        require(accessor not in (0, caller), "POOL/BAD_ACCESSOR")
        require(campaign.status == "Open", "POOL/NOT_OPEN")
        require(uses != 0, "POOL/ZERO_AMOUNT")
        self.take_back(pool, terms, caller, uses)
        self.grant(pool, terms, accessor, uses)
        self.emit(pool, "AllowanceIncreased", {"campaign": key, "accessor": accessor}, {"uses": uses})

    @operation
    def decrease_allowance(
        self, caller: int, now: int, pool: int, terms: CampaignTerms, accessor: int, uses: int
    ) -> None:
        campaign = self._campaign_to_take_from(caller, pool, terms, accessor)
        require(uses != 0, "POOL/ZERO_AMOUNT")
        self._take_from(caller, pool, terms, campaign, accessor, uses)

    @operation
    def revoke_allowance(self, caller: int, now: int, pool: int, terms: CampaignTerms, accessor: int) -> int:
        """All that is left: an accessor cannot make it fail by spending one more use."""
        campaign = self._campaign_to_take_from(caller, pool, terms, accessor)
        return self._take_from(caller, pool, terms, campaign, accessor, None)

    def _campaign_to_take_from(self, caller: int, pool: int, terms: CampaignTerms, accessor: int) -> Campaign:
        _, _, campaign = self._own_campaign(caller, pool, terms)
        require(terms.spender == 0, "POOL/OTHER_SPENDER")
        require(accessor not in (0, caller), "POOL/BAD_ACCESSOR")
        require(campaign.status != "None", "POOL/NOT_FUNDED")
        return campaign

    def _take_from(
        self,
        funder: int,
        pool: int,
        terms: CampaignTerms,
        campaign: Campaign,
        accessor: int,
        uses: int | None,
    ) -> int:
        """Back into the funder's own budget, or of a closed campaign into its credit."""
        taken = self.take_back(pool, terms, accessor, uses)
        if taken == 0:
            return 0
        refunded = 0
        if campaign.status == "Closed":
            refunded = self._refund(funder, pool, terms, campaign, taken)
        else:
            self.grant(pool, terms, funder, taken)
        keys = {"campaign": campaign_id(terms), "accessor": accessor}
        self.emit(pool, "AllowanceDecreased", keys, {"uses": taken, "refunded": refunded})
        return taken

    @operation
    def announce_close(self, caller: int, now: int, pool: int, terms: CampaignTerms) -> None:
        _, key, campaign = self._own_campaign(caller, pool, terms)
        require(campaign.status == "Open", "POOL/NOT_OPEN")
        campaign.closing_at = now + CLOSE_NOTICE
        self.emit(pool, "CampaignCloseAnnounced", {"campaign": key}, {"closing_at": campaign.closing_at})

    @operation
    def close_campaign(self, caller: int, now: int, pool: int, terms: CampaignTerms) -> None:
        """The funder's own uses come back; those of accessors stay until they are taken back, one by one."""
        _, key, campaign = self._own_campaign(caller, pool, terms)
        require(campaign.status == "Open", "POOL/NOT_OPEN")
        if now < terms.expires_at:
            announced = campaign.closing_at != 0
            require(announced and now >= campaign.closing_at, "POOL/CLOSE_TOO_EARLY")
            require(now < campaign.closing_at + CLOSE_WINDOW, "POOL/CLOSE_TOO_LATE")
        campaign.status = "Closed"
        if terms.spender == 0:
            uses = self.take_back(pool, terms, caller, None)
        else:
            uses = campaign.granted - campaign.taken - campaign.spent
        refunded = self._refund(caller, pool, terms, campaign, uses)
        self.emit(pool, "CampaignClosed", {"campaign": key}, {"uses": uses, "refunded": refunded})

    def _refund(self, funder: int, pool: int, terms: CampaignTerms, campaign: Campaign, uses: int) -> int:
        campaign.taken += uses
        self._credit(self.state.pools[pool], funder, uses * terms.rate)
        return uses * terms.rate

    # ---------------------------------------------------------------- what was earned

    @operation
    def settle(
        self, caller: int, now: int, pool: int, patient: int, grantee: int, terms: CampaignTerms
    ) -> int:
        return self._settle(pool, patient, grantee, terms)

    def _settle(self, pool: int, patient: int, grantee: int, terms: CampaignTerms) -> int:
        require(terms.pool == pool, "POOL/WRONG_POOL")
        uses = self.settle_patient(pool, terms, patient, grantee)
        if uses:
            share = uses * shares(terms.rate, terms.custodian_bps)[0]
            self._credit(self.state.pools[pool], patient, share)
            keys = {"campaign": campaign_id(terms), "patient": patient, "grantee": grantee}
            data = {"study": terms.study, "uses": uses, "share": share}
            self.emit(pool, "RewardSettled", keys, data)
        return uses

    @operation
    def settle_custodian(self, caller: int, now: int, pool: int, terms: CampaignTerms, accessor: int) -> int:
        require(terms.pool == pool, "POOL/WRONG_POOL")
        require(terms.custodian != 0, "POOL/NO_CUSTODIAN")
        uses = self.settle_share(pool, terms, accessor)
        if uses:
            share = uses * shares(terms.rate, terms.custodian_bps)[1]
            self._credit(self.state.pools[pool], terms.custodian, share)
            keys = {"campaign": campaign_id(terms), "custodian": terms.custodian, "accessor": accessor}
            self.emit(pool, "CustodianSettled", keys, {"uses": uses, "share": share})
        return uses

    @operation
    def withdraw(
        self, caller: int, now: int, pool: int, amount: int, recipient: int, claims: list[Claim]
    ) -> None:
        require(len(claims) <= MAX_CLAIMS, "POOL/TOO_MANY_CLAIMS")
        for claim in claims:
            self._settle(pool, caller, claim.grantee, claim.terms)
        require(amount != 0, "POOL/ZERO_AMOUNT")
        require(recipient not in (0, pool), "POOL/BAD_RECIPIENT")
        at = self.state.pools[pool]
        credit = at.credits.get(caller, Credit())
        require(amount <= credit.claimable, "POOL/INSUFFICIENT_CREDIT")
        credit.claimable -= amount
        credit.withdrawn = min(credit.withdrawn + amount, U123_MAX)
        at.liabilities -= amount
        self.emit(pool, "RewardWithdrawn", {"owner": caller}, {"recipient": recipient, "amount": amount})
        self.give(at.token, now, pool, recipient, amount)

    # ---------------------------------------------------------------- campaigns that others spend

    @operation
    def spend(self, caller: int, now: int, pool: int, terms: CampaignTerms, payee: Payee) -> None:
        require(terms.pool == pool, "POOL/WRONG_POOL")
        require(terms.spender == caller and caller != 0, "POOL/NOT_SPENDER")
        require(now < terms.expires_at, "POOL/CAMPAIGN_EXPIRED")
        at, key = self.state.pools[pool], campaign_id(terms)
        campaign = at.campaigns.get(key, Campaign())
        require(campaign.granted > campaign.taken + campaign.spent, "POOL/NOTHING_LEFT")
        can_draw = is_on_curve(payee.value) if payee.kind == "Key" else payee.value not in (0, pool)
        require(can_draw, "POOL/BAD_PAYEE")
        campaign.spent += 1
        payee_share, custodian_share = shares(terms.rate, terms.custodian_bps)
        if payee.kind == "Key":
            at.keys.setdefault(payee.value, KeyCredit()).claimable += payee_share
        else:
            self._credit(at, payee.value, payee_share)
        self._credit(at, terms.custodian, custodian_share)
        data = {"payee": payee, "payee_share": payee_share, "custodian_share": custodian_share}
        self.emit(pool, "RewardSpent", {"campaign": key, "spender": caller}, data)

    @operation
    def withdraw_by_key(
        self, caller: int, now: int, pool: int, key: int, amount: int, recipient: int, signed: int
    ) -> None:
        """`signed` is the hash that the holder of the key really put its signature under."""
        require(amount != 0, "POOL/ZERO_AMOUNT")
        require(recipient not in (0, pool), "POOL/BAD_RECIPIENT")
        at = self.state.pools[pool]
        credit = at.keys.get(key, KeyCredit())
        require(amount <= credit.claimable, "POOL/INSUFFICIENT_CREDIT")
        message = draw_message(self.chain_id, pool, key, amount, recipient, credit.nonce)
        require(signed == message, "POOL/BAD_SIGNATURE")
        data = {"recipient": recipient, "amount": amount, "nonce": credit.nonce}
        credit.claimable -= amount
        credit.nonce += 1
        at.liabilities -= amount
        self.emit(pool, "KeyCreditWithdrawn", {"key": key}, data)
        self.give(at.token, now, pool, recipient, amount)

    # ---------------------------------------------------------------- views

    def campaign(self, pool: int, key: int) -> Campaign:
        return self.state.pools[pool].campaigns.get(key, Campaign())

    def accepts_consents(self, now: int, pool: int, key: int) -> bool:
        """Open, and no closing is announced, or what was announced is over."""
        campaign = self.campaign(pool, key)
        over = campaign.closing_at == 0 or now >= campaign.closing_at + CLOSE_WINDOW
        return campaign.status == "Open" and over

    def credit(self, pool: int, owner: int) -> Credit:
        return self.state.pools[pool].credits.get(owner, Credit())

    def unsettled(self, pool: int, patient: int, claims: list[Claim]) -> int:
        """What the campaigns of this pool owe a patient for these consents."""
        total = 0
        for grantee, terms in ((claim.grantee, claim.terms) for claim in claims):
            require(terms.pool == pool, "POOL/WRONG_POOL")
            cell = self.paid_uses((patient, grantee, terms.purpose, terms.study), campaign_id(terms))
            total += (cell.paid - cell.settled) * shares(terms.rate, terms.custodian_bps)[0]
        return total

    def _own_campaign(self, caller: int, pool: int, terms: CampaignTerms) -> tuple[Pool, int, Campaign]:
        """The campaign these terms name, for its funder only."""
        require(terms.pool == pool, "POOL/WRONG_POOL")
        require(caller == terms.funder, "POOL/NOT_FUNDER")
        key = campaign_id(terms)
        return self.state.pools[pool], key, self.campaign(pool, key)

    def _credit(self, pool: Pool, owner: int, amount: int) -> None:
        if amount:
            pool.credits.setdefault(owner, Credit()).claimable += amount
