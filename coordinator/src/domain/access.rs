//! Who calls, and what they may do.

/// What somebody is to a coordinator; each has its own calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Submits grids, and sees and touches those that are its own.
    Client,
    /// Renders: it leases cells and answers for them.
    Node,
    /// Sees and touches everything.
    Operator,
    /// Sees everything and touches nothing.
    ReadOnly,
}

/// Somebody who was told apart from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its name, as people gave it.
    pub name: String,
    /// What it is.
    pub role: Role,
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Whoever reaches a coordinator that asks nobody who they are: in every role at once.
    Anyone,
    /// Somebody who was told apart.
    Known(Identity),
}
