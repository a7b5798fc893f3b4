//! The class-data archive: the classes of Spark as the JVM keeps them in memory, made once per build of Spark and of Java,
//! which saves drivers and executors a third of their start. Nothing depends on it: it is made in the background, with the time
//! that nobody else wants, and used by the entrypoint when it is there.
//!
//! The JVM takes it only when the class path of a run begins with that of the dump: the same jars at the same paths. So the
//! dump happens in the image's own root view, and the folder also holds that class path, the options that Spark's launcher
//! gives a driver, and the names of the resources that a configuration folder may not have, since it comes after the jars.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, SystemTime};

use rustix::io::Errno;
use rustix::process::Signal;
use sha2::{Digest, Sha256};

use super::{HOME, Java};
use crate::image::{Image, RootEntry, cache, unpack, view};

/// Where the folder stands in a container.
pub(super) const TARGET: &str = "/opt/spark/archive";
/// The archive in it.
const CLASSES: &str = "classes.jsa";

/// After this an archive that nobody has used goes.
const UNUSED: Duration = Duration::from_secs(30 * 24 * 60 * 60);

const TRAIN: &str = include_str!("train.py");
const SUBMIT: &str = "org.apache.spark.deploy.SparkSubmit";

/// One archive: what it is for, and where it is kept.
#[derive(Debug, Clone)]
pub(super) struct Archive {
    cache: PathBuf,
    name: String,
    distribution: PathBuf,
    jars: Vec<String>,
}

