"""A complete scenario on a devnet: consents, decisions, rewards, revocation, and histories that prove it all.

Every step states its expected outcome and is checked; the first unexpected outcome ends the demo with an
error. The patients are synthetic, and the accounts are devnet's predeployed ones.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from medsync.deployment import deployer
from medsync.deployment.devnet import Devnet
from medsync.deployment.record import Quorum, Record
from medsync.errors import ContractError, VerificationError
from medsync.log.exports import json as json_export
from medsync.log.fetch import fetch_heads, fetch_patient
from medsync.log.histories import PatientHistory
from medsync.log.replay import replay_patient
from medsync.protocol.commitments import Domain, Opening, new_salt
from medsync.protocol.events import LogEntry, event_name
from medsync.protocol.types import (
    AccessReceipt,
    AccessRequest,
    CampaignTerms,
    Claim,
    ConsentTerms,
    Subject,
    utc_text,
)
from medsync.protocol.vocabulary import Category, Decision, EmergencyChoice, Purpose, Reason, Role
from medsync.starknet.accounts import predeployed_accounts
from medsync.starknet.clients import Erc20Client, MedSyncClient, RewardPoolClient
from medsync.starknet.network import STRK_TOKEN, connect
from medsync.starknet.outside import sign_acts, submit_acts
from medsync.starknet.signing import sign_consent
from medsync.starknet.transactions import Account, Invocation, TransactionResult
from scripts.demo import institutions
from scripts.demo.institutions import PrivateSide

T = TypeVar("T")

#: One STRK in its smallest unit.
STRK: Final = 10**18
HOUR: Final = 3_600
DAY: Final = 24 * HOUR

#: Price of one access in the demo's campaigns, and the hospital's share of it in basis points.
RATE: Final = 2 * STRK
CUSTODIAN_BPS: Final = 2_500


@dataclass(frozen=True)
class Cost:
    """The cost of a step: execution gas, data gas, and the fee in the smallest unit of STRK."""

    step: str
    outcome: str
    l2_gas: int
    l1_data_gas: int
    fee: int


class Narrator:
    """Prints the steps, records their costs, and raises an error if a statement does not hold."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.costs: list[Cost] = []
        self.checks = 0
        self._chapter = 0

    def chapter(self, title: str) -> None:
        """Start a chapter."""
        self._chapter += 1
        self.console.print(f"\n[bold]{self._chapter}. {title}[/bold]")

    def note(self, text: str) -> None:
        """Print a remark that is not checked."""
        self.console.print(f"   {text}", style="dim", soft_wrap=True)

    def check(self, text: str, found: object, expected: object) -> None:
        """State a fact. Raises VerificationError if it does not hold."""
        if found != expected:
            raise VerificationError(f"{text}: expected {expected!r}, found {found!r}")
        self._holds(text)

    def _holds(self, text: str) -> None:
        self.checks += 1
        self.console.print(f" [green]✓[/green] {text}", soft_wrap=True)

    def sent(self, step: str, outcome: str, l2_gas: int, l1_data_gas: int, fee: int) -> None:
        """Record a successful transaction and its cost."""
        self.costs.append(Cost(step, outcome, l2_gas, l1_data_gas, fee))
        arrow = f" → [yellow]{outcome}[/yellow]" if outcome else ""
        self._holds(f"{step}{arrow} [dim]{l2_gas:,} L2 gas[/dim]")

    async def pay_for(self, step: str, sending: Awaitable[TransactionResult[T]]) -> T:
        """Send a transaction that must succeed, and record its cost."""
        with self.console.status(step):
            result = await sending
        self.sent(step, "", result.l2_gas, result.l1_data_gas, result.fee)
        return result.value

    async def decided(
        self,
        step: str,
        asking: Invocation[AccessReceipt],
        decision: Decision,
        reason: Reason,
    ) -> AccessReceipt:
        """Send a request for access that must have this decision and reason."""
        with self.console.status(step):
            result = await asking
        receipt = result.value
        if (receipt.decision, receipt.reason) != (decision, reason):
            raise VerificationError(
                f"{step}: expected {decision.name} / {reason.name},"
                f" found {receipt.decision.name} / {receipt.reason.name}"
            )
        outcome = f"{decision.name} / {reason.name}"
        self.sent(step, outcome, result.l2_gas, result.l1_data_gas, result.fee)
        return receipt

    async def refused(self, text: str, sending: Awaitable[object], code: str) -> None:
        """Send a transaction that a contract must reject with this error code."""
        try:
            await sending
        except ContractError as refusal:
            self.check(f"{text}: {refusal.code}", refusal.code, code)
        else:
            raise VerificationError(f"{text}: it was accepted")

    def must_fail(self, text: str, verification: Callable[[], object]) -> None:
        """State that a verification fails. Raises VerificationError if it succeeds."""
        try:
            verification()
        except VerificationError as refusal:
            self._holds(f"{text} → [yellow]caught[/yellow] [dim]{refusal.findings[0]}[/dim]")
        else:
            raise VerificationError(f"{text}: it was accepted")

    def must_hold(self, text: str, verification: Callable[[], object]) -> None:
        """State that a verification succeeds. Raises VerificationError if it does not."""
        verification()
        self._holds(text)

    def cost_table(self) -> Table:
        """The cost of every step."""
        table = Table(title="What each step cost", title_justify="left", box=SIMPLE)
        table.add_column("step")
        table.add_column("outcome")
        for name in ("L2 gas", "L1 data gas", "fee in STRK"):
            table.add_column(name, justify="right")
        for cost in self.costs:
            table.add_row(
                cost.step, cost.outcome, f"{cost.l2_gas:,}", f"{cost.l1_data_gas:,}", f"{cost.fee / STRK:.6f}"
            )
        return table


