"""What brought the predecessor down, each as a short story: what could be done there, and why it fails
here."""

import pytest

from tests.harness.chain import Call
from tests.harness.log import head_after
from tests.harness.words import DAY, HRESCH, felt
from tests.harness.world import World, assert_refused, id_of

TREAT = felt("TREAT")


@pytest.mark.parametrize("attacker", ["admin", "researcher", "stranger"])
def test_granting_for_somebody_else(world: World, attacker: str) -> None:
    """There the patient was an argument and nobody asked who called: anyone granted access to anyone's data.
    Here the caller is the patient. What an attacker gives is the attacker's own consent."""
    grantee = world.hospital
    world.send(getattr(world, attacker), "add_consent", grantee=grantee, terms=world.terms())
    assert world.verdict(grantee=grantee) == ("NoConsent", "NeverGiven", 0)
    assert world.ask(grantee).result["decision"] == "NoConsent"
    # The entry points that take a patient ask for the patient's appointment or signature.
    arguments = {"patient": world.patient, "grantee": grantee, "terms": world.terms()}
    sender = getattr(world, attacker)
    world.refuses("CONSENT/NOT_DELEGATE", sender, "add_consent_for", **arguments)
    world.refuses(
        "CONSENT/BAD_SIGNATURE",
        sender,
        "add_consent_by_sig",
        **arguments,
        generation=1,
        counter=1,
        deadline=world.now,
        signature=[1, 2],
    )


@pytest.mark.parametrize("attacker", ["admin", "researcher", "stranger"])
def test_revoking_for_somebody_else(world: World, attacker: str) -> None:
    """There anyone revoked anyone's consent. Here an attacker's revocation finds nothing, or touches nobody
    else."""
    world.give()
    sender = getattr(world, attacker)
    world.refuses(
        "CONSENT/NOT_FOUND", sender, "revoke_consent", grantee=world.researcher, purpose=HRESCH, study=0
    )
    world.send(sender, "revoke_all", dismiss_delegates=False)
    world.refuses(
        "CONSENT/NOT_DELEGATE",
        sender,
        "revoke_consent_for",
        patient=world.patient,
        grantee=world.researcher,
        purpose=HRESCH,
        study=0,
    )
    world.refuses("CONSENT/NOT_DELEGATE", sender, "revoke_all_for", patient=world.patient)
    assert world.verdict() == ("Permit", "Granted", 1)


def test_logging_for_somebody_else(world: World) -> None:
    """There anyone wrote any access into any log. Here the accessor is who calls, and a stranger writes
    nothing: a log is neither forged in another's name nor flooded."""
    world.give()
    world.refuses("ENTITY/UNKNOWN", world.stranger, "request_access", request=world.request())
    # Another entity's request is logged as that entity's, and is refused: the consent is the researcher's.
    receipt = world.ask(world.hospital)
    assert receipt.events[0].keys["accessor"] == world.hospital
    assert receipt.result["decision"] == "NoConsent"
    # Nothing else writes a log.
    assert_refused(
        world.execute(world.hospital, Call(world.medsync.address, "log_access", [world.patient])),
        "ENTRYPOINT_NOT_FOUND",
    )


def test_a_second_purpose_overwrites_the_first(world: World) -> None:
    """There a pair had one consent: consenting to treatment replaced the consent to research. Here each
    purpose has its own, and each is withdrawn on its own."""
    world.give(purpose=HRESCH)
    world.give(purpose=TREAT)
    assert world.verdict(purpose=HRESCH) == world.verdict(purpose=TREAT) == ("Permit", "Granted", 1)
    world.send(world.patient, "revoke_consent", grantee=world.researcher, purpose=HRESCH, study=0)
    assert world.verdict(purpose=HRESCH) == ("Deny", "Withdrawn", 2)
    assert world.verdict(purpose=TREAT) == ("Permit", "Granted", 1)


def test_a_proof_that_proves_nothing(world: World) -> None:
    """There a "proof" was accepted whatever it held. Here what stands for one, the signature and the log's
    head, fails with a single bit changed."""
    arguments = {
        "patient": world.patient,
        "grantee": world.researcher,
        "terms": world.terms(),
        "generation": 1,
        "counter": 1,
        "deadline": world.now,
    }
    for signature in ([0, 0], [1, 1], [2**250, 2**250]):
        outcome = world.execute(
            world.relayer, world.call("add_consent_by_sig", **arguments, signature=signature)
        )
        assert_refused(outcome, "CONSENT/BAD_SIGNATURE")

    entries = world.ask().events + world.ask().events
    assert world.read("log_head", patient=world.patient) == head_after(world, entries)
    for field in entries[0].data:
        if field == "seq":
            continue
        value = entries[0].data[field]
        other = {"Permit": "Deny", "NoConsent": "Permit", "NeverGiven": "Granted"}.get(value, 0)
        forged = entries[0]._replace(data=entries[0].data | {field: value ^ 1 if other == 0 else other})
        assert world.read("log_head", patient=world.patient) != head_after(world, [forged, entries[1]]), field


