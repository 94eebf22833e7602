"""All measured operations and cases, in a sequence in which each case uses the state left by earlier ones."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, Final

from medsync.protocol.merkle import EMPTY_ROOT, leaf_hash, node_hash
from medsync.protocol.types import (
    AccessRequest,
    AnchorHead,
    CampaignTerms,
    ConsentTerms,
    NodeSignature,
    Statement,
)
from medsync.protocol.vocabulary import Category, Power, Purpose, Role
from medsync.starknet.anchor import sign_rotation, sign_statement
from medsync.starknet.clients import MedSyncClient
from medsync.starknet.signer import StarkSigner
from medsync.starknet.transactions import Account, Invocation
from scripts.bench.lab import CROWD, NODE_KEYS, THRESHOLD, Lab, node_of

#: Measures an invocation under the name of its case.
Measure = Callable[[str, Invocation[Any]], Awaitable[None]]

DAY: Final = 86_400
ADMIN_DELAY: Final = 2 * DAY
CLOSE_NOTICE: Final = 7 * DAY

#: Price of a paid access in the token's smallest unit; the custodian receives a quarter.
RATE: Final = 1_000
#: The categories that accessors request and consents cover.
ASKED: Final = Category.LABORATORY
COVERED: Final = Category.LABORATORY | Category.GENOMICS

# Salted commitments are arbitrary felts to the contracts.
COMMITMENT: Final = 0x5EED
RECORD: Final = 0xDA7A

#: Size of the private log at which an inclusion is verified.
LEAVES: Final = 2**20


#: Cost of one more request in a batch: the name of the case, and the cases and sizes it is derived from.
MARGINS: Final = (
    (
        "each further, paid by one campaign",
        ("10 paid by one campaign", 10),
        (f"{CROWD} paid by one campaign", CROWD),
    ),
    (
        "each further, paid by a campaign each",
        ("1 paid by a campaign each", 1),
        ("10 paid by a campaign each", 10),
    ),
    ("each further, unpaid", ("1 unpaid", 1), ("10 unpaid", 10)),
)


class Story:
    """Runs the cases in order on a laboratory's contracts.

    Different purposes keep the consents of the cases apart, so that few accounts are needed.
    """

    def __init__(self, lab: Lab, measure: Measure) -> None:
        self._lab = lab
        self._measure = measure
        self._main = self._campaign(Purpose.HRESCH)
        self._scarce = self._campaign(Purpose.CLINTRCH)
        self._brief = replace(self._campaign(Purpose.TREAT), expires_at=lab.now + 10 * DAY)
        self._closing = self._campaign(Purpose.BIORCH)

    async def run(self) -> None:
        """Run all cases."""
        await self._entities()
        await self._deposits()
        await self._consents()
        await self._delegates()
        await self._signatures()
        await self._accesses()
        await self._revocations()
        await self._payments()
        await self._emergencies()
        await self._batches()
        await self._withdrawals()
        await self._times_pass()
        await self._anchors()

    async def _entities(self) -> None:
        administrator = self._lab.medsync_as("administrator")
        hospital, researcher, partner = map(self._lab.address, ("hospital", "researcher", "partner"))
        await self._measure("", administrator.register_entity(hospital, Role.HOSPITAL, COMMITMENT))
        await self._do(administrator.register_entity(researcher, Role.RESEARCHER, COMMITMENT))
        await self._do(administrator.register_entity(partner, Role.RESEARCHER, COMMITMENT))
        await self._measure("", administrator.suspend_entity(partner))
        await self._measure("", administrator.reinstate_entity(partner))
        successor, other = map(self._lab.address, ("successor", "relayer"))
        await self._measure("first", administrator.begin_admin_transfer(other))
        await self._measure("again", administrator.begin_admin_transfer(successor))
        await self._measure("", administrator.cancel_admin_transfer())

    async def _deposits(self) -> None:
        funder = self._lab.pool_as("researcher")
        await self._measure("the pool's first", funder.deposit(self._main, 1_000 * RATE))
        await self._lab.endow_yardstick()
        await self._measure("a campaign's first", funder.deposit(self._brief, 10 * RATE))
        await self._measure("again", funder.deposit(self._main, 1_000 * RATE))
        await self._do(funder.deposit(self._scarce, RATE))
        await self._do(funder.deposit(self._closing, 10 * RATE))
        partner = self._lab.address("partner")
        await self._measure("first", funder.set_allowance(self._main, partner, 10 * RATE))
        await self._measure("again", funder.set_allowance(self._main, partner, 2 * RATE))

    async def _consents(self) -> None:
        researcher = self._lab.medsync_as("researcher")
        patient, rewarded = self._lab.medsync_as("patient"), self._lab.medsync_as("rewarded")
        grantee = self._lab.address("researcher")
        await self._measure("", researcher.request_consent(self._lab.address("patient"), self._terms()))
        request = researcher.request_consent(self._lab.address("rewarded"), self._terms(reward=self._main))
        await self._measure("with reward", request)
        await self._measure("", patient.refuse_consent(grantee, Purpose.HRESCH))
        await self._measure("first", patient.add_consent(grantee, self._terms()))
        await self._measure("renewal", patient.add_consent(grantee, self._terms()))
        consent = rewarded.add_consent(grantee, self._terms(reward=self._main))
        await self._measure("first, with reward", consent)
        await self._measure("renewal, with reward", consent)
        for reward in (self._scarce, self._brief, self._closing):
            await self._do(rewarded.add_consent(grantee, self._terms(reward.purpose, reward=reward)))
        partner = self._lab.address("partner")
        await self._do(rewarded.add_consent(partner, self._terms(reward=self._main)))

    async def _delegates(self) -> None:
        ward, delegate = self._lab.medsync_as("ward"), self._lab.medsync_as("delegate")
        of, by, grantee = map(self._lab.address, ("ward", "delegate", "researcher"))
        powers = Power.GIVE | Power.REVOKE | Power.REFUSE
        await self._measure("first", ward.set_delegate(by, powers, self._lab.now + DAY))
        await self._measure("again", ward.set_delegate(by, powers, self._lab.now + 9 * DAY))
        await self._measure("first", delegate.add_consent_for(of, grantee, self._terms()))
        await self._measure("renewal", delegate.add_consent_for(of, grantee, self._terms()))
        reward = self._terms(Purpose.CLINTRCH, reward=self._scarce)
        for case in ("first, with reward", "renewal, with reward"):
            await self._measure(case, delegate.add_consent_for(of, grantee, reward))
        await self._measure("", delegate.refuse_consent_for(of, grantee, Purpose.HRESCH))
        await self._do(self._ask("ward"))
        await self._measure("", delegate.revoke_consent_for(of, grantee, Purpose.HRESCH))
        await self._measure("refused: revoked", self._ask("ward"))
        await self._measure("first", delegate.revoke_all_for(of))
        await self._measure("again", delegate.revoke_all_for(of))

    async def _signatures(self) -> None:
        signing, relayer = self._lab.medsync_as("signing"), self._lab.medsync_as("relayer")
        grantee, deadline = self._lab.address("researcher"), self._lab.now + DAY
        for case in ("first", "renewal"):
            signed = await signing.sign_consent(grantee, self._terms(), deadline=deadline)
            await self._measure(case, relayer.submit(signed))
        reward = self._terms(reward=self._main)
        signed = await signing.sign_consent(grantee, reward, deadline=deadline)
        await self._measure("renewal, with its first reward", relayer.submit(signed))
        revocation = await signing.sign_revocation(grantee, Purpose.HRESCH, deadline=deadline)
        await self._measure("", relayer.submit(revocation))
        await self._measure("", signing.cancel_signatures())

    async def _accesses(self) -> None:
        patient, researcher = self._lab.medsync_as("patient"), self._lab.address("researcher")
        await self._measure("permit, the patient's first", self._ask("patient"))
        await self._measure("permit", self._ask("patient"))
        asked = [self._lab.address("patient"), researcher, Purpose.HRESCH.felt, int(ASKED)]
        view: Invocation[Any] = self._lab.medsync_as("relayer").invoke("verify_consent", asked)
        await self._measure("permit, called in a transaction", view)
        await self._measure("refused: never given", self._ask("patient", by="hospital"))
        other = replace(self._request("patient"), categories=Category.IMAGING)
        refused = self._lab.medsync_as("researcher").request_access(other)
        await self._measure("refused: category not covered", refused)

        once = replace(self._terms(Purpose.CLINTRCH), max_uses=1)
        await self._do(patient.add_consent(researcher, once))
        await self._do(self._ask("patient", Purpose.CLINTRCH))
        await self._measure("refused: uses exhausted", self._ask("patient", Purpose.CLINTRCH))
        later = replace(self._terms(Purpose.TREAT), starts_at=self._lab.now + 9 * DAY)
        await self._do(patient.add_consent(researcher, later))
        await self._measure("refused: not started", self._ask("patient", Purpose.TREAT))

        administrator, partner = self._lab.medsync_as("administrator"), self._lab.address("partner")
        await self._do(administrator.suspend_entity(partner))
        await self._measure("refused: entity suspended", self._ask("patient", by="partner"))
        await self._do(administrator.reinstate_entity(partner))

    async def _revocations(self) -> None:
        patient, researcher = self._lab.medsync_as("patient"), self._lab.address("researcher")
        await self._measure("", patient.revoke_consent(researcher, Purpose.HRESCH))
        await self._measure("already revoked", patient.revoke_consent(researcher, Purpose.HRESCH))
        await self._measure("refused: withdrawn", self._ask("patient"))
        neighbour = self._lab.medsync_as("neighbour")
        await self._do(neighbour.add_consent(researcher, self._terms()))
        await self._do(self._ask("neighbour"))
        await self._measure("first", neighbour.revoke_all())
        await self._measure("again", neighbour.revoke_all())
        await self._measure("refused: all revoked", self._ask("neighbour"))

    async def _payments(self) -> None:
        case = "permit, paid, patient's and custodian's first"
        await self._measure(case, self._ask("rewarded", pay=self._main))
        await self._measure("permit, paid", self._ask("rewarded", pay=self._main))
        await self._do(self._ask("rewarded", by="partner", pay=self._main))
        by_allowance = self._ask("rewarded", by="partner", pay=self._main)
        await self._measure("permit, paid by allowance", by_allowance)
        await self._measure("refused: allowance exceeded", by_allowance)
        await self._measure("refused: campaign mismatch", self._ask("rewarded"))
        await self._do(self._ask("rewarded", Purpose.CLINTRCH, pay=self._scarce))
        unfunded = self._ask("rewarded", Purpose.CLINTRCH, pay=self._scarce)
        await self._measure("refused: reward unfunded", unfunded)

    async def _emergencies(self) -> None:
        newcomer = self._lab.medsync_as("newcomer")
        await self._measure("the patient's first", self._break_glass("hospital"))
        await self._measure("", self._break_glass("hospital"))
        await self._measure("refused: not a hospital", self._break_glass("researcher"))
        await self._measure("first", newcomer.set_emergency_opt_out(True))
        await self._measure("refused: emergency opt-out", self._break_glass("hospital"))
        await self._measure("again", newcomer.set_emergency_opt_out(False))

    async def _batches(self) -> None:
        """Many patients, each once: paid by one campaign as in a study, by a campaign each, or unpaid."""
        researcher, crowd = self._lab.medsync_as("researcher"), self._lab.crowd
        study = []
        for patient in crowd:
            await self._consent_to(patient, self._terms(reward=self._main))
            study.append(replace(self._request(patient), campaign=self._main))
        await self._measure(f"{CROWD} paid by one campaign, each patient's first", _batch(researcher, study))
        await self._measure("10 paid by one campaign", _batch(researcher, study[:10]))
        await self._measure(f"{CROWD} paid by one campaign", _batch(researcher, study))

        apart, unpaid, deposits = [], [], []
        for number, patient in enumerate(crowd[:10]):
            custodian = crowd[-1 - number].address
            terms = replace(self._campaign(Purpose.TREAT), custodian=custodian, salt=number)
            deposits.append(self._lab.pool_as("researcher").deposit(terms, 10 * RATE).call)
            apart.append(replace(self._request(patient, Purpose.TREAT), campaign=terms))
            unpaid.append(self._request(patient, Purpose.CLINTRCH))
        await self._lab.do(researcher.account, *deposits)
        for patient, request in zip(crowd, apart, strict=False):
            await self._consent_to(patient, self._terms(Purpose.TREAT, reward=request.campaign))
            await self._consent_to(patient, self._terms(Purpose.CLINTRCH))
        await self._do(_batch(researcher, apart))
        for size in (1, 10):
            await self._measure(f"{size} paid by a campaign each", _batch(researcher, apart[:size]))
        for size in (1, 10):
            await self._measure(f"{size} unpaid", _batch(researcher, unpaid[:size]))
        strange = [replace(request, purpose=Purpose.PUBHLTH) for request in unpaid]
        await self._measure("10 refused: never given", _batch(researcher, strange))

    async def _withdrawals(self) -> None:
        patient, recipient = self._lab.pool_as("rewarded"), self._lab.address("relayer")
        await self._measure("to a recipient without tokens", patient.withdraw(100, recipient))
        await self._measure("to a recipient with tokens", patient.withdraw(100, recipient))

    async def _times_pass(self) -> None:
        funder = self._lab.pool_as("researcher")
        await self._measure("", funder.announce_close(self._closing))
        administrator = self._lab.medsync_as("administrator")
        await self._do(administrator.begin_admin_transfer(self._lab.address("successor")))
        self._lab.wait(CLOSE_NOTICE + ADMIN_DELAY)
        await self._measure("", self._lab.medsync_as("successor").accept_admin_transfer())
        await self._measure("the funder's first refund", funder.close_campaign(self._closing))
        closed = self._ask("rewarded", Purpose.BIORCH, pay=self._closing)
        await self._measure("refused: campaign closed", closed)
        self._lab.wait(DAY)
        expired = self._ask("rewarded", Purpose.TREAT, pay=self._brief)
        await self._measure("refused: campaign expired", expired)
        await self._measure("", funder.close_campaign(self._brief))
        self._lab.wait(30 * DAY)
        await self._measure("refused: expired", self._ask("rewarded", pay=self._main))

    async def _anchors(self) -> None:
        """A log of about 2^20 leaves, all equal, because only the length of a proof affects the cost."""
        client = self._lab.anchor_as("relayer")
        chain_id, head = client.chain_id, AnchorHead(0, EMPTY_ROOT, 0, THRESHOLD, len(NODE_KEYS), 0)
        signers = [StarkSigner(key, chain_id) for key in NODE_KEYS[:THRESHOLD]]

        def grown(size: int) -> Invocation[None]:
            nonlocal head
            statement = Statement(size, _equal_leaves(size), COMMITMENT, head.epoch)
            signatures = [
                sign_statement(signer, client.address, head, statement, node=index, chain_id=chain_id)
                for index, signer in enumerate(signers)
            ]
            path = _growth(head.size, size, whole=True) if head.size else []
            head = replace(head, size=size, root=statement.root)
            return client.anchor(statement, path, signatures)

        await self._measure("3 of 5 nodes, the log's first", grown(LEAVES - 3_000))
        await self._measure("3 of 5 nodes, 1 leaf", grown(LEAVES - 2_999))
        await self._measure("3 of 5 nodes, 1,000 leaves", grown(LEAVES - 1_999))
        await self._do(grown(LEAVES))
        siblings = [_equal_leaves(2**level) for level in range(LEAVES.bit_length() - 1)]
        asked = [COMMITMENT, LEAVES // 3, len(siblings), *siblings]
        view: Invocation[Any] = client.invoke("verify_inclusion", asked, bool)
        await self._measure("of 2^20 leaves, called in a transaction", view)

        nodes = [node_of(key + 100) for key in NODE_KEYS]
        signatures: list[NodeSignature] = [
            sign_rotation(signer, client.address, head, nodes, THRESHOLD, node=index, chain_id=chain_id)
            for index, signer in enumerate(signers)
        ]
        await self._measure("3 of 5 nodes, to 5 others", client.rotate(nodes, THRESHOLD, signatures))

    async def _do(self, invocation: Invocation[Any]) -> None:
        await self._lab.do(invocation.account, invocation.call)

    async def _consent_to(self, patient: Account, terms: ConsentTerms) -> None:
        await self._do(self._lab.medsync_as(patient).add_consent(self._lab.address("researcher"), terms))

    def _campaign(self, purpose: Purpose) -> CampaignTerms:
        return CampaignTerms(
            pool=self._lab.pool,
            funder=self._lab.address("researcher"),
            purpose=purpose,
            rate=RATE,
            custodian=self._lab.address("hospital"),
            custodian_bps=2_500,
            expires_at=self._lab.now + 90 * DAY,
            salt=COMMITMENT,
        )

    def _terms(
        self, purpose: Purpose = Purpose.HRESCH, *, reward: CampaignTerms | None = None
    ) -> ConsentTerms:
        return ConsentTerms(
            purpose=purpose,
            categories=COVERED,
            starts_at=self._lab.now,
            expires_at=self._lab.now + 20 * DAY,
            max_uses=0,
            reward=reward,
            terms_commitment=COMMITMENT,
        )

    def _request(self, patient: str | Account, purpose: Purpose = Purpose.HRESCH) -> AccessRequest:
        address = self._lab.address(patient) if isinstance(patient, str) else patient.address
        return AccessRequest(address, purpose, ASKED, RECORD)

    def _ask(
        self,
        patient: str,
        purpose: Purpose = Purpose.HRESCH,
        *,
        by: str = "researcher",
        pay: CampaignTerms | None = None,
    ) -> Invocation[Any]:
        request = replace(self._request(patient, purpose), campaign=pay)
        return self._lab.medsync_as(by).request_access(request)

    def _break_glass(self, by: str) -> Invocation[Any]:
        patient = self._lab.address("newcomer")
        return self._lab.medsync_as(by).request_emergency_access(patient, ASKED, RECORD, COMMITMENT)


def _batch(researcher: MedSyncClient, requests: Sequence[AccessRequest]) -> Invocation[Any]:
    return researcher.request_access_batch(requests)


@cache
def _equal_leaves(size: int) -> int:
    """The root of a log of `size` leaves that all equal `COMMITMENT` (RFC 9162, 2.1.1)."""
    if size == 1:
        return leaf_hash(COMMITMENT)
    left = 1 << (size - 1).bit_length() - 1
    return node_hash(_equal_leaves(left), _equal_leaves(size - left))


def _growth(first: int, second: int, *, whole: bool) -> list[int]:
    """The consistency proof of such a log with a shorter one (RFC 9162, 2.1.4.1)."""
    if first == second:
        return [] if whole else [_equal_leaves(second)]
    left = 1 << (second - 1).bit_length() - 1
    if first <= left:
        return [*_growth(first, left, whole=whole), _equal_leaves(second - left)]
    return [*_growth(first - left, second - left, whole=False), _equal_leaves(left)]
