"""The holes of the first edition, each shown on its own classes: every test here is an attack that succeeds.

The same attacks on the present contracts are in `test_findings.py`, under the same names; there each fails.
"""

import pytest

from medsync.starknet.signer import public_key_of
from tests.attacks import test_findings
from tests.attacks.first_edition import FirstEdition, declared, prepared
from tests.harness.cells import address_of, poseidon
from tests.harness.chain import Chain
from tests.harness.driver import selector, sign
from tests.harness.words import ADMIN_DELAY, CLOSE_NOTICE, DAY, GIVE, HRESCH, MAX_U64, REVOKE, felt


@pytest.fixture
def first(chain: Chain) -> FirstEdition:
    return FirstEdition(chain)


# --- H1 -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("button", ["revoke_all", "cancel_signatures", "revoke_all_for"])
def test_a_panic_button_after_a_series_of_messages(first: FirstEdition, button: str) -> None:
    """Two consents signed in a row, neither submitted. The button moves the nonce by one: it voids the first
    message, and makes the second, wider one good."""
    narrow = first.signed_consent(version=1, terms=first.terms(categories=1))
    wide = first.signed_consent(version=1, nonce=1)
    first.refuses("CONSENT/BAD_NONCE", first.relayer, "add_consent_by_sig", **wide)
    if button == "revoke_all_for":
        first.send(
            first.patient, "set_delegate", delegate=first.delegate, powers=REVOKE, expires_at=first.now + DAY
        )
        first.send(first.delegate, button, patient=first.patient)
    else:
        first.send(first.patient, button)
    first.refuses("CONSENT/BAD_NONCE", first.relayer, "add_consent_by_sig", **narrow)
    first.send(first.relayer, "add_consent_by_sig", **wide)
    assert first.verdict() == ("Permit", "Granted", 1)


# --- H2 -----------------------------------------------------------------------------------------------------


def test_a_second_study_overwrites_the_first(first: FirstEdition) -> None:
    """A dear study, and then a cheap one of the same researcher: terms, price and window of the first are
    gone."""
    dear, cheap = first.campaign(), first.campaign(rate=1, custodian_bps=0, custodian=0, salt=2)
    for terms in (dear, cheap):
        first.fund(terms, 10_000)
    first.send(first.patient, "add_consent", grantee=first.funder, terms=first.terms(reward=dear))
    assert first.ask(first.funder, campaign=dear).result["decision"] == "Permit"
    first.send(first.patient, "add_consent", grantee=first.funder, terms=first.terms(reward=cheap))
    assert first.ask(first.funder, campaign=dear).result["reason"] == "CampaignMismatch"
    assert first.ask(first.funder, campaign=cheap).result["decision"] == "Permit"
    assert first.read("claimable", owner=first.patient) == 901


# --- H3 -----------------------------------------------------------------------------------------------------


def test_an_administrator_who_is_a_hospital(first: FirstEdition) -> None:
    """Registered as a hospital, and through the glass, in one transaction."""
    outcome = first.execute(
        first.admin,
        first.call("register_entity", address=first.admin, role="Hospital", profile_commitment=7),
        first.call(
            "request_emergency_access",
            patient=first.patient,
            categories=0xFFFF,
            record=0,
            justification_commitment=1,
        ),
    )
    assert outcome.error is None
    (entry,) = (event for event in outcome.events if event.name == "AccessLogged")
    assert entry.data["reason"] == "BreakGlass"


# --- M1 -----------------------------------------------------------------------------------------------------


def test_a_withdrawal_outbid_by_a_renewal(first: FirstEdition) -> None:
    """The patient signed a renewal, thought better of it and signed a withdrawal. Both have the present
    nonce, so the grantee submits the renewal, and the withdrawal is void."""
    first.send(first.patient, "add_consent", grantee=first.researcher, terms=first.terms(categories=1))
    renewal, withdrawal = first.signed_consent(version=2), first.signed_withdrawal()
    outcome = first.execute(
        first.researcher,
        first.call("add_consent_by_sig", **renewal),
        first.call("request_access", request=first.request()),
    )
    assert outcome.error is None
    first.refuses("CONSENT/BAD_NONCE", first.relayer, "revoke_consent_by_sig", **withdrawal)
    assert first.verdict() == ("Permit", "Granted", 2)


