//! Schedules can be read, and are due some day. Pure.

use tinderbox_api::cron::{Schedule, zone};

use super::{Fault, Seen};

/// What is wrong with the schedules of an object.
pub(super) fn check(seen: &Seen<'_>) -> Vec<Fault> {
    let spec = &seen.object.value["spec"];
    let zone_field = match seen.kind() {
        "CronJob" | "ScheduledSparkApplication" => "timeZone",
        "CronWorkflow" => "timezone",
        _ => return Vec::new(),
    };
    let mut faults = Vec::new();
    let named = spec[zone_field].as_str().filter(|name| !name.is_empty());
    if let Some(name) = named.filter(|name| zone(name).is_none()) {
        let message = format!("there is no time zone {name:?}");
        faults.push(seen.fault(&format!("spec.{zone_field}"), "scheduled", message));
    }
    let single = spec["schedule"].as_str().map(|text| ("spec.schedule".to_owned(), text));
    let several = spec["schedules"].as_array().into_iter().flatten().enumerate();
    let several = several.filter_map(|(index, text)| Some((format!("spec.schedules[{index}]"), text.as_str()?)));
    for (path, text) in single.into_iter().chain(several) {
        if let Err(wrong) = Schedule::parse(text) {
            faults.push(seen.fault(&path, "scheduled", format!("the schedule {text:?} cannot be read: {wrong}")));
        }
    }
    if seen.kind() == "CronWorkflow"
        && spec["schedule"].is_null()
        && spec["schedules"].as_array().is_none_or(Vec::is_empty)
    {
        faults.push(seen.fault("spec", "scheduled", "it has no schedule".to_owned()));
    }
    faults
}
