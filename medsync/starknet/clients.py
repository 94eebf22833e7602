"""Typed clients of the contracts: one method per entry point, named like it.

A view is awaited and answers a typed value, as of the latest block unless `block` says otherwise. What
changes state returns an `Invocation`: await it to send it and get a `TransactionResult`, or give several to
`Account.send` to make them one transaction. A refusal is a ContractError with the contract's own code;
a missing or invalid answer of the node a NetworkError. What each entry point requires, does and emits is in
the contracts' traits (and in `docs/spec.md`).
"""

from collections.abc import Sequence
from types import NoneType
from typing import ClassVar, Final, Literal, TypeVar, overload

from starknet_py.net.client_models import Call
from starknet_py.net.full_node_client import FullNodeClient

from medsync import artifacts
from medsync.errors import InputError
from medsync.protocol.felt import check_address, check_uint, decode_short_string
from medsync.protocol.hashing import starknet_keccak
from medsync.protocol.serde import decode, encode
from medsync.protocol.types import (
    AccessReceipt,
    AccessRequest,
    Budget,
    Campaign,
    CampaignTerms,
    Claim,
    Consent,
    ConsentTerms,
    Delegation,
    Emergency,
    Entity,
    Head,
    KeyCredit,
    PaidUses,
    PatientState,
    Payee,
    PendingAdmin,
    Subject,
    Verdict,
)
from medsync.protocol.vocabulary import (
    Category,
    ConsentStatus,
    EmergencyChoice,
    Power,
    Purpose,
    Role,
)
from medsync.starknet.fees import InsufficientBalance
from medsync.starknet.network import STRK_TOKEN
from medsync.starknet.rpc import asking, class_hash_at
from medsync.starknet.signing import SignedConsent, SignedRevocation, sign_consent, sign_revocation
from medsync.starknet.transactions import Account, Invocation, TransactionResult, bounds_for, max_fee

T = TypeVar("T")

#: Which state a view is answered from: a block's number, the newest block, or that with what waits to follow.
BlockId = int | Literal["latest", "pre_confirmed"]

_U128: Final = 2**128

#: L2 gas that approving and depositing take at most, for the pool's first campaign; see `docs/costs.md`.
DEPOSIT_GAS: Final = 6_000_000


class ContractClient:
    """What the clients share: a contract's address, and who asks."""

    #: The contract's name, in messages and among the artifacts.
    name: ClassVar[str]

    def __init__(self, address: int, sender: Account | FullNodeClient) -> None:
        """`sender` is the account that signs, or only a node's client for one that reads."""
        check_address(address, "contract address")
        self.address = address
        self._account = sender if isinstance(sender, Account) else None
        self.client: FullNodeClient = sender.client if isinstance(sender, Account) else sender

    @property
    def account(self) -> Account:
        """The account that signs. Raises InputError for a client that only reads."""
        if self._account is None:
            raise InputError(f"This {self.name} client has no account: it can only read.")
        return self._account

    async def view(
        self, function: str, calldata: Sequence[int], answer: type[T], block: BlockId = "latest"
    ) -> T:
        """Call any view with raw calldata; `answer` is the type of what it returns.

        See `medsync.protocol.serde` for types.
        """
        name = f"{self.name}.{function}"
        call = Call(self.address, starknet_keccak(function), list(calldata))
        with asking(name):
            felts = await self.client.call_contract(call, block_number=block)
        return decode(answer, felts)

    def invoke(
        self,
        function: str,
        calldata: Sequence[int],
        answer: type[T] = NoneType,  # type: ignore[assignment]
    ) -> Invocation[T]:
        """An invocation of any entry point with raw calldata; `answer` is the type of what it returns."""
        call = Call(self.address, starknet_keccak(function), list(calldata))
        return Invocation(self.account, self.name, function, call, answer)

    async def supports_interface(self, interface_id: int, *, block: BlockId = "latest") -> bool:
        """Whether the contract implements an interface (SRC-5)."""
        return await self.view("supports_interface", [interface_id], bool, block)

    async def is_published(self) -> bool:
        """Whether the contract's class is that of this package's artifact of the same name.

        A pool is known by `MedSyncClient.is_pool` instead: its code alone says nothing about its storage.
        """
        return await class_hash_at(self.client, self.address) == artifacts.load(self.name).class_hash