# --- M2 -----------------------------------------------------------------------------------------------------


def test_revoke_all_and_a_bad_delegate(first: FirstEdition) -> None:
    """The patient presses the button; the delegate gives everything again."""
    first.send(
        first.patient, "set_delegate", delegate=first.delegate, powers=GIVE, expires_at=first.now + DAY
    )
    first.give()
    first.send(first.patient, "revoke_all")
    first.send(
        first.delegate,
        "add_consent_for",
        patient=first.patient,
        grantee=first.researcher,
        terms=first.terms(),
    )
    assert first.verdict() == ("Permit", "Granted", 2)


def test_a_delegate_that_strips_the_pay(first: FirstEdition) -> None:
    """With the power to give alone it renews the patient's paid consent without pay, and then for a window
    that never begins: it revokes."""
    terms = first.campaign()
    first.fund(terms, 10_000)
    first.send(first.patient, "add_consent", grantee=first.funder, terms=first.terms(reward=terms))
    first.send(
        first.patient, "set_delegate", delegate=first.delegate, powers=GIVE, expires_at=first.now + DAY
    )
    given = {"patient": first.patient, "grantee": first.funder}
    first.send(first.delegate, "add_consent_for", **given, terms=first.terms())
    assert first.ask(first.funder).result["decision"] == "Permit"
    assert first.read("claimable", owner=first.patient) == 0
    never = first.terms(starts_at=2**40 - 2, expires_at=2**40 - 1)
    first.send(first.delegate, "add_consent_for", **given, terms=never)
    assert first.ask(first.funder).result["reason"] == "NotStarted"


# --- M5 -----------------------------------------------------------------------------------------------------


def test_a_pool_that_burns_the_whole_fee(first: FirstEdition) -> None:
    """A pool of a patient's choice behaves when the accessor tries its batch, and then burns all the gas
    there is: nothing is logged for the honest patient either."""
    pool = first.new_puppet()
    terms = first.campaign(pool=pool.address)
    campaign = first.read("campaign", terms=terms)["id"]
    answers = {"campaign": [campaign, first.medsync.address, 1, 1000, 0, 0], "accrue": [0]}
    for entry_point, felts in answers.items():
        first.send(first.relayer, "answer", pool, entry_point=selector(entry_point), felts=felts)
    first.give(reward=terms)
    first.send(first.neighbour, "add_consent", grantee=first.researcher, terms=first.terms())
    batch = first.call(
        "request_access_batch",
        requests=[first.request(patient=first.neighbour), first.request(campaign=terms)],
    )
    assert first.simulate(first.researcher, batch).error is None
    first.send(first.relayer, "act", pool, entry_point=selector("accrue"), act=felt("BURN"))
    outcome = first.execute(first.researcher, batch)
    assert "no remaining steps" in outcome.reason
    assert first.read("log_head", patient=first.neighbour) == {"count": 0, "head": 0}


# --- M6 -----------------------------------------------------------------------------------------------------


def test_a_standing_notice(first: FirstEdition) -> None:
    """Announced at birth, closable for ever: new consents are taken, new money comes, and the next second it
    is closed."""
    terms = first.campaign(expires_at=first.now + 1000 * DAY)
    first.fund(terms, 1000)
    first.send(first.funder, "announce_close", terms=terms)
    first.wait(300 * DAY)
    first.fund(terms, 9000)
    first.send(
        first.patient,
        "add_consent",
        grantee=first.funder,
        terms=first.terms(reward=terms, expires_at=first.now + DAY),
    )
    assert first.ask(first.funder, campaign=terms).result["decision"] == "Permit"
    first.send(first.funder, "close_campaign", terms=terms)
    assert first.ask(first.funder, campaign=terms).result["reason"] == "CampaignClosed"


