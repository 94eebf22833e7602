"""What campaigns owe patients: found from proven logs and from the terms that campaigns were opened with."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from medsync.cli import campaigns, values
from medsync.cli.contracts import Contracts
from medsync.errors import InputError, VerificationError
from medsync.protocol.events import LogEntry, PoolCreated
from medsync.protocol.types import CampaignTerms, Claim
from medsync.protocol.vocabulary import Decision

#: Most claims that one withdrawal settles.
MAX_CLAIMS: Final = 50

_BPS: Final = 10_000


@dataclass(frozen=True)
class Owed:
    """Unsettled uses of a consent."""

    claim: Claim
    uses: int

    @property
    def share(self) -> int:
        """What the patient gets for them, in the token's smallest unit: each use is split on its own."""
        terms = self.claim.terms
        return self.uses * (terms.rate - terms.rate * terms.custodian_bps // _BPS)


async def find(contracts: Contracts, patient: int) -> list[Owed]:
    """What campaigns owe a patient and nobody settled, from the patient's log, proven complete.

    Raises VerificationError if the log is not complete, or if the node does not know the terms of a campaign
    that paid.
    """
    history = await contracts.history(patient)
    paid = dict.fromkeys(
        (entry.accessor, entry.campaign)
        for entry in history.accesses.entries
        if isinstance(entry, LogEntry) and entry.campaign and entry.decision is Decision.PERMIT
    )
    if not paid:
        return []
    medsync = await contracts.medsync()
    opened = await terms_of(contracts, {campaign for _, campaign in paid})
    found = []
    for grantee, campaign in paid:
        terms = opened[campaign]
        uses = await medsync.paid_uses(patient, grantee, terms.purpose, terms.study, campaign)
        if uses.paid > uses.settled:
            found.append(Owed(Claim(grantee, terms), uses.paid - uses.settled))
    return sorted(found, key=lambda owed: -owed.share)


async def terms_of(contracts: Contracts, wanted: Collection[int]) -> dict[int, CampaignTerms]:
    """The terms of campaigns by their ids, as their first deposits state them.

    A node cannot pass off other terms, because the id is their hash. Raises VerificationError, naming it, for
    a campaign that it does not tell of.
    """
    found: dict[int, CampaignTerms] = {}
    recorded = (await contracts.record()).reward_pool
    # Anybody may make pools: the recorded one is asked first, and most often is enough.
    others = (event.pool for event in await contracts.events(PoolCreated) if event.pool != recorded)
    for pool in (recorded, *others):
        missing = sorted(set(wanted) - found.keys())
        if not missing:
            break
        for event in await contracts.opened_campaigns(pool, missing):
            found[event.terms.id] = event.terms
    if missing := sorted(set(wanted) - found.keys()):
        raise VerificationError(
            "The node tells of no deposit that opened these campaigns:",
            findings=[hex(campaign) for campaign in missing],
            hint="Ask another node, or the funder for a file of the terms.",
        )
    return found


async def resolve(contracts: Contracts, text: str, name: str) -> CampaignTerms:
    """The terms of the campaign that `text` gives: a file of them, or its id (0x…)."""
    if text[:2] not in ("0x", "0X"):
        return campaigns.read(Path(text), name)
    campaign = values.felt(text, name)
    try:
        return (await terms_of(contracts, {campaign}))[campaign]
    except VerificationError as error:
        raise InputError(f"{name}: no campaign {campaign:#x} is known.", hint=error.hint) from None
