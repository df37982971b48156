//! What good texts mean, and that their bytes mean the same.

mod image;

use std::fs;
use std::path::Path;

use image::Image;
use pintle_config::compile::{self, Unchecked};
use pintle_config::*;

fn text(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/good");
    fs::read_to_string(folder.join(name)).unwrap()
}

fn system(name: &str) -> System {
    compile::system(&[(name, &text(name))], &Image).unwrap_or_else(|all| panic!("{}", all[0]))
}

fn boot(name: &str) -> Boot {
    compile::boot(name, &text(name)).unwrap_or_else(|all| panic!("{}", all[0]))
}

fn service<'s>(system: &'s System, name: &str) -> &'s Service {
    system.service(system.index_of(name).unwrap()).unwrap()
}

#[test]
fn bytes_mean_what_the_text_means() {
    for name in ["minimal", "kiosk", "another-init", "inline", "nothing", "update"] {
        let system = system(&format!("{name}.system.toml"));
        assert_eq!(System::from_bytes(&system.to_bytes().unwrap()), Ok(system), "{name}");
    }
    for name in ["minimal", "all"] {
        let boot = boot(&format!("{name}.boot.toml"));
        assert_eq!(Boot::from_bytes(&boot.to_bytes().unwrap()), Ok(boot), "{name}");
    }
}

#[test]
fn services_stand_after_what_they_refer_to() {
    let kiosk = system("kiosk.system.toml");
    let names: Vec<_> = kiosk.services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["setup", "logger", "compositor", "browser"]);
    let compositor = service(&kiosk, "compositor");
    assert_eq!(
        (&compositor.wants, &compositor.after),
        (&vec![Index(0), Index(1)], &vec![Index(0)])
    );
    assert_eq!(service(&kiosk, "browser").requires, [Index(2)]);
}

#[test]
fn users_and_groups_are_numbers() {
    let kiosk = system("kiosk.system.toml");
    let browser = service(&kiosk, "browser");
    let user = browser.user.as_ref().unwrap();
    let groups: Vec<u32> = user.groups.iter().map(|gid| gid.get()).collect();
    assert_eq!((user.uid.get(), user.gid.get(), groups), (33, 33, vec![44]));
    assert_eq!((user.name.as_str(), user.home.as_str()), ("web", "/var/www"));
    let supplementary: Vec<u32> = browser.supplementary_groups.iter().map(|g| g.0.get()).collect();
    assert_eq!(supplementary, [44, 29]);
    assert_eq!(service(&kiosk, "logger").user.as_ref().unwrap().uid.get(), 1000);
}

#[test]
fn values_have_their_units() {
    let kiosk = system("kiosk.system.toml");
    let browser = service(&kiosk, "browser");
    assert_eq!(browser.memory_max.unwrap().get(), 512 << 20);
    assert_eq!(browser.cpu_max.unwrap().quota_and_period(), (150_000, 100_000));
    assert_eq!(browser.pids_max.unwrap().get(), 512);
    assert_eq!(browser.restart_delay.get(), 1000);
    assert_eq!(browser.environment.get("LANG"), Some("C.UTF-8"));
    assert_eq!(browser.command.to_string(), "/usr/bin/app --kiosk https://example.org/?q=ä");
    let compositor = service(&kiosk, "compositor");
    assert_eq!((compositor.stop_signal.number(), compositor.stop_timeout.get()), (37, 500));
}

#[test]
fn a_service_without_keys_has_the_defaults() {
    let minimal = system("minimal.system.toml");
    let app = service(&minimal, "app");
    assert_eq!((app.kind, app.restart), (Kind::Exec, Restart::OnFailure));
    assert_eq!((app.enabled, app.essential), (Enabled::Yes, Essential::No));
    assert_eq!(app.stop_signal.to_string(), "SIGTERM");
    assert_eq!(app.user, None);
    assert_eq!(minimal.etc, EtcMode::Persistent);
}

#[test]
fn what_an_enabled_service_needs_is_started_at_boot() {
    let started = |keys: [&str; 3]| {
        let services = ["a", "b", "c"].iter().zip(keys);
        let text: String = services
            .map(|(name, keys)| format!("[service.{name}]\ncommand = [\"/usr/bin/app\"]\n{keys}\n"))
            .collect();
        compile::system(&[("a.toml", &text)], &Image).unwrap().started_at_boot()
    };
    let off = "enabled = false";
    assert_eq!(started([off, off, off]), [false, false, false]);
    assert_eq!(started([off, "", off]), [false, true, false]);
    assert_eq!(started([off, off, "wants = [\"a\"]"]), [true, false, true]);
    assert_eq!(started([off, off, "after = [\"a\"]"]), [false, false, true]);
    let b_needs_a = "enabled = false\nrequires = [\"a\"]";
    assert_eq!(started([off, b_needs_a, "requires = [\"b\"]"]), [true, true, true]);
    assert_eq!(started([off, b_needs_a, ""]), [false, false, true]);
}

