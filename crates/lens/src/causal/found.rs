//! What all questions together tell: effects with intervals, where they peak, and how the lens disagrees.

use super::{Case, Component, Intervention, Kind, Place, Trace};
use crate::{Mean, mean::UNIT};
use std::collections::BTreeSet;

/// The effect of one intervention on the object's log-probability, in nats: above 0 where it makes the object likelier.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    /// Which.
    pub kind: Kind,
    /// Over questions, in clusters where there are two or more of these.
    pub mean: Mean,
    /// Of each question that was traced.
    pub by_case: Vec<f64>,
}

/// What the lens says of one question in the clean run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The object's rank behind each layer, from layer 0 on.
    pub ranks: Vec<u32>,
}

impl Probe {
    /// The first layer behind which the object has rank 1.
    pub fn first(&self) -> Option<u32> {
        self.ranks.iter().position(|rank| *rank == 1).map(|layer| layer as u32)
    }
}

/// Where restoring one kind of part works most.
#[derive(Clone, Debug, PartialEq)]
pub struct Peak {
    /// What is restored.
    pub component: Component,
    /// At which token.
    pub place: Place,
    /// The layer with the greatest effect, over the questions that lost anything and got any of it back here.
    pub layer: Mean,
    /// By how many layers the lens has the object at rank 1 later than that, over those where it ever has.
    pub lens_later: Option<Mean>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Traced {
    /// The object's log-probability, nats.
    pub clean: Mean,
    /// The same with the subject corrupted.
    pub corrupted: Mean,
    /// What corruption costs: clean less corrupted.
    pub lost: Mean,
    /// Every intervention.
    pub effects: Vec<Effect>,
    /// The first layer behind which the lens has the object at rank 1, over the questions where it ever has.
    pub lens_layer: Option<Mean>,
    /// The share of questions whose object has rank 1 through the lens, behind each layer from layer 0 on.
    pub lens_share: Vec<Mean>,
    /// Restored parts by layer: MLPs at the subject, attention at the last token.
    pub peaks: Vec<Peak>,
    /// Numbers of the questions that were traced.
    pub traced: Vec<usize>,
    /// What the lens says of each.
    pub probes: Vec<Probe>,
    /// Numbers of the questions whose subject could not be swapped.
    pub left_out: Vec<usize>,
}

pub(super) fn gather(cases: &[Case], kinds: &[Kind], traces: Vec<(usize, Trace)>, left_out: Vec<usize>) -> Traced {
    let clusters: Vec<u32> = traces.iter().map(|(number, _)| cases[*number].cluster).collect();
    let over = |of: &dyn Fn(&Trace) -> f64| mean(&traces.iter().map(|(_, t)| of(t)).collect::<Vec<_>>(), &clusters);
    let (clean, corrupted) = (over(&|trace| trace.clean), over(&|trace| trace.corrupted));
    let lost = over(&|trace| trace.clean - trace.corrupted);
    let effect = |(number, kind): (usize, &Kind)| {
        let by_case: Vec<f64> = traces.iter().map(|(_, trace)| trace.effects[number]).collect();
        Effect { kind: *kind, mean: mean(&by_case, &clusters), by_case }
    };
    let effects: Vec<Effect> = kinds.iter().enumerate().map(effect).collect();
    let first: Vec<Option<u32>> = traces.iter().map(|(_, trace)| trace.probe.first()).collect();
    let fell: Vec<bool> = traces.iter().map(|(_, trace)| trace.corrupted < trace.clean).collect();
    let peaks = [(Component::Mlp, Place::Subject), (Component::Attention, Place::Last)]
        .into_iter()
        .filter_map(|of| peak(of, &effects, &fell, (&first, &clusters)))
        .collect();
    let lens_layer = mean_of_known(&first.iter().map(|layer| layer.map(f64::from)).collect::<Vec<_>>(), &clusters);
    let layers = traces.first().map_or(0, |(_, trace)| trace.probe.ranks.len());
    let known = |layer: usize| {
        let hits: Vec<f64> = traces.iter().map(|(_, t)| f64::from(u8::from(t.probe.ranks[layer] == 1))).collect();
        clustered(&hits, &clusters, UNIT)
    };
    let lens_share = (0..layers).map(known).collect();
    let (traced, probes) = traces.into_iter().map(|(number, trace)| (number, trace.probe)).unzip();
    Traced { clean, corrupted, lost, effects, lens_layer, lens_share, peaks, traced, probes, left_out }
}

fn mean(values: &[f64], clusters: &[u32]) -> Mean {
    clustered(values, clusters, None)
}

/// In clusters, if there are several: one cluster shows no spread.
pub(super) fn clustered(values: &[f64], clusters: &[u32], range: Option<(f64, f64)>) -> Mean {
    let several = clusters.iter().collect::<BTreeSet<_>>().len() > 1;
    Mean::of(values, several.then_some(clusters), range)
}

fn mean_of_known(values: &[Option<f64>], clusters: &[u32]) -> Option<Mean> {
    let (values, clusters): (Vec<f64>, Vec<u32>) =
        values.iter().zip(clusters).filter_map(|(value, cluster)| Some(((*value)?, *cluster))).unzip();
    (!values.is_empty()).then(|| mean(&values, &clusters))
}

fn peak(
    (component, place): (Component, Place),
    effects: &[Effect],
    fell: &[bool],
    (first, clusters): (&[Option<u32>], &[u32]),
) -> Option<Peak> {
    let here = |effect: &&Effect| {
        let Kind { intervention, component: what, place: at, layer } = effect.kind;
        (intervention, what, at) == (Intervention::Restore, component, place) && layer.is_some()
    };
    let by_layer: Vec<&Effect> = effects.iter().filter(here).collect();
    let greatest = |case: usize| {
        let of = by_layer.iter().filter(|effect| effect.by_case[case] > 0.0);
        of.max_by(|a, b| a.by_case[case].total_cmp(&b.by_case[case]))?.kind.layer.map(f64::from)
    };
    let layers: Vec<Option<f64>> = (0..fell.len()).map(|case| fell[case].then(|| greatest(case)).flatten()).collect();
    let later: Vec<Option<f64>> =
        layers.iter().zip(first).map(|(peak, first)| Some(f64::from((*first)?) - (*peak)?)).collect();
    let layer = mean_of_known(&layers, clusters)?;
    Some(Peak { component, place, layer, lens_later: mean_of_known(&later, clusters) })
}
