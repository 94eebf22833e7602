"""Cases for the decision: what the cells hold, and what is asked then; drawn close to where answers change.

Cells are put together here as the specification lays them out, so a case can hold what no history would reach
in years. Nothing is taken from the package or from the contracts.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

from poseidon_py.poseidon_hash import poseidon_hash_many

from tests.harness.cells import address_of, packed
from tests.model.log import campaign_id
from tests.model.state import Campaign, Consent, Credit, Entity, Log, Patient, Pool, Puppet, State
from tests.model.words import (
    ALL_CATEGORIES,
    PURPOSE_NAMES,
    ROLES,
    TIME_MAX,
    U32_MAX,
    U64_MAX,
    U123_MAX,
    U128_MAX,
    AccessReceipt,
    AccessRequest,
    CampaignTerms,
    ModelError,
    short,
)
from tests.model.world import World

T = TypeVar("T")

ACCESSOR = 0  # whoever makes a call outside of a transaction
PATIENT, CUSTODIAN, FUNDER = 0xA11, 0xC0DE, 0xF00D
STATUSES = ("None", "Given", "Withdrawn", "Revoked")
CAMPAIGN_STATUSES = ("None", "Open", "Closed")
HEAD_BITS = 219
NOWS = (1, 2, 2**31, 2**32, *[1_800_000_000] * 8, TIME_MAX - 1, TIME_MAX, TIME_MAX + 1)


@dataclass(frozen=True)
class Scene:
    """What the cases of one call share: the second, what the consent is for, and the campaigns there are."""

    now: int
    purpose: int
    judge: int
    terms: CampaignTerms
    unfunded: CampaignTerms
    """Of the same pool, but nothing was ever deposited for them."""
    broken: CampaignTerms
    """Of something that is no pool."""

    def places(self) -> list[int]:
        """The addresses of the cells that a case fills, in its order."""
        consent = poseidon_hash_many([PATIENT, ACCESSOR, self.purpose])
        campaign = campaign_id(self.terms)
        return [
            address_of("EntityRegistry_entities", ACCESSOR),
            address_of("ConsentRegistry_records", consent),
            address_of("ConsentRegistry_campaigns", consent),
            address_of("ConsentRegistry_patients", PATIENT),
            address_of("AccessLog_heads", PATIENT),
            address_of("campaigns", campaign),
            address_of("allowances", poseidon_hash_many([campaign, ACCESSOR])),
            address_of("credits", PATIENT),
            address_of("credits", CUSTODIAN),
        ]


class Question(NamedTuple):
    """A call to `MedSync`."""

    function: str
    arguments: dict[str, Any]


@dataclass
class Case:
    scene: Scene
    entity: Entity
    consent: Consent
    named_before: int
    """What the second cell of the consent still holds from an earlier one that asked for pay."""
    patient: Patient
    entries: int
    """How many the patient's log has."""
    campaign: Campaign
    allowance: int
    credits: tuple[int, int]
    """The patient's and the custodian's, in the token's smallest unit."""
    question: Question

    def state(self) -> State:
        """The model's state in this case, made anew for every use."""
        scene = self.scene
        campaign = campaign_id(scene.terms)
        pool = Pool(token=0, log=scene.judge)
        pool.campaigns[campaign] = replace(self.campaign)
        pool.allowances[campaign, ACCESSOR] = self.allowance
        pool.credits = {PATIENT: Credit(self.credits[0]), CUSTODIAN: Credit(self.credits[1])}
        state = State(admin=1)
        state.entities[ACCESSOR] = self.entity
        state.consents[PATIENT, ACCESSOR, scene.purpose] = replace(self.consent)
        state.patients[PATIENT] = self.patient
        state.logs[PATIENT] = Log(self.entries)
        state.pools = {scene.judge: pool, scene.broken.pool: Puppet(scene.judge, 0, "Panic")}
        return state

    def cells(self, state: State) -> list[int]:
        """What the cells hold in a state of the model; of the log only how long it is."""
        scene = self.scene
        entity, patient = state.entities[ACCESSOR], state.patients[PATIENT]
        consent = state.consents[PATIENT, ACCESSOR, scene.purpose]
        pool = state.pools[scene.judge]
        assert isinstance(pool, Pool)
        key = campaign_id(scene.terms)
        campaign = pool.campaigns[key]
        return [
            packed((ROLES.index(entity.role), 8), (entity.suspended, 1), (entity.registered_at, 40)),
            packed(
                (consent.version, 32),
                (consent.epoch, 32),
                (consent.max_uses, 32),
                (consent.uses, 32),
                (consent.starts_at, 40),
                (consent.expires_at, 40),
                (consent.categories, 32),
                (consent.campaign != 0, 1),
                (STATUSES.index(consent.status), 2),
            ),
            consent.campaign or self.named_before,
            packed((patient.nonce, 64), (patient.epoch, 32), (patient.emergency_opt_out, 1), (1, 1)),
            packed((0, HEAD_BITS), (state.logs[PATIENT].count, 32)),
            packed(
                (campaign.remaining, 128),
                (campaign.paid_count, 64),
                (campaign.closing_at, 40),
                (CAMPAIGN_STATUSES.index(campaign.status), 2),
            ),
            packed((pool.allowances[key, ACCESSOR], 128), (1, 1)),
            *(pool.credits[owner].claimable for owner in (PATIENT, CUSTODIAN)),
        ]


