"""Who may call what: every function of the contracts, every role, and the error whoever may not gets.

A table to be tried (`tests/contracts/test_roles.py`), attacked and reported; and a stage to call it on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from medsync.starknet.signer import public_key_of
from tests.harness.anchoring import Anchoring, node_of
from tests.harness.anchoring import log as private_log
from tests.harness.cells import is_pool_cell
from tests.harness.chain import Chain
from tests.harness.driver import Contract, sign
from tests.harness.snip12 import consent_message, draw_hash, revocation_message
from tests.harness.words import BROAD, CLOSE_NOTICE, DAY, HRESCH
from tests.harness.world import PROFILE, World, id_of

ENTITIES = {"hospital", "researcher", "partner", "funder", "auditor"}
ROLES = (
    *("admin", "successor", "hospital", "researcher", "partner", "funder", "auditor", "suspended"),
    *("patient", "neighbour", "delegate", "stranger", "relayer", "contract", "spender", "pool"),
)
ANYONE = set(ROLES)

HOLDER = 0x4E7
"""Private key of somebody who is paid without an account."""


@dataclass
class Stage:
    """A world in which a hand-over is ready, a campaign may be closed, credit may be drawn, consents stand,
    and a hospital broke the glass."""

    world: World
    terms: dict[str, Any]
    """Of the campaign that the consents name."""
    spent: dict[str, Any]
    """Of the campaign that the spender spends."""
    contract: Contract
    """Somebody's contract, without any right."""
    spender: Contract
    """What `spent` names as spender."""
    pool: Contract
    """What MedSync takes for a pool that it deployed."""
    emergency: int
    """Entry of the hospital's emergency access in the patient's log."""
    anchoring: Anchoring
    """A log of which a part is anchored."""

    def target(self, function: str) -> Contract | None:
        """The contract to call a function of, if its name does not tell."""
        return self.anchoring.contract if function in ("anchor", "rotate") else None

    def address(self, role: str) -> int:
        special = {"contract": self.contract, "spender": self.spender, "pool": self.pool}
        return special[role].address if role in special else int(getattr(self.world, role))


def set_stage(chain: Chain) -> Stage:
    """Everything is ready for everything; nothing that can be done once was done."""
    world = World(chain)
    contract, spender, pool = (world.new_puppet() for _ in range(3))
    is_pool_cell(world, pool.address).write(value=1)
    terms, spent = world.campaign(), world.campaign(salt=2, spender=spender.address)
    world.fund(terms, 10_000)
    world.fund(spent, 10_000)
    world.allow(terms, world.researcher, 3)
    world.allow(terms, world.partner, 3)
    for grantee in (world.researcher, world.funder):
        world.give(grantee, reward=terms, expires_at=world.now + 100 * DAY)
    world.name_delegate(7, world.now + 100 * DAY)
    world.ask(world.funder, campaign=id_of(terms))
    world.send(
        world.relayer,
        "settle",
        patient=world.patient,
        grantee=world.funder,
        terms=terms,
    )
    world.send(world.relayer, "settle_custodian", terms=terms, accessor=world.funder)
    # A use that nobody settled yet.
    world.ask(world.funder, campaign=id_of(terms))
    world.send(spender.address, "spend", terms=spent, payee=("Key", public_key_of(HOLDER)))
    world.send(world.funder, "announce_close", terms=terms)
    world.send(world.admin, "begin_admin_transfer", new_admin=world.successor)
    outcome = world.execute(
        world.funder,
        world.call("mint", world.token, recipient=world.funder, amount=1000),
        world.call("approve", world.token, spender=world.pool.address, amount=1000),
    )
    assert outcome.error is None
    world.wait(CLOSE_NOTICE)
    broken = world.send(
        world.hospital, "request_emergency_access", patient=world.patient, categories=1, record=0
    )
    assert broken.result["decision"] == "Emergency"
    anchoring = Anchoring(world)
    anchoring.anchor(private_log(3))
    return Stage(world, terms, spent, contract, spender, pool, broken.result["seq"], anchoring)


def signed_rotation(stage: Stage) -> dict[str, Any]:
    nodes, threshold = [node_of(key) for key in (21, 22, 23)], 2
    signatures = stage.anchoring.signatures(stage.anchoring.rotation_message(nodes, threshold))
    return {"nodes": nodes, "threshold": threshold, "signatures": signatures}


def signed_draw(stage: Stage) -> dict[str, Any]:
    key, amount, recipient = public_key_of(HOLDER), 100, stage.world.stranger
    r, s = sign(draw_hash(stage.world, key, amount, recipient, nonce=0), HOLDER)
    return {"key": key, "amount": amount, "recipient": recipient, "signature_r": r, "signature_s": s}


