"""By what every event can be found: its keys, written down here, because all other tests ask the class."""

import json

import pytest

from medsync import artifacts

CONSENT = ["patient", "grantee", "purpose"]

KEYS = {
    "MedSync": {
        "EntityRegistered": ["entity"],
        "EntitySuspended": ["entity"],
        "EntityReinstated": ["entity"],
        "ProfileChanged": ["entity"],
        "AdminTransferBegun": ["new_admin"],
        "AdminTransferCancelled": ["new_admin"],
        "AdminTransferred": ["previous", "admin"],
        "SuccessorAnnounced": ["successor"],
        "PoolCreated": ["pool", "token"],
        "ConsentAdded": CONSENT,
        "ConsentRevoked": CONSENT,
        "AllConsentsRevoked": ["patient"],
        "ConsentRequested": CONSENT,
        "ConsentRefused": CONSENT,
        "PurposeRefused": ["patient", "purpose"],
        "PurposeAllowed": ["patient", "purpose"],
        "DelegateSet": ["patient", "delegate"],
        "DelegatesDismissed": ["patient"],
        "EmergencyChoiceSet": ["patient"],
        "EmergencyHospitalSet": ["patient", "hospital"],
        "SignaturesCancelled": ["patient"],
        "AccessLogged": ["patient", "accessor", "purpose"],
        "EmergencyJustified": ["patient", "accessor"],
        "EmergencyContested": ["patient", "accessor"],
        "DeletionStated": ["patient", "accessor", "purpose"],
    },
    "RewardPool": {
        "CampaignOpened": ["campaign", "funder", "purpose"],
        "RewardDeposited": ["campaign", "funder"],
        "AllowanceIncreased": ["campaign", "accessor"],
        "AllowanceDecreased": ["campaign", "accessor"],
        "RewardSettled": ["campaign", "patient", "grantee"],
        "CustodianSettled": ["campaign", "custodian", "accessor"],
        "RewardWithdrawn": ["owner"],
        "RewardSpent": ["campaign", "spender"],
        "KeyCreditWithdrawn": ["key"],
        "CampaignCloseAnnounced": ["campaign"],
        "CampaignClosed": ["campaign"],
    },
    "PrivateAnchor": {
        "Anchored": ["root", "epoch"],
        "NodesRotated": ["epoch"],
    },
}


@pytest.mark.parametrize("contract", KEYS)
def test_every_event_is_found_by_its_keys(contract: str) -> None:
    found = {
        entry["name"].rsplit("::", 1)[-1]: [
            member["name"] for member in entry["members"] if member["kind"] == "key"
        ]
        for entry in json.loads(artifacts.load(contract).sierra)["abi"]
        if entry["type"] == "event" and entry["kind"] == "struct"
    }
    assert found == KEYS[contract]
