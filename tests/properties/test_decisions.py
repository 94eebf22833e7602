"""`verify_consent` decides as the model does, after any history of a consent and at every boundary there is.

Far more cases than histories could make are in `test_equivalence`; here is how cells come about. Every
example has a patient and an entity of its own, played by puppets, so no example depends on another.
"""

from collections.abc import Callable, Iterator

from hypothesis import given, note, settings
from hypothesis import strategies as st

from tests.harness.driver import View
from tests.harness.reach import Reach, profile
from tests.model.words import (
    ALL_CATEGORIES,
    TIME_MAX,
    U32_MAX,
    VERIFY_REASONS,
    AccessRequest,
    ConsentTerms,
    short,
)
from tests.stateful.drawing import INDEPENDENT, draw_from, seed_of_run
from tests.stateful.system import System, plain

NOW = 1_800_000_000
STUDY = 0x57D1
PURPOSE, OTHER_PURPOSE, NO_PURPOSE = short("HRESCH"), short("CLINTRCH"), short("HMARKT")
CATEGORIES = st.integers(1, ALL_CATEGORIES) | st.sampled_from([1, 1 << 15, ALL_CATEGORIES])
EXAMPLES = {"quick": 40, "ci": 400, "deep": 9_000}


@st.composite
def drawn_terms(draw: st.DrawFn) -> ConsentTerms:
    """Consents that begin and end around now, or as far away as can be."""
    starts_at = draw(st.sampled_from([0, NOW - 1, NOW, NOW, NOW, NOW + 1, NOW + 1000, TIME_MAX - 1]))
    length = draw(st.sampled_from([1, 2, 1000, TIME_MAX, TIME_MAX]))
    return ConsentTerms(
        purpose=PURPOSE,
        study=STUDY,
        categories=draw(CATEGORIES),
        starts_at=starts_at,
        expires_at=min(starts_at + length, TIME_MAX),
        max_uses=draw(st.sampled_from([0, 1, 1, 2, U32_MAX])),
        scoped=draw(st.booleans()),
        reward=None,
        terms_commitment=0,
    )


ACTS = st.sampled_from(
    ["give", "use", "use", "use", "withdraw", "revoke", "refuse", "refuse purpose", "revoke all", "suspend"]
)


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
        about = {"grantee": entity, "purpose": PURPOSE, "study": STUDY}
        match act:
            case "give":
                self.system.perform("add_consent", patient, grantee=entity, terms=terms)
            case "use":
                given = self.system.world.consent_record((patient, entity, PURPOSE, STUDY))
                request = AccessRequest(patient, PURPOSE, STUDY, given.categories or 1, 0, 0)
                for _ in range(2):
                    self.system.perform("request_access", entity, request=request)
            case "withdraw":
                self.system.perform("revoke_consent", patient, **about)
            case "revoke":
                guardian = {"delegate": actors.guardian, "powers": 2, "expires_at": TIME_MAX}
                self.system.perform("set_delegate", patient, **guardian)
                self.system.perform("revoke_consent_for", actors.guardian, patient=patient, **about)
            case "refuse":
                self.system.perform("refuse_consent", patient, **about)
            case "refuse purpose":
                self.system.perform("refuse_purpose", patient, purpose=PURPOSE)
            case "revoke all":
                self.system.perform("revoke_all", patient, dismiss_delegates=False)
            case "suspend":
                self.system.perform("suspend_entity", actors.administrator, address=entity)


def test_decision_is_the_models(system: System, record_property: Callable[[str, object], None]) -> None:
    reach = Reach("Decisions after histories", seed_of_run(profile()))
    reach.expect("verify_consent", VERIFY_REASONS)

    @settings(max_examples=EXAMPLES[profile()], backend=INDEPENDENT, database=None, derandomize=False)
    @given(
        registered=st.sampled_from([True] * 9 + [False]),
        first=drawn_terms(),
        later=st.lists(st.tuples(ACTS, drawn_terms()), max_size=3),
        probe=st.integers(0, U32_MAX),
    )
    def decisions_agree(
        registered: bool, first: ConsentTerms, later: list[tuple[str, ConsentTerms]], probe: int
    ) -> None:
        example = Example(system)
        if registered:
            example.register()
        example.act("give", first)
        for act, terms in later:
            example.act(act, terms)
        for now, asked in questions(system, example, probe):
            views = [View(system.medsync, "verify_consent", about) for about in asked]
            expected = [plain(system.world.verify_consent(now, **about)) for about in asked]
            note(f"second {now}: {expected}")
            assert system.chain.read(views, now=now) == expected
            reach.examples += len(expected)
            for verdict in expected:
                reach.count("verify_consent", verdict["reason"])

    draw_from(reach.seed)
    try:
        decisions_agree()
    finally:
        record_property("reach", reach.as_property())
    reach.assert_all_reached()


def questions(system: System, example: Example, probe: int) -> Iterator[tuple[int, list[dict[str, int]]]]:
    """What is asked, by second: categories around those given, at each edge of the window and beside it."""
    consent = system.world.consent_record((example.patient, example.entity, PURPOSE, STUDY))
    given_ = consent.categories or 1
    categories = (
        0,
        given_,
        given_ & -given_,
        given_ ^ ALL_CATEGORIES,
        given_ | 1 << 16,
        given_ & probe,
        probe,
    )
    edges = {consent.starts_at, consent.expires_at, NOW, TIME_MAX}
    for now in sorted({edge + step for edge in edges for step in (-1, 0, 1) if edge + step > 0}):
        asked = [(PURPOSE, STUDY, some, 0) for some in categories]
        if now == NOW:
            asked += [(OTHER_PURPOSE, STUDY, given_, 0), (NO_PURPOSE, STUDY, given_, 0)]
            asked += [(PURPOSE, 0, given_, 0), (PURPOSE, STUDY, given_, 1)]
        names = ("purpose", "study", "categories", "campaign")
        who = {"patient": example.patient, "grantee": example.entity}
        yield now, [who | dict(zip(names, what, strict=True)) for what in asked]
