//! Charts, rendered by the installed `helm`. It sees a copy of the chart and of the files that are named, and nothing else of this
//! machine: no settings, plugins, repositories or clusters.
//! Upstream rule: `helmTemplate` in `reposerver/repository/repository.go`, and `util/helm/cmd.go` of argoproj/argo-cd.

mod output;
mod schema;
mod stage;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;
use tinderbox_api::gitops::HelmSource;

use super::Request;
use crate::error::{Error, Result};
use crate::glob;
use crate::manifest::Object;
use crate::tree::{self, Tree};
use stage::Chart;

/// The version of Kubernetes that charts are told where nothing else is said: the one that is served here.
const KUBERNETES: &str = "v1.34.2";
/// What to do where there is no `helm`.
const ADVICE: &str = "install helm 3 or newer (https://helm.sh/docs/intro/install, or `go install \
                      helm.sh/helm/v3/cmd/helm@v3.19.5`), so that it is on the PATH of the process that renders";

/// The command that renders charts.
#[derive(Debug, Clone)]
pub struct Helm {
    program: PathBuf,
}

impl Default for Helm {
    fn default() -> Self {
        Self::at("helm")
    }
}

impl Helm {
    /// The command by its path, or by a name that is looked up on `PATH`.
    #[must_use]
    pub fn at(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into() }
    }

    /// What helm prints.
    ///
    /// # Errors
    /// When there is no such command; with its own words, when it refuses.
    fn run(&self, stage: &Stage, chart: &Path, arguments: &[String]) -> Result<String> {
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(stage.root()).stdin(Stdio::null()).env_clear();
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        let home = stage.dir.path().join("home");
        for variable in ["HOME", "TMPDIR", "HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(variable, &home);
        }
        command.env("KUBECONFIG", "/dev/null");
        let output = command.output().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                Error::at(chart.display(), format!("there is no command `helm` to render this chart: {ADVICE}"))
            }
            _ => Error::file("run", &self.program)(error),
        })?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let root = format!("{}/", stage.root().display());
        let said = String::from_utf8_lossy(&output.stderr).replace(&root, "");
        let lines = said
            .lines()
            .filter(|line| !line.starts_with("WARNING:") && !line.is_empty() && !line.starts_with("Use --debug"));
        let said: Vec<&str> = lines.map(|line| line.strip_prefix("Error: ").unwrap_or(line)).collect();
        Err(Error::at(chart.display(), format!("helm {}: {}", arguments[0], said.join("; "))))
    }
}

/// Files for helm, below a root of their own and by their paths in the repository.
struct Stage {
    dir: TempDir,
}

impl Stage {
    fn new() -> Result<Self> {
        let failed = Error::file("make a folder in", std::env::temp_dir());
        let stage = Self { dir: tempfile::Builder::new().prefix("tinderbox-helm-").tempdir().map_err(failed)? };
        for below in ["repository", "home"] {
            let path = stage.dir.path().join(below);
            std::fs::create_dir(&path).map_err(Error::file("make", path))?;
        }
        Ok(stage)
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("repository")
    }

    fn put(&self, path: &Path, content: &[u8]) -> Result<()> {
        let to = self.root().join(path);
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent).map_err(Error::file("make", parent))?;
        }
        std::fs::write(&to, content).map_err(Error::file("write", to))
    }
}

/// The objects of the chart in a folder.
pub(super) fn render(tree: &dyn Tree, dir: &Path, request: &Request, helm: &Helm) -> Result<Vec<Object>> {
    let plain = HelmSource::default();
    let options = request.source.helm.as_ref().unwrap_or(&plain);
    let shown = tree.show(dir);
    if !matches!(options.version.as_str(), "" | "v3") {
        let wrong = format!("helm.version {:?} is not known: leave it out, or say v3", options.version);
        return Err(Error::at(shown.display(), wrong));
    }
    let stage = Stage::new()?;
    let validated = !options.skip_schema_validation.unwrap_or_default();
    let chart = Chart::put(tree, dir, &stage, validated)?;
    chart.bring_dependencies(&stage, helm)?;
    let arguments = arguments(tree, dir, request, options, &stage)?;
    let text = helm.run(&stage, &shown, &arguments)?;
    output::objects(&chart, &text)
}

