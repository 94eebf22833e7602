"""The first edition's classes as they were built, and a world on them: what the stories of this folder show
in the second edition is only worth something if the first one had the hole."""

import json
import lzma
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from starknet_py.utils.typed_data import TypedData

from medsync.artifacts import Artifact
from scripts import build
from tests.harness.chain import Call, Chain, Class, Outcome
from tests.harness.driver import Abi, Contract, sign
from tests.harness.words import ALL_CATEGORIES, DAY, HRESCH
from tests.harness.world import PROFILE, World

FOLDER = Path(__file__).parent
#: What was declared, by chain.
_declared: dict[tuple[int, str], Class] = {}


@cache
def artifact(name: str) -> Artifact:
    """A class of this folder. `Prepared` is no part of MedSync: its source lies beside it."""
    facts = json.loads((FOLDER / "manifest.json").read_bytes())[name]
    sierra = lzma.decompress((FOLDER / f"{name}.sierra.json.xz").read_bytes()).decode()
    return Artifact(
        name=name,
        sierra=sierra,
        casm="",  # the devnet compiles the class, and compares the hash
        abi=json.loads(sierra)["abi"],
        class_hash=int(facts["class_hash"], 16),
        compiled_class_hash=int(facts["compiled_class_hash"], 16),
    )


def declared(chain: Chain, name: str) -> Class:
    """A class of this folder, declared when it is first asked for."""
    key = id(chain), name
    if key not in _declared:
        chain._declare(artifact(name))
        _declared[key] = Class(artifact(name).class_hash, Abi(artifact(name).abi))
    return _declared[key]


def prepared(world: World, published: Class, cells: Mapping[int, int]) -> Contract:
    """A contract of a published class, some of whose cells were written before it became one."""
    flat = [felt for cell in cells.items() for felt in cell]
    disguise = Class(declared(world.chain, "Prepared").hash, published.abi)
    world.chain.watched = world._contracts
    contract, call = world.chain.deployment(disguise, [len(cells), *flat, published.hash])
    outcome = world.execute(world.relayer, call)
    assert outcome.error is None, outcome.reason
    answer = world.chain.node.call(
        "starknet_getClassHashAt", block_id="latest", contract_address=hex(contract.address)
    )
    assert int(answer, 16) == published.hash
    return contract


