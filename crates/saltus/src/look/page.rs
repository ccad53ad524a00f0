//! The page of a folder of looks: made again from what is saved, without a model.

use super::{Folder, Found};
use miette::{IntoDiagnostic, Result};
use saltus_record::ModelKey;
use saltus_report::inside::{Looked, Looks, page};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// Writes `look.html` from all looks in `folder`; its path, and the files that could not be read.
pub(super) fn write(folder: &Path) -> Result<(PathBuf, Vec<PathBuf>)> {
    let mut models: BTreeMap<String, (ModelKey, Found)> = BTreeMap::new();
    let mut damaged = Vec::new();
    for key in keys(folder)? {
        let Some(found) = Folder(folder).read(&key) else {
            damaged.push(folder.join(format!("{key}.parquet")));
            continue;
        };
        let Some(model) = found.observations.first().map(|o| o.model.clone()) else { continue };
        let step = model.training.as_ref().map_or(0, |t| t.step);
        let name = format!("{:020} {} {step} {}", model.params_non_embedding, model.name, model.weights);
        let none = || (model, Found { observations: Vec::new(), details: Vec::new() });
        let (_, all) = models.entry(name).or_insert_with(none);
        all.observations.extend(found.observations);
        all.details.extend(found.details);
    }
    let looks = Looks {
        saltus: env!("CARGO_PKG_VERSION").to_owned(),
        title: title(&models),
        models: models.into_values().map(|(model, found)| looked(model, found)).collect(),
    };
    let path = folder.join("look.html");
    saltus_report::write_text(&page(&looks), &path).into_diagnostic()?;
    Ok((path, damaged))
}

/// The keys of the looks in a folder, in order.
fn keys(folder: &Path) -> Result<BTreeSet<String>> {
    let mut keys = BTreeSet::new();
    for entry in std::fs::read_dir(folder).into_diagnostic()? {
        let name = entry.into_diagnostic()?.file_name();
        keys.extend(name.to_str().and_then(|name| name.strip_suffix(".parquet")).map(str::to_owned));
    }
    Ok(keys)
}

fn title(models: &BTreeMap<String, (ModelKey, Found)>) -> String {
    let names: Vec<&str> = models.values().map(|(model, _)| model.name.as_str()).collect();
    match names.as_slice() {
        [one] => (*one).to_owned(),
        names => format!("{} models", names.len()),
    }
}

fn looked(model: ModelKey, found: Found) -> Looked {
    Looked {
        model: model.name,
        family: model.training.as_ref().map(|t| t.ladder.clone()).unwrap_or_default(),
        params_non_embedding: model.params_non_embedding,
        layers: model.layers,
        tokens: model.training.map(|t| t.tokens),
        seeds: 1,
        numbers: found.observations.iter().filter(|o| o.item.is_none()).map(saltus_study::inside::number).collect(),
        details: found.details,
    }
}
