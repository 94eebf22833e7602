"""The register of hospitals, researchers and auditors, and who administers it."""

from .state import Base, Entity, operation
from .words import ADMIN_DELAY, require


class Entities(Base):
    @operation
    def register_entity(
        self, caller: int, now: int, address: int, role: str, profile_commitment: int
    ) -> None:
        self._only_admin(caller)
        require(address != 0, "ENTITY/ZERO_ADDRESS")
        require(role != "None", "ENTITY/BAD_ROLE")
        require(profile_commitment != 0, "ENTITY/ZERO_PROFILE")
        require(not self._registered(address), "ENTITY/ALREADY_REGISTERED")
        self.state.entities[address] = Entity(role, False, now)
        self.emit(
            self.medsync,
            "EntityRegistered",
            {"entity": address},
            {"role": role, "profile_commitment": profile_commitment, "at": now},
        )

    @operation
    def suspend_entity(self, caller: int, now: int, address: int) -> None:
        self._only_admin(caller)
        require(self._registered(address), "ENTITY/UNKNOWN")
        require(not self.state.entities[address].suspended, "ENTITY/ALREADY_SUSPENDED")
        self.state.entities[address].suspended = True
        self.emit(self.medsync, "EntitySuspended", {"entity": address}, {})

    @operation
    def reinstate_entity(self, caller: int, now: int, address: int) -> None:
        self._only_admin(caller)
        require(self._registered(address), "ENTITY/UNKNOWN")
        require(self.state.entities[address].suspended, "ENTITY/NOT_SUSPENDED")
        self.state.entities[address].suspended = False
        self.emit(self.medsync, "EntityReinstated", {"entity": address}, {})

    @operation
    def begin_admin_transfer(self, caller: int, now: int, new_admin: int) -> None:
        """Announce a successor; announcing again starts the delay anew."""
        self._only_admin(caller)
        require(new_admin != 0, "ENTITY/ZERO_ADDRESS")
        require(new_admin != self.state.admin, "ENTITY/ALREADY_ADMIN")
        self.state.pending_admin = (new_admin, now + ADMIN_DELAY)
        self.emit(
            self.medsync, "AdminTransferBegun", {"new_admin": new_admin}, {"ready_at": now + ADMIN_DELAY}
        )

    @operation
    def cancel_admin_transfer(self, caller: int, now: int) -> None:
        self._only_admin(caller)
        require(self.state.pending_admin is not None, "ENTITY/NO_TRANSFER")
        new_admin, _ = self.state.pending_admin
        self.state.pending_admin = None
        self.emit(self.medsync, "AdminTransferCancelled", {"new_admin": new_admin}, {})

    @operation
    def accept_admin_transfer(self, caller: int, now: int) -> None:
        require(self.state.pending_admin is not None, "ENTITY/NO_TRANSFER")
        new_admin, ready_at = self.state.pending_admin
        require(caller == new_admin, "ENTITY/NOT_PENDING_ADMIN")
        require(now >= ready_at, "ENTITY/TRANSFER_NOT_READY")
        previous, self.state.admin, self.state.pending_admin = self.state.admin, new_admin, None
        self.emit(self.medsync, "AdminTransferred", {"previous": previous, "admin": new_admin}, {})

    def _only_admin(self, caller: int) -> None:
        require(caller == self.state.admin, "ENTITY/NOT_ADMIN")

    def entity(self, address: int) -> Entity:
        return self.state.entities.get(address, Entity())

    def _registered(self, address: int) -> bool:
        return self.entity(address).role != "None"
