//! From a file to a configuration and its problems.
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pelton_core::{Clock, DestinationArn, FunctionName, Mapping, MappingId, SystemClock};

use crate::configuration::{Configuration, DEFAULT_GRACE_PERIOD, DEFAULT_LISTEN, Endpoints};
use crate::problem::{Findings, Position, Problem, problem};
use crate::section::Section;
use crate::yaml::{Node, parse};
use crate::{asynchronous, authentication, expand, function, mapping, read, region, schema, state, test, wire};

/// The largest file that is read, in bytes.
const LARGEST: u64 = 1024 * 1024;
/// AWS's own default, where neither the file nor the environment names a region.
const DEFAULT_REGION: &str = "us-east-1";
const UNREADABLE: &str = "this is a fault of Pelton: please report it with the file";

/// A file that could be read.
#[derive(Debug)]
pub struct Loaded {
    /// Its good part: a function or mapping with a problem is left out, also a mapping whose local function is. Other
    /// settings with a problem have their defaults.
    pub configuration: Configuration,
    /// All that is wrong, in the file's order.
    pub problems: Vec<Problem>,
    file: PathBuf,
    document: Option<Node>,
    mappings: BTreeMap<MappingId, String>,
    functions: BTreeMap<String, String>,
    /// By function and qualifier.
    event_invoke_configs: BTreeMap<(String, String), String>,
}

/// A file that could not be read at all.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Missing, a directory, no permission.
    #[error("cannot read the configuration file {}: {source}", file.display())]
    Read {
        /// As it was named.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// More than 1 MiB.
    #[error("the configuration file {} is larger than 1 MiB", .0.display())]
    TooLarge(PathBuf),
    /// Not text.
    #[error("the configuration file {} is not UTF-8 text: invalid bytes in line {line}", file.display())]
    NotText {
        /// As it was named.
        file: PathBuf,
        /// The line with the first invalid byte, from 1.
        line: usize,
    },
}

