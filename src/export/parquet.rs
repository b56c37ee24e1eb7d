//! Parquet with typed columns: instants are UTC timestamps (in a zone, timestamps without one), wall-clock times are timestamps without a zone, sizes are 64-bit
//! integers. At most one row group is held in memory.
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
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::{Cell, Chunks, Column, ExportError, Pages, Sheet, TableRow};
use crate::domain::millis;
use crate::query::Kind;

/// Rows per row group: enough for dictionaries to pay off, and a few megabytes of memory per export.
const GROUP: usize = 4_000;

impl From<ParquetError> for ExportError {
    fn from(error: ParquetError) -> Self {
        Self::Write(error.to_string())
    }
}

pub(super) fn write<Row: TableRow>(pages: Pages<Row>, sheet: Sheet<Row>) -> Chunks {
    let buffer = Buffer::default();
    let writer = open(&sheet, buffer.clone());
    let state = State { pages, sheet: Arc::new(sheet), buffer, writer: Some(writer) };
    unfold(state, |mut state| async move {
        let chunk = state.next().await.transpose()?;
        Some((chunk, state))
    })
    .boxed()
}

/// Bytes that were written but not sent yet.
#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    fn take(&self) -> Bytes {
        self.0.lock().map(|mut bytes| std::mem::take(&mut *bytes)).unwrap_or_default().into()
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut buffer = self.0.lock().map_err(|_| std::io::Error::other("a writer panicked"))?;
        buffer.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

type Writer = SerializedFileWriter<Buffer>;

struct State<Row: 'static> {
    pages: Pages<Row>,
    sheet: Arc<Sheet<Row>>,
    buffer: Buffer,
    /// Absent once the file is complete.
    writer: Option<Result<Writer, ParquetError>>,
}

impl<Row: TableRow> State<Row> {
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
        let sheet = self.sheet.clone();
        let writer = tokio::task::spawn_blocking(move || {
            if !rows.is_empty() {
                write_group(&mut writer, &sheet, &rows)?;
            }
            if is_last {
                return writer.close().map(|_| None);
            }
            Ok(Some(writer))
        })
        .await
        .map_err(|_| ExportError::Write("the write was interrupted".to_owned()))??;
        self.writer = writer.map(Ok);
        Ok(Some(self.buffer.take()))
    }
}

fn open<Row: 'static>(sheet: &Sheet<Row>, sink: Buffer) -> Result<Writer, ParquetError> {
    let fields: Result<Vec<_>, ParquetError> =
        sheet.columns.iter().map(|column| field(sheet, column).map(Arc::new)).collect();
    let schema = Type::group_type_builder("acervo").with_fields(fields?).build()?;
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    SerializedFileWriter::new(sink, Arc::new(schema), Arc::new(properties))
}

fn field<Row: 'static>(sheet: &Sheet<Row>, column: &Column<Row>) -> Result<Type, ParquetError> {
    let timestamp = |in_utc| LogicalType::timestamp(in_utc, TimeUnit::MILLIS);
    let (physical, logical) = match column.kind {
        Kind::Text | Kind::Texts => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Kind::Int => (Physical::INT32, None),
        Kind::Long => (Physical::INT64, None),
        Kind::Float => (Physical::DOUBLE, None),
        Kind::Flag => (Physical::BOOLEAN, None),
        Kind::Instant => (Physical::INT64, Some(timestamp(sheet.zone.is_none()))),
        Kind::Wall => (Physical::INT64, Some(timestamp(false))),
    };
    let repetition = if column.is_nullable { Repetition::OPTIONAL } else { Repetition::REQUIRED };
    let name = sheet.headers.name(column.name);
    Type::primitive_type_builder(name, physical).with_logical_type(logical).with_repetition(repetition).build()
}

fn write_group<Row: TableRow>(writer: &mut Writer, sheet: &Sheet<Row>, rows: &[Row]) -> Result<(), ParquetError> {
    let mut group = writer.next_row_group()?;
    for column in &sheet.columns {
        let Some(mut out) = group.next_column()? else { break };
        let cells: Vec<Cell<'_>> = rows.iter().map(|row| (column.cell)(row, &sheet.queries)).collect();
        let levels: Vec<i16> = cells.iter().map(|cell| i16::from(*cell != Cell::Null)).collect();
        let levels = column.is_nullable.then_some(levels.as_slice());
        write_column(&mut out, sheet, column.kind, &cells, levels)?;
        out.close()?;
    }
    group.close()?;
    Ok(())
}

fn write_column<Row: 'static>(
    out: &mut SerializedColumnWriter<'_>,
    sheet: &Sheet<Row>,
    kind: Kind,
    cells: &[Cell<'_>],
    levels: Option<&[i16]>,
) -> Result<(), ParquetError> {
    macro_rules! batch {
        ($type:ty, $cell:pat => $value:expr) => {{
            let value = |cell: &Cell<'_>| if let $cell = cell { Some($value) } else { None };
            let values: Vec<_> = cells.iter().filter_map(value).collect();
            out.typed::<$type>().write_batch(&values, levels, None)
        }};
    }
    match kind {
        Kind::Text => {
            let text = |cell: &Cell<'_>| match cell {
                Cell::Text(text) => Some(ByteArray::from(text.as_ref())),
                Cell::Id(id) => Some(ByteArray::from(id.to_string().as_str())),
                _ => None,
            };
            let values: Vec<_> = cells.iter().filter_map(text).collect();
            out.typed::<ByteArrayType>().write_batch(&values, levels, None)
        }
        Kind::Texts => batch!(ByteArrayType, Cell::Texts(texts) => ByteArray::from(texts.join("; ").as_str())),
        Kind::Int => {
            let int = |cell: &Cell<'_>| match cell {
                Cell::Int(n) => Some(i32::try_from(*n).map_err(|_| out_of_range(n))),
                _ => None,
            };
            let values: Vec<i32> = cells.iter().filter_map(int).collect::<Result<_, _>>()?;
            out.typed::<Int32Type>().write_batch(&values, levels, None)
        }
        Kind::Long => {
            let long = |cell: &Cell<'_>| match cell {
                Cell::Long(n) => Some(i64::try_from(*n).map_err(|_| out_of_range(n))),
                _ => None,
            };
            let values: Vec<i64> = cells.iter().filter_map(long).collect::<Result<_, _>>()?;
            out.typed::<Int64Type>().write_batch(&values, levels, None)
        }
        Kind::Float => batch!(DoubleType, Cell::Float(n) => *n),
        Kind::Flag => batch!(BoolType, Cell::Flag(flag) => *flag),
        Kind::Instant => {
            batch!(Int64Type, Cell::Instant(at) => sheet.local(*at).map_or_else(|| millis(*at), local_millis))
        }
        Kind::Wall => batch!(Int64Type, Cell::Wall(at) => at.as_number() * 1000),
    }?;
    Ok(())
}

/// Milliseconds since 1970 on the wall clock.
fn local_millis(at: DateTime) -> i64 {
    TimeZone::UTC.to_timestamp(at).map_or_else(|_| Timestamp::MAX.as_millisecond(), |at| at.as_millisecond())
}

fn out_of_range(number: &dyn std::fmt::Display) -> ParquetError {
    ParquetError::General(format!("{number} does not fit into the integer type of its column"))
}
