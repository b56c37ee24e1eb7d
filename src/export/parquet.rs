//! Parquet with proper types: instants as UTC timestamps, wall clock as timestamps without a zone, sizes as 64-bit
//! integers. A row group holds so many rows, and no more of the file is held than that.
use std::io::Write;
use std::sync::{Arc, Mutex};

use ::parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use ::parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use ::parquet::errors::ParquetError;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use ::parquet::schema::types::Type;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::unfold;

use super::columns::{Column, Kind, Value};
use super::{ExportError, Pages, Pieces};
use crate::domain::millis;

/// Rows of a row group: enough for its dictionaries to pay, few enough to be held.
const GROUP: usize = 20_000;

impl From<ParquetError> for ExportError {
    fn from(error: ParquetError) -> Self {
        Self::Write(error.to_string())
    }
}

pub(super) fn write(pages: Pages, columns: Vec<&'static Column>) -> Pieces {
    let written = Written::default();
    let writer = open(&columns, written.clone());
    let state = State { pages, columns, written, writer: Some(writer) };
    unfold(state, |mut state| async move {
        let piece = state.next().await.transpose()?;
        Some((piece, state))
    })
    .boxed()
}

/// What the writer wrote and nobody has sent yet.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn take(&self) -> Bytes {
        self.0.lock().map(|mut bytes| std::mem::take(&mut *bytes)).unwrap_or_default().into()
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut held = self.0.lock().map_err(|_| std::io::Error::other("a writer broke off"))?;
        held.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

type Writer = SerializedFileWriter<Written>;

struct State {
    pages: Pages,
    columns: Vec<&'static Column>,
    written: Written,
    /// Absent once the file is whole.
    writer: Option<Result<Writer, ParquetError>>,
}

impl State {
    async fn next(&mut self) -> Result<Option<Bytes>, ExportError> {
        let Some(writer) = self.writer.take() else { return Ok(None) };
        let mut writer = writer?;
        let mut rows = Vec::new();
        while rows.len() < GROUP {
            match self.pages.next().await {
                Some(page) => rows.append(&mut page?),
                None => break,
            }
        }
        let is_last = rows.len() < GROUP;
        let columns = self.columns.clone();
        let writer = tokio::task::spawn_blocking(move || {
            if !rows.is_empty() {
                write_group(&mut writer, &columns, &rows)?;
            }
            if is_last {
                return writer.close().map(|_| None);
            }
            Ok(Some(writer))
        })
        .await
        .map_err(|_| ExportError::Write("it was interrupted".to_owned()))??;
        self.writer = writer.map(Ok);
        Ok(Some(self.written.take()))
    }
}

fn open(columns: &[&Column], sink: Written) -> Result<Writer, ParquetError> {
    let fields: Result<Vec<_>, ParquetError> = columns.iter().map(|column| field(column).map(Arc::new)).collect();
    let schema = Type::group_type_builder("acervo").with_fields(fields?).build()?;
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    SerializedFileWriter::new(sink, Arc::new(schema), Arc::new(properties))
}

fn field(column: &Column) -> Result<Type, ParquetError> {
    let timestamp = |in_utc| LogicalType::timestamp(in_utc, TimeUnit::MILLIS);
    let (physical, logical) = match column.kind {
        Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Kind::Int => (Physical::INT32, None),
        Kind::Long => (Physical::INT64, None),
        Kind::Float => (Physical::DOUBLE, None),
        Kind::Flag => (Physical::BOOLEAN, None),
        Kind::Instant => (Physical::INT64, Some(timestamp(true))),
        Kind::Wall => (Physical::INT64, Some(timestamp(false))),
    };
    let repetition = if column.optional { Repetition::OPTIONAL } else { Repetition::REQUIRED };
    Type::primitive_type_builder(column.name, physical).with_logical_type(logical).with_repetition(repetition).build()
}

fn write_group(writer: &mut Writer, columns: &[&Column], rows: &[Vec<Value>]) -> Result<(), ParquetError> {
    let mut group = writer.next_row_group()?;
    for (i, column) in columns.iter().enumerate() {
        let Some(mut out) = group.next_column()? else { break };
        let cells = || rows.iter().map(|row| &row[i]);
        let levels: Vec<i16> = cells().map(|value| i16::from(*value != Value::Null)).collect();
        let levels = column.optional.then_some(levels.as_slice());
        write_column(&mut out, column.kind, cells(), levels)?;
        out.close()?;
    }
    group.close()?;
    Ok(())
}

fn write_column<'a>(
    out: &mut SerializedColumnWriter<'_>,
    kind: Kind,
    cells: impl Iterator<Item = &'a Value>,
    levels: Option<&[i16]>,
) -> Result<(), ParquetError> {
    match kind {
        Kind::Text => {
            let values: Vec<ByteArray> = cells.filter_map(text).collect();
            out.typed::<ByteArrayType>().write_batch(&values, levels, None)?;
        }
        Kind::Int => {
            let values: Vec<i32> =
                cells.filter_map(|value| if let Value::Int(n) = value { Some(*n) } else { None }).collect();
            out.typed::<Int32Type>().write_batch(&values, levels, None)?;
        }
        Kind::Float => {
            let values: Vec<f64> =
                cells.filter_map(|value| if let Value::Float(n) = value { Some(*n) } else { None }).collect();
            out.typed::<DoubleType>().write_batch(&values, levels, None)?;
        }
        Kind::Flag => {
            let values: Vec<bool> =
                cells.filter_map(|value| if let Value::Flag(flag) = value { Some(*flag) } else { None }).collect();
            out.typed::<BoolType>().write_batch(&values, levels, None)?;
        }
        Kind::Long | Kind::Instant | Kind::Wall => {
            let values: Vec<i64> = cells.filter_map(long).collect();
            out.typed::<Int64Type>().write_batch(&values, levels, None)?;
        }
    }
    Ok(())
}

fn text(value: &Value) -> Option<ByteArray> {
    match value {
        Value::Text(text) => Some(text.as_str().into()),
        _ => None,
    }
}

fn long(value: &Value) -> Option<i64> {
    match value {
        Value::Long(n) => Some(*n),
        Value::Instant(at) => Some(millis(*at)),
        Value::Wall(at) => Some(at.as_number() * 1000),
        _ => None,
    }
}
