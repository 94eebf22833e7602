use medsync_interfaces::reward_budgets::{Budget, PaidUses};
use crate::packing::MAX_TIME;
use super::cells::{BudgetPacking, PaidUsesPacking};

const U32_MAX: u32 = 0xFFFFFFFF;
const U64_MAX: u64 = 0xFFFFFFFFFFFFFFFF;

fn budget() -> Budget {
    Budget { left: 1, paid: 2, expires_at: 3, custodian_settled: 4 }
}

fn paid_uses() -> PaidUses {
    PaidUses { version: 1, paid: 2, base: 3, settled: 4 }
}

fn assert_budget_survives(budget: Budget) {
    assert!(BudgetPacking::unpack(BudgetPacking::pack(budget)) == budget);
}

fn assert_paid_uses_survive(paid_uses: PaidUses) {
    assert!(PaidUsesPacking::unpack(PaidUsesPacking::pack(paid_uses)) == paid_uses);
}

#[test]
fn budgets_survive_packing() {
    for edge in array![0, 1, U64_MAX] {
        assert_budget_survives(Budget { left: edge, ..budget() });
        assert_budget_survives(Budget { paid: edge, ..budget() });
        assert_budget_survives(Budget { custodian_settled: edge, ..budget() });
    }
    for expires_at in array![0, 1, MAX_TIME] {
        assert_budget_survives(Budget { expires_at, ..budget() });
    }
    assert_budget_survives(
        Budget { left: U64_MAX, paid: U64_MAX, expires_at: MAX_TIME, custodian_settled: U64_MAX },
    );
    assert!(BudgetPacking::pack(BudgetPacking::unpack(0)) == 0);
}

#[test]
#[should_panic(expected: 'PACK/RANGE')]
fn budget_time_out_of_range_panics() {
    BudgetPacking::pack(Budget { expires_at: MAX_TIME + 1, ..budget() });
}

#[test]
fn paid_uses_survive_packing() {
    for edge in array![0, 1, U32_MAX] {
        assert_paid_uses_survive(PaidUses { version: edge, ..paid_uses() });
        assert_paid_uses_survive(PaidUses { paid: edge, ..paid_uses() });
        assert_paid_uses_survive(PaidUses { base: edge, ..paid_uses() });
        assert_paid_uses_survive(PaidUses { settled: edge, ..paid_uses() });
    }
    assert_paid_uses_survive(
        PaidUses { version: U32_MAX, paid: U32_MAX, base: U32_MAX, settled: U32_MAX },
    );
    assert!(PaidUsesPacking::pack(PaidUsesPacking::unpack(0)) == 0);
}
