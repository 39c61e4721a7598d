//! The one error of this crate: what was expected, what was seen, and where.
//!
//! Invariant: a failure carries the place that first noticed it, so a test that returns it needs no
//! backtrace. It has no kinds: nobody here branches on a failure. What must be told apart (a close
//! code, an error code) has a type of its own where it is read.

use std::fmt;
use std::panic::Location;
use std::process::ExitCode;

/// What everything in this crate returns.
pub type Outcome<T = ()> = Result<T, Failure>;

/// An expectation that did not hold, or a call that did not work.
pub struct Failure {
    message: String,
    place: &'static Location<'static>,
}

impl Failure {
    /// A failure noticed by the caller.
    #[track_caller]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), place: Location::caller() }
    }

    /// The same failure, told from one step further out.
    pub fn within(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }
}

impl<E: std::error::Error> From<E> for Failure {
    #[track_caller]
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(inner) = source {
            let text = inner.to_string();
            if !message.contains(&text) {
                message = format!("{message}: {text}");
            }
            source = inner.source();
        }
        Self { message, place: Location::caller() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ({}:{})", self.message, self.place.file(), self.place.line())
    }
}

/// How a program of this crate ends: well if all was good, else with status 1; and says what stopped it.
pub fn ended(program: &str, outcome: Outcome<bool>) -> ExitCode {
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("{program}: {failure:?}");
            ExitCode::FAILURE
        }
    }
}

/// Adds what was being done to whatever went wrong.
pub trait Context<T> {
    /// Names the step that failed.
    fn during(self, what: impl fmt::Display) -> Outcome<T>;
}

impl<T, E: Into<Failure>> Context<T> for Result<T, E> {
    #[track_caller]
    fn during(self, what: impl fmt::Display) -> Outcome<T> {
        match self {
            Ok(value) => Ok(value),
            Err(error) => Err(error.into().within(what)),
        }
    }
}

impl<T> Context<T> for Option<T> {
    #[track_caller]
    fn during(self, what: impl fmt::Display) -> Outcome<T> {
        match self {
            Some(value) => Ok(value),
            None => Err(Failure::new(what.to_string())),
        }
    }
}

/// Returns a [`Failure`] with the formatted message.
#[macro_export]
macro_rules! fail {
    ($($arg:tt)*) => { return Err($crate::Failure::new(format!($($arg)*))) };
}

/// Returns a [`Failure`] with the formatted message unless the condition holds.
#[macro_export]
macro_rules! ensure {
    ($condition:expr, $($arg:tt)*) => {
        if !$condition { $crate::fail!($($arg)*); }
    };
}
