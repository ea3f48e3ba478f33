//! The runtimes that Pelton carries, as files that an interpreter can run.
use std::io;
use std::path::PathBuf;

use tempfile::TempDir;

use super::settings::Runtime;

const PYTHON: &str = include_str!("../../bootstrap/bootstrap.py");
const NODE: &str = include_str!("../../bootstrap/bootstrap.mjs");

/// A bootstrap in a folder of its own, which is removed when this is dropped.
#[derive(Debug)]
pub struct Bootstrap {
    folder: TempDir,
    file: &'static str,
}

impl Bootstrap {
    pub fn write(runtime: &Runtime) -> io::Result<Self> {
        let (file, text) = match runtime {
            Runtime::Python { .. } => ("bootstrap.py", PYTHON),
            Runtime::Node { .. } => ("bootstrap.mjs", NODE),
        };
        let folder = tempfile::Builder::new().prefix("pelton-runtime-").tempdir()?;
        std::fs::write(folder.path().join(file), text)?;
        Ok(Self { folder, file })
    }

    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join(self.file)
    }
}
