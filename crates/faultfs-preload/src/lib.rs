//! The library behind `LD_PRELOAD`: takes over libc's file functions, numbers the calls on files under the roots, makes
//! the planned one fail, and records what is flushed. The model, the plan and the variables that control it are in
//! `minutebook-faultfs`; without them set, every call goes straight through.
//!
//! A program takes part by loading the shared library. Never link the rlib: it would interpose the linking program.
//!
//! Rules inside: a call made by this library goes to the next libc in line (a flag of the thread, see `process`);
//! `errno` is left as the real call set it; a panic ends the process with its message, as it may not unwind into C; and
//! a fault of our own ends it too, since a wrong model is worse than none. Calls on other files neither allocate nor
//! lock before they are passed on, so that they stay usable in signal handlers.
//!
//! A flush is recorded, not done: the process dies, not the machine, and the disk's latency would dominate every test.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

mod content;
mod exports;
mod flush;
mod names;
mod place;
mod process;
mod real;
