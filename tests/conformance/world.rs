//! An emulator with the organisation, and the binary run against it.

use jiff::Timestamp;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use sweeper_core::{
    kind::KindSpec,
    model::CloudId,
    report::{Coverage, Document, Finding},
};
use sweeper_emulator::{Call, Emulator, Fault, Options, Org};
use tokio::runtime::Runtime;

/// One cloud's organisation, and how somebody who works in it is set up.
pub(crate) struct Setting {
    pub(crate) cloud: CloudId,
    /// In this folder.
    pub(crate) file: &'static str,
    /// `sweeper.toml`, without its policies.
    config: &'static str,
    /// The environment, beside the endpoint.
    environment: &'static [(&'static str, &'static str)],
    /// The variable that names the endpoint.
    endpoint: &'static str,
    /// The kinds of the cloud.
    pub(crate) specs: fn() -> Vec<&'static KindSpec>,
}

#[cfg(feature = "aws")]
pub(crate) static AWS: Setting = Setting {
    cloud: CloudId::Aws,
    file: "org.toml",
    config: "[aws]\norg = true\nrole = \"sweeper-read\"\nexternal_id = \"conformance\"\n",
    environment: &[
        ("AWS_REGION", "us-east-1"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_ACCESS_KEY_ID", "AKIA111111111111X"),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
    ],
    endpoint: "AWS_ENDPOINT_URL",
    specs: sweeper_aws::specs,
};

/// One subscription: an identity that has the rights of a reader there.
#[cfg(feature = "azure")]
pub(crate) static AZURE: Setting = Setting {
    cloud: CloudId::Azure,
    file: "azure.toml",
    config: "",
    environment: &[("AZURE_SUBSCRIPTION_ID", "11111111-1111-1111-1111-111111111111")],
    endpoint: "SWEEPER_AZURE_ENDPOINT",
    specs: sweeper_azure::specs,
};

/// One project.
#[cfg(feature = "gcp")]
pub(crate) static GCP: Setting = Setting {
    cloud: CloudId::Gcp,
    file: "gcp.toml",
    config: "",
    environment: &[("GOOGLE_CLOUD_PROJECT", "shop-prod")],
    endpoint: "SWEEPER_GCP_ENDPOINT",
    specs: sweeper_gcp::specs,
};

/// That of every cloud of this build.
pub(crate) static SETTINGS: &[&Setting] = &[
    #[cfg(feature = "aws")]
    &AWS,
    #[cfg(feature = "azure")]
    &AZURE,
    #[cfg(feature = "gcp")]
    &GCP,
];

/// The management account, whose credentials are given.
#[cfg(feature = "aws")]
pub(crate) const HUB: &str = "111111111111";
/// The other account, entered by its role.
#[cfg(feature = "aws")]
pub(crate) const SHOP: &str = "222222222222";
/// Given as the secret key, so that it can be looked for where it must not be.
#[cfg(feature = "aws")]
pub(crate) const SECRET_KEY: &str = "canary-secret-access-key";

/// No run takes longer, whatever the weather.
const PATIENCE: Duration = Duration::from_mins(2);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance")
}

impl Setting {
    /// Its organisation.
    pub(crate) fn organisation(&self) -> Org {
        parsed(&folder().join(self.file))
    }
}

