"""MedSync: patients' consents, provable access logs and rewards on Starknet.

What `__all__` lists can be imported from here; `medsync.log.replay` and the rest of the modules stand by
themselves. Importing the package is cheap: a module is loaded when something of it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from medsync.errors import ContractError as ContractError
    from medsync.errors import InputError as InputError
    from medsync.errors import MedSyncError as MedSyncError
    from medsync.errors import NetworkError as NetworkError
    from medsync.errors import PublicNetworkError as PublicNetworkError
    from medsync.errors import VerificationError as VerificationError
    from medsync.log.fetch import AccessHistory as AccessHistory
    from medsync.log.fetch import fetch_events as fetch_events
    from medsync.log.fetch import fetch_log as fetch_log
    from medsync.log.fetch import prove_complete as prove_complete
    from medsync.protocol.events import LogEntry as LogEntry
    from medsync.protocol.events import decode_event as decode_event
    from medsync.protocol.events import events_of as events_of
    from medsync.protocol.types import AccessReceipt as AccessReceipt
    from medsync.protocol.types import AccessRequest as AccessRequest
    from medsync.protocol.types import CampaignTerms as CampaignTerms
    from medsync.protocol.types import ConsentTerms as ConsentTerms
    from medsync.protocol.types import Judgement as Judgement
    from medsync.protocol.types import LogHead as LogHead
    from medsync.protocol.vocabulary import Category as Category
    from medsync.protocol.vocabulary import Decision as Decision
    from medsync.protocol.vocabulary import Power as Power
    from medsync.protocol.vocabulary import Purpose as Purpose
    from medsync.protocol.vocabulary import Reason as Reason
    from medsync.protocol.vocabulary import Role as Role
    from medsync.starknet.accounts import create_keystore as create_keystore
    from medsync.starknet.accounts import load_account as load_account
    from medsync.starknet.accounts import predeployed_accounts as predeployed_accounts
    from medsync.starknet.clients import Erc20Client as Erc20Client
    from medsync.starknet.clients import MedSyncClient as MedSyncClient
    from medsync.starknet.clients import RewardPoolClient as RewardPoolClient
    from medsync.starknet.network import Connection as Connection
    from medsync.starknet.network import connect as connect
    from medsync.starknet.signer import StarkSigner as StarkSigner
    from medsync.starknet.signing import SignedConsent as SignedConsent
    from medsync.starknet.signing import SignedRevocation as SignedRevocation
    from medsync.starknet.signing import signed_from_json as signed_from_json
    from medsync.starknet.transactions import Account as Account
    from medsync.starknet.transactions import Invocation as Invocation
    from medsync.starknet.transactions import TransactionResult as TransactionResult

_NAMES = {
    "starknet.accounts": "create_keystore load_account predeployed_accounts",
    "starknet.clients": "Erc20Client MedSyncClient RewardPoolClient",
    "errors": "ContractError InputError MedSyncError NetworkError PublicNetworkError VerificationError",
    "protocol.events": "LogEntry decode_event events_of",
    "log.fetch": "AccessHistory fetch_events fetch_log prove_complete",
    "starknet.network": "Connection connect",
    "starknet.signer": "StarkSigner",
    "starknet.signing": "SignedConsent SignedRevocation signed_from_json",
    "starknet.transactions": "Account Invocation TransactionResult",
    "protocol.types": "AccessReceipt AccessRequest CampaignTerms ConsentTerms Judgement LogHead",
    "protocol.vocabulary": "Category Decision Power Purpose Reason Role",
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names.split()}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'medsync' has no attribute {name!r}")
    return getattr(import_module(f"medsync.{_HOMES[name]}"), name)
