//! Money: campaigns that researchers fund and credits that patients and hospitals draw.
//!
//! A pool holds one ERC-20 and listens to one `MedSync`. Nobody can upgrade, pause or empty it:
//! every unit is either a campaign's remaining budget or somebody's credit, and leaves only by
//! `withdraw` of its owner.

use starknet::ContractAddress;
use starknet::storage_access::StorePacking;
use crate::campaign::CampaignTerms;
use crate::packing::{join, packed_high, packed_time, split};

/// Where a campaign stands. `None`: nothing was ever deposited for these terms.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub enum CampaignStatus {
    None,
    Open,
    Closed,
}

/// A campaign as anyone may see it.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub struct Campaign {
    pub id: felt252,
    /// The `MedSync` whose accesses this pool pays for.
    pub log: ContractAddress,
    pub status: CampaignStatus,
    /// What is left for further accesses, in the token's smallest unit.
    pub remaining: u128,
    /// How many accesses it has paid for.
    pub paid_count: u64,
    /// Unix seconds from which the funder may close it after notice; zero without notice.
    pub closing_at: u64,
}

/// What became of one payment. Anything but `Paid` leaves the pool as it was.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub enum Accrual {
    Paid,
    Closed,
    Expired,
    /// Less than one rate is left, or nothing was ever deposited.
    Unfunded,
    AllowanceExceeded,
}

/// The stored part of a campaign: `remaining:128 | paid_count:64 | closing_at:40 | status:2`.
#[derive(Copy, Drop, PartialEq, Debug)]
pub struct Escrow {
    pub remaining: u128,
    pub paid_count: u64,
    pub closing_at: u64,
    pub status: CampaignStatus,
}

/// What the pool owes somebody and what it has paid out: `claimable:128 | withdrawn:123`. The cell
/// never returns to zero.
#[derive(Copy, Drop, PartialEq, Debug)]
pub struct Credit {
    pub claimable: u128,
    pub withdrawn: u128,
}

/// The pool's books: `liabilities:128 | lifetime_deposits:123`. Capping lifetime deposits means
/// that no sum can overflow later.
#[derive(Copy, Drop, PartialEq, Debug)]
pub struct Totals {
    pub liabilities: u128,
    pub lifetime_deposits: u128,
}

/// What an accessor may still spend of a campaign: `amount:128 | set:1`. The mark keeps a spent
/// allowance's cell non-zero.
#[derive(Copy, Drop, PartialEq, Debug)]
pub struct Allowance {
    pub amount: u128,
}

/// Seconds a funder must announce the closing of an unexpired campaign ahead: 7 days.
pub const CLOSE_NOTICE: u64 = 604_800;

/// Largest sum of all deposits a pool ever takes: 2^123 − 1.
pub const MAX_LIFETIME_DEPOSITS: u128 = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFF;

/// Basis points of a whole.
pub const BPS: u16 = 10_000;

/// SRC-5 id: XOR of the extended selectors of `IRewardPool` (SNIP-5).
pub const IREWARD_POOL_ID: felt252 =
    0xd28457e86d398ed608bb08eda245a6ec2568d7ace33c1f3d8eb081947e1f14;

/// Campaign escrow with a fixed price per permitted access and a ledger of credits.
#[starknet::interface]
pub trait IRewardPool<TState> {
    /// Puts `amount` into a campaign; the first deposit opens it.
    ///
    /// Preconditions: the terms name this pool and the caller as funder, a known purpose, a rate,
    ///   at most 10,000 basis points and a custodian exactly if it has a share; not expired; not
    ///   closed; the caller has approved the pool for `amount`.
    /// Effects: writes the campaign (new on the first deposit) and the totals, then takes the
    ///   tokens and checks that the pool still holds at least what it owes, so a token that takes a
    ///   fee or lies cannot open a hole.
    /// Emits: `CampaignOpened` on the first deposit, `RewardDeposited`.
    /// Errors: `POOL/WRONG_POOL`, `POOL/NOT_FUNDER`, `POOL/ZERO_AMOUNT`, `POOL/BAD_PURPOSE`,
    ///   `POOL/ZERO_RATE`, `POOL/BAD_BPS`, `POOL/BAD_CUSTODIAN`, `POOL/CAMPAIGN_EXPIRED`,
    ///   `POOL/CAMPAIGN_CLOSED`, `POOL/DEPOSIT_CAP`, `POOL/TRANSFER_FAILED`, `POOL/SHORTFALL`.
    /// Access: the funder.
    fn deposit(ref self: TState, terms: CampaignTerms, amount: u128);

