//! pip's own configuration: variables, then the files of the user and of the machine. The usual index, where none is
//! configured, is asked of pip itself.

use std::collections::HashMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::Url;

use super::FetchError;

/// What is needed to find and get packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    /// Simple indexes, the first one first.
    pub(super) indexes: Vec<Url>,
    /// A bundle of certificates in the place of the machine's.
    pub(super) certificates: Option<PathBuf>,
    /// A proxy in the place of the variables'.
    pub(super) proxy: Option<String>,
}

impl Settings {
    pub(super) fn of_this_user() -> Result<Self, FetchError> {
        let variable = |name: &str| env::var(name).ok();
        let files: Vec<String> = files(&variable).iter().filter_map(|path| fs::read_to_string(path).ok()).collect();
        Self::from(&variable, &files, usual_index)
    }

    fn from(
        variable: &dyn Fn(&str) -> Option<String>,
        files: &[String],
        usual_index: impl FnOnce() -> Option<String>,
    ) -> Result<Self, FetchError> {
        let mut known = HashMap::new();
        for file in files {
            known.extend(read(file));
        }
        let setting = |name: &'static str| {
            let in_environment = format!("PIP_{}", name.to_uppercase().replace('-', "_"));
            variable(&in_environment).or_else(|| known.get(name).cloned()).filter(|value| !value.trim().is_empty())
        };
        let main = setting("index-url").or_else(usual_index).ok_or(FetchError::NoIndex)?;
        let more = setting("extra-index-url").unwrap_or_default();
        let indexes = std::iter::once(("index-url", main.trim()))
            .chain(more.split_whitespace().map(|index| ("extra-index-url", index)))
            .map(|(name, value)| index(name, value))
            .collect::<Result<_, _>>()?;
        let bundle = || ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"].iter().find_map(|name| variable(name));
        let certificates = setting("cert").or_else(bundle).filter(|path| !path.is_empty()).map(PathBuf::from);
        Ok(Self { indexes, certificates, proxy: setting("proxy") })
    }
}

fn index(name: &'static str, value: &str) -> Result<Url, FetchError> {
    let folder = format!("{}/", value.trim_end_matches('/'));
    let wrong = |problem: String| FetchError::Setting { name, value: hide(value), problem };
    let url = Url::parse(&folder).map_err(|error| wrong(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("it is not an http or https address".to_owned()));
    }
    Ok(url)
}

fn hide(value: &str) -> String {
    Url::parse(value).map_or_else(|_| "unreadable".to_owned(), |url| without_credentials(&url))
}

/// An address that may be shown.
pub(super) fn without_credentials(url: &Url) -> String {
    let mut url = url.clone();
    // Both only fail for addresses that cannot hold credentials.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}

/// The files in the order in which later ones win.
fn files(variable: &dyn Fn(&str) -> Option<String>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let chosen = variable("PIP_CONFIG_FILE");
    if chosen.as_deref() == Some("/dev/null") {
        return files;
    }
    let system = variable("XDG_CONFIG_DIRS").filter(|dirs| !dirs.is_empty()).unwrap_or_else(|| "/etc/xdg".to_owned());
    files.extend(env::split_paths(&system).map(|dir| dir.join("pip/pip.conf")));
    files.push("/etc/pip.conf".into());
    if let Some(home) = variable("HOME").map(PathBuf::from) {
        files.push(home.join(".pip/pip.conf"));
        let config = variable("XDG_CONFIG_HOME").map_or_else(|| home.join(".config"), PathBuf::from);
        files.push(config.join("pip/pip.conf"));
    }
    files.extend(variable("VIRTUAL_ENV").map(|dir| Path::new(&dir).join("pip.conf")));
    files.extend(chosen.map(PathBuf::from));
    files
}

/// The settings of `[global]`, and over them those of `[download]`. Further lines of a value are indented.
fn read(text: &str) -> HashMap<String, String> {
    let mut sections: HashMap<String, HashMap<String, String>> = HashMap::new();
    let mut section = String::new();
    let mut last: Option<String> = None;
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        let values = sections.entry(section.clone()).or_default();
        if line.starts_with([' ', '\t']) {
            if let Some(value) = last.as_ref().and_then(|name| values.get_mut(name)) {
                *value = format!("{value} {trimmed}");
            }
        } else if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.trim().to_owned();
            last = None;
        } else if let Some((name, value)) = trimmed.split_once(['=', ':']) {
            let name = name.trim().to_lowercase().replace('_', "-");
            values.insert(name.clone(), value.trim().to_owned());
            last = Some(name);
        }
    }
    let mut known = sections.remove("global").unwrap_or_default();
    known.extend(sections.remove("download").unwrap_or_default());
    known
}

