//! Finds the program to start.
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The search path that counts: the function's own `PATH`, else Pelton's.
pub fn search_path(own: Option<&String>) -> OsString {
    own.map(OsString::from).or_else(|| std::env::var_os("PATH")).unwrap_or_default()
}

/// Where `program` is: a path if it has a slash (relative to `directory`), else the first match in `search_path`.
pub fn program(program: &str, directory: &Path, search_path: &OsStr) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(directory.join(program)).filter(|path| is_executable(path));
    }
    if program.is_empty() {
        return None;
    }
    std::env::split_paths(search_path).map(|folder| folder.join(program)).find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_programs_by_path_and_by_name() {
        let path = search_path(None);
        assert!(program("sh", Path::new("/"), &path).is_some());
        assert_eq!(program("./bin/sh", Path::new("/"), &path), Some(PathBuf::from("/./bin/sh")));
        assert_eq!(program("no-such-program", Path::new("/"), &path), None);
        assert_eq!(program("/etc/passwd", Path::new("/"), &path), None, "not executable");
        assert_eq!(program("", Path::new("/"), &path), None);
    }
}
