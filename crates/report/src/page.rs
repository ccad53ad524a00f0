//! The page: head, sections in reading order, the data, the scripts.

use crate::figure::Figure;
use crate::findings::Findings;
use crate::html::{Anchors, escape, json_block};
use crate::section;

const STYLE: &str = include_str!("../assets/style.css");
const FIGURES: &str = include_str!("../assets/figures.js");
const BEHAVIOUR: &str = include_str!("../assets/page.js");

/// What the sections write from and into.
pub(crate) struct Page<'a> {
    /// What is told.
    pub(crate) findings: &'a Findings,
    /// Where things stand.
    pub(crate) anchors: Anchors,
    figures: Vec<Figure>,
}

impl Page<'_> {
    /// Takes in a figure and gives the element that it will be drawn in.
    pub(crate) fn figure(&mut self, figure: Figure) -> String {
        let element = frame(&figure);
        self.figures.push(figure);
        element
    }
}

/// The element that a figure will be drawn in.
pub(crate) fn frame(figure: &Figure) -> String {
    let [id, title, caption, alt] = [&figure.id, &figure.title, &figure.caption, &figure.alt].map(|t| escape(t));
    format!(
        "<figure class=\"plot\" id=\"{id}\" data-figure=\"{id}\"><figcaption>{caption}</figcaption>\
         <div class=\"canvas\" tabindex=\"0\" role=\"group\" aria-roledescription=\"interactive figure\" \
         aria-label=\"{title}. {alt}\"><noscript><p>{alt}</p></noscript></div></figure>\n"
    )
}

/// The whole page as HTML. The same findings give the same bytes.
pub fn page(findings: &Findings) -> String {
    let mut page = Page { findings, anchors: Anchors::new(findings), figures: Vec::new() };
    let sections = [
        section::summary::headlines(&page),
        section::verdicts::verdicts(&mut page),
        section::losses::losses(&mut page),
        section::abilities::abilities(&mut page),
        section::metric::artefacts(&mut page),
        section::changes::chain_of_thought(&mut page),
        section::changes::shots(&mut page),
        section::metric::u_shapes(&mut page),
        section::changes::depth(&mut page),
        section::changes::others(&mut page),
        section::training::training(&mut page),
    ];
    let inside = section::inside::sections(&findings.inside, &mut page.figures);
    let provenance = section::provenance::provenance(&page);
    let sections: Vec<_> = sections.into_iter().flatten().chain(inside).chain(provenance).collect();
    let mut main = section::summary::header(findings);
    main.push_str(&write_sections(&sections));
    let data = json_block("figures", &page.figures) + &json_block("findings", findings);
    let script = if findings.inside.is_empty() { "" } else { crate::inside::BROWSER };
    assemble_with(&findings.study, &findings.saltus, (&main, &data), script)
}

/// The list of sections, and the sections.
pub(crate) fn write_sections(sections: &[section::Section]) -> String {
    let mut out = contents(sections);
    for section in sections {
        out.push_str(&format!("<section id=\"{0}\">\n<h2>{1}</h2>\n", section.id, section.title));
        out.push_str(&section.body);
        out.push_str("</section>\n");
    }
    out
}

/// The list of sections at the top.
fn contents(sections: &[section::Section]) -> String {
    let links: String = sections.iter().map(|s| format!("<li><a href=\"#{}\">{}</a></li>", s.id, s.title)).collect();
    format!("<nav aria-label=\"Contents\"><ul>{links}</ul></nav>\n")
}

/// Puts the parts together. The scripts carry a nonce made from the page's own content: nothing that is part of the
/// content can know it, so nothing but our scripts can run, even if an escape were forgotten somewhere.
pub(crate) fn assemble(title: &str, version: &str, main: &str, data: &str) -> String {
    assemble_with(title, version, (main, data), "")
}

/// [`assemble`] with a script more.
pub(crate) fn assemble_with(title: &str, version: &str, (main, data): (&str, &str), script: &str) -> String {
    let mut hash = blake3::Hasher::new();
    for part in [STYLE, FIGURES, BEHAVIOUR, script, main, data] {
        hash.update(part.as_bytes());
    }
    let nonce = &hash.finalize().to_hex()[..32];
    let title = escape(title);
    let script = match script {
        "" => String::new(),
        script => format!("<script nonce=\"{nonce}\">\n{script}</script>\n"),
    };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src 'nonce-{nonce}'; \
         style-src 'nonce-{nonce}'; img-src data: blob:; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"generator\" content=\"Saltus {version}\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<title>{title} · Saltus</title>\n\
         <style nonce=\"{nonce}\">\n{STYLE}</style>\n</head>\n<body data-study=\"{title}\">\n\
         <a class=\"skip\" href=\"#findings-list\">Skip to the findings</a>\n<main>\n{main}</main>\n\
         <div id=\"tip\" hidden></div><div id=\"live\" aria-live=\"polite\"></div>\n{data}\
         <script nonce=\"{nonce}\">\n{FIGURES}</script>\n<script nonce=\"{nonce}\">\n{BEHAVIOUR}</script>\n{script}</body>\n</html>\n",
        version = escape(version),
    )
}
