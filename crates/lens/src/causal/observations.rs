//! Effects as observations and in sentences.

use super::{
    Case, Component, Effect, Intervention, Kind, Place, Traced,
    found::{Peak, clustered},
};
use crate::mean::{Mean, UNIT};
use saltus_record::{ModelKey, Observation};

impl Intervention {
    /// Its name in records and on pages.
    pub fn name(self) -> &'static str {
        match self {
            Intervention::Restore => "restore",
            Intervention::Remove => "remove",
        }
    }
}

impl Component {
    /// Its name in records and on pages.
    pub fn name(self) -> &'static str {
        match self {
            Component::Mlp => "mlp",
            Component::Attention => "attention",
            Component::Residual => "residual",
        }
    }
}

impl Place {
    /// Its name in records and on pages.
    pub fn name(self) -> &'static str {
        match self {
            Place::Subject => "subject",
            Place::Last => "last",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Place::Subject => "the subject's last token",
            Place::Last => "the last token",
        }
    }
}

/// Nats that are next to nothing: a probability that changes by less than a twentieth of itself.
const LITTLE: f64 = 0.05;

/// A single part whose removal costs less than this share of that of all of them is not needed: others do its work.
const NEEDED: f64 = 0.25;

/// `known`: the share of questions whose object has rank 1.
///
/// # Panics
/// Without questions.
pub fn known(model: &ModelKey, cases: &[Case], ranks: &[u32]) -> Observation {
    let hits: Vec<f64> = ranks.iter().map(|rank| f64::from(u8::from(*rank == 1))).collect();
    let clusters: Vec<u32> = cases.iter().map(|case| case.cluster).collect();
    observation(model, "known", clustered(&hits, &clusters, UNIT))
}

impl Traced {
    /// `clean_logprob`, `corrupted_logprob`, `lost`, `lens_layer`; by layer `lens_p_at_1`; for each `method` (`restore-mlp` ...) and `group` (the
    /// place) `effect` by layer, without a layer that of all layers at once, and `effect_of_item` for each question;
    /// `peak_layer` and `lens_later`.
    pub fn observations(&self, model: &ModelKey) -> Vec<Observation> {
        let whole = [("clean_logprob", self.clean), ("corrupted_logprob", self.corrupted), ("lost", self.lost)];
        let mut all: Vec<Observation> = whole.map(|(metric, mean)| observation(model, metric, mean)).to_vec();
        all.extend(self.lens_layer.map(|mean| observation(model, "lens_layer", mean)));
        all.extend(
            (0..)
                .zip(&self.lens_share)
                .map(|(layer, share)| Observation { layer: Some(layer), ..observation(model, "lens_p_at_1", *share) }),
        );
        for effect in &self.effects {
            let Kind { intervention, component, place, layer } = effect.kind;
            let method = format!("{}-{}", intervention.name(), component.name());
            let of = |metric, mean| {
                let (method, group) = (method.clone(), place.name().to_owned());
                Observation { method, group, layer, ..observation(model, metric, mean) }
            };
            all.push(of("effect", effect.mean));
            all.extend(effect.by_case.iter().zip(&self.traced).map(|(value, number)| {
                let mean = Mean { value: *value, interval: None, n: 1 };
                Observation { item: Some(*number as u32), ..of("effect_of_item", mean) }
            }));
        }
        for peak in &self.peaks {
            let of = |metric, mean| {
                let method = format!("restore-{}", peak.component.name());
                Observation { method, group: peak.place.name().into(), ..observation(model, metric, mean) }
            };
            all.push(of("peak_layer", peak.layer));
            all.extend(peak.lens_later.map(|mean| of("lens_later", mean)));
        }
        all
    }

    /// Where probe and intervention differ, and where parts do each other's work.
    pub fn sentences(&self) -> Vec<String> {
        let mut all = vec![self.lens_sentence()];
        all.extend(self.peaks.iter().map(Self::peak_sentence));
        for component in [Component::Mlp, Component::Attention] {
            for place in [Place::Subject, Place::Last] {
                all.extend(self.restore_sentence(component, place));
                all.extend(self.remove_sentence(component, place));
            }
        }
        all
    }

    fn lens_sentence(&self) -> String {
        let all = self.probes.len();
        match self.lens_layer {
            None => format!("The lens has the object at rank 1 behind no layer, for none of {all} questions."),
            Some(layer) => format!(
                "The lens first has the object at rank 1 behind layer {} ({} of {all} questions).",
                number(layer, 1),
                layer.n
            ),
        }
    }

