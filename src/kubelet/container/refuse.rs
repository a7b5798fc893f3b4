//! What this node cannot give to any pod, in words. Pure.

use k8s_openapi::api::core::v1::Pod;

/// Why a pod is refused before anything of it runs: a reason and a message that names what was asked.
pub(crate) fn refuse(pod: &Pod) -> Option<(&'static str, String)> {
    let spec = pod.spec.as_ref()?;
    let because = "processes of pods have no power over the machine here";
    let unsupported = |what: String| Some(("Unsupported", format!("Pod was rejected: {what}")));
    if spec.host_pid == Some(true) {
        return unsupported(format!("hostPID: true cannot be given: {because}"));
    }
    if spec.host_ipc == Some(true) {
        return unsupported(format!("hostIPC: true cannot be given: {because}"));
    }
    if let Some(class) = &spec.runtime_class_name {
        return Some(("RuntimeClass", format!("Pod was rejected: RuntimeClass \"{class}\" not found")));
    }
    let sysctls = spec.security_context.as_ref().and_then(|c| c.sysctls.as_ref());
    if let Some(sysctl) = sysctls.and_then(|list| list.first()) {
        return Some(("SysctlForbidden", format!("forbidden sysctl: \"{}\" not allowlisted", sysctl.name)));
    }
    for container in spec.init_containers.iter().flatten().chain(&spec.containers) {
        let context = container.security_context.as_ref();
        if context.and_then(|c| c.privileged) == Some(true) {
            return unsupported(format!(
                "container \"{}\" asks for privileged: true, which cannot be given: {because}",
                container.name
            ));
        }
        if container.volume_devices.as_ref().is_some_and(|list| !list.is_empty()) {
            return unsupported(format!(
                "container \"{}\" asks for volumeDevices: block devices are not there for pods",
                container.name
            ));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_what_was_asked() {
        for (spec, word) in [
            (json!({"containers": [], "hostPID": true}), "hostPID"),
            (json!({"containers": [], "hostIPC": true}), "hostIPC"),
            (json!({"containers": [{"name": "c", "securityContext": {"privileged": true}}]}), "privileged"),
        ] {
            let pod: Pod = serde_json::from_value(json!({"spec": spec})).unwrap();
            let (_, message) = refuse(&pod).unwrap();
            assert!(message.contains(word), "{message}");
        }
        let plain: Pod = serde_json::from_value(json!({"spec": {"containers": [{"name": "c"}]}})).unwrap();
        assert_eq!(refuse(&plain), None);
    }
}
