//! The entrypoint against a Java that only tells how it was called, and the archive with the real Spark.

use std::fs;
use std::path::Path;

use super::*;
use crate::image::{Quiet, cache_dir, view};

const TELL: &str = "#!/bin/sh\nfor word in \"$0\" \"$@\"; do echo \"$word\"; done\n";

/// A root view with the entrypoint, where `java` and `spark-submit` tell how they were called.
struct Stage {
    root: Vec<RootEntry>,
    env: Vec<(String, String)>,
}

impl Stage {
    fn new() -> Self {
        let mut image = userland::base(USER);
        image.root.push(RootEntry::file("/java/bin/java", 0o755, TELL));
        image.root.push(RootEntry::file("/opt/spark/bin/spark-submit", 0o755, TELL));
        image.root.push(RootEntry::file("/opt/entrypoint.sh", 0o755, ENTRYPOINT));
        image.root.push(RootEntry::file("/opt/spark-archive.sh", 0o644, ARCHIVE));
        image.set_env("JAVA_HOME", "/java");
        image.set_env("SPARK_HOME", HOME);
        image.set_env("SPARK_DRIVER_BIND_ADDRESS", "10.0.0.1");
        Self { root: image.root, env: image.env }
    }

    fn with_archive(self) -> Self {
        self.file("/opt/spark/archive/classes.jsa", "")
            .file("/opt/spark/archive/class-path", "/opt/spark/jars/a.jar:/opt/spark/jars/b.jar")
            .file("/opt/spark/archive/java-options", "-Dmodule=1\n--add-opens=x\n")
            .file("/opt/spark/archive/resources", "core-default.xml\nplugin.xml\n")
    }

    fn file(mut self, path: &str, content: &str) -> Self {
        self.root.push(RootEntry::file(path, 0o644, content));
        self
    }

    fn set(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The lines that come out of the entrypoint with these arguments.
    fn run(&self, arguments: &[&str]) -> Vec<String> {
        let scratch = tempfile::tempdir().expect("a folder");
        let argv: Vec<String> = ["/opt/entrypoint.sh"].iter().chain(arguments).map(|word| (*word).to_owned()).collect();
        let mut command = view::command(&self.root, &[], &argv, &self.env, "/opt", scratch.path()).expect("made");
        let output = command.output().expect("runs");
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && complaint.is_empty(), "{complaint}");
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
    }
}

const DRIVER: [&str; 6] = ["driver", "--properties-file", "/conf/p", "--class", "C", "local:///x.jar"];
const BOUND: [&str; 6] = [
    "--conf",
    "spark.driver.bindAddress=10.0.0.1",
    "--conf",
    "spark.executorEnv.SPARK_DRIVER_POD_IP=10.0.0.1",
    "--deploy-mode",
    "client",
];

/// With an archive and these lines of properties: whether the driver went through the launcher.
fn launched(properties: &str, arguments: &[&str]) -> bool {
    let stage = Stage::new().with_archive().file("/conf/p", properties);
    let lines = stage.run(arguments);
    match lines[0].as_str() {
        "/opt/spark/bin/spark-submit" => {
            assert_eq!(lines[1..], [&BOUND[..], &arguments[1..]].concat());
            true
        }
        "/java/bin/java" => false,
        other => panic!("{other} was called"),
    }
}

#[test]
fn anything_else_is_run_as_it_is() {
    assert_eq!(Stage::new().run(&["echo", "a b", "c"]), ["a b c"]);
}

#[test]
fn a_driver_without_an_archive_is_submitted() {
    let lines = Stage::new().file("/conf/p", "").run(&DRIVER);
    assert_eq!(lines[0], "/opt/spark/bin/spark-submit");
    assert_eq!(lines[1..], [&BOUND[..], &DRIVER[1..]].concat());
}

