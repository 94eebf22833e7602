//! Keys of cells that belong to several things at once: one Poseidon hash instead of a map of maps.

use starknet::ContractAddress;
use crate::hash::SpongeTrait;

/// Of a consent's record.
pub fn consent_key(
    patient: ContractAddress, grantee: ContractAddress, purpose: felt252, study: felt252,
) -> felt252 {
    SpongeTrait::new().pair(patient.into(), grantee.into()).pair(purpose, study).hash()
}

/// Of what a campaign owes for the consent with this key.
pub fn paid_key(consent: felt252, campaign: felt252) -> felt252 {
    SpongeTrait::new().pair(consent, campaign).hash()
}

/// Of an accessor's budget.
pub fn budget_key(campaign: felt252, accessor: ContractAddress) -> felt252 {
    SpongeTrait::new().pair(campaign, accessor.into()).hash()
}

/// Of a delegation.
pub fn delegation_key(patient: ContractAddress, delegate: ContractAddress) -> felt252 {
    SpongeTrait::new().pair(patient.into(), delegate.into()).hash()
}

/// Of an emergency access.
pub fn emergency_key(patient: ContractAddress, seq: u32, hospital: ContractAddress) -> felt252 {
    SpongeTrait::new().pair(patient.into(), seq.into()).hash_with(hospital.into())
}
