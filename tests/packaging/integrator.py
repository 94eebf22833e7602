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
    LogEntry,
    MedSyncClient,
    Opening,
    Purpose,
    Role,
    TransactionResult,
    connect,
    fetch_events,
    fetch_log,
    load_account,
    read_deployment,
    replay,
)

DAY = 86_400


async def main() -> dict[str, object]:
    """Register a researcher, give a consent, ask for data, be refused, and prove the log complete."""
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
            categories=Category.LABORATORY,
            starts_at=now,
            expires_at=now + DAY,
            max_uses=0,
            reward=None,
            terms_commitment=0,
        )
        given = await as_patient.add_consent(researcher.address, terms)
        assert_type(given, TransactionResult[int])

        request = AccessRequest(patient.address, Purpose.HRESCH, Category.LABORATORY, record=0)
        result = await as_researcher.request_access(request)
        assert_type(result.value, AccessReceipt)

        history = await fetch_log(connection.client, deployment.medsync, patient.address)
        assert_type(history.entries, tuple[LogEntry, ...])
        contracts = {deployment.medsync: "MedSync", deployment.reward_pool: "RewardPool"}
        events = await fetch_events(connection.client, contracts)
        state = replay(events, chain_id=connection.chain_id, contract=deployment.medsync)
        return {
            "refused": refused,
            "decision": result.value.decision.name,
            "entries": history.head.count,
            "replayed": state.log_head(patient.address) == history.head,
        }


if __name__ == "__main__":
    json.dump(asyncio.run(main()), sys.stdout)