#[test]
fn a_driver_with_an_archive_is_started_directly() {
    let properties = "#Java properties\nspark.driver.memory=777m\nspark.driver.extraJavaOptions=-Da\\=b -Dc\\:d\nspark.app.name=x\\ y\n";
    let stage = Stage::new().with_archive().set("SPARK_CONF_DIR", "/conf").set("SPARK_DIST_CLASSPATH", "/jars-extra/*");
    let lines = stage.file("/conf/p", properties).run(&DRIVER);
    let mut wanted = vec!["/java/bin/java", "-XX:SharedArchiveFile=/opt/spark/archive/classes.jsa"];
    wanted.extend(["-Xlog:cds=off", "-Xlog:cds+dynamic=off", "-cp"]);
    wanted.extend(["/opt/spark/jars/a.jar:/opt/spark/jars/b.jar:/conf:/jars-extra/*", "-Xmx777m", "-Da=b", "-Dc:d"]);
    wanted.extend(["-Dmodule=1", "--add-opens=x", "org.apache.spark.deploy.SparkSubmit"]);
    wanted.extend(BOUND);
    wanted.extend(&DRIVER[1..]);
    assert_eq!(lines, wanted);
}

#[test]
fn what_only_the_launcher_knows_goes_through_it() {
    assert!(!launched("spark.x=y\n", &DRIVER));
    assert!(!launched("spark.driver.memory 2g\n! comment \\\n", &DRIVER), "a comment says nothing");
    for properties in [
        "spark.driver.extraClassPath=/x.jar\n",
        "spark.driver.extraJavaOptions=-Da=\"b c\"\n",
        "spark.driver.extraJavaOptions=-Xmx3g\n",
        "spark.driver.memory=${MEMORY}\n",
        "spark.driver.extraLibraryPath=/lib\n",
        "spark.a=b\\\n",
        "spark.remote=sc\\://host",
    ] {
        assert!(launched(properties, &DRIVER), "{properties}");
    }
    for arguments in [
        &["driver", "--class", "C", "x.jar"][..],
        &["driver", "--properties-file", "/missing", "x.jar"],
        &["driver", "--properties-file", "/conf/p", "--driver-memory", "2g", "x.jar"],
        &["driver", "--properties-file", "/conf/p", "--conf", "spark.driver.memory=2g", "x.jar"],
        &["driver", "--properties-file", "/conf/p", "pyspark-shell"],
        &["driver", "--properties-file", "/conf/p"],
    ] {
        assert!(launched("", arguments), "{arguments:?}");
    }
    let stage = Stage::new().with_archive().file("/conf/p", "");
    let with_environment = stage.set("SPARK_SUBMIT_OPTS", "-Dx").run(&DRIVER);
    assert_eq!(with_environment[0], "/opt/spark/bin/spark-submit");
    let stage = Stage::new().with_archive().file("/conf/p", "").file("/opt/spark/conf/spark-env.sh", "");
    assert_eq!(stage.run(&DRIVER)[0], "/opt/spark/bin/spark-submit");
}

#[test]
fn a_configuration_that_a_jar_has_too_comes_first() {
    for clash in ["plugin.xml", "classes/C.class"] {
        let stage = Stage::new().with_archive().file("/conf/p", "").file(&format!("/opt/spark/conf/{clash}"), "");
        assert_eq!(stage.run(&DRIVER)[0], "/opt/spark/bin/spark-submit", "{clash}");
    }
    let stage = Stage::new().with_archive().file("/conf/p", "").file("/opt/spark/conf/core-site.xml", "");
    assert_eq!(stage.run(&DRIVER)[0], "/java/bin/java");
}

