//! Which of a package's files fits: source archives by name, wheels by their tags.

use super::index::{Listed, normalized};

/// Whether a file is the source archive of a version.
pub(super) fn is_sdist(filename: &str, name: &str, version: &str) -> bool {
    let stem = filename.strip_suffix(".tar.gz");
    let parts = stem.and_then(|stem| stem.rsplit_once('-'));
    parts.is_some_and(|(found, of)| of == version && normalized(found) == normalized(name))
}

/// The file to take for Python 3.`minor` on this machine: a wheel made for it before one for all, and those before source.
pub(super) fn best(files: &[Listed], name: &str, version: &str, minor: u32) -> Option<Listed> {
    let wheels = files.iter().filter_map(|file| {
        let rank = wheel_rank(&file.filename, name, version, minor)?;
        Some((rank, file))
    });
    let wheel = wheels.max_by_key(|(rank, _)| *rank).map(|(_, file)| file);
    wheel.or_else(|| files.iter().find(|file| is_sdist(&file.filename, name, version))).cloned()
}

/// How well a wheel fits; `None` when it does not.
fn wheel_rank(filename: &str, name: &str, version: &str, minor: u32) -> Option<u32> {
    let parts: Vec<&str> = filename.strip_suffix(".whl")?.split('-').collect();
    let (found, of, [pythons, abis, platforms]) = match parts[..] {
        [found, of, python, abi, platform] | [found, of, _, python, abi, platform] => {
            (found, of, [python, abi, platform])
        }
        _ => return None,
    };
    if normalized(found) != normalized(name) || of != version {
        return None;
    }
    let cpython = format!("cp3{minor}");
    let python = pythons.split('.').filter_map(|tag| python_rank(tag, &cpython, minor, abis)).max()?;
    let abi = abis.split('.').any(|tag| tag == "none" || tag == "abi3" || tag == cpython);
    let platform = platforms.split('.').filter_map(platform_rank).max()?;
    abi.then_some(python + platform)
}

fn python_rank(tag: &str, cpython: &str, minor: u32, abis: &str) -> Option<u32> {
    let at_most = |tag: &str| tag.parse::<u32>().is_ok_and(|found| found <= minor);
    match tag {
        tag if tag == cpython => Some(30),
        "py3" => Some(10),
        tag if tag.strip_prefix("py3").is_some_and(at_most) => Some(10),
        // The stable interface serves later versions too.
        tag if abis.split('.').any(|abi| abi == "abi3") && tag.strip_prefix("cp3").is_some_and(at_most) => Some(20),
        _ => None,
    }
}

fn platform_rank(tag: &str) -> Option<u32> {
    if tag == "any" {
        return Some(0);
    }
    let rest = tag.strip_suffix(std::env::consts::ARCH)?.strip_suffix('_')?;
    let libc = match rest {
        "linux" => return Some(1),
        "manylinux1" => (2, 5),
        "manylinux2010" => (2, 12),
        "manylinux2014" => (2, 17),
        rest => {
            let (major, minor) = rest.strip_prefix("manylinux_")?.split_once('_')?;
            (major.parse().ok()?, minor.parse().ok()?)
        }
    };
    (libc <= libc_version()?).then_some(2)
}

/// The version of the machine's C library, where it is GNU's.
#[cfg(target_env = "gnu")]
fn libc_version() -> Option<(u32, u32)> {
    // SAFETY: returns a pointer to a constant string that ends with a zero byte.
    let text = unsafe { std::ffi::CStr::from_ptr(libc::gnu_get_libc_version()) };
    let (major, minor) = text.to_str().ok()?.split_once('.')?;
    Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
}

#[cfg(not(target_env = "gnu"))]
fn libc_version() -> Option<(u32, u32)> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(names: &[&str]) -> Vec<Listed> {
        let url = reqwest::Url::parse("https://index.test/x").expect("an address");
        let listed =
            |name: &&str| Listed { filename: (*name).to_owned(), url: url.clone(), sha256: String::new(), size: None };
        names.iter().map(listed).collect()
    }

    fn choose(names: &[&str], name: &str) -> Option<String> {
        best(&listed(names), name, "1.0", 11).map(|file| file.filename)
    }

    #[test]
    #[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
    fn the_best_wheel_wins() {
        let native = "num_py-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl";
        let stable = "num_py-1.0-cp38-abi3-manylinux2014_x86_64.whl";
        let others = [
            "num_py-1.0-cp312-cp312-manylinux_2_17_x86_64.whl",
            "num_py-1.0-cp311-cp311-musllinux_1_1_x86_64.whl",
            "num_py-1.0-cp311-cp311-manylinux_2_17_aarch64.whl",
            "num_py-1.0-cp311-cp311-manylinux_2_999_x86_64.whl",
            "num_py-1.0-cp311-cp311-win_amd64.whl",
            "num_py-1.0-cp313-abi3-manylinux2014_x86_64.whl",
            "num_py-1.1-py3-none-any.whl",
            "num-1.0-py3-none-any.whl",
        ];
        assert_eq!(choose(&others, "num-py"), None);
        assert_eq!(
            choose(&[&others[..], &[stable, native, "num_py-1.0.tar.gz"]].concat(), "Num.Py").as_deref(),
            Some(native)
        );
        assert_eq!(choose(&["num_py-1.0-py3-none-any.whl", stable], "num-py").as_deref(), Some(stable));
    }

    #[test]
    fn source_is_the_last_resort() {
        assert_eq!(
            choose(&["a-1.0.tar.gz", "a-1.0-py2.py3-none-any.whl"], "a").as_deref(),
            Some("a-1.0-py2.py3-none-any.whl")
        );
        assert_eq!(choose(&["a-1.0.tar.gz", "a-1.0-py2-none-any.whl"], "a").as_deref(), Some("a-1.0.tar.gz"));
        assert_eq!(choose(&["a-1.0.1.tar.gz", "a-b-1.0.tar.gz"], "a"), None);
    }
}
