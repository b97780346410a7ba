//! The protocol of this version against those that were released, and the judge against changes that it must see.

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{FieldDescriptorProto, FieldOptions, FileDescriptorSet};

use super::breaks;
use crate::v1::FILE_DESCRIPTOR_SET;
use crate::version::{Peering, Release, VERSION, peering};

fn present() -> FileDescriptorSet {
    FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap()
}

#[test]
fn this_version_understands_the_programs_of_those_that_it_must() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/released");
    let present = present();
    let mut own = false;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let release: Release = format!("{name}.0").parse().unwrap();
        own |= format!("{VERSION}.").starts_with(&format!("{name}."));
        if peering(Release::own(), release) != Peering::Promised {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let released = FileDescriptorSet::decode(&*bytes).unwrap();
        assert!(
            released.file.iter().any(|file| !file.service.is_empty()),
            "{name} is empty"
        );
        let found = breaks(&released, &present);
        assert!(
            found.is_empty(),
            "programs of {name} do not understand this protocol any more:\n  {}\n\
             hint: add beside what is there and mark the old as deprecated; what was never released is frozen anew with \
             `make freeze-protocol`",
            found.join("\n  ")
        );
    }
    assert!(
        own,
        "the protocol of {VERSION} is not frozen\nhint: make freeze-protocol"
    );
}

/// What a change of the present protocol breaks.
fn after(change: impl FnOnce(&mut FileDescriptorSet)) -> Vec<String> {
    let released = present();
    let mut changed = released.clone();
    change(&mut changed);
    assert_ne!(changed, released, "nothing is changed");
    breaks(&released, &changed)
}

fn file<'a>(
    set: &'a mut FileDescriptorSet,
    name: &str,
) -> &'a mut prost_types::FileDescriptorProto {
    let path = format!("atelier/v1/{name}.proto");
    set.file
        .iter_mut()
        .find(|file| file.name() == path)
        .unwrap()
}

fn message<'a>(
    set: &'a mut FileDescriptorSet,
    of: &str,
    name: &str,
) -> &'a mut prost_types::DescriptorProto {
    let messages = &mut file(set, of).message_type;
    messages.iter_mut().find(|it| it.name() == name).unwrap()
}

fn field(set: &mut FileDescriptorSet, number: i32) -> &mut FieldDescriptorProto {
    let fields = &mut message(set, "nodes", "LeaseRequest").field;
    fields
        .iter_mut()
        .find(|field| field.number() == number)
        .unwrap()
}

type Change = fn(&mut FieldDescriptorProto);

#[test]
fn a_field_that_changes_is_seen() {
    let changes: [(Change, i32, &str); 7] = [
        (|it| it.number = Some(99), 1, "field 1 `node_id` is gone"),
        (
            |it| it.name = Some("node".into()),
            1,
            "`string node_id` and is `string node`",
        ),
        (
            |it| it.r#type = Some(Type::Bytes.into()),
            1,
            "`bytes node_id`",
        ),
        (
            |it| it.label = Some(Label::Repeated.into()),
            2,
            "`repeated uint32 cells_max`",
        ),
        (
            |it| it.type_name = Some(".google.protobuf.Timestamp".into()),
            3,
            "`.google.protobuf.Timestamp wait`",
        ),
        (
            |it| (it.oneof_index, it.proto3_optional) = (None, None),
            5,
            "was `optional double seconds_wanted` and is `double seconds_wanted`",
        ),
        (
            |it| {
                let packed = Some(false);
                it.options = Some(FieldOptions {
                    packed,
                    ..FieldOptions::default()
                });
            },
            2,
            "[packed = false]",
        ),
    ];
    for (change, number, expected) in changes {
        let found = after(|set| change(field(set, number)));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with("atelier.v1.LeaseRequest: field"),
            "{found:?}"
        );
        assert!(found[0].contains(expected), "{found:?} has no {expected}");
    }
}

