"""Who may call what: every function of the contracts, every role, and the error whoever may not gets.

A table to be tried (`tests/contracts/test_roles.py`), attacked and reported; and a stage to call it on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.harness.anchoring import Anchoring, node_of
from tests.harness.anchoring import log as private_log
from tests.harness.chain import Chain
from tests.harness.driver import Contract, selector
from tests.harness.snip12 import consent_hash, revocation_hash, signed
from tests.harness.words import CLOSE_NOTICE, DAY, felt
from tests.harness.world import PROFILE, World

HRESCH = felt("HRESCH")
ENTITIES = {"hospital", "researcher", "partner", "funder", "auditor"}
ROLES = (
    *("admin", "successor", "hospital", "researcher", "partner", "funder", "auditor", "suspended"),
    *("patient", "neighbour", "delegate", "stranger", "relayer", "contract", "log"),
)
ANYONE = set(ROLES)


@dataclass
class Stage:
    """A world in which a hand-over is ready, a campaign may be closed, credit may be drawn, and consents
    stand."""

    world: World
    terms: dict[str, Any]
    contract: Contract
    """Somebody's contract, without any right."""
    log: Contract
    """What a second pool takes for its `MedSync`."""
    pool: Contract
    """That pool."""
    anchoring: Anchoring
    """A log of which a part is anchored."""

    def target(self, function: str) -> Contract | None:
        """The contract to call a function of, if its name does not tell."""
        targets = {"accrue": self.pool, "anchor": self.anchoring.contract, "rotate": self.anchoring.contract}
        return targets.get(function)

    def address(self, role: str) -> int:
        special = {"contract": self.contract, "log": self.log}
        return special[role].address if role in special else int(getattr(self.world, role))


def set_stage(chain: Chain) -> Stage:
    """Everything is ready for everything; nothing that can be done once was done."""
    world = World(chain)
    contract, log = world.new_puppet(), world.new_puppet()
    world.send(world.relayer, "answer", log, entry_point=selector("supports_interface"), felts=[1])
    pool = world.new_pool(world.token.address, log.address)
    terms = world.campaign()
    world.fund(terms, 10_000)
    for grantee in (world.researcher, world.funder):
        consent = world.terms(reward=terms, expires_at=world.now + 100 * DAY)
        world.send(world.patient, "add_consent", grantee=grantee, terms=consent)
    world.send(
        world.patient, "set_delegate", delegate=world.delegate, powers=7, expires_at=world.now + 100 * DAY
    )
    world.ask(world.funder, campaign=terms)
    world.send(world.funder, "announce_close", terms=terms)
    world.send(world.admin, "begin_admin_transfer", new_admin=world.successor)
    outcome = world.execute(
        world.funder,
        world.call("mint", world.token, recipient=world.funder, amount=1000),
        world.call("approve", world.token, spender=world.pool.address, amount=1000),
    )
    assert outcome.error is None
    world.wait(CLOSE_NOTICE)
    anchoring = Anchoring(world)
    anchoring.anchor(private_log(3))
    return Stage(world, terms, contract, log, pool, anchoring)


def signed_consent(stage: Stage) -> dict[str, Any]:
    world = stage.world
    parts: dict[str, Any] = {
        "patient": world.patient,
        "grantee": world.hospital,
        "terms": world.terms(),
        "nonce": 0,
        "deadline": world.now,
    }
    return parts | {"signature": signed(world, world.patient, consent_hash(world, **parts, version=1))}


def signed_revocation(stage: Stage) -> dict[str, Any]:
    world = stage.world
    parts: dict[str, Any] = {
        "patient": world.patient,
        "grantee": world.researcher,
        "purpose": HRESCH,
        "nonce": 0,
        "deadline": world.now,
    }
    return parts | {"signature": signed(world, world.patient, revocation_hash(world, **parts))}


def signed_rotation(stage: Stage) -> dict[str, Any]:
    nodes, threshold = [node_of(key) for key in (21, 22, 23)], 2
    signatures = stage.anchoring.signatures(stage.anchoring.rotation_message(nodes, threshold))
    return {"nodes": nodes, "threshold": threshold, "signatures": signatures}


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


