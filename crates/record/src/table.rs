//! Columns in and out of one Parquet file: a schema is a list of names with getters; one row group, no Arrow.
//!
//! A column is flat or a list of values, and every column may be null. Nulls and lists are told by levels, after
//! Dremel (Melnik et al. 2010): the definition level says how far down a path is present (for a list: 0 null, 1 empty,
//! 2 a value), the repetition level whether a value begins a row (0) or goes on with its list (1).

use bytes::Bytes;
use parquet::{
    basic::{Compression, ConvertedType, LogicalType, Repetition, Type as Physical},
    column::reader::get_typed_column_reader,
    data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type},
    errors::{ParquetError, Result},
    file::{
        metadata::KeyValue,
        properties::WriterProperties,
        reader::{FileReader, SerializedFileReader},
        writer::{SerializedColumnWriter, SerializedFileWriter},
    },
    schema::types::{Type, TypePtr},
};
use std::{collections::HashMap, sync::Arc};

/// How a column's value is read off a row; `None` is null.
pub(crate) enum Get<R> {
    U32(fn(&R) -> Option<u32>),
    U64(fn(&R) -> Option<u64>),
    F64(fn(&R) -> Option<f64>),
    Text(fn(&R) -> Option<&str>),
    U32List(fn(&R) -> Option<&[u32]>),
    F32List(fn(&R) -> Option<&[f32]>),
    BoolList(fn(&R) -> Option<&[bool]>),
}

/// A named column of rows of type `R`.
pub(crate) struct Column<R> {
    pub(crate) name: &'static str,
    pub(crate) get: Get<R>,
}

/// The Parquet file of `rows`, with `metadata` as key-value pairs in its footer. Equal input gives equal bytes.
pub(crate) fn write<R>(columns: &[Column<R>], rows: &[R], metadata: &[(&str, &str)]) -> Result<Vec<u8>> {
    let fields = columns.iter().map(field).collect::<Result<_>>()?;
    let schema = Arc::new(Type::group_type_builder("schema").with_fields(fields).build()?);
    let metadata = metadata.iter().map(|(k, v)| KeyValue::new((*k).to_owned(), Some((*v).to_owned()))).collect();
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_dictionary_enabled(true)
        .set_created_by("saltus".to_owned())
        .set_max_row_group_row_count(None)
        // The pages of a part are few: an index of them would be longer than they are.
        .set_offset_index_disabled(true)
        .set_statistics_enabled(parquet::file::properties::EnabledStatistics::Chunk)
        .set_key_value_metadata(Some(metadata))
        .build();
    let mut file = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?;
    if !rows.is_empty() {
        let mut group = file.next_row_group()?;
        for column in columns {
            let mut writer = group
                .next_column()?
                .ok_or_else(|| ParquetError::General(format!("no place for column {}", column.name)))?;
            write_column(&mut writer, column, rows)?;
            writer.close()?;
        }
        group.close()?;
    }
    file.into_inner()
}

/// The schema of one column.
fn field<R>(column: &Column<R>) -> Result<TypePtr> {
    let unsigned = |bits| Some(LogicalType::integer(bits, false));
    let flat = |name, physical, logical: Option<LogicalType>, repetition| {
        let builder = Type::primitive_type_builder(name, physical).with_repetition(repetition);
        builder.with_logical_type(logical).build().map(Arc::new)
    };
    let list = |physical, logical| {
        let element = flat("element", physical, logical, Repetition::REQUIRED)?;
        let repeated = Type::group_type_builder("list")
            .with_repetition(Repetition::REPEATED)
            .with_fields(vec![element])
            .build()?;
        Type::group_type_builder(column.name)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(Some(LogicalType::List))
            .with_converted_type(ConvertedType::LIST)
            .with_fields(vec![Arc::new(repeated)])
            .build()
            .map(Arc::new)
    };
    match column.get {
        Get::U32(_) => flat(column.name, Physical::INT32, unsigned(32), Repetition::OPTIONAL),
        Get::U64(_) => flat(column.name, Physical::INT64, unsigned(64), Repetition::OPTIONAL),
        Get::F64(_) => flat(column.name, Physical::DOUBLE, None, Repetition::OPTIONAL),
        Get::Text(_) => flat(column.name, Physical::BYTE_ARRAY, Some(LogicalType::String), Repetition::OPTIONAL),
        Get::U32List(_) => list(Physical::INT32, unsigned(32)),
        Get::F32List(_) => list(Physical::FLOAT, None),
        Get::BoolList(_) => list(Physical::BOOLEAN, None),
    }
}

