//! What became of pods and objects, told to their nodes.
//! Upstream rule: `assessNodeStatus` in `workflow/controller/operator.go` of argoproj/argo-workflows.

use std::rc::Rc;

use tinderbox_api::workflows::{NodePhase, NodeStatus, NodeType, Outputs, Parameter, Template};

use super::Operation;
use super::call::{Call, Holder, Origin};
use crate::view::PodView;

/// Where a template that was written where it is used is kept until its node is over.
pub(super) fn inline_key(id: &str) -> String {
    format!("inline/{id}")
}

impl Operation<'_> {
    pub(super) fn assess(&mut self) {
        let open: Vec<NodeStatus> = self
            .status
            .nodes
            .values()
            .filter(|node| node.r#type.has_pod() && !node.phase.is_fulfilled() && node.synchronization_status.is_none())
            .cloned()
            .collect();
        for node in open {
            let Some(template) = self.template_for(&node) else {
                self.assess_pod(&node, None);
                continue;
            };
            if template.resource.is_some() {
                self.assess_resource(&node, &template);
            } else {
                self.assess_pod(&node, Some(&template));
            }
            let attempt = node.node_flag.as_ref().is_some_and(|flag| flag.retried == Some(true));
            if !attempt {
                self.remember(&node.id, &template);
            }
        }
        let nodes = self.status.nodes.values();
        let active = nodes.filter(|node| {
            node.r#type.has_pod() && !super::nodes::is_over(node) && node.synchronization_status.is_none()
        });
        self.active = i64::try_from(active.count()).unwrap_or(i64::MAX);
    }

    /// The template that a node was made of.
    pub(super) fn template_for(&mut self, node: &NodeStatus) -> Option<Rc<Template>> {
        if let Some(inline) = self.status.stored_templates.get(&inline_key(&node.id)) {
            return Some(Rc::new(inline.clone()));
        }
        let template = node.template_name.clone().unwrap_or_default();
        if template.is_empty() && node.template_ref.is_none() {
            return None;
        }
        let holder = Holder { template, template_ref: node.template_ref.clone(), inline: None };
        let origin = match node.template_scope.as_deref().and_then(|scope| scope.split_once('/')) {
            Some(("namespaced", name)) => Origin::Namespaced(name.to_owned()),
            Some(("cluster", name)) => Origin::Cluster(name.to_owned()),
            _ => Origin::Local,
        };
        self.resolve(&holder, &origin).ok().map(|(template, _)| template)
    }

    fn assess_pod(&mut self, node: &NodeStatus, template: Option<&Template>) {
        let observed = self.observed;
        let Some(view) = self.pod_of(&node.id).and_then(|name| observed.pods.get(&name)) else {
            let daemon = node.daemoned == Some(true);
            if let Some(node) = self.status.nodes.get_mut(&node.id) {
                node.daemoned = None;
            }
            let phase = if daemon { NodePhase::Failed } else { NodePhase::Error };
            return self.mark(&node.id, phase, Some("pod deleted".to_owned()));
        };
        self.containers(node, view);
        if let Some(node) = self.status.nodes.get_mut(&node.id) {
            node.pod_ip = view.ip.clone().or(node.pod_ip.take());
            node.host_node_name = view.host.clone().or(node.host_node_name.take());
        }
        if view.awaiting_outputs {
            return self.mark(&node.id, NodePhase::Running, view.message.clone());
        }
        if view.phase == NodePhase::Running
            && template.is_some_and(|template| template.daemon == Some(true))
            && view.ready
        {
            if let Some(node) = self.status.nodes.get_mut(&node.id)
                && node.daemoned != Some(true)
            {
                node.daemoned = Some(true);
                self.changes += 1;
            }
            return self.mark(&node.id, NodePhase::Running, None);
        }
        if !view.phase.is_fulfilled() {
            return self.mark(&node.id, view.phase, view.message.clone());
        }
        if let Some(node) = self.status.nodes.get_mut(&node.id) {
            node.daemoned = None;
        }
        if let Some(http) = template.and_then(|template| template.http.as_ref()) {
            let (phase, message, outputs) = self.judge(http, node, view);
            self.give(&node.id, outputs);
            return self.mark(&node.id, phase, message);
        }
        let mut outputs = view.outputs.clone();
        outputs.exit_code = view.exit_code.map(|code| code.to_string());
        let wanted = template.map(|template| template.outputs.parameters.clone()).unwrap_or_default();
        let (mut phase, mut message) = (view.phase, view.message.clone());
        match self.gather(&wanted, &outputs) {
            Ok(parameters) => outputs.parameters = parameters,
            Err(why) if phase == NodePhase::Succeeded => (phase, message) = (NodePhase::Error, Some(why)),
            Err(_) => (),
        }
        self.give(&node.id, outputs);
        self.mark(&node.id, phase, message);
    }

    /// Sets what a node gives, and tells the whole workflow what it is to know.
    pub(super) fn give(&mut self, id: &str, outputs: Outputs) {
        self.publish(&outputs);
        if let Some(node) = self.status.nodes.get_mut(id) {
            node.outputs = Some(outputs).filter(|outputs| *outputs != Outputs::default());
        }
    }

    /// The output parameters of a template, each with what was found or its default.
    pub(super) fn gather(&self, wanted: &[Parameter], found: &Outputs) -> Result<Vec<Parameter>, String> {
        let mut all = Vec::new();
        for parameter in wanted {
            let value =
                found.parameters.iter().find(|one| one.name == parameter.name).and_then(|one| one.value.clone());
            let from = parameter.value_from.as_ref();
            let default = || from.and_then(|from| from.default.clone());
            let value = value.or_else(|| parameter.value.clone().filter(|_| from.is_none())).or_else(default);
            let value = value.ok_or_else(|| {
                let path = from.and_then(|from| from.path.as_deref()).unwrap_or_default();
                format!(
                    "output parameter {} is not there: the container wrote no file {path}, and it has no default",
                    parameter.name
                )
            })?;
            all.push(Parameter { value: Some(value), ..parameter.clone() });
        }
        // Of a template that is not known any more, all is kept.
        if wanted.is_empty() {
            all.extend(found.parameters.iter().cloned());
        }
        Ok(all)
    }

    /// Nodes of the containers of a container set.
    fn containers(&mut self, node: &NodeStatus, view: &PodView) {
        for (name, (phase, code)) in &view.containers {
            let full = format!("{}.{name}", node.name);
            let id = self.id(&full);
            if self.node(&id).is_none() {
                let call = Call {
                    name: full,
                    display: name.clone(),
                    holder: Holder::named(node.template_name.as_deref().unwrap_or_default()),
                    origin: Origin::Local,
                    arguments: Default::default(),
                    boundary: node.id.clone(),
                    scope: Rc::default(),
                    hooked: false,
                    retried: false,
                    on_exit: false,
                };
                self.make(&call, NodeType::Container, NodePhase::Pending, None);
                self.join(&node.id, &id);
            }
            let message = code.filter(|code| *code != 0).map(|code| format!("Error (exit code {code})"));
            self.mark(&id, *phase, message);
        }
    }
}