class MedSyncClient(ContractClient):
    """The MedSync contract: entities, consents and the access log.

    >>> medsync = MedSyncClient(5, FullNodeClient("http://127.0.0.1:5050/rpc"))
    >>> medsync.name, hex(medsync.address)
    ('MedSync', '0x5')

    With an account, entry points that change state give invocations, which are sent when they are awaited:

    >>> from medsync import StarkSigner
    >>> signer = StarkSigner(private_key=1, chain_id=0x534E5F5345504F4C4941)
    >>> medsync = MedSyncClient(5, Account(7, medsync.client, signer))
    >>> medsync.revoke_consent(grantee=9, purpose=Purpose.HRESCH, study=0).entry_point
    'revoke_consent'
    """

    name = "MedSync"

    # --- entities ---

    def register_entity(self, address: int, role: Role, profile_commitment: int) -> Invocation[None]:
        """Register an entity; for the administrator. `profile_commitment` is salted (`Domain.PROFILE`)."""
        return self.invoke("register_entity", [address, role, profile_commitment])

    def suspend_entity(self, address: int) -> Invocation[None]:
        """Suspend an entity; for the administrator."""
        return self.invoke("suspend_entity", [address])

    def suspend_self(self) -> Invocation[None]:
        """Suspend the caller; for an entity whose key may be stolen. Only the administrator can lift it."""
        return self.invoke("suspend_self", [])

    def reinstate_entity(self, address: int) -> Invocation[None]:
        """Lift a suspension; for the administrator."""
        return self.invoke("reinstate_entity", [address])

    def change_profile(self, profile_commitment: int) -> Invocation[None]:
        """Replace the caller's profile; for registered entities, once a day. Salted (`Domain.PROFILE`)."""
        return self.invoke("change_profile", [profile_commitment])

    def begin_admin_transfer(self, new_admin: int) -> Invocation[None]:
        """Begin handing the administration over; for the administrator. Acceptable after 48 hours."""
        return self.invoke("begin_admin_transfer", [new_admin])

    def cancel_admin_transfer(self) -> Invocation[None]:
        """Call the hand-over off; for the administrator."""
        return self.invoke("cancel_admin_transfer", [])

    def accept_admin_transfer(self) -> Invocation[None]:
        """Take the administration over; for the successor, from 48 hours to 14 days after it began."""
        return self.invoke("accept_admin_transfer", [])

    def announce_successor(self, successor: int) -> Invocation[None]:
        """Name the deployment that is to replace this one, or 0 to take it back; for the administrator."""
        return self.invoke("announce_successor", [successor])

    async def entity(self, address: int, *, block: BlockId = "latest") -> Entity:
        """The entity at an address; role NONE if it was never registered."""
        return await self.view("entity", [address], Entity, block)

    async def admin(self, *, block: BlockId = "latest") -> int:
        """The administrator's address."""
        return await self.view("admin", [], int, block)

    async def pending_admin(self, *, block: BlockId = "latest") -> PendingAdmin | None:
        """The next administrator while a hand-over is under way or has lapsed, else None."""
        return await self.view("pending_admin", [], PendingAdmin | None, block)  # type: ignore[arg-type]

    async def successor(self, *, block: BlockId = "latest") -> int:
        """The announced successor of this deployment, or zero. Show it, never follow it."""
        return await self.view("successor", [], int, block)

    async def registry_head(self, *, block: BlockId = "latest") -> Head:
        """Length and head of the registry's history."""
        return await self.view("registry_head", [], Head, block)

    async def edition(self, *, block: BlockId = "latest") -> str:
        """Which edition of the contracts this is."""
        return decode_short_string(await self.view("edition", [], int, block))

    # --- pools and budgets ---

    def create_pool(self, token: int, salt: int) -> Invocation[int]:
        """Deploy a reward pool for a token; for anyone. Answers its address."""
        return self.invoke("create_pool", [token, salt], int)

    async def budget(self, campaign: int, accessor: int, *, block: BlockId = "latest") -> Budget:
        """An accessor's budget of the campaign with that id."""
        return await self.view("budget", [campaign, accessor], Budget, block)

    async def paid_uses(
        self,
        patient: int,
        grantee: int,
        purpose: Purpose,
        study: int,
        campaign: int,
        *,
        block: BlockId = "latest",
    ) -> PaidUses:
        """What the campaign with that id owes for a consent."""
        calldata = [patient, grantee, purpose.felt, study, campaign]
        return await self.view("paid_uses", calldata, PaidUses, block)

    async def is_pool(self, pool: int, *, block: BlockId = "latest") -> bool:
        """Whether this contract deployed the pool. That its token is worth anything is not promised."""
        return await self.view("is_pool", [pool], bool, block)

    async def pool_class_hash(self, *, block: BlockId = "latest") -> int:
        """Class hash of the pools that this contract deploys."""
        return await self.view("pool_class_hash", [], int, block)

    # --- consents ---

    def add_consent(self, grantee: int, terms: ConsentTerms) -> Invocation[int]:
        """Give a consent, or renew one; for the patient. Answers the record's new version."""
        return self.invoke("add_consent", [grantee, *terms.calldata()], int)

    def add_consent_for(self, patient: int, grantee: int, terms: ConsentTerms) -> Invocation[int]:
        """Give a consent for a patient; for a delegate with `Power.GIVE`. Answers the new version."""
        return self.invoke("add_consent_for", [patient, grantee, *terms.calldata()], int)

    def add_consent_by_sig(
        self,
        patient: int,
        grantee: int,
        terms: ConsentTerms,
        generation: int,
        counter: int,
        deadline: int,
        signature: Sequence[int],
    ) -> Invocation[int]:
        """Submit a consent that the patient signed; for anyone. Answers the record's new version.

        `deadline` is the last second (unix) the signature is good for. See `submit` for a `SignedConsent`.
        """
        numbers = generation, counter, deadline
        calldata = [patient, grantee, *terms.calldata(), *numbers, len(signature), *signature]
        return self.invoke("add_consent_by_sig", calldata, int)

    def revoke_consent(self, grantee: int, purpose: Purpose, study: int) -> Invocation[None]:
        """Withdraw a consent, whatever its state; for the patient. Voids one signed but not submitted."""
        return self.invoke("revoke_consent", [grantee, purpose.felt, study])

    def revoke_consent_for(
        self, patient: int, grantee: int, purpose: Purpose, study: int
    ) -> Invocation[None]:
        """Revoke a patient's live consent; for a delegate with `Power.REVOKE`."""
        return self.invoke("revoke_consent_for", [patient, grantee, purpose.felt, study])

    def revoke_consent_by_sig(
        self,
        patient: int,
        grantee: int,
        purpose: Purpose,
        study: int,
        generation: int,
        deadline: int,
        signature: Sequence[int],
    ) -> Invocation[None]:
        """Submit a revocation that the patient signed; for anyone. See `submit` for a `SignedRevocation`."""
        target = patient, grantee, purpose.felt, study
        calldata = [*target, generation, deadline, len(signature), *signature]
        return self.invoke("revoke_consent_by_sig", calldata)

    def revoke_all(self, *, dismiss_delegates: bool = False) -> Invocation[None]:
        """Withdraw every consent and void every message that gives one; for the patient."""
        return self.invoke("revoke_all", [int(dismiss_delegates)])

    def revoke_all_for(self, patient: int) -> Invocation[None]:
        """`revoke_all` for a patient; for a delegate with `Power.REVOKE`."""
        return self.invoke("revoke_all_for", [patient])

    def request_consent(self, patient: int, terms: ConsentTerms, open_until: int) -> Invocation[None]:
        """Ask a patient for a consent on these terms; for registered entities. Only an event.

        The request stands open until before `open_until` (unix seconds).
        """
        return self.invoke("request_consent", [patient, *terms.calldata(), open_until])

    def refuse_consent(self, grantee: int, purpose: Purpose, study: int) -> Invocation[None]:
        """Refuse a grantee until a consent is given; for the patient. Ends a consent that stands."""
        return self.invoke("refuse_consent", [grantee, purpose.felt, study])

    def refuse_consent_for(
        self, patient: int, grantee: int, purpose: Purpose, study: int
    ) -> Invocation[None]:
        """Refuse for a patient; for a delegate with `Power.REFUSE`, a live consent also `Power.REVOKE`."""
        return self.invoke("refuse_consent_for", [patient, grantee, purpose.felt, study])

    def refuse_purpose(self, purpose: Purpose) -> Invocation[None]:
        """Refuse everyone for a purpose until it is allowed again; for the patient."""
        return self.invoke("refuse_purpose", [purpose.felt])

    def allow_purpose(self, purpose: Purpose) -> Invocation[None]:
        """Allow a purpose again; for the patient. Consents for it that are still live permit again."""
        return self.invoke("allow_purpose", [purpose.felt])

    def set_delegate(self, delegate: int, powers: Power, expires_at: int) -> Invocation[None]:
        """Let a delegate act until `expires_at` (unix seconds); for the patient. No powers remove it."""
        return self.invoke("set_delegate", [delegate, int(powers), expires_at])

    def dismiss_delegates(self) -> Invocation[None]:
        """End every delegation at one stroke; for the patient."""
        return self.invoke("dismiss_delegates", [])

    def set_emergency_choice(self, choice: EmergencyChoice) -> Invocation[None]:
        """Choose who may break the glass; for the patient."""
        return self.invoke("set_emergency_choice", [int(choice)])

    def allow_emergency(self, hospital: int) -> Invocation[None]:
        """Name a hospital that may break the glass; for the patient."""
        return self.invoke("allow_emergency", [hospital])

    def forbid_emergency(self, hospital: int) -> Invocation[None]:
        """Forbid a hospital to break the glass; for the patient."""
        return self.invoke("forbid_emergency", [hospital])

    def cancel_signatures(self) -> Invocation[None]:
        """Void every signed and unsubmitted message that gives a consent; for the patient."""
        return self.invoke("cancel_signatures", [])

    def assert_generation(self, patient: int, generation: int) -> Invocation[None]:
        """Fail unless it is the patient's generation: put it in front of calls that open something."""
        return self.invoke("assert_generation", [patient, generation])

    async def verify_consent(
        self,
        patient: int,
        grantee: int,
        purpose: Purpose,
        study: int,
        categories: Category,
        campaign: int = 0,
        *,
        block: BlockId = "latest",
    ) -> Verdict:
        """Whether consent and entity permit the use at the block's time. A campaign's money is not judged.

        `campaign` is the id of the campaign that is to pay, zero for none.
        """
        calldata = [patient, grantee, purpose.felt, study, int(categories), campaign]
        return await self.view("verify_consent", calldata, Verdict, block)

    async def verify_consents(
        self,
        patients: Sequence[int],
        grantee: int,
        purpose: Purpose,
        study: int,
        categories: Category,
        campaign: int = 0,
        *,
        block: BlockId = "latest",
    ) -> list[Verdict]:
        """`verify_consent` for many patients, as before a batch."""
        query = grantee, purpose.felt, study, int(categories), campaign
        return await self.view("verify_consents", [len(patients), *patients, *query], list[Verdict], block)

    async def consent(
        self,
        patient: int,
        grantee: int,
        purpose: Purpose,
        study: int,
        campaign: int = 0,
        *,
        block: BlockId = "latest",
    ) -> Consent:
        """The record of a consent; status NONE if nobody ever decided on it.

        `campaign` is the id of the campaign to ask with, zero for none.
        """
        calldata = [patient, grantee, purpose.felt, study, campaign]
        return await self.view("consent", calldata, Consent, block)

    async def patient_state(self, patient: int, *, block: BlockId = "latest") -> PatientState:
        """What concerns a patient as a whole."""
        return await self.view("patient_state", [patient], PatientState, block)

    async def refused_purposes(self, patient: int, *, block: BlockId = "latest") -> list[Purpose]:
        """The purposes that a patient refuses to everyone."""
        return await self.view("refused_purposes", [patient], list[Purpose], block)

    async def emergency_naming(
        self, patient: int, hospital: int, *, block: BlockId = "latest"
    ) -> ConsentStatus:
        """What a patient said about emergencies to a hospital: GIVEN, REFUSED or NONE."""
        return await self.view("emergency_naming", [patient, hospital], ConsentStatus, block)

    async def delegation(self, patient: int, delegate: int, *, block: BlockId = "latest") -> Delegation:
        """The powers a patient gave a delegate, as they were set, even if they are over."""
        return await self.view("delegation", [patient, delegate], Delegation, block)

    async def history_head(self, patient: int, *, block: BlockId = "latest") -> Head:
        """Length and head of a patient's consent history."""
        return await self.view("history_head", [patient], Head, block)

    # --- messages a patient signs ---

    async def sign_consent(self, grantee: int, terms: ConsentTerms, *, deadline: int) -> SignedConsent:
        """A consent signed by this client's account as patient, for anyone to `submit` until `deadline`.

        It fits the patient's present generation and counter and the record's present version: any change in
        between voids it.
        """
        patient = self.account.address
        record = await self.consent(patient, grantee, terms.purpose, terms.study)
        state = await self.patient_state(patient)
        return sign_consent(
            self.account.stark_signer,
            patient,
            contract=self.address,
            grantee=grantee,
            terms=terms,
            version=record.version + 1,
            generation=state.generation,
            counter=state.counter,
            deadline=deadline,
        )

    async def sign_revocation(
        self, grantee: int, purpose: Purpose, study: int, *, deadline: int, generation: int | None = None
    ) -> SignedRevocation:
        """A revocation signed by this client's account as patient, to `submit` until `deadline`.

        It is of the patient's `generation`, by default the present one as the node says it: who does not
        trust the node gives it.
        """
        patient = self.account.address
        if generation is None:
            generation = (await self.patient_state(patient)).generation
        return sign_revocation(
            self.account.stark_signer,
            patient,
            contract=self.address,
            grantee=grantee,
            purpose=purpose,
            study=study,
            generation=generation,
            deadline=deadline,
        )

    @overload
    def submit(self, signed: SignedConsent) -> Invocation[int]: ...
    @overload
    def submit(self, signed: SignedRevocation) -> Invocation[None]: ...
    def submit(self, signed: SignedConsent | SignedRevocation) -> Invocation[int] | Invocation[None]:
        """Submit what a patient signed. Raises InputError if it was signed for another contract or chain."""
        if (signed.contract, signed.chain_id) != (self.address, self.account.chain_id):
            raise InputError("The message was signed for another contract or another chain.")
        if isinstance(signed, SignedConsent):
            return self.add_consent_by_sig(
                signed.patient,
                signed.grantee,
                signed.terms,
                signed.generation,
                signed.counter,
                signed.deadline,
                signed.signature,
            )
        return self.revoke_consent_by_sig(
            signed.patient,
            signed.grantee,
            signed.purpose,
            signed.study,
            signed.generation,
            signed.deadline,
            signed.signature,
        )

    # --- accesses ---

    def request_access(self, request: AccessRequest) -> Invocation[AccessReceipt]:
        """Ask for access; for registered entities. Policy never makes it fail: see the receipt's decision."""
        return self.invoke("request_access", request.calldata(), AccessReceipt)

    def request_access_batch(
        self,
        purpose: Purpose,
        study: int,
        categories: Category,
        subjects: Sequence[Subject],
        campaign: int = 0,
    ) -> Invocation[list[AccessReceipt]]:
        """Up to 100 requests in one transaction, in order, each with its own receipt."""
        query = purpose.felt, study, int(categories), campaign
        calldata = [*query, *encode(list(subjects), list[Subject])]
        return self.invoke("request_access_batch", calldata, list[AccessReceipt])

    def request_emergency_access(
        self, patient: int, categories: Category, record: int
    ) -> Invocation[AccessReceipt]:
        """Break the glass; only hospitals are let in. Justify it within 72 hours: `justify_emergency`."""
        return self.invoke("request_emergency_access", [patient, int(categories), record], AccessReceipt)

    def justify_emergency(self, patient: int, emergency: int, statement: int) -> Invocation[None]:
        """Justify an emergency access, entry `emergency` of the patient's log; for its hospital.

        `statement` is the salted hash of a signed statement for the patient (`Domain.JUSTIFICATION`).
        """
        return self.invoke("justify_emergency", [patient, emergency, statement])

    def contest_emergency(self, hospital: int, emergency: int) -> Invocation[None]:
        """Contest a hospital's emergency access, entry `emergency` of the caller's log; for the patient."""
        return self.invoke("contest_emergency", [hospital, emergency])

    def state_deletion(self, patient: int, purpose: Purpose, study: int, statement: int) -> Invocation[None]:
        """State what was deleted after a consent ended; for its grantee. A statement, not a proof.

        `statement` is the salted hash of a signed statement (`Domain.DELETION`).
        """
        return self.invoke("state_deletion", [patient, purpose.felt, study, statement])

    async def emergency(
        self, patient: int, seq: int, hospital: int, *, block: BlockId = "latest"
    ) -> Emergency:
        """An emergency access, by its entry in the patient's log and its hospital."""
        return await self.view("emergency", [patient, seq, hospital], Emergency, block)

    async def log_head(self, patient: int, *, block: BlockId = "latest") -> Head:
        """Length and head of a patient's access log."""
        return await self.view("log_head", [patient], Head, block)