    /// Lets `accessor` spend up to `amount` of the campaign; replaces what was set before. Zero
    /// ends it. The funder itself needs none.
    ///
    /// Preconditions: the terms name this pool and the caller as funder; `accessor` not zero.
    /// Effects: writes the allowance (new for an accessor's first).
    /// Emits: `AllowanceSet`.
    /// Errors: `POOL/WRONG_POOL`, `POOL/NOT_FUNDER`, `POOL/ZERO_ADDRESS`.
    /// Access: the funder.
    fn set_allowance(
        ref self: TState, terms: CampaignTerms, accessor: ContractAddress, amount: u128,
    );

    /// Pays for one permitted access: moves the rate from the campaign to the patient's and the
    /// custodian's credit. Never refuses by panicking: whatever stands against paying is the
    /// answer, and the first that does: closed, expired, unfunded, allowance exceeded.
    ///
    /// Effects: if paid, writes the campaign, the patient's credit, the custodian's credit if its
    ///   share is not zero, and the allowance if the accessor is not the funder; otherwise nothing.
    /// Emits: `RewardAccrued` if paid.
    /// Errors: `POOL/NOT_LOG`.
    /// Access: the `MedSync` this pool listens to.
    fn accrue(
        ref self: TState, terms: CampaignTerms, patient: ContractAddress, accessor: ContractAddress,
    ) -> Accrual;

    /// Pays out part of the caller's credit. It cannot be paused.
    ///
    /// Preconditions: `0 < amount <= claimable(caller)`; `recipient` neither zero nor the pool.
    /// Effects: writes the caller's credit and the totals, then sends the tokens.
    /// Emits: `RewardWithdrawn`.
    /// Errors: `POOL/ZERO_AMOUNT`, `POOL/BAD_RECIPIENT`, `POOL/INSUFFICIENT_CREDIT`,
    ///   `POOL/TRANSFER_FAILED`.
    /// Access: the owner of the credit.
    fn withdraw(ref self: TState, amount: u128, recipient: ContractAddress);

    /// Announces that the campaign will be closed before it expires; it goes on paying for
    /// `CLOSE_NOTICE` at least. Announcing again starts the notice anew.
    ///
    /// Preconditions: the terms name this pool and the caller as funder; the campaign is open.
    /// Effects: writes the campaign.
    /// Emits: `CampaignCloseAnnounced`.
    /// Errors: `POOL/WRONG_POOL`, `POOL/NOT_FUNDER`, `POOL/NOT_OPEN`.
    /// Access: the funder.
    fn announce_close(ref self: TState, terms: CampaignTerms);

    /// Closes the campaign for good and turns what is left into the funder's credit.
    ///
    /// Preconditions: the terms name this pool and the caller as funder; the campaign is open; it
    ///   has expired or its notice is over.
    /// Effects: writes the campaign, and the funder's credit if anything is left.
    /// Emits: `CampaignClosed`.
    /// Errors: `POOL/WRONG_POOL`, `POOL/NOT_FUNDER`, `POOL/NOT_OPEN`, `POOL/CLOSE_TOO_EARLY`.
    /// Access: the funder.
    fn close_campaign(ref self: TState, terms: CampaignTerms);

    /// The ERC-20 this pool holds. View, anyone.
    fn token(self: @TState) -> ContractAddress;

    /// The `MedSync` this pool listens to. View, anyone.
    fn log(self: @TState) -> ContractAddress;