class FirstEdition(World):
    """The first edition's `MedSync` and pool, an honest token, a hospital, two researchers (one of them a
    funder), a patient and everybody else."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self._contracts: dict[int, Contract] = {}
        self.puppets: dict[int, Contract] = {}
        self._setup: list[Call] = []
        chain.watched = self._contracts
        self.now = chain.refresh() + 1
        (
            self.admin,
            self.successor,
            self.hospital,
            self.researcher,
            self.funder,
            self.patient,
            self.neighbour,
            self.delegate,
            self.stranger,
            self.relayer,
            *_,
        ) = chain.accounts
        self.medsync = self._old("MedSync", self.admin)
        self.token = self._plan("Token", package=build.MOCKS)
        self.pool = self._old("RewardPool", self.token.address, self.medsync.address)
        for entity, role in (
            (self.hospital, "Hospital"),
            (self.researcher, "Researcher"),
            (self.funder, "Researcher"),
        ):
            self._setup.append(
                self.call("register_entity", address=entity, role=role, profile_commitment=PROFILE)
            )
        self._carry_out(self.admin)

    def _old(self, name: str, *constructor: int) -> Contract:
        contract, call = self.chain.deployment(declared(self.chain, name), constructor)
        self._setup.append(call)
        return contract

    def deploy_old(self, name: str, *constructor: int) -> Contract:
        """A further contract of that class of the first edition."""
        contract = self._old(name, *constructor)
        self._carry_out(self.relayer)
        return contract

    def execute(self, sender: int, *calls: Call) -> Outcome:
        """One transaction of any calls. Only the second edition has histories to hold it against."""
        return self.chain.execute(*self._from(sender, calls), self.now)

    def new_puppet(self) -> Contract:
        """The puppet of the first edition's tests, which could also play a pool."""
        return self.deploy_old("Puppet")

    def terms(self, **changes: Any) -> dict[str, Any]:
        """Consent terms, as of the first edition."""
        return {
            "purpose": HRESCH,
            "categories": ALL_CATEGORIES,
            "starts_at": self.now,
            "expires_at": self.now + DAY,
            "max_uses": 0,
            "reward": None,
            "terms_commitment": 0x7E45,
        } | changes

    def campaign(self, **changes: Any) -> dict[str, Any]:
        """Campaign terms, as of the first edition."""
        return {
            "pool": self.pool.address,
            "funder": self.funder,
            "purpose": HRESCH,
            "rate": 1000,
            "custodian": self.hospital,
            "custodian_bps": 1000,
            "expires_at": self.now + 30 * DAY,
            "salt": 1,
        } | changes

    def request(self, **changes: Any) -> dict[str, Any]:
        """A request to the patient's observations, as of the first edition."""
        return {
            "patient": self.patient,
            "purpose": HRESCH,
            "categories": 1 << 7,
            "record": 0xEC04D,
            "campaign": None,
        } | changes

    def verdict(self, **changes: Any) -> tuple[str, str, int]:
        """What the first edition's `verify_consent` answers."""
        arguments = {
            "patient": self.patient,
            "grantee": self.researcher,
            "purpose": HRESCH,
            "categories": 1 << 7,
        } | changes
        answer = self.read("verify_consent", **arguments)
        assert isinstance(answer, tuple)
        return answer

    def signed_consent(self, *, version: int, **changes: Any) -> dict[str, Any]:
        """The calldata of a consent signed by the patient."""
        parts: dict[str, Any] = {
            "patient": self.patient,
            "grantee": self.researcher,
            "terms": self.terms(),
            "nonce": 0,
            "deadline": self.now + 3600,
        } | changes
        return parts | {"signature": self._sign("Consent", parts | parts["terms"] | {"version": version})}

    def signed_withdrawal(self, **changes: Any) -> dict[str, Any]:
        """The calldata of a withdrawal signed by the patient."""
        parts: dict[str, Any] = {
            "patient": self.patient,
            "grantee": self.researcher,
            "purpose": HRESCH,
            "nonce": 0,
            "deadline": self.now + 3600,
        } | changes
        return parts | {"signature": self._sign("Revocation", parts)}

    def _sign(self, kind: str, message: Mapping[str, Any]) -> list[int]:
        fields = dict(message) | {"contract": self.medsync.address}
        typed_data = {
            "types": {
                name: [{"name": field, "type": inner} for field, inner in _TYPES[name].items()]
                for name in ("StarknetDomain", kind)
            },
            "primaryType": kind,
            "domain": {
                "name": "MedSync",
                "version": "v1",
                "chainId": hex(self.chain.chain_id),
                "revision": 1,
            },
            "message": {field: hex(fields[field]) for field in _TYPES[kind]},
        }
        message_hash = TypedData.from_dict(typed_data).message_hash(self.patient)  # type: ignore[arg-type]
        return sign(message_hash, self.chain.accounts[self.patient].key)


_TYPES = {
    "StarknetDomain": dict.fromkeys(("name", "version", "chainId", "revision"), "shortstring"),
    "Consent": {
        "contract": "ContractAddress",
        "grantee": "ContractAddress",
        "purpose": "shortstring",
        "categories": "u128",
        "starts_at": "timestamp",
        "expires_at": "timestamp",
        "max_uses": "u128",
        "terms_commitment": "felt",
        "version": "u128",
        "nonce": "u128",
        "deadline": "timestamp",
    },
    "Revocation": {
        "contract": "ContractAddress",
        "grantee": "ContractAddress",
        "purpose": "shortstring",
        "nonce": "u128",
        "deadline": "timestamp",
    },
}
