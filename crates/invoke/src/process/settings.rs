//! What one local function is made of.
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// One entry of `Functions:` with every default filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessSettings {
    /// The function's bare name; `AWS_LAMBDA_FUNCTION_NAME`.
    pub name: String,
    /// `AWS_REGION`, and part of the function's ARN.
    pub region: String,
    /// Twelve digits, part of the function's ARN; `None` is `000000000000`.
    pub account: Option<String>,
    /// What is started.
    pub launch: Launch,
    /// What relative paths in `launch` refer to; also where a [`Launch::Command`] runs.
    pub working_directory: PathBuf,
    /// How many processes run, and so how many invocations at a time; at least 1.
    pub concurrency: usize,
    /// How long one invocation may take: 1 ms to Lambda's 15 minutes.
    pub timeout: Duration,
    /// `AWS_LAMBDA_FUNCTION_MEMORY_SIZE`. Told to the function, not enforced.
    pub memory_size_megabytes: u32,
    /// Variables of the function's own. They win over Lambda's, except for `AWS_LAMBDA_RUNTIME_API`.
    pub environment: BTreeMap<String, String>,
    /// Whether processes are restarted when their code changes.
    pub watch: bool,
}

/// What is started for a local function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Launch {
    /// A program that speaks the Lambda Runtime API, and its arguments. A program with a slash is a path, any other is
    /// searched in `PATH`.
    Command(Vec<String>),
    /// A handler, run by a bootstrap that Pelton carries.
    Runtime {
        /// Language and version.
        runtime: Runtime,
        /// `module.function` (Python) or `file.export` (Node), as in Lambda.
        handler: String,
        /// The folder with the code. The process runs in it, as in Lambda.
        code_uri: PathBuf,
    },
}

/// A language that Pelton carries a bootstrap for. Written as Lambda's identifiers: `python3.11`, `nodejs20.x`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runtime {
    /// Python 3.8 or newer. The minor version that is preferred; any `python3` is taken if that one isn't installed.
    Python {
        /// `11` of `python3.11`; `None` for `python3`.
        minor: Option<u8>,
    },
    /// Node 18 or newer.
    Node {
        /// `20` of `nodejs20.x`; `None` for `nodejs`.
        major: Option<u8>,
    },
}

/// A text that names no runtime.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no runtime: python3.8 or newer (such as python3.12), or nodejs18.x or newer (such as nodejs22.x)")]
pub struct RuntimeError(pub String);

impl FromStr for Runtime {
    type Err = RuntimeError;

    fn from_str(text: &str) -> Result<Self, RuntimeError> {
        let wrong = || RuntimeError(text.to_owned());
        let number = |digits: &str, least: u8| match digits.parse::<u8>() {
            Ok(number) if number >= least && digits == number.to_string() => Ok(number),
            _ => Err(wrong()),
        };
        match text {
            "python3" => return Ok(Self::Python { minor: None }),
            "nodejs" => return Ok(Self::Node { major: None }),
            _ => {}
        }
        if let Some(minor) = text.strip_prefix("python3.") {
            return Ok(Self::Python { minor: Some(number(minor, 8)?) });
        }
        let major = text.strip_prefix("nodejs").and_then(|rest| rest.strip_suffix(".x")).ok_or_else(wrong)?;
        Ok(Self::Node { major: Some(number(major, 18)?) })
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Python { minor: Some(minor) } => write!(formatter, "python3.{minor}"),
            Self::Python { minor: None } => formatter.write_str("python3"),
            Self::Node { major: Some(major) } => write!(formatter, "nodejs{major}.x"),
            Self::Node { major: None } => formatter.write_str("nodejs"),
        }
    }
}

/// A local function can't be started as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting out of its range.
    #[error("function '{function}': {message}")]
    Setting {
        /// The function's name.
        function: String,
        /// Which setting, and what would be right.
        message: String,
    },
    /// The program isn't there.
    #[error("function '{function}': no program '{program}' {place}; install it, or correct the command")]
    Program {
        /// The function's name.
        function: String,
        /// As configured.
        program: String,
        /// Where it was looked for.
        place: String,
    },
    /// The folder isn't there.
    #[error("function '{function}': '{folder}' is not a folder that can be read", folder = .folder.display())]
    Folder {
        /// The function's name.
        function: String,
        /// `CodeUri` or the working directory.
        folder: PathBuf,
    },
    /// The machine refuses what Pelton needs to run a function.
    #[error("function '{function}': {action} failed: {source}")]
    Io {
        /// The function's name.
        function: String,
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The code can't be watched.
    #[error("function '{function}': its code can't be watched for changes: {source}; set 'Watch: false' to go without")]
    Watch {
        /// The function's name.
        function: String,
        /// Why.
        source: notify::Error,
    },
}

impl ProcessSettings {
    /// Checks the ranges; paths and programs are checked when they are resolved.
    pub(super) fn check(&self) -> Result<(), StartError> {
        let longest = Duration::from_secs(15 * 60);
        let message = if self.concurrency == 0 || self.concurrency > 1_000 {
            format!("Concurrency is {}, it must be 1 to 1000", self.concurrency)
        } else if self.timeout.is_zero() || self.timeout > longest {
            format!("Timeout is {} s, it must be above 0 and at most 900 s", self.timeout.as_secs_f64())
        } else if let Some(key) = self.environment.keys().find(|key| key.is_empty() || key.contains(['=', '\0'])) {
            format!("'{key}' is no name of an environment variable")
        } else if let Some((key, _)) = self.environment.iter().find(|(_, value)| value.contains('\0')) {
            format!("the value of the environment variable '{key}' holds a NUL character")
        } else {
            return Ok(());
        };
        Err(StartError::Setting { function: self.name.clone(), message })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lambdas_runtime_identifiers() {
        for text in ["python3.8", "python3.13", "python3", "nodejs18.x", "nodejs22.x", "nodejs"] {
            assert_eq!(text.parse::<Runtime>().unwrap().to_string(), text);
        }
        for text in
            ["", "python2.7", "python3.7", "python3.x", "python3.+9", "nodejs16.x", "nodejs20", "ruby3.3", "java21"]
        {
            assert_eq!(text.parse::<Runtime>(), Err(RuntimeError(text.into())));
        }
    }
}
