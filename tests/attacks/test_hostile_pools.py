"""Pools that lie, panic, answer nonsense or call back: they cost the patient's reward, never the log or a
use."""

from dataclasses import dataclass
from typing import Any

import pytest

from tests.harness.chain import Call
from tests.harness.driver import Contract, Raised, Receipt, selector
from tests.harness.log import head_after
from tests.harness.snip12 import consent_hash, signed
from tests.harness.words import DAY, GIVE, MAX_U128, REVOKE, felt
from tests.harness.world import World, assert_refused

HRESCH = felt("HRESCH")
ANSWERS = {
    0: ("Permit", "Granted"),
    1: ("Deny", "CampaignClosed"),
    2: ("Deny", "CampaignExpired"),
    3: ("Deny", "RewardUnfunded"),
    4: ("Deny", "AllowanceExceeded"),
}
PAID, UNFUNDED = 0, 3


@dataclass
class Scene:
    """A puppet that plays the pool of a campaign, and is itself a registered researcher."""

    world: World
    pool: Contract
    terms: dict[str, Any]
    campaign: int

    def answer(self, entry_point: str, *felts: int) -> None:
        self.world.send(
            self.world.relayer, "answer", self.pool, entry_point=selector(entry_point), felts=list(felts)
        )

    def act(self, entry_point: str, act: str) -> None:
        self.world.send(
            self.world.relayer, "act", self.pool, entry_point=selector(entry_point), act=felt(act)
        )

    def call_back(self, entry_point: str, call: Call) -> None:
        """Whenever that entry point of the pool is called, it makes this call, as itself."""
        self.world.send(
            self.world.relayer,
            "aim",
            self.pool,
            to=call.to,
            entry_point=selector(call.function),
            calldata=list(call.calldata),
        )
        self.act(entry_point, "CALL_BACK")

    def give(self, grantee: int, **changes: Any) -> None:
        self.world.send(
            self.world.patient,
            "add_consent",
            grantee=grantee,
            terms=self.world.terms(reward=self.terms, **changes),
        )

    def request(self, **changes: Any) -> Call:
        return self.world.call("request_access", request=self.world.request(campaign=self.terms, **changes))

    def ask(self, **changes: Any) -> Receipt:
        return self.world.ask(campaign=self.terms, **changes)

    def uses(self, grantee: int | None = None) -> int:
        return int(self.consent(grantee)["uses"])

    def consent(self, grantee: int | None = None) -> Any:
        return self.world.read(
            "consent",
            patient=self.world.patient,
            grantee=grantee or self.world.researcher,
            purpose=HRESCH,
        )

    def assert_log(self, events: list[Raised]) -> list[tuple[str, str]]:
        """These events hold the patient's whole log, and it adds up; what it says, in order."""
        entries = [event for event in events if event.name == "AccessLogged"]
        assert self.world.read("log_head", patient=self.world.patient) == head_after(self.world, entries)
        return [(entry.data["decision"], entry.data["reason"]) for entry in entries]


@pytest.fixture
def scene(world: World) -> Scene:
    pool = world.new_puppet()
    terms = world.campaign(pool=pool.address)
    campaign = world.read("campaign", terms=terms)["id"]
    scene = Scene(world, pool, terms, campaign)
    scene.answer("campaign", *open_campaign(scene))
    scene.answer("accrue", PAID)
    world.send(world.admin, "register_entity", address=pool.address, role="Researcher", profile_commitment=1)
    return scene


def open_campaign(scene: Scene) -> list[int]:
    """What a real pool would answer: id, log, open, 1,000 left, none paid, not closing."""
    return [scene.campaign, scene.world.medsync.address, 1, 1000, 0, 0]


def called_back(events: list[Raised]) -> tuple[bool, list[int]]:
    """What became of the pool's only call back."""
    (event,) = [event for event in events if event.name == "CalledBack"]
    return event.data["success"], event.data["answer"]


# --- when a consent is given --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "change"),
    [
        ("CONSENT/NOT_A_POOL", {0: 1}),
        ("CONSENT/NOT_A_POOL", {0: 0}),
        ("CONSENT/NOT_A_POOL", {1: 2**251}),
        ("CONSENT/NOT_A_POOL", {2: 3}),
        ("CONSENT/NOT_A_POOL", {3: MAX_U128 + 1}),
        ("CONSENT/NOT_A_POOL", {5: 2**64}),
        ("CONSENT/FOREIGN_POOL", {1: 1}),
        ("CONSENT/FOREIGN_POOL", {1: 0}),
        ("CONSENT/CAMPAIGN_NOT_OPEN", {2: 0}),
        ("CONSENT/CAMPAIGN_NOT_OPEN", {2: 2}),
    ],
    ids=str,
)
def test_a_pool_must_know_the_campaign(scene: Scene, error: str, change: dict[int, int]) -> None:
    felts = [change.get(place, value) for place, value in enumerate(open_campaign(scene))]
    scene.answer("campaign", *felts)
    terms = scene.world.terms(reward=scene.terms)
    scene.world.refuses(
        error, scene.world.patient, "add_consent", grantee=scene.world.researcher, terms=terms
    )


