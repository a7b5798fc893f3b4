//! Options of an application for kustomize, as a kustomization on top of its own.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tinderbox_api::gitops::KustomizeSource;

use crate::error::{Error, Result};
use crate::kustomize;
use crate::manifest::Object;
use crate::tree::Tree;

/// The folder that the kustomization of the options is thought to be in.
const DIR: &str = kustomize::DETACHED;

/// Renders the kustomization of `dir` with an application's options.
pub(super) fn render(tree: &dyn Tree, dir: &Path, options: &KustomizeSource) -> Result<Vec<Object>> {
    if options.common_annotations_envsubst.unwrap_or_default() {
        let wrong = "kustomize.commonAnnotationsEnvsubst: no variables are known here: write the values out";
        return Err(Error::at(tree.show(dir).display(), wrong));
    }
    let up = |path: &str| format!("../{}/{path}", dir.display());
    let mut wanted = json!({"resources": [format!("../{}", dir.display())]});
    let mut put = |key: &str, value: Value| {
        let is_empty = match &value {
            Value::Array(items) => items.is_empty(),
            Value::Object(fields) => fields.is_empty(),
            Value::String(text) => text.is_empty(),
            _ => false,
        };
        if !is_empty {
            wanted[key] = value;
        }
    };
    put("namePrefix", json!(options.name_prefix));
    put("nameSuffix", json!(options.name_suffix));
    put("namespace", json!(options.namespace));
    put("commonAnnotations", json!(options.common_annotations));
    if options.label_without_selector.unwrap_or_default() {
        if !options.common_labels.is_empty() {
            let templates = options.label_include_templates.unwrap_or_default();
            put("labels", json!([{"pairs": options.common_labels, "includeTemplates": templates}]));
        }
    } else {
        put("commonLabels", json!(options.common_labels));
    }
    put("images", options.images.iter().map(|image| image_of(image)).collect());
    let mut replicas = Vec::new();
    for replica in &options.replicas {
        let count = replica.count.as_ref().and_then(|count| match count {
            Value::String(text) => text.parse().ok(),
            other => other.as_i64(),
        });
        let count = count.ok_or_else(|| Error::at(&replica.name, "the count of replicas is no number"))?;
        replicas.push(json!({"name": replica.name, "count": count}));
    }
    put("replicas", Value::Array(replicas));
    let missing = options.ignore_missing_components.unwrap_or_default();
    let there = |path: &&String| !missing || tree.is_dir(&dir.join(path.trim_end_matches('/')));
    put("components", options.components.iter().filter(there).map(|path| json!(up(path))).collect());
    let mut patches = Vec::new();
    for patch in &options.patches {
        let mut one = json!({});
        if patch.path.is_empty() {
            one["patch"] = json!(patch.patch);
        } else {
            one["path"] = json!(up(&patch.path));
        }
        if let Some(target) = &patch.target {
            one["target"] = json!(target);
        }
        if !patch.options.is_empty() {
            one["options"] = json!(patch.options);
        }
        patches.push(one);
    }
    put("patches", Value::Array(patches));
    let over = Over { tree, file: Path::new(DIR).join("kustomization.yaml"), text: wanted.to_string() };
    kustomize::render(&over, Path::new(DIR))
}

/// An image as Argo CD writes it: `name=new:tag`, `new:tag` or `new@digest`.
fn image_of(text: &str) -> Value {
    let (name, rest) = text.split_once('=').map_or((None, text), |(name, rest)| (Some(name), rest));
    let (rest, digest) = rest.split_once('@').map_or((rest, ""), |(rest, digest)| (rest, digest));
    let after = rest.rfind('/').map_or(0, |at| at + 1);
    let (new, tag) = rest[after..].find(':').map_or((rest, ""), |at| (&rest[..after + at], &rest[after + at + 1..]));
    let mut image = json!({"name": name.unwrap_or(new), "newName": new});
    if !tag.is_empty() {
        image["newTag"] = json!(tag);
    }
    if !digest.is_empty() {
        image["digest"] = json!(digest);
    }
    image
}

/// A tree with one file more.
struct Over<'a> {
    tree: &'a dyn Tree,
    file: PathBuf,
    text: String,
}

impl Tree for Over<'_> {
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        if path == self.file { Ok(Some(self.text.clone().into_bytes())) } else { self.tree.read(path) }
    }

    fn is_dir(&self, path: &Path) -> bool {
        path == Path::new(DIR) || self.tree.is_dir(path)
    }

    fn files(&self, dir: &Path, recurse: bool) -> Result<Vec<PathBuf>> {
        self.tree.files(dir, recurse)
    }

    fn children(&self, dir: &Path) -> Result<Vec<String>> {
        self.tree.children(dir)
    }

    fn show(&self, path: &Path) -> PathBuf {
        self.tree.show(path)
    }
}
