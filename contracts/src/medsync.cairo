//! The deployed contract: entities, consents and access log in one, because deciding, consuming and
//! logging must be one atomic step.

#[starknet::contract]
pub mod MedSync {
    use starknet::ContractAddress;
    use crate::access_log::{AccessLogComponent, IACCESS_LOG_ID};
    use crate::consent_registry::{ConsentRegistryComponent, ICONSENT_REGISTRY_ID};
    use crate::entity_registry::EntityRegistryComponent::InternalTrait;
    use crate::entity_registry::{EntityRegistryComponent, IENTITY_REGISTRY_ID};
    use crate::src5::{ISRC5, ISRC5_ID};

    component!(path: EntityRegistryComponent, storage: entities, event: EntityRegistryEvent);
    component!(path: ConsentRegistryComponent, storage: consents, event: ConsentRegistryEvent);
    component!(path: AccessLogComponent, storage: access_log, event: AccessLogEvent);

    #[storage]
    struct Storage {
        #[substorage(v0)]
        entities: EntityRegistryComponent::Storage,
        #[substorage(v0)]
        consents: ConsentRegistryComponent::Storage,
        #[substorage(v0)]
        access_log: AccessLogComponent::Storage,
    }

    #[event]
    #[derive(Drop, starknet::Event)]
    enum Event {
        #[flat]
        EntityRegistryEvent: EntityRegistryComponent::Event,
        #[flat]
        ConsentRegistryEvent: ConsentRegistryComponent::Event,
        #[flat]
        AccessLogEvent: AccessLogComponent::Event,
    }

    /// Installs the first administrator.
    ///
    /// Errors: `ENTITY/ZERO_ADDRESS`.
    #[constructor]
    fn constructor(ref self: ContractState, admin: ContractAddress) {
        self.entities.initialize(admin);
    }

    #[abi(embed_v0)]
    impl EntityRegistry =
        EntityRegistryComponent::EntityRegistryImpl<ContractState>;
    #[abi(embed_v0)]
    impl ConsentRegistry =
        ConsentRegistryComponent::ConsentRegistryImpl<ContractState>;
    #[abi(embed_v0)]
    impl AccessLog = AccessLogComponent::AccessLogImpl<ContractState>;

    #[abi(embed_v0)]
    impl SRC5 of ISRC5<ContractState> {
        fn supports_interface(self: @ContractState, interface_id: felt252) -> bool {
            interface_id == IACCESS_LOG_ID
                || interface_id == ICONSENT_REGISTRY_ID
                || interface_id == IENTITY_REGISTRY_ID
                || interface_id == ISRC5_ID
        }
    }
}
