"""Erased records, and an attacker who has everything else: nobody's are found again, unless a salt was left.

What remains says who is meant in other ways than by a commitment, and these tests say so: by a category that
nobody else has, by the order of things, by an address that is known.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from medsync.private.keys.keys import CustodianKey
from medsync.private.records.erasure import Erasure, OnChain
from medsync.private.records.sealing import open_record
from medsync.private.records.vault import KeyVault
from medsync.protocol.chains import entry_digest
from medsync.protocol.commitments import Domain, Opening
from medsync.protocol.events import ConsentAdded, LogEntry
from medsync.protocol.hashing import poseidon
from medsync.protocol.vocabulary import Category, Decision, Purpose, Reason, category_of
from tests.harness.records import CHAIN, CONTRACT, NOW, RESEARCHER, Store, everything_under, put
from tests.private.attacks.relinking import By, Knowledge, Person, Trace, chance, link, right, together

PEOPLE = 12
#: That a test fails though nothing is wrong: once in a million cohorts.
RISK = 1e-6


def person(number: int, *more: Mapping[str, Any]) -> Person:
    """Somebody with an observation and a condition, as everybody has, and what else they have."""
    name = f"Synthetic Person {number}"
    common: list[Mapping[str, Any]] = [
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "glucose"},
            "subject": {"display": name},
            "valueQuantity": {"value": 4 + number / 10, "unit": "mmol/L"},
        },
        {
            "resourceType": "Condition",
            "clinicalStatus": {"coding": [{"code": "active"}]},
            "subject": {"display": name},
            "code": {"text": f"condition {number}"},
        },
    ]
    return Person(name, [*common, *more])


IMAGING: Mapping[str, Any] = {
    "resourceType": "ImagingStudy",
    "status": "available",
    "subject": {"display": "Synthetic Person 7"},
}


@dataclass
class Cohort:
    """What the attacker has, and what they want to know: whose each record is, by its id."""

    known: Knowledge
    truth: dict[str, int]
    openings: dict[str, Opening]


def entries_of(traces: list[Trace], addresses: Mapping[str, int], drawn: random.Random) -> Iterator[Any]:
    """Events of a chain on which everybody consents and the researcher asks for each record, in any order."""
    for address in drawn.sample(sorted(set(addresses.values())), PEOPLE):
        yield ConsentAdded(
            address,
            RESEARCHER,
            Purpose.HRESCH,
            seq=1,
            at=NOW,
            study=0,
            by=address,
            nonce=0,
            version=1,
            generation=1,
            categories=Category.ALL,
            starts_at=NOW,
            expires_at=NOW + 10**7,
            max_uses=0,
            scoped=False,
            campaign=0,
            terms_commitment=drawn.getrandbits(250),
        )
    seen: dict[int, int] = {}
    for at, trace in enumerate(drawn.sample(traces, len(traces)), NOW + 10**6):
        address = addresses[trace.record]
        seen[address] = seen.get(address, 0) + 1
        yield LogEntry(
            patient=address,
            accessor=RESEARCHER,
            purpose=Purpose.HRESCH,
            seq=seen[address],
            at=at,
            study=0,
            decision=Decision.PERMIT,
            reason=Reason.GRANTED,
            version=1,
            scoped=False,
            categories=trace.categories,
            record=trace.commitment,
            campaign=0,
            registration=1,
        )


def hashes_of(traces: list[Trace], events: list[Any]) -> list[int]:
    """Hashes over what is public, as leaves, digests and roots are."""
    leaves = [poseidon([int(one.record, 16), one.commitment, int(one.categories), one.at]) for one in traces]
    digests, heads = [], dict[int, int]()
    for event in events:
        if isinstance(event, LogEntry):
            heads[event.patient] = entry_digest(CHAIN, CONTRACT, heads.get(event.patient, 0), event)
            digests.append(heads[event.patient])
    return [*leaves, *digests, poseidon(leaves)]


def cohort(people: list[Person], seed: int, *, logged: bool, shuffled: bool = True) -> Cohort:
    """Everybody's records, put in random order, and erased: what is left is what cannot be erased."""
    print(f"seed {seed}")
    drawn = random.Random(seed)
    addresses = [drawn.getrandbits(250) for _ in people]
    whose = [(place, resource) for place, one in enumerate(people) for resource in one.resources]
    truth, openings, traces = {}, {}, []
    for number, (place, resource) in enumerate(drawn.sample(whose, len(whose)) if shuffled else whose):
        record = f"{drawn.getrandbits(128):032x}"
        opening = Opening.of_json(Domain.RECORD, resource)
        traces.append(Trace(record, opening.commitment, category_of(resource), NOW + 60 * number))
        truth[record], openings[record] = place, opening
    by_record = {record: addresses[place] for record, place in truth.items()}
    events = list(entries_of(traces, by_record, drawn)) if logged else []
    return Cohort(Knowledge(people, traces, events), truth, openings)