def test_draining_the_pool_by_withdrawing_again_and_again(world: World) -> None:
    """There `withdraw` paid any caller, repeatedly, until nothing was left. Here it pays the caller's own
    credit, and each unit of it once."""
    terms = world.campaign()
    world.fund(terms, 10_000)
    world.send(world.patient, "add_consent", grantee=world.funder, terms=world.terms(reward=terms))
    world.ask(world.funder, campaign=id_of(terms))

    withdraw = {"amount": 900, "recipient": world.patient, "claims": []}
    world.send(world.patient, "settle", patient=world.patient, grantee=world.funder, terms=terms)
    world.refuses("POOL/INSUFFICIENT_CREDIT", world.stranger, "withdraw", **withdraw)
    twice = world.call("withdraw", **withdraw)
    assert_refused(world.execute(world.patient, twice, twice), "POOL/INSUFFICIENT_CREDIT")
    world.send(world.patient, "withdraw", **withdraw)
    world.refuses("POOL/INSUFFICIENT_CREDIT", world.patient, "withdraw", **withdraw)
    assert world.read("balance_of", world.token, account=world.pool.address) == 9100


def test_overwriting_a_pool_by_a_deposit(world: World) -> None:
    """There a deposit replaced whatever the pool held before, and whose it was. Here terms name the funder
    and only the funder deposits; the same terms add up, other terms are another campaign."""
    terms = world.campaign()
    world.fund(terms, 10_000)
    world.refuses("POOL/NOT_FUNDER", world.stranger, "deposit", terms=terms, amount=1000)
    world.fund(terms | {"funder": world.stranger}, 1000)
    world.fund(terms, 5000)
    assert world.read("campaign", terms=terms)["granted"] == 15
    assert world.read("budget", campaign=id_of(terms), accessor=world.funder)["left"] == 15


def test_a_log_without_time_or_purpose(world: World) -> None:
    """There one entry per pair was kept: the second access overwrote the first, and neither said when or what
    for. Here every request is an entry of its own with both, and the head commits to all of them."""
    world.give(purpose=HRESCH)
    entries = []
    for purpose in (HRESCH, TREAT, HRESCH):
        world.wait(60)
        entries += world.ask(purpose=purpose).events
    assert [(entry.keys["purpose"], entry.data["at"]) for entry in entries] == [
        (HRESCH, world.now - 120),
        (TREAT, world.now - 60),
        (HRESCH, world.now),
    ]
    assert world.read("log_head", patient=world.patient) == head_after(world, entries)


def test_events_that_are_never_emitted(world: World) -> None:
    """There `ConsentAdded`, `ConsentRevoked` and `RewardDeposited` were declared and never emitted: nobody
    could follow what happened. Here one story emits exactly what it consists of."""
    names = []
    terms = world.campaign()
    world.fund(terms, 10_000)
    for sender, function, arguments in (
        (world.patient, "add_consent", {"grantee": world.funder, "terms": world.terms(reward=terms)}),
        (world.funder, "request_access", {"request": world.request(campaign=id_of(terms))}),
        (world.patient, "revoke_consent", {"grantee": world.funder, "purpose": HRESCH, "study": 0}),
        (world.funder, "request_access", {"request": world.request(campaign=id_of(terms))}),
    ):
        names.append([event.name for event in world.send(sender, function, **arguments).events])
    assert names == [
        ["ConsentAdded"],
        ["AccessLogged"],
        ["ConsentRevoked"],
        ["AccessLogged"],
    ]


def test_a_consent_that_lasts_eight_milliseconds(world: World) -> None:
    """There seconds were compared with nanoseconds and every consent was over at once. Here all times are
    unix seconds: a day is a day, and nanoseconds are refused."""
    world.give(expires_at=world.now + DAY)
    world.wait(DAY - 1)
    assert world.ask().result["decision"] == "Permit"
    world.wait(1)
    assert world.ask().result["reason"] == "Expired"
    nanoseconds = world.terms(expires_at=(world.now + DAY) * 10**9)
    world.refuses(
        "CONSENT/TIME_RANGE", world.patient, "add_consent", grantee=world.researcher, terms=nanoseconds
    )


@pytest.mark.parametrize("state", ["live", "expired", "all revoked", "withdrawn", "grantee suspended"])
def test_a_revocation_that_can_never_succeed(world: World, state: str) -> None:
    """There the patient's own revoke and delete always failed. Here withdrawing works in every state, against
    every resistance: an expired consent, a suspended grantee, a revocation that somebody else slipped in
    before."""
    world.give()
    if state == "expired":
        world.wait(2 * DAY)
    elif state == "all revoked":
        world.send(world.patient, "revoke_all", dismiss_delegates=False)
    elif state == "withdrawn":
        world.send(world.patient, "revoke_consent", grantee=world.researcher, purpose=HRESCH, study=0)
    elif state == "grantee suspended":
        world.send(world.admin, "suspend_entity", address=world.researcher)
    world.send(world.patient, "revoke_consent", grantee=world.researcher, purpose=HRESCH, study=0)
    world.send(world.patient, "revoke_all", dismiss_delegates=False)
    consent = world.read("consent", **world.about(), campaign=0)
    assert consent["status"] == "Withdrawn"
