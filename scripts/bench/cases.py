"""All measured operations and cases, in a sequence in which each case uses the state left by earlier ones."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import cache
from typing import Any, Final

from medsync.protocol.merkle import EMPTY_ROOT, leaf_hash, node_hash
from medsync.protocol.messages import draw_message
from medsync.protocol.types import (
    AccessRequest,
    AnchorHead,
    CampaignTerms,
    Claim,
    ConsentTerms,
    NodeSignature,
    Payee,
    Statement,
    Subject,
)
from medsync.protocol.vocabulary import Category, EmergencyChoice, PayeeKind, Power, Purpose, Role
from medsync.starknet.anchor import sign_rotation, sign_statement
from medsync.starknet.clients import Erc20Client
from medsync.starknet.network import STRK_TOKEN
from medsync.starknet.signer import StarkSigner, public_key_of
from medsync.starknet.transactions import Account, Invocation
from scripts.bench.lab import CROWD, NODE_KEYS, THRESHOLD, TOKEN, Lab, node_of

#: Measures an invocation under the name of its case.
Measure = Callable[[str, Invocation[Any]], Awaitable[None]]

DAY: Final = 86_400
ADMIN_DELAY: Final = 2 * DAY
EMERGENCY_DELAY: Final = 2 * DAY
CLOSE_NOTICE: Final = 7 * DAY

#: Price of a paid access in the token's smallest unit; the custodian receives a quarter.
RATE: Final = 1_000
#: The categories that accessors request and consents cover.
ASKED: Final = Category.LABORATORY
COVERED: Final = Category.LABORATORY | Category.GENOMICS

# Salted commitments are arbitrary felts to the contracts.
COMMITMENT: Final = 0x5EED
RECORD: Final = 0xDA7A
STUDY: Final = 0x57D1

#: Private key of whom a campaign's own spender pays.
PAYEE_KEY: Final = 77

#: Size of the private log at which an inclusion is verified.
LEAVES: Final = 2**20


#: Cost of one more request in a batch: the name of the case, and the cases and sizes it is derived from.
MARGINS: Final = (
    (
        "each further, paid by one campaign",
        ("10 paid by one campaign", 10),
        (f"{CROWD} paid by one campaign", CROWD),
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
        self._foreign = replace(self._campaign(Purpose.HRESCH), spender=lab.address("relayer"))

    async def run(self) -> None:
        """Run all cases."""
        await self._transfer()
        await self._entities()
        await self._pools()
        await self._deposits()
        await self._consents()
        await self._delegates()
        await self._signatures()
        await self._accesses()
        await self._revocations()
        await self._payments()
        await self._choices()
        await self._batches()
        await self._settlements()
        await self._times_pass()
        await self._anchors()

    async def _transfer(self) -> None:
        """What everything is compared with: a transfer of STRK between the smallest accounts."""
        token = Erc20Client(STRK_TOKEN, self._lab.accounts["relayer"])
        await self._measure(
            "of STRK, to a recipient with tokens", token.transfer(self._lab.address("patient"), 1)
        )

    async def _entities(self) -> None:
        administrator, hospital = map(self._lab.medsync_as, ("administrator", "hospital"))
        researcher, partner = map(self._lab.address, ("researcher", "partner"))
        register = administrator.register_entity
        await self._measure("", register(self._lab.address("hospital"), Role.HOSPITAL, COMMITMENT))
        await self._do(register(researcher, Role.RESEARCHER, COMMITMENT))
        await self._do(register(partner, Role.RESEARCHER, COMMITMENT))
        await self._measure("", administrator.suspend_entity(partner))
        await self._measure("", administrator.reinstate_entity(partner))
        await self._measure("", self._lab.medsync_as("partner").suspend_self())
        await self._do(administrator.reinstate_entity(partner))
        await self._do(self._break_glass("hospital"))
        await self._measure("refused: hospital too new", self._break_glass("hospital"))
        self._lab.wait(EMERGENCY_DELAY)
        await self._measure("", hospital.change_profile(COMMITMENT + 1))
        successor, other = map(self._lab.address, ("successor", "relayer"))
        await self._measure("first", administrator.begin_admin_transfer(other))
        await self._measure("again", administrator.begin_admin_transfer(successor))
        await self._measure("", administrator.cancel_admin_transfer())
        await self._measure("first", administrator.announce_successor(other))
        await self._measure("again", administrator.announce_successor(successor))

    async def _pools(self) -> None:
        await self._measure("", self._lab.medsync_as("researcher").create_pool(TOKEN, salt=1))

    async def _deposits(self) -> None:
        funder = self._lab.pool_as("researcher")
        await self._measure("the pool's first", funder.deposit(self._main, 1_000 * RATE))
        await self._lab.endow_yardstick()
        await self._measure("a campaign's first", funder.deposit(self._brief, 10 * RATE))
        await self._measure("again", funder.deposit(self._main, 1_000 * RATE))
        await self._do(funder.deposit(self._scarce, 2 * RATE))
        await self._do(funder.deposit(self._closing, 10 * RATE))
        await self._measure("of another spender, first", funder.deposit(self._foreign, 10 * RATE))
        partner = self._lab.address("partner")
        await self._measure("first", funder.increase_allowance(self._main, partner, 10))
        await self._measure("again", funder.increase_allowance(self._main, partner, 10))
        await self._measure("", funder.decrease_allowance(self._main, partner, 10))
        await self._do(funder.increase_allowance(self._scarce, partner, 1))

    async def _consents(self) -> None:
        researcher = self._lab.medsync_as("researcher")
        patient, rewarded = self._lab.medsync_as("patient"), self._lab.medsync_as("rewarded")
        grantee, open_until = self._lab.address("researcher"), self._lab.now + DAY
        request = researcher.request_consent(self._lab.address("patient"), self._terms(), open_until)
        await self._measure("", request)
        terms = self._terms(reward=self._main)
        request = researcher.request_consent(self._lab.address("rewarded"), terms, open_until)
        await self._measure("with reward", request)
        await self._measure("the patient's first", patient.add_consent(grantee, self._terms()))
        await self._measure("renewal", patient.add_consent(grantee, self._terms()))
        other = self._terms(Purpose.CLINTRCH)
        await self._measure("of another study or purpose", patient.add_consent(grantee, other))
        consent = rewarded.add_consent(grantee, terms)
        await self._measure("the patient's first, with reward", consent)
        await self._measure("renewal, with reward", consent)
        for reward in (self._scarce, self._brief, self._closing):
            await self._do(rewarded.add_consent(grantee, self._terms(reward.purpose, reward=reward)))
        partner = self._lab.address("partner")
        for reward in (self._main, self._scarce):
            await self._do(rewarded.add_consent(partner, self._terms(reward.purpose, reward=reward)))
        await self._measure("first", patient.refuse_consent(partner, Purpose.HRESCH, STUDY))
        await self._measure("again", patient.refuse_consent(partner, Purpose.HRESCH, STUDY))

    async def _delegates(self) -> None:
        ward, delegate = self._lab.medsync_as("ward"), self._lab.medsync_as("delegate")
        of, by, grantee = map(self._lab.address, ("ward", "delegate", "researcher"))
        powers = Power.GIVE | Power.REVOKE | Power.REFUSE
        await self._measure("the patient's first", ward.set_delegate(by, powers, self._lab.now + DAY))
        await self._measure("again", ward.set_delegate(by, powers, self._lab.now + 9 * DAY))
        await self._measure("first", delegate.add_consent_for(of, grantee, self._terms()))
        await self._measure("renewal", delegate.add_consent_for(of, grantee, self._terms()))
        reward = self._terms(Purpose.CLINTRCH, reward=self._scarce)
        for case in ("first, with reward", "renewal, with reward"):
            await self._measure(case, delegate.add_consent_for(of, grantee, reward))
        refusal = delegate.refuse_consent_for(of, self._lab.address("partner"), Purpose.HRESCH, STUDY)
        await self._measure("first", refusal)
        await self._do(self._ask("ward"))
        await self._measure("", delegate.revoke_consent_for(of, grantee, Purpose.HRESCH, STUDY))
        await self._measure("refused: revoked", self._ask("ward"))
        await self._measure("first", delegate.revoke_all_for(of))
        await self._measure("again", delegate.revoke_all_for(of))
        await self._measure("", ward.dismiss_delegates())

    async def _signatures(self) -> None:
        signing, relayer = self._lab.medsync_as("signing"), self._lab.medsync_as("relayer")
        grantee, deadline = self._lab.address("researcher"), self._lab.now + DAY
        for case in ("the patient's first", "renewal"):
            signed = await signing.sign_consent(grantee, self._terms(), deadline=deadline)
            await self._measure(case, relayer.submit(signed))
        reward = self._terms(reward=self._main)
        signed = await signing.sign_consent(grantee, reward, deadline=deadline)
        await self._measure("renewal, with its first reward", relayer.submit(signed))
        revocation = await signing.sign_revocation(grantee, Purpose.HRESCH, STUDY, deadline=deadline)
        await self._measure("", relayer.submit(revocation))
        await self._measure("", signing.cancel_signatures())

    async def _accesses(self) -> None:
        patient, researcher = self._lab.medsync_as("patient"), self._lab.address("researcher")
        await self._measure("permit, the patient's first", self._ask("patient"))
        await self._measure("permit", self._ask("patient"))
        query = [self._lab.address("patient"), researcher, Purpose.HRESCH.felt, STUDY, int(ASKED), 0]
        view: Invocation[Any] = self._lab.medsync_as("relayer").invoke("verify_consent", query)
        await self._measure("permit, called in a transaction", view)
        await self._measure("refused: never given", self._ask("patient", by="hospital"))
        await self._measure("refused: refused", self._ask("patient", by="partner"))
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

    async def _revocations(self) -> None:
        patient, researcher = self._lab.medsync_as("patient"), self._lab.address("researcher")
        revocation = patient.revoke_consent(researcher, Purpose.HRESCH, STUDY)
        await self._measure("", revocation)
        await self._measure("already revoked", revocation)
        await self._measure("refused: withdrawn", self._ask("patient"))
        deletion = self._lab.medsync_as("researcher").state_deletion(
            self._lab.address("patient"), Purpose.HRESCH, STUDY, COMMITMENT
        )
        await self._measure("", deletion)
        neighbour = self._lab.medsync_as("neighbour")
        await self._do(neighbour.add_consent(researcher, self._terms()))
        await self._do(self._ask("neighbour"))
        await self._measure("first", neighbour.revoke_all())
        await self._measure("again", neighbour.revoke_all())
        await self._measure("refused: all revoked", self._ask("neighbour"))

    async def _payments(self) -> None:
        case = "permit, paid, the patient's first"
        await self._measure(case, self._ask("rewarded", pay=self._main))
        await self._measure("permit, paid", self._ask("rewarded", pay=self._main))
        await self._measure("refused: campaign mismatch", self._ask("rewarded"))
        scarce = self._ask("rewarded", Purpose.CLINTRCH, by="partner", pay=self._scarce)
        await self._do(scarce)
        await self._measure("refused: reward unfunded", scarce)
        partner = self._lab.address("partner")
        await self._measure("", self._lab.pool_as("researcher").revoke_allowance(self._main, partner))

    async def _choices(self) -> None:
        """Emergencies and purposes."""
        newcomer, hospital = self._lab.medsync_as("newcomer"), self._lab.medsync_as("hospital")
        patient, address = self._lab.address("newcomer"), self._lab.address("hospital")
        await self._measure("", self._break_glass("hospital"))
        await self._measure("refused: not a hospital", self._break_glass("researcher"))
        seq = (await newcomer.log_head(patient)).count - 1
        await self._measure("", hospital.justify_emergency(patient, seq, COMMITMENT))
        await self._measure("", newcomer.contest_emergency(address, seq))
        nobody = newcomer.set_emergency_choice(EmergencyChoice.NOBODY)
        await self._measure("the patient's first", nobody)
        await self._measure("refused: emergency refused", self._break_glass("hospital"))
        await self._measure("again", newcomer.set_emergency_choice(EmergencyChoice.NAMED_HOSPITALS))
        await self._measure("first", newcomer.allow_emergency(address))
        await self._measure("again", newcomer.forbid_emergency(address))
        await self._measure("", newcomer.refuse_purpose(Purpose.HRESCH))
        await self._measure("refused: purpose refused", self._ask("newcomer"))
        await self._measure("", newcomer.allow_purpose(Purpose.HRESCH))

    async def _batches(self) -> None:
        """Many patients, each once: paid by one campaign as in a study, or unpaid."""
        crowd = self._lab.crowd
        for patient in crowd:
            await self._consent_to(patient, self._terms(reward=self._main))
        paid = f"{CROWD} paid by one campaign"
        await self._measure(f"{paid}, each patient's first", self._batch(CROWD, pay=self._main))
        for size in (1, 10, CROWD):
            await self._measure(f"{size} paid by one campaign", self._batch(size, pay=self._main))
        for patient in crowd[:10]:
            await self._consent_to(patient, self._terms(Purpose.CLINTRCH))
        for size in (1, 10):
            await self._measure(f"{size} unpaid", self._batch(size, Purpose.CLINTRCH))
        await self._measure("10 refused: never given", self._batch(10, Purpose.PUBHLTH))
        choosy = crowd[0]
        await self._do(self._lab.medsync_as(choosy).refuse_purpose(Purpose.TREAT))
        request = AccessRequest(choosy.address, Purpose.HRESCH, STUDY, ASKED, RECORD, self._main.id)
        asked = self._lab.medsync_as("researcher").request_access(request)
        await self._measure("permit, paid, another purpose refused", asked)

    async def _settlements(self) -> None:
        pool, researcher = self._lab.pool_as("rewarded"), self._lab.address("researcher")
        rewarded, recipient = self._lab.address("rewarded"), self._lab.address("relayer")
        await self._measure("the patient's first", pool.settle(rewarded, researcher, self._main))
        await self._do(self._ask("rewarded", pay=self._main))
        await self._measure("again", pool.settle(rewarded, researcher, self._main))
        await self._measure("the custodian's first", pool.settle_custodian(self._main, researcher))
        await self._do(self._ask("rewarded", pay=self._main))
        await self._measure("again", pool.settle_custodian(self._main, researcher))
        await self._measure("to a recipient without tokens", pool.withdraw(100, recipient))
        await self._measure("to a recipient with tokens", pool.withdraw(100, recipient))
        claims = [Claim(researcher, self._main)]
        await self._measure("with one claim", pool.withdraw(100, recipient, claims))

        key = public_key_of(PAYEE_KEY)
        spender = self._lab.pool_as("relayer")
        await self._measure("first, to a key", spender.spend(self._foreign, Payee(PayeeKind.KEY, key)))
        await self._measure("again, to a key", spender.spend(self._foreign, Payee(PayeeKind.KEY, key)))
        chain_id = spender.account.chain_id
        signer = StarkSigner(PAYEE_KEY, chain_id)
        message = draw_message(chain_id, spender.address, key, 100, recipient, nonce=0)
        r, s = signer.sign_hash(message)
        await self._measure("", spender.withdraw_by_key(key, 100, recipient, (r, s)))

    async def _times_pass(self) -> None:
        funder = self._lab.pool_as("researcher")
        await self._measure("", funder.announce_close(self._closing))
        administrator = self._lab.medsync_as("administrator")
        await self._do(administrator.begin_admin_transfer(self._lab.address("successor")))
        self._lab.wait(CLOSE_NOTICE)
        await self._measure("", self._lab.medsync_as("successor").accept_admin_transfer())
        await self._measure("the funder's first refund", funder.close_campaign(self._closing))
        self._lab.wait(3 * DAY)
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
            study=STUDY,
            rate=RATE,
            custodian=self._lab.address("hospital"),
            custodian_bps=2_500,
            expires_at=self._lab.now + 90 * DAY,
            spender=0,
            salt=COMMITMENT,
        )

    def _terms(
        self, purpose: Purpose = Purpose.HRESCH, *, reward: CampaignTerms | None = None
    ) -> ConsentTerms:
        return ConsentTerms(
            purpose=purpose,
            study=STUDY,
            categories=COVERED,
            starts_at=self._lab.now,
            expires_at=self._lab.now + 20 * DAY,
            max_uses=0,
            scoped=False,
            reward=reward,
            terms_commitment=COMMITMENT,
        )

    def _request(self, patient: str, purpose: Purpose = Purpose.HRESCH) -> AccessRequest:
        return AccessRequest(self._lab.address(patient), purpose, STUDY, ASKED, RECORD)

    def _ask(
        self,
        patient: str,
        purpose: Purpose = Purpose.HRESCH,
        *,
        by: str = "researcher",
        pay: CampaignTerms | None = None,
    ) -> Invocation[Any]:
        request = replace(self._request(patient, purpose), campaign=pay.id if pay else 0)
        return self._lab.medsync_as(by).request_access(request)

    def _batch(
        self, size: int, purpose: Purpose = Purpose.HRESCH, *, pay: CampaignTerms | None = None
    ) -> Invocation[Any]:
        subjects = [Subject(patient.address, RECORD) for patient in self._lab.crowd[:size]]
        researcher = self._lab.medsync_as("researcher")
        return researcher.request_access_batch(purpose, STUDY, ASKED, subjects, pay.id if pay else 0)

    def _break_glass(self, by: str) -> Invocation[Any]:
        patient = self._lab.address("newcomer")
        return self._lab.medsync_as(by).request_emergency_access(patient, ASKED, RECORD)


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
