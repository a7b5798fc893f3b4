//! What templates are given and what they give: parameters and artifacts. The structure only.

use serde_json::Value;

use super::options::KeySelector;
use super::value::{Text, any_object};

record! {
    /// What a workflow, a task or a step is given.
    Arguments {
        /// Texts.
        parameters: Vec<Parameter>,
        /// Files.
        artifacts: Vec<Artifact>,
    }

    /// What a template takes.
    Inputs {
        /// Texts.
        parameters: Vec<Parameter>,
        /// Files.
        artifacts: Vec<Artifact>,
    }

    /// What a template gives.
    Outputs {
        /// Texts.
        parameters: Vec<Parameter>,
        /// Files.
        artifacts: Vec<Artifact>,
        /// What a script printed.
        result: Option<String>,
        /// How the main container ended.
        exit_code: Option<String>,
    }

    /// A text with a name.
    #[schemars(extend("required" = ["name"]))]
    Parameter {
        /// The name.
        name: String,
        /// The text.
        value: Option<Text>,
        /// The text when none is given.
        default: Option<Text>,
        /// The texts that are allowed.
        r#enum: Vec<Text>,
        /// What it is for.
        description: Option<String>,
        /// The name by which the whole workflow knows it.
        global_name: Option<String>,
        /// Where the text comes from.
        value_from: Option<ValueFrom>,
    }

    /// Where the text of a parameter comes from.
    ValueFrom {
        /// A file of the container.
        path: Option<String>,
        /// A JSON path in a resource.
        json_path: Option<String>,
        /// A jq filter of a resource.
        jq_filter: Option<String>,
        /// An expression over the event that started the workflow.
        event: Option<String>,
        /// Another parameter, as in `{{steps.a.outputs.parameters.b}}`.
        parameter: Option<String>,
        /// A person, while the workflow waits.
        supplied: Option<SuppliedValue>,
        /// A key of a ConfigMap.
        config_map_key_ref: Option<KeySelector>,
        /// The text when there is none.
        default: Option<Text>,
        /// An expression.
        expression: Option<String>,
    }

    /// A value that a person supplies; it has nothing to say.
    SuppliedValue {}

    /// A file with a name.
    #[schemars(extend("required" = ["name"]))]
    Artifact {
        /// The name.
        name: String,
        /// Where it lies in the container.
        path: Option<String>,
        /// The artifact that it is, as in `{{steps.a.outputs.artifacts.b}}`.
        from: Option<String>,
        /// An expression that tells which artifact it is.
        from_expression: Option<String>,
        /// Its content, written down.
        raw: Option<RawArtifact>,
        /// Its mode.
        mode: Option<i32>,
        /// May be missing.
        optional: Option<bool>,
        /// The name by which the whole workflow knows it.
        global_name: Option<String>,
        /// A path within it.
        sub_path: Option<String>,
        /// How it is packed.
        #[schemars(schema_with = "any_object")]
        archive: Option<Value>,
        /// An object of a store like S3.
        #[schemars(schema_with = "any_object")]
        s3: Option<Value>,
        /// A file of a web server.
        #[schemars(schema_with = "any_object")]
        http: Option<Value>,
        /// A repository.
        #[schemars(schema_with = "any_object")]
        git: Option<Value>,
        /// An object of Google's store.
        #[schemars(schema_with = "any_object")]
        gcs: Option<Value>,
    }

    /// Content that is written down.
    #[schemars(extend("required" = ["data"]))]
    RawArtifact {
        /// The content.
        data: String,
    }
}
