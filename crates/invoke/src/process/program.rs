//! From settings to a command that can be started again and again.
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use super::bootstrap::Bootstrap;
use super::settings::{Launch, ProcessSettings, Runtime, StartError};
use super::{environment, locate};

/// Everything resolved: programs found, folders there, bootstrap written.
#[derive(Debug)]
pub struct Program {
    executable: PathBuf,
    arguments: Vec<OsString>,
    /// Working directory and `LAMBDA_TASK_ROOT`.
    task_root: PathBuf,
    bootstrap: Option<Bootstrap>,
    /// The executable, if it was configured as a path and so may be something the user builds.
    built: Option<PathBuf>,
}

impl Program {
    /// Looks at files and may run an interpreter, so it may block for a moment.
    pub fn resolve(settings: &ProcessSettings) -> Result<Self, StartError> {
        match &settings.launch {
            Launch::Command(command) => {
                let (name, arguments) = command.split_first().ok_or_else(|| StartError::Setting {
                    function: settings.name.clone(),
                    message: "Command is empty; it names a program and its arguments".to_owned(),
                })?;
                let task_root = folder(settings, &settings.working_directory)?;
                let executable = find(settings, name, &task_root)?;
                Ok(Self {
                    built: name.contains('/').then(|| executable.clone()),
                    executable,
                    arguments: arguments.iter().map(OsString::from).collect(),
                    task_root,
                    bootstrap: None,
                })
            }
            Launch::Runtime { runtime, code_uri, .. } => {
                let task_root = folder(settings, &settings.working_directory.join(code_uri))?;
                let executable = interpreter(settings, runtime, &task_root)?;
                let bootstrap = Bootstrap::write(runtime).map_err(|source| StartError::Io {
                    function: settings.name.clone(),
                    action: "writing the bootstrap to the temporary folder",
                    source,
                })?;
                let arguments = vec![bootstrap.file().into_os_string()];
                Ok(Self { executable, arguments, task_root, bootstrap: Some(bootstrap), built: None })
            }
        }
    }

    /// The command of one process.
    pub fn command(&self, settings: &ProcessSettings, number: usize, runtime_api: SocketAddr) -> Command {
        let runtime_directory = self.bootstrap.as_ref().map(Bootstrap::folder);
        let variables =
            environment::variables(settings, &self.task_root, runtime_directory.as_deref(), number, runtime_api);
        let mut command = Command::new(&self.executable);
        command.args(&self.arguments).current_dir(&self.task_root).envs(variables);
        command
    }

    /// Where the code is.
    pub fn task_root(&self) -> &Path {
        &self.task_root
    }

    /// A program that may be built anew while Pelton runs, possibly outside of [`Program::task_root`].
    pub fn built(&self) -> Option<&Path> {
        self.built.as_deref()
    }
}

fn folder(settings: &ProcessSettings, folder: &Path) -> Result<PathBuf, StartError> {
    folder
        .canonicalize()
        .ok()
        .filter(|path| path.read_dir().is_ok())
        .ok_or_else(|| StartError::Folder { function: settings.name.clone(), folder: folder.to_owned() })
}

fn find(settings: &ProcessSettings, program: &str, directory: &Path) -> Result<PathBuf, StartError> {
    let search_path = locate::search_path(settings.environment.get("PATH"));
    locate::program(program, directory, &search_path).ok_or_else(|| StartError::Program {
        function: settings.name.clone(),
        program: program.to_owned(),
        place: if program.contains('/') { format!("in '{}'", directory.display()) } else { "in PATH".to_owned() },
    })
}

/// The interpreter of the version that was asked for, or else the one that is there, with a word about it.
fn interpreter(settings: &ProcessSettings, runtime: &Runtime, directory: &Path) -> Result<PathBuf, StartError> {
    match runtime {
        Runtime::Python { minor: Some(minor) } => {
            let exact = format!("python3.{minor}");
            find(settings, &exact, directory).ok().filter(|path| runs(path)).map_or_else(
                || {
                    let other = find(settings, "python3", directory)?;
                    tracing::warn!(
                        function = settings.name,
                        "{exact} is not installed; taking {} for this function",
                        other.display()
                    );
                    Ok(other)
                },
                Ok,
            )
        }
        Runtime::Python { minor: None } => find(settings, "python3", directory),
        // Node is installed under one name whatever its version; the bootstrap says so if it is another one.
        Runtime::Node { .. } => find(settings, "node", directory),
    }
}

/// Version switchers put launchers into PATH for versions that are not selected; those are there and don't run.
fn runs(interpreter: &Path) -> bool {
    let mut command = std::process::Command::new(interpreter);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;

    fn settings(launch: Launch) -> ProcessSettings {
        ProcessSettings {
            name: "work".into(),
            region: "us-east-1".into(),
            account: None,
            launch,
            working_directory: PathBuf::from("/"),
            concurrency: 1,
            timeout: Duration::from_secs(3),
            memory_size_megabytes: 128,
            environment: BTreeMap::new(),
            watch: false,
        }
    }

    #[test]
    fn says_what_is_missing() {
        let command = |words: &[&str]| Launch::Command(words.iter().map(|word| (*word).to_owned()).collect());
        for (launch, expected) in [
            (command(&[]), "function 'work': Command is empty; it names a program and its arguments"),
            (
                command(&["no-such-program"]),
                "function 'work': no program 'no-such-program' in PATH; install it, or correct the command",
            ),
            (
                command(&["./no/such"]),
                "function 'work': no program './no/such' in '/'; install it, or correct the command",
            ),
            (
                Launch::Runtime {
                    runtime: Runtime::Python { minor: None },
                    handler: "app.handler".into(),
                    code_uri: "no-such-folder".into(),
                },
                "function 'work': '/no-such-folder' is not a folder that can be read",
            ),
        ] {
            assert_eq!(Program::resolve(&settings(launch)).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn falls_back_to_the_python_that_is_installed() {
        let program = Program::resolve(&settings(Launch::Runtime {
            runtime: Runtime::Python { minor: Some(99) },
            handler: "app.handler".into(),
            code_uri: "tmp".into(),
        }))
        .unwrap();
        assert!(program.executable.ends_with("python3"), "{}", program.executable.display());
    }
}
