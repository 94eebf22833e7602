//! The deployed contract: entities, consents, budgets and access log in one, because deciding,
//! consuming, charging and logging must be one atomic step that calls nobody.

#[starknet::contract]
pub mod MedSync {
    use medsync_interfaces::access_log::IACCESS_LOG_ID;
    use medsync_interfaces::consent_registry::ICONSENT_REGISTRY_ID;
    use medsync_interfaces::entity_registry::IENTITY_REGISTRY_ID;
    use medsync_interfaces::reward_budgets::IREWARD_BUDGETS_ID;
    use medsync_interfaces::snip12::ISNIP12Metadata;
    use medsync_interfaces::src5::{ISRC5, ISRC5_ID};
    use starknet::{ClassHash, ContractAddress};
    use crate::access_log::AccessLogComponent;
    use crate::consent_registry::ConsentRegistryComponent;
    use crate::entity_registry::EntityRegistryComponent;
    use crate::entity_registry::EntityRegistryComponent::InternalTrait as EntitiesInternal;
    use crate::reward_budgets::RewardBudgetsComponent;
    use crate::reward_budgets::RewardBudgetsComponent::InternalTrait as BudgetsInternal;
    use crate::snip12::{DOMAIN_NAME, DOMAIN_VERSION};

    component!(path: EntityRegistryComponent, storage: entities, event: EntityRegistryEvent);
    component!(path: RewardBudgetsComponent, storage: budgets, event: RewardBudgetsEvent);
    component!(path: ConsentRegistryComponent, storage: consents, event: ConsentRegistryEvent);
    component!(path: AccessLogComponent, storage: access_log, event: AccessLogEvent);

    #[storage]
    struct Storage {
        #[substorage(v0)]
        entities: EntityRegistryComponent::Storage,
        #[substorage(v0)]
        budgets: RewardBudgetsComponent::Storage,
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
        RewardBudgetsEvent: RewardBudgetsComponent::Event,
        #[flat]
        ConsentRegistryEvent: ConsentRegistryComponent::Event,
        #[flat]
        AccessLogEvent: AccessLogComponent::Event,
    }

    /// Installs the first administrator and fixes the class of all pools.
    ///
    /// Errors:
    /// - `ENTITY/ZERO_ADDRESS`, `BUDGET/ZERO_CLASS`
    #[constructor]
    fn constructor(ref self: ContractState, admin: ContractAddress, pool_class: ClassHash) {
        self.entities.initialize(admin);
        self.budgets.initialize(pool_class);
    }

    #[abi(embed_v0)]
    impl EntityRegistry =
        EntityRegistryComponent::EntityRegistryImpl<ContractState>;
    #[abi(embed_v0)]
    impl RewardBudgets = RewardBudgetsComponent::RewardBudgetsImpl<ContractState>;
    #[abi(embed_v0)]
    impl ConsentRegistry =
        ConsentRegistryComponent::ConsentRegistryImpl<ContractState>;
    #[abi(embed_v0)]
    impl AccessLog = AccessLogComponent::AccessLogImpl<ContractState>;

    #[abi(embed_v0)]
    impl SNIP12Metadata of ISNIP12Metadata<ContractState> {
        fn snip12_metadata(self: @ContractState) -> (felt252, felt252) {
            (DOMAIN_NAME, DOMAIN_VERSION)
        }
    }

    #[abi(embed_v0)]
    impl SRC5 of ISRC5<ContractState> {
        fn supports_interface(self: @ContractState, interface_id: felt252) -> bool {
            interface_id == IACCESS_LOG_ID
                || interface_id == ICONSENT_REGISTRY_ID
                || interface_id == IENTITY_REGISTRY_ID
                || interface_id == IREWARD_BUDGETS_ID
                || interface_id == ISRC5_ID
        }
    }
}
