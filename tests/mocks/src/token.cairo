//! An honest ERC-20 that anyone may mint.

use starknet::ContractAddress;

#[starknet::interface]
pub trait ITransfers<TState> {
    fn transfer(ref self: TState, recipient: ContractAddress, amount: u256) -> bool;
    fn transfer_from(
        ref self: TState, sender: ContractAddress, recipient: ContractAddress, amount: u256,
    ) -> bool;
}

#[starknet::contract]
pub mod Token {
    use starknet::{ContractAddress, get_caller_address};
    use crate::ledger::LedgerComponent;
    use crate::ledger::LedgerComponent::InternalTrait;

    component!(path: LedgerComponent, storage: ledger, event: LedgerEvent);

    #[storage]
    struct Storage {
        #[substorage(v0)]
        ledger: LedgerComponent::Storage,
    }

    #[event]
    #[derive(Drop, starknet::Event)]
    enum Event {
        #[flat]
        LedgerEvent: LedgerComponent::Event,
    }

    #[abi(embed_v0)]
    impl Ledger = LedgerComponent::LedgerImpl<ContractState>;

    #[abi(embed_v0)]
    impl Transfers of super::ITransfers<ContractState> {
        fn transfer(ref self: ContractState, recipient: ContractAddress, amount: u256) -> bool {
            self.ledger.lose(get_caller_address(), amount);
            self.ledger.gain(recipient, amount);
            true
        }

        fn transfer_from(
            ref self: ContractState,
            sender: ContractAddress,
            recipient: ContractAddress,
            amount: u256,
        ) -> bool {
            self.ledger.spend_allowance(sender, amount);
            self.ledger.lose(sender, amount);
            self.ledger.gain(recipient, amount);
            true
        }
    }
}
