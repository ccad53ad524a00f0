//! Edit distance between two sequences.

/// The Levenshtein distance: the fewest insertions, deletions and substitutions that make `b` of `a`.
///
/// Takes `a.len() * b.len()` steps and memory for one row of `b.len() + 1` (Wagner and Fischer 1974).
pub fn levenshtein<T: PartialEq>(a: &[T], b: &[T]) -> usize {
    // row[j] is the distance between what was read of `a` and the first j of `b`.
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for x in a {
        let mut diagonal = row[0];
        row[0] += 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_distances() {
        let check = |a: &str, b: &str, expect| assert_eq!(levenshtein(a.as_bytes(), b.as_bytes()), expect, "{a} {b}");
        check("kitten", "sitting", 3);
        check("intention", "execution", 5);
        check("", "abc", 3);
        check("abc", "", 3);
        check("abc", "abc", 0);
        check("ab", "ba", 2);
    }

    proptest! {
        #[test]
        fn it_is_a_metric(a in "[ab]{0,6}", b in "[ab]{0,6}", c in "[ab]{0,6}") {
            let d = |x: &str, y: &str| levenshtein(x.as_bytes(), y.as_bytes());
            prop_assert_eq!(d(&a, &b), d(&b, &a));
            prop_assert_eq!(d(&a, &b) == 0, a == b);
            prop_assert!(d(&a, &c) <= d(&a, &b) + d(&b, &c));
            prop_assert!(d(&a, &b) >= a.len().abs_diff(b.len()) && d(&a, &b) <= a.len().max(b.len()));
        }
    }
}
