//! Who may ask for data: hospitals, researchers and auditors, registered by an administrator.

use starknet::ContractAddress;
use crate::chain::Head;
use crate::vocabulary::Role;

/// A registered entity, packed into one cell.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub struct Entity {
    /// `None` for an address that was never registered.
    pub role: Role,
    pub suspended: bool,
    /// Unix seconds of the registration.
    pub registered_at: u64,
    /// Unix seconds of the registration or of the latest reinstatement: emergency access is only
    /// for those who have been active for `EMERGENCY_DELAY`.
    pub active_since: u64,
    /// Unix seconds of the latest change of the profile; the registration counts as one.
    pub profiled_at: u64,
    /// Number of the entity's latest entry in the registry's history.
    pub seq: u32,
}

/// The hand-over that is under way.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub struct PendingAdmin {
    pub address: ContractAddress,
    /// Unix seconds from which it can be accepted.
    pub ready_at: u64,
    /// Unix seconds from which it cannot be accepted any more.
    pub lapses_at: u64,
}

/// Seconds between beginning a hand-over of the administration and the first moment it can be
/// accepted: 48 hours.
pub const ADMIN_DELAY: u64 = 172_800;

/// Seconds after beginning a hand-over from which it has lapsed: 14 days.
pub const ADMIN_LAPSE: u64 = 1_209_600;

/// Seconds that a hospital must have been registered, or reinstated, before it may break the glass:
/// 48 hours.
pub const EMERGENCY_DELAY: u64 = 172_800;

/// Seconds between two changes of an entity's profile: one day.
pub const PROFILE_DELAY: u64 = 86_400;

/// SRC-5 id: XOR of the extended selectors of `IEntityRegistry` (SNIP-5).
pub const IENTITY_REGISTRY_ID: felt252 =
    0x133695e8a97d037810c4dbe5f83f042cd7fce8b23170e15e072dddf3df735e1;

/// Registration, suspension and the administrator who does both. Everything that happens here is an
/// entry of the registry's history.
#[starknet::interface]
pub trait IEntityRegistry<TState> {
    /// Registers an entity.
    ///
    /// Preconditions:
    /// - `address` is not zero, was never registered, and is neither the administrator nor named as
    ///   the next one
    /// - `role` is not `None`
    /// - `profile_commitment` (salted hash of the entity's off-chain profile) is not zero
    ///
    /// Effects:
    /// - writes the entity's cell (new)
    /// - appends to the registry's history
    ///
    /// Emits:
    /// - `EntityRegistered`
    ///
    /// Errors:
    /// - `ENTITY/NOT_ADMIN`, `ENTITY/ZERO_ADDRESS`, `ENTITY/IS_ADMIN`, `ENTITY/BAD_ROLE`,
    ///   `ENTITY/ZERO_PROFILE`, `ENTITY/ALREADY_REGISTERED`, `ENTITY/HISTORY_FULL`
    ///
    /// Access:
    /// - the administrator
    fn register_entity(
        ref self: TState, address: ContractAddress, role: Role, profile_commitment: felt252,
    );

    /// Suspends an entity: from now on whatever it asks for reverts. Consents given to it stay as
    /// they are.
    ///
    /// Preconditions:
    /// - registered and not suspended
    ///
    /// Effects:
    /// - writes the entity's cell
    /// - appends to the registry's history
    ///
    /// Emits:
    /// - `EntitySuspended`
    ///
    /// Errors:
    /// - `ENTITY/NOT_ADMIN`, `ENTITY/UNKNOWN`, `ENTITY/SUSPENDED`, `ENTITY/HISTORY_FULL`
    ///
    /// Access:
    /// - the administrator
    fn suspend_entity(ref self: TState, address: ContractAddress);

    /// Suspends the caller, for an entity whose key may be stolen. Only the administrator can lift
    /// it.
    ///
    /// Preconditions:
    /// - registered and not suspended
    ///
    /// Effects:
    /// - writes the entity's cell
    /// - appends to the registry's history
    ///
    /// Emits:
    /// - `EntitySuspended` that names the entity itself
    ///
    /// Errors:
    /// - `ENTITY/UNKNOWN`, `ENTITY/SUSPENDED`, `ENTITY/HISTORY_FULL`
    ///
    /// Access:
    /// - registered entities, for themselves
    fn suspend_self(ref self: TState);

    /// Lifts a suspension. Emergency access begins again after `EMERGENCY_DELAY`.
    ///
    /// Preconditions:
    /// - registered and suspended
    ///
    /// Effects:
    /// - writes the entity's cell
    /// - appends to the registry's history
    ///
    /// Emits:
    /// - `EntityReinstated`
    ///
    /// Errors:
    /// - `ENTITY/NOT_ADMIN`, `ENTITY/UNKNOWN`, `ENTITY/NOT_SUSPENDED`, `ENTITY/HISTORY_FULL`
    ///
    /// Access:
    /// - the administrator
    fn reinstate_entity(ref self: TState, address: ContractAddress);

