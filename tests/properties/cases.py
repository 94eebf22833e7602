"""Cases for the decision: what the cells hold, and what is asked then; drawn close to where answers change.

A case can hold what no history would reach in years. Nothing is taken from the package or from the contracts.
"""

import pickle
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

from tests.model.cells import Cell, cells, place_of
from tests.model.hashes import HEAD_BITS, campaign_id
from tests.model.state import (
    Budget,
    Consent,
    Delegation,
    Emergency,
    Entity,
    Head,
    Key,
    PaidUses,
    Patient,
    State,
)
from tests.model.words import (
    ALL_CATEGORIES,
    ALL_POWERS,
    BREAK_THE_GLASS,
    CHOICES,
    EMERGENCY_DELAY,
    JUSTIFY_WITHIN,
    PURPOSE_NAMES,
    PURPOSES,
    RESERVED_FROM,
    STATUSES,
    TIME_MAX,
    U32_MAX,
    U64_MAX,
    AccessRequest,
    CampaignTerms,
    ConsentTerms,
    ModelError,
    Subject,
    short,
)
from tests.model.world import World
from tests.stateful.system import plain

T = TypeVar("T")

CALLER = 0  # whoever makes a call outside of a transaction: an accessor, or a delegate
PATIENT, GRANTEE, FUNDER = 0xA11, 0xB0B, 0xF00D
ENTRY = 77  # of the patient's log, which may be an emergency access of the caller
NOWS = (1, 2, 2**31, 2**32, *[1_800_000_000] * 8, TIME_MAX - 1, TIME_MAX)
HEADS = ("history", "log")


@dataclass(frozen=True)
class Scene:
    """What the cases of one call share: the second, what the consent is for, and the campaigns there are."""

    now: int
    purpose: int
    study: int
    judge: int
    terms: CampaignTerms
    other: CampaignTerms
    logged: int
    """How many entries the patient's log has."""

    def key(self, grantee: int) -> Key:
        return PATIENT, grantee, self.purpose, self.study

    def cells(self) -> list[Cell]:
        """The cells that a case fills, or that an answer may change."""
        judge, campaigns = self.judge, (campaign_id(self.terms), campaign_id(self.other))
        paid = [
            Cell(judge, "paid", (*self.key(grantee), campaign))
            for grantee in (CALLER, GRANTEE)
            for campaign in campaigns
        ]
        return [
            Cell(judge, "entity", (CALLER,)),
            Cell(judge, "entity", (GRANTEE,)),
            Cell(judge, "patient", (PATIENT,)),
            Cell(judge, "history", (PATIENT,)),
            Cell(judge, "log", (PATIENT,)),
            Cell(judge, "consent", self.key(CALLER)),
            Cell(judge, "consent", self.key(GRANTEE)),
            Cell(judge, "consent", (PATIENT, CALLER, BREAK_THE_GLASS, 0)),
            Cell(judge, "delegation", (PATIENT, CALLER)),
            Cell(judge, "emergency", (PATIENT, ENTRY, CALLER)),
            Cell(judge, "emergency", (PATIENT, self.logged + 1, CALLER)),
            *paid,
            *(Cell(judge, "budget", (campaign, CALLER)) for campaign in campaigns),
        ]

    def places(self) -> list[int]:
        """Their addresses."""
        return [place_of(cell.kind, cell.key) for cell in self.cells()]


class Question(NamedTuple):
    """A call to `MedSync`."""

    function: str
    arguments: dict[str, Any]


@dataclass
class Case:
    scene: Scene
    frozen: bytes
    """The model's state, pickled: it is used more than once."""
    question: Question

    def world(self, model: type[World] = World) -> World:
        """A model in this state, made anew for every use."""
        world = model(chain_id=0, medsync=self.scene.judge, admin=1, deployed_at=0)
        world.state = pickle.loads(self.frozen)
        return world

    def cells(self, world: World) -> list[int]:
        """What the cells hold in a state of the model; of histories only how long they are."""
        held = dict(cells(world))
        return [without_head(cell, held.get(cell, 0)) for cell in self.scene.cells()]

    def __str__(self) -> str:
        return f"second {self.scene.now}: {self.question}\n{pickle.loads(self.frozen)}"