    /// The campaign with these terms. View, anyone.
    fn campaign(self: @TState, terms: CampaignTerms) -> Campaign;

    /// What `accessor` may still spend of the campaign with id `campaign`, in the token's smallest
    /// unit. View, anyone.
    fn allowance(self: @TState, campaign: felt252, accessor: ContractAddress) -> u128;

    /// What `owner` can withdraw now, in the token's smallest unit. View, anyone.
    fn claimable(self: @TState, owner: ContractAddress) -> u128;

    /// What `owner` has withdrawn so far, in the token's smallest unit. View, anyone.
    fn withdrawn(self: @TState, owner: ContractAddress) -> u128;

    /// All that was ever credited to `owner`: claimable and withdrawn together. View, anyone.
    fn accumulated(self: @TState, owner: ContractAddress) -> u128;

    /// What the pool owes in all: every campaign's rest and every credit. View, anyone.
    fn liabilities(self: @TState) -> u128;

    /// The sum of all deposits ever made. View, anyone.
    fn lifetime_deposits(self: @TState) -> u128;
}

/// The part of ERC-20 (SNIP-2) the pool uses.
#[starknet::interface]
pub trait IERC20<TState> {
    fn balance_of(self: @TState, account: ContractAddress) -> u256;
    fn transfer(ref self: TState, recipient: ContractAddress, amount: u256) -> bool;
    fn transfer_from(
        ref self: TState, sender: ContractAddress, recipient: ContractAddress, amount: u256,
    ) -> bool;
}

pub impl EscrowPacking of StorePacking<Escrow, felt252> {
    fn pack(value: Escrow) -> felt252 {
        let status = match value.status {
            CampaignStatus::None => 0,
            CampaignStatus::Open => 1,
            CampaignStatus::Closed => 2,
        };
        join(
            value.remaining.into(),
            value.paid_count.into()
                + packed_time(value.closing_at) * 0x10000000000000000
                + status * 0x100000000000000000000000000,
        )
    }

    fn unpack(value: felt252) -> Escrow {
        let (remaining, high) = split(value);
        let (high, paid_count) = DivRem::div_rem(high, 0x10000000000000000);
        let (status, closing_at) = DivRem::div_rem(high, 0x10000000000);
        Escrow {
            remaining,
            paid_count: paid_count.try_into().unwrap(),
            closing_at: closing_at.try_into().unwrap(),
            status: if status == 1 {
                CampaignStatus::Open
            } else if status == 0 {
                CampaignStatus::None
            } else {
                CampaignStatus::Closed
            },
        }
    }
}

pub impl CreditPacking of StorePacking<Credit, felt252> {
    fn pack(value: Credit) -> felt252 {
        join(value.claimable.into(), packed_high(value.withdrawn))
    }

    fn unpack(value: felt252) -> Credit {
        let (claimable, withdrawn) = split(value);
        Credit { claimable, withdrawn }
    }
}

pub impl TotalsPacking of StorePacking<Totals, felt252> {
    fn pack(value: Totals) -> felt252 {
        join(value.liabilities.into(), packed_high(value.lifetime_deposits))
    }

    fn unpack(value: felt252) -> Totals {
        let (liabilities, lifetime_deposits) = split(value);
        Totals { liabilities, lifetime_deposits }
    }
}

pub impl AllowancePacking of StorePacking<Allowance, felt252> {
    fn pack(value: Allowance) -> felt252 {
        join(value.amount.into(), 1)
    }

    fn unpack(value: felt252) -> Allowance {
        let (amount, _) = split(value);
        Allowance { amount }
    }
}

/// How one payment is shared: `(patient, custodian)`. The custodian's part is rounded down, the
/// patient gets the rest, so the two add up to the rate exactly.
///
/// Exact for every `u128` rate: the rate is divided before it is multiplied, and the remainder is
/// shared on its own.
pub fn shares(rate: u128, custodian_bps: u16) -> (u128, u128) {
    let (whole, rest) = DivRem::div_rem(rate, 10_000);
    let bps: u128 = custodian_bps.into();
    let custodian = whole * bps + rest * bps / 10_000;
    (rate - custodian, custodian)
}

