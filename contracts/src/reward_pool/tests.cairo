use medsync_interfaces::reward_pool::{CampaignStatus, KeyCredit, MAX_LIABILITIES};
use crate::packing::{HIGH_BOUND, MAX_TIME};
use super::cells::{Credit, CreditPacking, Funding, FundingPacking, KeyCreditPacking};
use super::{shares, withdrawn_after};

const MAX: u128 = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF;
const U64_MAX: u64 = 0xFFFFFFFFFFFFFFFF;

fn funding() -> Funding {
    Funding { granted: 1, taken: 2, closing_at: 3, spent: 4, status: CampaignStatus::Open }
}

fn assert_survives(funding: Funding) {
    assert!(FundingPacking::unpack(FundingPacking::pack(funding)) == funding);
}

#[test]
fn fundings_survive_packing() {
    for status in array![CampaignStatus::None, CampaignStatus::Open, CampaignStatus::Closed] {
        assert_survives(Funding { status, ..funding() });
        for edge in array![0, 1, U64_MAX] {
            assert_survives(Funding { granted: edge, status, ..funding() });
            assert_survives(Funding { taken: edge, status, ..funding() });
            assert_survives(Funding { spent: edge, status, ..funding() });
        }
        for closing_at in array![0, 1, MAX_TIME] {
            assert_survives(Funding { closing_at, status, ..funding() });
        }
    }
    let status = CampaignStatus::Closed;
    assert_survives(
        Funding { granted: U64_MAX, taken: U64_MAX, closing_at: MAX_TIME, spent: U64_MAX, status },
    );
}

#[test]
#[should_panic(expected: 'PACK/RANGE')]
fn closing_at_out_of_range_panics() {
    FundingPacking::pack(Funding { closing_at: MAX_TIME + 1, ..funding() });
}

#[test]
fn credits_survive_packing() {
    for claimable in array![0, 1, MAX] {
        for withdrawn in array![0, 1, HIGH_BOUND - 1] {
            let credit = Credit { claimable, withdrawn };
            assert!(CreditPacking::unpack(CreditPacking::pack(credit)) == credit);
        }
        for nonce in array![0, 1, U64_MAX] {
            let credit = KeyCredit { claimable, nonce };
            assert!(KeyCreditPacking::unpack(KeyCreditPacking::pack(credit)) == credit);
        }
    }
}

#[test]
#[should_panic(expected: 'PACK/RANGE')]
fn withdrawn_out_of_range_panics() {
    CreditPacking::pack(Credit { claimable: 0, withdrawn: HIGH_BOUND });
}

#[test]
fn withdrawals_are_summed_up_to_the_last_value() {
    assert!(withdrawn_after(0, 1) == 1);
    assert!(withdrawn_after(MAX_LIABILITIES - 1, 1) == MAX_LIABILITIES);
    assert!(withdrawn_after(MAX_LIABILITIES, 1) == MAX_LIABILITIES);
    assert!(withdrawn_after(MAX_LIABILITIES, MAX_LIABILITIES) == MAX_LIABILITIES);
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
