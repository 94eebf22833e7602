//! What pulls a puppet: told by a test, which of its entry points answers what and misbehaves how.

use starknet::ContractAddress;
use crate::raw::Raw;

#[starknet::interface]
pub trait IStrings<TState> {
    /// From now on `entry_point` (a selector) answers these felts.
    fn answer(ref self: TState, entry_point: felt252, felts: Array<felt252>);

    /// From now on `entry_point` does this before it answers: `PANIC`, `CALL_NOBODY` (calls an
    /// address without a contract), `BURN` (computes until the gas is gone), `CALL_BACK` (makes
    /// the aimed call, once at a time, and survives its failure), `CALL_BACK_AND_PANIC`, or zero
    /// for nothing.
    fn act(ref self: TState, entry_point: felt252, act: felt252);

    /// The call that `CALL_BACK` makes.
    fn aim(ref self: TState, to: ContractAddress, entry_point: felt252, calldata: Array<felt252>);

    /// Makes a call as this contract, for anyone, and hands its answer on.
    fn forward(
        ref self: TState, to: ContractAddress, entry_point: felt252, calldata: Array<felt252>,
    ) -> Raw;

    /// `forward` that survives the call's failure: whether it succeeded, and its answer or panic.
    fn attempt(
        ref self: TState, to: ContractAddress, entry_point: felt252, calldata: Array<felt252>,
    ) -> (bool, Array<felt252>);
}

#[starknet::component]
pub mod StringsComponent {
    use starknet::ContractAddress;
    use starknet::storage::{
        Map, StorageMapReadAccess, StorageMapWriteAccess, StoragePointerReadAccess,
        StoragePointerWriteAccess,
    };
    use starknet::syscalls::call_contract_syscall;
    use crate::raw::Raw;

    #[storage]
    pub struct Storage {
        Strings_acts: Map<felt252, felt252>,
        Strings_answers: Map<(felt252, u32), felt252>,
        /// One more than the answer's length; zero if none was set.
        Strings_answer_sizes: Map<felt252, u32>,
        Strings_target: ContractAddress,
        Strings_entry_point: felt252,
        Strings_calling_back: bool,
    }

    #[event]
    #[derive(Drop, starknet::Event)]
    pub enum Event {
        CalledBack: CalledBack,
    }

    /// `CALL_BACK` made its call; `answer` is what it returned, or its panic.
    #[derive(Drop, starknet::Event)]
    pub struct CalledBack {
        pub success: bool,
        pub answer: Array<felt252>,
    }

    #[embeddable_as(StringsImpl)]
    impl Strings<
        TContractState, +HasComponent<TContractState>,
    > of super::IStrings<ComponentState<TContractState>> {
        fn answer(
            ref self: ComponentState<TContractState>, entry_point: felt252, felts: Array<felt252>,
        ) {
            self.Strings_answer_sizes.write(entry_point, felts.len() + 1);
            let mut place = 0;
            for felt in felts {
                self.Strings_answers.write((entry_point, place), felt);
                place += 1;
            }
        }

        fn act(ref self: ComponentState<TContractState>, entry_point: felt252, act: felt252) {
            self.Strings_acts.write(entry_point, act);
        }

        fn aim(
            ref self: ComponentState<TContractState>,
            to: ContractAddress,
            entry_point: felt252,
            calldata: Array<felt252>,
        ) {
            self.Strings_target.write(to);
            self.Strings_entry_point.write(entry_point);
            self.answer('aim', calldata);
        }

        fn forward(
            ref self: ComponentState<TContractState>,
            to: ContractAddress,
            entry_point: felt252,
            calldata: Array<felt252>,
        ) -> Raw {
            match call_contract_syscall(to, entry_point, calldata.span()) {
                Ok(felts) => Raw { felts },
                Err(panic) => core::panics::panic(panic),
            }
        }

        fn attempt(
            ref self: ComponentState<TContractState>,
            to: ContractAddress,
            entry_point: felt252,
            calldata: Array<felt252>,
        ) -> (bool, Array<felt252>) {
            match call_contract_syscall(to, entry_point, calldata.span()) {
                Ok(felts) => (true, felts.into()),
                Err(panic) => (false, panic),
            }
        }
    }

    #[generate_trait]
    pub impl InternalImpl<
        TContractState, +HasComponent<TContractState>,
    > of InternalTrait<TContractState> {
        /// Misbehaves as told, then answers as told, or with `default` if nothing was said.
        fn play(
            ref self: ComponentState<TContractState>, entry_point: felt252, default: Span<felt252>,
        ) -> Raw {
            let act = self.Strings_acts.read(entry_point);
            if act == 'PANIC' {
                core::panic_with_felt252('MOCK/PANIC');
            } else if act == 'CALL_NOBODY' {
                let _ = call_contract_syscall('nobody'.try_into().unwrap(), 0, [].span());
            } else if act == 'BURN' {
                let mut count: felt252 = 1;
                while count != 0 {
                    count += 1;
                }
            } else if act == 'CALL_BACK' {
                self.call_back();
            } else if act == 'CALL_BACK_AND_PANIC' {
                self.call_back();
                core::panic_with_felt252('MOCK/PANIC');
            }
            self.told(entry_point, default)
        }

        /// From now on `entry_point` behaves and answers as if nothing had been said.
        fn forget(ref self: ComponentState<TContractState>, entry_point: felt252) {
            self.Strings_acts.write(entry_point, 0);
            self.Strings_answer_sizes.write(entry_point, 0);
        }

        fn call_back(ref self: ComponentState<TContractState>) {
            if self.Strings_calling_back.read() {
                return;
            }
            self.Strings_calling_back.write(true);
            let calldata = self.told('aim', [].span()).felts;
            let (success, answer) = self
                .attempt(
                    self.Strings_target.read(), self.Strings_entry_point.read(), calldata.into(),
                );
            self.Strings_calling_back.write(false);
            self.emit(CalledBack { success, answer });
        }

        fn told(
            self: @ComponentState<TContractState>, entry_point: felt252, default: Span<felt252>,
        ) -> Raw {
            let size = self.Strings_answer_sizes.read(entry_point);
            if size == 0 {
                return Raw { felts: default };
            }
            let mut felts = array![];
            for place in 0..size - 1 {
                felts.append(self.Strings_answers.read((entry_point, place)));
            }
            Raw { felts: felts.span() }
        }
    }
}