pub mod Errors {
    /// The token, log or accessor is zero.
    pub const ZERO_ADDRESS: felt252 = 'POOL/ZERO_ADDRESS';
    /// What is named as log does not answer like a MedSync access log.
    pub const NOT_A_LOG: felt252 = 'POOL/NOT_A_LOG';
    /// Only the MedSync contract this pool listens to may do this.
    pub const NOT_LOG: felt252 = 'POOL/NOT_LOG';
    /// The terms name another pool.
    pub const WRONG_POOL: felt252 = 'POOL/WRONG_POOL';
    /// Only the funder named in the terms may do this.
    pub const NOT_FUNDER: felt252 = 'POOL/NOT_FUNDER';
    /// The amount is zero.
    pub const ZERO_AMOUNT: felt252 = 'POOL/ZERO_AMOUNT';
    /// The purpose is not one of the known HL7 v3-ActReason codes.
    pub const BAD_PURPOSE: felt252 = 'POOL/BAD_PURPOSE';
    /// The rate is zero.
    pub const ZERO_RATE: felt252 = 'POOL/ZERO_RATE';
    /// The custodian's share is more than 10,000 basis points.
    pub const BAD_BPS: felt252 = 'POOL/BAD_BPS';
    /// The terms name a custodian without a share, or a share without a custodian.
    pub const BAD_CUSTODIAN: felt252 = 'POOL/BAD_CUSTODIAN';
    /// The terms have expired.
    pub const CAMPAIGN_EXPIRED: felt252 = 'POOL/CAMPAIGN_EXPIRED';
    /// The campaign is closed for good.
    pub const CAMPAIGN_CLOSED: felt252 = 'POOL/CAMPAIGN_CLOSED';
    /// The campaign was never funded, or is closed.
    pub const NOT_OPEN: felt252 = 'POOL/NOT_OPEN';
    /// All deposits together would exceed 2^123 - 1.
    pub const DEPOSIT_CAP: felt252 = 'POOL/DEPOSIT_CAP';
    /// The token said that the transfer failed.
    pub const TRANSFER_FAILED: felt252 = 'POOL/TRANSFER_FAILED';
    /// The pool would hold less than it owes: the token did not deliver the whole amount.
    pub const SHORTFALL: felt252 = 'POOL/SHORTFALL';
    /// The recipient is zero or the pool itself.
    pub const BAD_RECIPIENT: felt252 = 'POOL/BAD_RECIPIENT';
    /// The caller's credit is less than the amount.
    pub const INSUFFICIENT_CREDIT: felt252 = 'POOL/INSUFFICIENT_CREDIT';
    /// The campaign has neither expired nor reached the end of its notice of 7 days.
    pub const CLOSE_TOO_EARLY: felt252 = 'POOL/CLOSE_TOO_EARLY';
}

#[starknet::contract]
pub mod RewardPool {
    use core::num::traits::Zero;
    use starknet::ContractAddress;
    use starknet::storage::{
        Map, StorageMapReadAccess, StorageMapWriteAccess, StoragePathEntry,
        StoragePointerReadAccess, StoragePointerWriteAccess,
    };
    use crate::access_log::IACCESS_LOG_ID;
    use crate::campaign::{CampaignTerms, CampaignTrait};
    use crate::context::{Context, context};
    use crate::hash::SpongeTrait;
    use crate::src5::{ISRC5, ISRC5Dispatcher, ISRC5DispatcherTrait, ISRC5_ID};
    use crate::vocabulary::is_purpose;
    use super::{
        Accrual, Allowance, BPS, CLOSE_NOTICE, Campaign, CampaignStatus, Credit, Errors, Escrow,
        IERC20Dispatcher, IERC20DispatcherTrait, IREWARD_POOL_ID, MAX_LIFETIME_DEPOSITS, Totals,
        shares,
    };

