use medsync_interfaces::access_log::Emergency;
use crate::packing::MAX_TIME;
use super::cells::EmergencyPacking;

#[test]
fn emergencies_survive_packing() {
    for at in array![0, 1, MAX_TIME] {
        for justified in array![false, true] {
            for contested in array![false, true] {
                let emergency = Emergency { at, justified, contested };
                assert!(EmergencyPacking::unpack(EmergencyPacking::pack(emergency)) == emergency);
            }
        }
    }
}

#[test]
#[should_panic(expected: 'PACK/RANGE')]
fn time_out_of_range_panics() {
    EmergencyPacking::pack(Emergency { at: MAX_TIME + 1, justified: false, contested: false });
}
