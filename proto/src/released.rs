//! Whether the protocol as it stands keeps what was promised of released ones: by their descriptors in `proto/released/`,
//! which `make freeze-protocol` writes.
//!
//! Adding is always allowed. Whatever a program of a release may send, ask for or read must stay where it is, of the type
//! that it has; only what that release itself had declared obsolete (`deprecated = true`) may go, and then nothing else may
//! come into its place.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumOptions, FieldDescriptorProto, FieldOptions,
    FileDescriptorSet, MessageOptions, MethodDescriptorProto, MethodOptions,
};

/// What of a descriptor counts, by full names.
#[derive(Default)]
struct Surface<'a> {
    messages: BTreeMap<String, &'a DescriptorProto>,
    enums: BTreeMap<String, &'a EnumDescriptorProto>,
    methods: BTreeMap<String, &'a MethodDescriptorProto>,
}

impl<'a> Surface<'a> {
    fn of(descriptors: &'a FileDescriptorSet) -> Self {
        let mut surface = Self::default();
        for file in &descriptors.file {
            let package = file.package();
            for message in &file.message_type {
                surface.add_message(package, message);
            }
            surface.add_enums(package, &file.enum_type);
            for service in &file.service {
                for method in &service.method {
                    let name = format!("{package}.{}/{}", service.name(), method.name());
                    surface.methods.insert(name, method);
                }
            }
        }
        surface
    }

    fn add_message(&mut self, within: &str, message: &'a DescriptorProto) {
        let name = format!("{within}.{}", message.name());
        for nested in &message.nested_type {
            self.add_message(&name, nested);
        }
        self.add_enums(&name, &message.enum_type);
        self.messages.insert(name, message);
    }

    fn add_enums(&mut self, within: &str, enums: &'a [EnumDescriptorProto]) {
        for one in enums {
            self.enums.insert(format!("{within}.{}", one.name()), one);
        }
    }
}

/// What of the released protocol `present` does not keep, a sentence each; empty: programs of both understand each other.
pub(crate) fn breaks(released: &FileDescriptorSet, present: &FileDescriptorSet) -> Vec<String> {
    let (released, present) = (Surface::of(released), Surface::of(present));
    let mut found = Vec::new();
    for (name, before) in &released.messages {
        match present.messages.get(name) {
            Some(now) => found.extend(in_message(name, before, now)),
            None if before
                .options
                .as_ref()
                .is_some_and(MessageOptions::deprecated) => {}
            None => found.push(format!("message {name} is gone")),
        }
    }
    for (name, before) in &released.enums {
        match present.enums.get(name) {
            Some(now) => found.extend(in_enum(name, before, now)),
            None if before.options.as_ref().is_some_and(EnumOptions::deprecated) => {}
            None => found.push(format!("enum {name} is gone")),
        }
    }
    for (name, before) in &released.methods {
        match present.methods.get(name) {
            Some(now) if shape_of_method(before) != shape_of_method(now) => found.push(format!(
                "method {name} was {} and is {}",
                shape_of_method(before),
                shape_of_method(now)
            )),
            None if !before
                .options
                .as_ref()
                .is_some_and(MethodOptions::deprecated) =>
            {
                found.push(format!("method {name} is gone"));
            }
            Some(_) | None => {}
        }
    }
    found
}

fn in_message(name: &str, before: &DescriptorProto, now: &DescriptorProto) -> Vec<String> {
    let mut found = Vec::new();
    for field in &before.field {
        let (number, called) = (field.number(), field.name());
        let is_reserved = || {
            let mut ranges = now.reserved_range.iter();
            ranges.any(|range| (range.start()..range.end()).contains(&number))
        };
        let after = now.field.iter().find(|it| it.number() == number);
        match after.map(|after| shape(now, after)) {
            Some(shape_now) if shape_now == shape(before, field) => {}
            Some(shape_now) => found.push(format!(
                "{name}: field {number} was `{}` and is `{shape_now}`",
                shape(before, field)
            )),
            None if !field.options.as_ref().is_some_and(FieldOptions::deprecated) => {
                found.push(format!("{name}: field {number} `{called}` is gone"));
            }
            None if !is_reserved() => found.push(format!(
                "{name}: field {number} `{called}` went, and its number is not reserved"
            )),
            None => {}
        }
    }
    for range in &before.reserved_range {
        for field in &now.field {
            if (range.start()..range.end()).contains(&field.number()) {
                let (number, called) = (field.number(), field.name());
                found.push(format!(
                    "{name}: field {number} `{called}` has a number that was reserved"
                ));
            }
        }
    }
    found
}

fn in_enum(name: &str, before: &EnumDescriptorProto, now: &EnumDescriptorProto) -> Vec<String> {
    let mut found = Vec::new();
    for value in &before.value {
        let mut present = now.value.iter();
        match present.find(|it| it.number() == value.number()) {
            Some(after) if after.name() == value.name() => {}
            Some(after) => found.push(format!(
                "{name}: value {} was {} and is {}",
                value.number(),
                value.name(),
                after.name()
            )),
            None => found.push(format!(
                "{name}: value {} {} is gone",
                value.number(),
                value.name()
            )),
        }
    }
    found
}

/// All of a field that another program relies on, nearly as a .proto file has it.
fn shape(message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    let kind = match field.r#type() {
        Type::Message | Type::Enum | Type::Group => field.type_name().to_owned(),
        scalar => scalar
            .as_str_name()
            .trim_start_matches("TYPE_")
            .to_lowercase(),
    };
    let repeated = if field.label() == Label::Repeated {
        "repeated "
    } else {
        ""
    };
    let unpacked = match field.options.as_ref().and_then(|options| options.packed) {
        Some(false) => " [packed = false]",
        _ => "",
    };
    // An `optional` field is the only one of a choice of its own.
    let oneof = field
        .oneof_index
        .and_then(|index| message.oneof_decl.get(usize::try_from(index).ok()?));
    let choice = oneof.map(|oneof| {
        if field.proto3_optional() {
            "optional ".to_owned()
        } else {
            format!("oneof {} ", oneof.name())
        }
    });
    let choice = choice.unwrap_or_default();
    format!("{choice}{repeated}{kind} {}{unpacked}", field.name())
}

fn shape_of_method(method: &MethodDescriptorProto) -> String {
    let stream = |is: bool| if is { "stream " } else { "" };
    format!(
        "({}{}) returns ({}{})",
        stream(method.client_streaming()),
        method.input_type(),
        stream(method.server_streaming()),
        method.output_type()
    )
}
