//! The role over a real bus, two workers of it where that matters, with both caches.

mod loading;
mod operations;
mod redis;
mod support;