    fn peak_sentence(peak: &Peak) -> String {
        let (what, place, layer) = (article(peak.component), peak.place.words(), number(peak.layer, 1));
        let lens = match peak.lens_later {
            None => String::new(),
            Some(later) => match told(later) {
                Some(1) => format!("; the lens has the object {} layers later", number(later, 1)),
                Some(-1) => format!("; the lens has the object {} layers earlier", number(negated(later), 1)),
                _ => format!("; the lens has it {} layers later, which is not told from 0", number(later, 1)),
            },
        };
        format!("In the mean over questions, restoring {what} at {place} works most in layer {layer}{lens}.")
    }

    /// Effects of single layers, and of all at once.
    fn effects_of(
        &self,
        intervention: Intervention,
        component: Component,
        place: Place,
    ) -> (Vec<&Effect>, Option<&Effect>) {
        let same = |effect: &&Effect| {
            (effect.kind.intervention, effect.kind.component, effect.kind.place) == (intervention, component, place)
        };
        let (single, all): (Vec<&Effect>, Vec<&Effect>) =
            self.effects.iter().filter(same).partition(|effect| effect.kind.layer.is_some());
        (single, all.first().copied())
    }

    fn restore_sentence(&self, component: Component, place: Place) -> Option<String> {
        let (single, _) = self.effects_of(Intervention::Restore, component, place);
        let best = single.into_iter().max_by(|a, b| a.mean.value.total_cmp(&b.mean.value))?;
        let (what, place, layer) = (article(component), place.words(), best.kind.layer?);
        let (effect, lost) = (number(best.mean, 2), number(self.lost, 2));
        Some(match told(best.mean) {
            Some(1) => {
                format!("Restoring {what} at {place} brings back most in layer {layer}: {effect} of {lost} nats.")
            }
            _ => format!(
                "Restoring {what} at {place} brings back nothing sure in any layer: {effect} nats at most, in layer {layer}."
            ),
        })
    }

    fn remove_sentence(&self, component: Component, place: Place) -> Option<String> {
        let (single, all) = self.effects_of(Intervention::Remove, component, place);
        let most = single.into_iter().min_by(|a, b| a.mean.value.total_cmp(&b.mean.value))?;
        let (all, layer) = (all?, most.kind.layer?);
        let (what, place) = (plural(component), place.words());
        let (cost, together) = (number(negated(most.mean), 2), number(negated(all.mean), 2));
        let begun = format!("Removing {what} of all layers at {place} costs {together} nats");
        if all.mean.value.abs() < LITTLE {
            return Some(format!("{begun}, next to nothing."));
        }
        if told(all.mean) != Some(-1) {
            return Some(format!("{begun}, which is not told from 0."));
        }
        let end = match (most.mean.value > NEEDED * all.mean.value, told(most.mean)) {
            (true, _) => "no single one is needed, others do its work",
            (false, Some(-1)) => "that one is needed",
            (false, _) => "whether that one is needed is not told",
        };
        Some(format!("{begun}, of layer {layer} alone {cost}, the most of one layer: {end}."))
    }
}

/// The sign of a mean that its interval tells from 0; where nothing shows how questions differ, that of the mean.
fn told(mean: Mean) -> Option<i8> {
    let (low, high) = mean.interval.unwrap_or((mean.value, mean.value));
    match (low > 0.0, high < 0.0) {
        (true, _) => Some(1),
        (_, true) => Some(-1),
        _ => None,
    }
}

fn plural(component: Component) -> &'static str {
    match component {
        Component::Mlp => "the MLPs",
        Component::Attention => "attention",
        Component::Residual => "the stream",
    }
}

fn article(component: Component) -> &'static str {
    match component {
        Component::Mlp => "an MLP",
        Component::Attention => "attention",
        Component::Residual => "the stream",
    }
}

fn negated(mean: Mean) -> Mean {
    let less = |x: f64| 0.0 - x;
    Mean { value: less(mean.value), interval: mean.interval.map(|(low, high)| (less(high), less(low))), ..mean }
}

fn number(mean: Mean, digits: usize) -> String {
    match mean.interval {
        Some((low, high)) => format!("{:.digits$} ({low:.digits$} to {high:.digits$})", mean.value),
        None => format!("{:.digits$}", mean.value),
    }
}

fn observation(model: &ModelKey, metric: &str, mean: Mean) -> Observation {
    mean.observation(model, "causal", metric)
}
