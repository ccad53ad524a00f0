//! A table with named columns, each of numbers or of words, and the places where they stand in their file.

use crate::{csv_file, parquet_file};
use saltus_file::FileError;
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

/// Rows that a table may have; more are refused.
pub(crate) const MAX_ROWS: usize = 20_000_000;

/// Columns that a table may have.
pub(crate) const MAX_COLUMNS: usize = 4096;

/// A code that stands for no word.
const NO_WORD: u32 = u32::MAX;

/// Other names for columns: (the file's, ours).
pub type Map = [(String, String)];

/// A table as read.
#[derive(Clone, Debug)]
pub struct Table {
    path: PathBuf,
    columns: Vec<(String, Column)>,
    /// What the columns are called in the file.
    theirs: Vec<String>,
    rows: usize,
    /// The line of each row in a text file; empty for others.
    lines: Vec<u32>,
}

/// The cells of a column.
#[derive(Clone, Debug)]
pub(crate) enum Column {
    /// Numbers; NaN where there is none. Rows where the file itself says NaN are listed.
    Numbers { values: Vec<f64>, said_nan: Vec<u32> },
    /// Words by their code, [`NO_WORD`] where there is none.
    Words { codes: Vec<u32>, words: Vec<String> },
}

/// A column of words: for each row the index of its word, or none.
#[derive(Clone, Debug)]
pub struct Words {
    codes: Vec<u32>,
    /// The different words, by first appearance.
    pub words: Vec<String>,
}

impl Words {
    /// The index of the word of `row` in [`words`](Self::words).
    pub fn index(&self, row: usize) -> Option<usize> {
        Some(self.codes[row]).filter(|&code| code != NO_WORD).map(|code| code as usize)
    }

    /// The word of `row`.
    pub fn get(&self, row: usize) -> Option<&str> {
        self.index(row).map(|index| self.words[index].as_str())
    }
}

/// Fills a column of words.
#[derive(Clone, Debug, Default)]
pub(crate) struct WordsBuilder {
    codes: Vec<u32>,
    words: Vec<String>,
    known: HashMap<String, u32>,
}

impl WordsBuilder {
    pub(crate) fn push(&mut self, word: Option<&str>) {
        let code = match word {
            None => NO_WORD,
            Some(word) => match self.known.get(word) {
                Some(&code) => code,
                None => {
                    let code = self.words.len() as u32;
                    self.words.push(word.to_owned());
                    self.known.insert(word.to_owned(), code);
                    code
                }
            },
        };
        self.codes.push(code);
    }

    pub(crate) fn finish(self) -> Column {
        Column::Words { codes: self.codes, words: self.words }
    }
}

impl Table {
    /// Reads a table: Parquet by its first bytes, else text with a header, separated by commas, semicolons or tabs.
    /// `map` gives columns other names; several columns may get the same one (then see [`same_name`](Self::same_name)).
    ///
    /// # Errors
    /// For what is no table, larger than a bound, or has rows of different lengths; for a column that `map` names and the
    /// file does not have.
    pub fn read(path: &Path, map: &Map) -> Result<Table, FileError> {
        let mut table = if parquet_file::is_one(path)? { parquet_file::read(path)? } else { csv_file::read(path)? };
        for (theirs, ours) in map {
            if !table.columns.iter().any(|(name, _)| name == theirs) {
                let remedy = match table.nearest(theirs) {
                    Some(near) => format!("write `--map {near}={ours}`"),
                    None => table.listed(),
                };
                return Err(table.error(None, format!("has no column `{theirs}`"), remedy));
            }
        }
        // What was called `score` and is not what is called so now is out of the way.
        for (name, _) in &mut table.columns {
            if let Some((_, ours)) = map.iter().find(|(theirs, _)| theirs == name) {
                *name = ours.clone();
            } else if map.iter().any(|(_, ours)| ours == name) {
                name.push_str(" (as the file has it)");
            }
        }
        Ok(table)
    }