impl Archive {
    pub(super) fn new(cache: &Path, version: &str, distribution: &Path, java: &Java) -> Self {
        let mut jars: Vec<String> = fs::read_dir(distribution.join("jars"))
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| name.ends_with(".jar"))
            .collect();
        jars.sort();
        let what = format!("{}\n{}\n{}\n{TRAIN}", java.build, java.target().display(), jars.join("\n"));
        let mut sum = String::new();
        for byte in &Sha256::digest(what.as_bytes())[..6] {
            // Writing to a String does not fail.
            let _ = write!(sum, "{byte:02x}");
        }
        Self {
            cache: cache.to_owned(),
            name: format!("{version}-java{}-{sum}", java.major()),
            distribution: distribution.to_owned(),
            jars,
        }
    }

    /// The folder, which is there from the start and filled in one moment.
    pub(super) fn folder(&self) -> PathBuf {
        self.cache.join("archives").join(&self.name)
    }

    /// Makes sure that the folder is there, and notes that it is in use.
    pub(super) fn keep(&self) -> io::Result<()> {
        fs::create_dir_all(self.folder())?;
        // An archive of another user can be used as well.
        let _ = File::open(self.folder()).and_then(|folder| folder.set_modified(SystemTime::now()));
        Ok(())
    }

    /// Removes archives that nobody has used for long: those of earlier builds of Java, and of earlier versions.
    fn remove_unused(&self) {
        let entries = fs::read_dir(self.cache.join("archives")).into_iter().flatten().flatten();
        for entry in entries {
            let used = entry.metadata().and_then(|found| found.modified()).ok();
            if used.and_then(|used| used.elapsed().ok()).is_some_and(|unused| unused > UNUSED) {
                // It only costs space.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }

    pub(super) fn is_made(&self) -> bool {
        self.folder().join(CLASSES).exists()
    }

    /// Makes it, unless it is there. Takes a minute or more; ends when the calling thread does.
    pub(super) fn make(&self, image: &Image) -> io::Result<()> {
        let _lock = cache::lock_blocking(&self.cache, &format!("archive-{}", self.name))?;
        if self.is_made() {
            return Ok(());
        }
        cache::install::<io::Error>(&self.folder(), |folder| {
            let work = folder.join("work");
            fs::create_dir(&work)?;
            Making { archive: self, image, folder, work: &work }.run()?;
            fs::remove_dir_all(&work)?;
            // Containers read it as other users, whatever the umask is.
            for entry in fs::read_dir(folder)? {
                fs::set_permissions(entry?.path(), fs::Permissions::from_mode(0o644))?;
            }
            Ok(())
        })?;
        self.remove_unused();
        Ok(())
    }
}

/// Lets the calling thread, and what it starts from now on, run only when the machine has nothing else to do.
pub(super) fn step_back() {
    let idle = libc::sched_param { sched_priority: 0 };
    // SAFETY: the parameter lives through the call. A refusal only means that the work competes with other work.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const idle) };
}

struct Making<'a> {
    archive: &'a Archive,
    image: &'a Image,
    folder: &'a Path,
    work: &'a Path,
}

impl Making<'_> {
    fn run(&self) -> io::Result<()> {
        let jars: Vec<String> = self.archive.jars.iter().map(|jar| format!("{HOME}/jars/{jar}")).collect();
        let class_path = jars.join(":");
        fs::write(self.folder.join("class-path"), &class_path)?;
        fs::write(self.folder.join("resources"), self.resources()?)?;
        let options = self.launcher_options()?;
        fs::write(self.folder.join("java-options"), options.join("\n") + "\n")?;
        self.record(&class_path, &options)?;
        self.dump(&class_path, &options)
    }

    /// The names of what stands at the top of the jars.
    fn resources(&self) -> io::Result<String> {
        let mut names = BTreeSet::new();
        for jar in &self.archive.jars {
            names.extend(unpack::top_names(&self.archive.distribution.join("jars").join(jar))?);
        }
        names.retain(|name| !name.ends_with(".class"));
        Ok(names.into_iter().map(|name| name + "\n").collect())
    }

    /// What Spark's launcher gives to the JVM of a driver, besides class path and memory.
    fn launcher_options(&self) -> io::Result<Vec<String>> {
        let launcher = ["-Xmx128m", "-cp", "/opt/spark/jars/*", "org.apache.spark.launcher.Main", SUBMIT, "any.py"];
        let output = self.java(&launcher.map(str::to_owned), &[("SPARK_SCALA_VERSION", "2.13")])?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let words: Vec<&str> = text.split('\0').map(str::trim).collect();
        let start = words.iter().position(|word| *word == "-cp").map(|at| at + 2);
        let end = words.iter().position(|word| *word == SUBMIT);
        match (start, end) {
            (Some(start), Some(end)) if start < end => {
                let options = words[start..end].iter().filter(|word| !word.starts_with("-Xmx"));
                Ok(options.map(|word| (*word).to_owned()).collect())
            }
            _ => Err(io::Error::other(format!("Spark's launcher said {text:?}"))),
        }
    }

    /// Runs a driver and an executor that write down which classes they load.
    fn record(&self, class_path: &str, options: &[String]) -> io::Result<()> {
        fs::write(self.work.join("train.py"), TRAIN)?;
        // Without the second compiler, which would not pay off here.
        let mut arguments = ["-Xmx1g", "-XX:TieredStopAtLevel=1", "-XX:DumpLoadedClassList=/work/driver.classes"]
            .map(str::to_owned)
            .to_vec();
        arguments.extend(options.iter().cloned());
        arguments.extend(["-cp", class_path, SUBMIT, "--master", "local-cluster[1,1,1024]"].map(str::to_owned));
        for setting in [
            "spark.executor.extraJavaOptions=-XX:TieredStopAtLevel=1 -XX:DumpLoadedClassList=/work/executor.classes",
            "spark.driver.host=127.0.0.1",
            "spark.driver.bindAddress=127.0.0.1",
            "spark.sql.warehouse.dir=/tmp/warehouse",
            "spark.ui.port=0",
        ] {
            arguments.extend(["--conf".to_owned(), setting.to_owned()]);
        }
        arguments.push("/work/train.py".to_owned());
        let local = [("SPARK_LOCAL_IP", "127.0.0.1"), ("SPARK_LOCAL_HOSTNAME", "127.0.0.1"), ("PYTHONHASHSEED", "0")];
        self.java(&arguments, &[&local[..], &[("SPARK_SCALA_VERSION", "2.13")]].concat())?;
        let mut seen = BTreeSet::new();
        let mut merged = String::new();
        for role in ["driver", "executor"] {
            let list = fs::read_to_string(self.work.join(format!("{role}.classes")))?;
            for line in list.lines().filter(|line| !line.starts_with('#')) {
                if seen.insert(line.to_owned()) {
                    merged += line;
                    merged.push('\n');
                }
            }
        }
        fs::write(self.work.join("classes"), merged)
    }

    fn dump(&self, class_path: &str, options: &[String]) -> io::Result<()> {
        let mut arguments =
            ["-Xmx1g", "-Xshare:dump", "-XX:SharedClassListFile=/work/classes"].map(str::to_owned).to_vec();
        arguments.push(format!("-XX:SharedArchiveFile=/work/{CLASSES}"));
        arguments.extend(options.iter().cloned());
        arguments.extend(["-cp".to_owned(), class_path.to_owned()]);
        self.java(&arguments, &[])?;
        fs::rename(self.work.join(CLASSES), self.folder.join(CLASSES))
    }

    /// Runs `java` in the image's root view, with the folder `/work`.
    fn java(&self, arguments: &[String], env: &[(&str, &str)]) -> io::Result<Output> {
        let mut variables = self.image.env.clone();
        variables.extend(env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let java_home = variables.iter().find(|(name, _)| name == "JAVA_HOME").map_or("", |(_, home)| home);
        let mut argv = vec![format!("{java_home}/bin/java")];
        argv.extend_from_slice(arguments);
        let mut root = self.image.root.clone();
        root.push(RootEntry::file("/etc/hosts", 0o644, "127.0.0.1 localhost\n"));
        let shown = [(self.work, Path::new("/work"))];
        let mut command = view::command(&root, &shown, &argv, &variables, "/tmp", &self.work.join("view"))?;
        command.stdin(Stdio::null());
        let us = rustix::process::getpid();
        // SAFETY: only system calls between fork and exec.
        unsafe {
            command.pre_exec(move || {
                rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
                // Killed before it asked, we would not be missed.
                if rustix::process::getppid() == Some(us) { Ok(()) } else { Err(Errno::SRCH.into()) }
            });
        }
        let output = command.output()?;
        if output.status.success() {
            return Ok(output);
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        let start = said.char_indices().rev().nth(2000).map_or(0, |(at, _)| at);
        Err(io::Error::other(format!("java ended with {}: {}", output.status, &said[start..])))
    }
}
