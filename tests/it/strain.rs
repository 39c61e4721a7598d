//! Bad input and too much of it: always the documented error or close code, nothing changed, nobody
//! else disturbed. That no process panics is checked after every test.

mod bystanders;
mod flood;
mod frames;
mod mutate;
mod routes;
