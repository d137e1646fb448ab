//! A table as DataFusion sees it: files and what is in memory as one, without the files and row groups that cannot have what is asked for.
//! Edge: one
//! state, read only.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_array::{
    ArrayRef, Int64Array, RecordBatch, StringViewArray, TimestampNanosecondArray, UInt64Array,
};
use arrow_schema::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{Column, ColumnStatistics, DFSchema, Result, ScalarValue, Statistics};
use datafusion::config::TableParquetOptions;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::parquet::{ParquetAccessPlan, ParquetFileReaderFactory};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown, TableType};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::union::UnionExec;
use parquet::arrow::async_reader::AsyncFileReader;

use crate::column::UTC;
use crate::file::{FILTERED, FileReader, IndexFile};
use crate::state::TableState;

/// A table of one state.
#[derive(Debug)]
pub struct IndexTable(pub Arc<TableState>);

#[async_trait]
impl TableProvider for IndexTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut parts: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        let files = self.files(state, filters)?;
        if !files.is_empty() {
            parts.extend(self.scan_files(state, projection, &files, filters, limit)?);
        }
        let tail = parts_of(self.0.shown_tail()?, state.config().batch_size());
        if !tail.is_empty() {
            let exec = MemorySourceConfig::try_new_exec(&[tail], self.schema(), projection.cloned())?;
            parts.push(exec);
        }
        match parts.len() {
            0 => {
                let schema = match projection {
                    Some(projection) => Arc::new(self.0.schema.project(projection)?),
                    None => self.schema(),
                };
                Ok(Arc::new(EmptyExec::new(schema)))
            }
            1 => Ok(parts.remove(0)),
            _ => UnionExec::try_new(parts),
        }
    }
}

/// Batches of so many rows at most, without a copy.
fn parts_of(batches: Vec<RecordBatch>, rows: usize) -> Vec<RecordBatch> {
    let parts = |batch: RecordBatch| {
        let starts = (0..batch.num_rows()).step_by(rows.max(1)).collect::<Vec<_>>();
        starts.into_iter().map(move |start| batch.slice(start, rows.min(batch.num_rows() - start)))
    };
    batches.into_iter().flat_map(parts).collect()
}

impl IndexTable {
    /// The files that may have what is asked for, by what the manifest says of them.
    fn files(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<Arc<IndexFile>>> {
        let Some(filter) = conjunction(filters.iter().cloned()) else { return Ok(self.0.files.clone()) };
        let schema = DFSchema::try_from(Schema::clone(&self.0.schema))?;
        let filter = state.create_physical_expr(filter, &schema)?;
        let Ok(predicate) = PruningPredicateBuilder::new().with_file_schema(self.schema()).try_build(filter)
        else {
            return Ok(self.0.files.clone());
        };
        let may = predicate.prune(&Extents(&self.0.files))?;
        Ok(self.0.files.iter().zip(may).filter(|(_, may)| *may).map(|(file, _)| Arc::clone(file)).collect())
    }

    fn scan_files(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        files: &[Arc<IndexFile>],
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let wanted: Vec<(&str, &str)> = filters.iter().filter_map(wanted_text).collect();
        let groups = state.config().target_partitions().max(1);
        let mut grouped: Vec<Vec<PartitionedFile>> = vec![Vec::new(); groups];
        let mut by_name = HashMap::new();
        // The latest first: who asks for the newest has them soon.
        for file in files.iter().rev() {
            let mut part = PartitionedFile::new(file.entry.name.clone(), file.entry.bytes);
            if !wanted.is_empty() {
                let Some(access) = access(file, &wanted)? else { continue };
                part = part.with_extension(access);
            }
            part = part.with_statistics(Arc::new(self.statistics_of(file)));
            let at = by_name.len() % groups;
            by_name.insert(file.entry.name.clone(), Arc::clone(file));
            grouped[at].push(part);
        }
        let grouped: Vec<FileGroup> =
            grouped.into_iter().filter(|group| !group.is_empty()).map(FileGroup::new).collect();
        if grouped.is_empty() {
            return Ok(None);
        }
        let mut options = TableParquetOptions {
            global: state.config_options().execution.parquet.clone(),
            ..TableParquetOptions::default()
        };
        options.global.pushdown_filters = self.reads_more_than_it_asks(projection, filters);
        let source = ParquetSource::new(self.schema())
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(Arc::new(Readers(by_name)));
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), Arc::new(source))
            .with_file_groups(grouped)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(Some(DataSourceExec::from_data_source(config)))
    }

    /// Whether columns are read that no filter names: only of these are rows spared by filtering while reading. Where there are none, taking
    /// the rows that are wanted out of each page costs more than filtering them all at once.
    fn reads_more_than_it_asks(&self, projection: Option<&Vec<usize>>, filters: &[Expr]) -> bool {
        let asked: HashSet<&str> =
            filters.iter().flat_map(|filter| filter.column_refs()).map(|column| column.name()).collect();
        let is_more = |at: &usize| !asked.contains(self.0.schema.field(*at).name().as_str());
        projection.is_none_or(|projection| projection.iter().any(is_more))
    }

    fn statistics_of(&self, file: &IndexFile) -> Statistics {
        let column = |field: &Arc<arrow_schema::Field>| {
            let mut known = ColumnStatistics::new_unknown();
            if field.name() == "time" && file.entry.rows > 0 {
                let time =
                    |ns| Precision::Exact(ScalarValue::TimestampNanosecond(Some(ns), Some(UTC.into())));
                known.min_value = time(file.entry.times.0);
                known.max_value = time(file.entry.times.1);
                known.null_count = Precision::Exact(0);
            }
            known
        };
        Statistics {
            num_rows: Precision::Exact(file.entry.rows as usize),
            total_byte_size: Precision::Absent,
            column_statistics: self.0.schema.fields().iter().map(column).collect(),
        }
    }
}

