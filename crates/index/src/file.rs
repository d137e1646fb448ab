//! One file of the index: Parquet with every page, statistic and footer encrypted (Parquet modular encryption, AES-256-GCM under a key of
//! its own).
//! Edge: rows in, rows out; which files there are is the manifest's.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampNanosecondType};
use arrow_schema::SchemaRef;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use minutebook_capture::Random;
use minutebook_verify::hex;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::basic::{Compression, ZstdLevel};
use parquet::bloom_filter::Sbbf;
use parquet::encryption::decrypt::FileDecryptionProperties;
use parquet::encryption::encrypt::FileEncryptionProperties;
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::limits::{FOOTER_BYTES_MAX, ROW_GROUP_ROWS};
use crate::manifest::FileEntry;
use crate::sys;
use crate::table::FIXED;

/// Columns that a search asks for one value of: a filter of each row group says whether it may have it. Parquet's own bloom filters are not
/// encrypted with the rest, so these stand in the footer.
pub const FILTERED: [&str; 3] = ["subject", "trace", "target"];

/// How often a filter says yes to what is not there.
const FILTER_FALSE: f64 = 0.01;

/// A file that is there.
#[derive(Debug)]
pub struct IndexFile {
    /// What the manifest says.
    pub entry: FileEntry,
    path: PathBuf,
    footer: Mutex<Option<Arc<ParquetMetaData>>>,
    footers: Arc<Footers>,
    is_replaced: AtomicBool,
}

impl Drop for IndexFile {
    fn drop(&mut self) {
        if self.is_replaced.load(Ordering::Relaxed)
            && let Err(error) = sys::remove(&self.path)
        {
            tracing::warn!("a file of the index that others replaced stays until the next start: {error}");
        }
        self.footers.give_back(&self.entry.name);
    }
}

/// What is in memory of all files: which there are, be it for a query alone that began before they were replaced, and footers, of which the one that
/// was read first is let go first.
#[derive(Debug, Default)]
pub struct Footers {
    held: Mutex<Held>,
    in_use: Mutex<HashMap<String, usize>>,
}

/// Files whose footers are in memory, in the order in which they were read, and how many bytes they take.
#[derive(Debug, Default)]
struct Held {
    files: VecDeque<(Weak<IndexFile>, usize)>,
    bytes: usize,
}

impl Footers {
    fn in_use(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody has a file of this name.
    pub fn has(&self, name: &str) -> bool {
        self.in_use().contains_key(name)
    }

    fn take(&self, name: &str) {
        *self.in_use().entry(name.to_owned()).or_default() += 1;
    }

    fn give_back(&self, name: &str) {
        let mut in_use = self.in_use();
        if let Some(count) = in_use.get_mut(name) {
            *count -= 1;
            if *count == 0 {
                in_use.remove(name);
            }
        }
    }

    fn hold(&self, file: &Arc<IndexFile>, bytes: usize) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.files.push_back((Arc::downgrade(file), bytes));
        held.bytes += bytes;
        while held.bytes > FOOTER_BYTES_MAX
            && held.files.len() > 1
            && let Some((first, bytes)) = held.files.pop_front()
        {
            held.bytes -= bytes;
            if let Some(first) = first.upgrade() {
                *first.footer.lock().unwrap_or_else(PoisonError::into_inner) = None;
            }
        }
    }
}

impl IndexFile {
    /// The file of an entry.
    pub fn new(folder: &std::path::Path, entry: FileEntry, footers: &Arc<Footers>) -> Arc<Self> {
        let path = folder.join(&entry.name);
        let is_replaced = AtomicBool::new(false);
        footers.take(&entry.name);
        Arc::new(Self { entry, path, footer: Mutex::default(), footers: Arc::clone(footers), is_replaced })
    }

    /// No manifest names it any more: it is removed when nobody has it, so that a query that began with it ends with it.
    pub fn replaced(&self) {
        self.is_replaced.store(true, Ordering::Relaxed);
    }