fn parsed(path: &Path) -> Org {
    let text = fs::read_to_string(path).unwrap();
    Org::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// One instant for all runs of the process, so that their reports can be compared.
pub(crate) fn now() -> Timestamp {
    static NOW: OnceLock<Timestamp> = OnceLock::new();
    *NOW.get_or_init(|| Timestamp::from_second(Timestamp::now().as_second()).unwrap())
}

/// A directory of a test's own, gone with it.
pub(crate) struct Home(PathBuf);

impl Home {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("conformance-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// The shipped policies and those of this folder, in `policies`.
    pub(crate) fn policies(&self) -> PathBuf {
        let to = self.path("policies");
        fs::create_dir_all(&to).unwrap();
        for entry in fs::read_dir(folder().join("../../policies")).unwrap() {
            let from = entry.unwrap().path();
            if from.extension().is_some_and(|extension| extension == "toml") {
                fs::copy(&from, to.join(from.file_name().unwrap())).unwrap();
            }
        }
        fs::copy(folder().join("policies.toml"), to.join("conformance.toml")).unwrap();
        to
    }

    /// The binary with nothing of this machine's environment.
    pub(crate) fn sweeper(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sweeper"));
        command
            .env_clear()
            .env("AWS_REGION", "us-east-1")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("HOME", &self.0)
            .env("XDG_STATE_HOME", self.path("state"))
            .current_dir(&self.0)
            .args(arguments);
        command
    }

    /// Runs a command to its end, or to the end of patience.
    pub(crate) fn wait(&self, mut command: Command) -> Ran {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let (out, err) = (self.path(&format!("out-{number}")), self.path(&format!("err-{number}")));
        let started = Instant::now();
        // Files, so that a full pipe never stops it.
        let mut child = command
            .stdin(Stdio::null())
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(&err).unwrap())
            .spawn()
            .unwrap();
        let code = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status.code();
            }
            if started.elapsed() > PATIENCE {
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
            thread::sleep(Duration::from_millis(10));
        };
        Ran {
            code,
            took: started.elapsed(),
            stdout: fs::read(out).unwrap(),
            stderr: String::from_utf8_lossy(&fs::read(err).unwrap()).into_owned(),
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// How a process ended.
pub(crate) struct Ran {
    /// None when it was killed, by us for taking too long.
    pub(crate) code: Option<i32>,
    pub(crate) took: Duration,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Ran {
    /// For messages.
    pub(crate) fn shown(&self) -> String {
        format!(
            "exit {:?} after {:.1?}\n{}{}",
            self.code,
            self.took,
            self.stderr,
            String::from_utf8_lossy(&self.stdout).chars().take(500).collect::<String>()
        )
    }

    /// Neither a panic, nor a kill, nor a word of one.
    pub(crate) fn is_sane(&self) -> bool {
        !matches!(self.code, None | Some(70 | 101)) && !self.stderr.contains("panicked")
    }

    pub(crate) fn report(&self) -> Report {
        Report::read(&self.stdout).unwrap_or_else(|error| panic!("no report: {error}\n{}", self.shown()))
    }
}

/// What names a row: policy and resource.
pub(crate) type Key = (String, String);

/// A report, with each finding also as text.
pub(crate) struct Report {
    pub(crate) document: Document,
    pub(crate) rows: BTreeMap<Key, Row>,
    /// What no report has: two rows of a policy and a resource, a resource without a name.
    pub(crate) odd: Vec<String>,
}

pub(crate) struct Row {
    pub(crate) finding: Finding,
    pub(crate) text: String,
}

impl Report {
    pub(crate) fn read(bytes: &[u8]) -> serde_json::Result<Self> {
        let value: Value = serde_json::from_slice(bytes)?;
        let texts = value.get("findings").and_then(Value::as_array).cloned().unwrap_or_default();
        let document: Document = serde_json::from_value(value)?;
        assert_eq!(texts.len(), document.findings.len());
        let mut rows = BTreeMap::new();
        let mut odd = Vec::new();
        for (finding, text) in document.findings.iter().zip(&texts) {
            let key = (finding.policy.clone(), finding.resource.id.clone());
            let row = Row { finding: finding.clone(), text: text.to_string() };
            if finding.resource.native_id.is_empty() {
                odd.push(format!("{key:?} has no name"));
            }
            if rows.insert(key.clone(), row).is_some() {
                odd.push(format!("two rows of {key:?}"));
            }
        }
        Ok(Self { document, rows, odd })
    }

    /// Every finding as text, in order.
    pub(crate) fn texts(&self) -> Vec<&str> {
        self.rows.values().map(|row| row.text.as_str()).collect()
    }

    /// Coverage by kind, account and region.
    pub(crate) fn coverage(&self) -> BTreeMap<(&str, &str, &str), &Coverage> {
        let entries = self.document.coverage.iter();
        entries.map(|seen| ((seen.kind.as_str(), seen.account.as_str(), seen.region.as_str()), seen)).collect()
    }

    /// Every cause of blindness that coverage names.
    pub(crate) fn blind(&self) -> BTreeSet<&str> {
        let blind = self.document.coverage.iter().filter(|seen| seen.status.name() == "blind");
        blind.filter_map(|seen| seen.why.as_deref()).collect()
    }
}

/// The organisation of AWS.
#[cfg(feature = "aws")]
pub(crate) fn organisation() -> Org {
    AWS.organisation()
}

/// An organisation, emulated.
pub(crate) struct World {
    setting: &'static Setting,
    emulator: Emulator,
    pub(crate) home: Home,
    /// Serves the emulator for as long as it is there.
    _runtime: Runtime,
}

impl World {
    #[cfg(feature = "aws")]
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    #[cfg(feature = "aws")]
    pub(crate) fn with(change: impl FnOnce(&mut Options)) -> Self {
        Self::of(&AWS, change)
    }

    /// One account of a cloud, without an organisation above it.
    pub(crate) fn alone(setting: &'static Setting, org: Org) -> Self {
        Self::started(setting, org, "", |_| {})
    }

    pub(crate) fn of(setting: &'static Setting, change: impl FnOnce(&mut Options)) -> Self {
        Self::started(setting, setting.organisation(), setting.config, change)
    }

    fn started(setting: &'static Setting, org: Org, config: &str, change: impl FnOnce(&mut Options)) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut options = Options::new(now());
        change(&mut options);
        let emulator = runtime.block_on(Emulator::start(org, options)).unwrap();
        let home = Home::new();
        home.write("sweeper.toml", format!("policies = \"policies\"\n\n{config}"));
        home.policies();
        Self { setting, emulator, home, _runtime: runtime }
    }

    /// Adds to `sweeper.toml`.
    pub(crate) fn configure(&self, more: &str) {
        let path = self.home.path("sweeper.toml");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, text + more).unwrap();
    }

    /// The binary with this world's credentials.
    pub(crate) fn sweeper(&self, arguments: &[&str]) -> Command {
        let mut command = self.home.sweeper(arguments);
        command.envs(self.setting.environment.iter().copied()).env(self.setting.endpoint, self.emulator.url());
        command
    }

    /// Reports on the whole organisation with these faults.
    pub(crate) fn report(&self, faults: Vec<Fault>) -> Ran {
        self.emulator.set_faults(faults);
        self.emulator.clear_journal();
        let now = now().to_string();
        let cloud = self.setting.cloud.name();
        self.home.wait(self.sweeper(&["report", "--cloud", cloud, "--format", "json", "--now", &now]))
    }

    pub(crate) fn run(&self, command: Command) -> Ran {
        self.home.wait(command)
    }

    /// The calls of the last report.
    pub(crate) fn journal(&self) -> Vec<Call> {
        self.emulator.journal()
    }
}

/// The undisturbed run, once for all tests.
pub(crate) struct Base {
    pub(crate) report: Report,
    pub(crate) journal: Vec<Call>,
}

#[cfg(feature = "aws")]
pub(crate) fn base() -> &'static Base {
    base_of(&AWS)
}

pub(crate) fn base_of(setting: &'static Setting) -> &'static Base {
    static BASES: [OnceLock<Base>; 3] = [const { OnceLock::new() }; 3];
    BASES[setting.cloud as usize].get_or_init(|| {
        let world = World::of(setting, |_| {});
        let ran = world.report(Vec::new());
        assert_eq!(ran.code, Some(0), "an undisturbed run sees everything\n{}", ran.shown());
        let report = ran.report();
        assert!(report.odd.is_empty(), "{:?}", report.odd);
        Base { report, journal: world.journal() }
    })
}

/// As [`in_worlds_of`], in AWS.
#[cfg(feature = "aws")]
pub(crate) fn in_worlds<T: Sync>(items: &[T], work: impl Fn(&World, &T) -> Vec<String> + Sync) -> Vec<String> {
    in_worlds_of(&AWS, items, work)
}

/// Runs some work over as many threads as there are processors to spare, each with a world of its own.
pub(crate) fn in_worlds_of<T: Sync>(
    setting: &'static Setting,
    items: &[T],
    work: impl Fn(&World, &T) -> Vec<String> + Sync,
) -> Vec<String> {
    let next = AtomicU32::new(0);
    let mut troubles = Vec::new();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let world = World::of(setting, |_| {});
                    let mut troubles = Vec::new();
                    while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                        troubles.extend(work(&world, item));
                    }
                    troubles
                })
            })
            .collect();
        for worker in workers {
            troubles.extend(worker.join().unwrap());
        }
    });
    troubles.sort();
    troubles
}
