//! One contract for every part that a stranger's contract can play: an account
//! (`is_valid_signature`), and, by `forward` and `attempt`, a patient, an entity, a funder or a
//! spender.

use crate::raw::Raw;

#[starknet::interface]
pub trait IPuppet<TState> {
    fn is_valid_signature(ref self: TState, calldata: Raw) -> Raw;
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
        fn is_valid_signature(ref self: ContractState, calldata: Raw) -> Raw {
            self.strings.play(selector!("is_valid_signature"), [].span())
        }
    }
}