/// The words of `helm template`. What comes later wins: value files in their order, the values, parameters, parameters that are text,
/// and files.
fn arguments(
    tree: &dyn Tree,
    dir: &Path,
    request: &Request,
    options: &HelmSource,
    stage: &Stage,
) -> Result<Vec<String>> {
    let or = |own: &str, other: &str| if own.is_empty() { other.to_owned() } else { own.to_owned() };
    let mut words = vec!["template".to_owned(), or(&dir.to_string_lossy(), ".")];
    let mut say = |flag: &str, value: String| words.extend([flag.to_owned(), value]);
    say("--name-template", or(&options.release_name, &request.app));
    let namespace = or(&options.namespace, &request.namespace);
    if !namespace.is_empty() {
        say("--namespace", namespace);
    }
    say("--kube-version", or(&options.kube_version, KUBERNETES));
    for (flag, name, value) in parameters(request, options) {
        say(flag, format!("{name}={}", escaped(&value)));
    }
    let paths: BTreeMap<&str, &str> =
        options.file_parameters.iter().map(|one| (one.name.as_str(), one.path.as_str())).collect();
    for (name, path) in paths {
        let path = within(tree, dir, request, path)?;
        stage.put(&path, tree::text(tree, &path)?.as_bytes())?;
        say("--set-file", format!("{name}={}", escaped(&path.to_string_lossy())));
    }
    for path in value_files(tree, dir, request, options)? {
        stage.put(&path, tree::text(tree, &path)?.as_bytes())?;
        say("--values", path.to_string_lossy().into_owned());
    }
    // Objects win over text, as upstream.
    let values = options.values_object.as_ref().map_or_else(|| options.values.clone(), ToString::to_string);
    if !values.is_empty() {
        let path = stage.dir.path().join("values.yaml");
        std::fs::write(&path, values).map_err(Error::file("write", &path))?;
        say("--values", path.to_string_lossy().into_owned());
    }
    options.api_versions.iter().for_each(|version| say("--api-versions", version.clone()));
    for (is, flag) in [
        (!options.skip_crds.unwrap_or_default(), "--include-crds"),
        (options.skip_schema_validation.unwrap_or_default(), "--skip-schema-validation"),
        (options.skip_tests.unwrap_or_default(), "--skip-tests"),
    ] {
        words.extend(is.then(|| flag.to_owned()));
    }
    Ok(words)
}

/// Flag, name and value of each parameter; of those of a name and flag the last counts.
fn parameters(request: &Request, options: &HelmSource) -> Vec<(&'static str, String, String)> {
    let mut all = BTreeMap::new();
    for one in &options.parameters {
        let flag = if one.force_string.unwrap_or_default() { "--set-string" } else { "--set" };
        all.insert((flag, one.name.clone()), request.substitute(&one.value));
    }
    all.into_iter().map(|((flag, name), value)| (flag, name, value)).collect()
}

/// The files with values in their order; those that a pattern finds stand where it does, unless they are named themselves.
fn value_files(tree: &dyn Tree, dir: &Path, request: &Request, options: &HelmSource) -> Result<Vec<PathBuf>> {
    let ignores_missing = options.ignore_missing_value_files.unwrap_or_default();
    let named = options.value_files.iter().map(|path| within(tree, dir, request, path));
    let named = named.collect::<Result<Vec<PathBuf>>>()?;
    let mut files: Vec<PathBuf> = Vec::new();
    for path in &named {
        let text = path.to_string_lossy();
        let found = if glob::is_pattern(&text) {
            let pattern = glob::pattern(&text)?;
            let all = tree.files(Path::new(""), true)?.into_iter();
            all.filter(|file| pattern.is_match(&file.to_string_lossy()) && !named.contains(file)).collect()
        } else if tree.read(path)?.is_some() {
            vec![path.clone()]
        } else {
            Vec::new()
        };
        if found.is_empty() && !ignores_missing {
            let wrong = "there is no such file of values: mend helm.valueFiles, or set helm.ignoreMissingValueFiles";
            return Err(Error::at(tree.show(path).display(), wrong));
        }
        for file in found {
            if !files.contains(&file) {
                files.push(file);
            }
        }
    }
    Ok(files)
}

/// A path that a source names, in the repository: from its chart, or from the root when it begins with `/`.
fn within(tree: &dyn Tree, dir: &Path, request: &Request, named: &str) -> Result<PathBuf> {
    let is_variable = named.trim_start_matches(['$', '{']).starts_with("ARGOCD_");
    if named.starts_with('$') && !is_variable || named.contains("://") {
        let wrong = "files with values are read from the repository of the chart alone: no other source and no URL";
        return Err(Error::at(named, wrong));
    }
    let path = request.substitute(named);
    let (from, below) = path.strip_prefix('/').map_or((dir, path.as_str()), |below| (Path::new(""), below));
    tree::join(from, Path::new(below))
        .ok_or_else(|| Error::at(named, format!("it leads out of {}", tree.show(Path::new("")).display())))
}

/// A value in helm's own notation: a comma would begin the next one, but for those of lists in braces.
fn escaped(value: &str) -> String {
    if value.starts_with('{') && value.ends_with('}') {
        return value.to_owned();
    }
    let mut text = String::with_capacity(value.len());
    for character in value.chars() {
        if character == ',' && !text.ends_with('\\') {
            text.push('\\');
        }
        text.push(character);
    }
    text
}

#[cfg(test)]
mod tests;