@dataclass
class Rule:
    """How to call a function, who may, what everybody else gets, and who gets something else."""

    arguments: Callable[[Stage], dict[str, Any]]
    allowed: set[str]
    error: str = ""
    exceptions: dict[str, str] | None = None
    own: bool = False
    """It touches only the caller's own data: the one it names as patient."""

    def error_of(self, role: str) -> str | None:
        """What a call by that role fails with, if it does."""
        return None if role in self.allowed else (self.exceptions or {}).get(role, self.error)


def about(**names: Any) -> Callable[[Stage], dict[str, Any]]:
    """Arguments by the name of a role or as they are."""
    return lambda stage: {
        name: stage.address(value) if isinstance(value, str) else value for name, value in names.items()
    }


def of_pool(**names: Any) -> Callable[[Stage], dict[str, Any]]:
    """The same of a campaign that names the pool among the roles."""
    return lambda stage: {"terms": stage.terms | {"pool": stage.pool.address}} | about(**names)(stage)


def of_campaign(**names: Any) -> Callable[[Stage], dict[str, Any]]:
    """The same of the campaign that the consents name."""
    return lambda stage: {"terms": stage.terms} | about(**names)(stage)


ADMIN_ONLY: dict[str, Any] = {"allowed": {"admin"}, "error": "ENTITY/NOT_ADMIN"}
DELEGATE_ONLY: dict[str, Any] = {"allowed": {"delegate"}, "error": "CONSENT/NOT_DELEGATE"}
FUNDER_ONLY: dict[str, Any] = {"allowed": {"funder"}, "error": "POOL/NOT_FUNDER"}
POOL_ONLY: dict[str, Any] = {"allowed": {"pool"}, "error": "BUDGET/NOT_POOL"}
ACTIVE: dict[str, Any] = {
    "allowed": ENTITIES,
    "error": "ENTITY/UNKNOWN",
    "exceptions": {"suspended": "ENTITY/SUSPENDED"},
}
OWN: dict[str, Any] = {"allowed": ANYONE, "own": True}

CONSENT = {"grantee": "researcher", "purpose": HRESCH, "study": BROAD}