    #[storage]
    struct Storage {
        token: ContractAddress,
        log: ContractAddress,
        campaigns: Map<felt252, Escrow>,
        credits: Map<ContractAddress, Credit>,
        /// By Poseidon of campaign id and accessor.
        allowances: Map<felt252, Allowance>,
        totals: Totals,
    }

    #[event]
    #[derive(Drop, starknet::Event)]
    pub enum Event {
        CampaignOpened: CampaignOpened,
        RewardDeposited: RewardDeposited,
        AllowanceSet: AllowanceSet,
        RewardAccrued: RewardAccrued,
        RewardWithdrawn: RewardWithdrawn,
        CampaignCloseAnnounced: CampaignCloseAnnounced,
        CampaignClosed: CampaignClosed,
    }

    /// A campaign got its first deposit: its terms in full, for everybody who will have to name
    /// them.
    #[derive(Drop, starknet::Event)]
    pub struct CampaignOpened {
        #[key]
        pub campaign: felt252,
        #[key]
        pub funder: ContractAddress,
        #[key]
        pub purpose: felt252,
        pub terms: CampaignTerms,
    }

    /// `amount` (smallest token unit) went into a campaign.
    #[derive(Drop, starknet::Event)]
    pub struct RewardDeposited {
        #[key]
        pub campaign: felt252,
        #[key]
        pub funder: ContractAddress,
        pub amount: u128,
    }

    /// `accessor` may now spend `amount` (smallest token unit) of a campaign.
    #[derive(Drop, starknet::Event)]
    pub struct AllowanceSet {
        #[key]
        pub campaign: felt252,
        #[key]
        pub accessor: ContractAddress,
        pub amount: u128,
    }

    /// One permitted access was paid for; the two shares (smallest token unit) add up to the
    /// campaign's rate.
    #[derive(Drop, starknet::Event)]
    pub struct RewardAccrued {
        #[key]
        pub campaign: felt252,
        #[key]
        pub patient: ContractAddress,
        #[key]
        pub accessor: ContractAddress,
        pub custodian: ContractAddress,
        pub patient_share: u128,
        pub custodian_share: u128,
    }

    /// `owner` drew `amount` (smallest token unit) of its credit to `recipient`.
    #[derive(Drop, starknet::Event)]
    pub struct RewardWithdrawn {
        #[key]
        pub owner: ContractAddress,
        pub recipient: ContractAddress,
        pub amount: u128,
    }

    /// The funder may close the campaign from `closing_at` (unix seconds).
    #[derive(Drop, starknet::Event)]
    pub struct CampaignCloseAnnounced {
        #[key]
        pub campaign: felt252,
        pub closing_at: u64,
    }

    /// The campaign is closed for good; `refunded` (smallest token unit) became the funder's
    /// credit.
    #[derive(Drop, starknet::Event)]
    pub struct CampaignClosed {
        #[key]
        pub campaign: felt252,
        pub refunded: u128,
    }

    /// Binds the pool to its token and to the `MedSync` it listens to, which must be deployed
    /// already. The token is not asked: a wrong one only makes every deposit fail.
    ///
    /// Errors: `POOL/ZERO_ADDRESS`, `POOL/NOT_A_LOG`.
    #[constructor]
    fn constructor(ref self: ContractState, token: ContractAddress, log: ContractAddress) {
        assert(token.is_non_zero() && log.is_non_zero(), Errors::ZERO_ADDRESS);
        let is_log = ISRC5Dispatcher { contract_address: log }.supports_interface(IACCESS_LOG_ID);
        assert(is_log, Errors::NOT_A_LOG);
        self.token.write(token);
        self.log.write(log);
    }

