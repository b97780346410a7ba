//! Who may look and act at the board. Where nobody is asked who they are, looking is free, and whoever has the board's key acts;
//! elsewhere each does what their role lets them, by the same table as by gRPC.

use std::time::Duration;

use crate::domain::access::{self, Admitted, Caller, NotAllowed, Proof, Role, Who};

/// How long it takes to ask for something that is no picture.
const ANSWER_MAX: Duration = Duration::from_mins(2);

/// Who may do one kind of thing at the board: those who may make the call that does the same.
#[derive(Debug, Clone, Copy)]
pub(super) struct Door {
    /// For the audit log, and for who is refused.
    pub(super) name: &'static str,
    /// To whom it is open.
    whom: Whom,
    /// Whether something is changed: then also where nobody is asked who they are the key is wanted.
    pub(super) acts: bool,
    /// What it takes of a visitor's allowance, where a call takes 1.
    pub(super) cost: f64,
    /// How long a visitor may take to ask, and the board to begin with its answer.
    pub(super) answer_max: Duration,
}

/// To whom a door is open.
#[derive(Debug, Clone, Copy)]
enum Whom {
    /// Those who may make this call, as in `Grids.List`.
    CallersOf(&'static str),
    /// These.
    Who(Who),
}

pub(super) const LOOKING: Door = Door {
    name: "Board.Look",
    whom: Whom::CallersOf("Grids.List"),
    acts: false,
    cost: 1.0,
    answer_max: ANSWER_MAX,
};
/// Files of galleries, of which a page shows many.
pub(super) const PICTURES: Door = Door {
    cost: 0.05,
    ..LOOKING
};
pub(super) const SUBMITTING: Door = Door {
    name: "Board.Submit",
    whom: Whom::CallersOf("Grids.Submit"),
    acts: true,
    cost: 1.0,
    answer_max: ANSWER_MAX,
};
/// Pictures take long to come.
pub(super) const UPLOADING: Door = Door {
    answer_max: Duration::from_mins(30),
    ..SUBMITTING
};
pub(super) const STEERING: Door = Door {
    name: "Board.Steer",
    whom: Whom::CallersOf("Fleet.Drain"),
    acts: true,
    cost: 1.0,
    answer_max: ANSWER_MAX,
};
pub(super) const METRICS: Door = Door {
    name: "Board.Metrics",
    whom: Whom::Who(access::METRICS),
    acts: false,
    cost: 1.0,
    answer_max: ANSWER_MAX,
};

impl Door {
    /// Whether it is open to somebody.
    pub(super) fn check(self, admitted: &Admitted) -> Result<(), NotAllowed> {
        if self.acts && admitted.caller == Caller::Anyone && admitted.proof != Proof::BoardKey {
            return Err(NotAllowed {
                call: self.name.to_owned(),
                needed: "whoever has the board's key".to_owned(),
                name: String::new(),
                held: Role::ReadOnly,
            });
        }
        let who = match self.whom {
            // A call that is not in the table is for nobody.
            Whom::CallersOf(call) => access::rule(call).map_or(Who::Roles(&[]), |rule| rule.who),
            Whom::Who(who) => who,
        };
        access::check_role(&admitted.caller, self.name, who)
    }
}
