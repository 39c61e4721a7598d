//! The log itself, below edges and workers: appending in groups.

mod append;