/// `column = 'text'` of a column that files have a filter for.
fn wanted_text(filter: &Expr) -> Option<(&str, &str)> {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = filter else { return None };
    let (Expr::Column(column), Expr::Literal(value, _)) = (left.as_ref(), right.as_ref()) else {
        return None;
    };
    let text = match value {
        ScalarValue::Utf8(Some(text))
        | ScalarValue::Utf8View(Some(text))
        | ScalarValue::LargeUtf8(Some(text)) => text,
        _ => return None,
    };
    FILTERED.contains(&column.name.as_str()).then_some((column.name.as_str(), text.as_str()))
}

/// The row groups that may have the texts; `None` when none does.
fn access(file: &Arc<IndexFile>, wanted: &[(&str, &str)]) -> Result<Option<ParquetAccessPlan>> {
    let footer = file.footer().map_err(|error| DataFusionError::External(Box::new(error)))?;
    let mut plan = ParquetAccessPlan::new_all(footer.num_row_groups());
    let mut any = false;
    for group in 0..footer.num_row_groups() {
        let may =
            wanted.iter().all(|(column, text)| file.may_have(&footer, group, column, text).unwrap_or(true));
        any |= may;
        if !may {
            plan.skip(group);
        }
    }
    Ok(any.then_some(plan))
}

/// What the manifest says of files, for leaving some out.
struct Extents<'a>(&'a [Arc<IndexFile>]);

impl Extents<'_> {
    fn values(&self, column: &Column, last: bool) -> Option<ArrayRef> {
        let files = self.0.iter().map(|file| &file.entry);
        Some(match column.name.as_str() {
            "time" => {
                let times = files.map(|entry| if last { entry.times.1 } else { entry.times.0 });
                Arc::new(TimestampNanosecondArray::from_iter_values(times).with_timezone(UTC))
            }
            "id" => Arc::new(StringViewArray::from_iter_values(
                files.map(|entry| if last { &entry.ids.1 } else { &entry.ids.0 }),
            )),
            "log_index" => Arc::new(Int64Array::from_iter_values(
                files.map(|entry| if last { entry.log.1 as i64 } else { entry.log.0 as i64 }),
            )),
            _ => return None,
        })
    }
}

impl PruningStatistics for Extents<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.values(column, false)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.values(column, true)
    }

    fn num_containers(&self) -> usize {
        self.0.len()
    }

    fn null_counts(&self, _: &Column) -> Option<ArrayRef> {
        None
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(UInt64Array::from_iter_values(self.0.iter().map(|file| file.entry.rows))))
    }

    fn contained(
        &self,
        _: &Column,
        _: &std::collections::HashSet<ScalarValue>,
    ) -> Option<arrow_array::BooleanArray> {
        None
    }
}

/// Opens files by their names.
#[derive(Debug)]
struct Readers(HashMap<String, Arc<IndexFile>>);

impl ParquetFileReaderFactory for Readers {
    fn create_reader(
        &self,
        _: usize,
        file: PartitionedFile,
        _: Option<usize>,
        _: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let name = file.object_meta.location.filename().unwrap_or_default();
        let found = self.0.get(name);
        let found = found.ok_or_else(|| DataFusionError::Internal(format!("no file {name} in this scan")))?;
        Ok(Box::new(FileReader::new(Arc::clone(found))))
    }
}