@dataclass(frozen=True)
class Cast:
    """The participants. Each is a devnet account named by its role."""

    administrator: Account
    hospital: Account
    researcher: Account
    second_researcher: Account
    relayer: Account
    patients: list[Account]


@dataclass(frozen=True)
class Stage:
    """The devnet and the contracts, as clients for each participant."""

    devnet: Devnet
    record: Record
    cast: Cast

    def medsync(self, actor: Account) -> MedSyncClient:
        """The MedSync contract, called by `actor`."""
        return MedSyncClient(self.record.medsync, actor)

    def pool(self, actor: Account) -> RewardPoolClient:
        """The reward pool, called by `actor`."""
        return RewardPoolClient(self.record.reward_pool, actor)

    @property
    def strk(self) -> Erc20Client:
        """The token that rewards are paid in."""
        return Erc20Client(STRK_TOKEN, self.cast.administrator.client)


async def play(console: Console) -> Narrator:
    """Run the demo on a new devnet, or on the one at MEDSYNC_DEVNET_URL, whose state is then restored.

    Returns the narrator with the recorded costs. Raises MedSyncError at the first unexpected outcome.
    """
    narrator = Narrator(console)
    console.print("[bold]MedSync[/bold]: patients decide, every request is logged, and uses can be paid for.")
    console.print(
        "A local devnet executes these steps as Starknet would, but proves nothing: STARK validity is a"
        " property of Starknet itself. The patients are synthetic.",
        style="dim",
        soft_wrap=True,
    )
    with console.status("starting a devnet"):
        devnet = Devnet.open()
    with devnet, devnet.restored(), tempfile.TemporaryDirectory(prefix="medsync-demo-") as folder:
        async with connect("devnet", devnet.rpc_url) as connection:
            accounts = await predeployed_accounts(connection)
            administrator, hospital, researcher, second_researcher, relayer, *patients = accounts[:9]
            cast = Cast(administrator, hospital, researcher, second_researcher, relayer, patients)
            place = Path(folder) / "devnet.json"
            narrator.chapter("The contracts are deployed")
            record = await _deploy(narrator, cast, place)
            stage = Stage(devnet, record, cast)
            await _register(narrator, stage)
            narrator.chapter("Health records stay private: encrypted before they reach a node")
            async with institutions.open_private_side(
                Path(folder), connection.chain_id, record.medsync
            ) as private:
                await institutions.upload(narrator, stage, private)
                narrator.chapter("What the nodes did is anchored")
                record = await _deploy(narrator, cast, place, record, private.quorum)
                stage = Stage(devnet, record, cast)
                await institutions.anchor(narrator, stage, private)
                await _run_chapters(narrator, stage, private)
    console.print()
    console.print(narrator.cost_table())
    console.print(f"[green]All {narrator.checks} statements hold.[/green]")
    return narrator


