"""What an integrator writes, with public names only: run by the installed package, checked by `mypy`.

Each `assert_type` says what a type checker must know of a name, without any annotation of the integrator's.
"""

import asyncio
import json
import sys
from typing import assert_type

from medsync import (
    AccessReceipt,
    AccessRequest,
    Account,
    Category,
    ConsentTerms,
    ContractError,
    Domain,
    MedSyncClient,
    Opening,
    PatientHistory,
    Purpose,
    Role,
    SignedActs,
    TransactionResult,
    acts_from_json,
    connect,
    fetch_events,
    fetch_patient,
    load_account,
    read_deployment,
    replay_patient,
    sign_acts,
    submit_acts,
)

DAY = 86_400


async def main() -> dict[str, object]:
    """Register a researcher, give a consent, ask for data, be refused, prove and replay the histories."""
    deployment = read_deployment("devnet")
    assert_type(deployment.medsync, int)
    async with connect("devnet") as connection:
        admin, patient, researcher = [await load_account(connection, f"devnet:{n}") for n in (0, 6, 3)]
        assert_type(patient, Account)
        clients = [MedSyncClient(deployment.medsync, account) for account in (admin, patient, researcher)]
        as_admin, as_patient, as_researcher = clients

        profile = Opening.of_json(Domain.PROFILE, {"name": "a synthetic institute"})
        await as_admin.register_entity(researcher.address, Role.RESEARCHER, profile.commitment)
        try:
            await as_patient.register_entity(patient.address, Role.RESEARCHER, profile.commitment)
        except ContractError as error:
            refused = {"code": error.code, "meaning": error.hint}

        now = (await connection.client.get_block("latest")).timestamp
        terms = ConsentTerms(
            purpose=Purpose.HRESCH,
            study=0,
            categories=Category.LABORATORY,
            starts_at=now,
            expires_at=now + DAY,
            max_uses=0,
            scoped=False,
            reward=None,
            terms_commitment=0,
        )
        given = await as_patient.add_consent(researcher.address, terms)
        assert_type(given, TransactionResult[int])

        request = AccessRequest(
            patient.address, Purpose.HRESCH, study=0, categories=Category.LABORATORY, record=0, campaign=0
        )
        result = await as_researcher.request_access(request)
        assert_type(result.value, AccessReceipt)

        # A panic button that somebody else presses for the patient.
        signed = await sign_acts(as_patient, as_patient.revoke_all())
        assert_type(signed, SignedActs)
        await submit_acts(as_researcher, acts_from_json(signed.to_json()))

        history = await fetch_patient(connection.client, deployment.medsync, patient.address)
        assert_type(history, PatientHistory)
        pools = await fetch_events(connection.client, {deployment.reward_pool: "RewardPool"})
        state = replay_patient(history, pools)
        consent = state.consent(patient.address, researcher.address, Purpose.HRESCH, 0)
        return {
            "refused": refused,
            "decision": result.value.decision.name,
            "entries": [len(history.consents.entries), len(history.accesses.entries)],
            "replayed": consent.state.name,
        }


if __name__ == "__main__":
    json.dump(asyncio.run(main()), sys.stdout)