    /// Replaces the caller's profile, once per `PROFILE_DELAY`.
    ///
    /// Preconditions:
    /// - the caller is registered and not suspended
    /// - its latest profile is at least `PROFILE_DELAY` old
    /// - `profile_commitment` is not zero
    ///
    /// Effects:
    /// - writes the entity's cell
    /// - appends to the registry's history
    ///
    /// Emits:
    /// - `ProfileChanged`
    ///
    /// Errors:
    /// - `ENTITY/UNKNOWN`, `ENTITY/SUSPENDED`, `ENTITY/ZERO_PROFILE`, `ENTITY/PROFILE_TOO_SOON`,
    ///   `ENTITY/HISTORY_FULL`
    ///
    /// Access:
    /// - registered entities, for themselves
    fn change_profile(ref self: TState, profile_commitment: felt252);

    /// Begins handing the administration over. The present administrator stays until the new one
    /// accepts, so the office is never empty; beginning again names another successor and starts
    /// the delay anew.
    ///
    /// Preconditions:
    /// - `new_admin` is neither zero nor the administrator nor a registered entity
    ///
    /// Effects:
    /// - writes the next administrator and the time from which it may accept
    /// - appends to the registry's history
    ///
    /// Emits:
    /// - `AdminTransferBegun`
    ///
    /// Errors:
    /// - `ENTITY/NOT_ADMIN`, `ENTITY/ZERO_ADDRESS`, `ENTITY/IS_ADMIN`, `ENTITY/IS_ENTITY`,
    ///   `ENTITY/HISTORY_FULL`
    ///
    /// Access:
    /// - the administrator
    fn begin_admin_transfer(ref self: TState, new_admin: ContractAddress);

    /// Calls the hand-over off.
    ///
    /// Preconditions:
    /// - one is under way, lapsed or not
    ///
    /// Effects:
    /// - writes the cell of the next administrator
    /// - appends to the registry's history
    ///
    /// Emits:
    /// - `AdminTransferCancelled`
    ///
    /// Errors:
    /// - `ENTITY/NOT_ADMIN`, `ENTITY/NO_TRANSFER`, `ENTITY/HISTORY_FULL`
    ///
    /// Access:
    /// - the administrator
    fn cancel_admin_transfer(ref self: TState);

    /// Takes the administration over.
    ///
    /// Preconditions:
    /// - a hand-over to the caller is under way
    /// - `ADMIN_DELAY` has passed since it began, and `ADMIN_LAPSE` has not
    /// - the caller is no registered entity
    ///
    /// Effects:
    /// - writes the administrator
    /// - appends to the registry's history
    ///
    /// Emits:
    /// - `AdminTransferred`
    ///
    /// Errors:
    /// - `ENTITY/NO_TRANSFER`, `ENTITY/NOT_PENDING_ADMIN`, `ENTITY/TRANSFER_NOT_READY`,
    ///   `ENTITY/TRANSFER_LAPSED`, `ENTITY/IS_ENTITY`, `ENTITY/HISTORY_FULL`
    ///
    /// Access:
    /// - the pending administrator
    fn accept_admin_transfer(ref self: TState);

    /// Names the deployment that is to replace this one, or takes the announcement back. Nothing
    /// here changes by it: clients show it and never follow it, because whoever stole the
    /// administrator's key could name anything.
    ///
    /// Preconditions:
    /// - `successor` is not this contract; zero takes an announcement back
    ///
    /// Effects:
    /// - writes the successor (new for the first)
    /// - appends to the registry's history
    ///
    /// Emits:
    /// - `SuccessorAnnounced`
    ///
    /// Errors:
    /// - `ENTITY/NOT_ADMIN`, `ENTITY/BAD_SUCCESSOR`, `ENTITY/HISTORY_FULL`
    ///
    /// Access:
    /// - the administrator
    fn announce_successor(ref self: TState, successor: ContractAddress);

    /// The entity at `address`; role `None` if it was never registered.
    ///
    /// Access:
    /// - anyone (view)
    fn entity(self: @TState, address: ContractAddress) -> Entity;

    /// The administrator.
    ///
    /// Access:
    /// - anyone (view)
    fn admin(self: @TState) -> ContractAddress;

    /// The hand-over under way, if any; a lapsed one is returned until it is replaced or called
    /// off.
    ///
    /// Access:
    /// - anyone (view)
    fn pending_admin(self: @TState) -> Option<PendingAdmin>;

    /// The announced successor of this deployment, or zero.
    ///
    /// Access:
    /// - anyone (view)
    fn successor(self: @TState) -> ContractAddress;

    /// Length and head of the registry's history.
    ///
    /// Access:
    /// - anyone (view)
    fn registry_head(self: @TState) -> Head;

