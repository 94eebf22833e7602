"""MedSync as a state machine: whatever people do in whatever order, the contracts do what the model does.

`HYPOTHESIS_PROFILE` selects how much is tried (see `SIZES`), `STATEFUL_SEED` repeats a run. The run fails if
a rule, an entry point, an error code, an event, a decision, a reason or a habit of a token was never reached.
"""

import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import hypothesis.stateful
import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition
from hypothesis.strategies._internal.featureflags import FeatureFlags

from tests.harness.driver import Abi
from tests.harness.reach import PROFILES, Reach, profile
from tests.model.log import campaign_id, consent_message, revocation_message
from tests.model.state import HABITS
from tests.model.words import (
    CLOSE_NOTICE,
    DECISIONS,
    MAX_BATCH,
    REASONS,
    TIME_MAX,
    U123_MAX,
    VERIFY_REASONS,
    AccessRequest,
    CampaignTerms,
    ConsentTerms,
    short,
)

from .drawing import INDEPENDENT, draw_from, seed_of_run
from .invariants import OF_LIVENESS
from .system import DAY, ETH, Operation, System, Transaction

# Parts that may run side by side, examples of each part, and steps of each example, by profile.
SIZES = {"quick": (1, 24, 80), "ci": (2, 100, 50), "deep": (2, 2_000, 80)}

LIVENESS_EVERY = 16  # steps

# What this machine cannot reach, and who does.
OUT_OF_REACH = {
    ("reason", "EntityUnknown"): "an unknown accessor reverts: only `verify_consent` says so",
    ("operation", "accrue"): "only the log may call it; paid accesses reach it from the inside",
    ("error", "ACCESS/LOG_FULL"): "needs 2^32 entries: `test_equivalence`",
    ("error", "CONSENT/VERSION_EXHAUSTED"): "needs 2^32 renewals: Cairo unit test of `next_version`",
    ("error", "PACK/RANGE"): "ranges are checked before: Cairo unit tests of packing",
    ("error", "POOL/NOT_A_LOG"): "constructor: tests of the pool",
}

# What a pool makes of its token's habits.
HOSTILE_OUTCOMES = {
    *(
        f"{how}: {act} succeeds"
        for how in ("is honest", "conjures", "calls back")
        for act in ("deposit", "withdraw")
    ),
    *(f"{how}: withdraw succeeds" for how in ("takes a fee", "stands still")),
    *(f"{how}: deposit POOL/SHORTFALL" for how in ("takes a fee", "stands still")),
    *(f"says no: {act} POOL/TRANSFER_FAILED" for act in ("deposit", "withdraw")),
    *(f"says nothing: {act} Returned data too short" for act in ("deposit", "withdraw")),
    *(f"panics: {act} MOCK/PANIC" for act in ("deposit", "withdraw")),
    *(f"blocks: {act} TOKEN/BLOCKED" for act in ("deposit", "withdraw")),
}


@dataclass(frozen=True)
class Draft:
    """Consent terms relative to the moment they are given."""

    purpose: str
    categories: int
    start: int
    length: int
    max_uses: int

    def terms(self, now: int, reward: CampaignTerms | None = None) -> ConsentTerms:
        starts_at = now + self.start
        return ConsentTerms(
            short(self.purpose), self.categories, starts_at, starts_at + self.length, self.max_uses, reward, 7
        )


PATIENT = st.sampled_from(["patient", "second_patient"])
GRANTEE = st.sampled_from(["researcher", "second_researcher", "hospital"])
ANYONE = st.sampled_from(["researcher", "second_researcher", "hospital", "stranger", "guardian", "patient"])
PURPOSE = st.sampled_from(["HRESCH", "CLINTRCH", "TREAT"])
DRAFT = st.builds(
    Draft,
    purpose=PURPOSE,
    categories=st.sampled_from([0xFFFF, 0b11, 0b110, 1 << 15]),
    start=st.sampled_from([0, 0, -DAY, 1, 100]),
    length=st.sampled_from([400 * DAY, 400 * DAY, 2 * DAY, 100, 1]),
    max_uses=st.sampled_from([0, 0, 1, 2]),
)
PICK = st.integers(0, 63)
PATIENTS_ACTS = (
    "give", "give for reward", "revoke", "revoke", "revoke all", "name", "opt out", "cancel", "refuse",
    "withdraw", "fail",
)  # fmt: skip
FUNDERS_ACTS = (
    "ask", "ask", "ask several", "deposit", "allow", "announce", "close", "withdraw", "request consent",
    "fail",
)  # fmt: skip
SUBMITTED = st.sampled_from(["as it is", "as it is", "not", "altered", "forged"])


def several(*defects: str) -> st.SearchStrategy[list[str]]:
    """A third of these: what fails is cheap to try."""
    number = (len(defects) + 2) // 3
    return st.lists(st.sampled_from(defects), min_size=number, max_size=number, unique=True)


RULES: set[str] = set()


def rule(**strategies: Any) -> Callable[[Callable[..., None]], Any]:
    """Hypothesis' rule, with its name kept in the books."""

    def decorate(step: Callable[..., None]) -> Any:
        @wraps(step)
        def counted(machine: "MedSyncMachine", **drawn: Any) -> None:
            machine.system.reach["rule", step.__name__] += 1
            step(machine, **drawn)

        RULES.add(step.__name__)
        return hypothesis.stateful.rule(**strategies)(counted)

    return decorate


