//! Each check with the fault that it is for.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::cli::args::RunArgs;
use crate::config::Files;
use crate::mesh::{self, Labels};

/// A host with a mesh of one, and a directory of shards.
struct Ground {
    dir: TempDir,
}

impl Ground {
    fn new() -> Self {
        let ground = Self { dir: tempfile::tempdir().unwrap() };
        mesh::init(&ground.data(), Labels::default(), WallTime::now().ms() / 1_000).unwrap();
        fs::create_dir(ground.shards()).unwrap();
        fs::write(ground.shards().join("one"), "shard").unwrap();
        ground.configure("");
        ground
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn shards(&self) -> PathBuf {
        self.dir.path().join("shards")
    }

    fn configure(&self, more: &str) {
        let text = format!(
            "{more}\n[[source]]\nroot = \"{}\"\n[net]\nlisten = [\"/ip4/127.0.0.1/tcp/0\"]\n",
            self.shards().display()
        );
        fs::write(self.file(), text).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("plexmesh.toml")
    }

    fn inputs(&self) -> Inputs {
        let data_dir = Some(self.data());
        Inputs {
            files: Files::Only(self.file()),
            environment: Vec::new(),
            flags: RunArgs { data_dir, ..RunArgs::default() },
        }
    }

    async fn examined(&self) -> Doctor {
        examine(&self.inputs()).await
    }

    /// The worst check of an area.
    async fn worst(&self, area: DoctorArea) -> DoctorCheck {
        let rank = |check: &DoctorCheck| match check.status {
            Health::Crit => 3,
            Health::Warn => 2,
            Health::Unknown => 1,
            Health::Ok => 0,
        };
        let checks = self.examined().await.checks.into_iter().filter(|it| it.area == area);
        checks.max_by_key(rank).unwrap()
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Fails unless a check came out so and names what to type.
fn assert_told(check: &DoctorCheck, status: Health, found: &str, fix: &str) {
    let told = check.fix.as_deref().unwrap_or_default();
    let as_expected = check.status == status && check.found.contains(found) && told.contains(fix);
    assert!(as_expected, "{check:?}");
}

#[tokio::test]
async fn a_sound_host_without_an_agent_has_nothing_critical() {
    let doctor = Ground::new().examined().await;
    let bad: Vec<_> = doctor.checks.iter().filter(|it| it.status == Health::Crit).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    assert_eq!(doctor.agent_answers, Some(false));
    let areas = [
        DoctorArea::Configuration,
        DoctorArea::DataDirectory,
        DoctorArea::Identity,
        DoctorArea::Agent,
        DoctorArea::Network,
        DoctorArea::Clock,
        DoctorArea::Sources,
        DoctorArea::Limits,
    ];
    for area in areas {
        assert!(doctor.checks.iter().any(|it| it.area == area), "{area:?}");
    }
}

#[tokio::test]
async fn an_examination_leaves_nothing_behind() {
    let ground = Ground::new();
    let names = || {
        let mut names: Vec<_> =
            fs::read_dir(ground.data()).unwrap().map(|it| it.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    ground.examined().await;
    assert_eq!(names(), before);
}

#[tokio::test]
async fn a_broken_configuration_is_critical() {
    let ground = Ground::new();
    ground.configure("[scrub]\ndedline = \"24h\"");
    let check = ground.worst(DoctorArea::Configuration).await;
    assert_told(&check, Health::Crit, "dedline", "plexmesh config check");
}

#[tokio::test]
async fn a_data_directory_that_is_not_there_is_told_with_how_to_make_it() {
    let ground = Ground::new();
    fs::remove_dir_all(ground.data()).unwrap();
    let check = ground.worst(DoctorArea::DataDirectory).await;
    assert_told(&check, Health::Warn, "does not exist", "plexmesh init --data-dir");
}

#[tokio::test]
async fn a_file_in_the_place_of_the_data_directory_is_critical() {
    let ground = Ground::new();
    fs::remove_dir_all(ground.data()).unwrap();
    fs::write(ground.data(), "").unwrap();
    let check = ground.worst(DoctorArea::DataDirectory).await;
    assert_told(&check, Health::Crit, "no directory", "ls -ld");
}

#[tokio::test]
async fn a_data_directory_that_its_owner_may_not_write_is_critical() {
    let ground = Ground::new();
    set_mode(&ground.data(), 0o500);
    let doctor = ground.examined().await;
    set_mode(&ground.data(), 0o700);
    let mode = doctor.checks.iter().find(|it| it.what == "mode").unwrap();
    assert_told(mode, Health::Crit, "0500", "chmod 700");
}

#[tokio::test]
async fn a_data_directory_that_others_may_write_is_worse_than_one_they_may_read() {
    let ground = Ground::new();
    set_mode(&ground.data(), 0o755);
    let check = ground.worst(DoctorArea::DataDirectory).await;
    assert_told(&check, Health::Warn, "0755", "chmod 700");
    set_mode(&ground.data(), 0o770);
    let check = ground.worst(DoctorArea::DataDirectory).await;
    assert_told(&check, Health::Crit, "0770", "chmod 700");
}

#[tokio::test]
async fn a_directory_whose_peer_was_moved_away_is_critical() {
    let ground = Ground::new();
    let text = "plexmesh moved v1\n2026-11-26T12:00:00Z\n";
    fs::write(ground.data().join("moved"), text).unwrap();
    let check = ground.worst(DoctorArea::DataDirectory).await;
    let fix = format!("rm {}", ground.data().join("moved").display());
    assert_told(&check, Health::Crit, "moved away", &fix);
    assert!(check.found.contains("2026-11-26") && check.found.contains("imported"), "{check:?}");
}

#[test]
fn room_is_judged_by_its_bytes_and_by_its_part_of_the_disk() {
    const MIB: u64 = 1024 * 1024;
    let status = |free: u64, total: u64| directory::space(Path::new("/d"), free, total).status;
    assert_eq!(status(256 * MIB, 1 << 40), Health::Ok);
    assert_eq!(status(255 * MIB, 1 << 40), Health::Warn);
    assert_eq!(status(60 * MIB, 1_024 * MIB), Health::Ok);
    assert_eq!(status(15 * MIB, 64 * MIB), Health::Crit);
}

#[tokio::test]
async fn a_key_that_others_can_read_is_critical() {
    let ground = Ground::new();
    set_mode(&ground.data().join("identity.key"), 0o644);
    let check = ground.worst(DoctorArea::Identity).await;
    assert_told(&check, Health::Crit, "0644", "chmod 600");
}

#[tokio::test]
async fn a_certificate_is_told_before_it_lapses_and_is_critical_after() {
    let day = 24 * 3_600;
    for (age_days, status, found) in [
        (59, Health::Ok, "left"),
        (61, Health::Warn, "issue a new one"),
        (91, Health::Crit, "lapsed"),
    ] {
        let ground = Ground::new();
        fs::remove_dir_all(ground.data()).unwrap();
        let made_s = WallTime::now().ms() / 1_000 - age_days * day;
        mesh::init(&ground.data(), Labels::default(), made_s).unwrap();
        let check = ground.worst(DoctorArea::Identity).await;
        assert_eq!(check.status, status, "{age_days}: {check:?}");
        if status != Health::Ok {
            assert!(check.found.contains(found), "{check:?}");
        }
    }
}

#[tokio::test]
async fn a_certificate_of_another_peer_is_critical() {
    let (ground, other) = (Ground::new(), Ground::new());
    fs::copy(other.data().join("certificate"), ground.data().join("certificate")).unwrap();
    assert_eq!(ground.worst(DoctorArea::Identity).await.status, Health::Crit);
}

#[tokio::test]
async fn a_source_that_is_not_there_is_critical() {
    let ground = Ground::new();
    fs::remove_dir_all(ground.shards()).unwrap();
    let check = ground.worst(DoctorArea::Sources).await;
    assert_told(&check, Health::Crit, "cannot be found", "ls -ld");
}

#[tokio::test]
async fn a_manifest_that_does_not_parse_is_critical() {
    let ground = Ground::new();
    fs::write(ground.shards().join("shards_database.json"), "{\"a\":").unwrap();
    let check = ground.worst(DoctorArea::Sources).await;
    assert_told(&check, Health::Crit, "shards_database.json may not be read", "ls -l");
}

#[tokio::test]
async fn a_port_that_another_process_has_is_critical() {
    let ground = Ground::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let text = fs::read_to_string(ground.file()).unwrap();
    fs::write(ground.file(), text.replace("tcp/0", &format!("tcp/{port}"))).unwrap();
    let check = ground.worst(DoctorArea::Network).await;
    assert_told(&check, Health::Crit, "another process", &format!("sport = :{port}"));
}

#[tokio::test]
async fn a_dead_socket_and_something_that_is_none_are_told_apart() {
    let ground = Ground::new();
    let socket = ground.data().join("agent.sock");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let check = ground.worst(DoctorArea::Agent).await;
    assert_told(&check, Health::Warn, "was killed", "plexmesh run");
    fs::remove_file(&socket).unwrap();
    fs::write(&socket, "").unwrap();
    let check = ground.worst(DoctorArea::Agent).await;
    assert_told(&check, Health::Crit, "no socket", "ls -l");
}

#[tokio::test]
async fn a_path_that_is_too_long_for_a_socket_is_critical() {
    let ground = Ground::new();
    let mut inputs = ground.inputs();
    inputs.flags.socket = Some(ground.dir.path().join("x".repeat(120)));
    let doctor = examine(&inputs).await;
    let check = doctor.checks.iter().find(|it| it.area == DoctorArea::Agent).unwrap();
    assert_told(check, Health::Crit, "bytes", "--socket");
}

#[tokio::test]
async fn an_agent_that_holds_the_directory_and_does_not_answer_is_critical() {
    let ground = Ground::new();
    let path = ground.data().join(crate::run::LOCK_FILE);
    let file = fs::File::create(path).unwrap();
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let check = ground.worst(DoctorArea::Agent).await;
    assert_told(&check, Health::Crit, "does not answer", "fuser");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_agent_is_asked_for_what_it_knows() {
    let ground = Ground::new();
    let settings = Settings::of(&config::load(&ground.inputs()).sound().unwrap()).unwrap();
    let agent = crate::run::Agent::start(settings).await.unwrap();
    let running = tokio::spawn(agent.run_until(std::future::pending()));
    let doctor = ground.examined().await;
    running.abort();
    assert_eq!(doctor.agent_answers, Some(true), "{doctor:#?}");
    let told = |text: &str| doctor.checks.iter().any(|it| it.found.contains(text));
    assert!(told("an agent answers") && told("held by an agent"), "{doctor:#?}");
    assert!(told("it takes connections") && told("of the agent"), "{doctor:#?}");
    let bad: Vec<_> = doctor.checks.iter().filter(|it| it.status == Health::Crit).collect();
    assert!(bad.is_empty(), "{bad:#?}");
}

#[test]
fn what_others_say_of_this_peer_decides_on_its_reachability() {
    use crate::api::schema::EdgeStatus;
    let mut why = crate::render::sample::why().body.item;
    let mut judged = |status: Option<EdgeStatus>| {
        why.observers.iter_mut().for_each(|it| it.status = status);
        network::reachability(Some(&why)).status
    };
    assert_eq!(judged(Some(EdgeStatus::Heard)), Health::Ok);
    assert_eq!(judged(Some(EdgeStatus::Lost)), Health::Crit);
    assert_eq!(judged(None), Health::Unknown);
    assert_eq!(network::reachability(None).status, Health::Unknown);
}

#[test]
fn the_measured_offset_of_the_own_clock_is_told() {
    let mut status = crate::render::sample::status().body.item;
    assert_told(&clock::judge(&status), Health::Ok, "0.2 s behind the median of 2 neighbours", "");
    status.findings[0].code = "CLOCK_SKEW".to_owned();
    assert_told(&clock::judge(&status), Health::Warn, "0.2 s behind", "timedatectl");
    (status.findings, status.own_clock) = (Vec::new(), None);
    assert_eq!(clock::judge(&status).status, Health::Unknown);
}

#[test]
fn a_clock_that_no_service_set_is_unknown_and_not_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("synchronized");
    assert_eq!(clock::against_world(&path).status, Health::Unknown);
    fs::write(&path, "").unwrap();
    assert_eq!(clock::against_world(&path).status, Health::Ok);
}

#[test]
fn too_few_open_files_are_told() {
    let text = "Limit  Soft  Hard  Units\nMax open files            256        4096       files\n";
    assert_eq!(limits::limit_in(text), Some(Some(256)));
    assert_eq!(limits::limit_in("Max open files  unlimited  unlimited  files"), Some(None));
    assert_told(&limits::judge_files("here", Some(256)), Health::Warn, "256", "ulimit -n");
    assert_eq!(limits::judge_files("here", None).status, Health::Ok);
}