# --- M7 -----------------------------------------------------------------------------------------------------


def test_campaigns_that_cannot_pay(first: FirstEdition) -> None:
    """One that has expired, and one that holds a millionth of its price: both are accepted in a consent that
    will never permit anything."""
    over = first.campaign(expires_at=first.now + DAY)
    first.fund(over, 10_000)
    poor = first.campaign(rate=10**18, salt=2, expires_at=first.now + 30 * DAY)
    first.fund(poor, 1)
    first.wait(DAY)
    for terms, reason in ((over, "CampaignExpired"), (poor, "RewardUnfunded")):
        first.send(first.patient, "add_consent", grantee=first.funder, terms=first.terms(reward=terms))
        assert first.ask(first.funder, campaign=terms).result["reason"] == reason


# --- what a class hash proves -------------------------------------------------------------------------------


def test_a_pool_with_a_past(first: FirstEdition) -> None:
    """It is of the published class, and owes a thief 1,000 that nobody paid in. An honest deposit pays the
    thief, and the patient, credited for a permitted access, draws nothing."""
    thief = first.stranger
    pool = prepared(
        first,
        declared(first.chain, "RewardPool"),
        {
            address_of("token"): first.token.address,
            address_of("log"): first.medsync.address,
            address_of("credits", thief): 1000,
        },
    )
    assert first.read("claimable", pool, owner=thief) == 1000
    assert first.read("liabilities", pool) == 0
    terms = first.campaign(pool=pool.address, custodian=0, custodian_bps=0)
    first.fund(terms, 1000)
    first.send(first.patient, "add_consent", grantee=first.funder, terms=first.terms(reward=terms))
    assert first.ask(first.funder, campaign=terms).result["decision"] == "Permit"
    first.send(thief, "withdraw", pool, amount=1000, recipient=thief)
    draw = first.call("withdraw", pool, amount=1000, recipient=first.patient)
    assert first.execute(first.patient, draw).error is not None
    assert first.read("claimable", pool, owner=first.patient) == 1000


# --- L1, L2, L4, L5 -----------------------------------------------------------------------------------------


def test_an_allowance_that_is_lowered_while_it_is_spent(first: FirstEdition) -> None:
    """3,000 are to become 2,000; the accessor spends the 3,000 first, and then the 2,000."""
    terms = first.campaign()
    first.fund(terms, 10_000)
    first.send(first.funder, "set_allowance", terms=terms, accessor=first.researcher, amount=3000)
    first.give(reward=terms)
    spent = [first.ask(campaign=terms).result["decision"] for _ in range(3)]
    first.send(first.funder, "set_allowance", terms=terms, accessor=first.researcher, amount=2000)
    spent += [first.ask(campaign=terms).result["decision"] for _ in range(2)]
    assert spent == ["Permit"] * 5


def test_a_pool_that_is_its_own_custodian(first: FirstEdition) -> None:
    """Its share is credited to the pool, which can never draw it."""
    terms = first.campaign(custodian=first.pool.address, custodian_bps=9999)
    first.fund(terms, 10_000)
    first.send(first.patient, "add_consent", grantee=first.funder, terms=first.terms(reward=terms))
    assert first.ask(first.funder, campaign=terms).result["decision"] == "Permit"
    assert first.read("claimable", owner=first.pool.address) == 999


def test_a_successor_that_waits_for_years(first: FirstEdition) -> None:
    """Named once, it takes the office four years later, at once."""
    first.send(first.admin, "begin_admin_transfer", new_admin=first.successor)
    first.wait(4 * 365 * DAY + ADMIN_DELAY)
    first.send(first.successor, "accept_admin_transfer")
    assert first.read("admin") == first.successor


