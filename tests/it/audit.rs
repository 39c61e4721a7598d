//! What is not accounted for is noticed, and nothing else.

mod notices;
