//! Balances and approvals of a plain ERC-20 (SNIP-2), with an open mint.

use starknet::ContractAddress;

#[starknet::interface]
pub trait ILedger<TState> {
    fn balance_of(self: @TState, account: ContractAddress) -> u256;
    fn allowance(self: @TState, owner: ContractAddress, spender: ContractAddress) -> u256;
    fn approve(ref self: TState, spender: ContractAddress, amount: u256) -> bool;
    /// Makes tokens out of nothing, for anyone.
    fn mint(ref self: TState, recipient: ContractAddress, amount: u256);
}

#[starknet::component]
pub mod LedgerComponent {
    use starknet::storage::{Map, StorageMapReadAccess, StorageMapWriteAccess};
    use starknet::{ContractAddress, get_caller_address};

    #[storage]
    pub struct Storage {
        Ledger_balances: Map<ContractAddress, u256>,
        Ledger_allowances: Map<(ContractAddress, ContractAddress), u256>,
    }

    #[event]
    #[derive(Drop, starknet::Event)]
    pub enum Event {}

    #[embeddable_as(LedgerImpl)]
    impl Ledger<
        TContractState, +HasComponent<TContractState>,
    > of super::ILedger<ComponentState<TContractState>> {
        fn balance_of(self: @ComponentState<TContractState>, account: ContractAddress) -> u256 {
            self.Ledger_balances.read(account)
        }

        fn allowance(
            self: @ComponentState<TContractState>, owner: ContractAddress, spender: ContractAddress,
        ) -> u256 {
            self.Ledger_allowances.read((owner, spender))
        }

        fn approve(
            ref self: ComponentState<TContractState>, spender: ContractAddress, amount: u256,
        ) -> bool {
            self.Ledger_allowances.write((get_caller_address(), spender), amount);
            true
        }

        fn mint(
            ref self: ComponentState<TContractState>, recipient: ContractAddress, amount: u256,
        ) {
            self.gain(recipient, amount);
        }
    }

    #[generate_trait]
    pub impl InternalImpl<
        TContractState, +HasComponent<TContractState>,
    > of InternalTrait<TContractState> {
        fn spend_allowance(
            ref self: ComponentState<TContractState>, owner: ContractAddress, amount: u256,
        ) {
            let spender = get_caller_address();
            let allowance = self.Ledger_allowances.read((owner, spender));
            assert(amount <= allowance, 'TOKEN/ALLOWANCE');
            self.Ledger_allowances.write((owner, spender), allowance - amount);
        }

        fn lose(ref self: ComponentState<TContractState>, owner: ContractAddress, amount: u256) {
            let balance = self.Ledger_balances.read(owner);
            assert(amount <= balance, 'TOKEN/BALANCE');
            self.Ledger_balances.write(owner, balance - amount);
        }

        fn gain(ref self: ComponentState<TContractState>, owner: ContractAddress, amount: u256) {
            self.Ledger_balances.write(owner, self.Ledger_balances.read(owner) + amount);
        }
    }
}
