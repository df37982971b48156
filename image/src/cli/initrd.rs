//! `pintle initrd`.

use super::number;
use super::output::say;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use pintle_config::compile::Diagnostic;
use pintle_config::{Boot, ModuleName, Value, compile};
use pintle_image::initrd::{self, Program, Recipe, Summary};
use pintle_image::keygen;
use pintle_image::kmod::{Catalogue, Plan};

use super::output;

/// Make an initramfs: pintle-init, keys, boot configuration and kernel modules.
///
/// Of the kernel's modules it takes those that the boot configuration needs, and whatever these
/// depend on, out of a Debian package or a directory; depmod need not have run. The result depends on
/// nothing else of this host.
#[derive(clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The initramfs to write.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    /// The pintle-init binary for the machine, linked statically.
    #[arg(long, value_name = "FILE")]
    init: PathBuf,

    /// What the machine boots and how: boot.toml.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,

    /// Set a key of the boot configuration; may be given more than once.
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,

    /// A public key that the machine trusts, or a directory of *.pub; may be given more than once.
    #[arg(long, value_name = "FILE|DIR", required = true)]
    keys: Vec<PathBuf>,

    /// How many of the keys must have signed an image.
    #[arg(long, value_name = "1..4", default_value_t = 1, value_parser = number::threshold)]
    threshold: u8,

    /// The kernel that the modules are taken from: a Debian package, or a directory such as
    /// /lib/modules/6.1.0-42-amd64. Without it there are no modules.
    #[arg(long, value_name = "DEB|DIR")]
    kernel: Option<PathBuf>,

    /// One more kernel module (nvme, ahci, i6300esb); may be given more than once. It is loaded
    /// when its device is there, or always if it is for no device.
    #[arg(long = "module", value_name = "NAME", value_parser = module_name, requires = "kernel")]
    modules: Vec<ModuleName>,

    /// A static e2fsck, such as /sbin/e2fsck.static of Debian's e2fsck-static.
    #[arg(long, value_name = "FILE")]
    e2fsck: Option<PathBuf>,

    /// A static shell, such as /bin/busybox of Debian's busybox-static, for an unlocked machine:
    /// `recovery = "shell"` and pintle.shell=stage1 start it.
    #[arg(long, value_name = "FILE")]
    shell: Option<PathBuf>,

    /// Print what it holds as JSON.
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  echo 'image-id = \"org.example.kiosk\"' > boot.toml
  pintle initrd --init pintle-init --config boot.toml --keys vendor.pub \\
      --kernel linux-image-6.12.deb -o initrd.img
  pintle initrd --init pintle-init --config boot.toml --set lock=unlocked --keys keys/ \\
      --kernel /lib/modules/6.12.0-amd64 --module nvme -o initrd.img";

/// Does what `args` say.
pub(crate) fn run(args: &Args) -> Result<()> {
    let boot = read_boot(&args.config, &args.set)?;
    let modules = args.kernel.as_deref().map(|kernel| plan(kernel, &boot, args)).transpose()?;
    let recipe = Recipe {
        init: program(&args.init)?,
        e2fsck: args.e2fsck.as_deref().map(program).transpose()?,
        shell: args.shell.as_deref().map(program).transpose()?,
        keys: keygen::read_key_set(&args.keys, args.threshold)?,
        boot,
        modules,
    };
    let made = initrd::pack(recipe)?;
    output::replace(&args.output, &made.bytes)?;
    match args.json {
        true => say(&serde_json::to_string(&made.summary)?),
        false => say(table(&args.output, &made.summary).trim_end()),
    }
}

fn plan(kernel: &Path, boot: &Boot, args: &Args) -> Result<Plan> {
    let catalogue = Catalogue::open(kernel, output::folder(&args.output))?;
    Ok(catalogue.plan(&initrd::wanted_modules(boot, &args.modules))?)
}

fn program(path: &Path) -> Result<Program> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Program::new(&path.to_string_lossy(), bytes)?)
}

fn read_boot(path: &Path, set: &[(String, String)]) -> Result<Boot> {
    let name = path.to_string_lossy();
    let bytes = fs::read(path).with_context(|| format!("cannot read {name}"))?;
    let text = compile::utf8(&name, &bytes).map_err(|mistake| anyhow!("{mistake}"))?;
    match (set, text.parse()) {
        ([_, ..], Ok(table)) => compile_with(&name, table, set),
        // What is no TOML is told by where it stands in the file.
        _ => {
            compile::boot(&name, text).map_err(|mistakes| refuse(&mistakes, Diagnostic::to_string))
        }
    }
}

/// Nobody has seen the text that is compiled here, so its lines are told with their mistakes.
fn compile_with(name: &str, mut table: toml::Table, set: &[(String, String)]) -> Result<Boot> {
    table.extend(set.iter().map(|(key, value)| (key.clone(), toml_value(value))));
    let text = table.to_string();
    compile::boot(&format!("{name} with --set"), &text).map_err(|mistakes| {
        let line = |mistake: &Diagnostic| text.lines().nth(mistake.line - 1).unwrap_or_default();
        refuse(&mistakes, |mistake| format!("{mistake}\n    {}", line(mistake)))
    })
}

fn refuse(mistakes: &[Diagnostic], tell: impl Fn(&Diagnostic) -> String) -> anyhow::Error {
    let mistakes: Vec<_> = mistakes.iter().map(tell).collect();
    anyhow!("cannot use the boot configuration:\n{}", mistakes.join("\n"))
}

/// What `text` means in TOML, else the text itself, so that no quotes are needed around a word.
fn toml_value(text: &str) -> toml::Value {
    text.parse().unwrap_or_else(|_| toml::Value::String(text.to_owned()))
}

fn setting(text: &str) -> Result<(String, String)> {
    let (key, value) = text.split_once('=').context("expected KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

fn module_name(text: &str) -> Result<ModuleName> {
    ModuleName::from_text(text).with_context(|| format!("expected {}", ModuleName::expected()))
}

fn table(path: &Path, summary: &Summary) -> String {
    let kernel = summary.kernel.as_deref().unwrap_or("no kernel's modules");
    let (size, unpacked) = (kib(summary.size), kib(summary.unpacked));
    let mut table = format!("{}: {size}, in memory {unpacked}, {kernel}\n\n", path.display());
    table += &row(["in memory", "adds", "", "for"]);
    for part in &summary.parts {
        let name = part.path.rsplit('/').next().unwrap_or_default();
        let reasons = part.wanted_by.join(", ");
        table += &row([&kib(part.unpacked), &kib(part.packed), name, &reasons]);
    }
    if summary.kernel.is_none() {
        table += "no modules: only a kernel that has built in all that it needs boots with this\n";
    }
    table + &list("built in", &summary.builtin) + &list("not in this kernel", &summary.absent)
}

fn row([unpacked, packed, name, reasons]: [&str; 4]) -> String {
    let row = format!("{unpacked:>11}{packed:>11}  {name:<26}{reasons}");
    format!("{}\n", row.trim_end())
}

fn list(what: &str, names: &[String]) -> String {
    match names {
        [] => String::new(),
        _ => format!("{what}: {}\n", names.join(", ")),
    }
}

fn kib(bytes: usize) -> String {
    format!("{} KiB", bytes.div_ceil(1024))
}
