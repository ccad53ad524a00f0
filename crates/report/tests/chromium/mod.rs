//! Pages in headless Chromium.
#![allow(clippy::unwrap_used)] // a test may fail

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Chromium's path: `$CHROMIUM`, else the usual names. Without it a test says so and passes; with
/// `SALTUS_REQUIRE_BROWSER=1` it then fails.
pub(crate) fn browser() -> Option<PathBuf> {
    let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let usual = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome", "/snap/bin/chromium"];
    let found = named.into_iter().chain(usual.map(PathBuf::from)).find(|p| p.exists());
    if found.is_none() {
        assert!(
            std::env::var_os("SALTUS_REQUIRE_BROWSER").is_none(),
            "no Chromium: apt-get install chromium, or set CHROMIUM to its path"
        );
        println!("skipped: no Chromium on this machine");
    }
    found
}

/// What the probe reports of the page at a width. Chromium's own window is never narrower than 500 px, so the page
/// stands in a frame; the frame is tall, so that every figure comes into sight.
pub(crate) fn probe(browser: &Path, folder: &Path, html: &str, (width, script): (u32, &str)) -> Value {
    let nonce = html.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap();
    let (watch, act) = script.split_once("// ==== after ====").unwrap();
    let probed = html
        .replacen("<style nonce", &format!("<script nonce=\"{nonce}\">{watch}</script><style nonce"), 1)
        .replacen("</body>", &format!("<script nonce=\"{nonce}\">{act}</script></body>"), 1);
    std::fs::write(folder.join("page.html"), probed).unwrap();
    let frame = format!(
        "<!doctype html><pre id=result></pre><iframe src=page.html width={width} height=40000 style=border:0></iframe>\
         <script>addEventListener('message', e => {{ result.textContent = encodeURIComponent(e.data) }})</script>"
    );
    std::fs::write(folder.join("frame.html"), frame).unwrap();
    let url = format!("file://{}", folder.join("frame.html").display());
    let profile = folder.join(format!("profile-{width}"));
    let output = chromium(browser, &profile)
        .args(["--window-size=1400,41000", "--virtual-time-budget=15000", "--dump-dom", &url])
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout);
    let coded = dom.split("<pre id=\"result\">").nth(1).and_then(|t| t.split('<').next()).unwrap_or("");
    let bytes = coded.split('%').enumerate().flat_map(|(i, part)| {
        let (hex, rest) = if i == 0 { (None, part) } else { (u8::from_str_radix(&part[..2], 16).ok(), &part[2..]) };
        hex.into_iter().chain(rest.bytes()).collect::<Vec<u8>>()
    });
    let text = String::from_utf8(bytes.collect()).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|_| {
        panic!("the page did not report at {width} px:\n{}", String::from_utf8_lossy(&output.stderr))
    })
}

fn chromium(browser: &Path, profile: &Path) -> Command {
    let mut command = Command::new(browser);
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--hide-scrollbars",
    ]);
    command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
    command.arg(format!("--user-data-dir={}", profile.display()));
    command
}

/// Pictures of the page on a phone and a desk, light and dark, and printed.
pub(crate) fn keep(browser: &Path, shots: &Path, html: &str) {
    std::fs::create_dir_all(shots).unwrap();
    std::fs::write(shots.join("page.html"), html).unwrap();
    let profile = tempfile::tempdir().unwrap();
    for (name, width, height) in [("phone", 390, 26_000), ("desk", 1280, 16_000)] {
        let frame = format!(
            "<!doctype html><body style=margin:0><iframe src=page.html width={width} height={height} style=border:0></iframe>"
        );
        std::fs::write(shots.join(format!("{name}.html")), frame).unwrap();
        for (look, dark) in [("light", None), ("dark", Some("--force-dark-mode"))] {
            let run = chromium(browser, &profile.path().join(format!("{name}-{look}")))
                .args(dark)
                .arg(format!("--window-size={},{height}", width.max(500)))
                .args(["--virtual-time-budget=8000", "--allow-file-access-from-files"])
                .arg(format!("--screenshot={}", shots.join(format!("{name}-{look}.png")).display()))
                .arg(format!("file://{}", shots.join(format!("{name}.html")).display()))
                .output();
            assert!(run.unwrap().status.success());
        }
    }
    let run = chromium(browser, &profile.path().join("print"))
        .args(["--virtual-time-budget=8000", "--no-pdf-header-footer"])
        .arg(format!("--print-to-pdf={}", shots.join("page.pdf").display()))
        .arg(format!("file://{}", shots.join("page.html").display()))
        .output();
    assert!(run.unwrap().status.success());
}
