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
CHAIN = "contracts/src/chain.cairo"
KEYS = "contracts/src/keys.cairo"


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
        "self.assert_delegate(context, patient, POWER_GIVE)",
        "self.ConsentRegistry_patients.read(patient)",
    ),
    Defect(
        "anybody can revoke for anybody",
        CONSENTS,
        "let state = self.assert_delegate(context, patient, POWER_REVOKE);",
        "let state = self.ConsentRegistry_patients.read(patient);",
    ),
    Defect(
        "anybody can log for anybody",
        LOG,
        "(context, get_dep_component!(self, Entities).assert_active(context.caller))",
        """\
            let anybody = Entity {
                role: Role::Researcher,
                suspended: false,
                registered_at: 0,
                active_since: 0,
                profiled_at: 0,
                seq: 0,
            };
            (context, anybody)""",
    ),
    Defect(
        "a second purpose overwrites the first consent",
        KEYS,
        "SpongeTrait::new().pair(patient.into(), grantee.into()).pair(purpose, study).hash()",
        "SpongeTrait::new().pair(patient.into(), grantee.into()).hash_with(study)",
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
        "claimable: claimable - amount,\n",
        "claimable,\n",
    ),
    Defect(
        "withdraw pays any caller",
        POOL,
        "let Credit { claimable, withdrawn } = cell.read();\n            assert_draw(",
        "let Credit { claimable, withdrawn } = cell.read();\n"
        "            let claimable = claimable + amount;\n            assert_draw(",
    ),
    Defect(
        "a deposit overwrites the pool that is there",
        POOL,
        "granted: funding.granted + uses,",
        "granted: uses,",
    ),
    Defect(
        "the log keeps one entry per pair",
        LOG,
        "            cell.write(head);",
        "            if seq == 1 {\n                cell.write(head);\n            }",
    ),
    Defect(
        "the log does not keep the time",
        CHAIN,
        ".pair(context.now.into(), kind)",
        ".pair(0, kind)",
    ),
    Defect(
        "the log does not keep the purpose",
        LOG,
        ".pair(accessor.into(), entry.purpose)",
        ".pair(accessor.into(), 0)",
    ),
    Defect(
        "an event is declared and never emitted",
        CONSENTS,
        """\
            self
                .emit(
                    ConsentRevoked {
                        patient, grantee, purpose, seq, at, study, by, nonce, version, generation,
                    },
                );
""",
        "",
    ),
    Defect(
        "the expiry mixes seconds and nanoseconds",
        CONSENTS,
        "if now >= *record.expires_at {",
        "if now * 1_000_000_000 >= *record.expires_at {",
    ),
    Defect(
        "a patient's own revocation can never succeed",
        CONSENTS,
        """\
            assert(record.status != ConsentStatus::None, Errors::NOT_FOUND);
            let generation""",
        """\
            assert(record.status == ConsentStatus::None, Errors::NOT_FOUND);
            let generation""",
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
