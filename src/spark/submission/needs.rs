//! What the pods of an application ask of their nodes, before there is one.
//! Upstream rules: `BasicDriverFeatureStep` and `BasicExecutorFeatureStep` of Spark's Kubernetes module.

use tinderbox_api::quantity::Quantity;
use tinderbox_api::spark::{SparkApplication, SparkApplicationSpec};

use super::size::mebibytes;
use super::{Conf, Identity, Refusal, command, driver, refuse};

/// The requests of one kind of pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// `driver` or `executor`.
    pub part: &'static str,
    /// Of CPUs.
    pub cpu: Quantity,
    /// Of bytes.
    pub memory: Quantity,
}

/// What the driver and each executor of `app` ask for. `spec` has its defaults filled in.
///
/// # Errors
/// When the application says what cannot be.
pub fn needs(app: &SparkApplication, spec: &SparkApplicationSpec, identity: &Identity) -> Result<[Need; 2], Refusal> {
    let mut conf = Conf::of(app, spec, identity)?;
    let kind = command::prepare(spec, identity, &mut conf)?.kind;
    let need = |part: &'static str| {
        let cores = conf.get(&format!("spark.kubernetes.{part}.request.cores"));
        let cores = cores.or_else(|| conf.get(&format!("spark.{part}.cores"))).unwrap_or("1");
        let Ok(cpu) = cores.parse() else {
            return refuse(format!("spec.{part}: {cores:?} is no number of cores"));
        };
        let python = match conf.get("spark.executor.pyspark.memory").filter(|_| part == "executor") {
            Some(text) => mebibytes(text)?,
            None => 0,
        };
        let memory = driver::memory(&conf, kind, part)?.saturating_add(python);
        Ok(Need { part, cpu, memory: Quantity::bytes(memory.saturating_mul(1 << 20)) })
    };
    Ok([need("driver")?, need("executor")?])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::defaults::with_defaults;

    #[test]
    fn pods_ask_for_heap_and_overhead() {
        let app: SparkApplication = serde_json::from_value(json!({
            "metadata": {"name": "pi", "namespace": "default"},
            "spec": {
                "type": "Scala", "sparkVersion": "4.0.1", "image": "i", "mainApplicationFile": "local:///pi.jar", "mainClass": "Pi",
                "sparkConf": {"spark.executor.memoryOverheadFactor": "0.5", "spark.executor.pyspark.memory": "1g"},
                "driver": {"memory": "8g", "coreRequest": "250m"}, "executor": {"memory": "2g", "cores": 3},
            },
        }))
        .unwrap();
        let identity = Identity::rehearsal();
        let told = needs(&app, &with_defaults(&app.spec), &identity).unwrap();
        let told = told.map(|need| (need.part, need.cpu.to_string(), need.memory.to_string()));
        let wanted = [("driver", "250m", "9011Mi"), ("executor", "3", "4Gi")];
        assert_eq!(told, wanted.map(|(part, cpu, memory)| (part, cpu.to_owned(), memory.to_owned())));
        // The pod that is made asks for the same.
        let pod = super::super::objects(&app, &with_defaults(&app.spec), &identity).unwrap().pod;
        let made = pod.spec.unwrap().containers.remove(0).resources.unwrap().requests.unwrap();
        assert_eq!((made["cpu"].0.as_str(), made["memory"].0.as_str()), ("250m", "9011Mi"));
    }
}