class RewardPoolClient(ContractClient):
    """A RewardPool: campaigns and credits. Amounts are in the token's smallest unit, budgets in uses.

    >>> from medsync import StarkSigner
    >>> signer = StarkSigner(private_key=1, chain_id=0x534E5F5345504F4C4941)
    >>> pool = RewardPoolClient(3, Account(7, FullNodeClient("http://127.0.0.1:5050/rpc"), signer))
    >>> pool.withdraw(10**18, recipient=7).function
    'RewardPool.withdraw'
    """

    name = "RewardPool"

    def deposit(self, terms: CampaignTerms, amount: int) -> Invocation[None]:
        """Pay for uses in advance, a multiple of the rate; for the funder, who approved the pool for it.

        See `fund` for both.
        """
        return self.invoke("deposit", [*terms.calldata(), amount])

    async def fund(self, terms: CampaignTerms, amount: int) -> TransactionResult[tuple[None, ...]]:
        """Approve and deposit in one transaction; for the campaign's funder.

        Raises InsufficientBalance, before anything is sent, if the funder has too little of the token.
        """
        token = Erc20Client(await self.token(), self.account)
        await token.check_balance(amount, "The deposit", l2_gas=DEPOSIT_GAS)
        return await self.account.send(token.approve(self.address, amount), self.deposit(terms, amount))

    def increase_allowance(self, terms: CampaignTerms, accessor: int, uses: int) -> Invocation[None]:
        """Move uses from the funder's own budget to an accessor's; for the campaign's funder."""
        return self.invoke("increase_allowance", [*terms.calldata(), accessor, uses])

    def decrease_allowance(self, terms: CampaignTerms, accessor: int, uses: int) -> Invocation[None]:
        """Take uses back from an accessor's budget; fails if fewer are left. For the campaign's funder."""
        return self.invoke("decrease_allowance", [*terms.calldata(), accessor, uses])

    def revoke_allowance(self, terms: CampaignTerms, accessor: int) -> Invocation[int]:
        """Take back whatever an accessor's budget has left; for the funder. Answers how many uses."""
        return self.invoke("revoke_allowance", [*terms.calldata(), accessor], int)

    def settle(self, patient: int, grantee: int, terms: CampaignTerms) -> Invocation[int]:
        """Credit a patient with what a campaign owes for a consent; for anyone. Answers how many uses."""
        return self.invoke("settle", [patient, grantee, *terms.calldata()], int)

    def settle_custodian(self, terms: CampaignTerms, accessor: int) -> Invocation[int]:
        """Credit the custodian with what a campaign owes for an accessor; for anyone. Answers the uses."""
        return self.invoke("settle_custodian", [*terms.calldata(), accessor], int)

    def withdraw(self, amount: int, recipient: int, claims: Sequence[Claim] = ()) -> Invocation[None]:
        """Settle up to 50 claims of the caller, then pay out part of its credit to `recipient`."""
        return self.invoke("withdraw", [amount, recipient, *encode(list(claims), list[Claim])])

    def spend(self, terms: CampaignTerms, payee: Payee) -> Invocation[None]:
        """Spend one use of a campaign; for the spender that its terms name."""
        return self.invoke("spend", [*terms.calldata(), *encode(payee)])

    def withdraw_by_key(
        self, key: int, amount: int, recipient: int, signature: tuple[int, int]
    ) -> Invocation[None]:
        """Pay out part of a key's credit by its holder's signature; for anyone. See `draw_message`."""
        return self.invoke("withdraw_by_key", [key, amount, recipient, *signature])

    def announce_close(self, terms: CampaignTerms) -> Invocation[None]:
        """Announce that a campaign closes before it expires, 7 to 37 days ahead; for its funder."""
        return self.invoke("announce_close", terms.calldata())

    def close_campaign(self, terms: CampaignTerms) -> Invocation[None]:
        """Close a campaign that expired or whose notice is over; for its funder, who is credited its own
        budget. Accessors' budgets stay until they are taken back."""
        return self.invoke("close_campaign", terms.calldata())

    async def token(self, *, block: BlockId = "latest") -> int:
        """The ERC-20 this pool holds."""
        return await self.view("token", [], int, block)

    async def medsync(self, *, block: BlockId = "latest") -> int:
        """The MedSync contract that deployed this pool."""
        return await self.view("medsync", [], int, block)

    async def campaign(self, terms: CampaignTerms, *, block: BlockId = "latest") -> Campaign:
        """The campaign with these terms."""
        return await self.view("campaign", terms.calldata(), Campaign, block)

    async def accepts_consents(self, campaign: int, *, block: BlockId = "latest") -> bool:
        """Whether a consent may newly name the campaign with that id: open, and no closing announced."""
        return await self.view("accepts_consents", [campaign], bool, block)

    async def claimable(self, owner: int, *, block: BlockId = "latest") -> int:
        """What `owner` can withdraw now, without what is not settled yet."""
        return await self.view("claimable", [owner], int, block)

    async def withdrawn(self, owner: int, *, block: BlockId = "latest") -> int:
        """What `owner` has withdrawn so far."""
        return await self.view("withdrawn", [owner], int, block)

    async def accumulated(self, owner: int, *, block: BlockId = "latest") -> int:
        """All that was ever settled for `owner`."""
        return await self.view("accumulated", [owner], int, block)

    async def unsettled(self, patient: int, claims: Sequence[Claim], *, block: BlockId = "latest") -> int:
        """What the campaigns of these claims owe a patient and nobody has settled yet."""
        calldata = [patient, *encode(list(claims), list[Claim])]
        return await self.view("unsettled", calldata, int, block)

    async def key_credit(self, key: int, *, block: BlockId = "latest") -> KeyCredit:
        """What the pool owes to the holder of a key."""
        return await self.view("key_credit", [key], KeyCredit, block)

    async def liabilities(self, *, block: BlockId = "latest") -> int:
        """What the pool owes in all."""
        return await self.view("liabilities", [], int, block)