@pytest.mark.parametrize("shape", ["nothing", "short", "long", "panic"])
def test_a_pool_must_answer_in_form(scene: Scene, shape: str) -> None:
    felts = {"nothing": [], "short": open_campaign(scene)[:-1], "long": [*open_campaign(scene), 0]}
    if shape == "panic":
        scene.act("campaign", "PANIC")
    else:
        scene.answer("campaign", *felts[shape])
    terms = scene.world.terms(reward=scene.terms)
    scene.world.refuses(
        "CONSENT/NOT_A_POOL",
        scene.world.patient,
        "add_consent",
        grantee=scene.world.researcher,
        terms=terms,
    )


def test_a_pool_that_uses_a_consent_before_it_is_signed(scene: Scene) -> None:
    """Asked for its campaign, the pool, who is the grantee too, uses the consent at once. If the signature is
    wrong, that use never happened."""
    world = scene.world
    scene.call_back("campaign", scene.request())
    parts: dict[str, Any] = {
        "patient": world.patient,
        "grantee": scene.pool.address,
        "terms": world.terms(reward=scene.terms, max_uses=1),
        "nonce": 0,
        "deadline": world.now,
    }
    good = signed(world, world.patient, consent_hash(world, **parts, version=1))
    forged = [good[0], good[1] ^ 1]
    world.refuses("CONSENT/BAD_SIGNATURE", world.relayer, "add_consent_by_sig", **parts, signature=forged)
    assert world.read("log_head", patient=world.patient) == {"count": 0, "head": 0}

    receipt = world.send(world.relayer, "add_consent_by_sig", **parts, signature=good)
    assert [event.name for event in receipt.events] == [
        "SignatureUsed",
        "ConsentAdded",
        "AccessLogged",
        "CalledBack",
    ]
    assert scene.uses(scene.pool.address) == 1


# --- when access is asked for -------------------------------------------------------------------------------


@pytest.mark.parametrize("index", ANSWERS)
def test_an_answer_is_taken_at_its_word(scene: Scene, index: int) -> None:
    """A lying pool too: 'paid' from a pool that pays nobody permits; the patient chose that pool."""
    scene.give(scene.world.researcher)
    scene.answer("accrue", index)
    receipt = scene.ask()
    decision, reason = ANSWERS[index]
    assert (receipt.result["decision"], receipt.result["reason"]) == (decision, reason)
    assert scene.assert_log(receipt.events) == [(decision, reason)]
    assert scene.uses() == (decision == "Permit")


@pytest.mark.parametrize("nonsense", ["panic", (), (5,), (2**251,), (0, 0), (0, 1, 2)])
@pytest.mark.parametrize("max_uses", [0, 1])
def test_nonsense_is_a_refusal(scene: Scene, nonsense: Any, max_uses: int) -> None:
    """A panic, no answer, an answer that is none, more than an answer: logged, and the use is given back."""
    scene.give(scene.world.researcher, max_uses=max_uses)
    if nonsense == "panic":
        scene.act("accrue", "PANIC")
    else:
        scene.answer("accrue", *nonsense)
    for _ in range(2):
        receipt = scene.ask()
        assert (receipt.result["decision"], receipt.result["reason"]) == ("Deny", "PoolFailed")
        assert [event.name for event in receipt.events] == ["AccessLogged"]
        assert receipt.events[0].data["campaign"] == scene.campaign
        assert scene.uses() == 0
        assert receipt.cells[scene.world.medsync.address] == 1
    # Once it behaves, the very same use is there.
    scene.world.send(scene.world.relayer, "act", scene.pool, entry_point=selector("accrue"), act=0)
    scene.answer("accrue", PAID)
    assert scene.ask().result["decision"] == "Permit"
    assert scene.uses() == 1


def test_an_answer_without_end(scene: Scene) -> None:
    """'Paid', and two hundred felts after it: more than an answer is none, and costs the accessor only what
    it costs to look at its length."""
    scene.give(scene.world.researcher)
    scene.answer("accrue", PAID, *[0] * 200)
    receipt = scene.ask()
    assert scene.assert_log(receipt.events) == [("Deny", "PoolFailed")]
    assert scene.uses() == 0


