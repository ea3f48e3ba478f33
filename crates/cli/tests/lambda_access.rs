//! Where `pelton run` serves Lambda's API.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pelton_testkit::eventually;
use tempfile::TempDir;

struct Running {
    child: Child,
    folder: TempDir,
    port: String,
}

impl Running {
    async fn start(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = format!("Endpoint: http://127.0.0.1:1\nRegion: us-east-1\nEventSourceMappings: []\n{settings}\n");
        std::fs::write(folder.path().join("pelton.yaml"), file).unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_pelton"));
        command.arg("run").current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.envs([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")]).spawn().unwrap();
        let mut running = Self { child, folder, port: String::new() };
        eventually("it listens", Duration::from_secs(30), || {
            let log = running.log();
            let listens = log.lines().find(|line| line.contains("\"pelton runs\""));
            let address = listens.and_then(|line| line.split("\"listen\":\"").nth(1)?.split('"').next());
            running.port = address.and_then(|it| it.rsplit(':').next()).unwrap_or_default().to_owned();
            let is_known = !running.port.is_empty();
            async move { is_known }
        })
        .await;
        running
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    fn list(&self) -> (u16, String) {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let url = format!("http://127.0.0.1:{}/2015-03-31/event-source-mappings", self.port);
        let mut answer = agent.get(url).call().unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn on_loopback_it_is_served() {
    let running = Running::start("Listen: 127.0.0.1:0").await;
    assert_eq!(running.list(), (200, "{\"EventSourceMappings\":[]}".into()));
    assert!(running.folder.path().join("pelton.db").exists(), "what is made is kept beside the file");
}

#[tokio::test]
async fn where_others_can_reach_it_only_if_that_is_wanted_and_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    // Although there is something that could run.
    let file = "Region: us-east-1\nListen: 0.0.0.0:0\nFunctions: [{FunctionName: work, Command: [sleep, '9']}]\n";
    std::fs::write(folder.path().join("pelton.yaml"), file).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pelton"));
    let refused = command.arg("run").current_dir(folder.path()).stdin(Stdio::null()).output().unwrap();
    assert!(!refused.status.success());
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(
        said.contains("pelton.yaml:2:9: Listen: 0.0.0.0:0") && said.contains("AllowUnauthenticated: true"),
        "{said}"
    );

    let running = Running::start("Listen: 0.0.0.0:0\nAllowUnauthenticated: true").await;
    assert_eq!(running.list().0, 200);
    let log = running.log();
    let warning = log.lines().find(|line| line.contains("AllowUnauthenticated")).unwrap();
    assert!(warning.contains("\"WARN\""), "{warning}");
    let key = "{AccessKeyId: AKIAEXAMPLEEXAMPLE01, SecretAccessKey: secret}";
    let running = Running::start(&format!("Listen: 0.0.0.0:0\nAuthentication: {{AccessKeys: [{key}]}}")).await;
    assert_eq!(running.list(), (403, "{\"message\":\"Missing Authentication Token\"}".into()));
}

#[tokio::test]
async fn a_place_for_state_that_is_no_good_stops_nothing_that_does_without() {
    let running = Running::start("Listen: 127.0.0.1:0\nState: {Sqlite: {Path: nowhere/pelton.db}}").await;
    assert_eq!(running.list().0, 200);
    assert!(running.log().contains("no mappings can be made through Lambda's API"), "{}", running.log());
}
