//! Which questions share a passage, so that intervals do not take them for independent evidence.

/// A shared beginning that makes a passage, in bytes, behind what all texts begin with.
const PASSAGE: usize = 100;

/// For each text the place of the first one that it shares a passage with, else its own. Texts share a passage if they
/// begin alike, for at least 100 bytes and half of the shorter one, not counting what all texts begin with (an
/// instruction).
pub(crate) fn passages(texts: &[&str]) -> Vec<u32> {
    let mut order: Vec<usize> = (0..texts.len()).collect();
    order.sort_by(|a, b| texts[*a].cmp(texts[*b]).then(a.cmp(b)));
    let common = |a: usize, b: usize| texts[a].bytes().zip(texts[b].bytes()).take_while(|(a, b)| a == b).count();
    let (Some(first), Some(last)) = (order.first(), order.last()) else { return Vec::new() };
    let all = if texts.len() > 1 { common(*first, *last) } else { 0 };
    let mut clusters: Vec<u32> = (0..texts.len() as u32).collect();
    // Sorted texts that share a beginning stand side by side.
    let mut begin = 0;
    for at in 1..=order.len() {
        let shares = at < order.len() && {
            let (a, b) = (order[at - 1], order[at]);
            let shared = common(a, b) - all.min(common(a, b));
            let shorter = texts[a].len().min(texts[b].len()) - all;
            shared >= PASSAGE && 2 * shared >= shorter
        };
        if !shares {
            let least = order[begin..at].iter().copied().min().unwrap_or_default() as u32;
            order[begin..at].iter().for_each(|place| clusters[*place] = least);
            begin = at;
        }
    }
    clusters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_about_one_passage_are_one_cluster() {
        let instruction = "Read the text and answer the question. ".repeat(9);
        let passage = |name: &str| format!("{name} went to the river. ").repeat(8);
        let text = |name: &str, question: &str| format!("{instruction}{}{question}", passage(name));
        let texts = [text("A", "Who?"), text("B", "Who?"), text("A", "Where?"), text("C", "Who?"), text("B", "Why?")];
        assert_eq!(passages(&texts.each_ref().map(String::as_str)), [0, 1, 0, 3, 1]);
    }

    #[test]
    fn short_questions_and_a_common_instruction_are_no_passage() {
        let texts = ["2+2=", "2+2=", "3+3="].map(|q| format!("{}{q}", "Compute. ".repeat(30)));
        assert_eq!(passages(&texts.each_ref().map(String::as_str)), [0, 1, 2]);
        assert_eq!(passages(&[]), Vec::<u32>::new());
        assert_eq!(passages(&["a"]), [0]);
    }
}
