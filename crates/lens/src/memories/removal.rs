//! What becomes of a coefficient when a token of the trigger is taken away (arXiv 2012.14913, section 3.2).

use super::{Corpus, PASS, Partial, Settings, Trigger, Triggers, triggers::read_pass};
use crate::Error;
use rand::{RngExt, seq::index};
use saltus_lm::TokenId;
use saltus_transformer::{Activations, Model, Site, Taps};

/// One trigger with a token taken away: relative changes of the coefficient, `m' / m - 1`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Removal {
    /// The key, from 0.
    pub unit: u32,
    /// The trigger, whose coefficient is above 0.
    pub trigger: Trigger,
    /// Without its first, its last, and a random token between them.
    pub changes: [f64; 3],
}

/// A trigger, and what is left of it without its first, its last and a random token.
struct Drawn {
    slot: usize,
    unit: usize,
    trigger: Trigger,
    shortened: [Vec<TokenId>; 3],
}

/// A sequence, and the layer and unit whose coefficient behind its end is wanted.
type Asked<'a> = (&'a [TokenId], (usize, usize));

/// For each layer, keys drawn without replacement, and of each a trigger drawn from the better half of its triggers: with
/// a coefficient above 0 and at least three tokens of text. Keys that have none are left out.
pub(super) fn read(
    model: &Model,
    corpus: &Corpus,
    triggers: &Triggers,
    settings: &Settings,
    partial: &mut Partial,
    told: &mut dyn FnMut(f64, &Partial),
) -> Result<Vec<Vec<Removal>>, Error> {
    let layers = triggers.layers();
    let drawn: Vec<Drawn> = (0..layers.len()).flat_map(|slot| draw(corpus, triggers, settings, slot)).collect();
    let asked: Vec<Asked<'_>> =
        drawn.iter().flat_map(|d| d.shortened.iter().map(|tokens| (&tokens[..], (layers[d.slot], d.unit)))).collect();
    read_on(model, &asked, partial, told)?;
    let mut removals = vec![Vec::new(); layers.len()];
    for (Drawn { slot, unit, trigger, .. }, left) in drawn.iter().zip(partial.coefficients.as_chunks::<3>().0) {
        let changes = left.map(|left| f64::from(left) / f64::from(trigger.coefficient) - 1.0);
        if !changes.iter().all(|change| change.is_finite()) {
            return Err(Error::NotFinite { layer: layers[*slot] + 1 });
        }
        removals[*slot].push(Removal { unit: *unit as u32, trigger: *trigger, changes });
    }
    Ok(removals)
}

fn draw(corpus: &Corpus, triggers: &Triggers, settings: &Settings, slot: usize) -> Vec<Drawn> {
    let key = settings.key.child("removals").index(triggers.layers()[slot] as u64);
    let of_units: Vec<&[Trigger]> = triggers.layer(slot).collect();
    let units = index::sample(&mut key.rng(), of_units.len(), settings.keys.min(of_units.len()));
    let first = corpus.begin();
    let of_unit = |unit: usize| {
        let mut rng = key.index(unit as u64).rng();
        let half = &of_units[unit][..of_units[unit].len().div_ceil(2)];
        let fits = |t: &&Trigger| t.coefficient > 0.0 && t.position as usize >= first + 2;
        let half: Vec<&Trigger> = half.iter().filter(fits).collect();
        let trigger = **half.get(rng.random_range(0..half.len().max(1)))?;
        let last = trigger.position as usize;
        let prefix = &corpus.sentence(trigger.sentence as usize)[..=last];
        let shortened = [first, last, rng.random_range(first + 1..last)]
            .map(|lost| [&prefix[..lost], &prefix[lost + 1..]].concat());
        Some(Drawn { slot, unit, trigger, shortened })
    };
    units.into_iter().filter_map(of_unit).collect()
}

/// Reads the coefficients behind the ends of sequences on, from where a part has them.
fn read_on(
    model: &Model,
    asked: &[Asked<'_>],
    partial: &mut Partial,
    told: &mut dyn FnMut(f64, &Partial),
) -> Result<(), Error> {
    while partial.coefficients.len() < asked.len() {
        let from = partial.coefficients.len();
        let mut columns = 0;
        let fits = |(tokens, _): &&Asked<'_>| {
            columns += tokens.len();
            columns <= PASS
        };
        let end = from + asked[from..].iter().take_while(fits).count().max(1);
        let sequences: Vec<&[TokenId]> = asked[from..end].iter().map(|(tokens, _)| *tokens).collect();
        partial.coefficients.resize(end, 0.0);
        let found = &mut partial.coefficients[from..];
        read_pass(model, &sequences, &mut Ends { asked: &asked[from..end], found })?;
        told(end as f64 / asked.len() as f64, partial);
    }
    Ok(())
}

/// Reads one coefficient behind the end of each sequence.
struct Ends<'a> {
    asked: &'a [Asked<'a>],
    found: &'a mut [f32],
}

impl Taps for Ends<'_> {
    fn wants(&self, site: Site) -> bool {
        matches!(site, Site::MlpHidden(_))
    }

    fn at(&mut self, site: Site, activations: Activations<'_>) {
        for (((_, (layer, unit)), span), found) in self.asked.iter().zip(activations.spans).zip(&mut *self.found) {
            if site == Site::MlpHidden(*layer) {
                *found = activations.values[unit * activations.columns + span.end - 1];
            }
        }
    }
}
