//! Nothing lost, nothing twice, nothing out of order: a run under faults, its record, and the verdict.
//!
//! Invariant: what happened ([`record`]) is written down by the driver and judged afterwards ([`judge`])
//! from that alone, so a failing run can be judged again from its file.

pub mod drive;
pub mod faults;
pub mod judge;
pub mod proxy;
pub mod record;
pub mod run;
pub mod safeguards;
pub mod single;
pub mod soak;
