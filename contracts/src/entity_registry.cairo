//! Who may ask for data: hospitals, researchers and auditors, registered by an administrator.

use starknet::ContractAddress;
use starknet::storage_access::StorePacking;
use crate::packing::{bit, packed_time, split};
use crate::vocabulary::{Role, role_code, role_from_code};

/// A registered entity, packed into one cell: `role:8 | suspended:1 | registered_at:40`.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub struct Entity {
    /// `None` for an address that was never registered.
    pub role: Role,
    pub suspended: bool,
    /// Unix seconds of the registration.
    pub registered_at: u64,
}

/// The hand-over that is under way.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub struct PendingAdmin {
    pub address: ContractAddress,
    /// Unix seconds from which it can be accepted.
    pub ready_at: u64,
}

/// Seconds between beginning a hand-over of the administration and the first moment it can be
/// accepted: 48 hours.
pub const ADMIN_DELAY: u64 = 172_800;

/// SRC-5 id: XOR of the extended selectors of `IEntityRegistry` (SNIP-5).
pub const IENTITY_REGISTRY_ID: felt252 =
    0x2b3defee868aa2e6e890414bce4a8a88219a388bebcb3d6cda617789b47c3bb;

/// Registration, suspension and the administrator who does both.
#[starknet::interface]
pub trait IEntityRegistry<TState> {
    /// Registers an entity.
    ///
    /// Preconditions: `address` not zero and never registered; `role` not `None`;
    ///   `profile_commitment` (salted hash of the entity's off-chain profile) not zero.
    /// Effects: writes the entity's cell (new).
    /// Emits: `EntityRegistered`.
    /// Errors: `ENTITY/NOT_ADMIN`, `ENTITY/ZERO_ADDRESS`, `ENTITY/BAD_ROLE`, `ENTITY/ZERO_PROFILE`,
    ///   `ENTITY/ALREADY_REGISTERED`.
    /// Access: the administrator.
    fn register_entity(
        ref self: TState, address: ContractAddress, role: Role, profile_commitment: felt252,
    );

    /// Suspends an entity: its requests are refused and logged from now on. Consents given to it
    /// stay as they are.
    ///
    /// Preconditions: registered and not suspended.
    /// Effects: writes the entity's cell.
    /// Emits: `EntitySuspended`.
    /// Errors: `ENTITY/NOT_ADMIN`, `ENTITY/UNKNOWN`, `ENTITY/ALREADY_SUSPENDED`.
    /// Access: the administrator.
    fn suspend_entity(ref self: TState, address: ContractAddress);

    /// Lifts a suspension.
    ///
    /// Preconditions: registered and suspended.
    /// Effects: writes the entity's cell.
    /// Emits: `EntityReinstated`.
    /// Errors: `ENTITY/NOT_ADMIN`, `ENTITY/UNKNOWN`, `ENTITY/NOT_SUSPENDED`.
    /// Access: the administrator.
    fn reinstate_entity(ref self: TState, address: ContractAddress);

    /// Begins handing the administration over. The present administrator stays until the new one
    /// accepts, so the office is never empty; beginning again names another successor and starts
    /// the delay anew.
    ///
    /// Preconditions: `new_admin` neither zero nor the administrator.
    /// Effects: writes the successor and the time from which it may accept.
    /// Emits: `AdminTransferBegun`.
    /// Errors: `ENTITY/NOT_ADMIN`, `ENTITY/ZERO_ADDRESS`, `ENTITY/ALREADY_ADMIN`.
    /// Access: the administrator.
    fn begin_admin_transfer(ref self: TState, new_admin: ContractAddress);

    /// Calls the hand-over off.
    ///
    /// Preconditions: one is under way.
    /// Effects: writes the successor's cell.
    /// Emits: `AdminTransferCancelled`.
    /// Errors: `ENTITY/NOT_ADMIN`, `ENTITY/NO_TRANSFER`.
    /// Access: the administrator.
    fn cancel_admin_transfer(ref self: TState);

