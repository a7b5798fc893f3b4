//! The console's dashboards under a real Prometheus: all panels, by keyboard, with another choice, and on a phone.

use serde_json::json;

use super::browser::Browser;

/// All of them, by what links name them by.
const BOARDS: [&str; 4] = ["spark-applications", "spark-operator", "argo-workflow", "argocd"];
/// The panels that show no values, with what they say instead.
const MUTE: &str = "[...document.querySelectorAll('.panel:not(.upstream)')].filter((panel) => panel.querySelector('.wait, .message-quiet'))
    .map((panel) => panel.innerText)";
/// Every panel shows values.
const ALL_TELL: &str = "document.querySelectorAll('.panel').length > 10
    && !document.querySelector('.panel:not(.upstream) :is(.wait, .message-quiet)')";

/// Opens the dashboards of a console whose cluster has a Prometheus with values for every panel.
pub(crate) fn are_drawn(link: &str) {
    let Some(mut browser) = Browser::start() else { return };
    browser.resize(1440, 1000);
    browser.open(link);
    browser.shows("live");
    let loaded = "performance.getEntriesByType('resource').filter((one) => /dashboards|charts/.test(one.name)).length";
    assert_eq!(browser.value(loaded), 0, "the overview needs nothing of the dashboards");

    by_keyboard(&mut browser);
    for board in BOARDS {
        browser.value(&format!("location.hash = '#/dashboards/{board}'"));
        browser.until(&format!("document.querySelector('[href=\"#/dashboards/{board}\"][aria-current]')"));
        browser.until(&format!("({ALL_TELL}) || {MUTE}.every((text) => text.includes('No data'))"));
        assert_eq!(browser.value(MUTE), json!([]), "{board}");
    }

    // What only upstream's parts tell is said so, and how long comparisons take is a heat map.
    browser.until("document.querySelector('[data-panel=\"2\"]').innerText.includes('Upstream only')");
    browser.until("document.querySelectorAll('.panel.heatmap rect').length > 0");
    // Another choice.
    let count = "document.querySelector('[data-panel=\"4\"] .stat-value b').textContent";
    assert!(browser.value(&format!("Number({count})")).as_u64() > Some(1));
    browser.value(
        "{
            const health = document.querySelector('select[name=var-health_status]');
            health.value = 'Degraded';
            health.dispatchEvent(new Event('change'));
        }",
    );
    browser.until(&format!("{count} === '1'"));

    // On a phone one panel is below the other, and nothing goes beyond the page.
    browser.resize(390, 844);
    for board in BOARDS {
        browser.value(&format!("location.hash = '#/dashboards/{board}'"));
        browser.until(ALL_TELL);
        assert_eq!(browser.value("document.documentElement.scrollWidth"), 390, "{board}");
        let edges =
            "new Set([...document.querySelectorAll('.panel')].map((panel) => panel.getBoundingClientRect().left))";
        assert_eq!(browser.value(&format!("{edges}.size")), 1, "{board}");
    }
    super::assert_calm(&browser);
}

/// From the navigation to a dashboard, to a graph, and through its values.
fn by_keyboard(browser: &mut Browser) {
    browser.tab_to("Dashboards");
    browser.press("Enter");
    browser.shows("the work of Argo CD's parts");
    browser.tab_to("Spark Operator");
    browser.press("Enter");
    browser.until(ALL_TELL);
    for _ in 0..50 {
        browser.press("Tab");
        if browser.value("document.activeElement.matches('.plot')") == true {
            break;
        }
    }
    let told = "document.activeElement.querySelector('.tip:not([hidden])').textContent";
    let last = browser.until(told);
    browser.press("ArrowLeft");
    assert_ne!(browser.until(told), last);
}
