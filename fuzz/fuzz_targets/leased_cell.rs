#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| atelier_node::fuzzing::leased_cell(bytes));
