//! A server that speaks S3's protocol, with one bucket: moto, <https://docs.getmoto.org>.

use super::Site;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use ureq::Agent;

/// Where `cargo xtask test` has put moto; elsewhere Python has to know it.
const FOLDER: &str = "FUSEBOX_TEST_S3";
/// Tells its port, and ends with whoever started it.
const SERVER: &str = "
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address='127.0.0.1', port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
";
/// What signs requests; nothing else may show it.
pub(crate) const SECRET: &str = "not-to-be-seen-anywhere";

/// A running server; it ends with this value.
pub(crate) struct Bucket {
    process: Child,
    url: String,
    agent: Agent,
}

impl Bucket {
    /// Starts one with an empty bucket.
    pub(crate) fn start() -> Self {
        let mut python = Command::new("python3");
        python.args(["-c", SERVER]).stdin(Stdio::piped()).stdout(Stdio::piped());
        if let Some(folder) = std::env::var_os(FOLDER) {
            python.env("PYTHONPATH", folder);
        }
        let mut process = python.spawn().unwrap();
        let mut port = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut port)
            .unwrap();
        assert!(
            !port.is_empty(),
            "Python has no moto: `cargo xtask test` fetches it, `pip install -r tests/s3/requirements.txt` installs it"
        );
        let bucket = Self {
            process,
            url: format!("http://127.0.0.1:{}", port.trim()),
            agent: Agent::new_with_defaults(),
        };
        let made = bucket
            .agent
            .put(format!("{}/fusebox", bucket.url))
            .send_empty()
            .unwrap();
        assert_eq!(made.status(), 200);
        bucket
    }

    /// What makes hosts put components and pages there.
    pub(crate) fn settings(&self) -> String {
        format!("[blobs]\nstore = \"s3://fusebox/test\"\nendpoint = \"{}\"\n", self.url)
    }

    /// Lets a site's commands in.
    pub(crate) fn admit(site: &mut Site) {
        site.set("AWS_ACCESS_KEY_ID", "test");
        site.set("AWS_SECRET_ACCESS_KEY", SECRET);
    }

    /// The keys of all objects below that part, in order.
    pub(crate) fn keys(&self, of: &str) -> Vec<String> {
        let list = format!("{}/fusebox?list-type=2", self.url);
        let listed = self
            .agent
            .get(list)
            .call()
            .unwrap()
            .body_mut()
            .read_to_string()
            .unwrap();
        let keys = listed
            .split("<Key>")
            .skip(1)
            .map(|rest| rest.split('<').next().unwrap().to_owned());
        keys.filter(|key| key.contains(of)).collect()
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
