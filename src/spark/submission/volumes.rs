//! Volumes that Spark mounts itself: from the application to configuration keys, and from those to the driver's pod.
//! Upstream rules: `driverVolumeMountsOption` in the operator's `submission.go`; `KubernetesVolumeUtils.scala`,
//! `MountVolumesFeatureStep.scala` and `LocalDirsFeatureStep.scala` in Spark.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Container, EmptyDirVolumeSource, EnvVar, HostPathVolumeSource, NFSVolumeSource, PersistentVolumeClaim,
    PersistentVolumeClaimSpec, PersistentVolumeClaimVolumeSource, PodSpec, Volume, VolumeMount,
    VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::core::ObjectMeta;
use tinderbox_api::spark::{SparkApplicationSpec, labels};

use super::{Conf, Identity, Refusal, refuse};

/// Volumes of this beginning are Spark's scratch space, which Spark has to mount itself.
pub(super) const LOCAL_DIR: &str = "spark-local-dir-";
/// The name of a claim that is to be made.
const ON_DEMAND: &str = "OnDemand";

/// Says the scratch volumes of a role as configuration.
pub(super) fn conf(
    role: &str,
    spec: &SparkApplicationSpec,
    mounts: &[VolumeMount],
    conf: &mut Conf,
) -> Result<(), Refusal> {
    for mount in mounts.iter().filter(|mount| mount.name.starts_with(LOCAL_DIR)) {
        let Some(volume) = spec.volumes.iter().find(|volume| volume.name == mount.name) else {
            return refuse(format!("volume {} not found", mount.name));
        };
        let (kind, options) = options(volume)?;
        let key = format!("spark.kubernetes.{role}.volumes.{kind}.{}", volume.name);
        if !mount.mount_path.is_empty() {
            conf.set(format!("{key}.mount.path"), &mount.mount_path);
        }
        if let Some(path) = mount.sub_path.as_ref().filter(|path| !path.is_empty()) {
            conf.set(format!("{key}.mount.subPath"), path);
        }
        if mount.read_only == Some(true) {
            conf.set(format!("{key}.mount.readOnly"), "true");
        }
        for (option, value) in options {
            conf.set(format!("{key}.options.{option}"), value);
        }
    }
    Ok(())
}

type Options = Vec<(&'static str, String)>;

fn options(volume: &Volume) -> Result<(&'static str, Options), Refusal> {
    let some = |pairs: Vec<(&'static str, Option<String>)>| {
        let pairs = pairs.into_iter().filter_map(|(key, value)| Some((key, value?)));
        pairs.filter(|(_, value)| !value.is_empty()).collect()
    };
    let read_only = |flag: Option<bool>| flag.filter(|flag| *flag).map(|_| "true".to_owned());
    if let Some(source) = &volume.empty_dir {
        let size = source.size_limit.as_ref().map(|size| size.0.clone());
        return Ok(("emptyDir", some(vec![("sizeLimit", size), ("medium", source.medium.clone())])));
    }
    if let Some(source) = &volume.host_path {
        return Ok(("hostPath", some(vec![("path", Some(source.path.clone())), ("type", source.type_.clone())])));
    }
    if let Some(source) = &volume.nfs {
        let (path, server) = (Some(source.path.clone()), Some(source.server.clone()));
        return Ok(("nfs", some(vec![("path", path), ("server", server), ("readOnly", read_only(source.read_only))])));
    }
    if let Some(source) = &volume.persistent_volume_claim {
        let name = Some(source.claim_name.clone());
        return Ok((
            "persistentVolumeClaim",
            some(vec![("claimName", name), ("readOnly", read_only(source.read_only))]),
        ));
    }
    refuse("unsupported volume type")
}

/// One volume, as its keys say.
struct Said<'a> {
    kind: &'a str,
    name: &'a str,
    keys: BTreeMap<&'a str, &'a str>,
}

/// The volumes that configuration keys say, by type and name.
fn said(conf: &Conf) -> Vec<Said<'_>> {
    let mut volumes: BTreeMap<(&str, &str), BTreeMap<&str, &str>> = BTreeMap::new();
    for (key, value) in conf.below("spark.kubernetes.driver.volumes.") {
        let mut parts = key.splitn(3, '.');
        if let (Some(kind), Some(name), Some(rest)) = (parts.next(), parts.next(), parts.next()) {
            volumes.entry((kind, name)).or_default().insert(rest, value);
        }
    }
    volumes.into_iter().map(|((kind, name), keys)| Said { kind, name, keys }).collect()
}

