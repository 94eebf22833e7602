//! The least an account can be: one key, one signature check. What it costs to send a transaction
//! through it, no account can cost less.

#[starknet::interface]
pub trait ISnip6<TState> {
    fn is_valid_signature(self: @TState, hash: felt252, signature: Array<felt252>) -> felt252;
}

#[starknet::contract(account)]
pub mod Account {
    use core::ecdsa::check_ecdsa_signature;
    use starknet::account::{AccountContract, Call};
    use starknet::storage::{StoragePointerReadAccess, StoragePointerWriteAccess};
    use starknet::syscalls::call_contract_syscall;
    use starknet::{SyscallResultTrait, VALIDATED, get_tx_info};

    #[storage]
    struct Storage {
        public_key: felt252,
    }

    #[constructor]
    fn constructor(ref self: ContractState, public_key: felt252) {
        self.public_key.write(public_key);
    }

    #[abi(embed_v0)]
    impl AccountImpl of AccountContract<ContractState> {
        fn __validate__(ref self: ContractState, calls: Array<Call>) -> felt252 {
            let info = get_tx_info();
            self.assert_signed(info.transaction_hash, info.signature);
            VALIDATED
        }

        fn __execute__(ref self: ContractState, calls: Array<Call>) -> Array<Span<felt252>> {
            let mut answers = array![];
            for Call { to, selector, calldata } in calls {
                answers.append(call_contract_syscall(to, selector, calldata).unwrap_syscall());
            }
            answers
        }

        fn __validate_declare__(self: @ContractState, class_hash: felt252) -> felt252 {
            core::panic_with_felt252('ACCOUNT/NO_DECLARE')
        }
    }

    #[abi(embed_v0)]
    impl Snip6 of super::ISnip6<ContractState> {
        fn is_valid_signature(
            self: @ContractState, hash: felt252, signature: Array<felt252>,
        ) -> felt252 {
            self.assert_signed(hash, signature.span());
            VALIDATED
        }
    }

    #[generate_trait]
    impl Internal of InternalTrait {
        fn assert_signed(self: @ContractState, hash: felt252, signature: Span<felt252>) {
            let (r, s) = (*signature[0], *signature[1]);
            let signed = check_ecdsa_signature(hash, self.public_key.read(), r, s);
            assert(signed, 'ACCOUNT/BAD_SIGNATURE');
        }
    }
}
