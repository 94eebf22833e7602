//! Who may ask for data: hospitals, researchers and auditors, registered by an administrator.

pub mod cells;
#[cfg(test)]
mod tests;

#[starknet::component]
pub mod EntityRegistryComponent {
    use core::num::traits::Zero;
    use medsync_interfaces::chain::{Head, Kind, REGISTRY_TAG};
    use medsync_interfaces::entity_registry::{
        ADMIN_DELAY, ADMIN_LAPSE, AdminTransferBegun, AdminTransferCancelled, AdminTransferred,
        Entity, EntityRegistered, EntityReinstated, EntitySuspended, Errors, IEntityRegistry,
        PROFILE_DELAY, PendingAdmin, ProfileChanged, SuccessorAnnounced,
    };
    use medsync_interfaces::vocabulary::Role;
    use starknet::ContractAddress;
    use starknet::storage::{
        Map, StorageMapReadAccess, StorageMapWriteAccess, StoragePointerReadAccess,
        StoragePointerWriteAccess,
    };
    use crate::chain::{HeadPacking, HeadTrait, Link, sealed};
    use crate::context::{Context, context};
    use crate::hash::SpongeTrait;
    use crate::vocabulary::role_code;
    use super::cells::EntityPacking;

    #[storage]
    pub struct Storage {
        EntityRegistry_entities: Map<ContractAddress, Entity>,
        EntityRegistry_admin: ContractAddress,
        /// The administrator itself stands for "nobody": the cell is never cleared, a cleared one
        /// would have to be bought again.
        EntityRegistry_pending: ContractAddress,
        /// When the hand-over began.
        EntityRegistry_begun_at: u64,
        EntityRegistry_successor: ContractAddress,
        EntityRegistry_head: Head,
    }

    #[event]
    #[derive(Drop, starknet::Event)]
    pub enum Event {
        EntityRegistered: EntityRegistered,
        EntitySuspended: EntitySuspended,
        EntityReinstated: EntityReinstated,
        ProfileChanged: ProfileChanged,
        AdminTransferBegun: AdminTransferBegun,
        AdminTransferCancelled: AdminTransferCancelled,
        AdminTransferred: AdminTransferred,
        SuccessorAnnounced: SuccessorAnnounced,
    }

