//! Calldata and answers of any shape.

/// Felts as they are, with no length before them: as an argument it takes all the calldata there
/// is, as a result it can be an answer that no interface allows.
#[derive(Copy, Drop)]
pub struct Raw {
    pub felts: Span<felt252>,
}

impl RawSerde of Serde<Raw> {
    fn serialize(self: @Raw, ref output: Array<felt252>) {
        output.append_span(*self.felts);
    }

    fn deserialize(ref serialized: Span<felt252>) -> Option<Raw> {
        let felts = serialized;
        serialized = [].span();
        Option::Some(Raw { felts })
    }
}
