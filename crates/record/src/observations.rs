//! What was read inside models, as parts: one row for each number.
//!
//! Beside its own columns a part has those of a table of scores (`family`, `scale`, `task`, `metric`, `score`, `n`, `seed`,
//! `step`), so that whatever judges tables reads it as it is.

use crate::{
    Error, ModelKey, Observation, Part, SCHEMA,
    part::{bytes_of, encode, parse, write},
    rows::{Models, OfModel, column, model_columns, required},
    table::{Column, Get, Table},
};
use parquet::errors::Result as ParquetResult;
use std::path::Path;

/// An observation with what is derived from it.
struct Row<'a> {
    observation: &'a Observation,
    task: String,
}

impl OfModel for Row<'_> {
    fn model(&self) -> &ModelKey {
        &self.observation.model
    }
}

impl Row<'_> {
    fn family(&self) -> &str {
        self.observation.model.training.as_ref().map_or("", |training| &training.ladder)
    }
}

fn columns<'a>() -> Vec<Column<Row<'a>>> {
    let mut columns = model_columns();
    columns.extend([
        column("look", Get::Text(|r: &Row<'a>| Some(&r.observation.look))),
        column("method", Get::Text(|r| Some(&r.observation.method))),
        column("group", Get::Text(|r| Some(&r.observation.group))),
        column("metric", Get::Text(|r| Some(&r.observation.metric))),
        column("layer", Get::U32(|r| r.observation.layer)),
        column("unit", Get::U32(|r| r.observation.unit)),
        column("item", Get::U32(|r| r.observation.item)),
        column("score", Get::F64(|r| Some(r.observation.value))),
        column("low", Get::F64(|r| r.observation.interval.map(|(low, _)| low))),
        column("high", Get::F64(|r| r.observation.interval.map(|(_, high)| high))),
        column("n", Get::U64(|r| Some(r.observation.n))),
        column("chance", Get::F64(|r| r.observation.chance)),
        column("family", Get::Text(|r| Some(r.family()))),
        column("task", Get::Text(|r| Some(&r.task))),
        column("scale", Get::U64(|r| Some(r.observation.model.params_non_embedding))),
        column("seed", Get::U64(|r| r.observation.model.training.as_ref().map(|t| t.seed))),
        column("step", Get::U64(|r| r.observation.model.training.as_ref().map(|t| t.step))),
    ]);
    columns
}

/// Writes the observations of the cell `key` to `path`, whole or not at all. The same observations give the same bytes.
///
/// # Errors
/// [`Error::Io`] when the system refuses; [`Error::TooLarge`] above 1 GiB. `path` is then as it was.
pub fn write_observations(path: &Path, key: &str, observations: &[Observation]) -> Result<(), Error> {
    let rows: Vec<Row<'_>> = observations.iter().map(|o| Row { observation: o, task: o.task() }).collect();
    write(path, encode(key, "observations", &SCHEMA.to_string(), &columns(), &rows))
}

/// Reads a part written by [`write_observations`].
///
/// # Errors
/// As [`crate::read_records`].
pub fn read_observations(path: &Path) -> Result<Part<Observation>, Error> {
    parse(path, "observations", bytes_of(path, "observations")?, decode)
}

fn decode(table: &Table) -> ParquetResult<Vec<Observation>> {
    let mut models = Models::read(table)?;
    let [mut look, mut method] = [table.text("look")?, table.text("method")?];
    let [mut group, mut metric] = [table.text("group")?, table.text("metric")?];
    let (layer, unit, item) = (table.u32("layer")?, table.u32("unit")?, table.u32("item")?);
    let (mut value, mut n) = (table.f64("score")?, table.u64("n")?);
    let (low, high, chance) = (table.f64("low")?, table.f64("high")?, table.f64("chance")?);
    (0..table.rows())
        .map(|row| {
            Ok(Observation {
                model: models.take(row)?,
                look: required(&mut look, row)?,
                method: required(&mut method, row)?,
                group: required(&mut group, row)?,
                metric: required(&mut metric, row)?,
                layer: layer[row],
                unit: unit[row],
                item: item[row],
                value: required(&mut value, row)?,
                interval: low[row].zip(high[row]),
                n: required(&mut n, row)?,
                chance: chance[row],
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Training;

    fn observation(layer: Option<u32>, value: f64) -> Observation {
        let training = Training { ladder: "main".into(), seed: 2, step: 10, tokens: 160, flops_6nd: 1e9 };
        Observation {
            model: ModelKey {
                name: "8x2".into(),
                width: 8,
                layers: 2,
                params_non_embedding: 1700,
                params_total: 2700,
                weights: "aa".into(),
                tokenizer: "bb".into(),
                training: layer.map(|_| training),
            },
            look: "knowledge".into(),
            method: "logit-lens".into(),
            group: "capital".into(),
            metric: "p_at_1".into(),
            layer,
            unit: None,
            item: None,
            value,
            interval: layer.map(|_| (value - 0.1, value + 0.1)),
            n: 40,
            chance: None,
        }
    }

    #[test]
    fn observations_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        let all = [observation(Some(1), 0.5), observation(None, 0.25)];
        write_observations(&path, "key", &all).unwrap();
        let part = read_observations(&path).unwrap();
        assert_eq!((part.key.as_str(), part.rows.as_slice()), ("key", &all[..]));
        assert_eq!(all[0].task(), "knowledge logit-lens capital layer 1");
        assert!(matches!(crate::read_records(&path), Err(Error::Foreign { .. })));
    }
}