fn write_column<R>(writer: &mut SerializedColumnWriter<'_>, column: &Column<R>, rows: &[R]) -> Result<()> {
    // Parquet's unsigned integers are the bits of its signed ones.
    match column.get {
        Get::U32(get) => write_flat::<Int32Type>(writer, rows.iter().map(|r| get(r).map(u32::cast_signed))),
        Get::U64(get) => write_flat::<Int64Type>(writer, rows.iter().map(|r| get(r).map(u64::cast_signed))),
        Get::F64(get) => write_flat::<DoubleType>(writer, rows.iter().map(get)),
        Get::Text(get) => write_flat::<ByteArrayType>(writer, rows.iter().map(|r| get(r).map(ByteArray::from))),
        Get::U32List(get) => write_list::<Int32Type, _>(writer, rows.iter().map(get), |&x| x.cast_signed()),
        Get::F32List(get) => write_list::<FloatType, _>(writer, rows.iter().map(get), |&x| x),
        Get::BoolList(get) => write_list::<BoolType, _>(writer, rows.iter().map(get), |&x| x),
    }
}

fn write_flat<T: DataType>(
    writer: &mut SerializedColumnWriter<'_>,
    cells: impl Iterator<Item = Option<T::T>>,
) -> Result<()> {
    let (mut values, mut defined) = (Vec::new(), Vec::new());
    for cell in cells {
        defined.push(i16::from(cell.is_some()));
        values.extend(cell);
    }
    writer.typed::<T>().write_batch(&values, Some(&defined), None).map(drop)
}

fn write_list<'r, T: DataType, V: 'r>(
    writer: &mut SerializedColumnWriter<'_>,
    cells: impl Iterator<Item = Option<&'r [V]>>,
    physical: impl Fn(&V) -> T::T,
) -> Result<()> {
    let (mut values, mut defined, mut repeated) = (Vec::new(), Vec::new(), Vec::new());
    for cell in cells {
        let list = cell.unwrap_or_default();
        if list.is_empty() {
            defined.push(i16::from(cell.is_some()));
            repeated.push(0);
        }
        for (i, value) in list.iter().enumerate() {
            values.push(physical(value));
            defined.push(2);
            repeated.push(i16::from(i > 0));
        }
    }
    writer.typed::<T>().write_batch(&values, Some(&defined), Some(&repeated)).map(drop)
}

/// A column as Parquet stores it: the values that are not null, and a level of each kind for every place.
struct Levels<V> {
    values: Vec<V>,
    defined: Vec<i16>,
    repeated: Vec<i16>,
}

/// A Parquet file open for reading, column by column.
pub(crate) struct Table {
    reader: SerializedFileReader<Bytes>,
    columns: HashMap<String, usize>,
    rows: usize,
}