async def _deploy(
    narrator: Narrator,
    cast: Cast,
    place: Path,
    known: Record | None = None,
    quorum: Quorum | None = None,
) -> Record:
    """Deploy MedSync and its pool, or add a PrivateAnchor to a known deployment."""
    account = cast.administrator
    with narrator.console.status("deploying"):
        record = await deployer.deploy(
            account,
            "devnet",
            place,
            admin=account.address,
            tokens=[STRK_TOKEN],
            salt=new_salt() if known is None else known.request.salt,
            anchor=quorum,
        )
    sent = {
        **{f"declare {name}": declared.declared for name, declared in record.classes.items()},
        **{f"deploy {name}": deployed.deployed for name, deployed in record.contracts.items()},
        **{f"create a pool for {pool.symbol}": pool.created for pool in record.pools},
    }
    if known is not None:
        before = {
            *(f"declare {name}" for name in known.classes),
            *(f"deploy {name}" for name in known.contracts),
            *(f"create a pool for {pool.symbol}" for pool in known.pools),
        }
        sent = {step: transaction for step, transaction in sent.items() if step not in before}
    for step, transaction in sent.items():
        if transaction is None:
            narrator.note(f"{step}: already done")
            continue
        receipt = await account.client.get_transaction_receipt(transaction.transaction)
        resources = receipt.execution_resources
        narrator.sent(step, "", resources.l2_gas, resources.l1_data_gas, receipt.actual_fee.amount)
    if record.private_anchor is None:
        narrator.note(f"MedSync at {record.medsync:#x}")
        narrator.note(f"RewardPool at {record.reward_pool:#x}, for the devnet's real STRK token")
    else:
        narrator.note(f"PrivateAnchor at {record.private_anchor:#x}; nobody administers it")
    narrator.check("the deployment, read back from the chain, is as recorded", record.complete, True)
    return record


async def _register(narrator: Narrator, stage: Stage) -> None:
    narrator.chapter("A hospital and two researchers are registered")
    cast = stage.cast
    medsync = stage.medsync(cast.administrator)
    for name, role, account in (
        ("the hospital", Role.HOSPITAL, cast.hospital),
        ("the researcher", Role.RESEARCHER, cast.researcher),
        ("the second researcher", Role.RESEARCHER, cast.second_researcher),
    ):
        profile = Opening.of_json(Domain.PROFILE, {"name": f"Synthetic {name.removeprefix('the ')}"})
        await narrator.pay_for(
            f"register {name}", medsync.register_entity(account.address, role, profile.commitment).send()
        )
    forbidden = stage.medsync(cast.researcher).register_entity(
        cast.relayer.address, Role.HOSPITAL, new_salt()
    )
    await narrator.refused("nobody else can register anybody", forbidden.send(), "ENTITY/NOT_ADMIN")


async def _run_chapters(narrator: Narrator, stage: Stage, private: PrivateSide) -> None:
    plan = Plan(stage, private)
    await _fund(narrator, plan)
    await _decide(narrator, plan)
    narrator.chapter("Every request is decided and logged")
    await narrator.decided(
        "the researcher asks for the first patient's observation",
        plan.researcher.request_access(plan.ask(plan.first)),
        Decision.PERMIT,
        Reason.GRANTED,
    )
    before_withdrawal = stage.devnet.latest_time()
    first_observation = next(iter(private.records.values()))[Category.OBSERVATION]
    await institutions.deliver(narrator, stage, private, first_observation)
    await _ask_further(narrator, plan)
    await _panic(narrator, plan)
    await _withdraw_consent(narrator, plan)
    await _suspend(narrator, plan)
    await _break_the_glass(narrator, plan)
    await _pay_out(narrator, plan)
    await _prove(narrator, plan, before_withdrawal)
    await institutions.erase(narrator, stage, private, first_observation)


