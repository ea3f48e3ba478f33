//! Whether what local functions need is on this machine.
use std::path::{Path, PathBuf};

use pelton_config::{Function, Loaded, Program, Runtime};

use super::Report;

pub fn check(loaded: &Loaded, report: &mut Report) {
    for function in &loaded.configuration.functions {
        let missing = match &function.program {
            _ if !function.code_uri.is_dir() => {
                let message = format!("the directory {} does not exist", function.code_uri.display());
                Some(("CodeUri", message, "create it, or name the directory of the code"))
            }
            Program::Command(words) => command(function, words),
            Program::Runtime(runtime) => interpreter(function, runtime).or_else(|| handler(function, runtime)),
        };
        if let Some((field, message, fix)) = missing {
            report.problems.push(loaded.function_problem(&function.name, field, message, fix.into()));
        }
    }
}

type Missing = (&'static str, String, &'static str);

fn command(function: &Function, words: &[String]) -> Option<Missing> {
    let program = words.first()?;
    let found = match program.contains('/') {
        true => Path::new(program).is_file(),
        false => is_in_path(function, program),
    };
    let place = if program.contains('/') { "" } else { " in PATH" };
    let fix = "build or install it, or correct the command; a program with a '/' is looked for from CodeUri";
    (!found).then(|| ("Command", format!("there is no program {program}{place}"), fix))
}

fn interpreter(function: &Function, runtime: &Runtime) -> Option<Missing> {
    let program = match runtime {
        Runtime::Python(_) => "python3",
        Runtime::NodeJs(_) => "node",
    };
    let message = || format!("there is no program {program} in PATH");
    (!is_in_path(function, program)).then(|| ("Runtime", message(), "install it, or give the function a Command"))
}

fn handler(function: &Function, runtime: &Runtime) -> Option<Missing> {
    let handler = function.handler.as_deref()?;
    let candidates = module_files(handler, runtime);
    if candidates.iter().any(|file| function.code_uri.join(file).is_file()) {
        return None;
    }
    let message = match candidates.first() {
        Some(file) => format!("there is no {} in {}", file.display(), function.code_uri.display()),
        None => format!("'{handler}' names no function of a module"),
    };
    Some(("Handler", message, "write module.function, with the module's file below CodeUri"))
}

/// Where the module of a handler may be, as Lambda looks for it.
fn module_files(handler: &str, runtime: &Runtime) -> Vec<PathBuf> {
    match runtime {
        Runtime::Python(_) => {
            let Some((module, _)) = handler.rsplit_once('.') else { return Vec::new() };
            let module = module.replace('.', "/");
            [format!("{module}.py"), format!("{module}/__init__.py")].map(PathBuf::from).to_vec()
        }
        Runtime::NodeJs(_) => {
            let (folder, name) = handler.rsplit_once('/').map_or(("", handler), |(folder, name)| (folder, name));
            let Some((module, _)) = name.split_once('.') else { return Vec::new() };
            let file = |suffix| Path::new(folder).join(format!("{module}.{suffix}"));
            ["js", "mjs", "cjs"].map(file).to_vec()
        }
    }
}

fn is_in_path(function: &Function, program: &str) -> bool {
    let path = function.environment.get("PATH").map(Into::into).or_else(|| std::env::var_os("PATH"));
    path.is_some_and(|path| std::env::split_paths(&path).any(|directory| directory.join(program).is_file()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_where_lambda_looks() {
        let first = |handler: &str, runtime| {
            module_files(handler, &runtime).first().map(|file| file.to_string_lossy().into_owned())
        };
        assert_eq!(first("app.handler", Runtime::Python(None)).as_deref(), Some("app.py"));
        assert_eq!(first("src/pkg.app.handler", Runtime::Python(None)).as_deref(), Some("src/pkg/app.py"));
        assert_eq!(first("app", Runtime::Python(None)), None);
        assert_eq!(first("app.handler", Runtime::NodeJs(None)).as_deref(), Some("app.js"));
        assert_eq!(first("src/app.nested.handler", Runtime::NodeJs(None)).as_deref(), Some("src/app.js"));
        assert_eq!(first("a.b/app", Runtime::NodeJs(None)), None);
    }
}