    /// Where it lies.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    fn open(&self) -> Result<File> {
        File::open(&self.path).map_err(|error| Error::io("open", &self.path, error))
    }

    /// Its footer, from memory when it was read before. Blocks.
    ///
    /// # Errors
    /// When it cannot be read or decrypted.
    pub fn footer(self: &Arc<Self>) -> Result<Arc<ParquetMetaData>> {
        let mut footer = self.footer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(footer) = footer.as_ref() {
            return Ok(Arc::clone(footer));
        }
        let file = self.open()?;
        let damaged = |error: ParquetError| Error::damaged(&self.path, error.to_string());
        let key = unhex(&self.entry.key).ok_or_else(|| Error::damaged(&self.path, "its key is malformed"))?;
        let properties = FileDecryptionProperties::builder(key.to_vec())
            .with_aad_prefix(self.entry.name.as_bytes().to_vec())
            .build()
            .map_err(damaged)?;
        let read = ParquetMetaDataReader::new()
            .with_page_index_policy(PageIndexPolicy::Optional)
            .with_decryption_properties(Some(properties))
            .parse_and_finish(&file)
            .map_err(damaged)?;
        let read = Arc::new(read);
        *footer = Some(Arc::clone(&read));
        drop(footer);
        self.footers.hold(self, read.memory_size());
        Ok(read)
    }

    /// Its rows, all columns as they are stored. Blocks.
    ///
    /// # Errors
    /// As [`IndexFile::footer`].
    pub fn rows(self: &Arc<Self>, columns: Option<&[&str]>) -> Result<ParquetRecordBatchReader> {
        let damaged = |error: ParquetError| Error::damaged(&self.path, error.to_string());
        let metadata =
            ArrowReaderMetadata::try_new(self.footer()?, ArrowReaderOptions::new()).map_err(damaged)?;
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(self.open()?, metadata);
        if let Some(columns) = columns {
            let roots = builder.schema().fields().iter().enumerate();
            let roots: Vec<usize> = roots
                .filter(|(_, field)| columns.contains(&field.name().as_str()))
                .map(|(at, _)| at)
                .collect();
            let mask = parquet::arrow::ProjectionMask::roots(builder.parquet_schema(), roots);
            builder = builder.with_projection(mask);
        }
        builder.with_batch_size(8_192).build().map_err(damaged)
    }

    /// Whether a row group may have a value in a column of [`FILTERED`]; `None` when there is no filter.
    pub fn may_have(
        &self,
        footer: &ParquetMetaData,
        row_group: usize,
        column: &str,
        value: &str,
    ) -> Option<bool> {
        let wanted = filter_name(column, row_group);
        let pairs = footer.file_metadata().key_value_metadata()?;
        let text = pairs.iter().find(|pair| pair.key == wanted)?.value.as_deref()?;
        if text.is_empty() {
            // The column is null throughout.
            return Some(false);
        }
        let bytes = from_base64(text)?;
        Some(Sbbf::new(&bytes).check(value))
    }
}

