//! Who calls, when and where.

use starknet::{ContractAddress, get_execution_info};

/// What the network says about a call. Asked for once per call, because every time costs 12,000 L2
/// gas; none of it can change under an external call.
#[derive(Copy, Drop)]
pub struct Context {
    pub caller: ContractAddress,
    /// Unix seconds of the block.
    pub now: u64,
    pub this: ContractAddress,
    pub chain_id: felt252,
}

/// The context of the present call.
pub fn context() -> Context {
    let info = get_execution_info();
    Context {
        caller: info.caller_address,
        now: info.block_info.block_timestamp,
        this: info.contract_address,
        chain_id: info.tx_info.chain_id,
    }
}