    #[embeddable_as(EntityRegistryImpl)]
    impl EntityRegistry<
        TContractState, +HasComponent<TContractState>,
    > of IEntityRegistry<ComponentState<TContractState>> {
        fn register_entity(
            ref self: ComponentState<TContractState>,
            address: ContractAddress,
            role: Role,
            profile_commitment: felt252,
        ) {
            let context = context();
            let admin = self.assert_admin(context);
            assert(address.is_non_zero(), Errors::ZERO_ADDRESS);
            assert(address != admin, Errors::IS_ADMIN);
            if let Option::Some(pending) = self.pending_admin() {
                let lapsed = context.now >= pending.lapses_at;
                assert(address != pending.address || lapsed, Errors::IS_ADMIN);
            }
            assert(role != Role::None, Errors::BAD_ROLE);
            assert(profile_commitment.is_non_zero(), Errors::ZERO_PROFILE);
            let before = self.EntityRegistry_entities.read(address);
            assert(before.role == Role::None, Errors::ALREADY_REGISTERED);
            let Link { seq, digest } = self.begin(context, Kind::ENTITY_REGISTERED);
            let hash = digest.pair(address.into(), role_code(role)).hash_with(profile_commitment);
            self.EntityRegistry_head.write(sealed(seq, hash));
            let at = context.now;
            let entity = Entity {
                role, suspended: false, registered_at: at, active_since: at, profiled_at: at, seq,
            };
            self.EntityRegistry_entities.write(address, entity);
            self.emit(EntityRegistered { entity: address, seq, at, role, profile_commitment });
        }

        fn suspend_entity(ref self: ComponentState<TContractState>, address: ContractAddress) {
            let context = context();
            let by = self.assert_admin(context);
            self.suspend(context, address, :by);
        }

        fn suspend_self(ref self: ComponentState<TContractState>) {
            let context = context();
            self.suspend(context, context.caller, by: context.caller);
        }

        fn reinstate_entity(ref self: ComponentState<TContractState>, address: ContractAddress) {
            let context = context();
            self.assert_admin(context);
            let entity = self.assert_registered(address);
            assert(entity.suspended, Errors::NOT_SUSPENDED);
            let Link { seq, digest } = self.begin(context, Kind::ENTITY_REINSTATED);
            self.EntityRegistry_head.write(sealed(seq, digest.hash_with(address.into())));
            let at = context.now;
            let entity = Entity { suspended: false, active_since: at, seq, ..entity };
            self.EntityRegistry_entities.write(address, entity);
            self.emit(EntityReinstated { entity: address, seq, at });
        }

        fn change_profile(ref self: ComponentState<TContractState>, profile_commitment: felt252) {
            let context = context();
            let address = context.caller;
            let entity = self.assert_active(address);
            assert(profile_commitment.is_non_zero(), Errors::ZERO_PROFILE);
            let at = context.now;
            assert(at >= entity.profiled_at + PROFILE_DELAY, Errors::PROFILE_TOO_SOON);
            let Link { seq, digest } = self.begin(context, Kind::PROFILE_CHANGED);
            let hash = digest.pair(address.into(), profile_commitment).hash();
            self.EntityRegistry_head.write(sealed(seq, hash));
            let entity = Entity { profiled_at: at, seq, ..entity };
            self.EntityRegistry_entities.write(address, entity);
            self.emit(ProfileChanged { entity: address, seq, at, profile_commitment });
        }

        fn begin_admin_transfer(
            ref self: ComponentState<TContractState>, new_admin: ContractAddress,
        ) {
            let context = context();
            let admin = self.assert_admin(context);
            assert(new_admin.is_non_zero(), Errors::ZERO_ADDRESS);
            assert(new_admin != admin, Errors::IS_ADMIN);
            self.assert_no_entity(new_admin);
            let at = context.now;
            let (ready_at, lapses_at) = (at + ADMIN_DELAY, at + ADMIN_LAPSE);
            let Link { seq, digest } = self.begin(context, Kind::ADMIN_TRANSFER_BEGUN);
            let hash = digest.pair(new_admin.into(), ready_at.into()).hash_with(lapses_at.into());
            self.EntityRegistry_head.write(sealed(seq, hash));
            self.EntityRegistry_pending.write(new_admin);
            self.EntityRegistry_begun_at.write(at);
            self.emit(AdminTransferBegun { new_admin, seq, at, ready_at, lapses_at });
        }

        fn cancel_admin_transfer(ref self: ComponentState<TContractState>) {
            let context = context();
            let admin = self.assert_admin(context);
            let new_admin = self.pending_admin().expect(Errors::NO_TRANSFER).address;
            let Link { seq, digest } = self.begin(context, Kind::ADMIN_TRANSFER_CANCELLED);
            self.EntityRegistry_head.write(sealed(seq, digest.hash_with(new_admin.into())));
            self.EntityRegistry_pending.write(admin);
            self.emit(AdminTransferCancelled { new_admin, seq, at: context.now });
        }

        fn accept_admin_transfer(ref self: ComponentState<TContractState>) {
            let context = context();
            let pending = self.pending_admin().expect(Errors::NO_TRANSFER);
            assert(context.caller == pending.address, Errors::NOT_PENDING_ADMIN);
            assert(context.now >= pending.ready_at, Errors::TRANSFER_NOT_READY);
            assert(context.now < pending.lapses_at, Errors::TRANSFER_LAPSED);
            self.assert_no_entity(pending.address);
            let previous = self.EntityRegistry_admin.read();
            // The successor's cell now equals the administrator, which says that no hand-over is
            // under way.
            self.install(context, :previous, admin: pending.address);
        }

        fn announce_successor(
            ref self: ComponentState<TContractState>, successor: ContractAddress,
        ) {
            let context = context();
            self.assert_admin(context);
            assert(successor != context.this, Errors::BAD_SUCCESSOR);
            let Link { seq, digest } = self.begin(context, Kind::SUCCESSOR_ANNOUNCED);
            self.EntityRegistry_head.write(sealed(seq, digest.hash_with(successor.into())));
            self.EntityRegistry_successor.write(successor);
            self.emit(SuccessorAnnounced { successor, seq, at: context.now });
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
            let begun_at = self.EntityRegistry_begun_at.read();
            Option::Some(
                PendingAdmin {
                    address, ready_at: begun_at + ADMIN_DELAY, lapses_at: begun_at + ADMIN_LAPSE,
                },
            )
        }

        fn successor(self: @ComponentState<TContractState>) -> ContractAddress {
            self.EntityRegistry_successor.read()
        }

        fn registry_head(self: @ComponentState<TContractState>) -> Head {
            self.EntityRegistry_head.read()
        }

        fn edition(self: @ComponentState<TContractState>) -> felt252 {
            'MedSync/2'
        }
    }

