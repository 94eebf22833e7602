//! What Starknet charges for each thing a contract can do, with nothing around it. Most entry
//! points come in two: one does its thing once and the other three times, in a straight line, so
//! that half the difference of what they cost is the price of the thing alone.

use starknet::account::Call;
use starknet::{ClassHash, ContractAddress};
use crate::raw::Raw;

#[starknet::interface]
pub trait IYardstick<TState> {
    /// The empty call: what a transaction costs before it does anything.
    fn nothing(self: @TState);
    /// Takes any calldata and does not look at it.
    fn take(self: @TState, felts: Raw);
    fn answer_once(self: @TState) -> felt252;
    fn answer_thrice(self: @TState) -> (felt252, felt252, felt252);
    fn read_once(self: @TState);
    fn read_thrice(self: @TState);
    /// To be given what is there already: a cell that changes is charged for apart, see `change`.
    fn write_once(ref self: TState, value: felt252);
    fn write_thrice(ref self: TState, value: felt252);
    fn inform_once(self: @TState);
    fn inform_thrice(self: @TState);
    fn call_once(self: @TState, this: ContractAddress);
    fn call_thrice(self: @TState, this: ContractAddress);
    /// An event of one key and one datum; the next two differ from it in what they are named for.
    fn emit_once(ref self: TState);
    fn emit_thrice(ref self: TState);
    fn emit_three_keys(ref self: TState);
    fn emit_three_data(ref self: TState);

    /// Writes `value` to that many cells.
    fn change(ref self: TState, cells: u32, value: felt252);
    /// Makes calls in other contracts' place, as their caller.
    fn forward(ref self: TState, calls: Array<Call>);
    /// Deploys a contract in another's place.
    fn deploy(ref self: TState, class_hash: ClassHash, salt: felt252, calldata: Span<felt252>);
}

#[starknet::contract]
pub mod Yardstick {
    use starknet::account::Call;
    use starknet::storage_access::{
        StorageAddress, storage_address_from_base, storage_base_address_const,
    };
    use starknet::syscalls::{
        call_contract_syscall, deploy_syscall, emit_event_syscall, storage_read_syscall,
        storage_write_syscall,
    };
    use starknet::{ClassHash, ContractAddress, SyscallResultTrait, get_execution_info};
    use crate::raw::Raw;

    #[storage]
    struct Storage {}

    #[abi(embed_v0)]
    impl Yardstick of super::IYardstick<ContractState> {
        fn nothing(self: @ContractState) {}

        fn take(self: @ContractState, felts: Raw) {}

        fn answer_once(self: @ContractState) -> felt252 {
            1
        }

        fn answer_thrice(self: @ContractState) -> (felt252, felt252, felt252) {
            (1, 2, 3)
        }

        fn read_once(self: @ContractState) {
            read();
        }

        fn read_thrice(self: @ContractState) {
            read();
            read();
            read();
        }

        fn write_once(ref self: ContractState, value: felt252) {
            write(value);
        }

        fn write_thrice(ref self: ContractState, value: felt252) {
            write(value);
            write(value);
            write(value);
        }

        fn inform_once(self: @ContractState) {
            get_execution_info();
        }

        fn inform_thrice(self: @ContractState) {
            get_execution_info();
            get_execution_info();
            get_execution_info();
        }

        fn call_once(self: @ContractState, this: ContractAddress) {
            call(this);
        }

        fn call_thrice(self: @ContractState, this: ContractAddress) {
            call(this);
            call(this);
            call(this);
        }

        fn emit_once(ref self: ContractState) {
            emit([1].span(), [2].span());
        }

        fn emit_thrice(ref self: ContractState) {
            emit([1].span(), [2].span());
            emit([1].span(), [2].span());
            emit([1].span(), [2].span());
        }

        fn emit_three_keys(ref self: ContractState) {
            emit([1, 2, 3].span(), [4].span());
        }

        fn emit_three_data(ref self: ContractState) {
            emit([1].span(), [2, 3, 4].span());
        }

        fn change(ref self: ContractState, cells: u32, value: felt252) {
            for cell in 1..cells + 1 {
                let cell: felt252 = cell.into();
                storage_write_syscall(0, cell.try_into().unwrap(), value).unwrap_syscall();
            }
        }

        fn forward(ref self: ContractState, calls: Array<Call>) {
            for Call { to, selector, calldata } in calls {
                call_contract_syscall(to, selector, calldata).unwrap_syscall();
            }
        }

        fn deploy(
            ref self: ContractState, class_hash: ClassHash, salt: felt252, calldata: Span<felt252>,
        ) {
            deploy_syscall(class_hash, salt, calldata, false).unwrap_syscall();
        }
    }

    #[inline(always)]
    fn read() {
        storage_read_syscall(0, cell_zero()).unwrap_syscall();
    }

    #[inline(always)]
    fn write(value: felt252) {
        storage_write_syscall(0, cell_zero(), value).unwrap_syscall();
    }

    #[inline(always)]
    fn cell_zero() -> StorageAddress {
        storage_address_from_base(storage_base_address_const::<0>())
    }

    #[inline(always)]
    fn call(this: ContractAddress) {
        call_contract_syscall(this, selector!("nothing"), [].span()).unwrap_syscall();
    }

    #[inline(always)]
    fn emit(keys: Span<felt252>, data: Span<felt252>) {
        emit_event_syscall(keys, data).unwrap_syscall();
    }
}
