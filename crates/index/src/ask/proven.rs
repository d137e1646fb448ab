//! Rows held against sealed evidence: what the index says of a record that it does not say is found. Edge: rows that were found; that rows
//! are missing
//! shows when the index is made anew.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use minutebook_record::RecordId;

use super::linked::is_linked;
use crate::error::{Error, Result};
use crate::index::Index;
use crate::indexer::rows_of;
use crate::limits;
use crate::state::adapt;
use crate::table::TableId;

impl Index {
    /// Reads the record of each row from its sealed segment, checks it against the log, and compares what it says with the row. The rows
    /// need the
    /// column `id`. Columns of linked records are not compared: each of these is a record of its own.
    ///
    /// # Errors
    /// [`Error::Tampered`] for the first row that differs, or whose record does not verify.
    pub async fn prove(&self, rows: &RecordBatch) -> Result<()> {
        if rows.num_rows() > limits::PROVEN_ROWS_MAX {
            return Err(Error::Question(format!(
                "at most {} rows are proven at once",
                limits::PROVEN_ROWS_MAX
            )));
        }
        let ids = rows.column_by_name("id").and_then(|ids| ids.as_string_opt::<i32>());
        let ids = ids
            .ok_or_else(|| Error::Question("the rows have no `id`, by which they could be proven".into()))?;
        for row in 0..rows.num_rows() {
            let id = ids.value(row);
            let tampered = |what: String| Error::Tampered { id: id.to_owned(), what };
            let record: RecordId = id.parse().map_err(|_| tampered("has no id of a record".into()))?;
            let checked = match self.shared.reader.check(&record).await {
                Ok(checked) => checked,
                Err(minutebook_trail::Error::NoRecord { .. }) => {
                    return Err(tampered("is not sealed in this trail".into()));
                }
                Err(error) => return Err(error.into()),
            };
            if let Some(finding) = checked.findings.first() {
                return Err(tampered(format!("does not verify: {}", finding.what)));
            }
            let stored = self.shared.reader.get(&record).await?;
            let projected: HashMap<TableId, RecordBatch> =
                rows_of(&stored).into_iter().map(|(table, batch, _)| (table, batch)).collect();
            // A decision's own table says more than that of all records.
            let model = projected
                .iter()
                .find(|(table, _)| matches!(table, TableId::Model(_)))
                .map(|(_, batch)| batch);
            let Some(evidence) = model.or_else(|| projected.get(&TableId::Records)) else {
                return Err(tampered("is none that would be found".into()));
            };
            let evidence =
                adapt(evidence, &rows.schema()).map_err(|error| Error::Query(error.to_string()))?;
            for (place, field) in rows.schema().fields().iter().enumerate() {
                if is_linked(field.name()) {
                    continue;
                }
                let said = rows.column(place).slice(row, 1);
                let sealed = Arc::clone(evidence.column(place)).slice(0, 1);
                if said.to_data() != sealed.to_data() {
                    return Err(tampered(format!("says otherwise in `{}` than it was sealed", field.name())));
                }
            }
        }
        Ok(())
    }
}
