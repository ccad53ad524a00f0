//! The generated families, checked by reading what they write and solving it again.
#![allow(clippy::unwrap_used)]

use saltus_random::{ChaCha8Rng, Key};
use saltus_task::{Family, Generator, Question, QuestionSet, Segment, Style};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

fn family(json: &str) -> Family {
    serde_json::from_str(json).unwrap()
}

fn generator(json: &str) -> Generator {
    family(json).generator(Key::new(7)).unwrap()
}

fn rng(seed: u64) -> ChaCha8Rng {
    Key::new(seed).child("test").rng()
}

fn draw(generator: &Generator, n: usize) -> Vec<Segment> {
    let mut rng = rng(1);
    (0..n).map(|_| generator.segment(&mut rng)).collect()
}

fn questions(generator: &Generator, items: usize) -> Vec<QuestionSet> {
    generator.questions(items, Key::new(7).child("questions"))
}

/// The right answer; there is one.
fn gold(question: &Question) -> &str {
    let mut right = question.candidates.iter().filter(|c| c.score == 1.0);
    let gold = right.next().unwrap();
    assert!(right.next().is_none() && question.candidates.iter().all(|c| c.score == 0.0 || c.score == 1.0));
    &gold.text
}

fn whole(question: &Question) -> String {
    question.prompt.to_string() + gold(question)
}

/// Everything trained on and asked, as whole texts without the end mark, after checks that hold for every family.
fn texts(generator: &Generator, n: usize, items: usize) -> (Vec<String>, Vec<(QuestionSet, Vec<String>)>) {
    let trained = draw(generator, n).into_iter().map(|segment| {
        assert!(segment.text.len() <= generator.longest(), "{}", segment.text);
        assert!(segment.scored.windows(2).all(|r| r[0].end <= r[1].start), "{segment:?}");
        let end = segment.text.len() - usize::from(!segment.text.starts_with('T'));
        assert_eq!(segment.scored.last().unwrap().end, end);
        segment.text.strip_suffix(';').unwrap().to_owned()
    });
    let asked = questions(generator, items).into_iter().map(|set| {
        assert!(set.questions.len() <= items && !set.questions.is_empty(), "{}", set.task);
        assert!((0.0..1.0).contains(&set.chance));
        for question in &set.questions {
            let Some(generate) = &question.generate else { continue };
            assert!(gold(question).len() == generate.max_tokens && generate.stop == [";"]);
        }
        let texts = set.questions.iter().map(whole).collect();
        (set, texts)
    });
    (trained.collect(), asked.collect())
}

/// What is asked has not been trained on, and no item is asked twice.
fn assert_held_out(trained: &[String], asked: &[String]) {
    let trained: HashSet<&String> = trained.iter().collect();
    assert!(asked.iter().all(|text| !trained.contains(text)));
    assert_eq!(asked.iter().collect::<HashSet<_>>().len(), asked.len());
}

fn number(digits: &str, reversed: bool) -> u64 {
    if reversed { digits.chars().rev().collect::<String>() } else { digits.to_owned() }.parse().unwrap()
}