def test_a_consent_that_says_given_when_it_is_dead(first: FirstEdition) -> None:
    """After `revoke_all` the record still says that it is given, and nothing else beside it."""
    first.give()
    first.send(first.patient, "revoke_all")
    consent = first.read("consent", patient=first.patient, grantee=first.researcher, purpose=HRESCH)
    assert consent["status"] == "Given"
    assert "state" not in consent


def test_break_the_glass_as_an_ordinary_purpose(first: FirstEdition) -> None:
    """A researcher fills a patient's emergencies with entries of its own (L3)."""
    receipt = first.ask(purpose=felt("BTG"))
    assert receipt.result["decision"] == "NoConsent"
    assert receipt.events[0].keys["purpose"] == felt("BTG")


def test_a_notice_and_no_allowance(first: FirstEdition) -> None:
    """A campaign's end may also come at once: the allowance is set to zero in the announcement's own
    transaction."""
    terms = first.campaign()
    first.fund(terms, 10_000)
    first.send(first.funder, "set_allowance", terms=terms, accessor=first.researcher, amount=10_000)
    first.give(reward=terms)
    outcome = first.execute(
        first.funder,
        first.call("announce_close", terms=terms),
        first.call("set_allowance", terms=terms, accessor=first.researcher, amount=0),
    )
    assert outcome.error is None
    assert first.ask(campaign=terms).result["reason"] == "AllowanceExceeded"
    first.wait(CLOSE_NOTICE)


def test_one_statement_that_uses_an_anchors_sizes_up(first: FirstEdition) -> None:
    """One node, which must sign alone, attests a log of all sizes there are: accepted, and the anchor can
    never go on (L8)."""
    key = 11
    node = (public_key_of(key), 0x1D)
    anchor = first.deploy_old("PrivateAnchor", 1, *node, 1)
    root, state = 0x4007, 0x57A7E
    tag, chain_id = felt("MEDSYNC/ANCHOR/1"), first.chain.chain_id

    def statement(before: tuple[int, int], size: int) -> dict[str, object]:
        signed = poseidon(tag, chain_id, anchor.address, 0, *before, size, root, state)
        r, s = sign(signed, key)
        return {
            "statement": {"size": size, "root": root, "state": state, "epoch": 0},
            "consistency": [],
            "signatures": [{"node": 0, "r": r, "s": s}],
        }

    first.send(first.relayer, "anchor", anchor, **statement((0, 0), MAX_U64))
    again = first.call("anchor", anchor, **statement((MAX_U64, root), MAX_U64))
    assert first.execute(first.relayer, again).error == "ANCHOR/NOT_LONGER"


def test_a_pool_that_had_too_many_deposits(first: FirstEdition) -> None:
    """What was ever deposited counts for ever, also when the pool owes nothing any more (L10)."""
    terms = first.campaign(custodian=0, custodian_bps=0, expires_at=first.now + DAY)
    first.fund(terms, 10_000)
    first.wait(DAY)
    first.send(first.funder, "close_campaign", terms=terms)
    first.send(first.funder, "withdraw", amount=10_000, recipient=first.funder)
    assert first.read("liabilities") == 0
    assert first.read("lifetime_deposits") == 10_000


def test_an_entity_whose_key_was_stolen(first: FirstEdition) -> None:
    """There is nothing that it could do itself (L9); and once reinstated it breaks the glass at once."""
    own = {"suspend_self", "change_profile"}
    assert not own & set(first.medsync.abi.functions)
    first.send(first.admin, "suspend_entity", address=first.hospital)
    first.send(first.admin, "reinstate_entity", address=first.hospital)
    asked = {"patient": first.patient, "categories": 1, "record": 0, "justification_commitment": 1}
    receipt = first.send(first.hospital, "request_emergency_access", **asked)
    assert receipt.result["reason"] == "BreakGlass"


def test_every_hole_is_closed_under_its_name() -> None:
    """Each attack of this file is tried on the present contracts too."""
    here = {name for name in globals() if name.startswith("test_") and name != "test_findings"}
    here.remove("test_every_hole_is_closed_under_its_name")
    assert len(here) > 15
    assert here <= set(vars(test_findings))