/// Mounts the volumes that configuration keys say; returns the claims to be made.
pub(super) fn mount(
    conf: &Conf,
    identity: &Identity,
    prefix: &str,
    pod: &mut PodSpec,
    container: &mut Container,
) -> Result<Vec<PersistentVolumeClaim>, Refusal> {
    let mut claims = Vec::new();
    for (index, said) in said(conf).into_iter().enumerate() {
        let read_only = said.keys.get("mount.readOnly").is_some_and(|flag| *flag == "true");
        let Some(path) = said.keys.get("mount.path") else {
            let key = format!("spark.kubernetes.driver.volumes.{}.{}.mount.path", said.kind, said.name);
            return refuse(key);
        };
        let text = |key: &str| said.keys.get(key).map(|value| (*value).to_owned());
        container.volume_mounts.get_or_insert_default().push(VolumeMount {
            name: said.name.to_owned(),
            mount_path: (*path).to_owned(),
            read_only: Some(read_only),
            sub_path: Some(text("mount.subPath").unwrap_or_default()),
            sub_path_expr: Some(text("mount.subPathExpr").unwrap_or_default()),
            ..VolumeMount::default()
        });
        let mut volume = Volume { name: said.name.to_owned(), ..Volume::default() };
        let option = |key: &str| text(&format!("options.{key}"));
        let needed = |key: &str| match option(key) {
            Some(value) => Ok(value),
            None => {
                let key = format!("spark.kubernetes.driver.volumes.{}.{}.options.{key}", said.kind, said.name);
                refuse(key)
            }
        };
        match said.kind {
            "hostPath" => {
                volume.host_path = Some(HostPathVolumeSource {
                    path: needed("path")?,
                    type_: Some(option("type").unwrap_or_default()),
                });
            }
            "emptyDir" => {
                volume.empty_dir = Some(EmptyDirVolumeSource {
                    medium: Some(option("medium").unwrap_or_default()),
                    size_limit: option("sizeLimit").map(Quantity),
                });
            }
            "nfs" => {
                volume.nfs =
                    Some(NFSVolumeSource { path: needed("path")?, server: needed("server")?, read_only: None });
            }
            "persistentVolumeClaim" => {
                let name = needed("claimName")?.replace(ON_DEMAND, &format!("{prefix}-driver-pvc-{index}"));
                if let (Some(class), Some(size)) = (option("storageClass"), option("sizeLimit")) {
                    claims.push(claim(&name, class, size, conf, identity));
                }
                volume.persistent_volume_claim =
                    Some(PersistentVolumeClaimVolumeSource { claim_name: name, read_only: Some(read_only) });
            }
            other => return refuse(format!("Kubernetes Volume type `{other}` is not supported")),
        }
        pod.volumes.get_or_insert_default().push(volume);
    }
    Ok(claims)
}

fn claim(name: &str, class: String, size: String, conf: &Conf, identity: &Identity) -> PersistentVolumeClaim {
    let legacy = conf.get("spark.kubernetes.legacy.useReadWriteOnceAccessMode") == Some("true");
    let mode = if legacy { "ReadWriteOnce" } else { "ReadWriteOncePod" };
    let requests = BTreeMap::from([("storage".to_owned(), Quantity(size))]);
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: conf.get("spark.kubernetes.namespace").map(str::to_owned),
            labels: Some(BTreeMap::from([(labels::SELECTOR.to_owned(), identity.app_id())])),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec![mode.to_owned()]),
            storage_class_name: Some(class),
            resources: Some(VolumeResourceRequirements { requests: Some(requests), limits: None }),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    }
}

/// Gives Spark its scratch space: the volumes that are mounted for it, or one of its own.
pub(super) fn local_dirs(conf: &Conf, identity: &Identity, pod: &mut PodSpec, container: &mut Container) {
    let mounts = container.volume_mounts.get_or_insert_default();
    let mounted = mounts.iter().filter(|mount| mount.name.starts_with(LOCAL_DIR));
    let mut dirs: Vec<String> = mounted.map(|mount| mount.mount_path.clone()).collect();
    if dirs.is_empty() {
        let own = format!("/var/data/spark-{}", identity.derived("local directory"));
        dirs = conf.get("spark.local.dir").unwrap_or(&own).split(',').map(str::to_owned).collect();
        let tmpfs = conf.get("spark.kubernetes.local.dirs.tmpfs") == Some("true");
        for (index, dir) in dirs.iter().enumerate() {
            let name = format!("{LOCAL_DIR}{}", index + 1);
            let medium = tmpfs.then(|| "Memory".to_owned());
            pod.volumes.get_or_insert_default().push(Volume {
                name: name.clone(),
                empty_dir: Some(EmptyDirVolumeSource { medium, size_limit: None }),
                ..Volume::default()
            });
            mounts.push(VolumeMount { name, mount_path: dir.clone(), ..VolumeMount::default() });
        }
    }
    container.env.get_or_insert_default().push(EnvVar {
        name: "SPARK_LOCAL_DIRS".to_owned(),
        value: Some(dirs.join(",")),
        value_from: None,
    });
}