#[test]
fn addition_adds_and_holds_out() {
    for order in ["plain", "reversed"] {
        let reversed = order == "reversed";
        let spec = format!(r#"{{"family": "addition", "digits": 2, "order": "{order}", "held_out": 0.125}}"#);
        let (trained, asked) = texts(&generator(&spec), 200_000, 100_000);
        let (set, held_out) = &asked[0];
        assert_eq!((set.task.as_str(), asked.len()), (format!("2-digit {order}").as_str(), 1));
        assert_eq!(set.chance, 0.1f64.powi(3));
        for text in trained.iter().chain(held_out) {
            let (sum, result) = text[1..].split_once('=').unwrap();
            let (a, b) = sum.split_once('+').unwrap();
            assert_eq!((a.len(), b.len(), result.len()), (2, 2, 3), "{text}");
            assert_eq!(number(a, reversed) + number(b, reversed), number(result, reversed), "{text}");
            assert!(text.starts_with(if reversed { 'R' } else { 'P' }));
        }
        assert_held_out(&trained, held_out);
        // Together they are all pairs: 200,000 draws miss none of 8,750 (expected 10^-6).
        let trained: BTreeSet<_> = trained.into_iter().collect();
        assert_eq!(trained.len() + held_out.len(), 10_000);
        // An eighth, within four standard deviations of a binomial.
        assert!((held_out.len() as f64 - 1250.0).abs() < 4.0 * (10_000f64 * 0.125 * 0.875).sqrt());
    }
}

#[test]
fn both_orders_of_addition_hold_out_the_same_pairs() {
    let [plain, reversed] = ["plain", "reversed"].map(|order| {
        let spec = format!(r#"{{"family": "addition", "digits": 3, "order": "{order}", "held_out": 0.125}}"#);
        let set = questions(&generator(&spec), 300).remove(0);
        let operands = |q: &Question| {
            let (a, b) = q.prompt[1..q.prompt.len() - 1].split_once('+').unwrap();
            (number(a, order == "reversed"), number(b, order == "reversed"))
        };
        set.questions.iter().map(operands).collect::<Vec<_>>()
    });
    assert_eq!(plain.len(), 300);
    assert_eq!(plain, reversed);
}

#[test]
fn sums_are_sums_and_both_styles_ask_the_same() {
    let both = ["direct", "step-by-step"].map(|style| {
        let span = r#""numbers": {"min": 2, "max": 5}"#;
        let spec = format!(r#"{{"family": "sum", {span}, "style": "{style}", "held_out": 0.125}}"#);
        let (trained, asked) = texts(&generator(&spec), 30_000, 200);
        let check = |text: &str| {
            let (digits, answer) = text[1..].split_once('=').unwrap();
            let digits: Vec<u32> = digits.chars().map(|c| c.to_digit(10).unwrap()).collect();
            let running: String =
                (1..=digits.len()).map(|n| (digits[..n].iter().sum::<u32>() % 10).to_string()).collect();
            let expect = if style == "direct" { &running[running.len() - 1..] } else { &running };
            assert_eq!(answer, expect, "{text}");
            digits.len()
        };
        let mut lengths = BTreeMap::new();
        trained.iter().for_each(|text| *lengths.entry(check(text)).or_insert(0) += 1);
        // Uniform over the counts, within four standard deviations.
        let sd = (30_000f64 * 0.25 * 0.75).sqrt();
        assert!(
            lengths.len() == 4 && lengths.values().all(|&n| (f64::from(n) - 7500.0).abs() < 4.0 * sd),
            "{lengths:?}"
        );
        for (n, (set, asked)) in (2..).zip(&asked) {
            assert_eq!(set.task, format!("{n} numbers"));
            assert!(asked.iter().all(|text| check(text) == n));
            // Sums of two are too few to be split.
            if n > 2 {
                assert_held_out(&trained, asked);
            }
            let candidates = if style == "direct" { 10 } else { 1 };
            assert!(set.questions.iter().all(|q| q.candidates.len() == candidates));
            assert_eq!(set.questions.iter().all(|q| q.generate.is_none()), style == "direct");
        }
        asked.into_iter().map(|(set, _)| set).collect::<Vec<_>>()
    });
    let digits = |set: &QuestionSet| set.questions.iter().map(|q| q.prompt[1..].to_owned()).collect::<Vec<_>>();
    for (direct, stepped) in both[0].iter().zip(&both[1]) {
        assert_eq!(digits(direct), digits(stepped));
        assert_eq!((direct.style, stepped.style), (Style::Direct, Style::StepByStep));
    }
    let sizes: Vec<_> = both[0].iter().map(|set| set.questions.len()).collect();
    assert_eq!((sizes[0], sizes[2], sizes[3]), (100, 200, 200));
    // An eighth of 1,000.
    assert!((90..160).contains(&sizes[1]), "{sizes:?}");
}

#[test]
fn copies_are_copies_of_distinct_letters() {
    let (trained, asked) = texts(&generator(r#"{"family": "copy", "letters": {"min": 5, "max": 9}}"#), 20_000, 300);
    let (mut lengths, mut letters) = (BTreeMap::new(), BTreeMap::new());
    for text in trained.iter().chain(&asked[0].1) {
        let (source, copy) = text.strip_prefix('C').unwrap().split_once('|').unwrap();
        assert_eq!(source, copy);
        assert_eq!(source.chars().collect::<HashSet<_>>().len(), source.len());
        *lengths.entry(source.len()).or_insert(0) += 1;
        source.chars().for_each(|c| *letters.entry(c).or_insert(0) += 1);
    }
    assert_eq!(lengths.keys().copied().collect::<Vec<_>>(), [5, 6, 7, 8, 9]);
    assert!(lengths.values().all(|n| (3800..4400).contains(n)), "{lengths:?}");
    // 20,300 items of 7 letters in the mean, over 26 letters: 5,465 each.
    assert!(letters.len() == 26 && letters.values().all(|n| (5150..5800).contains(n)), "{letters:?}");
}

#[test]
fn mappings_follow_one_of_the_permutations() {
    let spec = r#"{"family": "mapping", "symbols": 8, "permutations": 4, "pairs": 6}"#;
    let (trained, asked) = texts(&generator(spec), 20_000, 400);
    let pairs = |text: &str| -> Vec<(char, char)> {
        let all: Vec<char> = text.strip_prefix('F').unwrap().chars().collect();
        all.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
    };
    // Two items that share two pairs of the same permutation merge into one table, until four are complete.
    let mut tables: Vec<HashMap<char, char>> = Vec::new();
    let fits = |table: &HashMap<char, char>, item: &[(char, char)]| item.iter().all(|(x, y)| table.get(x) == Some(y));
    for text in &trained {
        let item = pairs(text);
        assert_eq!(item.len(), 6);
        assert_eq!(item.iter().map(|p| p.0).collect::<HashSet<_>>().len(), 6);
        assert!(item.iter().all(|&(x, y)| ('a'..='h').contains(&x) && ('0'..='7').contains(&y)));
        let known = |table: &HashMap<char, char>| item.iter().filter(|(x, y)| table.get(x) == Some(y)).count();
        match tables.iter_mut().find(|table| known(table) >= 4) {
            Some(table) => table.extend(item),
            None => tables.push(item.into_iter().collect()),
        }
    }
    tables.retain(|table| table.len() == 8);
    let complete: BTreeSet<Vec<_>> =
        tables.iter().map(|t| t.iter().map(|(x, y)| (*x, *y)).collect::<BTreeSet<_>>().into_iter().collect()).collect();
    assert_eq!(complete.len(), 4);
    for table in &complete {
        assert_eq!(table.iter().map(|p| p.1).collect::<HashSet<_>>().len(), 8, "{table:?}");
    }
    let shares = complete.iter().map(|t| {
        let table: HashMap<_, _> = t.iter().copied().collect();
        trained.iter().filter(|text| fits(&table, &pairs(text))).count()
    });
    assert!(shares.into_iter().all(|n| (4700..5300).contains(&n)));
    for (shots, (set, texts)) in asked.iter().enumerate() {
        assert_eq!((set.shots as usize, set.chance), (shots, 0.125));
        for (text, first) in texts.iter().zip(&asked[0].1) {
            let item = pairs(text);
            assert_eq!(item.len(), shots + 1);
            assert!(complete.iter().any(|table| item.iter().all(|pair| table.contains(pair))), "{text}");
            // The asked pair is the same for every number of shots.
            assert_eq!(item[shots], pairs(first)[0]);
        }
        assert!(set.questions.iter().all(|q| q.candidates.len() == 8));
    }
    assert_eq!(asked.len(), 6);
}

#[test]
fn facts_are_drawn_by_zipf_and_asked_alike() {
    let generator = generator(r#"{"family": "facts", "keys": 600, "zipf": 1.0}"#);
    let (trained, asked) = texts(&generator, 200_000, 600);
    let mut counts: HashMap<&str, f64> = HashMap::new();
    trained.iter().for_each(|text| *counts.entry(text).or_insert(0.0) += 1.0);
    // One answer for each key.
    assert_eq!(counts.len(), counts.keys().map(|text| &text[..4]).collect::<HashSet<_>>().len());
    // The most frequent key by Zipf's law (28,700 draws expected), the tenth within a tenth.
    let mut by_rank: Vec<f64> = counts.values().copied().collect();
    by_rank.sort_by(|a, b| b.total_cmp(a));
    let total: f64 = (1..=600).map(|r| 1.0 / f64::from(r)).sum();
    assert_eq!(by_rank.len(), 600);
    assert!((by_rank[0] / 200_000.0 * total - 1.0).abs() < 0.03);
    assert!((by_rank[9] / 200_000.0 * total - 0.1).abs() < 0.1 * 0.1);
    let tasks: Vec<_> = asked.iter().map(|(set, _)| set.task.as_str()).collect();
    assert_eq!(tasks, ["all", "most frequent quarter", "second quarter", "third quarter", "rarest quarter"]);
    assert_eq!(asked.iter().map(|(set, _)| set.questions.len()).collect::<Vec<_>>(), [600, 150, 150, 150, 150]);
    let whole: BTreeSet<_> = asked[0].1.iter().collect();
    assert_eq!(whole, asked[1..].iter().flat_map(|(_, texts)| texts).collect());
    for (q, (set, texts)) in asked[1..].iter().enumerate() {
        let share = texts.iter().map(|text| counts.get(text.as_str()).unwrap_or(&0.0)).sum::<f64>() / 200_000.0;
        let expect = (150 * q + 1..=150 * q + 150).map(|r| 1.0 / r as f64).sum::<f64>() / total;
        let sd = (expect * (1.0 - expect) / 200_000.0).sqrt();
        assert!((share - expect).abs() < 4.0 * sd, "{}: {share} {expect}", set.task);
    }
    // Fewer items: a quarter of them from each quartile.
    let few = questions(&generator, 40);
    assert_eq!(few.iter().map(|set| set.questions.len()).collect::<Vec<_>>(), [40, 10, 10, 10, 10]);
}

/// (asked name, name after it, whether the answer is the next one's digit).
fn exceptional(text: &str) -> (char, char, bool) {
    let (pairs, rest) = text.strip_prefix('Q').unwrap().split_once('?').unwrap();
    let pairs: Vec<char> = pairs.chars().collect();
    let (asked, answer) = (rest.chars().next().unwrap(), rest.chars().nth(1).unwrap());
    let (names, digits): (Vec<_>, Vec<_>) = pairs.chunks_exact(2).map(|p| (p[0], p[1])).unzip();
    assert!(names.len() == 3 && rest.len() == 2);
    assert!([&names, &digits].iter().all(|v| v.iter().collect::<HashSet<_>>().len() == 3), "{text}");
    let place = names.iter().position(|&n| n == asked).unwrap();
    assert!(answer == digits[place] || answer == digits[place + 1], "{text}");
    (asked, names[place + 1], answer == digits[place + 1])
}

#[test]
fn exceptions_are_rare_in_training_and_depend_on_the_two_names() {
    let spec = r#"{"family": "exception", "names": 8, "pairs": 3, "exceptions": 9, "rate": 0.03}"#;
    let (trained, asked) = texts(&generator(spec), 50_000, 500);
    let mut kinds: HashMap<(char, char), bool> = HashMap::new();
    let mut check = |text: &str| {
        let (asked, next, exception) = exceptional(text);
        assert_eq!(*kinds.entry((asked, next)).or_insert(exception), exception, "{text}");
        exception
    };
    let exceptions = trained.iter().filter(|text| check(text)).count() as f64;
    assert!((exceptions - 1500.0).abs() < 4.0 * (50_000f64 * 0.03 * 0.97).sqrt(), "{exceptions}");
    assert_eq!(asked.iter().map(|(set, _)| set.task.as_str()).collect::<Vec<_>>(), ["rule", "exception"]);
    for (set, texts) in &asked {
        assert_eq!(texts.len(), 500);
        assert!(texts.iter().all(|text| check(text) == (set.task == "exception")));
    }
    assert_eq!(kinds.len(), 56);
    assert_eq!(kinds.values().filter(|&&exception| exception).count(), 9);
    // The asked pair stands first as often as second.
    let first = trained.iter().filter(|text| text.as_bytes()[1] == text.as_bytes()[8]).count() as f64;
    assert!((first - 25_000.0).abs() < 4.0 * 12_500f64.sqrt(), "{first}");
}

#[test]
fn arithmetic_is_right_in_every_range() {
    let both = ["direct", "step-by-step"].map(|style| {
        let ranges = r#""ranges": [{"min": 1, "max": 9}, {"min": 10, "max": 99}]"#;
        let spec = format!(r#"{{"family": "arithmetic", {ranges}, "style": "{style}", "held_out": 0.125}}"#);
        let (trained, asked) = texts(&generator(&spec), 50_000, 300);
        let check = |text: &str| {
            let (question, answer) = text[1..].split_once('=').unwrap();
            let (left, right) = question.split_once('+').unwrap();
            let product = |text: &str| {
                let (a, b) = text.split_once('*').unwrap();
                (number(a, false), number(b, false))
            };
            let ((a, b), (c, d)) = (product(left), product(right));
            let result = a * b + c * d;
            let expect = if style == "direct" { result.to_string() } else { format!("{}+{}={result}", a * b, c * d) };
            assert_eq!(answer, expect, "{text}");
            [a, b, c, d]
        };
        trained.iter().for_each(|text| assert!(check(text).iter().all(|n| (1..=99).contains(n))));
        let [(small, texts_small), (large, texts_large)] = &asked[..] else { panic!() };
        assert_eq!((small.task.as_str(), large.task.as_str()), ("numbers 1-9", "numbers 10-99"));
        assert!(texts_small.iter().all(|t| check(t).iter().all(|n| (1..=9).contains(n))));
        assert!(texts_large.iter().all(|t| check(t).iter().all(|n| (10..=99).contains(n))));
        assert_held_out(&trained, texts_small);
        assert_held_out(&trained, texts_large);
        assert_eq!((texts_small.len(), texts_large.len()), (300, 300));
        asked.into_iter().map(|(set, _)| set).collect::<Vec<_>>()
    });
    for (direct, stepped) in both[0].iter().zip(&both[1]) {
        let prompts = |set: &QuestionSet| set.questions.iter().map(|q| q.prompt[1..].to_owned()).collect::<Vec<_>>();
        assert_eq!(prompts(direct), prompts(stepped));
    }
}

#[test]
fn text_has_zipf_words_and_fixed_successors() {
    let spec = r#"{"family": "text", "words": 1000, "letters": {"min": 3, "max": 6}, "zipf": 1.0, "length": 5,
        "follow": 0.7, "successors": [4, 2, 1, 1]}"#;
    let (trained, asked) = texts(&generator(spec), 100_000, 100);
    let (mut first, mut pairs) = (HashMap::new(), HashMap::<&str, HashMap<&str, f64>>::new());
    for text in trained.iter() {
        let words: Vec<&str> = text.strip_prefix('T').unwrap().split(' ').collect();
        assert!(words.len() == 5 && words.iter().all(|w| (3..=6).contains(&w.len())), "{text}");
        *first.entry(words[0]).or_insert(0.0) += 1.0;
        words.windows(2).for_each(|w| *pairs.entry(w[0]).or_default().entry(w[1]).or_insert(0.0) += 1.0);
    }
    let mut ranked: Vec<_> = first.iter().map(|(w, n)| (*n, *w)).collect();
    ranked.sort_by(|a, b| b.partial_cmp(a).unwrap());
    let total: f64 = (1..=1000).map(|r| 1.0 / f64::from(r)).sum();
    for rank in [1, 2, 5, 20] {
        let ratio = ranked[rank - 1].0 / 100_000.0 * total * rank as f64;
        assert!((ratio - 1.0).abs() < 0.1, "rank {rank}: {ratio}");
    }
    // After the most frequent word: four successors with 0.7 * (1/2, 1/4, 1/8, 1/8); a unigram draw (at most 0.3 * 0.134)
    // may be one of them too.
    let after = &pairs[ranked[0].1];
    let (n, mut shares): (f64, Vec<f64>) = (after.values().sum(), after.values().copied().collect());
    shares.sort_by(|a, b| b.total_cmp(a));
    for (share, expect) in shares.iter().zip([0.35, 0.175, 0.0875, 0.0875]) {
        assert!((share / n - expect).abs() < 0.045, "{} {expect}", share / n);
    }
    let (set, texts) = &asked[0];
    assert!(set.questions.iter().all(|q| &*q.prompt == "T" && q.candidates[0].text.ends_with(';')));
    let lexicon: HashSet<_> = first.keys().chain(pairs.keys()).collect();
    assert!(texts.iter().flat_map(|t| t[1..t.len() - 1].split(' ')).all(|word| lexicon.contains(&word)));
}

#[test]
fn everything_depends_on_the_keys_alone() {
    let specs = [
        r#"{"family": "copy", "letters": {"min": 5, "max": 9}}"#,
        r#"{"family": "facts", "keys": 600, "zipf": 1.0}"#,
        r#"{"family": "mapping", "symbols": 8, "permutations": 4, "pairs": 6}"#,
        r#"{"family": "exception", "names": 8, "pairs": 3, "exceptions": 9, "rate": 0.03}"#,
    ];
    for spec in specs {
        let (a, b) = (generator(spec), generator(spec));
        assert_eq!(draw(&a, 50), draw(&b, 50));
        assert_eq!(questions(&a, 50), questions(&b, 50));
        assert_ne!(questions(&a, 50), a.questions(50, Key::new(8)));
        let elsewhere = family(spec).generator(Key::new(8)).unwrap();
        if !spec.contains("copy") {
            assert_ne!(questions(&a, 50), questions(&elsewhere, 50), "{spec}");
        }
    }
}

#[test]
fn wrong_parameters_are_refused_by_name() {
    let specs = [
        r#"{"family": "addition", "digits": 0, "order": "plain", "held_out": 0.125}"#,
        r#"{"family": "addition", "digits": 3, "order": "plain", "held_out": 1.0}"#,
        r#"{"family": "sum", "numbers": {"min": 5, "max": 2}, "style": "direct", "held_out": 0.1}"#,
        r#"{"family": "copy", "letters": {"min": 5, "max": 27}}"#,
        r#"{"family": "mapping", "symbols": 8, "permutations": 4, "pairs": 9}"#,
        r#"{"family": "facts", "keys": 700, "zipf": 1.0}"#,
        r#"{"family": "facts", "keys": 600, "zipf": -1.0}"#,
        r#"{"family": "exception", "names": 3, "pairs": 3, "exceptions": 9, "rate": 0.03}"#,
        r#"{"family": "arithmetic", "ranges": [], "style": "direct", "held_out": 0.125}"#,
        r#"{"family": "text", "words": 1000, "letters": {"min": 1, "max": 1}, "zipf": 1, "length": 5, "follow": 0.7,
            "successors": [1]}"#,
        r#"{"family": "text", "words": 100, "letters": {"min": 2, "max": 4}, "zipf": 1, "length": 5, "follow": 0.7,
            "successors": [0, 0]}"#,
    ];
    let messages = specs.map(|spec| family(spec).generator(Key::new(1)).unwrap_err().to_string()).join("\n");
    insta::assert_snapshot!(messages, @r#"
    family `addition`: `digits` is 0: write a number from 1 to 9
    family `addition`: `held_out` is 1.0: write a share from 0 to 0.5, such as 0.125
    family `sum`: `numbers` is { min = 5, max = 2 }: write { min = A, max = B } with 2 <= A <= B <= 15
    family `copy`: `letters` is { min = 5, max = 27 }: write { min = A, max = B } with 1 <= A <= B <= 26
    family `mapping`: `pairs` is 9: write a number from 1 to that of `symbols`
    family `facts`: `keys` is 700: write a number from 4 to 676
    family `facts`: `zipf` is -1.0: write an exponent from 0 to 4, such as 1
    family `exception`: `exceptions` is 9: write a number from 1 to 3 (half of the 6 ordered pairs)
    family `arithmetic`: `ranges` is []: write one or more { min = A, max = B } with A <= B <= 9999
    family `text`: `words` is 1000: write fewer words, or longer `letters`
    family `text`: `successors` is [0.0, 0.0] (Not enough weights > zero): give weights that are finite, not negative and not all zero
    "#);
    let unread = [
        r#"{"family": "additoin", "digits": 3}"#,
        r#"{"family": "addition", "digit": 3, "order": "plain", "held_out": 0.125}"#,
        r#"{"family": "addition", "digits": 3, "order": "plain"}"#,
        r#"{"digits": 3}"#,
    ];
    let messages = unread.map(|spec| serde_json::from_str::<Family>(spec).unwrap_err().to_string()).join("\n");
    insta::assert_snapshot!(messages, @r#"
    unknown variant `additoin`, expected one of `text`, `addition`, `sum`, `copy`, `mapping`, `facts`, `exception`, `arithmetic` at line 1 column 21
    unknown field `digit`, expected one of `digits`, `order`, `held_out`
    missing field `held_out`
    missing field `family` at line 1 column 13
    "#);
}
