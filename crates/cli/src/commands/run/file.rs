//! Notices that the configuration file has changed.
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// An editor writes in bursts. This long a silence ends one.
const QUIET: Duration = Duration::from_millis(200);

/// Watches one file through its folder, so that it may also be replaced: by an editor's rename, or by Kubernetes, which
/// swaps a symbolic link.
pub struct ConfigurationFile {
    path: PathBuf,
    content: Option<Vec<u8>>,
    events: mpsc::Receiver<()>,
    _watcher: RecommendedWatcher,
}

impl ConfigurationFile {
    /// Watches from now on.
    pub fn watch(path: &Path) -> anyhow::Result<Self> {
        let (sender, events) = mpsc::channel(1);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // An error means that events were lost, so something may have changed.
            if event.map_or(true, |event| !matches!(event.kind, EventKind::Access(_))) {
                // If there is no room, a look at the file is due already.
                let _full = sender.try_send(());
            }
        })?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        watcher
            .watch(folder, RecursiveMode::NonRecursive)
            .with_context(|| format!("can't watch {} for changes", folder.display()))?;
        Ok(Self { path: path.to_owned(), content: std::fs::read(path).ok(), events, _watcher: watcher })
    }

    /// Waits until the content is another one. Dropping the future loses no change.
    pub async fn changed(&mut self) {
        loop {
            // The watcher holds the sender, so this ends only with a reason to look.
            self.events.recv().await;
            while let Ok(Some(())) = timeout(QUIET, self.events.recv()).await {}
            let content = tokio::fs::read(&self.path).await.ok();
            if content != self.content {
                self.content = content;
                return;
            }
        }
    }
}
