//! The index of a trail: typed columns for each model, in memory and in encrypted Parquet files; search and SQL over them. Edge: derived
//! from evidence and made anew from it; no HTTP, no roles,
//! and how evidence is encrypted is not its business.

mod ask;
mod builder;
mod column;
mod error;
mod export;
mod file;
mod index;
mod indexer;
pub mod limits;
mod manifest;
mod meter;
mod projection;
mod provider;
mod rewrite;
pub mod rows;
mod state;
mod sys;
mod table;
mod threads;
mod view;

pub use ask::{
    Answer, Bar, Facet, FacetValue, Facets, FacetsOf, Found, Order, Range, Search, TableInfo, VersionInfo,
    VersionRecord,
};
pub use column::{Column, ColumnType};
pub use error::{Error, Result};
pub use export::{Export, Exported, Form};
pub use index::{INDEX_FOLDER, Index, Mode, Position};
pub use indexer::{Advanced, Indexer};
pub use meter::{Meter, metered, worked};
pub use table::{LINKS, RECORDS};
pub use view::{Sight, View, is_account};
