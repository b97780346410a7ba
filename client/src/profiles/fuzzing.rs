//! Files of profiles as people write them.

use std::fs;

use super::{Profile, Profiles};
use crate::fuzzing::assert_printable;

/// A profile that is put into a file is there afterwards, the others are as they were, and without it the file says what it
/// said; a file that holds something else is refused, and stays.
///
/// # Panics
/// Where that is not so.
pub fn profiles(bytes: &[u8]) {
    const NAME: &str = "put by the fuzzer";
    let folder = match tempfile::tempdir() {
        Ok(folder) => folder,
        Err(error) => panic!("there is no folder for profiles: {error}"),
    };
    let profiles = Profiles::at(folder.path().join("profiles.toml"));
    let content = || fs::read(profiles.path()).unwrap_or_default();
    if let Err(error) = fs::write(profiles.path(), bytes) {
        panic!("{error}");
    }
    let profile = Profile {
        coordinators: vec!["https://a.example".to_owned()],
        token_file: Some("studio/token".into()),
        ..Profile::default()
    };
    let before = match profiles.all() {
        Ok(before) => before,
        Err(error) => {
            assert_printable(error);
            assert!(profiles.put(NAME, &profile).is_err());
            assert!(content() == bytes, "what is no profile was written over");
            return;
        }
    };
    let mut with = before.clone();
    with.insert(NAME.to_owned(), profile.clone());
    match profiles.put(NAME, &profile).and_then(|_| profiles.all()) {
        Ok(found) => assert_eq!(found, with),
        Err(error) => panic!("a profile cannot be put: {error}"),
    }
    match profiles.remove(NAME).and_then(|()| profiles.all()) {
        Ok(mut found) => {
            found.remove(NAME);
            with.remove(NAME);
            assert_eq!(found, with);
        }
        Err(error) => panic!("a profile cannot be removed: {error}"),
    }
}