    #[abi(embed_v0)]
    impl RewardPool of super::IRewardPool<ContractState> {
        fn deposit(ref self: ContractState, terms: CampaignTerms, amount: u128) {
            let Context { caller, this, now, .. } = context();
            let id = assert_funder(@terms, caller, this);
            assert(amount != 0, Errors::ZERO_AMOUNT);
            assert(is_purpose(terms.purpose), Errors::BAD_PURPOSE);
            assert(terms.rate != 0, Errors::ZERO_RATE);
            assert(terms.custodian_bps <= BPS, Errors::BAD_BPS);
            assert(terms.custodian.is_zero() == (terms.custodian_bps == 0), Errors::BAD_CUSTODIAN);
            assert(now < terms.expires_at, Errors::CAMPAIGN_EXPIRED);

            let campaign = self.campaigns.entry(id);
            let escrow = campaign.read();
            assert(escrow.status != CampaignStatus::Closed, Errors::CAMPAIGN_CLOSED);
            let totals = self.totals.read();
            // No overflow: both sums are at most the lifetime deposits, whose cap leaves room below
            // 2^128.
            assert(amount <= MAX_LIFETIME_DEPOSITS - totals.lifetime_deposits, Errors::DEPOSIT_CAP);
            campaign
                .write(
                    Escrow {
                        remaining: escrow.remaining + amount,
                        status: CampaignStatus::Open,
                        ..escrow,
                    },
                );
            self
                .totals
                .write(
                    Totals {
                        liabilities: totals.liabilities + amount,
                        lifetime_deposits: totals.lifetime_deposits + amount,
                    },
                );
            if escrow.status == CampaignStatus::None {
                self
                    .emit(
                        CampaignOpened {
                            campaign: id, funder: caller, purpose: terms.purpose, terms,
                        },
                    );
            }
            self.emit(RewardDeposited { campaign: id, funder: caller, amount });

            let token = IERC20Dispatcher { contract_address: self.token.read() };
            assert(token.transfer_from(caller, this, amount.into()), Errors::TRANSFER_FAILED);
            // The books are read again: a token that called back may have changed them.
            let liabilities = self.totals.read().liabilities;
            assert(token.balance_of(this) >= liabilities.into(), Errors::SHORTFALL);
        }

        fn set_allowance(
            ref self: ContractState, terms: CampaignTerms, accessor: ContractAddress, amount: u128,
        ) {
            let context = context();
            let campaign = assert_funder(@terms, context.caller, context.this);
            assert(accessor.is_non_zero(), Errors::ZERO_ADDRESS);
            self.allowances.write(allowance_key(campaign, accessor), Allowance { amount });
            self.emit(AllowanceSet { campaign, accessor, amount });
        }

        fn accrue(
            ref self: ContractState,
            terms: CampaignTerms,
            patient: ContractAddress,
            accessor: ContractAddress,
        ) -> Accrual {
            let context = context();
            assert(context.caller == self.log.read(), Errors::NOT_LOG);
            let campaign = terms.id();
            let escrow_cell = self.campaigns.entry(campaign);
            let escrow = escrow_cell.read();
            if escrow.status == CampaignStatus::Closed {
                return Accrual::Closed;
            }
            if context.now >= terms.expires_at {
                return Accrual::Expired;
            }
            if escrow.status == CampaignStatus::None || escrow.remaining < terms.rate {
                return Accrual::Unfunded;
            }
            if accessor != terms.funder {
                let cell = self.allowances.entry(allowance_key(campaign, accessor));
                let allowance = cell.read().amount;
                if allowance < terms.rate {
                    return Accrual::AllowanceExceeded;
                }
                cell.write(Allowance { amount: allowance - terms.rate });
            }
            let (patient_share, custodian_share) = shares(terms.rate, terms.custodian_bps);
            escrow_cell
                .write(
                    Escrow {
                        remaining: escrow.remaining - terms.rate,
                        paid_count: escrow.paid_count + 1,
                        ..escrow,
                    },
                );
            self.credit(patient, patient_share);
            self.credit(terms.custodian, custodian_share);
            self
                .emit(
                    RewardAccrued {
                        campaign,
                        patient,
                        accessor,
                        custodian: terms.custodian,
                        patient_share,
                        custodian_share,
                    },
                );
            Accrual::Paid
        }

