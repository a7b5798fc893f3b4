//! Who a container runs as, and with which capabilities. Pure.

use k8s_openapi::api::core::v1::{Container, Pod, PodSecurityContext, SecurityContext};

use super::ConfigError;
use crate::image::Image;
use crate::pods::status::pod_id;

/// What container runtimes give by default.
const DEFAULT_CAPABILITIES: [&str; 14] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// User, groups and rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
    pub(crate) capabilities: Vec<String>,
    pub(crate) read_only_root: bool,
}

/// Works out who `container` runs as.
pub(crate) fn identity(pod: &Pod, container: &Container, image: &Image) -> Result<Identity, ConfigError> {
    let none = PodSecurityContext::default();
    let whole = pod.spec.as_ref().and_then(|s| s.security_context.as_ref()).unwrap_or(&none);
    let empty = SecurityContext::default();
    let own = container.security_context.as_ref().unwrap_or(&empty);
    let set_uid = own.run_as_user.or(whole.run_as_user);
    let set_gid = own.run_as_group.or(whole.run_as_group);
    let asked_uid = id(set_uid, "runAsUser")?;
    let (image_uid, image_gid) = image_user(asked_uid, image)?;
    let uid = asked_uid.unwrap_or(image_uid);
    let gid = id(set_gid, "runAsGroup")?.unwrap_or(image_gid);
    if own.run_as_non_root.or(whole.run_as_non_root) == Some(true)
        && let Some(whose) = breaks_non_root(asked_uid, uid, image)
    {
        return Err(ConfigError(format!("{whose} (pod: \"{}\", container: {})", pod_id(pod), container.name)));
    }
    let mut groups = image.unpacked.as_ref().map(|unpacked| unpacked.accounts.further_groups(uid)).unwrap_or_default();
    for group in whole.supplemental_groups.iter().flatten() {
        groups.extend(id(Some(*group), "supplementalGroups")?);
    }
    groups.extend(id(whole.fs_group, "fsGroup")?);
    let mut seen = std::collections::BTreeSet::new();
    groups.retain(|group| seen.insert(*group));
    Ok(Identity {
        uid,
        gid,
        groups,
        capabilities: capabilities(own),
        read_only_root: own.read_only_root_filesystem == Some(true),
    })
}

/// The user that the image has for the one asked for, and its first group.
fn image_user(asked: Option<u32>, image: &Image) -> Result<(u32, u32), ConfigError> {
    match (&image.unpacked, asked) {
        (Some(unpacked), Some(uid)) => Ok((uid, unpacked.accounts.group_of(uid))),
        (Some(unpacked), None) => {
            let (uid, gid) = unpacked.accounts.resolve(&unpacked.user).map_err(ConfigError)?;
            let narrow = |id: u32, what: &str| self::id(Some(i64::from(id)), what).map(|id| id.unwrap_or(0));
            Ok((narrow(uid, "the image's user")?, narrow(gid, "the image's group")?))
        }
        (None, Some(uid)) if uid != image.user.0 => Ok((uid, 0)),
        (None, _) => Ok(image.user),
    }
}

/// Why a container may not run under `runAsNonRoot`. A name of an image's user proves nothing.
fn breaks_non_root(asked: Option<u32>, uid: u32, image: &Image) -> Option<String> {
    let name = image.unpacked.as_ref().map_or("", |unpacked| unpacked.user.split(':').next().unwrap_or_default());
    match asked {
        Some(0) => Some("container's runAsUser breaks non-root policy".to_owned()),
        Some(_) => None,
        None if !name.is_empty() && name.parse::<u32>().is_err() => Some(format!(
            "container has runAsNonRoot and image has non-numeric user ({name}), cannot verify user is non-root"
        )),
        None if uid == 0 => Some("container has runAsNonRoot and image will run as root".to_owned()),
        None => None,
    }
}

fn id(value: Option<i64>, field: &str) -> Result<Option<u32>, ConfigError> {
    let Some(value) = value else { return Ok(None) };
    match u32::try_from(value) {
        Ok(id) if id < 65_536 => Ok(Some(id)),
        _ => Err(ConfigError(format!("{field} {value} is outside the ids that this node can give (0 to 65535)"))),
    }
}

fn capabilities(context: &SecurityContext) -> Vec<String> {
    let lists = context.capabilities.as_ref();
    let plain = |name: &String| name.trim_start_matches("CAP_").to_uppercase();
    let add: Vec<_> = lists.and_then(|c| c.add.as_ref()).into_iter().flatten().map(plain).collect();
    let drop: Vec<_> = lists.and_then(|c| c.drop.as_ref()).into_iter().flatten().map(plain).collect();
    let all = |list: &[String]| list.iter().any(|name| name == "ALL");
    let mut kept: Vec<String> = if all(&drop) && !all(&add) {
        Vec::new()
    } else {
        let kept = DEFAULT_CAPABILITIES.iter().map(|&name| name.to_owned());
        kept.filter(|name| !drop.contains(name)).collect()
    };
    for name in add {
        if name != "ALL" && !kept.contains(&name) {
            kept.push(name);
        }
    }
    kept.sort();
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn of(pod: Value, own: Value) -> Result<Identity, ConfigError> {
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "n", "uid": "u"},
            "spec": {"securityContext": pod, "containers": [{"name": "c", "securityContext": own}]}}))
        .unwrap();
        let image = Image { user: (185, 185), ..Image::default() };
        identity(&pod, &pod.spec.as_ref().unwrap().containers[0], &image)
    }

    #[test]
    fn users_and_groups() {
        let made = of(json!({}), json!({})).unwrap();
        assert_eq!((made.uid, made.gid, made.groups), (185, 185, vec![]));
        let made = of(json!({"runAsUser": 1, "fsGroup": 7, "supplementalGroups": [5]}), json!({})).unwrap();
        assert_eq!((made.uid, made.gid, made.groups), (1, 0, vec![5, 7]));
        let made = of(json!({"runAsUser": 1}), json!({"runAsUser": 2, "runAsGroup": 3})).unwrap();
        assert_eq!((made.uid, made.gid), (2, 3));
        assert!(of(json!({"runAsUser": 70_000}), json!({})).is_err());
        let error = of(json!({"runAsNonRoot": true, "runAsUser": 0}), json!({})).unwrap_err();
        assert_eq!(error.to_string(), "container's runAsUser breaks non-root policy (pod: \"p_n(u)\", container: c)");
    }

    #[test]
    fn capability_lists() {
        let of = |add: &[&str], drop: &[&str]| {
            of(json!({}), json!({"capabilities": {"add": add, "drop": drop}})).unwrap().capabilities
        };
        assert_eq!(of(&[], &[]).len(), DEFAULT_CAPABILITIES.len());
        assert_eq!(of(&["NET_ADMIN"], &["ALL"]), ["NET_ADMIN"]);
        assert!(!of(&[], &["CHOWN"]).contains(&"CHOWN".to_owned()));
        assert!(of(&["CAP_SYS_PTRACE"], &[]).contains(&"SYS_PTRACE".to_owned()));
    }
}