const FACTORY: &str = "[system]\nhostname = \"factory\"\netc = \"transient\"\n\
    [service.app]\ncommand = [\"/usr/bin/app\"]\nrestart = \"never\"\n";

#[test]
fn a_layer_sets_single_keys_anew_and_adds_services() {
    let local = "[system]\nhostname = \"mine\"\n[service.app]\nstop-timeout = \"3s\"\n\
        [service.extra]\ncommand = [\"/usr/bin/app\"]\nafter = [\"app\"]\n";
    let layers: [&[_]; 2] = [&[("factory.toml", FACTORY)], &[("local.toml", local)]];
    let system = compile::layers(&layers, &Image).unwrap();
    assert_eq!(system.hostname.as_ref().unwrap().as_str(), "mine");
    assert_eq!(system.etc, EtcMode::Transient);
    let app = service(&system, "app");
    assert_eq!((app.restart, app.stop_timeout.get()), (Restart::Never, 3000));
    assert_eq!(service(&system, "extra").after, [Index(0)]);
}

#[test]
fn a_mistake_in_a_layer_stands_in_its_own_file() {
    let local = "[service.app]\nstop-timeout = \"3\"\n[service.new]\nafter = [\"app\"]\n";
    let layers: [&[_]; 2] = [&[("factory.toml", FACTORY)], &[("local.toml", local)]];
    let mistakes = compile::layers(&layers, &Image).unwrap_err();
    let places: Vec<_> = mistakes.iter().map(|m| (m.file.as_str(), m.line, m.column)).collect();
    assert_eq!(places, [("local.toml", 2, 16), ("local.toml", 3, 10)]);
}

#[test]
fn the_command_line_stands_in_for_keys() {
    let minimal = boot("minimal.boot.toml");
    let cmdline = b"pintle.verity=dm pintle.state=/dev/vdb pintle.watchdog=off pintle.report=a.b \
        pintle.etc=transient pintle.recovery=halt pintle.corruption=stop pintle.log=error \
        pintle.state_timeout=1s";
    let with = |lock| minimal.clone().with(&cmdline::parse(cmdline, lock).0);
    let changed = with(Lock::Unlocked);
    assert_eq!((changed.verity, changed.watchdog), (VerityWay::Dm, Watchdog::Off));
    assert_eq!((changed.etc, changed.recovery), (EtcPolicy::Transient, Recovery::Halt));
    assert_eq!((changed.on_corruption, changed.log), (OnCorruption::Stop, LogLevel::Error));
    assert_eq!(changed.state.to_string(), "/dev/vdb");
    assert_eq!(changed.report, PortName::from_text("a.b"));
    assert_eq!(changed.state_timeout.get(), 1000);
    assert_eq!(changed.image_id, minimal.image_id);
    let locked = with(Lock::Locked);
    let strict = Boot {
        verity: VerityWay::Dm,
        report: changed.report,
        log: LogLevel::Error,
        state_timeout: changed.state_timeout,
        ..minimal.clone()
    };
    assert_eq!(locked, strict);
}

#[test]
fn the_machine_decides_about_etc_and_the_image_about_its_health() {
    let (minimal, kiosk) = (boot("minimal.boot.toml"), system("kiosk.system.toml"));
    assert_eq!(minimal.etc_mode(&kiosk), EtcMode::Transient);
    let persistent = Boot { etc: EtcPolicy::Persistent, ..minimal.clone() };
    assert_eq!(persistent.etc_mode(&kiosk), EtcMode::Persistent);
    assert_eq!(minimal.health_timeout(&kiosk).get(), 120_000);
    assert_eq!(minimal.health_timeout(&system("nothing.system.toml")).get(), 300_000);
    assert_eq!(minimal.min_ready(&kiosk).get(), 30_000);
    assert_eq!(minimal.min_ready(&system("nothing.system.toml")).get(), 5_000);
}

fn update(keys: &str) -> Update {
    let text = format!("[update]\nfrom = \"localhost/a:b\"\n{keys}");
    compile::system(&[("a.toml", &text)], &Image).unwrap().update.unwrap()
}

#[test]
fn an_image_follows_a_tag_by_the_defaults() {
    let update = update("");
    assert_eq!((update.mode, update.reboot), (UpdateMode::Apply, RebootPolicy::Window));
    assert_eq!((update.interval.get(), update.delay.get()), (6 * 3_600_000, 0));
    assert_eq!((update.keep.get(), update.grace.get()), (2, 600_000));
    assert_eq!((update.insecure, update.reachable), (Insecure::No, Reachable::Required));
    assert_eq!((update.window.len(), update.mirrors.len()), (0, 0));
    assert_eq!((update.metered_limit, update.before), (None, None));
    assert_eq!(update.scrub.to_string(), "7d");
    assert_eq!(system("minimal.system.toml").update, None);
}

