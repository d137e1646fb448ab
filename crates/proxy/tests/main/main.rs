//! The proxy between real sockets: an upstream that plays what a test says, clients that send bytes, and the trail read afterwards.

mod failing;
mod fixture;
mod message;
mod passing;
mod recording;