    /// Takes the administration over.
    ///
    /// Preconditions: a hand-over to the caller is under way and `ADMIN_DELAY` has passed.
    /// Effects: writes the administrator.
    /// Emits: `AdminTransferred`.
    /// Errors: `ENTITY/NO_TRANSFER`, `ENTITY/NOT_PENDING_ADMIN`, `ENTITY/TRANSFER_NOT_READY`.
    /// Access: the pending administrator.
    fn accept_admin_transfer(ref self: TState);

    /// The entity at `address`; role `None` if it was never registered. View, anyone.
    fn entity(self: @TState, address: ContractAddress) -> Entity;

    /// The administrator. View, anyone.
    fn admin(self: @TState) -> ContractAddress;

    /// The hand-over under way, if any. View, anyone.
    fn pending_admin(self: @TState) -> Option<PendingAdmin>;
}

pub impl EntityPacking of StorePacking<Entity, felt252> {
    fn pack(value: Entity) -> felt252 {
        role_code(value.role).into()
            + bit(value.suspended) * 0x100
            + packed_time(value.registered_at) * 0x200
    }

    fn unpack(value: felt252) -> Entity {
        let (value, _) = split(value);
        let (rest, role) = DivRem::div_rem(value, 0x100);
        let (registered_at, suspended) = DivRem::div_rem(rest, 2);
        Entity {
            role: role_from_code(role.try_into().unwrap()),
            suspended: suspended == 1,
            registered_at: registered_at.try_into().unwrap(),
        }
    }
}

pub mod Errors {
    /// The address was never registered as an entity.
    pub const UNKNOWN: felt252 = 'ENTITY/UNKNOWN';
    /// The administrator suspended the entity.
    pub const SUSPENDED: felt252 = 'ENTITY/SUSPENDED';
    /// Only the administrator may do this.
    pub const NOT_ADMIN: felt252 = 'ENTITY/NOT_ADMIN';
    /// The address is zero.
    pub const ZERO_ADDRESS: felt252 = 'ENTITY/ZERO_ADDRESS';
    /// `None` is no role to register.
    pub const BAD_ROLE: felt252 = 'ENTITY/BAD_ROLE';
    /// The profile commitment is zero.
    pub const ZERO_PROFILE: felt252 = 'ENTITY/ZERO_PROFILE';
    /// The address is registered already; a role never changes.
    pub const ALREADY_REGISTERED: felt252 = 'ENTITY/ALREADY_REGISTERED';
    /// The entity is suspended already.
    pub const ALREADY_SUSPENDED: felt252 = 'ENTITY/ALREADY_SUSPENDED';
    /// The entity is not suspended.
    pub const NOT_SUSPENDED: felt252 = 'ENTITY/NOT_SUSPENDED';
    /// The address is the administrator already.
    pub const ALREADY_ADMIN: felt252 = 'ENTITY/ALREADY_ADMIN';
    /// No hand-over of the administration is under way.
    pub const NO_TRANSFER: felt252 = 'ENTITY/NO_TRANSFER';
    /// The hand-over is to somebody else.
    pub const NOT_PENDING_ADMIN: felt252 = 'ENTITY/NOT_PENDING_ADMIN';
    /// The hand-over can only be accepted 48 hours after it began.
    pub const TRANSFER_NOT_READY: felt252 = 'ENTITY/TRANSFER_NOT_READY';
}

#[starknet::component]
pub mod EntityRegistryComponent {
    use core::num::traits::Zero;
    use starknet::storage::{
        Map, StorageMapReadAccess, StorageMapWriteAccess, StoragePointerReadAccess,
        StoragePointerWriteAccess,
    };
    use starknet::{ContractAddress, get_block_timestamp, get_caller_address};
    use crate::vocabulary::Role;
    use super::{ADMIN_DELAY, Entity, Errors, PendingAdmin};

