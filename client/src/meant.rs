//! What GRID and NODE on the command line have in common: one is meant by its name or, failing that, by the beginning of its
//! id.

/// Characters of an id that may stand for it.
const PREFIX_CHARACTERS_MIN: usize = 4;

/// Whether an id may begin so.
pub fn may_begin_an_id(wanted: &str) -> bool {
    wanted.len() >= PREFIX_CHARACTERS_MIN
        && wanted
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// Those of this name or, if there are none, with an id that begins so.
pub fn meant<'a, Item>(
    wanted: &str,
    all: &'a [Item],
    name: impl Fn(&Item) -> &str,
    id: impl Fn(&Item) -> String,
) -> Vec<&'a Item> {
    let named: Vec<&Item> = all.iter().filter(|item| name(item) == wanted).collect();
    if !named.is_empty() || !may_begin_an_id(wanted) {
        return named;
    }
    let prefix = wanted.to_ascii_lowercase();
    all.iter()
        .filter(|item| id(item).starts_with(&prefix))
        .collect()
}