def test_a_pool_that_changes_its_mind_within_a_batch(scene: Scene) -> None:
    """It says 'paid' for the first request and panics over the second: each request has its own outcome, and
    the first is not taken back."""
    world = scene.world
    scene.give(world.researcher, max_uses=2)
    scene.call_back(
        "accrue",
        world.call("act", scene.pool, entry_point=selector("accrue"), act=felt("PANIC")),
    )
    requests = [world.request(campaign=scene.terms, record=record) for record in range(3)]
    receipt = world.send(world.researcher, "request_access_batch", requests=requests)
    assert scene.assert_log(receipt.events) == [("Permit", "Granted"), *[("Deny", "PoolFailed")] * 2]
    assert scene.uses() == 1


@pytest.mark.parametrize("max_uses", [1, 0])
def test_a_panic_undoes_what_the_pool_did_before(scene: Scene, max_uses: int) -> None:
    """The pool, a grantee too, has logged an access of its own and used its consent when it panics: none of
    it was."""
    world = scene.world
    scene.give(world.researcher, max_uses=max_uses)
    world.send(world.patient, "add_consent", grantee=scene.pool.address, terms=world.terms())
    scene.call_back("accrue", world.call("request_access", request=world.request()))
    scene.act("accrue", "CALL_BACK_AND_PANIC")
    receipt = scene.ask()
    assert scene.assert_log(receipt.events) == [("Deny", "PoolFailed")]
    assert scene.uses() == scene.uses(scene.pool.address) == 0


@pytest.mark.parametrize(
    ("act", "reason"), [("CALL_NOBODY", "is not deployed"), ("BURN", "no remaining steps")]
)
def test_what_no_contract_can_catch(scene: Scene, act: str, reason: str) -> None:
    """A pool that calls an address without a contract, or burns all the gas, takes the whole transaction with
    it. Nothing is logged then, but nothing is permitted either; the other requests can be made without it,
    and the patient is not affected at all."""
    world = scene.world
    scene.give(world.researcher)
    world.send(world.neighbour, "add_consent", grantee=world.researcher, terms=world.terms())
    scene.act("accrue", act)
    for call in (
        scene.request(),
        world.call(
            "request_access_batch",
            requests=[
                world.request(patient=world.neighbour),
                world.request(campaign=scene.terms),
            ],
        ),
    ):
        outcome = world.execute(world.researcher, call)
        assert reason in outcome.reason
        assert not any(outcome.cells.values())
    assert world.read("log_head", patient=world.patient) == {"count": 0, "head": 0}
    assert scene.uses() == 0

    assert world.ask(patient=world.neighbour).result["decision"] == "Permit"
    world.send(world.patient, "revoke_consent", grantee=world.researcher, purpose=HRESCH)
    assert scene.ask().result["reason"] == "Withdrawn"


# --- re-entry -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("max_uses", [1, 2, 0])
@pytest.mark.parametrize("answer", [PAID, UNFUNDED])
def test_a_use_is_not_had_twice(scene: Scene, max_uses: int, answer: int) -> None:
    """The grantee is its own pool and asks again while it is asked to pay."""
    world = scene.world
    scene.give(scene.pool.address, max_uses=max_uses)
    scene.call_back("accrue", scene.request())
    scene.answer("accrue", answer)
    outcome = world.execute(scene.pool.address, scene.request())
    assert outcome.error is None, outcome.reason
    said = scene.assert_log(outcome.events)
    outer = ANSWERS[answer]
    inner = ("Deny", "UsesExhausted") if max_uses == 1 else outer
    # The inner entry comes first: it was finished first.
    assert said == [inner, outer]
    permits = said.count(("Permit", "Granted"))
    assert scene.uses(scene.pool.address) == permits
    assert permits <= (max_uses or 2)


def test_an_inner_request_for_something_else(scene: Scene) -> None:
    """Another patient, another purpose, an emergency: each log stays a chain of its own."""
    world = scene.world
    scene.give(world.researcher)
    events: list[Raised] = []
    for inner in (
        world.call("request_access", request=world.request(purpose=felt("TREAT"))),
        world.call("request_access_batch", requests=[world.request(record=place) for place in range(3)]),
        world.call(
            "request_emergency_access",
            patient=world.patient,
            categories=1,
            record=0,
            justification_commitment=1,
        ),
    ):
        scene.call_back("accrue", inner)
        receipt = scene.ask()
        assert called_back(receipt.events)[0] is True
        assert receipt.result["decision"] == "Permit"
        events += receipt.events
        scene.assert_log(events)
    assert scene.uses() == 3


