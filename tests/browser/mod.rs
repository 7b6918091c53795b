//! Pages in a headless Chromium, with a probe beside them that does what a reader would.

use regex::Regex;
use serde_json::Value;
use std::fs;
use std::process::Command;

pub fn data(page: &str) -> Value {
    let (_, rest) = page.split_once("<script type=\"application/json\" id=\"data\">").unwrap();
    serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
}

/// What the probe sees on a page. Panics if anything stands in the console.
pub fn seen(page: &str) -> Value {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fs::write(dir.join("page.html"), page).unwrap();
    let wrapper = format!(
        "<!doctype html>\
         <iframe id=page src=page.html style=\"width: 1300px; height: 2400px\"></iframe>\
         <pre id=seen></pre><script>{}</script>",
        include_str!("probe.js")
    );
    let path = dir.join("wrapper.html");
    fs::write(&path, wrapper).unwrap();
    let chromium = std::env::var("CHROMIUM").unwrap_or_else(|_| "chromium".to_owned());
    let output = Command::new(chromium)
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic"])
        .args(["--no-first-run", "--allow-file-access-from-files"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--enable-logging=stderr", "--v=0"])
        .args(["--window-size=1400,2500", "--virtual-time-budget=5000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", dir.join("profile").display()))
        .arg(format!("file://{}", path.display()))
        .output()
        .expect("chromium is installed, or CHROMIUM names it");
    let log = String::from_utf8_lossy(&output.stderr);
    let console: Vec<&str> = log.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(console.is_empty(), "{console:#?}");
    let dom = String::from_utf8(output.stdout).unwrap();
    let seen = Regex::new("(?s)<pre id=\"seen\">(.*?)</pre>").unwrap();
    let seen = seen.captures(&dom).expect("the probe has run").get(1).unwrap().as_str();
    let seen = seen.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    serde_json::from_str(&seen).unwrap_or_else(|error| panic!("{error}: {seen:?}"))
}
