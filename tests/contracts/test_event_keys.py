"""By what every event can be found: its keys, written down here, because all other tests ask the class."""

import json

import pytest

from medsync import artifacts

KEYS = {
    "MedSync": {
        "EntityRegistered": ["entity"],
        "EntitySuspended": ["entity"],
        "EntityReinstated": ["entity"],
        "AdminTransferBegun": ["new_admin"],
        "AdminTransferCancelled": ["new_admin"],
        "AdminTransferred": ["previous", "admin"],
        "ConsentAdded": ["patient", "grantee", "purpose"],
        "ConsentRevoked": ["patient", "grantee", "purpose"],
        "AllConsentsRevoked": ["patient"],
        "ConsentRequested": ["patient", "grantee", "purpose"],
        "ConsentRefused": ["patient", "grantee", "purpose"],
        "DelegateSet": ["patient", "delegate"],
        "EmergencyOptOutSet": ["patient"],
        "SignaturesCancelled": ["patient"],
        "SignatureUsed": ["patient"],
        "AccessLogged": ["patient", "accessor", "purpose"],
        "EmergencyAccessed": ["patient", "accessor"],
    },
    "RewardPool": {
        "CampaignOpened": ["campaign", "funder", "purpose"],
        "RewardDeposited": ["campaign", "funder"],
        "AllowanceSet": ["campaign", "accessor"],
        "RewardAccrued": ["campaign", "patient", "accessor"],
        "RewardWithdrawn": ["owner"],
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