    /// Which edition of the contracts this is, for people: a short string.
    ///
    /// Access:
    /// - anyone (view)
    fn edition(self: @TState) -> felt252;
}

/// An entity was registered: entry `seq` of the registry's history, at `at` (unix seconds).
#[derive(Drop, starknet::Event)]
pub struct EntityRegistered {
    #[key]
    pub entity: ContractAddress,
    pub seq: u32,
    pub at: u64,
    pub role: Role,
    pub profile_commitment: felt252,
}

/// Whatever an entity asks for reverts from now on; `by` is the administrator or the entity itself.
#[derive(Drop, starknet::Event)]
pub struct EntitySuspended {
    #[key]
    pub entity: ContractAddress,
    pub seq: u32,
    pub at: u64,
    pub by: ContractAddress,
}

/// An entity's suspension was lifted.
#[derive(Drop, starknet::Event)]
pub struct EntityReinstated {
    #[key]
    pub entity: ContractAddress,
    pub seq: u32,
    pub at: u64,
}

/// An entity replaced its profile.
#[derive(Drop, starknet::Event)]
pub struct ProfileChanged {
    #[key]
    pub entity: ContractAddress,
    pub seq: u32,
    pub at: u64,
    pub profile_commitment: felt252,
}

/// `new_admin` may take over from `ready_at` until before `lapses_at` (unix seconds).
#[derive(Drop, starknet::Event)]
pub struct AdminTransferBegun {
    #[key]
    pub new_admin: ContractAddress,
    pub seq: u32,
    pub at: u64,
    pub ready_at: u64,
    pub lapses_at: u64,
}

/// The hand-over to `new_admin` was called off.
#[derive(Drop, starknet::Event)]
pub struct AdminTransferCancelled {
    #[key]
    pub new_admin: ContractAddress,
    pub seq: u32,
    pub at: u64,
}

/// The administration changed hands; `previous` is zero at deployment.
#[derive(Drop, starknet::Event)]
pub struct AdminTransferred {
    #[key]
    pub previous: ContractAddress,
    #[key]
    pub admin: ContractAddress,
    pub seq: u32,
    pub at: u64,
}

/// The administrator named the deployment that is to replace this one; zero takes it back.
#[derive(Drop, starknet::Event)]
pub struct SuccessorAnnounced {
    #[key]
    pub successor: ContractAddress,
    pub seq: u32,
    pub at: u64,
}

pub mod Errors {
    /// The address was never registered as an entity.
    pub const UNKNOWN: felt252 = 'ENTITY/UNKNOWN';
    /// The entity is suspended.
    pub const SUSPENDED: felt252 = 'ENTITY/SUSPENDED';
    /// Only the administrator may do this.
    pub const NOT_ADMIN: felt252 = 'ENTITY/NOT_ADMIN';
    /// The address is zero.
    pub const ZERO_ADDRESS: felt252 = 'ENTITY/ZERO_ADDRESS';
    /// `None` is no role to register.
    pub const BAD_ROLE: felt252 = 'ENTITY/BAD_ROLE';
    /// The profile commitment is zero.
    pub const ZERO_PROFILE: felt252 = 'ENTITY/ZERO_PROFILE';
    /// The address is registered already; a role never changes.
    pub const ALREADY_REGISTERED: felt252 = 'ENTITY/ALREADY_REGISTERED';
    /// The entity is not suspended.
    pub const NOT_SUSPENDED: felt252 = 'ENTITY/NOT_SUSPENDED';
    /// The profile was changed less than a day ago.
    pub const PROFILE_TOO_SOON: felt252 = 'ENTITY/PROFILE_TOO_SOON';
    /// The address is the administrator, or named as the next one; it can be no entity.
    pub const IS_ADMIN: felt252 = 'ENTITY/IS_ADMIN';
    /// The address is a registered entity and cannot be the administrator.
    pub const IS_ENTITY: felt252 = 'ENTITY/IS_ENTITY';
    /// No hand-over of the administration is under way.
    pub const NO_TRANSFER: felt252 = 'ENTITY/NO_TRANSFER';
    /// The hand-over is to somebody else.
    pub const NOT_PENDING_ADMIN: felt252 = 'ENTITY/NOT_PENDING_ADMIN';
    /// The hand-over can only be accepted 48 hours after it began.
    pub const TRANSFER_NOT_READY: felt252 = 'ENTITY/TRANSFER_NOT_READY';
    /// The hand-over began 14 days ago and cannot be accepted any more.
    pub const TRANSFER_LAPSED: felt252 = 'ENTITY/TRANSFER_LAPSED';
    /// A deployment cannot succeed itself.
    pub const BAD_SUCCESSOR: felt252 = 'ENTITY/BAD_SUCCESSOR';
    /// The registry's history has 2^32 - 1 entries and takes no more.
    pub const HISTORY_FULL: felt252 = 'ENTITY/HISTORY_FULL';
}
