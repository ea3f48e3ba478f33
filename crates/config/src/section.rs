//! One item of a list in the file, while its rules are checked.
use crate::problem::Findings;
use crate::yaml::Node;

/// Reports problems of one function or mapping at the place of the field they are about.
pub(crate) struct Section<'a> {
    /// `EventSourceMappings[2]`.
    pub path: String,
    pub node: &'a Node,
    pub findings: &'a mut Findings,
}

impl Section<'_> {
    /// A problem with a field, such as `ScalingConfig.MaximumConcurrency`, or with the whole item if `field` is empty.
    /// A field that isn't there is reported at the item.
    pub fn problem(&mut self, field: &str, message: impl Into<String>, fix: impl Into<String>) {
        let path = if field.is_empty() { self.path.clone() } else { format!("{}.{field}", self.path) };
        let found = self.node.at(field);
        let position = found.unwrap_or(self.node).position;
        let value = if field.is_empty() { "" } else { found.map(Node::shown).unwrap_or_default() };
        self.findings.add(position, &path, value, message, fix);
    }

    /// Whether nothing of the item is wrong so far.
    pub fn is_good(&self) -> bool {
        !self.findings.touch(&self.path)
    }
}
