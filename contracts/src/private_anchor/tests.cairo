use medsync_interfaces::private_anchor::{AnchorNode, Statement};
use crate::packing::MAX_TIME;
use super::cells::{Anchor, AnchorPacking};
use super::{anchor_message, rotation_message};

#[test]
fn anchors_survive_packing() {
    for size in array![0, 1, 0xFFFFFFFFFFFFFFFF] {
        for epoch in array![0, 1, 0xFFFFFFFF] {
            for threshold in array![0, 1, 0xFF] {
                for nodes in array![0, 1, 0xFF] {
                    for anchored_at in array![0, 1, MAX_TIME] {
                        let anchor = Anchor { size, epoch, threshold, nodes, anchored_at };
                        assert!(AnchorPacking::unpack(AnchorPacking::pack(anchor)) == anchor);
                    }
                }
            }
        }
    }
}

#[test]
#[should_panic(expected: 'PACK/RANGE')]
fn anchored_at_out_of_range_panics() {
    let anchored_at = MAX_TIME + 1;
    AnchorPacking::pack(Anchor { size: 0, epoch: 0, threshold: 0, nodes: 0, anchored_at });
}

#[test]
fn messages_bind_everything() {
    let statement = Statement { size: 5, root: 6, state: 7, epoch: 8, commitment: 9 };
    let contract = 2.try_into().unwrap();
    let other = 3.try_into().unwrap();
    let message = anchor_message(1, contract, 3, 4, @statement);
    assert!(anchor_message(2, contract, 3, 4, @statement) != message);
    assert!(anchor_message(1, other, 3, 4, @statement) != message);
    assert!(anchor_message(1, contract, 4, 4, @statement) != message);
    assert!(anchor_message(1, contract, 3, 5, @statement) != message);
    for changed in array![
        Statement { size: 6, ..statement }, Statement { root: 7, ..statement },
        Statement { state: 8, ..statement }, Statement { epoch: 9, ..statement },
        Statement { commitment: 10, ..statement },
    ] {
        assert!(anchor_message(1, contract, 3, 4, @changed) != message);
    }

    let node = AnchorNode { stark_key: 5, identity: 6 };
    let message = rotation_message(1, contract, 3, 4, [node].span());
    assert!(rotation_message(2, contract, 3, 4, [node].span()) != message);
    assert!(rotation_message(1, other, 3, 4, [node].span()) != message);
    assert!(rotation_message(1, contract, 4, 4, [node].span()) != message);
    assert!(rotation_message(1, contract, 3, 5, [node].span()) != message);
    assert!(rotation_message(1, contract, 3, 4, [node, node].span()) != message);
    let other_key = AnchorNode { stark_key: 6, ..node };
    assert!(rotation_message(1, contract, 3, 4, [other_key].span()) != message);
    let other_identity = AnchorNode { identity: 7, ..node };
    assert!(rotation_message(1, contract, 3, 4, [other_identity].span()) != message);
}