    pub(crate) fn new(path: &Path, columns: Vec<(String, Column)>, rows: usize, lines: Vec<u32>) -> Table {
        let theirs = columns.iter().map(|(name, _)| name.clone()).collect();
        Table { path: path.into(), columns, theirs, rows, lines }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The names of the columns, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| name.as_str())
    }

    /// What the file calls the column at `place`.
    pub fn their_name(&self, place: usize) -> &str {
        &self.theirs[place]
    }

    /// Whether there is a column of this name.
    pub fn has(&self, name: &str) -> bool {
        self.names().any(|n| n == name)
    }

    /// The places of the columns called `name`: several, where a map gives several the same name.
    pub fn same_name(&self, name: &str) -> Vec<usize> {
        (0..self.columns.len()).filter(|&i| self.columns[i].0 == name).collect()
    }

    /// The numbers of a column, NaN where a row has none; `None` if there is no such column.
    ///
    /// # Errors
    /// For a cell that is no number, with its place.
    pub fn numbers(&self, name: &str) -> Result<Option<&[f64]>, FileError> {
        self.same_name(name).first().map(|&place| self.numbers_at(place)).transpose()
    }

    /// As [`numbers`](Self::numbers), by the column's place.
    ///
    /// # Errors
    /// For a cell that is no number, with its place.
    pub fn numbers_at(&self, place: usize) -> Result<&[f64], FileError> {
        let (name, column) = &self.columns[place];
        match column {
            Column::Numbers { values, .. } => Ok(values),
            Column::Words { codes, words } => {
                let wrong = |row: usize| words[codes[row] as usize].trim().parse::<f64>().is_err();
                let row = (0..self.rows).find(|&row| codes[row] != NO_WORD && wrong(row)).unwrap_or(0);
                let word = codes.get(row).and_then(|&code| words.get(code as usize)).map_or("", String::as_str);
                Err(self.not_a_number(row, name, word))
            }
        }
    }

    fn not_a_number(&self, row: usize, name: &str, word: &str) -> FileError {
        let remedy = match word.trim().strip_suffix('%') {
            Some(number) if number.trim().parse::<f64>().is_ok() => "write a share of 1 without the sign",
            _ => "write a number, or nothing where there is none",
        };
        self.error(Some(row), format!("column `{name}` says `{word}`, which is no number"), remedy)
    }

    /// As [`numbers`](Self::numbers), for numbers of parameters, tokens or operations, which people write as `70M` or
    /// `1.4B` too.
    ///
    /// # Errors
    /// For a cell that is no such number, with its place.
    pub fn sizes(&self, name: &str) -> Result<Option<Vec<f64>>, FileError> {
        let Some(&place) = self.same_name(name).first() else { return Ok(None) };
        let Column::Words { codes, words } = &self.columns[place].1 else {
            return Ok(Some(self.numbers_at(place)?.to_vec()));
        };
        let read: Vec<Option<f64>> = words.iter().map(|word| size(word)).collect();
        let of_row = |row: usize| match codes[row] {
            NO_WORD => Ok(f64::NAN),
            code => {
                let word = &words[code as usize];
                read[code as usize].ok_or_else(|| {
                    let problem = format!("column `{name}` says `{word}`, which is no size");
                    self.error(Some(row), problem, "write a number, such as 1.4e9 or 1.4B")
                })
            }
        };
        (0..self.rows).map(of_row).collect::<Result<_, _>>().map(Some)
    }

    /// The words of a column; a column of numbers as they are written shortest.
    pub fn words(&self, name: &str) -> Option<Words> {
        let &place = self.same_name(name).first()?;
        Some(match &self.columns[place].1 {
            Column::Words { codes, words } => Words { codes: codes.clone(), words: words.clone() },
            Column::Numbers { values, .. } => {
                let mut builder = WordsBuilder::default();
                for &value in values {
                    builder.push((!value.is_nan()).then(|| value.to_string()).as_deref());
                }
                Words { codes: builder.codes, words: builder.words }
            }
        })
    }

    /// Rows where a column of numbers says NaN, which is not the same as saying nothing.
    pub fn said_nan(&self, place: usize) -> &[u32] {
        match &self.columns[place].1 {
            Column::Numbers { said_nan, .. } => said_nan,
            Column::Words { .. } => &[],
        }
    }

    /// The line of a row in a text file, else its number from 1.
    pub(crate) fn line(&self, row: usize) -> u32 {
        self.lines.get(row).copied().unwrap_or(row as u32 + 1)
    }

    /// Where a row is: `, line 7`.
    pub fn place(&self, row: usize) -> String {
        self.lines.get(row).map_or_else(|| format!(", row {}", row + 1), |line| format!(", line {line}"))
    }

    /// What is wrong with the table, or with one of its rows.
    pub fn error(&self, row: Option<usize>, problem: impl Into<String>, remedy: impl Into<String>) -> FileError {
        let place = row.map_or_else(String::new, |row| self.place(row));
        FileError::new(&self.path, place, problem, remedy)
    }

    /// That a column is missing, with what to write.
    pub fn missing(&self, wanted: &[&str]) -> FileError {
        let names = wanted.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ");
        let near = wanted.iter().find_map(|name| Some((self.nearest(name)?, *name)));
        let (theirs, ours) = near.unwrap_or(("COLUMN", wanted.first().copied().unwrap_or_default()));
        let remedy = format!("name it with `--map {theirs}={ours}`; {}", self.listed());
        self.error(None, format!("has no column {names}"), remedy)
    }

    fn listed(&self) -> String {
        let names: Vec<&str> = self.names().take(20).collect();
        let more = self.columns.len().saturating_sub(20);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("its columns are {}{more}", names.join(", "))
    }

    fn nearest(&self, wanted: &str) -> Option<&str> {
        let wanted = wanted.to_lowercase();
        let close = |name: &&str| {
            let name = name.to_lowercase();
            name.contains(&wanted)
                || wanted.contains(&name)
                || strsim::damerau_levenshtein(&name, &wanted) <= wanted.len() / 4
        };
        self.names().find(close)
    }
}

/// A number as people write sizes: `1.4e9`, `1.4B`, `70M`, `300k`, `2T`.
pub fn size(text: &str) -> Option<f64> {
    let text = text.trim();
    let (number, factor) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 1e3),
        Some((at, 'm' | 'M')) => (&text[..at], 1e6),
        Some((at, 'b' | 'B' | 'g' | 'G')) => (&text[..at], 1e9),
        Some((at, 't' | 'T')) => (&text[..at], 1e12),
        _ => (text, 1.0),
    };
    number.trim().parse::<f64>().ok().map(|number| number * factor)
}