class Plan:
    """What the chapters share: who takes part, the study, what it pays, and what is asked."""

    def __init__(self, stage: Stage, private: PrivateSide) -> None:
        self.stage = stage
        self.private = private
        self.cast = stage.cast
        self.first, self.second, self.third, self.fourth = self.cast.patients
        self.researcher = stage.medsync(self.cast.researcher)
        self.second_researcher = stage.medsync(self.cast.second_researcher)
        self.hospital = stage.medsync(self.cast.hospital)
        self.relayer = stage.medsync(self.cast.relayer)
        self.now = stage.devnet.latest_time()
        self.study = Opening.of_json(
            Domain.STUDY, {"protocol": "synthetic cohort", "approval": "none needed", "contact": "none"}
        )
        self.campaign = CampaignTerms(
            pool=stage.record.reward_pool,
            funder=self.cast.researcher.address,
            purpose=Purpose.HRESCH,
            study=self.study.commitment,
            rate=RATE,
            custodian=self.cast.hospital.address,
            custodian_bps=CUSTODIAN_BPS,
            expires_at=self.now + 365 * DAY,
            spender=0,
            salt=new_salt(),
        )

    def terms(
        self,
        *,
        purpose: Purpose = Purpose.HRESCH,
        study: int | None = None,
        paid: bool = True,
        max_uses: int = 0,
        seconds: int = 30 * DAY,
    ) -> ConsentTerms:
        """What a patient agrees to: laboratory results and observations, for the study and its pay."""
        agreed = Opening.of_json(Domain.TERMS, {"may contact": False})
        return ConsentTerms(
            purpose=purpose,
            study=self.study.commitment if study is None else study,
            categories=Category.LABORATORY | Category.OBSERVATION,
            starts_at=self.now,
            expires_at=self.now + seconds,
            max_uses=max_uses,
            scoped=False,
            reward=self.campaign if paid else None,
            terms_commitment=agreed.commitment,
        )

    def record(self, patient: Account) -> int:
        """The commitment to a patient's observation."""
        records = list(self.private.records.values())[self.cast.patients.index(patient)]
        return records[Category.OBSERVATION].record.commitment

    def ask(
        self,
        patient: Account,
        *,
        purpose: Purpose = Purpose.HRESCH,
        study: int | None = None,
        categories: Category = Category.OBSERVATION,
        paid: bool = True,
    ) -> AccessRequest:
        """A request for a patient's observation, for the study and at its cost by default."""
        return AccessRequest(
            patient.address,
            purpose,
            self.study.commitment if study is None else study,
            categories,
            self.record(patient),
            self.campaign.id if paid else 0,
        )


