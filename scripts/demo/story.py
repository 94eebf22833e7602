"""A complete scenario on a devnet: consents, decisions, rewards, revocation, and a log that proves itself.

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
from medsync.log.exports import PatientExport
from medsync.log.exports import json as json_export
from medsync.log.fetch import fetch_events, fetch_log
from medsync.log.replay import replay
from medsync.protocol.commitments import Domain, Opening, new_salt
from medsync.protocol.events import LogEntry
from medsync.protocol.types import AccessReceipt, AccessRequest, CampaignTerms, ConsentTerms, utc_text
from medsync.protocol.vocabulary import Category, Decision, Purpose, Reason, Role
from medsync.starknet.accounts import predeployed_accounts
from medsync.starknet.clients import Erc20Client, MedSyncClient, RewardPoolClient
from medsync.starknet.network import STRK_TOKEN, connect
from medsync.starknet.transactions import Account, TransactionResult
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
        sending: Awaitable[TransactionResult[AccessReceipt]],
        decision: Decision,
        reason: Reason,
    ) -> AccessReceipt:
        """Send a request for access that must have this decision and reason."""
        with self.console.status(step):
            result = await sending
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
    }
    if known is not None:
        before = {
            *(f"declare {name}" for name in known.classes),
            *(f"deploy {name}" for name in known.contracts),
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
    cast = stage.cast
    first, second, third, fourth = cast.patients
    now = stage.devnet.latest_time()
    wanted = Category.LABORATORY | Category.OBSERVATION
    observations = [records[Category.OBSERVATION].record for records in private.records.values()]

    def campaign(funder: Account) -> CampaignTerms:
        return CampaignTerms(
            pool=stage.record.reward_pool,
            funder=funder.address,
            purpose=Purpose.HRESCH,
            rate=RATE,
            custodian=cast.hospital.address,
            custodian_bps=CUSTODIAN_BPS,
            expires_at=now + 365 * DAY,
            salt=new_salt(),
        )

    def terms(reward: CampaignTerms | None, *, max_uses: int = 0, days: float = 30) -> ConsentTerms:
        agreed = Opening.of_json(Domain.TERMS, {"study": "synthetic cohort", "may contact": False})
        return ConsentTerms(
            purpose=Purpose.HRESCH,
            categories=wanted,
            starts_at=now,
            expires_at=now + int(days * DAY),
            max_uses=max_uses,
            reward=reward,
            terms_commitment=agreed.commitment,
        )

    def ask(
        patient: Account,
        reward: CampaignTerms | None,
        *,
        purpose: Purpose = Purpose.HRESCH,
        categories: Category = Category.OBSERVATION,
    ) -> AccessRequest:
        record = observations[cast.patients.index(patient)]
        return AccessRequest(patient.address, purpose, categories, record.commitment, reward)

    study, pilot = campaign(cast.researcher), campaign(cast.second_researcher)
    researcher, second_researcher = stage.medsync(cast.researcher), stage.medsync(cast.second_researcher)

    narrator.chapter("Two campaigns are funded in STRK")
    narrator.note(
        f"each permitted access pays {RATE / STRK:g} STRK: three quarters to the patient, one to the hospital"
    )
    await narrator.pay_for("fund the study with 10 STRK", stage.pool(cast.researcher).fund(study, 10 * STRK))
    await narrator.pay_for(
        "fund the pilot with 2 STRK", stage.pool(cast.second_researcher).fund(pilot, 2 * STRK)
    )
    await narrator.pay_for(
        "allow the second researcher 2 STRK of the study",
        stage.pool(cast.researcher).set_allowance(study, cast.second_researcher.address, RATE).send(),
    )

    narrator.chapter("Patients decide")
    await narrator.pay_for(
        "the researcher asks the first patient",
        researcher.request_consent(first.address, terms(study)).send(),
    )
    await narrator.pay_for(
        "the first patient consents, for the study's pay",
        stage.medsync(first).add_consent(cast.researcher.address, terms(study)).send(),
    )
    await narrator.pay_for(
        "the first patient consents to the second researcher too",
        stage.medsync(first).add_consent(cast.second_researcher.address, terms(study)).send(),
    )
    signed = await stage.medsync(second).sign_consent(
        cast.researcher.address, terms(study, max_uses=1), deadline=now + DAY
    )
    narrator.note("the second patient signs a consent for one use (SNIP-12) and pays nothing")
    await narrator.pay_for(
        "a relayer submits the signed consent", stage.medsync(cast.relayer).submit(signed).send()
    )
    again = stage.medsync(cast.relayer).submit(signed).send()
    await narrator.refused("it cannot be submitted twice", again, "CONSENT/BAD_NONCE")
    await narrator.pay_for(
        "the third patient consents, for the pilot's pay",
        stage.medsync(third).add_consent(cast.second_researcher.address, terms(pilot)).send(),
    )
    await narrator.pay_for(
        "the fourth patient consents for one hour, unpaid",
        stage.medsync(fourth).add_consent(cast.researcher.address, terms(None, days=1 / 24)).send(),
    )
    await narrator.pay_for(
        "the fourth patient refuses the second researcher",
        stage.medsync(fourth).refuse_consent(cast.second_researcher.address, Purpose.HRESCH).send(),
    )
    await narrator.pay_for(
        "the fourth patient opts out of emergency access",
        stage.medsync(fourth).set_emergency_opt_out(True).send(),
    )

    narrator.chapter("Every request is decided and logged")
    permit, deny = Decision.PERMIT, Decision.DENY
    await narrator.decided(
        "the researcher asks for the first patient's observation",
        researcher.request_access(ask(first, study)).send(),
        permit,
        Reason.GRANTED,
    )
    before_revocation = stage.devnet.latest_time()
    first_observation = next(iter(private.records.values()))[Category.OBSERVATION]
    await institutions.deliver(narrator, stage, private, first_observation)
    narrator.chapter("Every further request is decided and logged")
    await narrator.decided(
        "the same for treatment",
        researcher.request_access(ask(first, study, purpose=Purpose.TREAT)).send(),
        Decision.NO_CONSENT,
        Reason.NEVER_GIVEN,
    )
    await narrator.decided(
        "the same for genomics",
        researcher.request_access(ask(first, study, categories=Category.GENOMICS)).send(),
        deny,
        Reason.CATEGORY_NOT_COVERED,
    )
    await narrator.decided(
        "the same without pay",
        researcher.request_access(ask(first, None)).send(),
        deny,
        Reason.CAMPAIGN_MISMATCH,
    )
    await narrator.decided(
        "the second researcher, on its allowance",
        second_researcher.request_access(ask(first, study)).send(),
        permit,
        Reason.GRANTED,
    )
    await narrator.decided(
        "once more, the allowance is used up",
        second_researcher.request_access(ask(first, study)).send(),
        deny,
        Reason.ALLOWANCE_EXCEEDED,
    )
    await narrator.decided(
        "the researcher asks for the second patient's observation",
        researcher.request_access(ask(second, study)).send(),
        permit,
        Reason.GRANTED,
    )
    await narrator.decided(
        "once more, the one use is consumed",
        researcher.request_access(ask(second, study)).send(),
        deny,
        Reason.USES_EXHAUSTED,
    )
    await narrator.decided(
        "the second researcher asks for the third patient's",
        second_researcher.request_access(ask(third, pilot)).send(),
        permit,
        Reason.GRANTED,
    )
    await narrator.decided(
        "once more, the pilot has no money left",
        second_researcher.request_access(ask(third, pilot)).send(),
        deny,
        Reason.REWARD_UNFUNDED,
    )
    receipts = await narrator.pay_for(
        "a batch of two, each with its own outcome",
        researcher.request_access_batch([ask(fourth, None), ask(third, None)]).send(),
    )
    narrator.check(
        "… the fourth patient's PERMIT, the third patient's NO_CONSENT",
        [receipt.decision for receipt in receipts],
        [permit, Decision.NO_CONSENT],
    )
    stage.devnet.increase_time(HOUR)
    narrator.note("an hour passes")
    await narrator.decided(
        "the fourth patient's consent has expired",
        researcher.request_access(ask(fourth, None)).send(),
        deny,
        Reason.EXPIRED,
    )

    narrator.chapter("Suspension, emergency, revocation")
    administrator, hospital = stage.medsync(cast.administrator), stage.medsync(cast.hospital)
    await narrator.pay_for(
        "suspend the researcher", administrator.suspend_entity(cast.researcher.address).send()
    )
    await narrator.decided(
        "the suspended researcher asks",
        researcher.request_access(ask(first, study)).send(),
        deny,
        Reason.ENTITY_SUSPENDED,
    )
    await narrator.pay_for("reinstate it", administrator.reinstate_entity(cast.researcher.address).send())
    justification = Opening.of(Domain.JUSTIFICATION, b"unconscious on arrival (synthetic)")

    def break_glass(patient: Account) -> Awaitable[TransactionResult[AccessReceipt]]:
        return hospital.request_emergency_access(
            patient.address, Category.PATIENT_SUMMARY, 0, justification.commitment
        ).send()

    await narrator.decided(
        "the hospital breaks the glass for the first patient",
        break_glass(first),
        Decision.EMERGENCY,
        Reason.BREAK_GLASS,
    )
    await narrator.decided(
        "… and for the fourth, who opted out", break_glass(fourth), deny, Reason.EMERGENCY_OPT_OUT
    )
    await narrator.pay_for(
        "the first patient revokes the researcher's consent",
        stage.medsync(first).revoke_consent(cast.researcher.address, Purpose.HRESCH).send(),
    )
    await narrator.decided(
        "the researcher asks again",
        researcher.request_access(ask(first, study)).send(),
        deny,
        Reason.WITHDRAWN,
    )
    await institutions.after_revocation(narrator, private, first)

    await _pay_out(narrator, stage, study)
    await _prove(narrator, stage, before_revocation)
    await institutions.erase(narrator, stage, private, first_observation)


async def _pay_out(narrator: Narrator, stage: Stage, study: CampaignTerms) -> None:
    cast = stage.cast
    first, second, third, _ = cast.patients
    narrator.chapter("Rewards are withdrawn, the study is closed")
    share, custodian_share = RATE * 3 // 4, RATE // 4
    for name, account, credit in (
        ("the first patient", first, 2 * share),
        ("the second patient", second, share),
        ("the third patient", third, share),
        ("the hospital", cast.hospital, 4 * custodian_share),
    ):
        await _withdraw(narrator, stage, name, account, credit)
    pool = stage.pool(cast.researcher)
    await narrator.pay_for("the researcher gives notice of closing", pool.announce_close(study).send())
    stage.devnet.increase_time(7 * DAY)
    narrator.note("seven days pass")
    await narrator.pay_for("the researcher closes the study", pool.close_campaign(study).send())
    await _withdraw(narrator, stage, "the researcher", cast.researcher, 10 * STRK - 3 * RATE)
    narrator.check("the pool owes nothing", await pool.liabilities(), 0)
    narrator.check("the pool holds nothing", await stage.strk.balance_of(pool.address), 0)


async def _withdraw(narrator: Narrator, stage: Stage, name: str, account: Account, credit: int) -> None:
    pool = stage.pool(account)
    narrator.check(
        f"{name} has a credit of {credit / STRK:g} STRK", await pool.claimable(account.address), credit
    )
    before = await stage.strk.balance_of(account.address)
    await narrator.pay_for(f"{name} withdraws it", pool.withdraw(credit, account.address).send())
    gained = await stage.strk.balance_of(account.address) - before + narrator.costs[-1].fee
    narrator.check(f"{name} received the exact amount, apart from the fee", gained, credit)


async def _prove(narrator: Narrator, stage: Stage, before_revocation: int) -> None:
    patient = stage.cast.patients[0]
    client, contract = patient.client, stage.record.medsync
    narrator.chapter("The first patient exports the log and verifies it")
    history = await fetch_log(client, contract, patient.address, from_block=stage.record.first_block)
    narrator.note(
        "fetched from the node's events; completeness is checked against the count and head on the chain"
    )
    for entry in history.entries:
        narrator.note(
            f"{entry.seq}. {utc_text(entry.at)} {entry.purpose} {entry.categories.name}"
            f" → {entry.decision.name} / {entry.reason.name}"
        )
    export = PatientExport(patient.chain_id, contract, patient.address, history.head, tuple(history.entries))
    document = json_export.dumps(export)
    verified = json_export.verify_export(document, history.head)
    narrator.check(
        f"the export is complete: {history.head.count} entries, included and append-only up to the head",
        (verified.anchored, len(verified.export.entries)),
        (True, history.head.count),
    )
    for how, tampered in _tamperings(export):
        text = json_export.dumps(tampered)
        narrator.must_fail(how, partial(json_export.verify_export, text, history.head))

    events = await fetch_events(
        client,
        {contract: "MedSync", stage.record.reward_pool: "RewardPool"},
        from_block=stage.record.first_block,
    )
    state = replay(events, chain_id=patient.chain_id, contract=contract)
    narrator.check(
        "replaying every event gives the same log head", state.log_head(patient.address), history.head
    )
    question = (patient.address, stage.cast.researcher.address, Purpose.HRESCH, Category.OBSERVATION)
    then, now = (
        state.decision_at(*question, before_revocation),
        state.decision_at(*question, stage.devnet.latest_time()),
    )
    narrator.check(
        f"before the revocation the answer was {then.decision.name}, now it is {now.decision.name}",
        (then.decision, now.decision),
        (Decision.PERMIT, Decision.DENY),
    )


def _tamperings(export: PatientExport) -> Iterator[tuple[str, PatientExport]]:
    entries = export.entries
    removed = entries[:2] + entries[3:]
    yield "an entry removed", replace(export, entries=removed)
    altered = replace(entries[1], decision=Decision.PERMIT, reason=Reason.GRANTED)
    yield "a refusal altered to a permit", replace(export, entries=(entries[0], altered, *entries[2:]))
    yield "two entries exchanged", replace(export, entries=(entries[1], entries[0], *entries[2:]))
    invented: LogEntry = replace(entries[-1], seq=entries[-1].seq + 1, decision=Decision.PERMIT)
    yield "an entry invented", replace(export, entries=(*entries, invented))


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