ADMIN_ONLY: dict[str, Any] = {"allowed": {"admin"}, "error": "ENTITY/NOT_ADMIN"}
DELEGATE_ONLY: dict[str, Any] = {"allowed": {"delegate"}, "error": "CONSENT/NOT_DELEGATE"}
FUNDER_ONLY: dict[str, Any] = {"allowed": {"funder"}, "error": "POOL/NOT_FUNDER"}
REGISTERED: dict[str, Any] = {"allowed": ENTITIES | {"suspended"}, "error": "ENTITY/UNKNOWN"}

RULES: dict[str, Rule] = {
    "register_entity": Rule(
        lambda stage: {"address": 0xE17, "role": "Auditor", "profile_commitment": PROFILE}, **ADMIN_ONLY
    ),
    "suspend_entity": Rule(about(address="hospital"), **ADMIN_ONLY),
    "reinstate_entity": Rule(about(address="suspended"), **ADMIN_ONLY),
    "begin_admin_transfer": Rule(about(new_admin="auditor"), **ADMIN_ONLY),
    "cancel_admin_transfer": Rule(about(), **ADMIN_ONLY),
    "accept_admin_transfer": Rule(about(), {"successor"}, "ENTITY/NOT_PENDING_ADMIN"),
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
    "add_consent_by_sig": Rule(signed_consent, ANYONE),
    "revoke_consent": Rule(
        about(grantee="researcher", purpose=HRESCH), {"patient"}, "CONSENT/NOT_FOUND", own=True
    ),
    "revoke_consent_for": Rule(
        about(patient="patient", grantee="researcher", purpose=HRESCH), **DELEGATE_ONLY
    ),
    "revoke_consent_by_sig": Rule(signed_revocation, ANYONE),
    "revoke_all": Rule(about(), ANYONE, own=True),
    "revoke_all_for": Rule(about(patient="patient"), **DELEGATE_ONLY),
    "request_consent": Rule(
        lambda stage: {"patient": stage.world.patient, "terms": stage.world.terms()},
        ENTITIES,
        "ENTITY/UNKNOWN",
        exceptions={"suspended": "ENTITY/SUSPENDED"},
    ),
    "refuse_consent": Rule(about(grantee="researcher", purpose=HRESCH), ANYONE, own=True),
    "refuse_consent_for": Rule(
        about(patient="patient", grantee="researcher", purpose=HRESCH), **DELEGATE_ONLY
    ),
    "set_delegate": Rule(
        about(delegate="stranger", powers=7, expires_at=2**40 - 1),
        ANYONE - {"stranger"},
        exceptions={"stranger": "CONSENT/SELF_DELEGATE"},
        own=True,
    ),
    "set_emergency_opt_out": Rule(about(opted_out=True), ANYONE, own=True),
    "cancel_signatures": Rule(about(), ANYONE, own=True),
    "request_access": Rule(
        lambda stage: {"request": stage.world.request(campaign=stage.terms)}, **REGISTERED
    ),
    "request_access_batch": Rule(
        lambda stage: {"requests": [stage.world.request(campaign=stage.terms)] * 2}, **REGISTERED
    ),
    "request_emergency_access": Rule(
        about(patient="patient", categories=1, record=0, justification_commitment=1), **REGISTERED
    ),
    "deposit": Rule(lambda stage: {"terms": stage.terms, "amount": 1000}, **FUNDER_ONLY),
    "set_allowance": Rule(
        lambda stage: {"terms": stage.terms, "accessor": stage.world.partner, "amount": 1}, **FUNDER_ONLY
    ),
    "accrue": Rule(
        lambda stage: {
            "terms": stage.terms,
            "patient": stage.world.patient,
            "accessor": stage.world.funder,
        },
        {"log"},
        "POOL/NOT_LOG",
    ),
    "withdraw": Rule(
        about(amount=100, recipient="stranger"), {"patient", "hospital"}, "POOL/INSUFFICIENT_CREDIT"
    ),
    "announce_close": Rule(lambda stage: {"terms": stage.terms}, **FUNDER_ONLY),
    "close_campaign": Rule(lambda stage: {"terms": stage.terms}, **FUNDER_ONLY),
    # Whoever hands in what the nodes signed: their signatures are what counts.
    "anchor": Rule(lambda stage: stage.anchoring.arguments_of_anchor(private_log(8)), ANYONE),
    "rotate": Rule(signed_rotation, ANYONE),
}