    #[storage]
    pub struct Storage {
        EntityRegistry_entities: Map<ContractAddress, Entity>,
        EntityRegistry_admin: ContractAddress,
        /// The administrator itself stands for "nobody": the cell is never cleared, a cleared one
        /// would have to be bought again.
        EntityRegistry_pending: ContractAddress,
        EntityRegistry_ready_at: u64,
    }

    #[event]
    #[derive(Drop, starknet::Event)]
    pub enum Event {
        EntityRegistered: EntityRegistered,
        EntitySuspended: EntitySuspended,
        EntityReinstated: EntityReinstated,
        AdminTransferBegun: AdminTransferBegun,
        AdminTransferCancelled: AdminTransferCancelled,
        AdminTransferred: AdminTransferred,
    }

    /// An entity was registered at `at` (unix seconds).
    #[derive(Drop, starknet::Event)]
    pub struct EntityRegistered {
        #[key]
        pub entity: ContractAddress,
        pub role: Role,
        pub profile_commitment: felt252,
        pub at: u64,
    }

    /// An entity's requests are refused from now on.
    #[derive(Drop, starknet::Event)]
    pub struct EntitySuspended {
        #[key]
        pub entity: ContractAddress,
    }

    /// An entity's suspension was lifted.
    #[derive(Drop, starknet::Event)]
    pub struct EntityReinstated {
        #[key]
        pub entity: ContractAddress,
    }

    /// `new_admin` may take over from `ready_at` (unix seconds).
    #[derive(Drop, starknet::Event)]
    pub struct AdminTransferBegun {
        #[key]
        pub new_admin: ContractAddress,
        pub ready_at: u64,
    }

    /// The hand-over to `new_admin` was called off.
    #[derive(Drop, starknet::Event)]
    pub struct AdminTransferCancelled {
        #[key]
        pub new_admin: ContractAddress,
    }

    /// The administration changed hands; `previous` is zero at deployment.
    #[derive(Drop, starknet::Event)]
    pub struct AdminTransferred {
        #[key]
        pub previous: ContractAddress,
        #[key]
        pub admin: ContractAddress,
    }

