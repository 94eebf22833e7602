"""The attack on erasure: find out whose an erased record was, from everything that cannot be erased.

The attacker has the whole chain, every event, the replicated state of the private nodes, whatever files were
left, and a list of all patients with their records in plain text. `link` uses all of it. It is given plain
values, so that it can be turned on made-up and on real chains alike.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from enum import StrEnum
from typing import Any

from poseidon_py.poseidon_hash import poseidon_perm

from medsync.protocol.commitments import Domain, bytes_digest, canonical_json
from medsync.protocol.events import LogEntry
from medsync.protocol.felt import PRIME, encode_short_string
from medsync.protocol.vocabulary import Category, category_of


@dataclass(frozen=True)
class Person:
    """One line of the attacker's list: somebody, and all their records in plain text."""

    name: str
    resources: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Trace:
    """What an erased record leaves in replicated state and in the log's leaves."""

    record: str
    commitment: int
    categories: Category
    #: When it was put, in unix seconds.
    at: int


@dataclass(frozen=True)
class Knowledge:
    """Everything the attacker has."""

    people: Sequence[Person]
    traces: Sequence[Trace]
    #: Every event of the chain, as the package reads them.
    events: Sequence[Any]
    #: Values of the anchored log's leaves, and the roots over them.
    hashes: Sequence[int] = ()
    #: The bytes of whatever files were left.
    files: bytes = b""
    #: Whose address is known: place in the list of people, by address.
    addresses: Mapping[int, int] = field(default_factory=dict)


class By(StrEnum):
    """What a link rests on, the strongest first."""

    SALT = "the commitment was recomputed"
    ADDRESS = "the patient's address was known"
    CATEGORIES = "nobody else has such records"
    GUESS = "the order in which things happened"


@dataclass(frozen=True)
class Link:
    """The attacker's answer for one record."""

    #: Place in the list of people.
    person: int
    by: By


def link(known: Knowledge) -> dict[str, Link]:
    """Whose each record was, by its id: everything that is certain, and a guess for the rest."""
    links: dict[str, Link] = {}
    groups, recomputed = together(known), _recomputed(known)
    for group in groups:
        proven = next((recomputed[one.commitment] for one in group if one.commitment in recomputed), None)
        for by, person in ((By.SALT, proven), (By.ADDRESS, _by_address(known, group))):
            if person is not None:
                links |= {trace.record: Link(person, by) for trace in group if trace.record not in links}
    # How many records of which categories each person has that are not accounted for.
    left = [Counter(map(category_of, person.resources)) for person in known.people]
    for group in groups:
        if group[0].record in links:
            left[links[group[0].record].person] -= _needs(group)
    guessed = False
    open_groups = [group for group in groups if group[0].record not in links]
    while open_groups:
        fitting = [
            (group, [place for place, has in enumerate(left) if _needs(group) <= has])
            for group in open_groups
        ]
        certain = [(group, places) for group, places in fitting if len(places) == 1]
        # Else whoever comes first in the list, for what happened first.
        group, places = (
            certain[0] if certain else min(fitting, key=lambda pair: min(one.at for one in pair[0]))
        )
        if places:
            # After a guess nothing is certain any more, not even by elimination.
            guessed = guessed or not certain
            by = By.GUESS if guessed else By.CATEGORIES
            links |= {trace.record: Link(places[0], by) for trace in group}
            left[places[0]] -= _needs(group)
        open_groups.remove(group)
    return links


def together(known: Knowledge) -> list[list[Trace]]:
    """The records in groups that are one person's: the log names them under the same patient's address."""
    owner = {event.record: event.patient for event in known.events if isinstance(event, LogEntry)}
    groups: dict[Any, list[Trace]] = {}
    for trace in known.traces:
        groups.setdefault(owner.get(trace.commitment, trace.record), []).append(trace)
    return [sorted(group, key=lambda one: one.at) for group in groups.values()]


def chance(known: Knowledge, *, risk: float) -> int:
    """How many groups nobody guesses right by chance, except with a probability below `risk`.

    Groups with the same categories are a class. If each class is spread over the people at random, one group
    to each, then the number X of right guesses, however they are made, has E[X choose k] <= m^k / k! for m
    classes; and so P(X >= k) <= m^k / k!.
    """
    classes = len({tuple(sorted(_needs(group).items())) for group in together(known)})
    return next(k for k in range(1, 1000) if classes**k / math.factorial(k) < risk)


def right(known: Knowledge, links: Mapping[str, Link], truth: Mapping[str, int]) -> int:
    """How many groups were linked to the person they are of."""
    return sum(
        all(trace.record in links and links[trace.record].person == truth[trace.record] for trace in group)
        for group in together(known)
    )


def _needs(group: Iterable[Trace]) -> Counter[Category]:
    return Counter(trace.categories for trace in group)


def _by_address(known: Knowledge, group: Sequence[Trace]) -> int | None:
    commitments = {trace.commitment for trace in group}
    return next(
        (
            known.addresses[event.patient]
            for event in known.events
            if isinstance(event, LogEntry)
            and event.record in commitments
            and event.patient in known.addresses
        ),
        None,
    )


def _recomputed(known: Knowledge) -> dict[int, int]:
    """Whose record it is, by each commitment that comes out if any number there ever was is the salt."""
    domain, salts = encode_short_string(Domain.RECORD), set(_numbers(known))
    found = {}
    for place, person in enumerate(known.people):
        for resource in person.resources:
            # Poseidon takes in two felts at a time: the first half of the work is the same for each salt.
            first, second, third = poseidon_perm(domain, bytes_digest(canonical_json(resource)), 0)
            for salt in salts:
                found[poseidon_perm((first + salt) % PRIME, (second + 1) % PRIME, third)[0]] = place
    return found


def _numbers(known: Knowledge) -> Iterator[int]:
    """Everything that may be a salt: small numbers, and each felt of the chain, the state and the files."""
    yield from range(3)
    yield from known.hashes
    for event in known.events:
        yield from _felts(event)
    for trace in known.traces:
        yield from (trace.commitment, int(trace.record, 16), trace.at)
    for text in re.findall(rb"0x[0-9a-fA-F]{1,64}|[0-9]{60,77}|[0-9a-fA-F]{60,64}", known.files):
        written = text.decode()
        for base in (16, 10) if written.isdigit() else (16,):
            if (number := int(written, base)) < PRIME:
                yield number


def _felts(event: Any) -> Iterator[int]:
    for member in fields(event) if is_dataclass(event) else ():
        value = getattr(event, member.name)
        if isinstance(value, int) and 0 <= value < PRIME:
            yield int(value)
        elif is_dataclass(value):
            yield from _felts(value)