@dataclass(frozen=True)
class Verdict:
    """What came of a case: the answer, or an error code, and what the cells hold then."""

    answer: Any
    cells: list[int]


def decide(case: Case, model: type[World]) -> Verdict:
    """What the model says. Digests are left out: hashing takes longer than everything else."""
    scene, (function, arguments) = case.scene, case.question
    world = model(chain_id=0, medsync=scene.judge, admin=1)
    world.state = case.state()
    answer: Any
    try:
        if function == "verify_consent":
            answer = world.verify_consent(scene.now, **arguments)
        else:
            outcome = getattr(world, function)(ACCESSOR, scene.now, **arguments)
            answer = without_digests(outcome.result)
    except ModelError as error:
        answer = error.code
    return Verdict(answer, case.cells(world.state))


def without_digests(result: Any) -> Any:
    """Decision, reason and place of each entry."""
    if isinstance(result, list):
        return [without_digests(receipt) for receipt in result]
    if isinstance(result, AccessReceipt):
        result = vars(result)
    return result["decision"], result["reason"], result["seq"]


class Draws:
    """An endless supply of cases from one seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def scene(self, judge: int, no_pool: int) -> Scene:
        now, purpose = self._one(NOWS), short(self._one(PURPOSE_NAMES))
        bps = self._one((0, 1, 3_333, 9_999, 10_000))
        terms = CampaignTerms(
            pool=judge,
            funder=self._one((ACCESSOR, FUNDER)),
            purpose=purpose,
            rate=self._one((0, 1, 3, 9_999, 10_000, 10_001, U123_MAX // 2, U123_MAX, U128_MAX)),
            custodian=CUSTODIAN if bps else 0,
            custodian_bps=bps,
            expires_at=self._often(U64_MAX, 0.5, (now - 1, now, *[now + 1] * 4)),
            salt=self._random.getrandbits(64),
        )
        return Scene(
            now, purpose, judge, terms, replace(terms, salt=terms.salt + 1), replace(terms, pool=no_pool)
        )

    def case(self, scene: Scene) -> Case:
        patient = Patient(self._one((0, 1, 7, U32_MAX)), self._one((0, 1, U64_MAX)), self._chance(0.3))
        entity = Entity(
            self._often("Researcher", 0.5, ("Hospital", "Hospital", "Hospital", "Auditor", "None")),
            self._chance(0.06),
            self._one((0, scene.now - 1, TIME_MAX)),
        )
        entity = Entity() if entity.role == "None" else entity
        consent = self._consent(scene, patient)
        rate = min(scene.terms.rate, U123_MAX)
        return Case(
            scene=scene,
            entity=entity,
            consent=consent,
            named_before=self._one((0, campaign_id(scene.terms))),
            patient=patient,
            entries=self._often(0, 0.9, (1, U32_MAX - 2, U32_MAX - 1, U32_MAX)),
            campaign=self._campaign(rate),
            allowance=self._often(rate, 0.4, self._beside(rate, U128_MAX)),
            credits=(self._one((0, 1, U123_MAX)), self._one((0, 1, U123_MAX))),
            question=self._question(scene, consent),
        )

    def _consent(self, scene: Scene, patient: Patient) -> Consent:
        now, end = scene.now, TIME_MAX
        max_uses = self._one((0, 0, 1, 2, 1_000, U32_MAX - 1, U32_MAX))
        limit = max_uses or U32_MAX
        consent = Consent(
            starts_at=min(end, self._often(0, 0.4, (now - 1, now, now, now, now + 1))),
            expires_at=min(end, self._often(end, 0.4, (now - 1, now, *[now + 1] * 6))),
            categories=self._one((1, 1 << 15, ALL_CATEGORIES, self._random.getrandbits(16) | 1)),
            version=self._one((1, 2, U32_MAX - 1, U32_MAX)),
            epoch=self._often(patient.epoch, 0.9, self._beside(patient.epoch, U32_MAX)),
            max_uses=max_uses,
            uses=self._often(0, 0.3, (limit - 1, limit - 1, limit, *self._beside(limit, U32_MAX))),
            status=self._often("Given", 0.85, STATUSES),
            campaign=self._often(
                campaign_id(scene.terms),
                0.45,
                (0, 0, 0, campaign_id(scene.unfunded), campaign_id(scene.broken)),
            ),
        )
        return Consent() if consent.status == "None" else consent

    def _campaign(self, rate: int) -> Campaign:
        return Campaign(
            status=self._often("Open", 0.8, CAMPAIGN_STATUSES),
            remaining=self._one((rate, rate, *self._beside(rate, U123_MAX))),
            paid_count=self._one((0, 1, U64_MAX - 2)),
            closing_at=self._one((0, 1, TIME_MAX)),
        )

    def _question(self, scene: Scene, consent: Consent) -> Question:
        given = consent.categories
        beyond = ~given & ALL_CATEGORIES
        part, more = self._random.getrandbits(16) & given or given, given | beyond & -beyond
        about = {
            "patient": self._often(PATIENT, 0.98, (0,)),
            "purpose": self._often(
                scene.purpose, 0.96, (short("HRESCH"), short("TREAT"), short("HMARKT"), 0)
            ),
            "categories": self._often(
                given or 1,
                0.5,
                (given & -given, *[part] * 5, *[more] * 3, given | 1 << 16, ALL_CATEGORIES, U32_MAX, 0),
            ),
        }
        function = self._one(
            ("verify_consent",) * 8
            + ("request_access",) * 8
            + (
                "request_access_batch",
                "request_access_batch",
                "request_emergency_access",
                "request_emergency_access",
            )
        )
        if function == "verify_consent":
            return Question(function, {"patient": about["patient"], "grantee": ACCESSOR} | about)
        if function == "request_emergency_access":
            del about["purpose"]
            justification = self._often(78, 0.95, (0,))
            return Question(function, about | {"record": 77, "justification_commitment": justification})
        known = {campaign_id(terms): terms for terms in (scene.terms, scene.unfunded, scene.broken)}
        named = known.get(consent.campaign)
        campaign = self._often(named, 0.9, (None, scene.terms, scene.unfunded))
        request = AccessRequest(**about, record=77, campaign=campaign)
        if function == "request_access":
            return Question(function, {"request": request})
        return Question(function, {"requests": [request] * 2})

    def _chance(self, of_one: float) -> bool:
        return self._random.random() < of_one

    def _one(self, options: Sequence[T]) -> T:
        return self._random.choice(options)

    def _often(self, usual: T, share: float, others: Sequence[T]) -> T:
        return usual if self._chance(share) else self._one(others)

    def _beside(self, value: int, most: int) -> tuple[int, ...]:
        """The numbers next to a value and those farthest from it, as far as they fit."""
        return tuple(number for number in (value - 1, value + 1, 0, most) if 0 <= number <= most)
