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
from medsync.protocol.felt import check_address, check_uint
from medsync.protocol.hashing import starknet_keccak
from medsync.protocol.serde import decode
from medsync.protocol.types import (
    AccessReceipt,
    AccessRequest,
    Campaign,
    CampaignTerms,
    Consent,
    ConsentTerms,
    Delegation,
    Entity,
    Judgement,
    LogHead,
    PatientState,
    PendingAdmin,
)
from medsync.protocol.vocabulary import Category, Power, Purpose, Role
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

        MedSync knows that a pool answers like one, not that it pays: ask before a patient agrees to a pool.
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
    >>> medsync.revoke_consent(grantee=9, purpose=Purpose.HRESCH).entry_point
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

    def reinstate_entity(self, address: int) -> Invocation[None]:
        """Lift a suspension; for the administrator."""
        return self.invoke("reinstate_entity", [address])

    def begin_admin_transfer(self, new_admin: int) -> Invocation[None]:
        """Begin handing the administration over; for the administrator. Acceptable after 48 hours."""
        return self.invoke("begin_admin_transfer", [new_admin])

    def cancel_admin_transfer(self) -> Invocation[None]:
        """Call the hand-over off; for the administrator."""
        return self.invoke("cancel_admin_transfer", [])

    def accept_admin_transfer(self) -> Invocation[None]:
        """Take the administration over; for the successor, after the delay."""
        return self.invoke("accept_admin_transfer", [])

    async def entity(self, address: int, *, block: BlockId = "latest") -> Entity:
        """The entity at an address; role NONE if it was never registered."""
        return await self.view("entity", [address], Entity, block)

    async def admin(self, *, block: BlockId = "latest") -> int:
        """The administrator's address."""
        return await self.view("admin", [], int, block)

    async def pending_admin(self, *, block: BlockId = "latest") -> PendingAdmin | None:
        """The successor while a hand-over is under way, else None."""
        return await self.view("pending_admin", [], PendingAdmin | None, block)  # type: ignore[arg-type]

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
        nonce: int,
        deadline: int,
        signature: Sequence[int],
    ) -> Invocation[int]:
        """Submit a consent that the patient signed; for anyone. Answers the record's new version.

        `deadline` is the last second (unix) the signature is good for. See `submit` for a `SignedConsent`.
        """
        calldata = [patient, grantee, *terms.calldata(), nonce, deadline, len(signature), *signature]
        return self.invoke("add_consent_by_sig", calldata, int)

    def revoke_consent(self, grantee: int, purpose: Purpose) -> Invocation[None]:
        """Withdraw a consent, whatever its state; for the patient. Voids one signed but not submitted."""
        return self.invoke("revoke_consent", [grantee, purpose.felt])

    def revoke_consent_for(self, patient: int, grantee: int, purpose: Purpose) -> Invocation[None]:
        """Revoke a patient's consent; for a delegate with `Power.REVOKE`."""
        return self.invoke("revoke_consent_for", [patient, grantee, purpose.felt])

    def revoke_consent_by_sig(
        self,
        patient: int,
        grantee: int,
        purpose: Purpose,
        nonce: int,
        deadline: int,
        signature: Sequence[int],
    ) -> Invocation[None]:
        """Submit a revocation that the patient signed; for anyone. See `submit` for a `SignedRevocation`."""
        calldata = [patient, grantee, purpose.felt, nonce, deadline, len(signature), *signature]
        return self.invoke("revoke_consent_by_sig", calldata)

    def revoke_all(self) -> Invocation[None]:
        """Withdraw every consent and void every message signed so far; for the patient."""
        return self.invoke("revoke_all", [])

    def revoke_all_for(self, patient: int) -> Invocation[None]:
        """`revoke_all` for a patient; for a delegate with `Power.REVOKE`."""
        return self.invoke("revoke_all_for", [patient])

    def request_consent(self, patient: int, terms: ConsentTerms) -> Invocation[None]:
        """Ask a patient for a consent on these terms; for registered entities. Only an event."""
        return self.invoke("request_consent", [patient, *terms.calldata()])

    def refuse_consent(self, grantee: int, purpose: Purpose) -> Invocation[None]:
        """Say no to a grantee; for the patient. Only an event: a consent that stands is not touched."""
        return self.invoke("refuse_consent", [grantee, purpose.felt])

    def refuse_consent_for(self, patient: int, grantee: int, purpose: Purpose) -> Invocation[None]:
        """Say no for a patient; for a delegate with `Power.REFUSE`."""
        return self.invoke("refuse_consent_for", [patient, grantee, purpose.felt])

    def set_delegate(self, delegate: int, powers: Power, expires_at: int) -> Invocation[None]:
        """Let a delegate act until `expires_at` (unix seconds); for the patient. No powers remove it."""
        return self.invoke("set_delegate", [delegate, int(powers), expires_at])

    def set_emergency_opt_out(self, opted_out: bool) -> Invocation[None]:
        """Forbid emergency access, or allow it again; for the patient."""
        return self.invoke("set_emergency_opt_out", [int(opted_out)])

    def cancel_signatures(self) -> Invocation[None]:
        """Void every message signed and not yet submitted; for the patient."""
        return self.invoke("cancel_signatures", [])

    async def verify_consent(
        self,
        patient: int,
        grantee: int,
        purpose: Purpose,
        categories: Category,
        *,
        block: BlockId = "latest",
    ) -> Judgement:
        """Whether consent and entity permit the use at the block's time. A campaign's money is not judged."""
        calldata = [patient, grantee, purpose.felt, int(categories)]
        return await self.view("verify_consent", calldata, Judgement, block)

    async def consent(
        self, patient: int, grantee: int, purpose: Purpose, *, block: BlockId = "latest"
    ) -> Consent:
        """The record of a consent; status NONE if it was never given."""
        return await self.view("consent", [patient, grantee, purpose.felt], Consent, block)

    async def patient_state(self, patient: int, *, block: BlockId = "latest") -> PatientState:
        """A patient's epoch, nonce and emergency opt-out."""
        return await self.view("patient_state", [patient], PatientState, block)

    async def delegation(self, patient: int, delegate: int, *, block: BlockId = "latest") -> Delegation:
        """The powers a patient gave a delegate, as they were set, even if they have expired."""
        return await self.view("delegation", [patient, delegate], Delegation, block)

    # --- messages a patient signs ---

    async def sign_consent(self, grantee: int, terms: ConsentTerms, *, deadline: int) -> SignedConsent:
        """A consent signed by this client's account as patient, for anyone to `submit` until `deadline`.

        It fits the patient's present nonce and the record's present version: any change in between voids it.
        """
        patient = self.account.address
        record = await self.consent(patient, grantee, terms.purpose)
        state = await self.patient_state(patient)
        return sign_consent(
            self.account.stark_signer,
            patient,
            contract=self.address,
            grantee=grantee,
            terms=terms,
            version=record.version + 1,
            nonce=state.nonce,
            deadline=deadline,
        )

    async def sign_revocation(self, grantee: int, purpose: Purpose, *, deadline: int) -> SignedRevocation:
        """A revocation signed by this client's account as patient, to `submit` until `deadline`."""
        patient = self.account.address
        state = await self.patient_state(patient)
        return sign_revocation(
            self.account.stark_signer,
            patient,
            contract=self.address,
            grantee=grantee,
            purpose=purpose,
            nonce=state.nonce,
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
                signed.nonce,
                signed.deadline,
                signed.signature,
            )
        return self.revoke_consent_by_sig(
            signed.patient, signed.grantee, signed.purpose, signed.nonce, signed.deadline, signed.signature
        )

    # --- accesses ---

    def request_access(self, request: AccessRequest) -> Invocation[AccessReceipt]:
        """Ask for access; for registered entities. Policy never makes it fail: see the receipt's decision."""
        return self.invoke("request_access", request.calldata(), AccessReceipt)

    def request_access_batch(self, requests: Sequence[AccessRequest]) -> Invocation[list[AccessReceipt]]:
        """Up to 100 requests in one transaction, in order, each with its own receipt."""
        calldata = [len(requests), *(felt for request in requests for felt in request.calldata())]
        return self.invoke("request_access_batch", calldata, list[AccessReceipt])

    def request_emergency_access(
        self, patient: int, categories: Category, record: int, justification_commitment: int
    ) -> Invocation[AccessReceipt]:
        """Break the glass; hospitals only. The justification is salted (`Domain.JUSTIFICATION`)."""
        calldata = [patient, int(categories), record, justification_commitment]
        return self.invoke("request_emergency_access", calldata, AccessReceipt)

    async def log_head(self, patient: int, *, block: BlockId = "latest") -> LogHead:
        """Length and head of a patient's log."""
        return await self.view("log_head", [patient], LogHead, block)