/// Asks pip for its own default: an installed one, or the one that Python would install.
fn usual_index() -> Option<String> {
    const QUESTION: &str = "
import glob, os, sys
try:
    from pip._internal.models.index import PyPI
except ImportError:
    wheels = glob.glob('/usr/share/python-wheels/pip-*.whl')
    try:
        import ensurepip
        wheels += glob.glob(os.path.join(os.path.dirname(ensurepip.__file__), '_bundled', 'pip-*.whl'))
    except ImportError:
        pass
    sys.path[:0] = wheels
    from pip._internal.models.index import PyPI
print(PyPI.simple_url)
";
    let mut programs = vec![PathBuf::from("/usr/bin/python3")];
    programs.extend(which::which_all("python3").into_iter().flatten());
    programs.iter().find_map(|program| {
        let output = Command::new(program).args(["-c", QUESTION]).output().ok()?;
        let answer = String::from_utf8(output.stdout).ok()?.trim().to_owned();
        (output.status.success() && !answer.is_empty()).then_some(answer)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)], files: &[&str]) -> Result<Settings, FetchError> {
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let files: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
        Settings::from(&variable, &files, || Some("https://usual.test/simple".to_owned()))
    }

    fn shown(settings: &Settings) -> Vec<String> {
        settings.indexes.iter().map(Url::to_string).collect()
    }

    #[test]
    fn variables_win_over_files_and_later_files_over_earlier_ones() {
        let machine =
            "[global]\nindex-url = https://machine.test/simple/\ncert = /machine.pem\nproxy: http://proxy:1\n";
        let user = "# mine\n[global]\nindex_url=https://user.test/simple\nextra-index-url =\n  https://a.test/x\n\thttps://b.test/y/\n[list]\ncert = /no\n";
        let found = settings(&[], &[machine, user]).expect("settings");
        assert_eq!(shown(&found), ["https://user.test/simple/", "https://a.test/x/", "https://b.test/y/"]);
        assert_eq!(found.certificates, Some("/machine.pem".into()));
        assert_eq!(found.proxy.as_deref(), Some("http://proxy:1"));
        let variables = [("PIP_INDEX_URL", "http://env.test/i/"), ("PIP_CERT", "/env.pem")];
        let found = settings(&variables, &[machine]).expect("settings");
        assert_eq!(
            (shown(&found), found.certificates),
            (vec!["http://env.test/i/".to_owned()], Some("/env.pem".into()))
        );
    }

    #[test]
    fn without_any_setting_pip_is_asked() {
        let found = settings(&[("REQUESTS_CA_BUNDLE", "/bundle.pem")], &["[install]\nindex-url=https://no.test/\n"]);
        let found = found.expect("settings");
        assert_eq!(shown(&found), ["https://usual.test/simple/"]);
        assert_eq!(found.certificates, Some("/bundle.pem".into()));
        let none = Settings::from(&|_| None, &[], || None);
        assert!(matches!(none, Err(FetchError::NoIndex)));
        assert!(usual_index().is_some_and(|index| index.starts_with("https://")));
    }

    #[test]
    fn a_wrong_index_is_named_without_its_password() {
        let error = settings(&[("PIP_INDEX_URL", "ftp://me:secret@host/x")], &[]).expect_err("wrong");
        let text = error.to_string();
        assert!(text.contains("index-url") && text.contains("ftp://host/x") && !text.contains("secret"), "{text}");
    }

    #[test]
    fn files_are_looked_for_where_pip_does() {
        let variable = |name: &str| match name {
            "HOME" => Some("/h".to_owned()),
            "VIRTUAL_ENV" => Some("/v".to_owned()),
            "PIP_CONFIG_FILE" => Some("/mine.conf".to_owned()),
            _ => None,
        };
        let found: Vec<_> = files(&variable).iter().map(|path| path.display().to_string()).collect();
        let wanted = [
            "/etc/xdg/pip/pip.conf",
            "/etc/pip.conf",
            "/h/.pip/pip.conf",
            "/h/.config/pip/pip.conf",
            "/v/pip.conf",
            "/mine.conf",
        ];
        assert_eq!(found, wanted);
        assert!(files(&|name| (name == "PIP_CONFIG_FILE").then(|| "/dev/null".to_owned())).is_empty());
    }
}
