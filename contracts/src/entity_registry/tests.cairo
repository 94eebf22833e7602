use medsync_interfaces::entity_registry::Entity;
use medsync_interfaces::vocabulary::Role;
use crate::packing::MAX_TIME;
use super::cells::EntityPacking;

fn entity() -> Entity {
    Entity {
        role: Role::Hospital,
        suspended: true,
        registered_at: 1,
        active_since: 2,
        profiled_at: 3,
        seq: 4,
    }
}

fn assert_survives(entity: Entity) {
    assert!(EntityPacking::unpack(EntityPacking::pack(entity)) == entity);
}

#[test]
fn entities_survive_packing() {
    for role in array![Role::None, Role::Hospital, Role::Researcher, Role::Auditor] {
        assert_survives(Entity { role, ..entity() });
        assert_survives(Entity { role, suspended: false, ..entity() });
    }
    for time in array![0, 1, MAX_TIME] {
        assert_survives(Entity { registered_at: time, ..entity() });
        assert_survives(Entity { active_since: time, ..entity() });
        assert_survives(Entity { profiled_at: time, ..entity() });
    }
    for seq in array![0, 1, 0xFFFFFFFF] {
        assert_survives(Entity { seq, ..entity() });
    }
    assert_survives(
        Entity {
            role: Role::Auditor,
            suspended: true,
            registered_at: MAX_TIME,
            active_since: MAX_TIME,
            profiled_at: MAX_TIME,
            seq: 0xFFFFFFFF,
        },
    );
    assert!(EntityPacking::unpack(0).role == Role::None);
}

#[test]
#[should_panic(expected: 'PACK/RANGE')]
fn registered_at_out_of_range_panics() {
    EntityPacking::pack(Entity { registered_at: MAX_TIME + 1, ..entity() });
}

#[test]
#[should_panic(expected: 'PACK/RANGE')]
fn active_since_out_of_range_panics() {
    EntityPacking::pack(Entity { active_since: MAX_TIME + 1, ..entity() });
}

#[test]
#[should_panic(expected: 'PACK/RANGE')]
fn profiled_at_out_of_range_panics() {
    EntityPacking::pack(Entity { profiled_at: MAX_TIME + 1, ..entity() });
}