/// Reads a file. `environment` answers for `${NAME}`; relative paths in the file are joined to its directory.
///
/// Whatever the file holds, the result is a configuration with its problems; an error means that it could not be read.
pub fn load(path: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, LoadError> {
    let unreadable = |source| LoadError::Read { file: path.to_owned(), source };
    let mut bytes = Vec::new();
    std::fs::File::open(path).map_err(unreadable)?.take(LARGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST {
        return Err(LoadError::TooLarge(path.to_owned()));
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(load_text(text, path, environment)),
        Err(error) => {
            let line = 1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
            Err(LoadError::NotText { file: path.to_owned(), line })
        }
    }
}

/// As [`load`], for a text that is already here; `path` is its name and place.
pub fn load_text(text: &str, path: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Loaded {
    let mut findings = Findings::new(path);
    let mut loaded = Loaded {
        configuration: Configuration {
            endpoint: None,
            endpoints: Endpoints::default(),
            region: None,
            listen: DEFAULT_LISTEN,
            allow_unauthenticated: false,
            authentication: None,
            ca_bundle: None,
            grace_period: DEFAULT_GRACE_PERIOD,
            state: state::default(&directory_of(path)),
            functions: Vec::new(),
            function_settings: Vec::new(),
            async_queue: None,
            delay_scale: 1.0,
            mappings: Vec::new(),
            tests: Vec::new(),
        },
        problems: Vec::new(),
        file: path.to_owned(),
        document: None,
        mappings: BTreeMap::new(),
        functions: BTreeMap::new(),
        event_invoke_configs: BTreeMap::new(),
    };
    if let Some(mut document) = parse(text, &mut findings) {
        expand::expand(&mut document, "", environment, &mut findings);
        let good = read::read(&document, &schema::shape(), "", &mut findings);
        match good.map(serde_json::from_value::<wire::File>) {
            None => {}
            Some(Ok(file)) => loaded.fill(file, &document, environment, &mut findings),
            // Not reachable while the schema is made from the same types; a property test holds that.
            Some(Err(error)) => findings.add(document.position, "", "", error.to_string(), UNREADABLE),
        }
        loaded.document = Some(document);
    }
    loaded.problems = findings.into_problems();
    loaded
}

impl Loaded {
    /// A problem with a field of a mapping (`EventSourceArn`, `DestinationConfig.OnFailure.Destination`) that was found
    /// by other means than reading, at the place of the field.
    pub fn mapping_problem(&self, mapping: MappingId, field: &str, message: String, fix: String) -> Problem {
        self.problem_at(self.mappings.get(&mapping), field, message, fix)
    }

    /// As [`Self::mapping_problem`], for a field of an entry under `Functions`, by its function's bare name.
    pub fn function_problem(&self, function: &str, field: &str, message: String, fix: String) -> Problem {
        self.problem_at(self.functions.get(function), field, message, fix)
    }

    /// As [`Self::mapping_problem`], for a field of a function's event invoke config, by bare name and qualifier.
    pub fn event_invoke_config_problem(
        &self,
        (function, qualifier): (&str, &str),
        field: &str,
        message: String,
        fix: String,
    ) -> Problem {
        let config = self.event_invoke_configs.get(&(function.to_owned(), qualifier.to_owned()));
        self.problem_at(config, field, message, fix)
    }

    /// As [`Self::mapping_problem`], for a field at the top, such as `CaBundle`.
    pub fn problem(&self, field: &str, message: String, fix: String) -> Problem {
        self.problem_at(None, field, message, fix)
    }

    fn problem_at(&self, item: Option<&String>, field: &str, message: String, fix: String) -> Problem {
        let path = match item {
            Some(item) => format!("{item}.{field}"),
            None => field.to_owned(),
        };
        let at = |path: &str| self.document.as_ref().and_then(|document| document.at(path));
        let found = at(&path);
        let nearest = found.or_else(|| item.and_then(|item| at(item)));
        let position = nearest.map_or(Position { line: 1, column: 1 }, |node| node.position);
        problem(&self.file, position, &path, found.map(Node::shown).unwrap_or_default(), message, fix)
    }

    fn fill(
        &mut self,
        file: wire::File,
        document: &Node,
        environment: &dyn Fn(&str) -> Option<String>,
        findings: &mut Findings,
    ) {
        let directory = directory_of(&self.file);
        self.fill_settings(&file, &directory, document, findings);
        if let (Some(wire), Some(node)) = (file.state, document.at("State")) {
            let mut section = Section { path: "State".into(), node, findings };
            // With a problem nothing is run, so the default that stays does no harm.
            self.configuration.state =
                state::check(wire, &directory, &mut section).unwrap_or_else(|| state::default(&directory));
        }
        if let (Some(wire), Some(node)) = (file.authentication, document.at("Authentication")) {
            let mut section = Section { path: "Authentication".into(), node, findings };
            self.configuration.authentication = authentication::check(wire, &mut section);
        }
        let bad_functions = self.fill_functions(file.functions, &directory, document, findings);
        let region = self.configuration.region.clone().or_else(|| environment("AWS_REGION"));
        let region = region.filter(|region| region::is_region(region)).unwrap_or_else(|| DEFAULT_REGION.to_owned());
        let surroundings = mapping::Surroundings { region: &region, now: SystemClock.now() };
        for (index, wire) in file.event_source_mappings.into_iter().flatten().enumerate() {
            let path = format!("EventSourceMappings[{index}]");
            let Some(node) = document.at(&path) else { continue };
            let mut section = Section { path: path.clone(), node, findings };
            let Some(mapping) = mapping::check(wire, &surroundings, &mut section) else { continue };
            if self.mappings.contains_key(&mapping.id) {
                let first = self.mappings.get(&mapping.id).map(String::as_str).unwrap_or_default();
                section.problem("", duplicate(&mapping), format!("remove it, or {first}"));
                continue;
            }
            self.mappings.insert(mapping.id, path);
            if !bad_functions.iter().any(|name| name == mapping.function.name()) {
                self.configuration.mappings.push(mapping);
            }
        }
        let mappings_are_complete = !findings.touch("EventSourceMappings") && bad_functions.is_empty();
        for (index, wire) in file.tests.into_iter().flatten().enumerate() {
            let path = format!("Tests[{index}]");
            let Some(node) = document.at(&path) else { continue };
            let mut section = Section { path, node, findings };
            let mappings = &self.configuration.mappings;
            self.configuration.tests.extend(test::check(
                wire,
                mappings,
                mappings_are_complete,
                &directory,
                &mut section,
            ));
        }
    }

    /// The names of local functions with a problem.
    fn fill_functions(
        &mut self,
        functions: Option<Vec<wire::Function>>,
        directory: &Path,
        document: &Node,
        findings: &mut Findings,
    ) -> Vec<String> {
        let mut bad = Vec::new();
        for (index, wire) in functions.into_iter().flatten().enumerate() {
            let path = format!("Functions[{index}]");
            let Some(node) = document.at(&path) else { continue };
            let mut section = Section { path: path.clone(), node, findings };
            // Two names that differ in the account alone are the same function to whoever names it without.
            let name = wire.function_name.as_deref();
            let name =
                name.map(|name| name.parse().map_or(name.to_owned(), |name: FunctionName| name.name().to_owned()));
            if let Some(first) = name.as_ref().and_then(|name| self.functions.get(name)) {
                let fix = "give one of them another name, or make one entry of both";
                section.problem("FunctionName", format!("{first} has the same name"), fix);
            }
            let is_local = function::is_local(node);
            match function::check(wire, directory, &mut section) {
                Some(checked) => {
                    for (qualifier, path) in checked.places {
                        self.event_invoke_configs.insert((name.clone().unwrap_or_default(), qualifier), path);
                    }
                    self.configuration.functions.extend(checked.local);
                    self.configuration.function_settings.extend(checked.settings);
                }
                None if is_local => bad.extend(name.clone()),
                None => {}
            }
            if let Some(name) = name {
                self.functions.entry(name).or_insert(path);
            }
        }
        self.refuse_missing_aliases(document, findings);
        bad
    }

    /// Destinations that are local functions, by a version or alias that isn't there.
    fn refuse_missing_aliases(&mut self, document: &Node, findings: &mut Findings) {
        let mut bad = BTreeSet::new();
        for settings in &self.configuration.function_settings {
            for (qualifier, config) in &settings.event_invoke_configs {
                let place = (settings.function.name().to_owned(), qualifier.clone());
                let Some(path) = self.event_invoke_configs.get(&place) else { continue };
                for (side, to) in [("OnSuccess", &config.on_success), ("OnFailure", &config.on_failure)] {
                    let Some(DestinationArn::Function(arn)) = to else { continue };
                    let Ok(name) = arn.to_string().parse::<FunctionName>() else { continue };
                    let Some(function) = self.configuration.local_function(&name) else { continue };
                    if name.qualifier().is_none_or(|qualifier| function.has(qualifier)) {
                        continue;
                    }
                    let path = format!("{path}.DestinationConfig.{side}.Destination");
                    let Some(node) = document.at(&path) else { continue };
                    let message = format!("The destination ARN {arn} is invalid.");
                    let fix = format!("write one of the Aliases of {}, or add it there", function.name);
                    findings.add(node.position, &path, node.shown(), message, fix);
                    bad.insert(settings.function.name().to_owned());
                }
            }
        }
        self.configuration.function_settings.retain(|settings| !bad.contains(settings.function.name()));
    }

    fn fill_settings(&mut self, file: &wire::File, directory: &Path, document: &Node, findings: &mut Findings) {
        // With a value that has been refused, whether it is allowed can't be said.
        let is_unclear = findings.touch("AllowUnauthenticated");
        let mut complain = |field: &str, message: String, fix: &str| {
            let node = document.at(field).unwrap_or(document);
            findings.add(node.position, field, node.shown(), message, fix);
        };
        let mut url = |field: &str, text: &Option<String>| {
            let text = text.clone()?;
            if is_url(&text) {
                return Some(text);
            }
            complain(
                field,
                format!("'{text}' is no endpoint URL"),
                "write http:// or https://, a host, and a port if it needs one",
            );
            None
        };
        let configuration = &mut self.configuration;
        configuration.endpoint = url("Endpoint", &file.endpoint);
        if let Some(endpoints) = &file.endpoints {
            configuration.endpoints = Endpoints {
                sqs: url("Endpoints.SQS", &endpoints.sqs),
                lambda: url("Endpoints.Lambda", &endpoints.lambda),
                sns: url("Endpoints.SNS", &endpoints.sns),
                eventbridge: url("Endpoints.EventBridge", &endpoints.event_bridge),
                s3: url("Endpoints.S3", &endpoints.s3),
                kinesis: url("Endpoints.Kinesis", &endpoints.kinesis),
                dynamodb: url("Endpoints.DynamoDB", &endpoints.dynamo_db),
                dynamodb_streams: url("Endpoints.DynamoDBStreams", &endpoints.dynamo_db_streams),
            };
        }
        if let Some(text) = &file.region {
            match region::is_region(text) {
                true => configuration.region = Some(text.clone()),
                false => complain("Region", format!("'{text}' is no AWS Region"), "write one such as us-east-1"),
            }
        }
        if let Some(text) = &file.async_queue {
            match asynchronous::queue(text) {
                Ok(queue) => configuration.async_queue = Some(queue),
                Err((message, fix)) => complain("AsyncQueue", message, fix),
            }
        }
        if let Some(scale) = file.async_invocation.as_ref().and_then(|settings| settings.delay_scale) {
            configuration.delay_scale = scale;
        }
        if let Some(text) = &file.listen {
            match text.parse::<SocketAddr>() {
                Ok(listen) => configuration.listen = listen,
                Err(_) => {
                    let fix = "write an IP address and a port, such as 127.0.0.1:9400 or 0.0.0.0:9400";
                    complain("Listen", format!("'{text}' is no address to listen on"), fix);
                }
            }
        }
        configuration.allow_unauthenticated = file.allow_unauthenticated.unwrap_or(false);
        let has_authentication = document.at("Authentication").is_some();
        if configuration.allow_unauthenticated && has_authentication {
            let message = "AllowUnauthenticated and Authentication contradict each other";
            complain("AllowUnauthenticated", message.into(), "remove one of them");
        }
        let has_answer = has_authentication || configuration.allow_unauthenticated || is_unclear;
        if !configuration.listen.ip().is_loopback() && !has_answer {
            let message = "others can reach this address, and would be served Lambda's API without a question";
            let fix = "add Authentication, or AllowUnauthenticated: true if whoever reaches it may use it, or listen on \
                       127.0.0.1";
            complain("Listen", message.into(), fix);
        }
        match file.ca_bundle.as_deref() {
            Some("") => complain("CaBundle", "the path is empty".into(), "name a PEM file, or remove it"),
            path => configuration.ca_bundle = path.map(|path| directory.join(path)),
        }
        if let Some(seconds) = file.grace_period_seconds {
            configuration.grace_period = Duration::from_secs(seconds.into());
        }
    }
}

fn directory_of(file: &Path) -> PathBuf {
    let directory = file.parent().unwrap_or(Path::new(""));
    // Without a working directory nothing relative can be found anyway.
    std::path::absolute(directory.join(".")).unwrap_or_else(|_| directory.to_owned())
}

/// AWS's sentence for a mapping whose source and function another one has.
fn duplicate(mapping: &Mapping) -> String {
    let (source, function, id) = (&mapping.event_source, mapping.function.name(), mapping.id);
    let subject = match &mapping.stream {
        Some(_) => {
            format!("The event source arn (\" {source} \") and function (\" {function} \") provided mapping")
        }
        None => format!("An event source mapping with SQS arn (\" {source} \") and function (\" {function} \")"),
    };
    format!("{subject} already exists. Please update or delete the existing mapping with UUID {id}")
}

/// Enough of a check that a mistake is found here and not at the first request.
fn is_url(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")) else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host_and_port = authority.rsplit('@').next().unwrap_or_default();
    let (host, port) = match host_and_port.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (host_and_port, None),
    };
    !host.is_empty()
        && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
        && text.chars().all(|character| character.is_ascii_graphic())
}
