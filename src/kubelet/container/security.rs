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
    let uid = id(set_uid, "runAsUser")?.unwrap_or(image.user.0);
    let image_gid = if set_uid.is_none() || uid == image.user.0 { image.user.1 } else { 0 };
    let gid = id(set_gid, "runAsGroup")?.unwrap_or(image_gid);
    if own.run_as_non_root.or(whole.run_as_non_root) == Some(true) && uid == 0 {
        let whose = if set_uid.is_some() {
            "container's runAsUser breaks non-root policy"
        } else {
            "container has runAsNonRoot and image will run as root"
        };
        return Err(ConfigError(format!("{whose} (pod: \"{}\", container: {})", pod_id(pod), container.name)));
    }
    let mut groups = Vec::new();
    for group in whole.supplemental_groups.iter().flatten() {
        groups.extend(id(Some(*group), "supplementalGroups")?);
    }
    groups.extend(id(whole.fs_group, "fsGroup")?);
    groups.dedup();
    Ok(Identity {
        uid,
        gid,
        groups,
        capabilities: capabilities(own),
        read_only_root: own.read_only_root_filesystem == Some(true),
    })
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
