//! A model asked all that is missing of its cells.

use crate::{
    Catalogue, Error, Header, Protocol, Sheet, Store,
    cell::{Part, cell},
};
use saltus_eval::{Boundary, Cost, Encoding, Overflow, Prepared};
use saltus_lm::LanguageModel;
use saltus_record::ModelKey;

/// What is asked, and how.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The tasks.
    pub catalogue: &'a Catalogue,
    /// Shots, seeds, limits.
    pub protocol: &'a Protocol,
    /// Where prompts end; without one, as each source has it.
    pub boundary: Option<Boundary>,
    /// What happens to prompts that are too long.
    pub overflow: Overflow,
}

/// A cell of a model, and what of it is missing.
#[derive(Clone, Debug)]
pub struct Planned {
    /// What it is.
    pub header: Header,
    /// The parts that are not there.
    pub missing: Vec<Part>,
}

/// What happens while a model is asked.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A part is about to be asked.
    Begins {
        /// Its cell.
        cell: &'a Header,
        /// What it will cost.
        cost: Cost,
    },
    /// A part is done and kept.
    Done {
        /// Bytes of its texts, as in [`Part::bytes`].
        bytes: usize,
    },
}

impl Asked<'_> {
    fn encoding(&self, sheet: &Sheet) -> Encoding {
        Encoding { boundary: self.boundary.unwrap_or(sheet.boundary), overflow: self.overflow }
    }

    /// The cells of `model`, in order, and what `store` has of them; all of them are missing without a store.
    ///
    /// # Errors
    /// [`Error`] for tasks or records that cannot be read.
    pub fn plan(&self, model: &ModelKey, store: Option<&Store>) -> Result<Vec<Planned>, Error> {
        let mut planned = Vec::new();
        for task in &self.catalogue.tasks {
            task.sheets(self.protocol, &mut |sheet| {
                let (header, parts) = cell(model, &sheet, self.encoding(&sheet));
                let mut missing = Vec::new();
                for part in parts {
                    if !store.map_or(Ok(false), |store| store.has(&part.key))? {
                        missing.push(part);
                    }
                }
                planned.push(Planned { header, missing });
                Ok(())
            })?;
        }
        Ok(planned)
    }

    /// What asking all that is missing costs.
    ///
    /// # Errors
    /// As for [`plan`](Self::plan).
    pub fn cost(&self, model: &dyn LanguageModel, planned: &[Planned]) -> Result<Cost, Error> {
        let mut cost = Cost::default();
        self.missing(planned, &mut |sheet, cell| {
            for part in &cell.missing {
                let questions = &sheet.set.questions[part.questions.clone()];
                cost += Prepared::new(model, questions, self.encoding(sheet)).cost();
            }
            Ok(())
        })?;
        Ok(cost)
    }

    /// Asks `model` all that is missing, part by part, each of which is kept as soon as it is there.
    ///
    /// # Errors
    /// [`Error::Eval`] when the model fails or cannot do what a task asks for; [`Error`] for tasks that cannot be read
    /// and records that cannot be written. What was computed before is kept.
    pub fn run(
        &self,
        model: &dyn LanguageModel,
        key: &ModelKey,
        planned: &[Planned],
        store: &Store,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), Error> {
        let whole = planned.iter().filter(|cell| cell.missing.is_empty());
        whole.into_iter().try_for_each(|cell| store.finish(&cell.header))?;
        self.missing(planned, &mut |sheet, Planned { header, missing }| {
            for part in missing {
                let questions = &sheet.set.questions[part.questions.clone()];
                let prepared = Prepared::new(model, questions, self.encoding(sheet));
                tell(Event::Begins { cell: header, cost: prepared.cost() });
                store.write(&part.key, &prepared.measure(model, key, &sheet.set)?)?;
                tell(Event::Done { bytes: part.bytes });
            }
            store.finish(header)
        })
    }

    /// Calls `visit` with every cell that misses parts, its sheet made again: the questions of all tasks may not fit the
    /// memory.
    fn missing(
        &self,
        planned: &[Planned],
        visit: &mut dyn FnMut(&Sheet, &Planned) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut rest = planned.iter();
        for task in &self.catalogue.tasks {
            if rest.as_slice().iter().all(|cell| cell.missing.is_empty()) {
                return Ok(());
            }
            task.sheets(self.protocol, &mut |sheet| {
                // Sheets come in the order in which they were planned.
                let Some(cell) = rest.next() else { return Ok(()) };
                let whole = cell.header.items == sheet.set.questions.len() && cell.header.name() == name_of(&sheet);
                if !whole {
                    let problem = "was changed while it was asked: run again";
                    return Err(Error::Asked(format!("the task {} {problem}", cell.header.name())));
                }
                if cell.missing.is_empty() { Ok(()) } else { visit(&sheet, cell) }
            })?;
        }
        Ok(())
    }
}

fn name_of(sheet: &Sheet) -> String {
    let set = &sheet.set;
    if set.subtask.is_empty() { set.task.clone() } else { format!("{}:{}", set.task, set.subtask) }
}
