//! The program as people and scripts use it: what it prints, what it leaves behind, what it ends with.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access_masks;
mod access_matrix;
mod access_owner;
mod access_request;
mod api;
mod api_keys;
mod backup;
mod bombs;
mod engine;
mod explaining;
mod following;
mod halves;
mod importing;
mod jobs;
mod life;
mod models;
mod obstacles;
mod others_in;
mod paging;
mod policy;
mod program;
mod proving;
mod proxying_tls;
mod questions;
mod reading;
mod recording;
mod records_in;
mod searching;
mod serving_tcp;
mod serving_tls;
mod several;
mod shipping;
mod streaming;
mod tcp;
mod tls;
mod together;
mod use_limits;
