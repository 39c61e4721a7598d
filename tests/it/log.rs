//! The log itself, below edges and workers: appending in groups, asking, and stopping.

mod append;
mod call;
mod step_down;
mod stop;
