//! How places compare, as one HTML page in the style of the report.

use std::fmt::Write as _;

use super::duration;
use super::html::{STYLE, badge, escape};
use crate::parity::{Difference, Parity, Row};
use crate::scenario::Verdict;

/// The comparison as one page.
#[must_use]
pub(super) fn html(parity: &Parity) -> String {
    let faults = parity.faults().count();
    let (class, word) = badge(faults == 0);
    let places: Vec<&str> = parity.places.iter().map(|place| place.as_str()).collect();
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>tinderbox parity: {word}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>Parity of {}</h1>\n\
         <p><span class=\"badge {class}\">{word}</span> {}</p>\n\
         <div class=\"scroll\"><table>\n<tr><th>Scenario</th>{}<th>Differences</th></tr>\n",
        places.join(" and "),
        match faults {
            0 => "every difference has a listed cause".to_owned(),
            1 => "1 difference without a listed cause".to_owned(),
            more => format!("{more} differences without a listed cause"),
        },
        places.iter().map(|place| format!("<th>{place}</th>")).collect::<String>(),
    );
    for row in &parity.scenarios {
        page.push_str(&line(row));
    }
    page.push_str("</table></div>\n");
    for row in parity.scenarios.iter().filter(|row| !row.differences.is_empty()) {
        page.push_str(&section(row));
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn line(row: &Row) -> String {
    let results: String = row
        .results
        .iter()
        .map(|result| match result {
            Some((Verdict::Passed, ms)) => format!("<td class=\"yes\">passed, {}</td>", duration(*ms)),
            Some((Verdict::Failed, ms)) => format!("<td class=\"no\">FAILED, {}</td>", duration(*ms)),
            None => "<td class=\"soft\">did not run</td>".to_owned(),
        })
        .collect();
    let unknown = row.differences.iter().filter(|difference| difference.because.is_none()).count();
    let differences = match (row.differences.len(), unknown) {
        (0, _) => "none".to_owned(),
        (all, 0) => format!("{all}, all with a listed cause"),
        (all, unknown) => format!("{all}, of which <span class=\"no\">{unknown} without a listed cause</span>"),
    };
    format!("<tr><td><code>{}</code></td>{results}<td>{differences}</td></tr>\n", escape(&row.scenario))
}

// Writing to a string cannot fail: the results are let go.
fn section(row: &Row) -> String {
    let mut out = format!(
        "<section><h2>{}</h2>\n<div class=\"scroll\"><table>\n\
         <tr><th></th><th>Object</th><th>What</th><th>Seen</th><th>Only in</th><th>Cause</th></tr>\n",
        escape(&row.scenario)
    );
    for Difference { object, aspect, value, only_in, because } in &row.differences {
        let (class, mark) = if because.is_some() { ("yes", "✓") } else { ("no", "✗") };
        let _ = writeln!(
            out,
            "<tr><td class=\"mark {class}\">{mark}</td><td><code>{}</code></td><td>{aspect}</td><td><code>{}</code></td><td>{only_in}</td><td>{}</td></tr>",
            escape(object),
            escape(value),
            because.as_deref().map_or_else(|| "none is listed".to_owned(), escape),
        );
    }
    out.push_str("</table></div></section>\n");
    out
}
