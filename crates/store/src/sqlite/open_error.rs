//! Why a file can't be used, and what to do about it.
use std::path::PathBuf;

/// Why a SQLite store can't be opened. Nothing of the file was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder isn't there.
    #[error(
        "the store {path} can't be created, because the folder {folder} doesn't exist: create it, or choose another Path"
    )]
    NoFolder {
        /// The file that was asked for.
        path: PathBuf,
        /// What is missing.
        folder: PathBuf,
    },
    /// The path is that of a folder, or of nothing.
    #[error("the store {path} is no file: let Path name a file in a folder, such as state/pelton.db")]
    NoFile {
        /// What was asked for.
        path: PathBuf,
    },
    /// There is no file where one was to be.
    #[error("nothing was kept yet: the store {path} doesn't exist")]
    Absent {
        /// The file.
        path: PathBuf,
    },
    /// Another process has it open.
    #[error("the store {path} is in use by another process: stop that process, or choose another Path for this one")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A newer Pelton wrote it.
    #[error(
        "the store {path} has version {found}, and this Pelton knows versions up to {known} only: run the newer Pelton \
         that wrote it, or choose another Path and accept that every mapping begins at its StartingPosition"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// This Pelton's version.
        known: i64,
    },
    /// A database of something else.
    #[error("{path} is a SQLite database, but not one of Pelton's: choose another Path")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// It isn't what was written.
    #[error(
        "the store {path} is damaged ({detail}): restore a copy of it, or move {path} and {path}-wal away and accept that \
         every mapping begins at its StartingPosition"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// SQLite's words.
        detail: String,
    },
    /// The file system or SQLite refuses.
    #[error("the store {path} can't be opened: {detail}")]
    Failed {
        /// The file.
        path: PathBuf,
        /// Why.
        detail: String,
    },
}
