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

from medsync.starknet.signer import public_key_of
from tests.harness.driver import Abi
from tests.harness.reach import PROFILES, Reach, profile
from tests.model.hashes import campaign_id, consent_message, revocation_message
from tests.model.state import HABITS, Key
from tests.model.words import (
    BREAK_THE_GLASS,
    CHOICES,
    CLOSE_NOTICE,
    CLOSE_WINDOW,
    DAY,
    DECISIONS,
    EMERGENCY_DELAY,
    JUSTIFY_WITHIN,
    MAX_BATCH,
    MAX_CLAIMS,
    PROFILE_DELAY,
    REASONS,
    TIME_MAX,
    U123_MAX,
    VERIFY_REASONS,
    AccessRequest,
    CampaignTerms,
    Claim,
    ConsentTerms,
    Payee,
    Subject,
    short,
)

from .drawing import INDEPENDENT, draw_from, seed_of_run
from .invariants import OF_LIVENESS
from .system import ETH, KEY, Operation, System, Transaction

# Parts that may run side by side, examples of each part, and steps of each example, by profile.
SIZES = {"quick": (1, 24, 80), "ci": (2, 100, 50), "deep": (2, 2_000, 80)}

LIVENESS_EVERY = 16  # steps
KEPT = 8  # signed messages that a relayer may still submit
STUDY = 0x57D1
HOLDER = public_key_of(KEY)
OFF_CURVE = 5  # no point of the STARK curve has this x coordinate