fn filter_name(column: &str, row_group: usize) -> String {
    format!("minutebook.filter.{column}.{row_group}")
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

fn unhex(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let digits = text.as_bytes().chunks_exact(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.map(byte).collect::<Option<Vec<u8>>>().map(Zeroizing::new)
}

/// Writes a file. Nothing of it is there under its name before [`FileWriter::finish`].
pub struct FileWriter {
    writer: ArrowWriter<File>,
    folder: PathBuf,
    entry: FileEntry,
    filters: Vec<Option<Vec<String>>>,
    row_group: usize,
    in_group: usize,
}

impl FileWriter {
    /// A file for rows of a schema.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(folder: &std::path::Path, schema: SchemaRef, tier: u8, random: &dyn Random) -> Result<Self> {
        let (mut name, mut key) = ([0; 16], Zeroizing::new([0; 32]));
        let no_randomness = |_| minutebook_trail::Error::NoRandomness;
        random.fill(&mut name).map_err(no_randomness)?;
        random.fill(key.as_mut_slice()).map_err(no_randomness)?;
        let entry = FileEntry {
            name: hex(&name),
            key: Zeroizing::new(hex(key.as_slice())),
            rows: 0,
            bytes: 0,
            times: (i64::MAX, i64::MIN),
            ids: (String::new(), String::new()),
            log: (u64::MAX, 0),
            tier,
        };
        let path = folder.join(format!("{}.new", entry.name));
        let failed = |error: ParquetError| Error::damaged(&path, error.to_string());
        let encryption = FileEncryptionProperties::builder(key.to_vec())
            .with_aad_prefix(entry.name.as_bytes().to_vec())
            .with_aad_prefix_storage(false)
            .build()
            .map_err(failed)?;
        let mut properties = WriterProperties::builder()
            .set_writer_version(WriterVersion::PARQUET_2_0)
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_created_by("minutebook".into())
            .with_file_encryption_properties(encryption);
        for field in schema.fields() {
            // A dictionary of values that are all different is built for nothing.
            let many = field.data_type().is_numeric()
                || matches!(field.data_type(), arrow_schema::DataType::Timestamp(..))
                || ["id", "trace", "span", "target"].contains(&field.name().as_str());
            if many {
                properties = properties
                    .set_column_dictionary_enabled(ColumnPath::new(vec![field.name().clone()]), false);
            }
        }
        let file = sys::create(&path).map_err(|error| Error::io("create", &path, error))?;
        let writer = ArrowWriter::try_new(file, schema, Some(properties.build())).map_err(failed)?;
        let filters = vec![None; FILTERED.len()];
        Ok(Self { writer, folder: folder.to_owned(), entry, filters, row_group: 0, in_group: 0 })
    }

    /// Appends rows.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut at = 0;
        while at < batch.num_rows() {
            let count = (ROW_GROUP_ROWS - self.in_group).min(batch.num_rows() - at);
            let part = batch.slice(at, count);
            self.note(&part);
            self.writer.write(&part).map_err(|error| self.failed(&error))?;
            self.in_group += count;
            at += count;
            if self.in_group == ROW_GROUP_ROWS {
                self.end_group()?;
            }
        }
        Ok(())
    }

    fn failed(&self, error: &ParquetError) -> Error {
        Error::damaged(&self.folder.join(&self.entry.name), error.to_string())
    }

    fn end_group(&mut self) -> Result<()> {
        use base64::Engine as _;
        self.writer.flush().map_err(|error| self.failed(&error))?;
        for (column, values) in FILTERED.iter().zip(&mut self.filters) {
            let mut text = String::new();
            if let Some(mut values) = values.take() {
                values.sort_unstable();
                values.dedup();
                let mut filter = Sbbf::new_with_ndv_fpp(values.len() as u64, FILTER_FALSE)
                    .map_err(|error| Error::Query(error.to_string()))?;
                values.iter().for_each(|value| filter.insert(value.as_str()));
                let mut bytes = Vec::new();
                filter.write_bitset(&mut bytes).map_err(|error| Error::Query(error.to_string()))?;
                text = base64::engine::general_purpose::STANDARD.encode(&bytes);
            }
            let pair = KeyValue::new(filter_name(column, self.row_group), text);
            self.writer.append_key_value_metadata(pair);
        }
        self.row_group += 1;
        self.in_group = 0;
        Ok(())
    }

    /// What the manifest says of rows.
    fn note(&mut self, batch: &RecordBatch) {
        let fixed = |name: &str| batch.column_by_name(name);
        self.entry.rows += batch.num_rows() as u64;
        if let Some(times) =
            fixed("time").and_then(|array| array.as_primitive_opt::<TimestampNanosecondType>())
        {
            for time in times.iter().flatten() {
                self.entry.times = (self.entry.times.0.min(time), self.entry.times.1.max(time));
            }
        }
        if let Some(places) = fixed("log_index").and_then(|array| array.as_primitive_opt::<Int64Type>()) {
            for place in places.iter().flatten().map(|place| place as u64) {
                self.entry.log = (self.entry.log.0.min(place), self.entry.log.1.max(place));
            }
        }
        if let Some(ids) = fixed("id").and_then(|array| array.as_string_opt::<i32>()) {
            for id in ids.iter().flatten() {
                if self.entry.ids.0.is_empty() || id < self.entry.ids.0.as_str() {
                    self.entry.ids.0 = id.to_owned();
                }
                if id > self.entry.ids.1.as_str() {
                    self.entry.ids.1 = id.to_owned();
                }
            }
        }
        for (column, values) in FILTERED.iter().zip(&mut self.filters) {
            let texts = batch.column_by_name(column).and_then(|array| array.as_string_opt::<i32>());
            for text in texts.iter().flat_map(|texts| texts.iter()).flatten() {
                let values = values.get_or_insert_with(Vec::new);
                if values.last().is_none_or(|last| last != text) {
                    values.push(text.to_owned());
                }
            }
        }
    }

    /// Removes what was written.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn discard(self) -> Result<()> {
        let path = self.folder.join(format!("{}.new", self.entry.name));
        drop(self.writer);
        sys::remove(&path).map_err(|error| Error::io("remove", &path, error))
    }

    /// Rows so far.
    pub fn written(&self) -> u64 {
        self.entry.rows
    }

    /// Puts the file under its name. Durable on return but for the name, which the manifest's folder flush makes so.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> Result<FileEntry> {
        if self.in_group > 0 {
            self.end_group()?;
        }
        let path = self.folder.join(format!("{}.new", self.entry.name));
        let name = self.folder.join(&self.entry.name);
        let failed = |error: ParquetError| Error::damaged(&name, error.to_string());
        self.writer.finish().map_err(failed)?;
        let file = self.writer.inner();
        file.sync_all().map_err(|error| Error::io("flush", &path, error))?;
        self.entry.bytes = file.metadata().map_err(|error| Error::io("look at", &path, error))?.len();
        std::fs::rename(&path, &name).map_err(|error| Error::io("rename", &path, error))?;
        Ok(self.entry)
    }
}

/// How DataFusion reads a file: its footer from memory, its bytes by `pread`.
pub struct FileReader {
    file: Arc<IndexFile>,
    open: Option<File>,
}

impl FileReader {
    /// Over a file.
    pub fn new(file: Arc<IndexFile>) -> Self {
        Self { file, open: None }
    }

    fn read(&mut self, range: &Range<u64>) -> parquet::errors::Result<Bytes> {
        let external = |error: Error| ParquetError::External(Box::new(error));
        if self.open.is_none() {
            self.open = Some(self.file.open().map_err(external)?);
        }
        let mut bytes = vec![0; (range.end - range.start) as usize];
        if let Some(open) = &self.open {
            open.read_exact_at(&mut bytes, range.start)
                .map_err(|error| external(Error::io("read", &self.file.path, error)))?;
        }
        Ok(bytes.into())
    }
}

impl AsyncFileReader for FileReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        // On the query's own threads, where blocking holds up nobody else.
        let read = self.read(&range);
        async move { read }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        let footer = self.file.footer().map_err(|error| ParquetError::External(Box::new(error)));
        async move { footer }.boxed()
    }
}

/// Whether a column stands in every table.
pub fn is_fixed(name: &str) -> bool {
    FIXED.iter().any(|(fixed, _)| *fixed == name)
}
