//! An ERC-20 that is honest until it is told otherwise. Its strings decide what `transfer`,
//! `transfer_from` and `balance_of` do and answer; its habit decides what becomes of the balances.

use starknet::ContractAddress;
use crate::raw::Raw;

#[starknet::interface]
pub trait IHostileToken<TState> {
    /// From now on transfers do this: `FEE` (the recipient gets `argument` less), `STAND_STILL`
    /// (nothing moves), `CONJURE` (the recipient gains, nobody loses), `MINT` (the token itself
    /// gains `argument` more), `BLOCK` (moves nothing from or to the address `argument`, by
    /// panicking), `TURN` (honest `argument` times, then `STAND_STILL`), or zero to be honest.
    fn take_up(ref self: TState, habit: felt252, argument: felt252);
    /// Takes from an account, without asking.
    fn seize(ref self: TState, account: ContractAddress, amount: u256);
    /// Honest from now on, whatever it was told before.
    fn mend(ref self: TState);
    fn balance_of(ref self: TState, account: ContractAddress) -> Raw;
    fn approve(ref self: TState, spender: ContractAddress, amount: u256) -> bool;
    fn mint(ref self: TState, recipient: ContractAddress, amount: u256);
    fn transfer(ref self: TState, recipient: ContractAddress, amount: u256) -> Raw;
    fn transfer_from(
        ref self: TState, sender: ContractAddress, recipient: ContractAddress, amount: u256,
    ) -> Raw;
}

#[starknet::contract]
pub mod HostileToken {
    use starknet::storage::{StoragePointerReadAccess, StoragePointerWriteAccess};
    use starknet::{ContractAddress, get_caller_address, get_contract_address};
    use crate::ledger::LedgerComponent::InternalTrait as LedgerInternal;
    use crate::ledger::{ILedger, LedgerComponent};
    use crate::raw::Raw;
    use crate::strings::StringsComponent;
    use crate::strings::StringsComponent::InternalTrait as StringsInternal;

    component!(path: LedgerComponent, storage: ledger, event: LedgerEvent);
    component!(path: StringsComponent, storage: strings, event: StringsEvent);

    #[storage]
    struct Storage {
        #[substorage(v0)]
        ledger: LedgerComponent::Storage,
        #[substorage(v0)]
        strings: StringsComponent::Storage,
        habit: felt252,
        argument: felt252,
    }

    #[event]
    #[derive(Drop, starknet::Event)]
    enum Event {
        #[flat]
        LedgerEvent: LedgerComponent::Event,
        #[flat]
        StringsEvent: StringsComponent::Event,
    }

    #[abi(embed_v0)]
    impl Strings = StringsComponent::StringsImpl<ContractState>;

    impl Ledger = LedgerComponent::LedgerImpl<ContractState>;

    #[abi(embed_v0)]
    impl Token of super::IHostileToken<ContractState> {
        fn take_up(ref self: ContractState, habit: felt252, argument: felt252) {
            self.habit.write(habit);
            self.argument.write(argument);
        }

        fn seize(ref self: ContractState, account: ContractAddress, amount: u256) {
            self.ledger.lose(account, amount);
        }

        fn mend(ref self: ContractState) {
            self.habit.write(0);
            for entry_point in array![
                selector!("balance_of"), selector!("transfer"), selector!("transfer_from"),
            ] {
                self.strings.forget(entry_point);
            }
        }

        fn balance_of(ref self: ContractState, account: ContractAddress) -> Raw {
            let balance = self.ledger.balance_of(account);
            self
                .strings
                .play(selector!("balance_of"), [balance.low.into(), balance.high.into()].span())
        }

        fn approve(ref self: ContractState, spender: ContractAddress, amount: u256) -> bool {
            self.ledger.approve(spender, amount)
        }

        fn mint(ref self: ContractState, recipient: ContractAddress, amount: u256) {
            self.ledger.mint(recipient, amount);
        }

        fn transfer(ref self: ContractState, recipient: ContractAddress, amount: u256) -> Raw {
            let answer = self.strings.play(selector!("transfer"), [1].span());
            self.move(get_caller_address(), recipient, amount);
            answer
        }

        fn transfer_from(
            ref self: ContractState,
            sender: ContractAddress,
            recipient: ContractAddress,
            amount: u256,
        ) -> Raw {
            let answer = self.strings.play(selector!("transfer_from"), [1].span());
            self.ledger.spend_allowance(sender, amount);
            self.move(sender, recipient, amount);
            answer
        }
    }

    #[generate_trait]
    impl Internal of InternalTrait {
        fn move(
            ref self: ContractState,
            sender: ContractAddress,
            recipient: ContractAddress,
            amount: u256,
        ) {
            let (habit, argument) = (self.habit.read(), self.argument.read());
            if habit == 'STAND_STILL' || (habit == 'TURN' && argument == 0) {
                return;
            }
            if habit == 'TURN' {
                self.argument.write(argument - 1);
            } else if habit == 'MINT' {
                self.ledger.gain(get_contract_address(), argument.into());
            }
            let blocks = habit == 'BLOCK'
                && (sender.into() == argument || recipient.into() == argument);
            assert(!blocks, 'TOKEN/BLOCKED');
            if habit != 'CONJURE' {
                self.ledger.lose(sender, amount);
            }
            let fee = if habit == 'FEE' {
                argument.into()
            } else {
                0
            };
            self.ledger.gain(recipient, amount - fee);
        }
    }
}