# What this machine cannot reach, and who does.
BY_POOLS = "only pools may; deposits, allowances and settlements reach it from the inside"
FULL = "needs 2^32 of something: `test_equivalence`"
FULL_IN_CAIRO = "needs 2^32 of something: tests of the contracts"
OUT_OF_REACH = {
    ("reason", "EntityUnknown"): "an unknown accessor reverts: only `verify_consent` says so",
    ("reason", "EntitySuspended"): "a suspended accessor reverts: only `verify_consent` says so",
    ("operation", "grant_budget"): BY_POOLS,
    ("operation", "take_budget"): BY_POOLS,
    ("operation", "take_unsettled"): BY_POOLS,
    ("operation", "take_custodian_unsettled"): BY_POOLS,
    ("error", "ACCESS/LOG_FULL"): FULL,
    ("error", "CONSENT/HISTORY_FULL"): FULL,
    ("error", "CONSENT/VERSION_EXHAUSTED"): FULL,
    ("error", "CONSENT/GENERATION_EXHAUSTED"): FULL,
    ("error", "CONSENT/EPOCH_EXHAUSTED"): FULL_IN_CAIRO,
    ("error", "ENTITY/HISTORY_FULL"): FULL_IN_CAIRO,
    ("error", "BUDGET/TOO_MANY_USES"): "a campaign never has so many uses in all: tests of the contracts",
    ("error", "BUDGET/ZERO_CLASS"): "constructor: tests of the contracts",
    ("error", "POOL/ZERO_ADDRESS"): "constructor: tests of the contracts",
    ("error", "PACK/RANGE"): "ranges are checked before: Cairo unit tests of packing",
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
    study: int = 0
    scoped: bool = False

    def terms(self, now: int, reward: CampaignTerms | None = None) -> ConsentTerms:
        """With a reward, for its purpose and study."""
        starts_at = now + self.start
        purpose, study = (reward.purpose, reward.study) if reward else (short(self.purpose), self.study)
        window = starts_at, starts_at + self.length
        return ConsentTerms(purpose, study, self.categories, *window, self.max_uses, self.scoped, reward, 7)


PATIENT = st.sampled_from(["patient", "second_patient"])
GRANTEE = st.sampled_from(["researcher", "second_researcher", "hospital"])
ANYONE = st.sampled_from(["researcher", "second_researcher", "hospital", "stranger", "guardian", "patient"])
PURPOSE = st.sampled_from(["HRESCH", "CLINTRCH", "TREAT"])
STUDIES = st.sampled_from([0, 0, STUDY])
DRAFT = st.builds(
    Draft,
    purpose=PURPOSE,
    categories=st.sampled_from([0xFFFF, 0b11, 0b110, 1 << 15]),
    start=st.sampled_from([0, 0, -DAY, 1, 100]),
    length=st.sampled_from([400 * DAY, 400 * DAY, 2 * DAY, 100, 1]),
    max_uses=st.sampled_from([0, 0, 1, 2]),
    study=STUDIES,
    scoped=st.sampled_from([False, False, True]),
)
PICK = st.integers(0, 63)
PATIENTS_ACTS = (
    "give", "give for reward", "revoke", "revoke", "revoke all", "name", "choose", "cancel", "refuse",
    "dismiss", "refuse purpose", "withdraw", "fail",
)  # fmt: skip
FUNDERS_ACTS = (
    "ask", "ask", "ask several", "deposit", "allow", "take back", "settle", "announce", "close", "withdraw",
    "request consent", "fail",
)  # fmt: skip
SUBMITTED = st.sampled_from(["as it is", "as it is", "not", "altered", "forged"])
PANICS = st.sampled_from(["cancel", "revoke all", "withdraw"])


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
                self.settle_everything()
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

    def consents(self, permitting: bool = False, rewarded: bool = False) -> list[Key]:
        """Keys of the records there are, or of those that permit something now, or insist on pay."""
        return [
            key
            for key, consent in self.world().state.consents.items()
            if key[2] != BREAK_THE_GLASS
            and (not rewarded or consent.rewarded)
            and (not permitting or self.permits(key))
        ]

    def permits(self, key: Key) -> bool:
        categories = self.world().consent_record(key).categories
        verdict = self.world().verify_consent(self.now, *key, categories, self.system.campaign_of(key))
        return bool(verdict.decision == "Permit")

    def world(self) -> Any:
        return self.system.world

    def admin(self) -> int:
        return int(self.world().state.admin)

    def offer(self, pick: int, *, for_consents: bool = False) -> CampaignTerms:
        """One of the campaigns that were opened; of those that a consent may name, if there are any."""
        offers = [terms for terms in self.offers if not for_consents or terms.spender == 0]
        return offers[pick % len(offers)]

    @initialize(
        rate=st.integers(1, 10**6),
        bps=st.sampled_from([0, 2_500]),
        uses=st.integers(3, 5),
        order=st.integers(0, 2**32),
    )
    def things_begin(self, rate: int, bps: int, uses: int, order: int) -> None:
        """Campaigns of MedSync and of a spender, a paid and an unpaid consent and a guardian."""
        self.order = Random(order)
        pool, month = self.system.pool.address, 30 * DAY
        self.open(pool, "researcher", "HRESCH", 0, rate, bps, 10 * month, uses, "")
        reward = self.offers[-1]
        allowance = {"accessor": self.who("second_researcher"), "uses": 1}
        self.do("increase_allowance", "researcher", pool=pool, terms=reward, **allowance)
        paid = Draft("HRESCH", 0xFFFF, 0, 12 * month, 0).terms(self.now, reward)
        for patient, grantee in (("patient", "researcher"), ("second_patient", "second_researcher")):
            self.do("add_consent", patient, grantee=self.who(grantee), terms=paid)
        self.open(pool, "researcher", "HRESCH", 0, rate, bps, 10 * month, uses, "stranger")
        key = Payee("Key", HOLDER)
        self.do("spend", "stranger", pool=pool, terms=self.offers[-1], payee=key)
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
        moments |= {emergency.at + JUSTIFY_WITHIN for emergency in state.emergencies.values()}
        moments |= {entity.active_since + EMERGENCY_DELAY for entity in state.entities.values()}
        moments |= {entity.profiled_at + PROFILE_DELAY for entity in state.entities.values()}
        for pool in state.pools.values():
            closing = {campaign.closing_at for campaign in pool.campaigns.values()}
            moments |= closing | {at + CLOSE_WINDOW for at in closing}
        if state.pending_admin:
            moments |= {state.pending_admin.ready_at, state.pending_admin.lapses_at}
        ahead = sorted(moment for moment in moments if self.now < moment + offset <= self.now + 450 * DAY)
        if ahead:
            self.system.now = ahead[pick % min(3, len(ahead))] + offset
            note(f"it is now second {self.now}")

    # ---------------------------------------------------------------- entities

    @rule(
        who=ANYONE,
        role=st.sampled_from(["Hospital", "Researcher", "Auditor"]),
        well=st.booleans(),
        defects=several("caller", "nobody", "role", "profile", "admin", "again"),
    )
    def register(self, who: str, role: str, well: bool, defects: list[str]) -> None:
        for defect in [*defects, ""] if well else defects:
            named = {"": self.who(who), "nobody": 0, "admin": self.admin(), "again": self.who("researcher")}
            self.do(
                "register_entity",
                self.who("relayer") if defect == "caller" else self.admin(),
                address=named.get(defect, self.who("relayer")),
                role="None" if defect == "role" else role,
                profile_commitment=0 if defect == "profile" else 9,
            )

    @rule(
        who=st.sampled_from(["hospital", "researcher", "second_researcher", "second_researcher", "guardian"]),
        how=st.sampled_from(
            [
                *("suspend", "suspend self", "reinstate", "reinstate", "reinstate"),
                *("suspend again", "reinstate again", "reinstate again", "not admin"),
            ]
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
        if how == "suspend self":
            self.do("suspend_self", entity)
            return
        function = "reinstate_entity" if how.startswith("reinstate") else "suspend_entity"
        self.do(function, self.who("relayer") if how == "not admin" else self.admin(), address=entity)

    @rule(
        who=st.sampled_from(["hospital", "researcher", "relayer"]),
        waits=st.booleans(),
        profile=st.sampled_from([5, 6, 7, 0]),
    )
    def change_profile(self, who: str, waits: bool, profile: int) -> None:
        if waits:
            self.system.now = max(self.now, self.world().entity(self.who(who)).profiled_at + PROFILE_DELAY)
        for _ in range(2 if waits else 1):
            self.do("change_profile", who, profile_commitment=profile)

    @rule(
        to=st.sampled_from(["successor", "successor", "successor", "administrator", "guardian", "hospital"]),
        hows=st.lists(
            st.sampled_from(
                [
                    *(
                        "begin",
                        "accept",
                        "cancel",
                        "finish",
                        "finish",
                        "call off",
                        "call off",
                        "intrude",
                        "intrude",
                    ),
                    *("lapse", "lapse", "not admin", "nobody"),
                ]
            ),
            min_size=2,
            max_size=3,
        ),
    )
    def hand_over(self, to: str, hows: list[str]) -> None:
        """Steps of handing the administration over, or all of it."""
        for how in hows:
            self.hand_over_by(how, to)

    def hand_over_by(self, how: str, to: str) -> None:
        if how in ("begin", "finish", "call off", "intrude", "lapse", "not admin", "nobody"):
            caller = self.who("stranger") if how == "not admin" else self.admin()
            self.do("begin_admin_transfer", caller, new_admin=0 if how == "nobody" else self.who(to))
        pending = self.world().state.pending_admin
        if how == "not admin":
            self.do("cancel_admin_transfer", "stranger")
        if how in ("cancel", "call off"):
            self.do("cancel_admin_transfer", self.admin())
        if how == "intrude":
            self.do("accept_admin_transfer", "stranger")
        if how == "accept" or (how in ("finish", "lapse") and pending):
            successor = pending.address if pending else self.who(to)
            if how == "finish" and pending:
                self.system.now = max(self.now, pending.ready_at - 1)
                self.do("accept_admin_transfer", successor)
                self.system.now = max(self.now, pending.ready_at)
            if how == "lapse" and pending:
                self.system.now = max(self.now, pending.lapses_at)
            self.do("accept_admin_transfer", successor)

    @rule(what=st.sampled_from(["announce", "announce", "take back", "itself", "not admin"]))
    def announce_successor(self, what: str) -> None:
        caller = self.who("stranger") if what == "not admin" else self.admin()
        named = {"take back": 0, "itself": self.system.medsync.address}
        self.do("announce_successor", caller, successor=named.get(what, 0xDE9107ED))

    # ---------------------------------------------------------------- consents

    @rule(patient=PATIENT, grantee=GRANTEE, draft=DRAFT)
    def give(self, patient: str, grantee: str, draft: Draft) -> None:
        self.do("add_consent", patient, grantee=self.who(grantee), terms=draft.terms(self.now))

    @rule(patient=PATIENT, grantee=GRANTEE, draft=DRAFT, pick=PICK)
    def give_for_reward(self, patient: str, grantee: str, draft: Draft, pick: int) -> None:
        reward = self.offer(pick, for_consents=True)
        self.do("add_consent", patient, grantee=self.who(grantee), terms=draft.terms(self.now, reward))

    @precondition(lambda self: self.consents(rewarded=True))
    @rule(pick=PICK, draft=DRAFT, others=st.lists(PICK, min_size=1, max_size=3), settled=st.booleans())
    def renew_for_other_campaigns(self, pick: int, draft: Draft, others: list[int], settled: bool) -> None:
        """From one campaign to another and back, used in between, settled or not."""
        keys = self.consents(rewarded=True)
        patient, grantee, purpose, study = key = keys[pick % len(keys)]
        first = self.system.campaign_of(key)
        fitting = [t for t in self.offers if (t.purpose, t.study, t.spender) == (purpose, study, 0)]
        campaigns = [fitting[other % len(fitting)] for other in others if fitting]
        if first:
            campaigns.append(self.system.campaigns[first])
        for terms in campaigns:
            long = replace(draft, start=0, length=400 * DAY)
            self.do("add_consent", patient, grantee=grantee, terms=long.terms(self.now, terms))
            self.do("request_access", grantee, request=self.request_for(key, pick))
            if settled:
                claim = {"patient": patient, "grantee": grantee, "terms": terms}
                self.do("settle", "relayer", pool=terms.pool, **claim)

    @rule(
        patient=PATIENT,
        draft=DRAFT,
        defects=several(
            *("grantee", "self", "unknown", "purpose", "glass", "categories", "category", "window", "past"),
            *("range", "over", "open for ever"),
        ),
        asked=st.booleans(),
    )
    def give_or_ask_wrongly(self, patient: str, draft: Draft, defects: list[str], asked: bool) -> None:
        for defect in defects:
            self.give_or_ask_with(defect, patient, draft, asked or defect in ("over", "open for ever"))

    def give_or_ask_with(self, defect: str, patient: str, draft: Draft, asked: bool) -> None:
        terms = replace(draft, start=0).terms(self.now)
        match defect:
            case "purpose":
                terms = replace(terms, purpose=short("HMARKT"))
            case "glass":
                terms = replace(terms, purpose=BREAK_THE_GLASS)
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
            until = {"over": self.now, "open for ever": TIME_MAX + 1}.get(defect, self.now + DAY)
            caller = "relayer" if defect == "unknown" else "researcher"
            self.do("request_consent", caller, patient=named, terms=terms, open_until=until)
        else:
            named = {"grantee": 0, "self": self.who(patient), "unknown": self.who("relayer")}
            grantee = named.get(defect, self.who("researcher"))
            self.do("add_consent", patient, grantee=grantee, terms=terms)

    @rule(
        patient=PATIENT,
        draft=DRAFT,
        pick=PICK,
        defects=several("purpose", "study", "spender", "not a pool", "stray pool", "never funded", "expired"),
    )
    def give_for_wrong_reward(self, patient: str, draft: Draft, pick: int, defects: list[str]) -> None:
        for defect in defects:
            self.give_for_reward_with(defect, patient, draft, self.offer(pick, for_consents=True))

    def give_for_reward_with(self, defect: str, patient: str, draft: Draft, reward: CampaignTerms) -> None:
        terms = replace(draft, start=0).terms(self.now, reward)
        wrong: dict[str, dict[str, Any]] = {
            "purpose": {"purpose": short("DSRCH")},
            "study": {"study": reward.study + 1},
            "spender": {"spender": self.who("stranger")},
            "not a pool": {"pool": self.system.medsync.address},
            "stray pool": {"pool": self.system.stray_pool.address},
            "never funded": {"salt": 99, "expires_at": self.now + DAY},
            "expired": {"expires_at": self.now},
        }
        terms = replace(terms, reward=replace(reward, **wrong[defect]))
        self.do("add_consent", patient, grantee=self.who("researcher"), terms=terms)

    @rule(
        patient=PATIENT,
        delegate=st.sampled_from(["guardian", "guardian", "second_patient"]),
        powers=st.sampled_from([7, 7, 1, 2, 4, 0]),
        length=st.sampled_from([500 * DAY, 500 * DAY, 50]),
        defect=st.sampled_from(["", "", "", "", "nobody", "self", "powers", "powers", "range"]),
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
        acts=st.lists(
            st.sampled_from(["give", "give", "revoke", "revoke", "refuse", "refuse", "revoke all", "wrong"]),
            min_size=1,
            max_size=4,
        ),
        pick=PICK,
    )
    def act_for_patient(
        self, patient: str, delegate: str, grantee: str, draft: Draft, acts: list[str], pick: int
    ) -> None:
        """A sequence of a delegate's acts, all of them about the same consent."""
        if pick % 4:
            if not self.delegates():
                all_powers = {"powers": 7, "expires_at": self.now + 500 * DAY}
                self.do("set_delegate", patient, delegate=self.who("guardian"), **all_powers)
            entitled = self.delegates()
            patient, delegate = (self.system.names[one] for one in entitled[pick % len(entitled)])
        key = (self.who(patient), self.who(grantee), short(draft.purpose), draft.study)
        given = [known for known in self.consents() if known[0] == key[0]]
        if pick % 3 and given:
            key = given[pick % len(given)]
        about = dict(zip(("patient", "grantee", "purpose", "study"), key, strict=True))
        terms = replace(draft.terms(self.now), purpose=key[2], study=key[3])
        for act in acts:
            match act:
                case "give":
                    named = {"patient": key[0], "grantee": key[1]}
                    self.do("add_consent_for", delegate, **named, terms=terms)
                case "revoke":
                    self.do("revoke_consent_for", delegate, **about)
                case "refuse":
                    self.do("refuse_consent_for", delegate, **about)
                case "wrong":
                    self.do("refuse_consent_for", delegate, **about | {"purpose": BREAK_THE_GLASS})
                case "revoke all":
                    self.do("revoke_all_for", delegate, patient=key[0])
        self.do("request_access", key[1], request=self.request_for(key, pick))

    def delegates(self) -> list[tuple[int, int]]:
        """Patient and delegate of each delegation that holds now."""
        return [
            (patient, delegate)
            for (patient, delegate), set_to in self.world().state.delegations.items()
            if set_to.powers
            and self.now < set_to.expires_at
            and set_to.epoch == self.world().patient(patient).delegate_epoch
        ]

    @rule(
        patient=PATIENT,
        grantee=GRANTEE,
        purpose=PURPOSE,
        study=STUDIES,
        what=st.sampled_from(
            ["a consent", "a consent", "a consent", "anything", "all", "all and dismiss", "glass"]
        ),
        pick=PICK,
    )
    def take_back(self, patient: str, grantee: str, purpose: str, study: int, what: str, pick: int) -> None:
        key = (self.who(patient), self.who(grantee), short(purpose), study)
        if what == "a consent" and self.consents():
            key = self.consents()[pick % len(self.consents())]
        if what == "glass":
            key = (self.who(patient), self.who("hospital"), BREAK_THE_GLASS, 0)
        if what.startswith("all"):
            self.do("revoke_all", patient, dismiss_delegates=what == "all and dismiss")
        else:
            self.do("revoke_consent", key[0], grantee=key[1], purpose=key[2], study=key[3])

    @rule(patient=PATIENT)
    def dismiss(self, patient: str) -> None:
        self.do("dismiss_delegates", patient)

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
        reward = self.offer(pick) if rewarded else None
        entity = next((a for a, e in self.world().state.entities.items() if e.suspended and suspended), None)
        about = {"terms": draft.terms(self.now, reward), "open_until": self.now + 1 + pick}
        self.do("request_consent", entity or who, patient=self.who(patient), **about)

    @rule(patient=PATIENT, grantee=GRANTEE, purpose=PURPOSE, study=STUDIES, defect=st.integers(0, 5))
    def refuse(self, patient: str, grantee: str, purpose: str, study: int, defect: int) -> None:
        self.do(
            "refuse_consent",
            patient,
            grantee=0 if defect == 1 else self.who(grantee),
            purpose=0 if defect == 2 else short(purpose),
            study=study,
        )

    @rule(
        patient=PATIENT,
        purpose=st.sampled_from(["HRESCH", "HRESCH", "CLINTRCH", "TREAT", "BTG"]),
        how=st.sampled_from(["refuse", "allow", "allow what is refused", "allow what is refused"]),
    )
    def refuse_or_allow_purpose(self, patient: str, purpose: str, how: str) -> None:
        code = short(purpose)
        if how == "allow what is refused":
            for known, state in self.world().state.patients.items():
                for refused in sorted(state.refused_purposes):
                    patient, code = self.system.names[known], refused
        self.do("refuse_purpose" if how == "refuse" else "allow_purpose", patient, purpose=code)

    @rule(patient=PATIENT, choice=st.sampled_from(CHOICES))
    def choose_emergency(self, patient: str, choice: str) -> None:
        self.do("set_emergency_choice", patient, choice=choice)

    @rule(
        patient=PATIENT,
        hospital=st.sampled_from(["hospital", "hospital", "researcher", "researcher", "relayer", "nobody"]),
        allowed=st.booleans(),
    )
    def name_hospital(self, patient: str, hospital: str, allowed: bool) -> None:
        named = 0 if hospital == "nobody" else self.who(hospital)
        self.do("allow_emergency" if allowed else "forbid_emergency", patient, hospital=named)

    # ---------------------------------------------------------------- signed messages

    def signed_consent(
        self, signer: int, grantee: int, terms: ConsentTerms, deadline: int, ahead: int = 0, given: int = 0
    ) -> dict[str, Any]:
        """A message for the counter that many ahead, if as many were given before to the same grantee."""
        state = self.world().patient(signer)
        version = self.world().consent_record((signer, grantee, terms.purpose, terms.study)).version + 1
        numbers = {"generation": state.generation, "counter": state.counter + ahead, "deadline": deadline}
        medsync, chain = self.system.medsync.address, self.world().chain_id
        about = {"patient": signer, "grantee": grantee, "terms": terms}
        message = consent_message(chain, medsync, signer, grantee, terms, version + given, *numbers.values())
        return {"function": "add_consent_by_sig", **about, **numbers, "signed": message}

    def signed_withdrawal(self, key: Key, deadline: int) -> dict[str, Any]:
        generation = self.world().patient(key[0]).generation
        about = dict(zip(("patient", "grantee", "purpose", "study"), key, strict=True))
        numbers = {"generation": generation, "deadline": deadline}
        medsync, chain = self.system.medsync.address, self.world().chain_id
        message = revocation_message(chain, medsync, *key, *numbers.values())
        return {"function": "revoke_consent_by_sig", **about, **numbers, "signed": message}

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
        self, patient: str, grantee: str, draft: Draft, life: int, ahead: int, pick: int, submitted: str
    ) -> None:
        reward = self.offer(pick, for_consents=True) if pick % 2 else None
        terms, deadline = draft.terms(self.now, reward), self.now + life
        message = self.signed_consent(self.who(patient), self.who(grantee), terms, deadline, ahead)
        self.messages.append(message)
        self.submit_message(message, submitted)

    @rule(
        patient=PATIENT,
        drafts=st.lists(st.tuples(GRANTEE, DRAFT), min_size=2, max_size=4),
        order=st.sampled_from(["as signed", "as signed", "backwards", "later"]),
        panic=st.none() | PANICS,
        after=st.integers(0, 2),
    )
    def sign_series(
        self, patient: str, drafts: list[tuple[str, Draft]], order: str, panic: str | None, after: int
    ) -> None:
        """Several consents signed in a row, for later; maybe the patient regrets it in between."""
        signer, series = self.who(patient), list[dict[str, Any]]()
        for ahead, (grantee, draft) in enumerate(drafts):
            to, terms = self.who(grantee), replace(draft, start=0, length=400 * DAY).terms(self.now)
            same = [
                m
                for m in series
                if (m["grantee"], m["terms"].purpose, m["terms"].study) == (to, terms.purpose, terms.study)
            ]
            message = self.signed_consent(signer, to, terms, self.now + 300 * DAY, ahead, len(same))
            series.append(message)
        self.messages += series
        for place, message in enumerate(reversed(series) if order == "backwards" else series):
            if panic and place == after:
                self.press(panic, signer)
            if order != "later":
                self.submit_message(message, "as it is")

    def press(self, panic: str, patient: int) -> None:
        """A panic button: what was signed before and gives a consent is void."""
        match panic:
            case "cancel":
                self.do("cancel_signatures", patient)
            case "revoke all":
                self.do("revoke_all", patient, dismiss_delegates=False)
            case "withdraw":
                keys = [key for key in self.consents() if key[0] == patient]
                key = keys[0] if keys else (patient, self.who("hospital"), short("TREAT"), 0)
                message = self.signed_withdrawal(key, self.now + DAY)
                self.messages.append(message)
                self.submit_message(message, "as it is")

    @rule(
        pick=PICK,
        life=st.sampled_from([0, 300 * DAY, 300 * DAY]),
        about=st.sampled_from(["a consent", "a consent", "a consent", "never given", "glass", "nobody"]),
        submitted=SUBMITTED,
    )
    def sign_withdrawal(self, pick: int, life: int, about: str, submitted: str) -> None:
        keys = self.consents() or [(self.who("patient"), self.who("hospital"), short("TREAT"), 0)]
        patient, grantee, purpose, study = keys[pick % len(keys)]
        match about:
            case "never given":
                purpose = short("DSRCH")
            case "glass":
                purpose = BREAK_THE_GLASS
            case "nobody":
                grantee = 0
        message = self.signed_withdrawal((patient, grantee, purpose, study), self.now + life)
        self.messages.append(message)
        self.submit_message(message, submitted)

    @precondition(lambda self: self.messages)
    @rule(
        picks=st.lists(st.integers(0, KEPT - 1), min_size=1, max_size=3),
        submitted=SUBMITTED,
        when=st.sampled_from(["now", "now", "now", "in time", "late"]),
    )
    def submit(self, picks: list[int], submitted: str, when: str) -> None:
        """A relayer submits some of the latest messages, in any order, maybe again, maybe after something
        changed, maybe at the last second or one too late."""
        for pick in picks:
            message = self.messages[-1 - pick % min(KEPT, len(self.messages))]
            if when != "now" and message["deadline"] - self.now < 40 * DAY:
                self.system.now = max(self.now, message["deadline"] + (when == "late"))
            self.submit_message(message, submitted)

    def submit_message(self, message: dict[str, Any], how: str) -> None:
        """Submit a message not at all, as it is, altered, or signed by somebody else."""
        if how == "not":
            return
        told = dict(message)
        function, signed, signer = told.pop("function"), told.pop("signed"), told["patient"]
        if how == "altered":
            told["deadline"] += 1
        signature = self.system.sign(self.who("stranger") if how == "forged" else signer, signed)
        covers = signed if how != "forged" else 0
        self.do(function, "relayer", signed=covers, **told, signature=signature)

    @rule(patient=PATIENT, panic=PANICS)
    def press_a_panic_button(self, patient: str, panic: str) -> None:
        self.press(panic, self.who(patient))

    # ---------------------------------------------------------------- access

    def request_for(self, key: Key, pick: int, variant: str = "") -> AccessRequest:
        """A request on a consent there is: exactly what it allows, or something else."""
        patient, _, purpose, study = key
        categories, campaign = self.world().consent_record(key).categories, self.system.campaign_of(key)
        match variant:
            case "part":
                categories &= -categories
            case "more":
                categories = (categories | 0b1000) & 0xFFFF
            case "free":
                campaign = 0
            case "other campaign":
                campaign = campaign_id(self.offer(pick))
            case "other purpose":
                purpose = short("PUBHLTH")
            case "other study":
                study ^= STUDY
        return AccessRequest(patient, purpose, study, categories or 1, 1000 + pick, campaign)

    @precondition(lambda self: self.consents())
    @rule(
        asked=st.lists(
            st.tuples(
                PICK,
                st.sampled_from(
                    ["", "", "", "part", "more", "free", "other campaign", "other purpose", "other study"]
                ),
                st.sampled_from(["Given", "Given", "Withdrawn", "Revoked", "Refused"]),
            ),
            min_size=1,
            max_size=3,
        )
    )
    def request(self, asked: list[tuple[int, str, str]]) -> None:
        for pick, variant, status in asked:
            keys = [k for k in self.consents() if self.world().consent_record(k).status == status]
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
    @rule(pick=PICK, times=st.integers(1, 3), over=st.sampled_from([False, False, False, False, True]))
    def request_for_reward(self, pick: int, times: int, over: bool) -> None:
        """While the campaign lasts, or in its last second and the one after it."""
        live = self.consents(permitting=True, rewarded=True)
        key = live[pick % len(live)]
        end = self.system.campaigns[self.system.campaign_of(key)].expires_at
        if over and end - self.now < 400 * DAY:
            self.system.now = max(self.now, end - 1)
            self.do("request_access", key[1], request=self.request_for(key, pick))
            self.system.now = max(self.now, end)
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

    def edges(self) -> list[tuple[int, Key]]:
        """The next moments at which a consent given, or the campaign it names, begins or ends."""
        edges = []
        for key in self.consents():
            consent, campaign = self.world().consent_record(key), self.system.campaign_of(key)
            moments = {consent.starts_at, consent.expires_at}
            if campaign:
                moments.add(self.system.campaigns[campaign].expires_at)
            if consent.status == "Given":
                edges += [(edge, key) for edge in moments if self.now < edge < self.now + 40 * DAY]
        return sorted(edges)

    @precondition(lambda self: self.consents())
    @rule(
        picks=st.lists(PICK, min_size=1, max_size=4),
        variant=st.sampled_from(["", "", "", "more", "free"]),
        defect=st.sampled_from(["", "", "", "", "last malformed", "empty", "too large", "too large"]),
    )
    def request_batch(self, picks: list[int], variant: str, defect: str) -> None:
        keys = self.consents(permitting=True) or self.consents()
        key = keys[picks[0] % len(keys)]
        request = self.request_for(key, picks[0], variant)
        patients = (request.patient, self.who("patient"), self.who("second_patient"))
        subjects = [Subject(patients[pick % 3], pick) for pick in picks]
        match defect:
            case "last malformed":
                subjects.append(Subject(0, 1))
            case "empty":
                subjects = []
            case "too large":
                subjects = [Subject(request.patient, 1)] * (MAX_BATCH + 1)
        about = {name: getattr(request, name) for name in ("purpose", "study", "categories", "campaign")}
        self.do("request_access_batch", key[1], **about, subjects=subjects)

    @rule(
        patient=PATIENT,
        who=ANYONE,
        purpose=PURPOSE,
        defect=st.sampled_from(["", "", "patient", "purpose", "glass", "categories", "category", "caller"]),
    )
    def request_anything(self, patient: str, who: str, purpose: str, defect: str) -> None:
        request = AccessRequest(
            0 if defect == "patient" else self.who(patient),
            short({"purpose": "HMARKT", "glass": "BTG"}.get(defect, purpose)),
            0,
            {"categories": 0, "category": 0x10000}.get(defect, 1),
            5,
            0,
        )
        self.do("request_access", "relayer" if defect == "caller" else who, request=request)

    @rule(pick=PICK, defects=several("", "statement", "purpose", "caller", "never decided"))
    def state_deletion(self, pick: int, defects: list[str]) -> None:
        keys = self.consents() or [(self.who("patient"), self.who("hospital"), short("TREAT"), 0)]
        patient, grantee, purpose, study = keys[pick % len(keys)]
        for defect in defects:
            self.do(
                "state_deletion",
                "relayer" if defect == "caller" else grantee,
                patient=patient,
                purpose=BREAK_THE_GLASS if defect == "purpose" else purpose,
                study=99 if defect == "never decided" else study,
                statement=0 if defect == "statement" else 0x5A1D,
            )

    # ---------------------------------------------------------------- emergencies

    @rule(
        who=st.sampled_from(["hospital", "hospital", "hospital", "researcher", "second_researcher"]),
        patient=PATIENT,
        refused=st.booleans(),
        fresh=st.sampled_from(["", "", "", "just reinstated", "a second too early", "just in time"]),
        defect=st.sampled_from(["", "", "", "", "", "", "patient", "categories", "caller"]),
    )
    def break_the_glass(self, who: str, patient: str, refused: bool, fresh: str, defect: str) -> None:
        for address, state in self.world().state.patients.items():
            if refused and state.emergency != "EveryHospital":
                patient = self.system.names[address]
        hospital = self.who("hospital")
        if fresh:
            if not self.world().entity(hospital).suspended:
                self.do("suspend_entity", self.admin(), address=hospital)
            self.do("reinstate_entity", self.admin(), address=hospital)
        if fresh and fresh != "just reinstated":
            self.system.now += EMERGENCY_DELAY - (fresh == "a second too early")
        self.do(
            "request_emergency_access",
            "relayer" if defect == "caller" else who,
            patient=0 if defect == "patient" else self.who(patient),
            categories=0 if defect == "categories" else 0b101,
            record=77,
        )

    @rule(
        pick=PICK,
        acts=st.lists(st.sampled_from(["justify", "justify", "contest"]), min_size=1, max_size=3),
        defect=st.sampled_from(["", "", "", "", "statement", "other entry", "other entry", "late", "early"]),
    )
    def answer_an_emergency(self, pick: int, acts: list[str], defect: str) -> None:
        """The hospital says why, or the patient says no, to an emergency access of before."""
        if not self.world().state.emergencies:
            about = {"patient": self.who("patient"), "categories": 1, "record": 0}
            self.do("request_emergency_access", "hospital", **about)
        emergencies = list(self.world().state.emergencies) or [(self.who("patient"), 1, self.who("hospital"))]
        patient, entry, hospital = emergencies[-1 - pick % min(3, len(emergencies))]
        if defect in ("late", "early"):
            last = self.world().emergency(patient, entry, hospital).at + JUSTIFY_WITHIN
            self.system.now = max(self.now, last + (defect == "late"))
        entry += defect == "other entry"
        for act in acts:
            if act == "justify":
                statement = 0 if defect == "statement" else 0x5A1D
                about = {"patient": patient, "emergency": entry, "statement": statement}
                self.do("justify_emergency", hospital, **about)
            else:
                self.do("contest_emergency", patient, hospital=hospital, emergency=entry)

    # ---------------------------------------------------------------- rewards

    @precondition(lambda self: len(self.offers) < 8)
    @rule(
        second_pool=st.booleans(),
        funder=st.sampled_from(["researcher", "second_researcher"]),
        purpose=PURPOSE,
        study=STUDIES,
        rate=st.sampled_from([1, 3, 9_999, 10_000, 10_001, 10**18]) | st.integers(1, 10**24),
        bps=st.sampled_from([0, 1, 2_500, 3_333, 9_999, 10_000]),
        life=st.sampled_from([500 * DAY, 30 * DAY, 30 * DAY, 200, 1]),
        uses=st.integers(1, 3),
        spender=st.sampled_from(["", "", "stranger"]),
    )
    def open_campaign(
        self,
        second_pool: bool,
        funder: str,
        purpose: str,
        study: int,
        rate: int,
        bps: int,
        life: int,
        uses: int,
        spender: str,
    ) -> None:
        pool = self.system.second_pool if second_pool else self.system.pool
        self.open(pool.address, funder, purpose, study, rate, bps, life, uses, spender)

    def open(
        self,
        pool: int,
        funder: str,
        purpose: str,
        study: int,
        rate: int,
        bps: int,
        life: int,
        uses: int,
        spender: str,
    ) -> None:
        terms = CampaignTerms(
            pool,
            self.who(funder),
            short(purpose),
            study,
            rate,
            self.who("hospital") if bps else 0,
            bps,
            self.now + life,
            self.who(spender) if spender else 0,
            len(self.offers),
        )
        if self.do("deposit", funder, pool=pool, terms=terms, amount=rate * uses):
            self.offers.append(terms)

    @rule(
        pick=PICK,
        amount=st.sampled_from(["rate", "rate", "part", "all there is and more", "all there is and more"]),
    )
    def deposit_more(self, pick: int, amount: str) -> None:
        terms = self.offer(pick)
        token = self.world().state.pools[terms.pool].token
        balance = self.world().state.tokens[token].balances[terms.funder]
        more = terms.rate * (balance // terms.rate + 1)
        units = {"rate": terms.rate, "part": terms.rate + 1}.get(amount, more)
        self.do("deposit", terms.funder, pool=terms.pool, terms=terms, amount=units)

    @rule(
        pick=PICK,
        defects=several(
            *(
                "pool",
                "funder",
                "amount",
                "purpose",
                "rate",
                "bps",
                "custodian",
                "no custodian",
                "own custodian",
            ),
            *("cap", "uses", "approval", "stray", "range"),
        ),
    )
    def deposit_wrongly(self, pick: int, defects: list[str]) -> None:
        for defect in defects:
            self.deposit_with(defect, self.offer(pick))

    def deposit_with(self, defect: str, offer: CampaignTerms) -> None:
        terms = replace(offer, expires_at=self.now + 1)
        caller, pool, amount = terms.funder, terms.pool, terms.rate
        match defect:
            case "pool":
                terms = replace(terms, pool=self.system.stray_pool.address)
            case "stray":
                pool = self.system.stray_pool.address
                terms = replace(terms, pool=pool, spender=0, rate=1)
                amount = 1
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
            case "own custodian":
                terms = replace(terms, custodian=pool, custodian_bps=1)
            case "cap":
                terms, amount = replace(terms, rate=U123_MAX), U123_MAX
            case "uses":
                terms, amount = replace(terms, rate=1), 2**64
            case "range":
                terms = replace(terms, expires_at=TIME_MAX + 1)
            case "approval":
                caller = self.who("stranger")
                terms = replace(terms, funder=caller)
        self.do("deposit", caller, pool=pool, terms=terms, amount=amount)

    @rule(
        pick=PICK,
        accessor=st.sampled_from(["researcher", "second_researcher", "second_researcher", "hospital"]),
        acts=st.lists(st.sampled_from(["increase", "decrease", "revoke"]), min_size=1, max_size=2),
        much=st.sampled_from(["one", "one", "one", "one too many", "none"]),
        defect=st.sampled_from(["", "", "", "", "pool", "funder", "nobody", "itself", "never funded"]),
    )
    def move_allowances(self, pick: int, accessor: str, acts: list[str], much: str, defect: str) -> None:
        """From the funder's own budget to an accessor's, and back from some accessor that has one."""
        for act in ["increase", *acts]:
            terms, given = self.offer(pick), self.who(accessor)
            allowed = [
                (campaign, who)
                for (campaign, who), budget in self.world().state.budgets.items()
                if budget.left and who != self.system.campaigns[campaign].funder
            ]
            if act != "increase" and allowed:
                campaign, given = allowed[pick % len(allowed)]
                terms = self.system.campaigns[campaign]
            source = terms.funder if act == "increase" else given
            left = self.world().budget(campaign_id(terms), source).left
            uses = {} if act == "revoke" else {"uses": {"one": 1, "none": 0}.get(much, left + 1)}
            self.do(
                f"{act}_allowance",
                "stranger" if defect == "funder" else terms.funder,
                pool=self.system.stray_pool.address if defect == "pool" else terms.pool,
                terms=replace(terms, salt=99) if defect == "never funded" else terms,
                accessor={"nobody": 0, "itself": terms.funder}.get(defect, given),
                **uses,
            )

    @rule(pick=PICK, by_funder=st.sampled_from([True, True, False]), draft=DRAFT)
    def announce_close(self, pick: int, by_funder: bool, draft: Draft) -> None:
        """From then on no consent can newly name the campaign."""
        terms = self.offer(pick)
        caller = terms.funder if by_funder else self.who("stranger")
        self.do("announce_close", caller, pool=terms.pool, terms=terms)
        if terms.spender == 0:
            consent = replace(draft, start=0).terms(self.now, terms)
            self.do("add_consent", "second_patient", grantee=terms.funder, terms=consent)

    @rule(
        pick=PICK,
        by_funder=st.sampled_from([True, True, True, False]),
        how=st.sampled_from(["now", "at expiry", "after notice", "after notice", "too late", "too late"]),
        early=st.sampled_from([0, 0, 1]),
        takes_back=st.booleans(),
    )
    def close(self, pick: int, by_funder: bool, how: str, early: int, takes_back: bool) -> None:
        terms = self.offer(pick)
        campaign = self.world().campaign(terms.pool, campaign_id(terms))
        if how == "at expiry" and terms.expires_at - self.now < 40 * DAY:
            self.system.now = max(self.now, terms.expires_at - early)
        if how in ("after notice", "too late") and campaign.status == "Open":
            if not campaign.closing_at:
                self.do("announce_close", terms.funder, pool=terms.pool, terms=terms)
            window = CLOSE_WINDOW if how == "too late" else 0
            self.system.now = max(self.now, campaign.closing_at + window - early)
        caller = terms.funder if by_funder else self.who("stranger")
        self.do("close_campaign", caller, pool=terms.pool, terms=terms)
        about = {"terms": terms, "accessor": self.who("second_researcher")}
        if takes_back:
            self.do("revoke_allowance", terms.funder, pool=terms.pool, **about)
        elif pick % 2:
            self.do("increase_allowance", terms.funder, pool=terms.pool, **about, uses=1)
        else:
            self.do("deposit", terms.funder, pool=terms.pool, terms=terms, amount=terms.rate)

    @rule(
        pick=PICK,
        grantee=GRANTEE,
        patient=PATIENT,
        owed=st.sampled_from([True, True, False]),
        elsewhere=st.sampled_from([False, False, False, True]),
        times=st.integers(1, 2),
    )
    def settle(self, pick: int, grantee: str, patient: str, owed: bool, elsewhere: bool, times: int) -> None:
        """Anyone has a pool credit a patient, or a custodian; a second time there is nothing to credit."""
        terms = self.offer(pick)
        about: dict[str, Any] = {"patient": self.who(patient), "grantee": self.who(grantee)}
        known = [entry for pool in self.system.pools for entry in self.system.unsettled(pool.address)]
        if owed and known:
            someone, claim = known[pick % len(known)]
            about, terms = {"patient": someone, "grantee": claim.grantee}, claim.terms
        pool = self.system.stray_pool.address if elsewhere else terms.pool
        accessor = {"terms": terms, "accessor": about["grantee"]}
        for _ in range(times):
            self.do("settle", "relayer", pool=pool, **about, terms=terms)
            self.do("settle_custodian", "relayer", pool=pool, **accessor)

    @rule(
        pick=PICK,
        part=st.sampled_from(["all", "all", "one", "one too many", "none"]),
        to=st.sampled_from(["owner", "owner", "owner", "relayer", "nobody", "pool"]),
        claimed=st.sampled_from(["", "all", "all", "twice", "elsewhere", "too many", "too many"]),
    )
    def withdraw(self, pick: int, part: str, to: str, claimed: str) -> None:
        """Draw a credit, having what is owed settled first or not."""
        owed = [
            (pool.address, patient)
            for pool in self.system.pools
            for patient, _ in self.system.unsettled(pool.address)
        ]
        owed += [(pool, owner) for pool, owner, _ in self.system.claims()]
        pool, owner = owed[pick % len(owed)] if owed else (self.system.pool.address, self.who("patient"))
        mine = [claim for patient, claim in self.system.unsettled(pool) if patient == owner]
        claims = {"": [], "twice": mine * 2}.get(claimed, mine)
        other = next(terms for terms in [*self.offers, self.system.hostile_terms] if terms.pool != pool)
        match claimed:
            case "elsewhere":
                claims = [*mine, Claim(self.who("researcher"), other)]
            case "too many":
                claims = [Claim(self.who("researcher"), replace(other, pool=pool))] * (MAX_CLAIMS + 1)
        claimable = self.world().credit(pool, owner).claimable
        claimable += self.world().unsettled(pool, owner, mine) if claims else 0
        amount = {"all": claimable, "one": 1, "one too many": claimable + 1, "none": 0}[part]
        recipient = {"owner": owner, "relayer": self.who("relayer"), "nobody": 0, "pool": pool}[to]
        self.do("withdraw", owner, pool=pool, amount=amount, recipient=recipient, claims=claims)

    @rule(
        pick=PICK,
        to=st.sampled_from(["key", "key", "patient", "hospital", "nobody", "pool", "no key"]),
        defect=st.sampled_from(["", "", "", "", "caller", "pool"]),
        times=st.integers(1, 4),
    )
    def spend(self, pick: int, to: str, defect: str, times: int) -> None:
        """The spender that a campaign names pays an account or a key."""
        others = [terms for terms in self.offers if terms.spender] or self.offers
        terms = others[pick % len(others)]
        keys = {"key": HOLDER, "no key": OFF_CURVE}
        accounts = {"nobody": 0, "pool": terms.pool}
        payee = (
            Payee("Key", keys[to])
            if to in keys
            else Payee("Account", accounts[to] if to in accounts else self.who(to))
        )
        pool = self.system.stray_pool.address if defect == "pool" else terms.pool
        caller = "relayer" if defect == "caller" else "stranger"
        for _ in range(times):
            self.do("spend", caller, pool=pool, terms=terms, payee=payee)

    @rule(
        pick=PICK,
        part=st.sampled_from(["all", "all", "all", "one too many", "none"]),
        to=st.sampled_from(["relayer", "relayer", "relayer", "nobody"]),
        signed=st.sampled_from(["well", "well", "well", "by another", "for another nonce"]),
        again=st.booleans(),
    )
    def withdraw_by_key(self, pick: int, part: str, to: str, signed: str, again: bool) -> None:
        pools = [
            pool.address
            for pool in self.system.pools
            if any(credit.claimable for credit in self.world().state.pools[pool.address].keys.values())
        ] or [self.system.pool.address]
        pool = pools[pick % len(pools)]
        credit = self.world().state.pools[pool].keys.get(HOLDER)
        claimable, nonce = (credit.claimable, credit.nonce) if credit else (0, 0)
        amount = {"all": claimable, "one too many": claimable + 1, "none": 0}[part]
        recipient = 0 if to == "nobody" else self.who(to)
        drawing = self.system.drawing(
            pool,
            HOLDER,
            amount,
            recipient,
            nonce=nonce + (signed == "for another nonce"),
            by=KEY + (signed == "by another"),
        )
        for _ in range(2 if again else 1):
            self.system.perform_all(self.who("relayer"), [drawing])

    @rule(pick=PICK, who=ANYONE, act=st.sampled_from(["grant", "take", "settle", "settle custodian"]))
    def touch_budgets_from_outside(self, pick: int, who: str, act: str) -> None:
        terms, accessor = self.offer(pick), self.who("second_researcher")
        about = {"terms": terms, "accessor": accessor}
        match act:
            case "grant":
                self.do("grant_budget", who, **about, uses=1)
            case "take":
                self.do("take_budget", who, **about, uses=None if pick % 2 else 1)
            case "settle":
                claim = {"patient": self.who("patient"), "grantee": terms.funder}
                self.do("take_unsettled", who, terms=terms, **claim)
            case "settle custodian":
                self.do("take_custodian_unsettled", who, **about)

    @rule(salt=st.integers(1000, 2**64), token=st.sampled_from([ETH, ETH, 0]))
    def create_pool(self, salt: int, token: int) -> None:
        """Anyone may; nobody uses it."""
        place = self.system.place_of_pool(self.who("stranger"), token, salt)
        if place not in self.world().state.pools:
            self.do("create_pool", "stranger", token=token, salt=salt)

    @rule(
        habits=st.lists(st.sampled_from(sorted(HABITS)), min_size=2, max_size=2, unique=True),
        function=st.sampled_from(["revoke_all", "withdraw", "settle"]),
        victim=st.sampled_from(["pool", "researcher", "patient"]),
        uses=st.sampled_from([1, 2]),
        lasting=st.booleans(),
    )
    def token_misbehaves(
        self, habits: list[str], function: str, victim: str, uses: int, lasting: bool
    ) -> None:
        """Under every habit somebody deposits and somebody withdraws."""
        pool, terms = self.system.hostile_pool.address, self.system.hostile_terms
        blocked = pool if victim == "pool" else self.who(victim)
        for habit in habits:
            self.system.have_token_take_up(habit, blocked, function)
            books = self.world().state.pools[pool]
            surplus = self.world().state.tokens[books.token].balances[pool] - books.liabilities
            # Unless it owes more than it holds the pool does not notice that nothing came.
            more = uses + surplus // terms.rate if habit == "stands still" else uses
            self.do("deposit", terms.funder, pool=pool, terms=terms, amount=more * terms.rate)
            mine = [(owner, claimable) for at, owner, claimable in self.system.claims() if at == pool]
            for owner, claimable in mine[:1]:
                drawn = {"amount": min(uses, claimable), "recipient": owner, "claims": []}
                self.do("withdraw", owner, pool=pool, **drawn)
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
        rewarded = draft.terms(self.now, self.offer(pick, for_consents=True))
        about = {"grantee": to, "purpose": short(draft.purpose), "study": draft.study}
        given = [key for key in self.consents() if key[0] == who]
        revoked = dict(zip(about, given[pick % len(given)][1:], strict=True)) if given else about
        owed = [(pool, claimable) for pool, owner, claimable in self.system.claims() if owner == who]
        pool, claimable = owed[pick % len(owed)] if owed else (self.system.pool.address, 1)
        claims = [claim for owner, claim in self.system.unsettled(pool) if owner == who]
        drawn = {"amount": (claimable + 1) // 2, "recipient": who, "claims": claims}
        delegate = {"delegate": self.who("guardian"), "powers": pick % 8, "expires_at": self.now + DAY}
        possible = {
            "give": Operation("add_consent", {"grantee": to, "terms": draft.terms(self.now)}),
            "give for reward": Operation("add_consent", {"grantee": to, "terms": rewarded}),
            "revoke": Operation("revoke_consent", revoked),
            "revoke all": Operation("revoke_all", {"dismiss_delegates": pick % 2 == 0}),
            "name": Operation("set_delegate", delegate),
            "dismiss": Operation("dismiss_delegates"),
            "choose": Operation("set_emergency_choice", {"choice": CHOICES[pick % 3]}),
            "cancel": Operation("cancel_signatures"),
            "refuse": Operation("refuse_consent", about),
            "refuse purpose": Operation("refuse_purpose", {"purpose": about["purpose"]}),
            "withdraw": Operation("withdraw", drawn, pool),
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
        terms = self.offer(pick, for_consents=True)
        who, pool = terms.funder, terms.pool
        mine = [key for key in self.consents(permitting=True) or self.consents() if key[1] == who]
        key = mine[pick % len(mine)] if mine else (self.who("patient"), who, terms.purpose, terms.study)
        request = self.request_for(key, pick)
        asked = {name: getattr(request, name) for name in ("purpose", "study", "categories", "campaign")}
        consent = {"terms": Draft("HRESCH", 1, 0, DAY, 0).terms(self.now), "open_until": self.now + 1}
        moved = {"terms": terms, "accessor": self.who("hospital")}
        drawn = {"amount": 1, "recipient": who, "claims": []}
        claim = {"patient": key[0], "grantee": who, "terms": terms}
        possible = {
            "ask": Operation("request_access", {"request": request}),
            "ask several": Operation(
                "request_access_batch", asked | {"subjects": [Subject(key[0], pick)] * 2}
            ),
            "deposit": Operation("deposit", {"terms": terms, "amount": terms.rate}, pool),
            "allow": Operation("increase_allowance", moved | {"uses": 1}, pool),
            "take back": Operation("revoke_allowance", moved, pool),
            "settle": Operation("settle", claim, pool),
            "announce": Operation("announce_close", {"terms": terms}, pool),
            "close": Operation("close_campaign", {"terms": terms}, pool),
            "withdraw": Operation("withdraw", drawn, pool),
            "request consent": Operation("request_consent", {"patient": key[0], **consent}),
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

    def settle_everything(self) -> None:
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
        for terms in open_now:
            if self.now < terms.expires_at:
                self.do("announce_close", terms.funder, pool=terms.pool, terms=terms)
        system.now += CLOSE_NOTICE
        self.carry_out(
            [
                (terms.funder, [Operation("close_campaign", {"terms": terms}, terms.pool)])
                for terms in open_now
            ]
        )
        left = [key for key, budget in self.world().state.budgets.items() if budget.left]
        for campaign, accessor in left:
            terms = system.campaigns[campaign]
            about = {"terms": terms, "accessor": accessor}
            self.do("revoke_allowance", terms.funder, pool=terms.pool, **about)
        self.carry_out(system.withdrawals(self.order))
        for pool in system.pools:
            books = self.world().state.pools[pool.address]
            assert books.liabilities == 0
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
    contracts = Path(__file__).parents[2] / "contracts"
    codes = {
        code
        for source in contracts.rglob("*.cairo")
        if source.name != "tests.cairo"
        for code in re.findall(r"'([A-Z]+/[A-Z_]+)'", source.read_text())
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
