//! The cells of `RewardPool`.

use medsync_interfaces::reward_pool::{CampaignStatus, KeyCredit};
use starknet::storage_access::StorePacking;
use crate::packing::{
    SPLIT_40, SPLIT_64, TWO_POW_104, TWO_POW_40, TWO_POW_64, join, packed_high, packed_time, split,
};

/// What is stored of a campaign.
#[derive(Copy, Drop, PartialEq, Debug)]
pub struct Funding {
    pub granted: u64,
    pub taken: u64,
    pub closing_at: u64,
    pub spent: u64,
    pub status: CampaignStatus,
}

/// What the pool owes somebody and what it has paid out. The cell never returns to zero.
#[derive(Copy, Drop, PartialEq, Debug)]
pub struct Credit {
    pub claimable: u128,
    pub withdrawn: u128,
}

/// `granted:64 | taken:64` and above `closing_at:40 | spent:64 | status:2`.
pub impl FundingPacking of StorePacking<Funding, felt252> {
    fn pack(value: Funding) -> felt252 {
        let status = match value.status {
            CampaignStatus::None => 0,
            CampaignStatus::Open => 1,
            CampaignStatus::Closed => 2,
        };
        join(
            value.granted.into() + value.taken.into() * TWO_POW_64,
            packed_time(value.closing_at) + value.spent.into() * TWO_POW_40 + status * TWO_POW_104,
        )
    }

    fn unpack(value: felt252) -> Funding {
        let (low, high) = split(value);
        let (taken, granted) = DivRem::div_rem(low, SPLIT_64);
        let (high, closing_at) = DivRem::div_rem(high, SPLIT_40);
        let (status, spent) = DivRem::div_rem(high, SPLIT_64);
        Funding {
            granted: granted.try_into().unwrap(),
            taken: taken.try_into().unwrap(),
            closing_at: closing_at.try_into().unwrap(),
            spent: spent.try_into().unwrap(),
            status: if status == 1 {
                CampaignStatus::Open
            } else if status == 0 {
                CampaignStatus::None
            } else {
                assert(status == 2, 'PACK/RANGE');
                CampaignStatus::Closed
            },
        }
    }
}

/// `claimable:128 | withdrawn:123`.
pub impl CreditPacking of StorePacking<Credit, felt252> {
    fn pack(value: Credit) -> felt252 {
        join(value.claimable.into(), packed_high(value.withdrawn))
    }

    fn unpack(value: felt252) -> Credit {
        let (claimable, withdrawn) = split(value);
        Credit { claimable, withdrawn }
    }
}

/// `claimable:128 | nonce:64`.
pub impl KeyCreditPacking of StorePacking<KeyCredit, felt252> {
    fn pack(value: KeyCredit) -> felt252 {
        join(value.claimable.into(), value.nonce.into())
    }

    fn unpack(value: felt252) -> KeyCredit {
        let (claimable, nonce) = split(value);
        KeyCredit { claimable, nonce: nonce.try_into().unwrap() }
    }
}
