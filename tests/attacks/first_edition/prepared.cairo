//! A contract that writes any cells of its storage when it is deployed and then becomes another
//! class: from outside it is a contract of that class, with a past of its own.

#[starknet::contract]
pub mod Prepared {
    use starknet::storage_access::StorageAddress;
    use starknet::syscalls::{replace_class_syscall, storage_write_syscall};
    use starknet::{ClassHash, SyscallResultTrait};

    #[storage]
    struct Storage {}

    #[constructor]
    fn constructor(ref self: ContractState, cells: Array<(StorageAddress, felt252)>, class: ClassHash) {
        for (address, value) in cells {
            storage_write_syscall(0, address, value).unwrap_syscall();
        }
        replace_class_syscall(class).unwrap_syscall();
    }
}
