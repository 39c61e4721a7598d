//! Which roles of a process do their work now.
//!
//! Invariant: asked anew each time; nothing is remembered that the connection itself knows.

use bus_schema::runtime::bus::Bus;
use parking_lot::Mutex;

use crate::roles::Role;

enum State {
    Starting,
    Started(Box<Bus>),
    Done,
}

/// The roles of a process.
pub(crate) struct Serving(Mutex<Vec<(Role, State)>>);

impl Serving {
    /// None of these has started.
    pub(crate) fn new(chosen: &[Role]) -> Self {
        Self(Mutex::new(chosen.iter().map(|role| (*role, State::Starting)).collect()))
    }

    /// A role has connected.
    pub(crate) fn started(&self, role: Role, bus: Bus) {
        self.set(role, State::Started(Box::new(bus)));
    }

    /// A role has nothing more to do.
    pub(crate) fn done(&self, role: Role) {
        self.set(role, State::Done);
    }

    fn set(&self, role: Role, state: State) {
        if let Some(slot) = self.0.lock().iter_mut().find(|(r, _)| *r == role) {
            slot.1 = state;
        }
    }

    /// What is missing, if anything is.
    pub(crate) fn missing(&self) -> Result<(), String> {
        let missing: Vec<_> = self.0.lock().iter().filter_map(missing).collect();
        if missing.is_empty() { Ok(()) } else { Err(missing.join("; ")) }
    }
}

fn missing((role, state): &(Role, State)) -> Option<String> {
    let name = role.name();
    match state {
        State::Starting => Some(format!("{name} has not connected yet")),
        State::Started(bus) if !bus.is_connected() => Some(format!("{name} has lost NATS")),
        State::Started(bus) if !bus.is_serving() => Some(format!("{name} does not serve yet")),
        State::Started(_) | State::Done => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_has_not_started() {
        let serving = Serving::new(&[Role::Setup, Role::Auth]);
        serving.done(Role::Setup);
        assert_eq!(serving.missing().unwrap_err(), "auth has not connected yet");
        serving.done(Role::Auth);
        assert_eq!(serving.missing(), Ok(()));
    }
}
