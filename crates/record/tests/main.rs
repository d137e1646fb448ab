//! Tests of the record through its API: the vectors that other implementations share, and what must hold of every record.

mod describe;
mod properties;
mod schemas;
mod vectors;
