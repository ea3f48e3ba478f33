//! Notices that a function's code has changed.
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

/// Changes come in bursts: an editor or a build writes many files. This long a silence ends a burst.
const QUIET: Duration = Duration::from_millis(200);
/// How often a folder that has vanished, as during a build, is looked for.
const RETURN_INTERVAL: Duration = Duration::from_millis(500);
/// Folders that hold no code of the function, or far too much of it.
const IGNORED_FOLDERS: [&str; 4] = ["__pycache__", "node_modules", "target", "venv"];
/// Files that programs write while they run, or editors while they edit.
const IGNORED_ENDINGS: [&str; 10] =
    [".pyc", ".log", ".tmp", ".swp", "~", ".db", ".sqlite", ".sqlite3", "-wal", "-journal"];

/// Watches a folder tree, and one file that may lie elsewhere. Hidden files and folders, [`IGNORED_FOLDERS`] and
/// [`IGNORED_ENDINGS`] don't count.
pub struct CodeWatcher {
    code: Code,
    watcher: RecommendedWatcher,
    events: mpsc::Receiver<()>,
}

#[derive(Clone)]
struct Code {
    root: PathBuf,
    file: Option<PathBuf>,
}

impl CodeWatcher {
    /// Watches from now on. Reads the folder tree, so it may block for a moment.
    pub fn start(root: &Path, file: Option<&Path>) -> notify::Result<Self> {
        let code = Code { root: root.to_owned(), file: file.map(|file| file.canonicalize().unwrap_or(file.into())) };
        let (sender, events) = mpsc::channel(1);
        let relevant = code.clone();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // An error means that events were lost, so something may have changed.
            if event.map_or(true, |event| relevant.is_changed_by(&event)) {
                // If there is no room, a change is on its way already.
                let _full = sender.try_send(());
            }
        })?;
        code.watch(&mut watcher)?;
        Ok(Self { code, watcher, events })
    }

    /// Counts `generation` up after each burst of changes, for ever.
    pub async fn run(mut self, generation: &watch::Sender<u64>) {
        while self.events.recv().await.is_some() {
            while let Ok(Some(())) = timeout(QUIET, self.events.recv()).await {}
            self = match self.watch_again().await {
                Some(watcher) => watcher,
                None => return,
            };
            generation.send_modify(|number| *number += 1);
        }
    }

    /// Adds folders that are new, waiting for the root to be there.
    async fn watch_again(mut self) -> Option<Self> {
        loop {
            let (watcher, done) = tokio::task::spawn_blocking(move || {
                let done = self.code.watch(&mut self.watcher);
                (self, done)
            })
            .await
            .ok()?;
            self = watcher;
            match done {
                Ok(()) => return Some(self),
                Err(error) => {
                    tracing::debug!("{}: {error}; looking again", self.code.root.display());
                    sleep(RETURN_INTERVAL).await;
                }
            }
        }
    }
}

impl Code {
    fn watch(&self, watcher: &mut RecommendedWatcher) -> notify::Result<()> {
        watcher.watch(&self.root, RecursiveMode::NonRecursive)?;
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            // A folder may vanish between being seen and being read; its removal is an event of its own.
            let Ok(entries) = folder.read_dir() else { continue };
            for entry in entries.flatten() {
                let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
                if is_folder && !is_ignored(&entry.file_name().to_string_lossy()) {
                    match watcher.watch(&entry.path(), RecursiveMode::NonRecursive) {
                        Ok(()) => folders.push(entry.path()),
                        Err(error) if entry.path().exists() => return Err(error),
                        Err(_) => {}
                    }
                }
            }
        }
        // A build replaces the file, so its folder is watched: the file itself would be lost.
        match self.file.as_deref().and_then(Path::parent) {
            Some(folder) => watcher.watch(folder, RecursiveMode::NonRecursive),
            None => Ok(()),
        }
    }

    fn is_changed_by(&self, event: &Event) -> bool {
        let is_change = match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
            EventKind::Access(_) => false,
            _ => true,
        };
        is_change && (event.need_rescan() || event.paths.iter().any(|path| self.holds(path)))
    }

    fn holds(&self, path: &Path) -> bool {
        if self.file.as_deref() == Some(path) {
            return true;
        }
        match path.strip_prefix(&self.root) {
            Ok(relative) => !relative.iter().any(|part| is_ignored(&part.to_string_lossy())),
            Err(_) => false,
        }
    }
}

fn is_ignored(name: &str) -> bool {
    name.starts_with('.')
        || IGNORED_FOLDERS.contains(&name)
        || IGNORED_ENDINGS.iter().any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_code_from_other_files() {
        let code = Code { root: "/code".into(), file: Some("/build/target/debug/work".into()) };
        for path in ["/code/app.py", "/code/lib/deep/util.js", "/code/template.html", "/build/target/debug/work"] {
            assert!(code.holds(Path::new(path)), "{path}");
        }
        for path in [
            "/code/__pycache__/app.cpython-311.pyc",
            "/code/.git/index",
            "/code/node_modules/x/index.js",
            "/code/.app.py.swp",
            "/code/app.py~",
            "/code/state.db-wal",
            "/elsewhere/app.py",
            "/build/target/debug/work.d",
        ] {
            assert!(!code.holds(Path::new(path)), "{path}");
        }
    }

    #[tokio::test]
    async fn sees_changes_in_folders_that_are_new() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let watcher = CodeWatcher::start(&root, None).unwrap();
        let (generation, mut seen) = watch::channel(0);
        let change = async {
            std::fs::create_dir(root.join("package")).unwrap();
            timeout(Duration::from_secs(10), seen.changed()).await.unwrap().unwrap();
            std::fs::write(root.join("package/module.py"), "x = 1").unwrap();
            timeout(Duration::from_secs(10), seen.changed()).await.unwrap().unwrap();
        };
        tokio::select! {
            () = watcher.run(&generation) => panic!("the watcher ended"),
            () = change => {}
        }
    }
}
