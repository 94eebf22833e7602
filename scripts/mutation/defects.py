"""The defects of the predecessor, reintroduced into these contracts by hand. The tests must detect them all.

Each defect names a file, code that occurs exactly once in it, and its replacement. The names are those of the
table "Defects of an earlier prototype" of docs/threat-model.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.mutation.mutants import CAIRO, Edit, Mutant

OPERATOR = "predecessor"

CONSENTS = "contracts/src/consent_registry.cairo"
LOG = "contracts/src/access_log.cairo"
POOL = "contracts/src/reward_pool.cairo"


@dataclass(frozen=True)
class Defect:
    """A defect of the predecessor and how it is reintroduced."""

    name: str
    file: str
    old: str
    """The current code, which occurs exactly once in the file."""
    new: str


DEFECTS = (
    Defect(
        "anybody can consent for anybody",
        CONSENTS,
        "self.assert_delegate(context, patient, POWER_GIVE);",
        "",
    ),
    Defect(
        "anybody can revoke for anybody",
        CONSENTS,
        """\
            self.assert_delegate(context, patient, POWER_REVOKE);
            self.revoke(""",
        "            self.revoke(",
    ),
    Defect(
        "anybody can log for anybody",
        LOG,
        "assert(judgement.reason != Reason::EntityUnknown, EntityErrors::UNKNOWN);",
        "",
    ),
    Defect(
        "a second purpose overwrites the first consent",
        CONSENTS,
        "SpongeTrait::new().pair(patient.into(), grantee.into()).hash_with(purpose)",
        "SpongeTrait::new().pair(patient.into(), grantee.into()).hash()",
    ),
    Defect(
        "a proof of public values proves nothing",
        CONSENTS,
        "assert(answer == starknet::VALIDATED, Errors::BAD_SIGNATURE);",
        "assert(answer != 0 || hash != 0, Errors::BAD_SIGNATURE);",
    ),
    Defect(
        "withdraw pays again and again",
        POOL,
        "claimable: credit.claimable - amount, withdrawn: credit.withdrawn + amount,",
        "claimable: credit.claimable, withdrawn: credit.withdrawn + amount,",
    ),
    Defect(
        "withdraw pays any caller",
        POOL,
        "assert(amount <= credit.claimable, Errors::INSUFFICIENT_CREDIT);",
        "let credit = Credit { claimable: credit.claimable + amount, ..credit };",
    ),
    Defect(
        "a deposit overwrites the pool that is there",
        POOL,
        "remaining: escrow.remaining + amount,",
        "remaining: amount,",
    ),
    Defect(
        "the log keeps one entry per pair",
        LOG,
        "cell.write(LogHead { count: seq, head: digest });",
        "if count == 0 { cell.write(LogHead { count: seq, head: digest }); }",
    ),
    Defect(
        "the log does not keep the time",
        LOG,
        ".pair(at.into(), (*entry.accessor).into())",
        ".pair(0, (*entry.accessor).into())",
    ),
    Defect(
        "the log does not keep the purpose",
        LOG,
        ".pair(*entry.purpose, (*entry.categories).into())",
        ".pair(0, (*entry.categories).into())",
    ),
    Defect(
        "an event is declared and never emitted",
        CONSENTS,
        "self.emit(ConsentRevoked { patient, grantee, purpose, by, version });",
        "",
    ),
    Defect(
        "the expiry mixes seconds and nanoseconds",
        CONSENTS,
        "} else if now >= *record.expires_at {",
        "} else if now * 1_000_000_000 >= *record.expires_at {",
    ),
    Defect(
        "a patient's own revocation can never succeed",
        CONSENTS,
        "assert(record.status != ConsentStatus::None, Errors::NOT_FOUND);",
        "assert(by != patient && record.status != ConsentStatus::None, Errors::NOT_FOUND);",
    ),
)


def defect_mutants(root: Path) -> list[Mutant]:
    """The defects as mutants. Raises an error if the code of one is not found exactly once."""
    return list(_mutants(root, DEFECTS))


def _mutants(root: Path, defects: tuple[Defect, ...]) -> Iterator[Mutant]:
    for defect in defects:
        text = (root / defect.file).read_text()
        if text.count(defect.old) != 1:
            raise ValueError(f"{defect.name!r}: its place is {text.count(defect.old)} times in {defect.file}")
        start = text.index(defect.old)
        yield Mutant(
            language=CAIRO,
            file=defect.file,
            line=text.count("\n", 0, start) + 1,
            function=defect.name,
            operator=OPERATOR,
            change=defect.name,
            edits=(Edit(defect.file, start, start + len(defect.old), defect.new),),
            digest=hashlib.sha256(text.encode()).hexdigest()[:16],
            place=0,
        )