async def _fund(narrator: Narrator, plan: Plan) -> None:
    narrator.chapter("A study is named by a salted hash, and its accesses are paid for in advance")
    pool, campaign = plan.stage.pool(plan.cast.researcher), plan.campaign
    narrator.note(
        f"each permitted access pays {RATE / STRK:g} STRK: three quarters to the patient, one to the hospital"
    )
    narrator.check("the pool is one that MedSync deployed", await plan.researcher.is_pool(pool.address), True)
    await narrator.pay_for("pay for 6 accesses, 12 STRK", pool.fund(campaign, 6 * RATE))
    await narrator.refused(
        "half an access cannot be paid for", pool.fund(campaign, RATE // 2), "POOL/NOT_A_MULTIPLE"
    )
    await narrator.pay_for(
        "move one of them to the second researcher",
        pool.increase_allowance(campaign, plan.cast.second_researcher.address, 1).send(),
    )
    await _check_budgets(narrator, plan, researcher=5, second_researcher=1)


async def _check_budgets(narrator: Narrator, plan: Plan, *, researcher: int, second_researcher: int) -> None:
    left = [
        (await plan.researcher.budget(plan.campaign.id, account.address)).left
        for account in (plan.cast.researcher, plan.cast.second_researcher)
    ]
    text = f"left are {researcher} for the researcher and {second_researcher} for the second researcher"
    narrator.check(text, left, [researcher, second_researcher])


async def _decide(narrator: Narrator, plan: Plan) -> None:
    narrator.chapter("Patients decide")
    stage, researcher = plan.stage, plan.cast.researcher.address
    first, second, fourth = stage.medsync(plan.first), stage.medsync(plan.second), stage.medsync(plan.fourth)
    await narrator.pay_for(
        "the researcher asks the first patient, open for a week",
        plan.researcher.request_consent(plan.first.address, plan.terms(), plan.now + 7 * DAY).send(),
    )
    narrator.must_hold(
        "the first patient checks what the study's hash stands for",
        partial(plan.study.verify, plan.campaign.study),
    )
    await narrator.pay_for(
        "the first patient consents, for the study and its pay",
        first.add_consent(researcher, plan.terms()).send(),
    )
    await narrator.pay_for(
        "the first patient consents to the second researcher too",
        first.add_consent(plan.cast.second_researcher.address, plan.terms()).send(),
    )
    signed = await second.sign_consent(researcher, plan.terms(max_uses=1), deadline=plan.now + DAY)
    narrator.note("the second patient signs a consent for one use (SNIP-12) and pays nothing")
    await narrator.pay_for("a relayer submits the signed consent", plan.relayer.submit(signed).send())
    await narrator.refused(
        "it cannot be submitted twice", plan.relayer.submit(signed).send(), "CONSENT/BAD_NONCE"
    )
    await narrator.pay_for(
        "the third patient consents for one hour",
        stage.medsync(plan.third).add_consent(researcher, plan.terms(seconds=HOUR)).send(),
    )
    await narrator.pay_for(
        "the fourth patient refuses the researcher for this study",
        fourth.refuse_consent(researcher, Purpose.HRESCH, plan.study.commitment).send(),
    )
    await narrator.pay_for("… and everyone for research", fourth.refuse_purpose(Purpose.HRESCH).send())
    await narrator.pay_for(
        "the fourth patient lets nobody break the glass",
        fourth.set_emergency_choice(EmergencyChoice.NOBODY).send(),
    )


async def _ask_further(narrator: Narrator, plan: Plan) -> None:
    narrator.chapter("Every further request is decided and logged")
    first, second, third, fourth = plan.cast.patients
    permit, deny = Decision.PERMIT, Decision.DENY
    for text, request, decision, reason in (
        (
            "the same for treatment",
            plan.ask(first, purpose=Purpose.TREAT),
            Decision.NO_CONSENT,
            Reason.NEVER_GIVEN,
        ),
        (
            "the same without naming the study: nothing falls back",
            plan.ask(first, study=0),
            Decision.NO_CONSENT,
            Reason.NEVER_GIVEN,
        ),
        (
            "the same for genomics",
            plan.ask(first, categories=Category.GENOMICS),
            deny,
            Reason.CATEGORY_NOT_COVERED,
        ),
        ("the same without pay", plan.ask(first, paid=False), deny, Reason.CAMPAIGN_MISMATCH),
        ("the fourth patient refuses research", plan.ask(fourth), deny, Reason.PURPOSE_REFUSED),
    ):
        await narrator.decided(text, plan.researcher.request_access(request), decision, reason)
    await narrator.pay_for(
        "the fourth patient allows research again",
        plan.stage.medsync(fourth).allow_purpose(Purpose.HRESCH).send(),
    )
    for text, reason in (
        ("the second researcher asks for the first patient's, on its budget", Reason.GRANTED),
        ("once more, the budget is used up", Reason.REWARD_UNFUNDED),
    ):
        await narrator.decided(
            text,
            plan.second_researcher.request_access(plan.ask(first)),
            permit if reason is Reason.GRANTED else deny,
            reason,
        )
    cohort = [second, third, fourth]
    verdicts = await plan.researcher.verify_consents(
        [patient.address for patient in cohort],
        plan.cast.researcher.address,
        Purpose.HRESCH,
        plan.study.commitment,
        Category.OBSERVATION,
        plan.campaign.id,
    )
    subjects = [Subject(patient.address, plan.record(patient)) for patient in cohort]
    receipts = await narrator.pay_for(
        "a batch of three patients, each with its own outcome",
        plan.researcher.request_access_batch(
            Purpose.HRESCH, plan.study.commitment, Category.OBSERVATION, subjects, plan.campaign.id
        ).send(),
    )
    narrator.check(
        "… the second and the third patient's PERMIT, the fourth patient's DENY / REFUSED",
        [(receipt.decision, receipt.reason) for receipt in receipts],
        [(permit, Reason.GRANTED), (permit, Reason.GRANTED), (deny, Reason.REFUSED)],
    )
    narrator.check(
        "… as a view had foretold",
        [verdict.reason for verdict in verdicts],
        [receipt.reason for receipt in receipts],
    )
    await narrator.decided(
        "once more the second patient's, the one use is consumed",
        plan.researcher.request_access(plan.ask(second)),
        deny,
        Reason.USES_EXHAUSTED,
    )
    plan.stage.devnet.increase_time(HOUR)
    narrator.note("an hour passes")
    await narrator.decided(
        "the third patient's consent has expired",
        plan.researcher.request_access(plan.ask(third)),
        deny,
        Reason.EXPIRED,
    )
    await _check_budgets(narrator, plan, researcher=2, second_researcher=0)


async def _panic(narrator: Narrator, plan: Plan) -> None:
    narrator.chapter("A panic button voids a whole series of signed consents")
    patient, researcher = plan.stage.medsync(plan.second), plan.cast.researcher.address
    deadline = plan.stage.devnet.latest_time() + DAY
    state = await patient.patient_state(plan.second.address)
    series = [
        sign_consent(
            plan.second.stark_signer,
            plan.second.address,
            contract=patient.address,
            grantee=researcher,
            terms=plan.terms(purpose=purpose, study=0, paid=False),
            version=1,
            generation=state.generation,
            counter=state.counter + place,
            deadline=deadline,
        )
        for place, purpose in enumerate((Purpose.CLINTRCH, Purpose.BIORCH, Purpose.DSRCH))
    ]
    narrator.note("the second patient signs three further consents in a row; the relayer has them all")
    await narrator.pay_for("the relayer submits the first", plan.relayer.submit(series[0]).send())
    acts = await sign_acts(patient, patient.revoke_all(dismiss_delegates=True))
    narrator.note("the second patient signs the panic button too (SNIP-9), and pays nothing for it")
    await narrator.pay_for("the relayer submits the panic button", submit_acts(plan.relayer, acts))
    for number, late in (("second", series[1]), ("third", series[2])):
        await narrator.refused(
            f"the {number} of the signed consents is void",
            plan.relayer.submit(late).send(),
            "CONSENT/BAD_NONCE",
        )
    await narrator.decided(
        "the researcher asks for what the first of them gave",
        plan.researcher.request_access(plan.ask(plan.second, purpose=Purpose.CLINTRCH, study=0, paid=False)),
        Decision.DENY,
        Reason.ALL_REVOKED,
    )


async def _withdraw_consent(narrator: Narrator, plan: Plan) -> None:
    narrator.chapter("A withdrawal cannot be held up, and what was deleted is stated")
    patient, study = plan.stage.medsync(plan.first), plan.study.commitment
    target = plan.cast.researcher.address, Purpose.HRESCH, study
    deadline = plan.stage.devnet.latest_time() + DAY
    withdrawal = await patient.sign_revocation(*target, deadline=deadline)
    await narrator.pay_for(
        "the first patient signs a withdrawal, then cancels all signatures",
        patient.cancel_signatures().send(),
    )
    await narrator.pay_for(
        "the relayer submits the withdrawal all the same", plan.relayer.submit(withdrawal).send()
    )
    await narrator.refused(
        "it does not work twice", plan.relayer.submit(withdrawal).send(), "CONSENT/BAD_GENERATION"
    )
    await narrator.decided(
        "the researcher asks again",
        plan.researcher.request_access(plan.ask(plan.first)),
        Decision.DENY,
        Reason.WITHDRAWN,
    )
    await institutions.after_revocation(narrator, plan.private, plan.first)
    statement = Opening.of(Domain.DELETION, b"all copies deleted, none passed on (synthetic)")
    await narrator.pay_for(
        "the researcher states what it deleted",
        plan.researcher.state_deletion(
            plan.first.address, Purpose.HRESCH, study, statement.commitment
        ).send(),
    )
    narrator.note("a statement, not a proof; the patient gets the opening")


async def _suspend(narrator: Narrator, plan: Plan) -> None:
    narrator.chapter("A suspended entity is not heard")
    administrator, suspended = plan.stage.medsync(plan.cast.administrator), plan.cast.researcher.address
    await narrator.pay_for("suspend the researcher", administrator.suspend_entity(suspended).send())
    before = await plan.researcher.log_head(plan.first.address)
    await narrator.refused(
        "the suspended researcher asks",
        plan.researcher.request_access(plan.ask(plan.first)).send(),
        "ENTITY/SUSPENDED",
    )
    narrator.check(
        "… and the patient's log does not grow by it",
        await plan.researcher.log_head(plan.first.address),
        before,
    )
    await narrator.pay_for("reinstate it", administrator.reinstate_entity(suspended).send())


async def _break_the_glass(narrator: Narrator, plan: Plan) -> None:
    narrator.chapter("An emergency is justified, contested, or overdue")
    hospital, first, devnet = plan.hospital, plan.first.address, plan.stage.devnet

    def break_glass(patient: Account, by: MedSyncClient = hospital) -> Invocation[AccessReceipt]:
        return by.request_emergency_access(patient.address, Category.PATIENT_SUMMARY, 0)

    deny, emergency = Decision.DENY, Decision.EMERGENCY
    await narrator.decided(
        "the hospital was registered today", break_glass(plan.first), deny, Reason.HOSPITAL_TOO_NEW
    )
    devnet.increase_time(2 * DAY)
    narrator.note("two days pass, in which anybody could see the new hospital")
    receipt = await narrator.decided(
        "the hospital breaks the glass for the first patient",
        break_glass(plan.first),
        emergency,
        Reason.BREAK_GLASS,
    )
    await narrator.decided(
        "… and for the fourth, who lets nobody", break_glass(plan.fourth), deny, Reason.EMERGENCY_REFUSED
    )
    await narrator.decided(
        "a researcher tries it", break_glass(plan.first, plan.researcher), deny, Reason.NOT_HOSPITAL
    )
    justification = Opening.of(Domain.JUSTIFICATION, b"unconscious on arrival (synthetic)")
    await narrator.pay_for(
        "the hospital justifies it, by the hash of a statement for the patient",
        hospital.justify_emergency(first, receipt.seq, justification.commitment).send(),
    )
    await narrator.pay_for(
        "the first patient contests it all the same",
        plan.stage.medsync(plan.first).contest_emergency(hospital.account.address, receipt.seq).send(),
    )
    found = await hospital.emergency(first, receipt.seq, hospital.account.address)
    narrator.check("both stand in the log", (found.justified, found.contested), (True, True))
    second = await narrator.decided(
        "the hospital breaks the glass once more", break_glass(plan.first), emergency, Reason.BREAK_GLASS
    )
    devnet.increase_time(3 * DAY + 1)
    narrator.note("more than 72 hours pass")
    await narrator.refused(
        "it can no longer be justified",
        hospital.justify_emergency(first, second.seq, justification.commitment).send(),
        "ACCESS/JUSTIFIED_TOO_LATE",
    )


async def _pay_out(narrator: Narrator, plan: Plan) -> None:
    narrator.chapter("What was reserved is settled and withdrawn, the campaign is closed")
    cast, campaign, stage = plan.cast, plan.campaign, plan.stage
    funder = stage.pool(cast.researcher)
    share, custodian_share = RATE * 3 // 4, RATE // 4
    by_researcher = Claim(cast.researcher.address, campaign)
    by_both = [by_researcher, Claim(cast.second_researcher.address, campaign)]
    for name, account, claims, credit in (
        ("the first patient", plan.first, by_both, 2 * share),
        ("the second patient", plan.second, [by_researcher], share),
        ("the third patient", plan.third, [by_researcher], share),
    ):
        owed = await funder.unsettled(account.address, claims)
        narrator.check(f"the campaign owes {name} {credit / STRK:g} STRK", owed, credit)
        await _withdraw(narrator, stage, name, account, credit, claims)
    for text, accessor in (
        ("anybody settles the hospital's share of the researcher's accesses", cast.researcher),
        ("… and of the second researcher's", cast.second_researcher),
    ):
        relayed = stage.pool(cast.relayer).settle_custodian(campaign, accessor.address)
        await narrator.pay_for(text, relayed.send())
    credit = 4 * custodian_share
    narrator.check(
        f"the hospital has a credit of {credit / STRK:g} STRK",
        await funder.claimable(cast.hospital.address),
        credit,
    )
    await _withdraw(narrator, stage, "the hospital", cast.hospital, credit)
    await narrator.pay_for("the researcher gives notice of closing", funder.announce_close(campaign).send())
    stage.devnet.increase_time(7 * DAY)
    narrator.note("seven days pass")
    await narrator.pay_for("the researcher closes the campaign", funder.close_campaign(campaign).send())
    await _withdraw(narrator, stage, "the researcher", cast.researcher, 2 * RATE)
    narrator.check("the pool owes nothing", await funder.liabilities(), 0)
    narrator.check("the pool holds nothing", await stage.strk.balance_of(funder.address), 0)


async def _withdraw(
    narrator: Narrator,
    stage: Stage,
    name: str,
    account: Account,
    credit: int,
    claims: Sequence[Claim] = (),
) -> None:
    pool = stage.pool(account)
    before = await stage.strk.balance_of(account.address)
    await narrator.pay_for(f"{name} withdraws it", pool.withdraw(credit, account.address, claims).send())
    gained = await stage.strk.balance_of(account.address) - before + narrator.costs[-1].fee
    narrator.check(f"{name} received the exact amount, apart from the fee", gained, credit)
    narrator.check("… and nothing is left of it", await pool.claimable(account.address), 0)


async def _prove(narrator: Narrator, plan: Plan, before_withdrawal: int) -> None:
    stage, patient = plan.stage, plan.first
    client, contract, first_block = patient.client, stage.record.medsync, stage.record.first_block
    narrator.chapter("The first patient exports three histories and verifies them")
    history = await fetch_patient(client, contract, patient.address, from_block=first_block)
    narrator.note(
        f"fetched from the node's events, and proven complete as of block {history.block.number} against "
        "the counts and heads on the chain"
    )
    for entry in (*history.consents.entries, *history.accesses.entries):
        outcome = f" → {entry.decision.name} / {entry.reason.name}" if isinstance(entry, LogEntry) else ""
        narrator.note(f"{entry.seq}. {utc_text(entry.at)} {event_name(entry)}{outcome}")
    heads = await fetch_heads(client, contract, patient.address, to_block=history.block.number)
    document = json_export.dumps(history)
    verified = json_export.verify_export(document, heads)
    counts = [part.head.count for part in history.histories]
    narrator.check(
        f"the export is complete: {counts[0]} entries of the registry, {counts[1]} decisions, {counts[2]} "
        "entries of the log, included and append-only up to the heads",
        (verified.anchored, [len(part.entries) for part in verified.history.histories]),
        (True, counts),
    )
    for how, tampered in _tamperings(history):
        narrator.must_fail(how, partial(json_export.verify_export, json_export.dumps(tampered), heads))

    state = replay_patient(history)
    narrator.check(
        "replaying the histories gives the same heads",
        [state.registry_head(), state.history_head(patient.address), state.log_head(patient.address)],
        [part.head for part in history.histories],
    )
    question = (
        patient.address,
        plan.cast.researcher.address,
        Purpose.HRESCH,
        plan.study.commitment,
        Category.OBSERVATION,
        plan.campaign.id,
    )
    then, now = state.verify_consent(*question, before_withdrawal), state.verify_consent(*question)
    narrator.check(
        f"before the withdrawal the answer was {then.decision.name}, now it is {now.decision.name}",
        (then.decision, now.decision),
        (Decision.PERMIT, Decision.DENY),
    )
    narrator.check(
        "one emergency is justified and contested, one is overdue",
        [
            (found.justified is not None, found.contested is not None, found.overdue(history.block.timestamp))
            for found in state.emergencies(patient.address)
        ],
        [(True, True, False), (False, False, True)],
    )


def _tamperings(patient: PatientHistory) -> Iterator[tuple[str, PatientHistory]]:
    """Each of the four ways to tamper with each of the three histories."""
    for member, name in (
        ("registry", "the registry"),
        ("consents", "the consents"),
        ("accesses", "the log"),
    ):
        history = getattr(patient, member)
        entries = history.entries
        for how, changed in (
            ("removed from", entries[:1] + entries[2:]),
            ("altered in", (entries[0], replace(entries[1], at=entries[1].at + 1), *entries[2:])),
            ("exchanged in", (entries[1], entries[0], *entries[2:])),
            ("invented in", (*entries, replace(entries[-1], seq=entries[-1].seq + 1))),
        ):
            tampered = replace(history, entries=changed)
            yield f"an entry {how} {name}", replace(patient, **{member: tampered})


def run(arguments: Sequence[str]) -> None:
    """Run the demo on the terminal, or print only costs and outcomes with `--json`. Raises as `play` does."""
    parser = argparse.ArgumentParser(prog="python -m scripts demo", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print only the outcome and cost of each step")
    as_json = parser.parse_args(arguments).json
    # Without a terminal there is no width to fit the table into.
    console = Console(quiet=as_json, highlight=False, width=None if sys.stdout.isatty() else 130)
    narrator = asyncio.run(play(console))
    if as_json:
        steps = [asdict(cost) for cost in narrator.costs]
        print(json.dumps({"statements": narrator.checks, "steps": steps}, indent=2))
