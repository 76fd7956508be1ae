//! Where the strangers live: a Python environment made once for all tests, and programs of the system. Without
//! them a test fails and says what to install; `LYCHGATE_NO_STRANGERS=1` leaves these tests out.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

/// Distributions of the Python package index, with the versions the tests were written for.
const PYTHON: &[&str] = &["aiohttp~=3.11", "otterwiki~=2.26", "PyJWT[crypto]~=2.10"];

/// How long a stranger may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether these tests are left out, and a word about it.
pub fn left_out() -> bool {
    let left_out = std::env::var_os("LYCHGATE_NO_STRANGERS").is_some_and(|value| value == "1");
    if left_out {
        println!("left out: LYCHGATE_NO_STRANGERS=1");
    }
    left_out
}

fn home() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target directory has a parent").join("strangers")
}

/// The Python interpreter of an environment that has everything in [`PYTHON`].
pub fn python() -> PathBuf {
    static PYTHON_AT: OnceLock<PathBuf> = OnceLock::new();
    PYTHON_AT.get_or_init(make_python).clone()
}

fn make_python() -> PathBuf {
    let environment = home().join("python");
    let python = environment.join("bin/python");
    let wanted = PYTHON.join("\n");
    let stamp = environment.join("installed");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return python;
    }
    // A half-made one is of no use to anybody.
    let _ = std::fs::remove_dir_all(&environment);
    std::fs::create_dir_all(home()).expect("the target directory can be written");
    run_to_end(Command::new("python3").args(["-m", "venv"]).arg(&environment), "apt-get install python3 python3-venv");
    let pip = [&["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--timeout", "60"], PYTHON].concat();
    run_to_end(Command::new(&python).args(pip), "the Python package index must be within reach");
    std::fs::write(&stamp, wanted).expect("the environment can be written");
    python
}

fn run_to_end(command: &mut Command, remedy: &str) {
    let output = command.stdin(Stdio::null()).output();
    match output {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            panic!("{command:?} failed; {remedy}\n{}", String::from_utf8_lossy(&output.stderr))
        }
        Err(error) => panic!("{command:?} cannot be run ({error}); {remedy}"),
    }
}

/// A program that runs beside a test and says on its first line where it listens. Ends with the test.
pub struct Server {
    _child: tokio::process::Child,
    /// What it said.
    pub address: String,
}

impl Server {
    /// Starts it and waits for the line.
    pub async fn start(program: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = tokio::process::Command::new(program);
        command.args(arguments).envs(variables.iter().copied());
        let complaints = tempfile::NamedTempFile::new().expect("temporary files can be made");
        let stderr = complaints.reopen().expect("it is there");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let mut lines = BufReader::new(child.stdout.take().expect("it was asked for")).lines();
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("it starts in time");
        let said = || std::fs::read_to_string(complaints.path()).unwrap_or_default();
        let address =
            line.expect("it can be read").unwrap_or_else(|| panic!("{arguments:?} ended at once:\n{}", said()));
        // What it prints later must go somewhere, or it stops once the pipe is full.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { _child: child, address }
    }
}

/// Runs a program with something on its standard input; gives what it printed if it ended well, and what it
/// complained about if not.
pub async fn run(
    program: &Path,
    arguments: &[&str],
    variables: &[(&str, &str)],
    input: &str,
) -> Result<String, String> {
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).envs(variables.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| format!("{} cannot be run: {error}", program.display()))?;
    let mut stdin = child.stdin.take().expect("it was asked for");
    stdin.write_all(input.as_bytes()).await.map_err(|error| error.to_string())?;
    drop(stdin);
    let ended = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
    let output = ended.map_err(|_| "it took too long".to_owned())?.map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr) + &text(&output.stdout)) }
}