        fn withdraw(ref self: ContractState, amount: u128, recipient: ContractAddress) {
            let context = context();
            let owner = context.caller;
            assert(amount != 0, Errors::ZERO_AMOUNT);
            assert(recipient.is_non_zero() && recipient != context.this, Errors::BAD_RECIPIENT);
            let cell = self.credits.entry(owner);
            let credit = cell.read();
            assert(amount <= credit.claimable, Errors::INSUFFICIENT_CREDIT);
            cell
                .write(
                    Credit {
                        claimable: credit.claimable - amount, withdrawn: credit.withdrawn + amount,
                    },
                );
            let totals = self.totals.read();
            self.totals.write(Totals { liabilities: totals.liabilities - amount, ..totals });
            self.emit(RewardWithdrawn { owner, recipient, amount });
            let token = IERC20Dispatcher { contract_address: self.token.read() };
            assert(token.transfer(recipient, amount.into()), Errors::TRANSFER_FAILED);
        }

        fn announce_close(ref self: ContractState, terms: CampaignTerms) {
            let context = context();
            let (campaign, escrow) = self.assert_open(context, @terms);
            let closing_at = context.now + CLOSE_NOTICE;
            self.campaigns.write(campaign, Escrow { closing_at, ..escrow });
            self.emit(CampaignCloseAnnounced { campaign, closing_at });
        }

        fn close_campaign(ref self: ContractState, terms: CampaignTerms) {
            let context = context();
            let (campaign, escrow) = self.assert_open(context, @terms);
            let noticed = escrow.closing_at != 0 && context.now >= escrow.closing_at;
            assert(noticed || context.now >= terms.expires_at, Errors::CLOSE_TOO_EARLY);
            self
                .campaigns
                .write(campaign, Escrow { remaining: 0, status: CampaignStatus::Closed, ..escrow });
            self.credit(terms.funder, escrow.remaining);
            self.emit(CampaignClosed { campaign, refunded: escrow.remaining });
        }

        fn token(self: @ContractState) -> ContractAddress {
            self.token.read()
        }

        fn log(self: @ContractState) -> ContractAddress {
            self.log.read()
        }

        fn campaign(self: @ContractState, terms: CampaignTerms) -> Campaign {
            let id = terms.id();
            let escrow = self.campaigns.read(id);
            Campaign {
                id,
                log: self.log.read(),
                status: escrow.status,
                remaining: escrow.remaining,
                paid_count: escrow.paid_count,
                closing_at: escrow.closing_at,
            }
        }

        fn allowance(self: @ContractState, campaign: felt252, accessor: ContractAddress) -> u128 {
            self.allowances.read(allowance_key(campaign, accessor)).amount
        }

        fn claimable(self: @ContractState, owner: ContractAddress) -> u128 {
            self.credits.read(owner).claimable
        }

        fn withdrawn(self: @ContractState, owner: ContractAddress) -> u128 {
            self.credits.read(owner).withdrawn
        }

        fn accumulated(self: @ContractState, owner: ContractAddress) -> u128 {
            let credit = self.credits.read(owner);
            credit.claimable + credit.withdrawn
        }

        fn liabilities(self: @ContractState) -> u128 {
            self.totals.read().liabilities
        }

        fn lifetime_deposits(self: @ContractState) -> u128 {
            self.totals.read().lifetime_deposits
        }
    }

    #[abi(embed_v0)]
    impl SRC5 of ISRC5<ContractState> {
        fn supports_interface(self: @ContractState, interface_id: felt252) -> bool {
            interface_id == IREWARD_POOL_ID || interface_id == ISRC5_ID
        }
    }

    #[generate_trait]
    impl Internal of InternalTrait {
        /// Adds to somebody's credit; liabilities stay as they are, the money only changes its
        /// owner inside the pool.
        fn credit(ref self: ContractState, owner: ContractAddress, amount: u128) {
            if amount == 0 {
                return;
            }
            let cell = self.credits.entry(owner);
            let credit = cell.read();
            cell.write(Credit { claimable: credit.claimable + amount, ..credit });
        }