class RewardPoolClient(ContractClient):
    """A RewardPool: campaigns, allowances and credits. Amounts are in the token's smallest unit.

    >>> from medsync import StarkSigner
    >>> signer = StarkSigner(private_key=1, chain_id=0x534E5F5345504F4C4941)
    >>> pool = RewardPoolClient(3, Account(7, FullNodeClient("http://127.0.0.1:5050/rpc"), signer))
    >>> pool.withdraw(10**18, recipient=7).function
    'RewardPool.withdraw'
    """

    name = "RewardPool"

    def deposit(self, terms: CampaignTerms, amount: int) -> Invocation[None]:
        """Put money into a campaign; for its funder, who approved the pool for it. See `fund` for both."""
        return self.invoke("deposit", [*terms.calldata(), amount])

    async def fund(self, terms: CampaignTerms, amount: int) -> TransactionResult[tuple[None, ...]]:
        """Approve and deposit in one transaction; for the campaign's funder.

        Raises InsufficientBalance, before anything is sent, if the funder has too little of the token.
        """
        token = Erc20Client(await self.token(), self.account)
        await token.check_balance(amount, "The deposit", l2_gas=DEPOSIT_GAS)
        return await self.account.send(token.approve(self.address, amount), self.deposit(terms, amount))

    def set_allowance(self, terms: CampaignTerms, accessor: int, amount: int) -> Invocation[None]:
        """Let an accessor spend up to `amount`, instead of what was set before; for the campaign's funder."""
        return self.invoke("set_allowance", [*terms.calldata(), accessor, amount])

    def withdraw(self, amount: int, recipient: int) -> Invocation[None]:
        """Pay out part of the caller's credit to `recipient`."""
        return self.invoke("withdraw", [amount, recipient])

    def announce_close(self, terms: CampaignTerms) -> Invocation[None]:
        """Announce that a campaign closes before it expires, 7 days ahead; for its funder."""
        return self.invoke("announce_close", terms.calldata())

    def close_campaign(self, terms: CampaignTerms) -> Invocation[None]:
        """Close a campaign that expired or whose notice is over; for its funder, who is credited the rest."""
        return self.invoke("close_campaign", terms.calldata())

    async def token(self, *, block: BlockId = "latest") -> int:
        """The ERC-20 this pool holds."""
        return await self.view("token", [], int, block)

    async def log(self, *, block: BlockId = "latest") -> int:
        """The MedSync contract this pool listens to."""
        return await self.view("log", [], int, block)

    async def campaign(self, terms: CampaignTerms, *, block: BlockId = "latest") -> Campaign:
        """The campaign with these terms."""
        return await self.view("campaign", terms.calldata(), Campaign, block)

    async def allowance(self, campaign: int, accessor: int, *, block: BlockId = "latest") -> int:
        """What an accessor may still spend of the campaign with that id."""
        return await self.view("allowance", [campaign, accessor], int, block)

    async def claimable(self, owner: int, *, block: BlockId = "latest") -> int:
        """What `owner` can withdraw now."""
        return await self.view("claimable", [owner], int, block)

    async def withdrawn(self, owner: int, *, block: BlockId = "latest") -> int:
        """What `owner` has withdrawn so far."""
        return await self.view("withdrawn", [owner], int, block)

    async def accumulated(self, owner: int, *, block: BlockId = "latest") -> int:
        """All that was ever credited to `owner`."""
        return await self.view("accumulated", [owner], int, block)

    async def liabilities(self, *, block: BlockId = "latest") -> int:
        """What the pool owes in all."""
        return await self.view("liabilities", [], int, block)

    async def lifetime_deposits(self, *, block: BlockId = "latest") -> int:
        """The sum of all deposits ever made."""
        return await self.view("lifetime_deposits", [], int, block)


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