class MedSyncMachine(RuleBasedStateMachine):
    system: ClassVar[System]
    swarm: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        if not self.swarm:
            # Hypothesis leaves a random part of the rules out of each example. That finds more in many
            # examples; in few it means that some rules are hardly tried.
            self._rules_strategy.enabled_rules_strategy = st.just(FeatureFlags())
        self.system.begin()
        self.system.narrate = note
        self.offers = [self.system.hostile_terms]  # campaigns that were opened
        self.steps = 0
        self.messages: list[dict[str, Any]] = []  # signed off-chain, submitted or not

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:
                self.settle()
                self.system.compare_everything()
        finally:
            self.system.end()

    # ---------------------------------------------------------------- helpers

    @property
    def now(self) -> int:
        return self.system.now

    def who(self, role: str) -> int:
        return int(getattr(self.system.actors, role))

    def do(self, function: str, caller: str | int, **arguments: Any) -> Any:
        address = self.who(caller) if isinstance(caller, str) else caller
        return self.system.perform(function, address, **arguments)

    def consents(self, permitting: bool = False, rewarded: bool = False) -> list[tuple[int, int, int]]:
        """Keys of the consents ever given, or of those that permit something now, or pay."""
        world = self.world()
        return [
            key
            for key, consent in world.state.consents.items()
            if (not rewarded or consent.campaign)
            and (not permitting or world.verify_consent(self.now, *key, consent.categories)[0] == "Permit")
        ]

    def world(self) -> Any:
        return self.system.world

    def admin(self) -> int:
        return self.world().state.admin

    def terms_of(self, campaign: int) -> CampaignTerms | None:
        known = {campaign_id(terms): terms for terms in (*self.offers, self.system.puppet_terms)}
        return known.get(campaign)

    @initialize(
        rate=st.integers(1, 10**6),
        bps=st.sampled_from([0, 2_500]),
        accesses=st.integers(2, 4),
        order=st.integers(0, 2**32),
    )
    def things_begin(self, rate: int, bps: int, accesses: int, order: int) -> None:
        """A campaign, a paid and an unpaid consent and a guardian: what most steps are about."""
        self.order = Random(order)
        pool, month = self.system.pool.address, 30 * DAY
        self.open(pool, "researcher", "HRESCH", rate, bps, 10 * month, accesses)
        reward = self.offers[-1]
        allowance = {"accessor": self.who("second_researcher"), "amount": rate}
        self.do("set_allowance", "researcher", pool=pool, terms=reward, **allowance)
        paid = Draft("HRESCH", 0xFFFF, 0, 12 * month, 0).terms(self.now, reward)
        for patient, grantee in (("patient", "researcher"), ("second_patient", "second_researcher")):
            self.do("add_consent", patient, grantee=self.who(grantee), terms=paid)
        care = Draft("TREAT", 0b11, 0, 12 * month, 2).terms(self.now)
        self.do("add_consent", "patient", grantee=self.who("hospital"), terms=care)
        guardian = {"delegate": self.who("guardian"), "powers": 7, "expires_at": self.now + 2 * month}
        self.do("set_delegate", "second_patient", **guardian)

    # ---------------------------------------------------------------- time

    @rule(pick=PICK, offset=st.sampled_from([-1, 0, 0, 1]))
    def time_comes(self, pick: int, offset: int) -> None:
        """Go to one of the moments at which something changes, or one second beside it."""
        state = self.world().state
        moments = {self.now + 10}
        for consent in state.consents.values():
            moments |= {consent.starts_at, consent.expires_at}
        moments |= {delegation.expires_at for delegation in state.delegations.values()}
        moments |= {terms.expires_at for terms in self.offers}
        moments |= {message["deadline"] for message in self.messages}
        for pool in self.system.pools:
            moments |= {campaign.closing_at for campaign in state.pools[pool.address].campaigns.values()}
        if state.pending_admin:
            moments.add(state.pending_admin[1])
        ahead = sorted(moment for moment in moments if self.now < moment + offset <= self.now + 450 * DAY)
        if ahead:
            self.system.now = ahead[pick % min(3, len(ahead))] + offset
            note(f"it is now second {self.now}")

    # ---------------------------------------------------------------- entities

    @rule(
        who=ANYONE,
        role=st.sampled_from(["Hospital", "Researcher", "Auditor"]),
        defect=st.sampled_from(["", "", "caller", "nobody", "role", "profile"]),
    )
    def register(self, who: str, role: str, defect: str) -> None:
        self.do(
            "register_entity",
            self.who("relayer") if defect == "caller" else self.admin(),
            address={"": self.who(who), "nobody": 0}.get(defect, self.who("relayer")),
            role="None" if defect == "role" else role,
            profile_commitment=0 if defect == "profile" else 9,
        )

    @rule(
        who=st.sampled_from(["hospital", "researcher", "second_researcher", "second_researcher", "guardian"]),
        how=st.sampled_from(
            ["suspend", "reinstate", "reinstate", "suspend again", "reinstate again", "not admin"]
        ),
    )
    def suspend_or_reinstate(self, who: str, how: str) -> None:
        entity = self.who(who)
        suspended = [a for a, known in self.world().state.entities.items() if known.suspended]
        if how in ("reinstate", "suspend again"):
            if suspended:
                entity = suspended[-1]
            else:
                self.do("suspend_entity", self.admin(), address=entity)
        function = "reinstate_entity" if how.startswith("reinstate") else "suspend_entity"
        self.do(function, self.who("relayer") if how == "not admin" else self.admin(), address=entity)

    @rule(
        to=st.sampled_from(["successor", "successor", "administrator", "guardian"]),
        how=st.sampled_from(
            ["begin", "accept", "cancel", "finish", "finish", "call off", "intrude", "not admin", "nobody"]
        ),
    )
    def hand_over(self, to: str, how: str) -> None:
        """A step of handing the administration over, or all of it."""
        if how in ("begin", "finish", "call off", "intrude", "not admin", "nobody"):
            caller = self.who("stranger") if how == "not admin" else self.admin()
            self.do("begin_admin_transfer", caller, new_admin=0 if how == "nobody" else self.who(to))
        pending = self.world().state.pending_admin
        if how == "not admin":
            self.do("cancel_admin_transfer", "stranger")
        if how in ("cancel", "call off"):
            self.do("cancel_admin_transfer", self.admin())
        if how == "intrude":
            self.do("accept_admin_transfer", "stranger")
        if how == "accept" or (how == "finish" and pending):
            successor = pending[0] if pending else self.who(to)
            if how == "finish" and pending:
                self.system.now = max(self.now, pending[1] - 1)
                self.do("accept_admin_transfer", successor)
                self.system.now = max(self.now, pending[1])
            self.do("accept_admin_transfer", successor)

    # ---------------------------------------------------------------- consents

    @rule(patient=PATIENT, grantee=GRANTEE, draft=DRAFT)
    def give(self, patient: str, grantee: str, draft: Draft) -> None:
        self.do("add_consent", patient, grantee=self.who(grantee), terms=draft.terms(self.now))

    @precondition(lambda self: self.offers)
    @rule(patient=PATIENT, grantee=GRANTEE, draft=DRAFT, pick=PICK)
    def give_for_reward(self, patient: str, grantee: str, draft: Draft, pick: int) -> None:
        reward = self.offers[pick % len(self.offers)]
        terms = replace(draft.terms(self.now, reward), purpose=reward.purpose)
        self.do("add_consent", patient, grantee=self.who(grantee), terms=terms)

    @rule(
        patient=PATIENT,
        draft=DRAFT,
        defects=several(
            "grantee", "self", "unknown", "purpose", "categories", "category", "window", "past", "range"
        ),
        asked=st.booleans(),
    )
    def give_or_ask_wrongly(self, patient: str, draft: Draft, defects: list[str], asked: bool) -> None:
        for defect in defects:
            self.give_or_ask_with(defect, patient, draft, asked)

    def give_or_ask_with(self, defect: str, patient: str, draft: Draft, asked: bool) -> None:
        terms = replace(draft, start=0).terms(self.now)
        match defect:
            case "purpose":
                terms = replace(terms, purpose=short("HMARKT"))
            case "categories":
                terms = replace(terms, categories=0)
            case "category":
                terms = replace(terms, categories=0x10001)
            case "window":
                terms = replace(terms, starts_at=terms.expires_at)
            case "past":
                terms = replace(terms, starts_at=self.now - 1, expires_at=self.now)
            case "range":
                terms = replace(terms, expires_at=TIME_MAX + 1)
        if asked:
            named = {"grantee": 0, "self": self.who("researcher")}.get(defect, self.who(patient))
            caller = "relayer" if defect == "unknown" else "researcher"
            self.do("request_consent", caller, patient=named, terms=terms)
        else:
            named = {"grantee": 0, "self": self.who(patient), "unknown": self.who("relayer")}
            grantee = named.get(defect, self.who("researcher"))
            self.do("add_consent", patient, grantee=grantee, terms=terms)

    @precondition(lambda self: self.offers)
    @rule(
        patient=PATIENT,
        draft=DRAFT,
        pick=PICK,
        defects=several("purpose", "not a pool", "foreign pool", "other claim", "not open"),
    )
    def give_for_wrong_reward(self, patient: str, draft: Draft, pick: int, defects: list[str]) -> None:
        for defect in defects:
            self.give_for_reward_with(defect, patient, draft, pick)

    def give_for_reward_with(self, defect: str, patient: str, draft: Draft, pick: int) -> None:
        reward = self.offers[pick % len(self.offers)]
        match defect:
            case "purpose":
                reward = replace(reward, purpose=short("DSRCH"))
            case "not a pool":
                reward = replace(reward, pool=self.system.medsync.address)
            case "foreign pool":
                reward = replace(reward, pool=self.system.foreign_pool.address)
            case "other claim":
                reward = replace(reward, pool=self.system.puppet.address)
            case "not open":
                reward = replace(reward, salt=99)
        terms = draft.terms(self.now, reward)
        if defect != "purpose":
            terms = replace(terms, purpose=reward.purpose)
        self.do("add_consent", patient, grantee=self.who("researcher"), terms=terms)

    @rule(
        patient=PATIENT,
        delegate=st.sampled_from(["guardian", "guardian", "second_patient"]),
        powers=st.sampled_from([7, 7, 1, 2, 4, 0]),
        length=st.sampled_from([500 * DAY, 500 * DAY, 50]),
        defect=st.sampled_from(["", "", "", "", "nobody", "self", "powers", "range"]),
    )
    def name_delegate(self, patient: str, delegate: str, powers: int, length: int, defect: str) -> None:
        self.do(
            "set_delegate",
            patient,
            delegate={"nobody": 0, "self": self.who(patient)}.get(defect, self.who(delegate)),
            powers=8 if defect == "powers" else powers,
            expires_at=TIME_MAX + 1 if defect == "range" else self.now + length,
        )

    @rule(
        patient=PATIENT,
        delegate=st.sampled_from(["guardian", "guardian", "second_patient", "hospital"]),
        grantee=GRANTEE,
        draft=DRAFT,
        act=st.sampled_from(["give", "revoke", "revoke", "refuse", "revoke all"]),
        pick=PICK,
    )
    def act_for_patient(
        self, patient: str, delegate: str, grantee: str, draft: Draft, act: str, pick: int
    ) -> None:
        entitled = [pair for pair, power in self.world().state.delegations.items() if power.powers]
        if pick % 4 and entitled:
            patient, delegate = (self.system.names[one] for one in entitled[pick % len(entitled)])
        about = {"patient": self.who(patient), "grantee": self.who(grantee), "purpose": short(draft.purpose)}
        match act:
            case "give":
                terms = draft.terms(self.now)
                del about["purpose"]
                self.do("add_consent_for", delegate, **about, terms=terms)
            case "revoke":
                given = [key for key in self.consents() if key[0] == about["patient"]]
                if given:
                    about = dict(zip(about, given[pick % len(given)], strict=True))
                self.do("revoke_consent_for", delegate, **about)
            case "refuse":
                self.do("refuse_consent_for", delegate, **about)
            case "revoke all":
                self.do("revoke_all_for", delegate, patient=about["patient"])

    @rule(
        patient=PATIENT,
        grantee=GRANTEE,
        purpose=PURPOSE,
        what=st.sampled_from(["a consent", "a consent", "anything", "all"]),
        pick=PICK,
    )
    def take_back(self, patient: str, grantee: str, purpose: str, what: str, pick: int) -> None:
        key = (self.who(patient), self.who(grantee), short(purpose))
        if what == "a consent" and self.consents():
            key = self.consents()[pick % len(self.consents())]
        if what == "all":
            self.do("revoke_all", patient)
        else:
            self.do("revoke_consent", key[0], grantee=key[1], purpose=key[2])

    @rule(
        who=GRANTEE,
        patient=PATIENT,
        draft=DRAFT,
        rewarded=st.booleans(),
        suspended=st.sampled_from([False, False, True]),
        pick=PICK,
    )
    def ask_for_consent(
        self, who: str, patient: str, draft: Draft, rewarded: bool, suspended: bool, pick: int
    ) -> None:
        reward = self.offers[pick % len(self.offers)] if rewarded and self.offers else None
        entity = next((a for a, e in self.world().state.entities.items() if e.suspended and suspended), None)
        terms = draft.terms(self.now, reward)
        self.do("request_consent", entity or who, patient=self.who(patient), terms=terms)

    @rule(patient=PATIENT, grantee=GRANTEE, purpose=PURPOSE, defect=st.integers(0, 5))
    def refuse(self, patient: str, grantee: str, purpose: str, defect: int) -> None:
        self.do(
            "refuse_consent",
            patient,
            grantee=0 if defect == 1 else self.who(grantee),
            purpose=0 if defect == 2 else short(purpose),
        )

    @rule(patient=PATIENT, opted_out=st.booleans())
    def opt_out_of_emergencies(self, patient: str, opted_out: bool) -> None:
        self.do("set_emergency_opt_out", patient, opted_out=opted_out)

    # ---------------------------------------------------------------- signed messages

    @rule(
        patient=PATIENT,
        grantee=GRANTEE,
        draft=DRAFT,
        life=st.sampled_from([0, 1, 300 * DAY, 300 * DAY]),
        ahead=st.sampled_from([0, 0, 0, 0, 1]),
        pick=PICK,
        submitted=SUBMITTED,
    )
    def sign_consent(
        self,
        patient: str,
        grantee: str,
        draft: Draft,
        life: int,
        ahead: int,
        pick: int,
        submitted: str,
    ) -> None:
        reward = self.offers[pick % len(self.offers)] if pick % 2 and self.offers else None
        terms = draft.terms(self.now, reward)
        if reward:
            terms = replace(terms, purpose=reward.purpose)
        signer, to, deadline = self.who(patient), self.who(grantee), self.now + life
        nonce = self.world().patient(signer).nonce + ahead
        version = self.world().consent(signer, to, terms.purpose).version + 1
        medsync = self.system.medsync.address
        self.messages.append(
            {
                "function": "add_consent_by_sig",
                "patient": signer,
                "grantee": to,
                "terms": terms,
                "nonce": nonce,
                "deadline": deadline,
                "signed": consent_message(
                    self.world().chain_id, medsync, signer, to, terms, version, nonce, deadline
                ),
            }
        )
        self.submit_latest(0, submitted)

    @precondition(lambda self: self.consents())
    @rule(
        pick=PICK,
        life=st.sampled_from([0, 300 * DAY]),
        never_given=st.sampled_from([False, False, True]),
        submitted=SUBMITTED,
    )
    def sign_revocation(self, pick: int, life: int, never_given: bool, submitted: str) -> None:
        signer, to, purpose = self.consents()[pick % len(self.consents())]
        purpose = short("DSRCH") if never_given else purpose
        nonce, deadline = self.world().patient(signer).nonce, self.now + life
        medsync = self.system.medsync.address
        self.messages.append(
            {
                "function": "revoke_consent_by_sig",
                "patient": signer,
                "grantee": to,
                "purpose": purpose,
                "nonce": nonce,
                "deadline": deadline,
                "signed": revocation_message(
                    self.world().chain_id, medsync, signer, to, purpose, nonce, deadline
                ),
            }
        )
        self.submit_latest(0, submitted)

    @precondition(lambda self: self.messages)
    @rule(pick=st.integers(0, 2), submitted=SUBMITTED)
    def submit(self, pick: int, submitted: str) -> None:
        """A relayer submits one of the latest messages, maybe again, maybe after something changed."""
        self.submit_latest(pick, submitted)

    def submit_latest(self, pick: int, how: str) -> None:
        """Submit a message not at all, as it is, altered, or signed by somebody else."""
        if how == "not":
            return
        message = dict(self.messages[-1 - pick % len(self.messages)])
        function, signed, signer = message.pop("function"), message.pop("signed"), message["patient"]
        if how == "altered":
            message["deadline"] += 1
        signature = self.system.sign(self.who("stranger") if how == "forged" else signer, signed)
        covers = signed if how != "forged" else 0
        self.do(function, "relayer", signed=covers, **message, signature=signature)

    @rule(patient=PATIENT)
    def cancel_signed_messages(self, patient: str) -> None:
        self.do("cancel_signatures", patient)

    # ---------------------------------------------------------------- access

    def request_for(self, key: tuple[int, int, int], pick: int, variant: str = "") -> AccessRequest:
        """A request on a consent there is: exactly what it allows, or something else."""
        patient, _, purpose = key
        consent = self.world().consent(*key)
        categories, campaign = consent.categories, self.terms_of(consent.campaign)
        match variant:
            case "part":
                categories &= -categories
            case "more":
                categories = (categories | 0b1000) & 0xFFFF
            case "free":
                campaign = None
            case "other campaign":
                campaign = self.offers[pick % len(self.offers)] if self.offers else self.system.puppet_terms
            case "other purpose":
                purpose = short("PUBHLTH")
        return AccessRequest(patient, purpose, categories, 1000 + pick, campaign)

    @precondition(lambda self: self.consents())
    @rule(
        asked=st.lists(
            st.tuples(
                PICK,
                st.sampled_from(["", "", "", "part", "more", "free", "other campaign", "other purpose"]),
                st.sampled_from(["Given", "Given", "Withdrawn", "Revoked"]),
            ),
            min_size=1,
            max_size=3,
        )
    )
    def request(self, asked: list[tuple[int, str, str]]) -> None:
        for pick, variant, status in asked:
            keys = [k for k in self.consents() if self.world().consent(*k).status == status]
            keys = keys or self.consents()
            key = keys[pick % len(keys)]
            self.do("request_access", key[1], request=self.request_for(key, pick, variant))

    @precondition(lambda self: self.consents(permitting=True))
    @rule(pick=PICK, variant=st.sampled_from(["", "part", "more", "free"]), times=st.integers(1, 3))
    def request_with_live_consent(self, pick: int, variant: str, times: int) -> None:
        live = self.consents(permitting=True)
        key = live[pick % len(live)]
        for _ in range(times):
            self.do("request_access", key[1], request=self.request_for(key, pick, variant))

    @precondition(lambda self: self.consents(permitting=True, rewarded=True))
    @rule(pick=PICK, times=st.integers(1, 3))
    def request_for_reward(self, pick: int, times: int) -> None:
        live = self.consents(permitting=True, rewarded=True)
        key = live[pick % len(live)]
        for _ in range(times):
            self.do("request_access", key[1], request=self.request_for(key, pick))

    @precondition(lambda self: self.edges())
    @rule(pick=PICK)
    def request_around_an_edge(self, pick: int) -> None:
        """One second before a window opens or ends, and in that second."""
        edges = self.edges()
        edge, key = edges[pick % min(3, len(edges))]
        for now in (edge - 1, edge):
            self.system.now = max(self.now, now)
            self.do("request_access", key[1], request=self.request_for(key, pick))

    def edges(self) -> list[tuple[int, tuple[int, int, int]]]:
        """The next moments at which a consent given, or the campaign it names, begins or ends."""
        edges = []
        for key in self.consents():
            consent = self.world().consent(*key)
            moments = {consent.starts_at, consent.expires_at}
            if reward := self.terms_of(consent.campaign):
                moments.add(reward.expires_at)
            if consent.status == "Given":
                edges += [(edge, key) for edge in moments if self.now < edge < self.now + 40 * DAY]
        return sorted(edges)

    @precondition(lambda self: self.consents())
    @rule(
        picks=st.lists(
            st.tuples(PICK, st.sampled_from(["", "", "", "more", "free"])), min_size=1, max_size=4
        ),
        defect=st.sampled_from(["", "", "", "", "last malformed", "empty", "too large"]),
    )
    def request_batch(self, picks: list[tuple[int, str]], defect: str) -> None:
        keys = self.consents(permitting=True) or self.consents()
        accessor = keys[picks[0][0] % len(keys)][1]
        requests = [self.request_for(keys[pick % len(keys)], pick, variant) for pick, variant in picks]
        match defect:
            case "last malformed":
                requests.append(replace(requests[-1], categories=0))
            case "empty":
                requests = []
            case "too large":
                requests = [replace(requests[0], campaign=None)] * (MAX_BATCH + 1)
        self.do("request_access_batch", accessor, requests=requests)

    @rule(
        patient=PATIENT,
        who=ANYONE,
        purpose=PURPOSE,
        defect=st.sampled_from(["", "", "patient", "purpose", "categories", "category", "caller"]),
    )
    def request_anything(self, patient: str, who: str, purpose: str, defect: str) -> None:
        request = AccessRequest(
            0 if defect == "patient" else self.who(patient),
            short("HMARKT" if defect == "purpose" else purpose),
            {"categories": 0, "category": 0x10000}.get(defect, 1),
            5,
            None,
        )
        self.do("request_access", "relayer" if defect == "caller" else who, request=request)

    @rule(
        who=st.sampled_from(["hospital", "hospital", "hospital", "researcher"]),
        patient=PATIENT,
        opted_out=st.booleans(),
        defect=st.sampled_from(["", "", "", "", "", "", "patient", "categories", "justification", "caller"]),
    )
    def break_the_glass(self, who: str, patient: str, opted_out: bool, defect: str) -> None:
        for address, state in self.world().state.patients.items():
            if opted_out and state.emergency_opt_out:
                patient = self.system.names[address]
        self.do(
            "request_emergency_access",
            "relayer" if defect == "caller" else who,
            patient=0 if defect == "patient" else self.who(patient),
            categories=0 if defect == "categories" else 0b101,
            record=77,
            justification_commitment=0 if defect == "justification" else 78,
        )

    # ---------------------------------------------------------------- rewards

    @precondition(lambda self: len(self.offers) < 6)
    @rule(
        second_pool=st.booleans(),
        funder=st.sampled_from(["researcher", "second_researcher"]),
        purpose=PURPOSE,
        rate=st.sampled_from([1, 3, 9_999, 10_000, 10_001, 10**18]) | st.integers(1, 10**24),
        bps=st.sampled_from([0, 1, 2_500, 3_333, 9_999, 10_000]),
        life=st.sampled_from([500 * DAY, 30 * DAY, 30 * DAY, 200, 1]),
        accesses=st.integers(1, 3),
    )
    def open_campaign(
        self, second_pool: bool, funder: str, purpose: str, rate: int, bps: int, life: int, accesses: int
    ) -> None:
        pool = self.system.second_pool if second_pool else self.system.pool
        self.open(pool.address, funder, purpose, rate, bps, life, accesses)

    def open(
        self, pool: int, funder: str, purpose: str, rate: int, bps: int, life: int, accesses: int
    ) -> None:
        custodian = self.who("hospital") if bps else 0
        terms = CampaignTerms(
            pool, self.who(funder), short(purpose), rate, custodian, bps, self.now + life, len(self.offers)
        )
        if self.do("deposit", funder, pool=pool, terms=terms, amount=rate * accesses):
            self.offers.append(terms)

    @precondition(lambda self: self.offers)
    @rule(pick=PICK, amount=st.sampled_from(["rate", "rate", "one", "all there is and one more"]))
    def deposit_more(self, pick: int, amount: str) -> None:
        terms = self.offers[pick % len(self.offers)]
        token = self.world().state.pools[terms.pool].token
        balance = self.world().state.tokens[token].balances[terms.funder]
        units = {"rate": terms.rate, "one": 1}.get(amount, balance + 1)
        self.do("deposit", terms.funder, pool=terms.pool, terms=terms, amount=units)

    @precondition(lambda self: self.offers)
    @rule(
        pick=PICK,
        defects=several(
            "pool",
            "funder",
            "amount",
            "purpose",
            "rate",
            "bps",
            "custodian",
            "no custodian",
            "cap",
            "approval",
        ),
    )
    def deposit_wrongly(self, pick: int, defects: list[str]) -> None:
        for defect in defects:
            self.deposit_with(defect, self.offers[pick % len(self.offers)])

    def deposit_with(self, defect: str, offer: CampaignTerms) -> None:
        terms = replace(offer, expires_at=self.now + 1)
        caller, pool, amount = terms.funder, terms.pool, terms.rate
        match defect:
            case "pool":
                terms = replace(terms, pool=self.system.foreign_pool.address)
            case "funder":
                caller = self.who("stranger")
            case "amount":
                amount = 0
            case "purpose":
                terms = replace(terms, purpose=short("HMARKT"))
            case "rate":
                terms = replace(terms, rate=0)
            case "bps":
                terms = replace(terms, custodian=self.who("hospital"), custodian_bps=10_001)
            case "custodian":
                terms = replace(terms, custodian=self.who("hospital"), custodian_bps=0)
            case "no custodian":
                terms = replace(terms, custodian=0, custodian_bps=1)
            case "cap":
                amount = U123_MAX - self.world().state.pools[pool].lifetime_deposits + 1
            case "approval":
                caller = self.who("stranger")
                terms = replace(terms, funder=caller)
        self.do("deposit", caller, pool=pool, terms=terms, amount=amount)

    @precondition(lambda self: self.offers)
    @rule(
        pick=PICK,
        accessor=GRANTEE,
        accesses=st.sampled_from([1, 2, 5, 0]),
        defect=st.sampled_from(["", "", "", "", "", "", "pool", "funder", "nobody"]),
    )
    def allow(self, pick: int, accessor: str, accesses: int, defect: str) -> None:
        terms = self.offers[pick % len(self.offers)]
        self.do(
            "set_allowance",
            "stranger" if defect == "funder" else terms.funder,
            pool=self.system.foreign_pool.address if defect == "pool" else terms.pool,
            terms=terms,
            accessor=0 if defect == "nobody" else self.who(accessor),
            amount=terms.rate * accesses,
        )

    @precondition(lambda self: self.offers)
    @rule(pick=PICK, by_funder=st.sampled_from([True, True, False]))
    def announce_close(self, pick: int, by_funder: bool) -> None:
        terms = self.offers[pick % len(self.offers)]
        caller = terms.funder if by_funder else self.who("stranger")
        self.do("announce_close", caller, pool=terms.pool, terms=terms)

    @precondition(lambda self: self.offers)
    @rule(
        pick=PICK,
        by_funder=st.sampled_from([True, True, True, False]),
        how=st.sampled_from(["now", "at expiry", "after notice", "after notice"]),
        early=st.sampled_from([0, 0, 1]),
    )
    def close(self, pick: int, by_funder: bool, how: str, early: int) -> None:
        terms = self.offers[pick % len(self.offers)]
        campaign = self.world().state.pools[terms.pool].campaigns[campaign_id(terms)]
        if how == "at expiry" and terms.expires_at - self.now < 40 * DAY:
            self.system.now = max(self.now, terms.expires_at - early)
        if how == "after notice" and campaign.status == "Open":
            if not campaign.closing_at:
                self.do("announce_close", terms.funder, pool=terms.pool, terms=terms)
            self.system.now = max(self.now, campaign.closing_at - early)
        caller = terms.funder if by_funder else self.who("stranger")
        self.do("close_campaign", caller, pool=terms.pool, terms=terms)

    @rule(
        pick=PICK,
        part=st.sampled_from(["all", "all", "one", "one too many", "none"]),
        to=st.sampled_from(["owner", "owner", "owner", "relayer", "nobody", "pool"]),
    )
    def withdraw(self, pick: int, part: str, to: str) -> None:
        claims = self.system.claims() or [(self.system.pool.address, self.who("patient"), 0)]
        pool, owner, claimable = claims[pick % len(claims)]
        amount = {"all": claimable, "one": 1, "one too many": claimable + 1, "none": 0}[part]
        recipient = {"owner": owner, "relayer": self.who("relayer"), "nobody": 0, "pool": pool}[to]
        self.do("withdraw", owner, pool=pool, amount=amount, recipient=recipient)

    @precondition(lambda self: self.offers)
    @rule(pick=PICK, who=ANYONE)
    def accrue_without_access(self, pick: int, who: str) -> None:
        terms = self.offers[pick % len(self.offers)]
        arguments = {"patient": self.who("patient"), "accessor": self.who(who)}
        self.do("accrue", who, pool=terms.pool, terms=terms, **arguments)

    @rule(patient=PATIENT, grantee=GRANTEE, draft=DRAFT)
    def give_for_reward_of_puppet(self, patient: str, grantee: str, draft: Draft) -> None:
        """A patient may name any contract as pool; what it does is the patient's own risk."""
        terms = replace(draft.terms(self.now, self.system.puppet_terms), purpose=short("HRESCH"))
        self.do("add_consent", patient, grantee=self.who(grantee), terms=terms)

    @rule(accrual=st.sampled_from(["Panic", "Nonsense", "TooMuch", "Paid"]))
    def instruct_puppet(self, accrual: str) -> None:
        self.system.instruct_puppet(accrual)

    @rule(
        habits=st.lists(st.sampled_from(sorted(HABITS)), min_size=2, max_size=2, unique=True),
        function=st.sampled_from(["revoke_all", "withdraw"]),
        victim=st.sampled_from(["pool", "researcher", "patient"]),
        amount=st.sampled_from([1, 2, 1_000]),
        lasting=st.booleans(),
    )
    def token_misbehaves(
        self, habits: list[str], function: str, victim: str, amount: int, lasting: bool
    ) -> None:
        """Under every habit somebody deposits and somebody withdraws."""
        pool, terms = self.system.hostile_pool.address, self.system.hostile_terms
        blocked = pool if victim == "pool" else self.who(victim)
        for habit in habits:
            self.system.have_token_take_up(habit, blocked, function)
            books = self.world().state.pools[pool]
            surplus = self.world().state.tokens[books.token].balances[pool] - books.liabilities()
            # Unless it owes more than it holds the pool does not notice that nothing came.
            more = surplus if habit == "stands still" else 0
            self.do("deposit", terms.funder, pool=pool, terms=terms, amount=amount + more)
            mine = [(owner, claimable) for at, owner, claimable in self.system.claims() if at == pool]
            for owner, claimable in mine[:1]:
                self.do("withdraw", owner, pool=pool, amount=min(amount, claimable), recipient=owner)
        if not lasting:
            self.system.have_token_take_up("", 0, function)

    @rule(pick=PICK, amount=st.sampled_from([1, 10**6]))
    def donate(self, pick: int, amount: int) -> None:
        """What is sent to a pool past its door is nobody's, and no book says otherwise."""
        pool = self.system.second_pool if pick % 2 else self.system.pool
        self.system.donate(pool.address, amount)

    # ---------------------------------------------------------------- several operations at once

    @rule(
        patient=PATIENT,
        grantee=GRANTEE,
        draft=DRAFT,
        acts=st.lists(
            st.sampled_from(PATIENTS_ACTS),
            min_size=2,
            max_size=5,
        ),
        pick=PICK,
    )
    def patient_does_several_at_once(
        self, patient: str, grantee: str, draft: Draft, acts: list[str], pick: int
    ) -> None:
        """In one transaction, which happens as a whole or not at all."""
        who, to = self.who(patient), self.who(grantee)
        reward = self.offers[pick % len(self.offers)]
        rewarded = replace(draft.terms(self.now, reward), purpose=reward.purpose)
        given = [key for key in self.consents() if key[0] == who]
        revoked = given[pick % len(given)][1:] if given else (to, short(draft.purpose))
        owed = [(pool, claimable) for pool, owner, claimable in self.system.claims() if owner == who]
        pool, claimable = owed[pick % len(owed)] if owed else (self.system.pool.address, 1)
        delegate = {"delegate": self.who("guardian"), "powers": pick % 8, "expires_at": self.now + DAY}
        about = {"grantee": to, "purpose": short(draft.purpose)}
        possible = {
            "give": Operation("add_consent", {"grantee": to, "terms": draft.terms(self.now)}),
            "give for reward": Operation("add_consent", {"grantee": to, "terms": rewarded}),
            "revoke": Operation("revoke_consent", dict(zip(about, revoked, strict=True))),
            "revoke all": Operation("revoke_all"),
            "name": Operation("set_delegate", delegate),
            "opt out": Operation("set_emergency_opt_out", {"opted_out": pick % 2 == 0}),
            "cancel": Operation("cancel_signatures"),
            "refuse": Operation("refuse_consent", about),
            "withdraw": Operation("withdraw", {"amount": (claimable + 1) // 2, "recipient": who}, pool),
            "fail": Operation("refuse_consent", about | {"purpose": 0}),
        }
        self.system.perform_all(who, [possible[act] for act in acts])

    @rule(
        acts=st.lists(
            st.sampled_from(FUNDERS_ACTS),
            min_size=2,
            max_size=5,
        ),
        pick=PICK,
    )
    def funder_does_several_at_once(self, acts: list[str], pick: int) -> None:
        """In one transaction; to ask twice may be once too often."""
        terms = self.offers[pick % len(self.offers)]
        who, pool = terms.funder, terms.pool
        mine = [key for key in self.consents(permitting=True) or self.consents() if key[1] == who]
        key = mine[pick % len(mine)] if mine else (self.who("patient"), who, terms.purpose)
        request = self.request_for(key, pick)
        consent = Draft("HRESCH", 1, 0, DAY, 0).terms(self.now)
        possible = {
            "ask": Operation("request_access", {"request": request}),
            "ask several": Operation("request_access_batch", {"requests": [request] * 2}),
            "deposit": Operation("deposit", {"terms": terms, "amount": terms.rate}, pool),
            "allow": Operation(
                "set_allowance", {"terms": terms, "accessor": self.who("hospital"), "amount": pick}, pool
            ),
            "announce": Operation("announce_close", {"terms": terms}, pool),
            "close": Operation("close_campaign", {"terms": terms}, pool),
            "withdraw": Operation("withdraw", {"amount": 1, "recipient": who}, pool),
            "request consent": Operation("request_consent", {"patient": key[0], "terms": consent}),
            "fail": Operation("deposit", {"terms": terms, "amount": 0}, pool),
        }
        self.system.perform_all(who, [possible[act] for act in acts])

    # ---------------------------------------------------------------- what always holds

    @invariant()
    def everybody_could_leave_now(self) -> None:
        """Tried out from time to time, for one group at a time; all other invariants are checked after every
        transaction."""
        self.steps += 1
        if self.steps % LIVENESS_EVERY == 0:
            turn = self.steps // LIVENESS_EVERY % len(OF_LIVENESS)
            OF_LIVENESS[turn](self.system, self.order)

    def settle(self) -> None:
        """In the end everybody really leaves, in any order, and the pools keep only what is nobody's."""
        system = self.system
        system.have_token_take_up("", 0, "revoke_all")
        self.carry_out([*system.departures(self.order), *system.withdrawals(self.order)])
        open_now = [
            system.campaigns[key]
            for pool in system.pools
            for key, campaign in self.world().state.pools[pool.address].campaigns.items()
            if campaign.status == "Open"
        ]
        closings = [
            (terms.funder, [Operation("close_campaign", {"terms": terms}, terms.pool)]) for terms in open_now
        ]
        for terms in open_now:
            if self.now < terms.expires_at:
                self.do("announce_close", terms.funder, pool=terms.pool, terms=terms)
        system.now += CLOSE_NOTICE
        self.carry_out(closings)
        self.carry_out(system.withdrawals(self.order))
        for pool in system.pools:
            books = self.world().state.pools[pool.address]
            assert books.liabilities() == 0
            if books.token == ETH:
                assert self.world().state.tokens[ETH].balances[pool.address] == system.gifts[pool.address]

    def carry_out(self, transactions: list[Transaction]) -> None:
        """All of these, in any order."""
        for caller, operations in self.order.sample(transactions, len(transactions)):
            assert self.system.perform_all(caller, operations)


@pytest.mark.parametrize("part", range(1, SIZES[profile()][0] + 1))
def test_contracts_do_what_the_model_does(
    system: System, record_property: Callable[[str, object], None], part: int
) -> None:
    name = profile()
    quick = name == "quick"
    parts, examples, steps = SIZES[name]
    title = f"State machine, part {part} of {parts}"
    reach = Reach(title, seed_of_run(name), examples, steps, unreached=OUT_OF_REACH)
    draw_from(reach.seed if part == 1 else f"{reach.seed}/{part}")
    system.reach.clear()
    MedSyncMachine.system, MedSyncMachine.swarm = system, not quick
    try:
        hypothesis.stateful.run_state_machine_as_test(
            MedSyncMachine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                backend=INDEPENDENT,
                database=None,
                derandomize=False,
                suppress_health_check=list(HealthCheck),
                # Shrinking takes minutes: a quick run only says that, and after which steps, it failed.
                phases=[Phase.generate] if quick else [Phase.generate, Phase.shrink],
                report_multiple_bugs=False,
            ),
        )
    finally:
        for table, rows in everything(system.medsync.abi, system.pool.abi).items():
            reach.expect(table, rows)
        for (table, row), times in system.reach.items():
            reach.count(table, row, times)
        record_property("reach", reach.as_property())
    reach.assert_all_reached()


def everything(*abis: Abi) -> dict[str, set[str]]:
    """All there is to reach: rules, habits, and what sources and ABIs say exists."""
    sources = Path(__file__).parents[2] / "contracts" / "src"
    codes = {
        code
        for source in sources.glob("*.cairo")
        for code in re.findall(r"'([A-Z]+/[A-Z_]+)'", source.read_text().partition("#[cfg(test)]")[0])
    }
    return {
        "rule": RULES,
        "operation": {name for abi in abis for name in abi.operations()},
        "multicall": {"all of it", "none of it"},
        # PrivateAnchor is no part of these histories: `tests/contracts` and `tests/properties` have it.
        "error": {code for code in codes if not code.startswith(("MEDSYNC/", "ANCHOR/"))},
        "event": {name for abi in abis for name in abi.event_names()},
        "decision": set(DECISIONS),
        "reason": set(REASONS),
        "verify_consent": set(VERIFY_REASONS),
        "hostile token": HOSTILE_OUTCOMES,
    }


# ---------------------------------------------------------------- would the run notice?


def test_every_rule_is_in_the_books() -> None:
    marker = hypothesis.stateful.RULE_MARKER
    assert {name for name, member in vars(MedSyncMachine).items() if hasattr(member, marker)} == RULES
    assert len(RULES) > 35


@pytest.mark.parametrize("table", sorted(everything()))
def test_what_is_never_reached_fails_the_run(table: str) -> None:
    """Everything reached but one thing, of each kind."""
    folder = Path(__file__).parents[2] / "medsync" / "artifacts"
    abis = [Abi(json.loads((folder / f"{name}.abi.json").read_text())) for name in ("MedSync", "RewardPool")]
    reach = Reach("planted", 0, unreached=OUT_OF_REACH)
    for name, rows in everything(*abis).items():
        reach.expect(name, rows)
    for counts in reach.tables.values():
        counts.update(dict.fromkeys(counts, 1))
    reach.assert_all_reached()
    missed = sorted(reach.tables[table])[0]
    reach.tables[table][missed] = 0
    with pytest.raises(AssertionError, match=re.escape(f"never reached: {table} {missed}")):
        reach.assert_all_reached()


def test_a_stale_excuse_fails_the_run() -> None:
    reach = Reach("planted", 0, unreached=OUT_OF_REACH)
    for table, row in OUT_OF_REACH:
        reach.expect(table, [row])
    reach.assert_all_reached()
    reach.count("error", "PACK/RANGE")
    with pytest.raises(AssertionError, match="said to be out of reach: error PACK/RANGE"):
        reach.assert_all_reached()


def test_an_unknown_profile_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPOTHESIS_PROFILE", "depe")
    with pytest.raises(pytest.UsageError, match="'depe', which is none of quick, ci, deep"):
        profile()
    assert set(SIZES) == set(PROFILES)
