"""MedSync: patients' consents, provable access logs and rewards on Starknet.

What can be imported from here is the public interface, listed in `__all__`; all other modules may change with
any release. Importing the package is cheap: a module is loaded when one of its names is first used.

    >>> from medsync import Purpose
    >>> Purpose.HRESCH.name
    'HRESCH'
"""

import ast
import logging
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medsync import _deferred
from medsync._version import __version__ as __version__

# Here, because every module of the package is imported after this one, and some before starknet-py.
_deferred.install()

# A program decides what becomes of what a library logs; until then nothing is printed.
logging.getLogger("medsync").addHandler(logging.NullHandler())

# The one list of public names. Type checkers follow these imports; at run time `__getattr__` does.
if TYPE_CHECKING:
    from medsync.deployment.record import read_deployment as read_deployment
    from medsync.errors import ContractError as ContractError
    from medsync.errors import InputError as InputError
    from medsync.errors import MedSyncError as MedSyncError
    from medsync.errors import NetworkError as NetworkError
    from medsync.errors import NonceConflict as NonceConflict
    from medsync.errors import PublicNetworkError as PublicNetworkError
    from medsync.errors import VerificationError as VerificationError
    from medsync.log.exports.fhir import to_bundle as to_bundle
    from medsync.log.exports.json import verify_export as verify_export
    from medsync.log.exports.receipt import consent_receipt as consent_receipt
    from medsync.log.fetch import fetch_consents as fetch_consents
    from medsync.log.fetch import fetch_events as fetch_events
    from medsync.log.fetch import fetch_heads as fetch_heads
    from medsync.log.fetch import fetch_log as fetch_log
    from medsync.log.fetch import fetch_patient as fetch_patient
    from medsync.log.fetch import fetch_registry as fetch_registry
    from medsync.log.fetch import prove_complete as prove_complete
    from medsync.log.histories import BlockHeader as BlockHeader
    from medsync.log.histories import Checkpoint as Checkpoint
    from medsync.log.histories import Heads as Heads
    from medsync.log.histories import History as History
    from medsync.log.histories import PatientHistory as PatientHistory
    from medsync.log.replay import replay as replay
    from medsync.log.replay import replay_patient as replay_patient
    from medsync.protocol.chains import Chain as Chain
    from medsync.protocol.commitments import Domain as Domain
    from medsync.protocol.commitments import Opening as Opening
    from medsync.protocol.events import LogEntry as LogEntry
    from medsync.protocol.events import decode_event as decode_event
    from medsync.protocol.events import events_of as events_of
    from medsync.protocol.types import AccessReceipt as AccessReceipt
    from medsync.protocol.types import AccessRequest as AccessRequest
    from medsync.protocol.types import CampaignTerms as CampaignTerms
    from medsync.protocol.types import Claim as Claim
    from medsync.protocol.types import ConsentTerms as ConsentTerms
    from medsync.protocol.types import Head as Head
    from medsync.protocol.types import PatientState as PatientState
    from medsync.protocol.types import Payee as Payee
    from medsync.protocol.types import Subject as Subject
    from medsync.protocol.types import Verdict as Verdict
    from medsync.protocol.vocabulary import Category as Category
    from medsync.protocol.vocabulary import ConsentStatus as ConsentStatus
    from medsync.protocol.vocabulary import Decision as Decision
    from medsync.protocol.vocabulary import EmergencyChoice as EmergencyChoice
    from medsync.protocol.vocabulary import PayeeKind as PayeeKind
    from medsync.protocol.vocabulary import Power as Power
    from medsync.protocol.vocabulary import Purpose as Purpose
    from medsync.protocol.vocabulary import Reason as Reason
    from medsync.protocol.vocabulary import Role as Role
    from medsync.starknet.accounts import create_account as create_account
    from medsync.starknet.accounts import create_keystore as create_keystore
    from medsync.starknet.accounts import load_account as load_account
    from medsync.starknet.accounts import predeployed_accounts as predeployed_accounts
    from medsync.starknet.anchor import PrivateAnchorClient as PrivateAnchorClient
    from medsync.starknet.clients import Erc20Client as Erc20Client
    from medsync.starknet.clients import MedSyncClient as MedSyncClient
    from medsync.starknet.clients import RewardPoolClient as RewardPoolClient
    from medsync.starknet.fees import InsufficientBalance as InsufficientBalance
    from medsync.starknet.network import Connection as Connection
    from medsync.starknet.network import connect as connect
    from medsync.starknet.outside import SignedActs as SignedActs
    from medsync.starknet.outside import acts_from_json as acts_from_json
    from medsync.starknet.outside import sign_acts as sign_acts
    from medsync.starknet.outside import submit_acts as submit_acts
    from medsync.starknet.signer import StarkSigner as StarkSigner
    from medsync.starknet.signing import SignedConsent as SignedConsent
    from medsync.starknet.signing import SignedRevocation as SignedRevocation
    from medsync.starknet.signing import signed_from_json as signed_from_json
    from medsync.starknet.transactions import Account as Account
    from medsync.starknet.transactions import Invocation as Invocation
    from medsync.starknet.transactions import TransactionResult as TransactionResult
    from medsync.starknet.transactions import UnknownOutcome as UnknownOutcome


def _public_names() -> dict[str, str]:
    """The module of each public name, read from the imports above."""
    source = ast.parse(Path(__file__).read_text(encoding="utf-8"))
    (listed,) = (node for node in source.body if isinstance(node, ast.If))
    return {
        alias.name: str(node.module)
        for node in listed.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


_MODULES = _public_names()

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'medsync' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