    #[embeddable_as(EntityRegistryImpl)]
    impl EntityRegistry<
        TContractState, +HasComponent<TContractState>,
    > of super::IEntityRegistry<ComponentState<TContractState>> {
        fn register_entity(
            ref self: ComponentState<TContractState>,
            address: ContractAddress,
            role: Role,
            profile_commitment: felt252,
        ) {
            self.assert_admin();
            assert(address.is_non_zero(), Errors::ZERO_ADDRESS);
            assert(role != Role::None, Errors::BAD_ROLE);
            assert(profile_commitment.is_non_zero(), Errors::ZERO_PROFILE);
            assert(
                self.EntityRegistry_entities.read(address).role == Role::None,
                Errors::ALREADY_REGISTERED,
            );
            let at = get_block_timestamp();
            self
                .EntityRegistry_entities
                .write(address, Entity { role, suspended: false, registered_at: at });
            self.emit(EntityRegistered { entity: address, role, profile_commitment, at });
        }

        fn suspend_entity(ref self: ComponentState<TContractState>, address: ContractAddress) {
            self.assert_admin();
            let entity = self.assert_registered(address);
            assert(!entity.suspended, Errors::ALREADY_SUSPENDED);
            self.EntityRegistry_entities.write(address, Entity { suspended: true, ..entity });
            self.emit(EntitySuspended { entity: address });
        }

        fn reinstate_entity(ref self: ComponentState<TContractState>, address: ContractAddress) {
            self.assert_admin();
            let entity = self.assert_registered(address);
            assert(entity.suspended, Errors::NOT_SUSPENDED);
            self.EntityRegistry_entities.write(address, Entity { suspended: false, ..entity });
            self.emit(EntityReinstated { entity: address });
        }

        fn begin_admin_transfer(
            ref self: ComponentState<TContractState>, new_admin: ContractAddress,
        ) {
            let admin = self.assert_admin();
            assert(new_admin.is_non_zero(), Errors::ZERO_ADDRESS);
            assert(new_admin != admin, Errors::ALREADY_ADMIN);
            let ready_at = get_block_timestamp() + ADMIN_DELAY;
            self.EntityRegistry_pending.write(new_admin);
            self.EntityRegistry_ready_at.write(ready_at);
            self.emit(AdminTransferBegun { new_admin, ready_at });
        }

        fn cancel_admin_transfer(ref self: ComponentState<TContractState>) {
            let admin = self.assert_admin();
            let pending = self.pending_admin().expect(Errors::NO_TRANSFER);
            self.EntityRegistry_pending.write(admin);
            self.emit(AdminTransferCancelled { new_admin: pending.address });
        }

        fn accept_admin_transfer(ref self: ComponentState<TContractState>) {
            let pending = self.pending_admin().expect(Errors::NO_TRANSFER);
            assert(get_caller_address() == pending.address, Errors::NOT_PENDING_ADMIN);
            assert(get_block_timestamp() >= pending.ready_at, Errors::TRANSFER_NOT_READY);
            let previous = self.EntityRegistry_admin.read();
            // The successor's cell now equals the administrator, which says that no hand-over is
            // under way.
            self.EntityRegistry_admin.write(pending.address);
            self.emit(AdminTransferred { previous, admin: pending.address });
        }

        fn entity(self: @ComponentState<TContractState>, address: ContractAddress) -> Entity {
            self.EntityRegistry_entities.read(address)
        }

        fn admin(self: @ComponentState<TContractState>) -> ContractAddress {
            self.EntityRegistry_admin.read()
        }

        fn pending_admin(self: @ComponentState<TContractState>) -> Option<PendingAdmin> {
            let address = self.EntityRegistry_pending.read();
            if address == self.EntityRegistry_admin.read() {
                return Option::None;
            }
            Option::Some(PendingAdmin { address, ready_at: self.EntityRegistry_ready_at.read() })
        }
    }

    #[generate_trait]
    pub impl InternalImpl<
        TContractState, +HasComponent<TContractState>,
    > of InternalTrait<TContractState> {
        /// Installs the first administrator. For the constructor only.
        fn initialize(ref self: ComponentState<TContractState>, admin: ContractAddress) {
            assert(admin.is_non_zero(), Errors::ZERO_ADDRESS);
            self.EntityRegistry_admin.write(admin);
            self.EntityRegistry_pending.write(admin);
            self.emit(AdminTransferred { previous: Zero::zero(), admin });
        }

        /// The entity at `address`, which must have been registered, suspended or not.
        fn assert_registered(
            self: @ComponentState<TContractState>, address: ContractAddress,
        ) -> Entity {
            let entity = self.EntityRegistry_entities.read(address);
            assert(entity.role != Role::None, Errors::UNKNOWN);
            entity
        }

        fn assert_admin(self: @ComponentState<TContractState>) -> ContractAddress {
            let admin = self.EntityRegistry_admin.read();
            assert(get_caller_address() == admin, Errors::NOT_ADMIN);
            admin
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::packing::MAX_TIME;
    use crate::vocabulary::Role;
    use super::{Entity, EntityPacking};

    #[test]
    fn entities_survive_packing() {
        for role in array![Role::None, Role::Hospital, Role::Researcher, Role::Auditor] {
            for suspended in array![false, true] {
                for registered_at in array![0, 1, MAX_TIME] {
                    let entity = Entity { role, suspended, registered_at };
                    assert!(EntityPacking::unpack(EntityPacking::pack(entity)) == entity);
                }
            }
        }
    }

    #[test]
    #[should_panic(expected: 'PACK/RANGE')]
    fn registered_at_out_of_range_panics() {
        EntityPacking::pack(
            Entity { role: Role::Auditor, suspended: false, registered_at: MAX_TIME + 1 },
        );
    }
}