        fn assert_open(
            self: @ContractState, context: Context, terms: @CampaignTerms,
        ) -> (felt252, Escrow) {
            let campaign = assert_funder(terms, context.caller, context.this);
            let escrow = self.campaigns.read(campaign);
            assert(escrow.status == CampaignStatus::Open, Errors::NOT_OPEN);
            (campaign, escrow)
        }
    }

    /// The id of terms that name this pool and the caller as funder.
    fn assert_funder(
        terms: @CampaignTerms, caller: ContractAddress, this: ContractAddress,
    ) -> felt252 {
        assert(*terms.pool == this, Errors::WRONG_POOL);
        assert(*terms.funder == caller, Errors::NOT_FUNDER);
        terms.id()
    }

    fn allowance_key(campaign: felt252, accessor: ContractAddress) -> felt252 {
        SpongeTrait::new().pair(campaign, accessor.into()).hash()
    }
}

#[cfg(test)]
mod tests {
    use crate::packing::{HIGH_BOUND, MAX_TIME};
    use super::{
        Allowance, AllowancePacking, CampaignStatus, Credit, CreditPacking, Escrow, EscrowPacking,
        Totals, TotalsPacking, shares,
    };

    const MAX: u128 = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF;

    #[test]
    fn escrows_survive_packing() {
        for status in array![CampaignStatus::None, CampaignStatus::Open, CampaignStatus::Closed] {
            for remaining in array![0, 1, MAX] {
                for paid_count in array![0, 1, 0xFFFFFFFFFFFFFFFF] {
                    for closing_at in array![0, 1, MAX_TIME] {
                        let escrow = Escrow { remaining, paid_count, closing_at, status };
                        assert!(EscrowPacking::unpack(EscrowPacking::pack(escrow)) == escrow);
                    }
                }
            }
        }
    }

    #[test]
    #[should_panic(expected: 'PACK/RANGE')]
    fn closing_at_out_of_range_panics() {
        let status = CampaignStatus::Open;
        EscrowPacking::pack(
            Escrow { remaining: 0, paid_count: 0, closing_at: MAX_TIME + 1, status },
        );
    }

    #[test]
    fn credits_totals_and_allowances_survive_packing() {
        for low in array![0, 1, MAX] {
            for high in array![0, 1, HIGH_BOUND - 1] {
                let credit = Credit { claimable: low, withdrawn: high };
                assert!(CreditPacking::unpack(CreditPacking::pack(credit)) == credit);
                let totals = Totals { liabilities: low, lifetime_deposits: high };
                assert!(TotalsPacking::unpack(TotalsPacking::pack(totals)) == totals);
            }
            let allowance = Allowance { amount: low };
            assert!(AllowancePacking::pack(allowance) != 0);
            assert!(AllowancePacking::unpack(AllowancePacking::pack(allowance)) == allowance);
        }
    }

    #[test]
    #[should_panic(expected: 'PACK/RANGE')]
    fn withdrawn_out_of_range_panics() {
        CreditPacking::pack(Credit { claimable: 0, withdrawn: HIGH_BOUND });
    }

    #[test]
    #[should_panic(expected: 'PACK/RANGE')]
    fn lifetime_deposits_out_of_range_panics() {
        TotalsPacking::pack(Totals { liabilities: 0, lifetime_deposits: HIGH_BOUND });
    }

    #[test]
    fn shares_are_exact() {
        assert!(shares(1, 9_999) == (1, 0));
        assert!(shares(10_000, 1) == (9_999, 1));
        assert!(shares(9_999, 1) == (9_999, 0));
        assert!(shares(12_345, 2_500) == (9_259, 3_086));
        assert!(shares(MAX, 10_000) == (0, MAX));
        assert!(shares(MAX, 0) == (MAX, 0));
        let (patient, custodian) = shares(MAX, 3_333);
        assert!(patient + custodian == MAX);
    }
}