RULES: dict[str, Rule] = {
    "register_entity": Rule(
        lambda stage: {"address": 0xE17, "role": "Auditor", "profile_commitment": PROFILE}, **ADMIN_ONLY
    ),
    "suspend_entity": Rule(about(address="hospital"), **ADMIN_ONLY),
    "suspend_self": Rule(about(), **ACTIVE),
    "reinstate_entity": Rule(about(address="suspended"), **ADMIN_ONLY),
    "change_profile": Rule(about(profile_commitment=1), **ACTIVE),
    "begin_admin_transfer": Rule(about(new_admin="stranger"), **ADMIN_ONLY),
    "cancel_admin_transfer": Rule(about(), **ADMIN_ONLY),
    "accept_admin_transfer": Rule(about(), {"successor"}, "ENTITY/NOT_PENDING_ADMIN"),
    "announce_successor": Rule(about(successor="contract"), **ADMIN_ONLY),
    "create_pool": Rule(lambda stage: {"token": stage.world.token.address, "salt": 99}, ANYONE),
    # Budgets move with the money that pays for them, so only pools move them.
    "grant_budget": Rule(of_pool(accessor="partner", uses=1), **POOL_ONLY),
    "take_budget": Rule(of_pool(accessor="partner", uses=None), **POOL_ONLY),
    "take_unsettled": Rule(of_pool(patient="patient", grantee="funder"), **POOL_ONLY),
    "take_custodian_unsettled": Rule(of_pool(accessor="funder"), **POOL_ONLY),
    "add_consent": Rule(
        lambda stage: {"grantee": stage.world.hospital, "terms": stage.world.terms()},
        ANYONE - {"hospital"},
        exceptions={"hospital": "CONSENT/SELF_GRANT"},
        own=True,
    ),
    "add_consent_for": Rule(
        lambda stage: {
            "patient": stage.world.patient,
            "grantee": stage.world.hospital,
            "terms": stage.world.terms(),
        },
        **DELEGATE_ONLY,
    ),
    "add_consent_by_sig": Rule(
        lambda stage: consent_message(stage.world, grantee=stage.world.hospital), ANYONE
    ),
    "revoke_consent": Rule(about(**CONSENT), {"patient"}, "CONSENT/NOT_FOUND", own=True),
    "revoke_consent_for": Rule(about(patient="patient", **CONSENT), **DELEGATE_ONLY),
    "revoke_consent_by_sig": Rule(lambda stage: revocation_message(stage.world), ANYONE),
    "revoke_all": Rule(about(dismiss_delegates=True), **OWN),
    "revoke_all_for": Rule(about(patient="patient"), **DELEGATE_ONLY),
    "request_consent": Rule(
        lambda stage: {
            "patient": stage.world.patient,
            "terms": stage.world.terms(),
            "open_until": stage.world.now + DAY,
        },
        **ACTIVE,
    ),
    "refuse_consent": Rule(about(**CONSENT), **OWN),
    "refuse_consent_for": Rule(about(patient="patient", **CONSENT), **DELEGATE_ONLY),
    "refuse_purpose": Rule(about(purpose=HRESCH), **OWN),
    "allow_purpose": Rule(about(purpose=HRESCH), **OWN),
    "set_delegate": Rule(
        about(delegate="stranger", powers=7, expires_at=2**40 - 1),
        ANYONE - {"stranger"},
        exceptions={"stranger": "CONSENT/SELF_DELEGATE"},
        own=True,
    ),
    "dismiss_delegates": Rule(about(), **OWN),
    "set_emergency_choice": Rule(lambda stage: {"choice": "Nobody"}, **OWN),
    "allow_emergency": Rule(about(hospital="hospital"), **OWN),
    "forbid_emergency": Rule(about(hospital="hospital"), **OWN),
    "cancel_signatures": Rule(about(), **OWN),
    "request_access": Rule(
        lambda stage: {"request": stage.world.request(campaign=id_of(stage.terms))}, **ACTIVE
    ),
    "request_access_batch": Rule(
        lambda stage: stage.world.batch(
            (stage.world.patient, 1), (stage.world.patient, 2), campaign=id_of(stage.terms)
        ),
        **ACTIVE,
    ),
    "request_emergency_access": Rule(about(patient="patient", categories=1, record=0), **ACTIVE),
    "justify_emergency": Rule(
        lambda stage: {"patient": stage.world.patient, "emergency": stage.emergency, "statement": 1},
        {"hospital"},
        "ACCESS/NO_EMERGENCY",
    ),
    "contest_emergency": Rule(
        lambda stage: {"hospital": stage.world.hospital, "emergency": stage.emergency},
        {"patient"},
        "ACCESS/NO_EMERGENCY",
        own=True,
    ),
    "state_deletion": Rule(
        about(patient="patient", purpose=HRESCH, study=BROAD, statement=1),
        {"researcher", "funder"},
        "ENTITY/UNKNOWN",
        exceptions={
            "suspended": "ENTITY/SUSPENDED",
            # Nobody decided on a consent for these.
            **dict.fromkeys(("hospital", "partner", "auditor"), "ACCESS/NO_CONSENT"),
        },
    ),
    "deposit": Rule(of_campaign(amount=1000), **FUNDER_ONLY),
    "increase_allowance": Rule(of_campaign(accessor="partner", uses=1), **FUNDER_ONLY),
    "decrease_allowance": Rule(of_campaign(accessor="partner", uses=1), **FUNDER_ONLY),
    "revoke_allowance": Rule(of_campaign(accessor="partner"), **FUNDER_ONLY),
    "announce_close": Rule(of_campaign(), **FUNDER_ONLY),
    "close_campaign": Rule(of_campaign(), **FUNDER_ONLY),
    # Whoever settles gets nothing by it.
    "settle": Rule(
        lambda stage: {
            "patient": stage.world.patient,
            "grantee": stage.world.funder,
            "terms": stage.terms,
        },
        ANYONE,
    ),
    "settle_custodian": Rule(of_campaign(accessor="funder"), ANYONE),
    "withdraw": Rule(
        lambda stage: {"amount": 100, "recipient": stage.world.stranger, "claims": []},
        {"patient", "hospital"},
        "POOL/INSUFFICIENT_CREDIT",
    ),
    "spend": Rule(
        lambda stage: {"terms": stage.spent, "payee": ("Account", stage.world.neighbour)},
        {"spender"},
        "POOL/NOT_SPENDER",
    ),
    # Whoever hands in what was signed: the signatures are what counts.
    "withdraw_by_key": Rule(signed_draw, ANYONE),
    "anchor": Rule(lambda stage: stage.anchoring.arguments_of_anchor(private_log(8)), ANYONE),
    "rotate": Rule(signed_rotation, ANYONE),
}