fn executor(stage: Stage) -> Vec<String> {
    let settings = [
        ("SPARK_JAVA_OPT_0", "-Dfirst=a b"),
        ("SPARK_JAVA_OPT_1", "-Dsecond"),
        ("SPARK_JAVA_OPT_2", "-Dthird"),
        ("SPARK_EXECUTOR_MEMORY", "500m"),
        ("SPARK_DRIVER_URL", "spark://driver"),
        ("SPARK_EXECUTOR_ID", "1"),
        ("SPARK_EXECUTOR_CORES", "2"),
        ("SPARK_APPLICATION_ID", "app"),
        ("SPARK_EXECUTOR_POD_IP", "10.0.0.2"),
        ("SPARK_RESOURCE_PROFILE_ID", "0"),
        ("SPARK_EXECUTOR_POD_NAME", "pod"),
        ("SPARK_CONF_DIR", "/conf"),
    ];
    settings.iter().fold(stage, |stage, (name, value)| stage.set(name, value)).run(&["executor"])
}

const EXECUTOR: [&str; 15] = [
    "org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend",
    "--driver-url",
    "spark://driver",
    "--executor-id",
    "1",
    "--cores",
    "2",
    "--app-id",
    "app",
    "--hostname",
    "10.0.0.2",
    "--resourceProfileId",
    "0",
    "--podName",
    "pod",
];

#[test]
fn an_executor_takes_its_options_in_order() {
    let lines = executor(Stage::new().set("SPARK_CLASSPATH", "/first.jar").set("SPARK_EXTRA_CLASSPATH", "/last.jar"));
    let wanted = ["/java/bin/java", "-Dfirst=a b", "-Dsecond", "-Dthird", "-Xms500m", "-Xmx500m", "-cp"];
    assert_eq!(lines[..7], wanted);
    assert_eq!(lines[7], "/conf:/first.jar:/opt/spark/jars/*:/last.jar:/opt");
    assert_eq!(lines[8..], EXECUTOR);
}

#[test]
fn an_executor_uses_the_archive_when_nothing_comes_before_it() {
    let lines = executor(Stage::new().with_archive());
    assert_eq!(lines[1], "-XX:SharedArchiveFile=/opt/spark/archive/classes.jsa");
    assert_eq!(lines[10], "/opt/spark/jars/a.jar:/opt/spark/jars/b.jar:/conf:/opt");
    assert_eq!(lines[11..], EXECUTOR);
    let lines = executor(Stage::new().with_archive().set("SPARK_CLASSPATH", "/first.jar"));
    assert_eq!(lines[1], "-Dfirst=a b");
}

/// With a launcher that says `words`, each ended by a zero byte: what spark-class runs.
fn spark_class(stage: Stage, words: &str) -> Vec<String> {
    let launcher = format!(
        "#!/bin/bash\nfor word in \"$@\"; do\n  if [ \"$word\" = org.apache.spark.launcher.Main ]; then\n    printf '{words}'\n    exit\n  fi\n\
         done\nfor word in \"$0\" \"$@\"; do echo \"$word\"; done\n"
    );
    let mut stage = stage.file("/opt/spark/bin/load-spark-env.sh", "");
    for (path, content) in [
        ("/java/bin/java", launcher.as_str()),
        ("/opt/spark/bin/spark-class", SPARK_CLASS),
        ("/opt/spark/bin/spark-class.own", TELL),
    ] {
        stage.root.push(RootEntry::file(path, 0o755, content));
    }
    stage.run(&["/opt/spark/bin/spark-class", "Main", "a b"])
}

#[test]
fn what_the_launcher_says_runs_with_the_archive() {
    let before = "\\0\\n/java/bin/java\\0-Dbefore\\0-cp\\0";
    let after = "\\0-Xmx1g\\0Main\\0a b\\0";
    let standard =
        format!("{before}hive-jackson/*:/opt/spark/conf/:/opt/spark/jars/slf4j.jar:/opt/spark/jars/*:/hadoop{after}");
    let lines = spark_class(Stage::new().with_archive(), &standard);
    let wanted = ["/java/bin/java", "-XX:SharedArchiveFile=/opt/spark/archive/classes.jsa", "-Xlog:cds=off"];
    assert_eq!(lines[..3], wanted);
    let class_path = "/opt/spark/jars/a.jar:/opt/spark/jars/b.jar:/opt/spark/conf:/hadoop";
    assert_eq!(lines[4..], ["-Dbefore", "-cp", class_path, "-Xmx1g", "Main", "a b"]);

    for first in ["/first.jar", "/first/*"] {
        let other = format!("{before}{first}:/opt/spark/conf:/opt/spark/jars/*{after}");
        let stage = Stage::new().with_archive().file("/first/first.jar", "");
        let class_path = format!("{first}:/opt/spark/conf:/opt/spark/jars/*");
        assert_eq!(spark_class(stage, &other)[1..], ["-Dbefore", "-cp", &class_path, "-Xmx1g", "Main", "a b"]);
    }
}