#[test]
fn zones_are_rules() {
    let zone = |text: &str| match update(&format!("time-zone = \"{text}\"")).time_zone {
        TimeZone::Rule(rule) => rule.to_string(),
        TimeZone::Local => "local".to_owned(),
    };
    assert_eq!(zone("UTC"), "UTC0");
    assert_eq!(zone("local"), "local");
    assert_eq!(zone("Europe/Berlin"), "CET-1CEST,M3.5.0,M10.5.0/3");
    assert_eq!(zone("<+0330>-3:30"), "<+0330>-3:30");
}

#[test]
fn a_layer_can_switch_updates_off() {
    let factory = text("update.system.toml");
    let layers: [&[_]; 2] =
        [&[("factory.toml", factory.as_str())], &[("a.toml", "update.mode = \"off\"")]];
    let update = compile::layers(&layers, &Image).unwrap().update.unwrap();
    assert_eq!((update.mode, update.keep.get()), (UpdateMode::Off, 3));
}

/// An image of nothing.
struct Empty;

impl compile::Tree for Empty {
    fn access(&self, _path: &str) -> compile::Access {
        compile::Access::Missing
    }

    fn read(&self, _path: &str, _limit: usize) -> Option<Vec<u8>> {
        None
    }
}

#[test]
fn an_image_that_follows_a_tag_has_the_worker_and_certificates() {
    let said = |text: &str| {
        let mistakes = compile::system(&[("a.toml", text)], &Empty).unwrap_err();
        mistakes.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let fetch = "a.toml:1:2: found [update], expected an image with pintle-fetch where [update] stands: \
        \"/usr/lib/pintle/pintle-fetch\", which is not in the image";
    let ca = "a.toml:1:2: found ca = \"/etc/ssl/certs/ca-certificates.crt\", which is not in the image, \
        expected a file of certificates in the image";
    let text = "[update]\nfrom = \"localhost/a:b\"\n";
    assert_eq!(said(text), [fetch, ca]);
    assert_eq!(said(&format!("{text}insecure = true")), [fetch]);
}

fn services(count: usize, tail: &str) -> String {
    let service = |n| format!("[service.s{n}]\ncommand = [\"/usr/bin/app\"{tail}]\n");
    (0..count).map(service).collect()
}

#[test]
fn there_are_at_most_256_services() {
    let compiled = compile::system(&[("a.toml", &services(256, ""))], &Unchecked);
    assert_eq!(compiled.map(|system| system.services.len()), Ok(256));
    let mistakes = compile::system(&[("a.toml", &services(257, ""))], &Unchecked).unwrap_err();
    let said: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
    assert_eq!(said, ["a.toml:513:10: found 257 services, expected at most 256"]);
}

#[test]
fn a_configuration_compiles_to_at_most_64_kib() {
    let text = services(100, &format!(", \"{}\"", "x".repeat(1000)));
    let mistakes = compile::system(&[("a.toml", &text)], &Unchecked).unwrap_err();
    let said = mistakes[0].to_string();
    assert!(said.contains("bytes, expected at most 65536"), "{said}");
}

#[test]
fn a_text_has_at_most_1_mib() {
    let text = "#".repeat(compile::TEXT_MAX + 1);
    let mistakes = compile::system(&[("a.toml", &text)], &Unchecked).unwrap_err();
    let said: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
    assert_eq!(said, ["a.toml:1:1: found 1048577 bytes, expected at most 1048576"]);
    assert!(compile::system(&[("a.toml", &text[1..])], &Unchecked).is_ok());
}

#[test]
fn hostile_text_makes_no_endless_report() {
    let text = format!("[service.a]\ncommand = [{}]", "1,".repeat(200_000));
    let mistakes = compile::system(&[("a.toml", &text)], &Unchecked).unwrap_err();
    assert_eq!(mistakes.len(), 1000);
}

#[test]
fn an_image_that_follows_a_tag_has_the_service_that_does_it() {
    let update = "[update]\nfrom = \"r.example.com/os:v1\"\n";
    let names = |text: &str| {
        let system = compile::system(&[("a.toml", text)], &Image).unwrap();
        system.services.iter().map(|service| service.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(update), ["pintle-update"]);
    assert_eq!(names(""), [""; 0]);
    assert_eq!(names(&format!("{update}[system]\ninit = \"/usr/bin/app\"\n")), [""; 0]);
    let slower = format!("{update}[service.pintle-update]\ncpu-weight = 10\n");
    let system = compile::system(&[("a.toml", &slower)], &Image).unwrap();
    let service = &system.services[0];
    assert!(service.cpu_weight.is_some() && service.command.program.as_str() == "/proc/1/exe");
}