impl Table {
    /// Opens a file of at most one row group.
    pub(crate) fn open(bytes: Vec<u8>) -> Result<Self> {
        let reader = SerializedFileReader::new(Bytes::from(bytes))?;
        if reader.num_row_groups() > 1 {
            return Err(ParquetError::General(format!("{} row groups instead of one", reader.num_row_groups())));
        }
        let file = reader.metadata().file_metadata();
        let rows =
            usize::try_from(file.num_rows()).map_err(|_| ParquetError::General("a negative number of rows".into()))?;
        // The first part of a path names the column: a list's values lie at `name.list.element`.
        let columns = file.schema_descr().columns().iter().map(|c| c.path().parts()[0].clone()).zip(0..).collect();
        Ok(Self { reader, columns, rows })
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// The value of a key in the footer.
    pub(crate) fn metadata(&self, key: &str) -> Option<&str> {
        let pairs = self.reader.metadata().file_metadata().key_value_metadata()?;
        pairs.iter().find(|p| p.key == key)?.value.as_deref()
    }

    /// A column of integers.
    pub(crate) fn u32(&self, name: &str) -> Result<Vec<Option<u32>>> {
        self.flat::<Int32Type, _>(name, |x| Ok(x.cast_unsigned()))
    }

    /// A column of long integers.
    pub(crate) fn u64(&self, name: &str) -> Result<Vec<Option<u64>>> {
        self.flat::<Int64Type, _>(name, |x| Ok(x.cast_unsigned()))
    }

    /// A column of numbers.
    pub(crate) fn f64(&self, name: &str) -> Result<Vec<Option<f64>>> {
        self.flat::<DoubleType, _>(name, Ok)
    }

    /// A column of text.
    pub(crate) fn text(&self, name: &str) -> Result<Vec<Option<String>>> {
        self.flat::<ByteArrayType, _>(name, |x| Ok(x.as_utf8()?.to_owned()))
    }

    /// A column of lists of integers.
    pub(crate) fn u32_list(&self, name: &str) -> Result<Vec<Option<Vec<u32>>>> {
        self.list::<Int32Type, _>(name, i32::cast_unsigned)
    }

    /// A column of lists of numbers.
    pub(crate) fn f32_list(&self, name: &str) -> Result<Vec<Option<Vec<f32>>>> {
        self.list::<FloatType, _>(name, |x| x)
    }

    /// A column of lists of booleans.
    pub(crate) fn bool_list(&self, name: &str) -> Result<Vec<Option<Vec<bool>>>> {
        self.list::<BoolType, _>(name, |x| x)
    }

    fn flat<T: DataType, V>(&self, name: &str, logical: impl Fn(T::T) -> Result<V>) -> Result<Vec<Option<V>>> {
        let Levels { values, defined, .. } = self.levels::<T>(name)?;
        let mut values = values.into_iter();
        let cells =
            defined.into_iter().map(|d| if d == 0 { Ok(None) } else { values.next().map(&logical).transpose() });
        cells.collect()
    }

    fn list<T: DataType, V>(&self, name: &str, logical: impl Fn(T::T) -> V) -> Result<Vec<Option<Vec<V>>>> {
        let Levels { values, defined, repeated } = self.levels::<T>(name)?;
        let mut values = values.into_iter().map(logical);
        let mut cells: Vec<Option<Vec<V>>> = Vec::with_capacity(self.rows);
        for (d, r) in defined.into_iter().zip(repeated) {
            if r == 0 {
                cells.push((d > 0).then(Vec::new));
            }
            if let (2, Some(Some(list))) = (d, cells.last_mut()) {
                list.extend(values.next());
            }
        }
        Ok(cells)
    }

    /// A whole column as it is stored.
    fn levels<T: DataType>(&self, name: &str) -> Result<Levels<T::T>> {
        let wrong = |what: &str| ParquetError::General(format!("column {name} {what}"));
        let &index = self.columns.get(name).ok_or_else(|| wrong("is missing"))?;
        let schema = self.reader.metadata().file_metadata().schema_descr();
        if schema.column(index).physical_type() != T::get_physical_type() {
            return Err(wrong("has another type"));
        }
        let (mut values, mut defined, mut repeated) = (Vec::new(), Vec::new(), Vec::new());
        if self.rows > 0 {
            let mut reader = get_typed_column_reader::<T>(self.reader.get_row_group(0)?.get_column_reader(index)?);
            let (rows, _, _) = reader.read_records(self.rows, Some(&mut defined), Some(&mut repeated), &mut values)?;
            if rows != self.rows {
                return Err(wrong("is shorter than the table"));
            }
        }
        Ok(Levels { values, defined, repeated })
    }
}