#[test]
fn what_goes_is_seen() {
    let found = after(|set| message(set, "nodes", "LeaseRequest").field.clear());
    assert_eq!(found.len(), 5, "{found:?}");
    let found = after(|set| {
        file(set, "nodes")
            .message_type
            .retain(|it| it.name() != "HeldCell");
    });
    assert_eq!(found, ["message atelier.v1.HeldCell is gone"]);
    let found = after(|set| file(set, "fleet").enum_type.clear());
    assert!(
        found.contains(&"enum atelier.v1.NodeState is gone".to_owned()),
        "{found:?}"
    );
    let found = after(|set| drop(file(set, "fleet").enum_type[0].value.pop()));
    assert!(
        found[0].contains("is gone") && found[0].contains("NODE_STATE_"),
        "{found:?}"
    );
    let found = after(|set| file(set, "fleet").enum_type[0].value[1].number = Some(77));
    assert_eq!(
        found,
        ["atelier.v1.NodeState: value 1 NODE_STATE_ACTIVE is gone"]
    );
    let found =
        after(|set| file(set, "fleet").enum_type[0].value[1].name = Some("NODE_STATE_BUSY".into()));
    assert_eq!(
        found,
        ["atelier.v1.NodeState: value 1 was NODE_STATE_ACTIVE and is NODE_STATE_BUSY"]
    );
    // The entries of a map are a message within the message.
    let found = after(|set| message(set, "nodes", "RegisterRequest").nested_type.clear());
    assert_eq!(
        found,
        ["message atelier.v1.RegisterRequest.LabelsEntry is gone"]
    );
    let found = after(|set| {
        set.file
            .retain(|file| file.name() != "atelier/v1/fleet.proto");
    });
    assert!(
        found.contains(&"method atelier.v1.Fleet/Drain is gone".to_owned()),
        "{found:?}"
    );
}

#[test]
fn a_method_that_changes_is_seen() {
    let register = "method atelier.v1.Nodes/Register";
    let found = after(|set| drop(file(set, "nodes").service[0].method.remove(0)));
    assert_eq!(found, [format!("{register} is gone")]);
    let found = after(|set| file(set, "nodes").service[0].method[0].server_streaming = Some(true));
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with(register) && found[0].contains("returns (stream "),
        "{found:?}"
    );
    let lease = Some(".atelier.v1.LeaseRequest".to_owned());
    let found = after(|set| file(set, "nodes").service[0].method[0].input_type = lease);
    assert!(
        found[0].contains("and is (.atelier.v1.LeaseRequest)"),
        "{found:?}"
    );
    let found = after(|set| file(set, "nodes").service[0].name = Some("Painters".into()));
    assert!(found.contains(&format!("{register} is gone")), "{found:?}");
}

#[test]
fn what_is_added_breaks_nothing() {
    let found = after(|set| {
        let mut field = field(set, 1).clone();
        (field.number, field.name) = (Some(99), Some("mood".to_owned()));
        let request = message(set, "nodes", "LeaseRequest");
        request.field.push(field);
        let mut response = request.clone();
        response.name = Some("MoodResponse".to_owned());
        let nodes = file(set, "nodes");
        nodes.message_type.push(response);
        let mut method = nodes.service[0].method[0].clone();
        method.name = Some("Cheer".to_owned());
        nodes.service[0].method.push(method);
        let states = &mut file(set, "fleet").enum_type[0].value;
        let mut state = states[1].clone();
        (state.number, state.name) = (Some(99), Some("NODE_STATE_MERRY".to_owned()));
        states.push(state);
    });
    assert_eq!(found, [] as [&str; 0]);
}

#[test]
fn what_was_obsolete_may_go_if_nothing_comes_into_its_place() {
    let mut released = present();
    field(&mut released, 4).options = Some(FieldOptions {
        deprecated: Some(true),
        ..FieldOptions::default()
    });
    let mut changed = released.clone();
    message(&mut changed, "nodes", "LeaseRequest")
        .field
        .retain(|field| field.number() != 4);
    let found = breaks(&released, &changed);
    assert_eq!(
        found,
        ["atelier.v1.LeaseRequest: field 4 `cached_inputs` went, and its number is not reserved"]
    );
    let reserved = prost_types::descriptor_proto::ReservedRange {
        start: Some(4),
        end: Some(5),
    };
    let request = message(&mut changed, "nodes", "LeaseRequest");
    request.reserved_range.push(reserved);
    assert_eq!(breaks(&released, &changed), [] as [&str; 0]);
    // The next release knows the number as one that is no more to be had.
    let mut reused = changed.clone();
    field(&mut reused, 2).number = Some(4);
    let found = breaks(&changed, &reused);
    assert!(
        found.contains(
            &"atelier.v1.LeaseRequest: field 4 `cells_max` has a number that was reserved"
                .to_owned()
        ),
        "{found:?}"
    );
}
