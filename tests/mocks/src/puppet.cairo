//! One contract for every part that a stranger's contract can play: a pool (`campaign`, `accrue`),
//! an account (`is_valid_signature`), a log (`supports_interface`), and, by `forward`, a patient,
//! an entity, a funder or the `MedSync` of a pool.

use crate::raw::Raw;

#[starknet::interface]
pub trait IPuppet<TState> {
    fn campaign(ref self: TState, calldata: Raw) -> Raw;
    fn accrue(ref self: TState, calldata: Raw) -> Raw;
    fn is_valid_signature(ref self: TState, calldata: Raw) -> Raw;
    fn supports_interface(ref self: TState, calldata: Raw) -> Raw;
}

#[starknet::contract]
pub mod Puppet {
    use crate::raw::Raw;
    use crate::strings::StringsComponent;
    use crate::strings::StringsComponent::InternalTrait;

    component!(path: StringsComponent, storage: strings, event: StringsEvent);

    #[storage]
    struct Storage {
        #[substorage(v0)]
        strings: StringsComponent::Storage,
    }

    #[event]
    #[derive(Drop, starknet::Event)]
    enum Event {
        #[flat]
        StringsEvent: StringsComponent::Event,
    }

    #[abi(embed_v0)]
    impl Strings = StringsComponent::StringsImpl<ContractState>;

    #[abi(embed_v0)]
    impl Puppet of super::IPuppet<ContractState> {
        fn campaign(ref self: ContractState, calldata: Raw) -> Raw {
            self.strings.play(selector!("campaign"), [].span())
        }

        fn accrue(ref self: ContractState, calldata: Raw) -> Raw {
            self.strings.play(selector!("accrue"), [].span())
        }

        fn is_valid_signature(ref self: ContractState, calldata: Raw) -> Raw {
            self.strings.play(selector!("is_valid_signature"), [].span())
        }

        fn supports_interface(ref self: ContractState, calldata: Raw) -> Raw {
            self.strings.play(selector!("supports_interface"), [].span())
        }
    }
}