# --- through the real thing ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
async def erased(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """A cohort whose records were encrypted, kept, asked for, and erased, and all files that left."""
    seed = 20_260_101
    print(f"seed {seed}")
    drawn, folder = random.Random(seed), tmp_path_factory.mktemp("hospital")
    people = [person(number) for number in range(PEOPLE)]
    addresses = [drawn.getrandbits(250) for _ in people]
    key, store = CustodianKey.generate(), Store()
    truth, openings, traces = {}, {}, []
    whose = [(place, resource) for place, one in enumerate(people) for resource in one.resources]
    with KeyVault(folder / "keys.db", key, create=True) as vault:
        for number, (place, resource) in enumerate(drawn.sample(whose, len(whose))):
            sealed = put(store, vault, resource, addresses[place])
            record = sealed.record
            data_key = vault.unwrap(record, sealed.keys)
            opened = open_record(sealed.ciphertext, data_key, record, requested=record.commitment)
            truth[record.id], openings[record.id] = place, opened.opening
            traces.append(Trace(record.id, record.commitment, sealed.categories, NOW + 60 * number))
        vault.backup(folder / "backup.db")
        events = list(entries_of(traces, {one: addresses[place] for one, place in truth.items()}, drawn))
        for trace in traces:
            version = store.kept[trace.record].record
            erasure = Erasure(folder, trace.record, [version], store=store, vault=vault, signer=key.signing)
            await erasure.run(OnChain(chain=CHAIN, contract=CONTRACT))
    left = everything_under(folder)
    return Cohort(Knowledge(people, traces, events, hashes_of(traces, events), left), truth, openings)


def test_erased_records_are_linked_to_nobody(erased: Cohort) -> None:
    links = link(erased.known)
    assert {one.by for one in links.values()} == {By.GUESS}
    bound = chance(erased.known, risk=RISK)
    assert bound == 10
    assert bound < len(together(erased.known)) == PEOPLE
    assert right(erased.known, links, erased.truth) < bound
    assert len(erased.known.files) > 10_000


def test_one_salt_that_is_left_gives_its_patient_away(erased: Cohort, tmp_path: Path) -> None:
    """It may lie about in any file: here in an opening that a researcher had kept."""
    record = sorted(erased.truth)[5]
    (tmp_path / "kept.opening.json").write_text(erased.openings[record].to_json())
    known = replace(erased.known, files=erased.known.files + everything_under(tmp_path))
    links = link(known)
    proven = {one for one, found in links.items() if found.by is By.SALT}
    # With it everything that the log has under the same address.
    (group,) = (group for group in together(known) if record in {trace.record for trace in group})
    assert proven == {trace.record for trace in group}
    assert len(proven) == 2
    assert all(links[one].person == erased.truth[one] for one in proven)


def test_a_salt_is_found_however_it_is_written(erased: Cohort) -> None:
    """So that the first of these tests would fail if any were left in any file of an erasure."""
    spellings = (hex, str, lambda salt: f"{salt:064X}", lambda salt: f'{{"a": "{salt:#x}", "b": 1}}')
    written = dict(zip(sorted(erased.truth), spellings, strict=False))
    text = "\n".join(write(erased.openings[record].salt) for record, write in written.items())
    links = link(replace(erased.known, files=text.encode(), hashes=(), events=()))
    for record in written:
        assert links[record].by is By.SALT
        assert links[record].person == erased.truth[record]


# --- what else could tell -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("seed", "logged"), [(1, True), (2, False)])
def test_no_cohort_of_equals_is_told_apart(seed: int, logged: bool) -> None:
    """Records that were asked for, and such as never were: nothing holds two of these together."""
    found = cohort([person(number) for number in range(PEOPLE)], seed, logged=logged)
    links = link(found.known)
    groups = together(found.known)
    bound = chance(found.known, risk=RISK)
    assert (len(groups), bound) == ((PEOPLE, 10) if logged else (2 * PEOPLE, 14))
    assert len(links) == len(found.truth)
    assert {one.by for one in links.values()} == {By.GUESS}
    assert right(found.known, links, found.truth) < bound


def test_with_every_salt_everybody_is_found() -> None:
    found = cohort([person(number) for number in range(PEOPLE)], 4, logged=False)
    files = b"\n".join(opening.to_json().encode() for opening in found.openings.values())
    known = replace(found.known, files=files)
    links = link(known)
    assert {one.by for one in links.values()} == {By.SALT}
    assert right(known, links, found.truth) == 2 * PEOPLE


def test_a_category_that_nobody_else_has_gives_away_whose_it_is() -> None:
    """A risk that remains, without any salt."""
    people = [person(number, *([IMAGING] if number == 7 else [])) for number in range(PEOPLE)]
    found = cohort(people, 5, logged=False)
    links = link(found.known)
    (imaging,) = (one for one in found.known.traces if one.categories is Category.IMAGING)
    assert links[imaging.record] == next(one for one in links.values() if one.by is By.CATEGORIES)
    assert links[imaging.record].person == found.truth[imaging.record] == 7


def test_the_order_gives_away_whose_they_are_if_it_is_that_of_a_list() -> None:
    """A risk that remains: whoever puts records in an order that is known has said whose they are."""
    found = cohort([person(number) for number in range(PEOPLE)], 6, logged=True, shuffled=False)
    links = link(found.known)
    assert right(found.known, links, found.truth) == PEOPLE > chance(found.known, risk=RISK)


def test_an_address_that_is_known_is_a_name() -> None:
    """A risk that remains: an address is a pseudonym, and what the log has under it stays under it."""
    found = cohort([person(number) for number in range(PEOPLE)], 7, logged=True)
    entry = next(event for event in found.known.events if isinstance(event, LogEntry))
    record = next(one.record for one in found.known.traces if one.commitment == entry.record)
    place = found.truth[record]
    links = link(replace(found.known, addresses={entry.patient: place}))
    named = {one for one, answer in links.items() if answer.by is By.ADDRESS}
    assert named == {one for one, whose in found.truth.items() if whose == place}
    assert len(named) == 2


def test_the_bound_is_what_chance_does() -> None:
    """Ten thousand attackers guess at random: none reaches it, and on average one in each class is right."""
    found = cohort([person(number) for number in range(PEOPLE)], 8, logged=False)
    drawn, classes = random.Random(8), 2
    by_category: dict[Category, list[int]] = {}
    for trace in found.known.traces:
        by_category.setdefault(trace.categories, []).append(found.truth[trace.record])
    counts = []
    for _ in range(10_000):
        guesses = [drawn.sample(range(PEOPLE), PEOPLE) for _ in range(classes)]
        counts.append(
            sum(
                guess == truth
                for made, truths in zip(guesses, by_category.values(), strict=True)
                for guess, truth in zip(made, truths, strict=True)
            )
        )
    assert max(counts) < chance(found.known, risk=RISK)
    assert abs(sum(counts) / len(counts) - classes) < 0.1