@pytest.mark.parametrize("answer", [PAID, UNFUNDED])
def test_a_consent_renewed_while_the_pool_is_asked(scene: Scene, answer: int) -> None:
    """The pool is the patient's delegate. The new version starts with no uses, whatever became of the old
    one's."""
    world = scene.world
    world.send(
        world.patient, "set_delegate", delegate=scene.pool.address, powers=GIVE, expires_at=world.now + DAY
    )
    scene.give(world.researcher, max_uses=1)
    renewal = world.call(
        "add_consent_for",
        patient=world.patient,
        grantee=world.researcher,
        terms=world.terms(reward=scene.terms, max_uses=1),
    )
    scene.call_back("accrue", renewal)
    scene.answer("accrue", answer)
    receipt = scene.ask()
    assert [event.name for event in receipt.events] == ["ConsentAdded", "CalledBack", "AccessLogged"]
    assert scene.assert_log(receipt.events) == [ANSWERS[answer]]
    assert receipt.events[-1].data["version"] == 1
    consent = scene.consent()
    assert (consent["version"], consent["uses"], consent["status"]) == (2, 0, "Given")


@pytest.mark.parametrize("function", ["revoke_consent_for", "revoke_all_for"])
def test_a_consent_revoked_while_the_pool_is_asked(scene: Scene, function: str) -> None:
    """The decision fell before: a permit by the version that was live when access was asked for is logged
    after the revocation that the pool, a delegate, slipped in. It is the last one."""
    world = scene.world
    world.send(
        world.patient, "set_delegate", delegate=scene.pool.address, powers=REVOKE, expires_at=world.now + DAY
    )
    scene.give(world.researcher)
    arguments = {"grantee": world.researcher, "purpose": HRESCH} if function == "revoke_consent_for" else {}
    scene.call_back("accrue", world.call(function, patient=world.patient, **arguments))
    receipt = scene.ask()
    assert scene.assert_log(receipt.events) == [("Permit", "Granted")]
    assert receipt.events[-1].data["version"] == 1
    assert scene.ask().result["reason"] == ("Revoked" if function == "revoke_consent_for" else "AllRevoked")


def test_the_use_of_a_consent_revoked_meanwhile_is_not_given_back(scene: Scene) -> None:
    """Its record is dead, so nobody can use it; its count of uses is one more than there were permits."""
    world = scene.world
    world.send(
        world.patient, "set_delegate", delegate=scene.pool.address, powers=REVOKE, expires_at=world.now + DAY
    )
    scene.give(world.researcher)
    revocation = world.call(
        "revoke_consent_for", patient=world.patient, grantee=world.researcher, purpose=HRESCH
    )
    scene.call_back("accrue", revocation)
    scene.answer("accrue", UNFUNDED)
    receipt = scene.ask()
    assert scene.assert_log(receipt.events) == [ANSWERS[UNFUNDED]]
    consent = scene.consent()
    assert (consent["version"], consent["uses"], consent["status"]) == (2, 1, "Revoked")


def test_a_pool_has_no_power_it_was_not_given(scene: Scene) -> None:
    """Called in the middle of a request it is still only itself."""
    world = scene.world
    honest = world.campaign()
    world.fund(honest, 10_000)
    scene.give(world.researcher)
    for inner, error in (
        (
            world.call("revoke_all_for", patient=world.patient),
            "CONSENT/NOT_DELEGATE",
        ),
        (
            world.call(
                "add_consent_for",
                patient=world.patient,
                grantee=scene.pool.address,
                terms=world.terms(),
            ),
            "CONSENT/NOT_DELEGATE",
        ),
        (world.call("suspend_entity", address=world.hospital), "ENTITY/NOT_ADMIN"),
        (
            world.call("accrue", terms=honest, patient=scene.pool.address, accessor=world.funder),
            "POOL/NOT_LOG",
        ),
    ):
        scene.call_back("accrue", inner)
        receipt = scene.ask()
        assert called_back(receipt.events) == (False, [felt(error), felt("ENTRYPOINT_FAILED")])
        assert receipt.result["decision"] == "Permit"
    assert world.read("claimable", owner=scene.pool.address) == 0


def test_a_contract_that_lost_its_entry_point_is_a_refusal(world: World) -> None:
    """A contract without `accrue` cannot be named in a consent; were it called all the same, it could be
    caught."""
    attacker = world.new_puppet()
    inner = Call(world.token.address, "accrue", [])
    attempt = world.call("attempt", attacker, to=inner.to, entry_point=selector(inner.function), calldata=[])
    outcome = world.execute(world.stranger, attempt)
    assert outcome.error is None
    success, answer = attacker.abi.decode_result("attempt", outcome.results[0])
    assert not success
    assert answer[0] == felt("ENTRYPOINT_NOT_FOUND")


def test_an_undeployed_pool_in_a_denied_request_is_never_called(scene: Scene) -> None:
    world = scene.world
    scene.give(world.researcher)
    receipt = world.ask(campaign=scene.terms | {"pool": 0xDEAD})
    assert receipt.result["reason"] == "CampaignMismatch"
    assert_refused(
        world.execute(world.researcher, Call(world.medsync.address, "accrue", [])), "ENTRYPOINT_NOT_FOUND"
    )