#[test]
fn what_the_launcher_does_not_say_is_left_to_sparks_own() {
    let own = ["/opt/spark/bin/spark-class.own", "Main", "a b"];
    assert_eq!(spark_class(Stage::new(), "never asked"), own);
    for words in ["", "Usage: spark-submit", "\\0\\nenv\\0A=b\\0/java/bin/java\\0-cp\\0x\\0Main\\0"] {
        assert_eq!(spark_class(Stage::new().with_archive(), words), own, "{words}");
    }
    let with_options = Stage::new().with_archive().set("SPARK_LAUNCHER_OPTS", "-Dx");
    assert_eq!(spark_class(with_options, ""), own);
}

/// With the real Spark, which is downloaded unless it is in the cache, and its archive, which is made unless it is there.
#[tokio::test]
async fn a_driver_loads_its_classes_from_the_archive() {
    let tag = Tag::parse("4.0.1").expect("a tag");
    let builder = Builder::new(cache_dir(), Arc::new(Quiet));
    let (image, archive) =
        builder.prepare("apache/spark:4.0.1", &tag).await.map_err(|error| error.message()).expect("built");
    let scratch = tempfile::tempdir().expect("a folder");
    let work = scratch.path().join("work");
    fs::create_dir(&work).expect("made");
    let properties = "spark.master=local[2]\nspark.ui.enabled=false\nspark.driver.host=127.0.0.1\n\
                      spark.driver.extraJavaOptions=-Xlog:class+load:file\\=/work/classes.log\n";
    fs::write(work.join("p"), properties).expect("written");

    let run = move || {
        archive.make(&image).expect("made");
        let mut root = image.root.clone();
        root.push(RootEntry::file("/etc/hosts", 0o644, "127.0.0.1 localhost\n"));
        let mut env = image.env.clone();
        env.extend(
            [("SPARK_DRIVER_BIND_ADDRESS", "127.0.0.1"), ("SPARK_LOCAL_IP", "127.0.0.1")]
                .map(|(n, v)| (n.into(), v.into())),
        );
        env.push(("SPARK_LOCAL_HOSTNAME".to_owned(), "localhost".to_owned()));
        let mut argv = image.entrypoint.clone();
        let pi = "/opt/spark/examples/src/main/python/pi.py";
        argv.extend(["driver", "--properties-file", "/work/p", pi, "2"].map(str::to_owned));
        let shown = [(work.as_path(), Path::new("/work"))];
        let mut command = view::command(&root, &shown, &argv, &env, WORK, &scratch.path().join("view")).expect("made");
        let output = command.output().expect("runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complained = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("Pi is roughly 3."), "{said}\n{complained}");
        fs::read_to_string(work.join("classes.log")).expect("written")
    };
    let log = tokio::task::spawn_blocking(run).await.expect("ran");
    let ours = |line: &&str| line.contains(" org.apache.spark.") && !line.contains("$Lambda");
    let from_archive = log.lines().filter(ours).filter(|line| line.contains("source: shared objects file")).count();
    let from_jars =
        log.lines().filter(ours).filter(|line| line.contains("source: file:") || line.contains("source: jar:")).count();
    assert!(
        from_archive > 1000 && from_archive > 20 * from_jars,
        "{from_archive} from the archive, {from_jars} from jars"
    );
}
