"""The register of hospitals, researchers and auditors, and who administers it."""

from typing import Any

from .state import Base, Entity, Pending, operation
from .words import ADMIN_DELAY, ADMIN_LAPSE, PROFILE_DELAY, require


class Entities(Base):
    @operation
    def register_entity(
        self, caller: int, now: int, address: int, role: str, profile_commitment: int
    ) -> None:
        self._only_admin(caller)
        require(address != 0, "ENTITY/ZERO_ADDRESS")
        pending = self.state.pending_admin
        require(address != self.state.admin, "ENTITY/IS_ADMIN")
        require(pending is None or address != pending.address, "ENTITY/IS_ADMIN")
        require(role != "None", "ENTITY/BAD_ROLE")
        require(profile_commitment != 0, "ENTITY/ZERO_PROFILE")
        require(not self._registered(address), "ENTITY/ALREADY_REGISTERED")
        self.state.entities[address] = Entity(role, False, now, now, now)
        data = {"role": role, "profile_commitment": profile_commitment}
        self._enter_about(now, "EntityRegistered", address, data)

    @operation
    def suspend_entity(self, caller: int, now: int, address: int) -> None:
        self._only_admin(caller)
        self._suspend(caller, now, address)

    @operation
    def suspend_self(self, caller: int, now: int) -> None:
        """Whose key may be stolen can stop at once; only the administrator can lift it."""
        self._suspend(caller, now, caller)

    def _suspend(self, by: int, now: int, address: int) -> None:
        self._active(address).suspended = True
        self._enter_about(now, "EntitySuspended", address, {"by": by})

    @operation
    def reinstate_entity(self, caller: int, now: int, address: int) -> None:
        self._only_admin(caller)
        require(self._registered(address), "ENTITY/UNKNOWN")
        entity = self.state.entities[address]
        require(entity.suspended, "ENTITY/NOT_SUSPENDED")
        entity.suspended, entity.active_since = False, now
        self._enter_about(now, "EntityReinstated", address, {})

    @operation
    def change_profile(self, caller: int, now: int, profile_commitment: int) -> None:
        entity = self._active(caller)
        require(profile_commitment != 0, "ENTITY/ZERO_PROFILE")
        require(now >= entity.profiled_at + PROFILE_DELAY, "ENTITY/PROFILE_TOO_SOON")
        entity.profiled_at = now
        self._enter_about(now, "ProfileChanged", caller, {"profile_commitment": profile_commitment})

    @operation
    def begin_admin_transfer(self, caller: int, now: int, new_admin: int) -> None:
        """Name the next administrator; naming again starts the delay anew."""
        self._only_admin(caller)
        require(new_admin != 0, "ENTITY/ZERO_ADDRESS")
        require(new_admin != self.state.admin, "ENTITY/IS_ADMIN")
        require(not self._registered(new_admin), "ENTITY/IS_ENTITY")
        pending = Pending(new_admin, now + ADMIN_DELAY, now + ADMIN_LAPSE)
        self.state.pending_admin = pending
        self.enter_registry(
            now,
            "AdminTransferBegun",
            {"new_admin": new_admin},
            {"ready_at": pending.ready_at, "lapses_at": pending.lapses_at},
        )

    @operation
    def cancel_admin_transfer(self, caller: int, now: int) -> None:
        self._only_admin(caller)
        pending = self.state.pending_admin
        require(pending is not None, "ENTITY/NO_TRANSFER")
        self.state.pending_admin = None
        self.enter_registry(now, "AdminTransferCancelled", {"new_admin": pending.address}, {})

    @operation
    def accept_admin_transfer(self, caller: int, now: int) -> None:
        pending = self.state.pending_admin
        require(pending is not None, "ENTITY/NO_TRANSFER")
        require(caller == pending.address, "ENTITY/NOT_PENDING_ADMIN")
        require(now >= pending.ready_at, "ENTITY/TRANSFER_NOT_READY")
        require(now < pending.lapses_at, "ENTITY/TRANSFER_LAPSED")
        require(not self._registered(caller), "ENTITY/IS_ENTITY")
        previous, self.state.admin, self.state.pending_admin = self.state.admin, caller, None
        self.enter_registry(now, "AdminTransferred", {"previous": previous, "admin": caller}, {})

    @operation
    def announce_successor(self, caller: int, now: int, successor: int) -> None:
        self._only_admin(caller)
        require(successor != self.medsync, "ENTITY/BAD_SUCCESSOR")
        self.state.successor = successor
        self.enter_registry(now, "SuccessorAnnounced", {"successor": successor}, {})

    def entity(self, address: int) -> Entity:
        return self.state.entities.get(address, Entity())

    def _only_admin(self, caller: int) -> None:
        require(caller == self.state.admin, "ENTITY/NOT_ADMIN")

    def _registered(self, address: int) -> bool:
        return self.entity(address).role != "None"

    def _active(self, address: int) -> Entity:
        """The entity, which must be registered and not suspended."""
        require(self._registered(address), "ENTITY/UNKNOWN")
        entity = self.state.entities[address]
        require(not entity.suspended, "ENTITY/SUSPENDED")
        return entity

    def _enter_about(self, now: int, name: str, address: int, data: dict[str, Any]) -> None:
        """An entry about an entity, which keeps the number of its latest one."""
        self.state.entities[address].seq = self.enter_registry(now, name, {"entity": address}, data)
