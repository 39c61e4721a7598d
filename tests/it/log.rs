//! The log itself, below edges and workers: appending in groups, and asking.

mod append;
mod call;
mod step_down;
