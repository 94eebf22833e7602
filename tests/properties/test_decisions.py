"""`verify_consent` decides as the model does: any history of a consent, asked at every boundary of time and category.

Every example has a patient and an entity of its own, played by puppets, so examples do not depend on each other.
"""

from collections import Counter

from hypothesis import given, note, settings
from hypothesis import strategies as st

from tests.model.words import ALL_CATEGORIES, TIME_MAX, U32_MAX, AccessRequest, ConsentTerms, short
from tests.stateful.driver import View
from tests.stateful.system import System

NOW = 1_800_000_000
PURPOSE, OTHER_PURPOSE, NO_PURPOSE = short("HRESCH"), short("CLINTRCH"), short("HMARKT")
TIMES = st.sampled_from([0, 1, NOW - 1, NOW, NOW + 1, NOW + 2, NOW + 1000, TIME_MAX - 1, TIME_MAX])
CATEGORIES = st.integers(1, ALL_CATEGORIES) | st.sampled_from([1, 1 << 15, ALL_CATEGORIES])
TERMS = st.builds(
    ConsentTerms,
    purpose=st.just(PURPOSE),
    categories=CATEGORIES,
    starts_at=TIMES,
    expires_at=TIMES,
    max_uses=st.sampled_from([0, 1, 2, U32_MAX]),
    reward=st.none(),
    terms_commitment=st.just(0),
)
ACTS = st.sampled_from(["give", "use", "use", "withdraw", "revoke", "revoke all", "suspend", "reinstate"])

decided: Counter[str] = Counter()


class Example:
    """A fresh patient and a fresh entity, whose acts are done to the contracts and to the model."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.patient, self.entity = (system.deploy("Puppet").address for _ in range(2))
        system.now = NOW

    def register(self) -> None:
        admin = self.system.actors.administrator
        self.system.perform(
            "register_entity", admin, address=self.entity, role="Researcher", profile_commitment=1
        )

    def act(self, act: str, terms: ConsentTerms) -> None:
        patient, entity, actors = self.patient, self.entity, self.system.actors
        key = {"grantee": entity, "purpose": PURPOSE}
        match act:
            case "give":
                self.system.perform("add_consent", patient, grantee=entity, terms=terms)
            case "use":
                request = AccessRequest(patient, PURPOSE, terms.categories, 0, None)
                self.system.perform("request_access", entity, request=request)
            case "withdraw":
                self.system.perform("revoke_consent", patient, **key)
            case "revoke":
                guardian = {"delegate": actors.guardian, "powers": 2, "expires_at": TIME_MAX}
                self.system.perform("set_delegate", patient, **guardian)
                self.system.perform("revoke_consent_for", actors.guardian, patient=patient, **key)
            case "revoke all":
                self.system.perform("revoke_all", patient)
            case "suspend" | "reinstate":
                self.system.perform(f"{act}_entity", actors.administrator, address=entity)


@settings(max_examples=60)
@given(
    registered=st.sampled_from([True, True, True, True, True, True, True, False]),
    history=st.lists(st.tuples(ACTS, TERMS), max_size=4),
    last=TERMS,
    probes=st.lists(st.integers(0, U32_MAX), max_size=3),
)
def test_decision_is_the_models(
    system: System,
    registered: bool,
    history: list[tuple[str, ConsentTerms]],
    last: ConsentTerms,
    probes: list[int],
) -> None:
    example = Example(system)
    if registered:
        example.register()
    example.act("give", last)
    for act, terms in history:
        example.act(act, terms)

    consent = system.world.consent(example.patient, example.entity, PURPOSE)
    covered = consent.categories or 1
    categories = {0, covered, covered & -covered, covered ^ ALL_CATEGORIES, covered | 1 << 16, ALL_CATEGORIES}
    edges = {consent.starts_at, consent.expires_at, NOW, TIME_MAX}
    times = {edge + step for edge in edges for step in (-1, 0, 1) if edge + step > 0}
    for now in sorted(times):
        asked = [(PURPOSE, some) for some in sorted(categories.union(probes))]
        asked += [(OTHER_PURPOSE, covered), (NO_PURPOSE, covered), (0, covered)]
        views, expected = [], []
        for purpose, some in asked:
            about = {"patient": example.patient, "grantee": example.entity, "purpose": purpose}
            views.append(View(system.medsync, "verify_consent", about | {"categories": some}))
            expected.append(system.world.verify_consent(now, *about.values(), some))
        answers = system.chain.read(views, now=now)
        note(f"second {now}: {expected}")
        assert answers == expected
        decided.update(reason for _, reason, _ in expected)


def test_every_reason_was_decided() -> None:
    """Runs after the property above and looks at what its examples came to."""
    print(f"decisions compared: {decided.total()}: {dict(decided.most_common())}")
    assert set(decided) == {
        "EntityUnknown", "EntitySuspended", "NeverGiven", "Withdrawn", "Revoked", "AllRevoked", "NotStarted",
        "Expired", "CategoryNotCovered", "UsesExhausted", "Granted",
    }  # fmt: skip