    #[generate_trait]
    pub impl InternalImpl<
        TContractState, +HasComponent<TContractState>,
    > of InternalTrait<TContractState> {
        /// Installs the first administrator. For the constructor only.
        fn initialize(ref self: ComponentState<TContractState>, admin: ContractAddress) {
            assert(admin.is_non_zero(), Errors::ZERO_ADDRESS);
            self.EntityRegistry_pending.write(admin);
            self.install(context(), previous: Zero::zero(), :admin);
        }

        /// The entity at `address`, which must have been registered, suspended or not.
        fn assert_registered(
            self: @ComponentState<TContractState>, address: ContractAddress,
        ) -> Entity {
            let entity = self.EntityRegistry_entities.read(address);
            assert(entity.role != Role::None, Errors::UNKNOWN);
            entity
        }

        /// The entity at `address`, which must have been registered and not be suspended.
        fn assert_active(
            self: @ComponentState<TContractState>, address: ContractAddress,
        ) -> Entity {
            let entity = self.assert_registered(address);
            assert(!entity.suspended, Errors::SUSPENDED);
            entity
        }

        fn assert_no_entity(self: @ComponentState<TContractState>, address: ContractAddress) {
            let entity = self.EntityRegistry_entities.read(address);
            assert(entity.role == Role::None, Errors::IS_ENTITY);
        }

        fn assert_admin(
            self: @ComponentState<TContractState>, context: Context,
        ) -> ContractAddress {
            let admin = self.EntityRegistry_admin.read();
            assert(context.caller == admin, Errors::NOT_ADMIN);
            admin
        }

        fn suspend(
            ref self: ComponentState<TContractState>,
            context: Context,
            address: ContractAddress,
            by: ContractAddress,
        ) {
            let entity = self.assert_active(address);
            let Link { seq, digest } = self.begin(context, Kind::ENTITY_SUSPENDED);
            self
                .EntityRegistry_head
                .write(sealed(seq, digest.pair(address.into(), by.into()).hash()));
            let entity = Entity { suspended: true, seq, ..entity };
            self.EntityRegistry_entities.write(address, entity);
            self.emit(EntitySuspended { entity: address, seq, at: context.now, by });
        }

        fn install(
            ref self: ComponentState<TContractState>,
            context: Context,
            previous: ContractAddress,
            admin: ContractAddress,
        ) {
            let Link { seq, digest } = self.begin(context, Kind::ADMIN_TRANSFERRED);
            let hash = digest.pair(previous.into(), admin.into()).hash();
            self.EntityRegistry_head.write(sealed(seq, hash));
            self.EntityRegistry_admin.write(admin);
            self.emit(AdminTransferred { previous, admin, seq, at: context.now });
        }

        fn begin(self: @ComponentState<TContractState>, context: Context, kind: felt252) -> Link {
            let head = self.EntityRegistry_head.read();
            assert(!head.is_full(), Errors::HISTORY_FULL);
            head.next_link(REGISTRY_TAG, context, subject: Zero::zero(), :kind)
        }
    }
}
