//! The metrics by name: what each measures, which way is better, and what kind of number it is.

/// A way to turn the evidence of an item into a number.
///
/// The *right answers* of an item are its candidates with the highest target score, which must be above 0; *the* right
/// answer, where a metric needs one, is the one of them that the model finds most probable (BIG-bench questions may
/// have several). Sharp metrics ([`ExactMatch`](Metric::ExactMatch), [`ChoiceAccuracy`](Metric::ChoiceAccuracy)) have
/// smooth twins, because a sharp metric can make a jump where the model makes none (Schaeffer et al., arXiv
/// 2304.15004).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Metric {
    /// 1 if the generated text equals one of the right answers exactly (BIG-bench `exact_str_match`: untrimmed
    /// membership), 0 if not. Where nothing was generated: 1 if every token of a right answer is the most probable one
    /// given the true tokens before it, which is what greedy generation of as many tokens gives.
    ExactMatch,
    /// 1 if the generated text ends in the final answer of a right answer ([`final_answer`](crate::final_answer)), 0
    /// if not: a wrong step may be forgiven. Only for step-by-step items with a generated text, since given the true
    /// steps the last one is another, easier question.
    FinalAnswer,
    /// Share of the right answer's tokens that are the most probable ones given the true tokens before them
    /// (teacher-forced).
    TokenAccuracy,
    /// p^L: what exact match would be if each of the item's L answer tokens were right independently, with the token
    /// accuracy p of all items together (arXiv 2304.15004). Its records must be those of one model and one
    /// set of questions.
    PPowerL,
    /// Negative log-likelihood of the right answer in nats per token.
    Nll,
    /// Probability of the right answer, exp of its summed log-probability: p^L with this item's own p at each token,
    /// under sampling instead of greedy choice.
    Probability,
    /// 1 - (Levenshtein distance between generated tokens and right answer) / (the longer length of the two); the best
    /// over right answers. After the token edit distance of arXiv 2304.15004.
    EditSimilarity,
    /// Target score of the most probable candidate by summed log-probability, without length normalisation (BIG-bench
    /// `multiple_choice_grade`, which breaks ties by a hash; here tied candidates share equally).
    ChoiceAccuracy,
    /// Expected target score of a candidate drawn with the model's probabilities normalised over the candidates.
    ChoiceProbability,
    /// Brier score over candidates i with target scores t and normalised probabilities p: the mean of
    /// t_i (p_i - 1)^2 + (1 - t_i) p_i^2 (BIG-bench `multiple_choice_grade`; the smooth twin of choice accuracy in
    /// arXiv 2304.15004). BIG-bench pools candidates over items, which is the same where all items have
    /// equally many.
    Brier,
}

/// What kind of number a metric gives for one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// 0 or 1 (rarely between, for ties and soft targets): counts of successes.
    Proportion,
    /// In [0, 1].
    Bounded,
    /// In [0, infinity).
    Unbounded,
}

impl Metric {
    /// All metrics.
    pub const ALL: [Metric; 10] = [
        Metric::ExactMatch,
        Metric::FinalAnswer,
        Metric::TokenAccuracy,
        Metric::PPowerL,
        Metric::Nll,
        Metric::Probability,
        Metric::EditSimilarity,
        Metric::ChoiceAccuracy,
        Metric::ChoiceProbability,
        Metric::Brier,
    ];

    /// The name in study files and findings.
    pub fn name(self) -> &'static str {
        match self {
            Metric::ExactMatch => "exact_match",
            Metric::FinalAnswer => "final_answer",
            Metric::TokenAccuracy => "token_accuracy",
            Metric::PPowerL => "p_power_l",
            Metric::Nll => "nll",
            Metric::Probability => "probability",
            Metric::EditSimilarity => "edit_similarity",
            Metric::ChoiceAccuracy => "choice_accuracy",
            Metric::ChoiceProbability => "choice_probability",
            Metric::Brier => "brier",
        }
    }

    /// The metric called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.name() == name)
    }

    /// Whether a greater value means a better model.
    pub fn higher_is_better(self) -> bool {
        !matches!(self, Metric::Nll | Metric::Brier)
    }

    /// What kind of number it gives.
    pub fn kind(self) -> Kind {
        match self {
            Metric::ExactMatch | Metric::FinalAnswer | Metric::ChoiceAccuracy => Kind::Proportion,
            Metric::Nll => Kind::Unbounded,
            _ => Kind::Bounded,
        }
    }
}
