"""Proven histories reproduce what the contracts hold: the package's replay of the events beside the model."""

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from medsync.log import replay
from medsync.protocol.events import EVENTS, ConsentRequested, Event
from medsync.protocol.types import CampaignTerms, Payee
from medsync.protocol.vocabulary import (
    Category,
    Decision,
    EmergencyChoice,
    PayeeKind,
    Power,
    Purpose,
    Reason,
    Role,
)
from tests.harness.driver import Raised
from tests.model.state import Delegation, KeyCredit
from tests.model.words import ALL_CATEGORIES, BREAK_THE_GLASS

if TYPE_CHECKING:
    from .system import System

KINDS = {name: kind for events in EVENTS.values() for name, (kind, _) in events.items()}
VALUES = {
    "purpose": Purpose.from_felt,
    "categories": Category,
    "powers": Power,
    "role": Role.from_variant,
    "decision": Decision.from_variant,
    "reason": Reason.from_variant,
    "choice": EmergencyChoice.from_variant,
    "terms": lambda terms: CampaignTerms(**terms | {"purpose": Purpose.from_felt(terms["purpose"])}),
    "payee": lambda payee: Payee(PayeeKind.from_variant(payee[0]), payee[1]),
}
"""How the package has a field that is more than a number."""

Pair = tuple[str, Any, Any]
"""What was asked, what the model says, and what the replay says."""


def typed(event: Raised) -> Event:
    """An event as the package decodes it."""
    values = event.keys | event.data
    told = {field: VALUES[field](value) if field in VALUES else value for field, value in values.items()}
    kind: Any = KINDS[event.name]
    return kind(**told)  # type: ignore[no-any-return]


def answers(system: "System", seen: Sequence[Raised]) -> Iterator[Pair]:
    """Everything that the replay knows, once for each pool, beside what the model says of it."""
    medsync = system.medsync.address
    for pool in system.pools:
        events = [
            typed(event)
            for event in seen
            if event.source in (medsync, pool.address)
            and KINDS.get(event.name) not in (None, ConsentRequested)
        ]
        # It also shows that every entry of an access log is explained by what the other histories say.
        state = replay.replay(events, chain_id=system.chain.chain_id, contract=medsync, until=system.now)
        yield from of_pool(system, pool.address, state)
    yield from of_registry(system, state)
    yield from of_patients(system, state)
    yield from of_consents(system, state)


def of_registry(system: "System", state: replay.State) -> Iterator[Pair]:
    world = system.world
    yield "registry", world.state.registry, state.registry_head()
    yield "administrator", world.state.admin, state.admin()
    yield "next administrator", world.state.pending_admin, state.pending_admin()
    yield "successor", world.state.successor, state.successor()
    for address in [*system.actors, *world.state.entities]:
        yield f"entity {address:#x}", world.entity(address), state.entity(address)


def of_patients(system: "System", state: replay.State) -> Iterator[Pair]:
    world = system.world
    for patient in system.actors:
        yield f"history {patient:#x}", world.history(patient), state.history_head(patient)
        yield f"log {patient:#x}", world.log(patient), state.log_head(patient)
        yield f"patient {patient:#x}", world.patient_state(patient), state.patient_state(patient)
        for delegate in system.actors:
            delegation = world.state.delegations.get((patient, delegate), Delegation())
            yield f"delegate {delegate:#x}", delegation, state.delegation(patient, delegate)
    for patient, seq, hospital in world.state.emergencies:
        emergency = world.emergency(patient, seq, hospital)
        yield f"emergency {seq}", emergency, state.emergency(patient, seq, hospital)


def of_consents(system: "System", state: replay.State) -> Iterator[Pair]:
    world = system.world
    for patient, grantee, code, study in world.state.consents:
        key, about = (patient, grantee, code, study), (patient, grantee, Purpose.from_felt(code), study)
        if code == BREAK_THE_GLASS:
            naming = world.emergency_naming(patient, grantee)
            yield f"naming {key}", naming, state.emergency_naming(patient, grantee)
        for campaign in {0, system.campaign_of(key)}:
            shown = world.consent(system.now, *key, campaign)
            yield f"consent {key} {campaign}", shown, state.consent(*about, campaign)
            for categories in (1, world.consent_record(key).categories or 1, ALL_CATEGORIES):
                verdict = world.verify_consent(system.now, *key, categories, campaign)
                replayed = state.verify_consent(*about, Category(categories), campaign)
                yield f"verdict {key} {campaign}", verdict, replayed


def of_pool(system: "System", pool: int, state: replay.State) -> Iterator[Pair]:
    """Budgets and uses need the events of the pool that pays."""
    world, books = system.world, system.world.state.pools[pool]
    yield "liabilities", books.liabilities, state.liabilities()
    for key, campaign in books.campaigns.items():
        yield f"campaign {key:#x}", {"id": key, **vars(campaign)}, state.campaign(key)
    for owner, credit in books.credits.items():
        credited = credit.claimable, credit.withdrawn
        yield f"credit of {owner:#x}", credited, (state.claimable(owner), state.withdrawn(owner))
    for holder in books.keys:
        credited = books.keys.get(holder, KeyCredit())
        yield f"credit of key {holder:#x}", credited, state.key_credit(holder)
    for campaign, accessor in world.state.budgets:
        if campaign in books.campaigns:
            budget = world.budget(campaign, accessor)
            yield f"budget of {accessor:#x}", budget, state.budget(campaign, accessor)
    for (patient, grantee, purpose, study), campaign in world.state.paid:
        if campaign in books.campaigns:
            paid = world.paid_uses((patient, grantee, purpose, study), campaign)
            about = patient, grantee, Purpose.from_felt(purpose), study, campaign
            yield f"paid uses of {about}", paid, state.paid_uses(*about)


def told(value: Any) -> Any:
    """A value of the package, or of the model, as words and numbers."""
    if hasattr(value, "variant"):
        return value.variant
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: told(getattr(value, field.name)) for field in fields(value)}
    return value


def differences(system: "System", seen: Sequence[Raised]) -> list[str]:
    """Where the replay says something else than the model, which is what the contracts hold."""
    return [
        f"{what}\n    model    {told(model)}\n    replayed {told(replayed)}"
        for what, model, replayed in answers(system, seen)
        if told(model) != told(replayed)
    ]
