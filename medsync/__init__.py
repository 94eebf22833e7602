"""MedSync: patients' consents, provable access logs and rewards on Starknet.

What `__all__` lists can be imported from here; `medsync.replay` and the rest of the modules stand by
themselves. Importing the package is cheap: a module is loaded when something of it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from medsync.accounts import create_keystore as create_keystore
    from medsync.accounts import load_account as load_account
    from medsync.accounts import predeployed_accounts as predeployed_accounts
    from medsync.clients import Erc20Client as Erc20Client
    from medsync.clients import MedSyncClient as MedSyncClient
    from medsync.clients import RewardPoolClient as RewardPoolClient
    from medsync.errors import ContractError as ContractError
    from medsync.errors import InputError as InputError
    from medsync.errors import MedSyncError as MedSyncError
    from medsync.errors import NetworkError as NetworkError
    from medsync.errors import PublicNetworkError as PublicNetworkError
    from medsync.errors import VerificationError as VerificationError
    from medsync.events import decode_event as decode_event
    from medsync.events import events_of as events_of
    from medsync.log import AccessHistory as AccessHistory
    from medsync.log import fetch_events as fetch_events
    from medsync.log import fetch_log as fetch_log
    from medsync.log import prove_complete as prove_complete
    from medsync.network import Connection as Connection
    from medsync.network import connect as connect
    from medsync.signer import StarkSigner as StarkSigner
    from medsync.signing import SignedConsent as SignedConsent
    from medsync.signing import SignedRevocation as SignedRevocation
    from medsync.signing import signed_from_json as signed_from_json
    from medsync.transactions import Account as Account
    from medsync.transactions import Invocation as Invocation
    from medsync.transactions import TransactionResult as TransactionResult
    from medsync.types import AccessReceipt as AccessReceipt
    from medsync.types import AccessRequest as AccessRequest
    from medsync.types import CampaignTerms as CampaignTerms
    from medsync.types import ConsentTerms as ConsentTerms
    from medsync.types import Judgement as Judgement
    from medsync.types import LogEntry as LogEntry
    from medsync.types import LogHead as LogHead
    from medsync.vocabulary import Category as Category
    from medsync.vocabulary import Decision as Decision
    from medsync.vocabulary import Power as Power
    from medsync.vocabulary import Purpose as Purpose
    from medsync.vocabulary import Reason as Reason
    from medsync.vocabulary import Role as Role

_NAMES = {
    "accounts": "create_keystore load_account predeployed_accounts",
    "clients": "Erc20Client MedSyncClient RewardPoolClient",
    "errors": "ContractError InputError MedSyncError NetworkError PublicNetworkError VerificationError",
    "events": "decode_event events_of",
    "log": "AccessHistory fetch_events fetch_log prove_complete",
    "network": "Connection connect",
    "signer": "StarkSigner",
    "signing": "SignedConsent SignedRevocation signed_from_json",
    "transactions": "Account Invocation TransactionResult",
    "types": "AccessReceipt AccessRequest CampaignTerms ConsentTerms Judgement LogEntry LogHead",
    "vocabulary": "Category Decision Power Purpose Reason Role",
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names.split()}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'medsync' has no attribute {name!r}")
    return getattr(import_module(f"medsync.{_HOMES[name]}"), name)
