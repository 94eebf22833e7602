//! What an integrator's contract looks like: a registered researcher that asks for data in its own
//! name. It needs no more of MedSync than the package `medsync_interfaces`.

use starknet::ContractAddress;

#[starknet::interface]
pub trait IStudy<TState> {
    /// Asks for a patient's observations; answers whether they may be used, and as which entry of
    /// the patient's log that was decided.
    fn ask(ref self: TState, patient: ContractAddress, record: felt252) -> (bool, u32);
}

#[starknet::contract]
pub mod Study {
    use medsync_interfaces::access_log::{
        AccessRequest, IAccessLogDispatcher, IAccessLogDispatcherTrait,
    };
    use medsync_interfaces::vocabulary::Decision;
    use starknet::storage::{StoragePointerReadAccess, StoragePointerWriteAccess};
    use starknet::{ContractAddress, get_caller_address};

    #[storage]
    struct Storage {
        medsync: IAccessLogDispatcher,
        principal: ContractAddress,
        /// Salted hash that names the study, as in the consents.
        study: felt252,
        /// Id of the campaign that pays for each access; zero if none does.
        campaign: felt252,
    }

    #[constructor]
    fn constructor(
        ref self: ContractState,
        medsync: ContractAddress,
        principal: ContractAddress,
        study: felt252,
        campaign: felt252,
    ) {
        self.medsync.write(IAccessLogDispatcher { contract_address: medsync });
        self.principal.write(principal);
        self.study.write(study);
        self.campaign.write(campaign);
    }

    #[abi(embed_v0)]
    impl Study of super::IStudy<ContractState> {
        fn ask(ref self: ContractState, patient: ContractAddress, record: felt252) -> (bool, u32) {
            assert(get_caller_address() == self.principal.read(), 'STUDY/NOT_PRINCIPAL');
            let receipt = self
                .medsync
                .read()
                .request_access(
                    AccessRequest {
                        patient,
                        purpose: 'HRESCH',
                        study: self.study.read(),
                        categories: 0x80,
                        record,
                        campaign: self.campaign.read(),
                    },
                );
            // A refusal is an answer. To panic over it would take it out of the patient's log.
            (receipt.decision == Decision::Permit, receipt.seq)
        }
    }
}
