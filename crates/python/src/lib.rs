//! The extension module `minutebook._core`: converts Python values and hands records to `capture`. Edge: holds no key that decrypts,
//! knows no engine; what it offers is described in `python/minutebook/_core.pyi`.

mod array;
mod arrow_column;
mod attributions;
mod batch;
mod buffer;
mod column;
mod convert;
mod counter;
mod encode;
mod errors;
mod ids;
mod layout;
mod layouts;
mod limits;
mod model;
mod numpy;
mod other;
mod parts;
mod pending;
mod producer;
mod recorded;
mod redact;
mod remembered;
mod surroundings;

use pyo3::prelude::*;

/// The module.
#[pymodule(gil_used = false)]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("TrailError", py.get_type::<errors::TrailError>())?;
    module.add("SpoolFull", py.get_type::<errors::SpoolFull>())?;
    module.add("FieldError", py.get_type::<errors::FieldError>())?;
    module.add_class::<producer::Producer>()?;
    module.add_class::<model::Model>()?;
    module.add_class::<counter::Counter>()?;
    module.add_class::<pending::Pending>()?;
    module.add_class::<batch::PendingBatch>()?;
    module.add_class::<recorded::RecordedCall>()?;
    module.add_class::<ids::Ids>()?;
    module.add_function(wrap_pyfunction!(ids::random_id, module)?)?;
    module.add_function(wrap_pyfunction!(redact::hash, module)?)?;
    module.add_function(wrap_pyfunction!(redact::check, module)?)?;
    Ok(())
}