def without_head(cell: Cell, value: int) -> int:
    """Hashing takes longer than everything else, so digests are not compared here."""
    return value >> HEAD_BITS << HEAD_BITS if cell.kind in HEADS else value


@dataclass(frozen=True)
class Answered:
    """What came of a case: the answer, or an error code, and what the cells hold then."""

    answer: Any
    cells: list[int]


def decide(case: Case, model: type[World]) -> Answered:
    """What the model says."""
    scene, (function, arguments) = case.scene, case.question
    world = case.world(model)
    answer: Any
    try:
        if function in ("verify_consent", "consent"):
            answer = plain(getattr(world, function)(scene.now, **arguments))
        else:
            answer = without_digests(plain(getattr(world, function)(CALLER, scene.now, **arguments).result))
    except ModelError as error:
        answer = error.code
    return Answered(answer, case.cells(world))


def without_digests(answer: Any) -> Any:
    """Of receipts: decision, reason and place of each entry."""
    if isinstance(answer, list):
        return [without_digests(receipt) for receipt in answer]
    if isinstance(answer, dict):
        return {name: value for name, value in answer.items() if name != "digest"}
    return answer


class Draws:
    """An endless supply of cases from one seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def scene(self, judge: int) -> Scene:
        now, purpose = self._one(NOWS), self._one(sorted(PURPOSES))
        study = self._one((0, 0, 0x57D1))
        terms = CampaignTerms(
            0xB001, FUNDER, purpose, study, 1, 0, 0, TIME_MAX, 0, self._random.getrandbits(64)
        )
        other = replace(terms, salt=terms.salt + 1)
        return Scene(now, purpose, study, judge, terms, other, logged=self._length())

    def case(self, scene: Scene) -> Case:
        state = State(admin=1)
        state.entities[CALLER] = self._entity(scene)
        state.entities[GRANTEE] = Entity(self._often("Researcher", 0.9, ("None",)))
        fresh = self._chance(0.1)
        patient = Patient() if fresh else self._patient(scene)
        if not fresh:
            state.patients[PATIENT] = patient
        state.histories[PATIENT], state.logs[PATIENT] = Head(self._length()), Head(scene.logged)
        for grantee in (CALLER, GRANTEE):
            self._consent(scene, state, scene.key(grantee), patient)
        if self._chance(0.6):
            naming = Consent(self._one(STATUSES[1:]), version=1, generation=1)
            state.consents[PATIENT, CALLER, BREAK_THE_GLASS, 0] = naming
        if self._chance(0.9):
            state.delegations[PATIENT, CALLER] = Delegation(
                self._often(ALL_POWERS, 0.6, range(8)),
                self._often(TIME_MAX, 0.7, self._around(scene.now)),
                self._often(patient.delegate_epoch, 0.9, (0, U32_MAX)),
            )
        if self._chance(0.8):
            then = scene.now - JUSTIFY_WITHIN
            at = max(0, self._one((scene.now, then - 1, then, then + 1)))
            state.emergencies[PATIENT, ENTRY, CALLER] = Emergency(at, self._chance(0.2), self._chance(0.2))
        for terms in (scene.terms, scene.other):
            paid = self._one((0, 1, U64_MAX - 1))
            state.budgets[campaign_id(terms), CALLER] = Budget(
                left=min(self._one((0, 1, 1, 2, U64_MAX)), U64_MAX - paid),
                paid=paid,
                expires_at=min(TIME_MAX, self._often(TIME_MAX, 0.5, self._around(scene.now))),
                custodian_settled=self._one((0, paid)),
            )
        question = self._question(scene, state)
        return Case(scene, pickle.dumps(state), question)

    def _length(self) -> int:
        """How many entries a history has; now and then too many."""
        full = (RESERVED_FROM - 1, RESERVED_FROM, U32_MAX - 1, U32_MAX)
        return self._one((0, 0, 1, 2)) if self._chance(0.92) else self._one(full)

    def _entity(self, scene: Scene) -> Entity:
        role = self._often("Hospital", 0.5, ("Researcher", "Researcher", "Auditor", "None"))
        if role == "None":
            return Entity()
        begun = scene.now - EMERGENCY_DELAY
        return Entity(
            role,
            self._chance(0.06),
            registered_at=self._one((0, TIME_MAX)),
            active_since=max(0, self._one((0, 0, 0, begun - 1, begun, begun + 1, scene.now))),
            profiled_at=self._one((0, TIME_MAX)),
            seq=self._one((0, 1, U32_MAX)),
        )

    def _patient(self, scene: Scene) -> Patient:
        generation = self._one((1, 2, 7, 7, 7, 7, U32_MAX - 1, U32_MAX))
        refused = {scene.purpose} if self._chance(0.1) else set()
        return Patient(
            generation=generation,
            counter=self._one((1, 2, U32_MAX)),
            floor=self._one((0, 0, 0, generation - 1, generation)),
            delegate_epoch=self._often(0, 0.7, (1, U32_MAX - 1, U32_MAX)),
            refused_purposes=frozenset(
                refused | {p for p in PURPOSES - {scene.purpose} if self._chance(0.1)}
            ),
            emergency=self._one(CHOICES),
        )

    def _consent(self, scene: Scene, state: State, key: Key, patient: Patient) -> None:
        """A record and what its campaigns owe for it; as histories leave them, or as none would."""
        now, end = scene.now, TIME_MAX
        max_uses = self._one((0, 0, 1, 2, 1_000, U32_MAX - 1, U32_MAX))
        limit, floor = max_uses or U32_MAX, patient.floor
        uses = self._often(0, 0.3, (limit - 1, limit - 1, limit, *self._beside(limit)))
        starts_at = min(end, self._often(0, 0.4, (now - 1, now, now, now, now + 1)))
        rewarded = self._chance(0.5)
        consent = Consent(
            status=self._often("Given", 0.8, STATUSES),
            starts_at=starts_at,
            expires_at=min(end, self._often(end, 0.4, (now - 1, now, *[now + 1] * 6))),
            categories=self._one((1, 1 << 15, ALL_CATEGORIES, self._random.getrandbits(16) | 1)),
            version=self._one((1, 2, 2, U32_MAX - 2, U32_MAX - 1, U32_MAX)),
            generation=self._often(floor, 0.7, (*self._beside(floor), patient.generation)),
            max_uses=max_uses,
            uses=0 if rewarded else uses,
            rewarded=rewarded,
            scoped=self._chance(0.3),
            by_delegate=self._chance(0.5),
        )
        if consent.status == "None":
            return
        state.consents[key] = consent
        for terms, named in ((scene.terms, 0.8), (scene.other, 0.1)):
            base = self._often(0, 0.6, (1, U32_MAX - uses, U32_MAX - uses))
            state.paid[key, campaign_id(terms)] = PaidUses(
                version=self._often(consent.version, named, (consent.version - 1, 0)),
                paid=min(base + uses, U32_MAX),
                base=base,
                settled=self._one((0, base)),
            )

    def _question(self, scene: Scene, state: State) -> Question:
        draw = self._one(
            (self._verify,) * 6
            + (self._show,)
            + (self._request,) * 8
            + (self._batch,) * 2
            + (self._emergency,) * 3
            + (self._justify, self._state_deletion)
            + (self._give_for,) * 3
            + (self._revoke_for, self._refuse_for, self._refuse_for, self._revoke_all_for)
        )
        return draw(scene, state)

    def _asked(self, scene: Scene, state: State) -> dict[str, Any]:
        """What is asked for, as the caller's consent has it, or something beside it."""
        consent = state.consents.get(scene.key(CALLER), Consent())
        given = consent.categories
        beyond = ~given & ALL_CATEGORIES
        part, more = self._random.getrandbits(16) & given or given, given | beyond & -beyond
        others = (given & -given, *[part] * 5, *[more] * 3, given | 1 << 16, ALL_CATEGORIES, U32_MAX, 0)
        campaigns = (campaign_id(scene.terms), campaign_id(scene.other))
        right, wrong = (campaigns[0], (0, campaigns[1])) if consent.rewarded else (0, campaigns)
        return {
            "patient": self._often(PATIENT, 0.98, (0,)),
            "purpose": self._purpose(scene),
            "study": self._often(scene.study, 0.95, (0, 1)),
            "categories": self._often(given or 1, 0.5, others),
            "campaign": self._often(right, 0.9, wrong),
        }

    def _purpose(self, scene: Scene) -> int:
        others = (*map(short, ("HRESCH", "TREAT", "HMARKT", *PURPOSE_NAMES[2:4])), 0)
        return self._often(scene.purpose, 0.96, others)

    def _verify(self, scene: Scene, state: State) -> Question:
        asked = self._asked(scene, state)
        about = {"patient": asked.pop("patient"), "grantee": CALLER, **asked}
        return Question("verify_consent", about)

    def _show(self, scene: Scene, state: State) -> Question:
        asked = self._asked(scene, state)
        del asked["categories"]
        return Question("consent", {"patient": asked.pop("patient"), "grantee": CALLER, **asked})

    def _request(self, scene: Scene, state: State) -> Question:
        request = AccessRequest(**self._asked(scene, state), record=77)
        return Question("request_access", {"request": request})

    def _batch(self, scene: Scene, state: State) -> Question:
        asked = self._asked(scene, state)
        subjects = [Subject(asked.pop("patient"), 77)] * 2
        return Question("request_access_batch", {**asked, "subjects": subjects})

    def _emergency(self, scene: Scene, state: State) -> Question:
        asked = self._asked(scene, state)
        about = {name: asked[name] for name in ("patient", "categories")}
        return Question("request_emergency_access", {**about, "record": 77})

    def _justify(self, scene: Scene, state: State) -> Question:
        about = {"patient": PATIENT, "emergency": self._often(ENTRY, 0.9, (ENTRY + 1,))}
        return Question("justify_emergency", {**about, "statement": self._often(78, 0.9, (0,))})

    def _state_deletion(self, scene: Scene, state: State) -> Question:
        asked = self._asked(scene, state)
        about = {"patient": PATIENT, "purpose": asked["purpose"], "study": asked["study"]}
        return Question("state_deletion", {**about, "statement": self._often(78, 0.9, (0,))})

    def _give_for(self, scene: Scene, state: State) -> Question:
        """Ends and categories that are wrong by themselves are for the state machine."""
        reward = self._one((None, None, scene.terms, scene.other))
        window = scene.now, min(scene.now + 9, TIME_MAX + 1)
        terms = ConsentTerms(scene.purpose, scene.study, 1, *window, 0, self._chance(0.5), reward, 7)
        about = {"patient": PATIENT, "grantee": GRANTEE}
        return Question("add_consent_for", {**about, "terms": terms})

    def _target(self, scene: Scene) -> dict[str, Any]:
        about = {"patient": PATIENT, "grantee": self._often(GRANTEE, 0.95, (0,))}
        return about | {"purpose": self._purpose(scene), "study": scene.study}

    def _revoke_for(self, scene: Scene, state: State) -> Question:
        return Question("revoke_consent_for", self._target(scene))

    def _refuse_for(self, scene: Scene, state: State) -> Question:
        return Question("refuse_consent_for", self._target(scene))

    def _revoke_all_for(self, scene: Scene, state: State) -> Question:
        return Question("revoke_all_for", {"patient": PATIENT})

    def _chance(self, of_one: float) -> bool:
        return self._random.random() < of_one

    def _one(self, options: Sequence[T]) -> T:
        return self._random.choice(options)

    def _often(self, usual: T, share: float, others: Sequence[T]) -> T:
        return usual if self._chance(share) else self._one(others)

    def _beside(self, value: int, most: int = U32_MAX) -> tuple[int, ...]:
        """The numbers next to a value and those farthest from it, as far as they fit."""
        return tuple(number for number in (value - 1, value + 1, 0, most) if 0 <= number <= most)

    def _around(self, now: int) -> tuple[int, ...]:
        """Ends that are close, most of them not yet reached."""
        return max(0, now - 1), now, *[min(now + 1, TIME_MAX)] * 4