class Erc20Client(ContractClient):
    """What MedSync's users need of an ERC-20 token (SNIP-2). Amounts are in its smallest unit (u256).

    >>> from medsync import StarkSigner
    >>> signer = StarkSigner(private_key=1, chain_id=0x534E5F5345504F4C4941)
    >>> token = Erc20Client(4, Account(7, FullNodeClient("http://127.0.0.1:5050/rpc"), signer))
    >>> token.approve(spender=3, amount=10**18).call.calldata
    [3, 1000000000000000000, 0]
    """

    name = "Erc20"

    def approve(self, spender: int, amount: int) -> Invocation[bool]:
        """Let `spender` take up to `amount` from the caller."""
        return self.invoke("approve", [spender, *_u256(amount)], bool)

    def transfer(self, recipient: int, amount: int) -> Invocation[bool]:
        """Send `amount` to `recipient`."""
        return self.invoke("transfer", [recipient, *_u256(amount)], bool)

    async def balance_of(self, owner: int, *, block: BlockId = "latest") -> int:
        """What `owner` holds."""
        low, high = await self.view("balance_of", [owner], tuple[int, int], block)
        return low + high * _U128

    async def allowance(self, owner: int, spender: int, *, block: BlockId = "latest") -> int:
        """What `spender` may still take from `owner`."""
        low, high = await self.view("allowance", [owner, spender], tuple[int, int], block)
        return low + high * _U128

    async def check_balance(self, amount: int, action: str, *, l2_gas: int) -> None:
        """Raise InsufficientBalance, naming the action, unless the account can send `amount`.

        Of STRK it must also hold the fee of a transaction that takes at most `l2_gas`: one that sends away
        what its fee would be paid from is reverted, and paid all the same. While a transaction of the account
        is unsettled nothing is checked: it may be an earlier try, which took the amount already.
        """
        if self.account.unsettled:
            return
        needed = amount
        if self.address == STRK_TOKEN:
            needed += max_fee(await bounds_for(self.client, l2_gas=l2_gas))
        owner = self.account.address
        balance = await self.balance_of(owner)
        if balance < needed:
            raise InsufficientBalance(action, owner, balance=balance, needed=needed, token=self.address)

    async def decimals(self, *, block: BlockId = "latest") -> int:
        """How many decimal places a whole token has."""
        return await self.view("decimals", [], int, block)


def _u256(amount: int) -> tuple[int, int]:
    check_uint(amount, 256, "amount")
    return amount % _U128, amount // _U128
