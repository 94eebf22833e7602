//! The deployed class of `MedSync` itself, judging cases that are put straight into storage. Many
//! fit into one call, and cells can hold what no history would reach in years.

/// What the cells hold, and what is asked then: a call to `MedSync`, as its ABI encodes it.
#[derive(Copy, Drop, Serde)]
pub struct Case {
    /// One felt for each place, in their order.
    pub cells: Span<felt252>,
    pub entry_point: felt252,
    pub calldata: Span<felt252>,
}

/// What came of a case: the answer or the panic, and what the cells hold after it, in the order of
/// the places. After a panic they hold what they held before.
#[derive(Drop, Serde)]
pub struct Verdict {
    pub succeeded: bool,
    pub answer: Span<felt252>,
    pub cells: Array<felt252>,
}

#[starknet::interface]
pub trait IJudge<TState> {
    /// Decides the cases one after the other. `places` are the addresses of the cells that every
    /// case fills; whatever a case may write must be among them, or the next case finds it. The
    /// caller of the judge is the caller of `MedSync`, and the judge's address is its own.
    fn judge(ref self: TState, places: Span<felt252>, cases: Span<Case>) -> Array<Verdict>;
}

#[starknet::contract]
pub mod Judge {
    use starknet::storage::{StoragePointerReadAccess, StoragePointerWriteAccess};
    use starknet::syscalls::{library_call_syscall, storage_read_syscall, storage_write_syscall};
    use starknet::{ClassHash, StorageAddress, SyscallResultTrait};
    use super::{Case, Verdict};

    #[storage]
    struct Storage {
        medsync: ClassHash,
    }

    #[constructor]
    fn constructor(ref self: ContractState, medsync: ClassHash) {
        self.medsync.write(medsync);
    }

    #[abi(embed_v0)]
    impl Judge of super::IJudge<ContractState> {
        fn judge(
            ref self: ContractState, places: Span<felt252>, cases: Span<Case>,
        ) -> Array<Verdict> {
            let medsync = self.medsync.read();
            let mut verdicts = array![];
            for case in cases {
                let Case { cells: mut values, entry_point, calldata } = *case;
                assert(values.len() == places.len(), 'JUDGE/CELLS');
                for place in places {
                    let value = *values.pop_front().unwrap();
                    storage_write_syscall(0, address(*place), value).unwrap_syscall();
                }
                let (succeeded, answer) =
                    match library_call_syscall(medsync, entry_point, calldata) {
                    Ok(felts) => (true, felts),
                    Err(panic) => (false, panic.span()),
                };
                let mut cells = array![];
                for place in places {
                    cells.append(storage_read_syscall(0, address(*place)).unwrap_syscall());
                }
                verdicts.append(Verdict { succeeded, answer, cells });
            }
            verdicts
        }
    }

    fn address(place: felt252) -> StorageAddress {
        place.try_into().unwrap()
    }
}
