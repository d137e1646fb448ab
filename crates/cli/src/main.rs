//! The entry of the `minutebook` program; everything else is in the library beside it.

fn main() {}
