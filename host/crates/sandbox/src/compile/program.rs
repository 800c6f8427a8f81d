//! The child process, seen from the node.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use bytes::Bytes;
use rustix::process::Signal;
use tokio::process::{Child, Command};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::child::{OUT_OF_MEMORY, REFUSED};
use super::error::{CompileError, Refusal};
use super::limits::{CompileLimit, CompileLimits, MAX_CODE};
use super::memory_file::memory_file;

/// The most that is read of what the child wrote on stderr, in bytes.
const MAX_SAID: u64 = 8 << 10;
/// What Rust's runtime says when it aborts for want of memory.
const ALLOCATION_FAILED: &str = "memory allocation of";

/// The program that compiles, and what it may cost.
#[derive(Clone, Debug)]
pub struct CompileProgram {
    /// The program. It must call [`super::compile_in_child`].
    pub program: PathBuf,
    /// Its first arguments. `--parent`, `--memory` and `--seconds` follow, each
    /// with a number.
    pub arguments: Vec<String>,
    /// Its whole environment.
    pub variables: Vec<(String, String)>,
    /// What compiling one component may cost.
    pub limits: CompileLimits,
}

/// The files that a child is started with.
struct Exchange {
    component: File,
    code: File,
    said: File,
}

impl CompileProgram {
    /// Compiles a component, and returns a file with its machine code. Kills the
    /// child when the future is dropped.
    ///
    /// The kernel also kills the child when the thread ends that started it, so
    /// this must be polled by threads that live as long as the node: by a
    /// runtime's workers, not by its blocking threads.
    pub(super) async fn compile(&self, component: Bytes) -> Result<File, CompileError> {
        let exchange = spawn_blocking(move || Exchange::with(&component))
            .await
            .map_err(CompileError::Panicked)?
            .map_err(CompileError::Transfer)?;
        let mut child = self.start(&exchange)?;
        let Ok(status) = timeout(self.limits.clock(), child.wait()).await else {
            return Err(CompileError::Limit(CompileLimit::Clock(
                self.limits.clock(),
            )));
        };
        let status = status.map_err(CompileError::Transfer)?;
        if status.success() {
            return Ok(exchange.code);
        }
        let said = exchange.said().map_err(CompileError::Transfer)?;
        Err(self.verdict(status, said))
    }

    fn start(&self, exchange: &Exchange) -> Result<Child, CompileError> {
        let [stdin, stdout, stderr] = exchange.streams().map_err(CompileError::Transfer)?;
        let mut command = std::process::Command::new(&self.program);
        command
            // Ctrl-C in a terminal is for the node, which decides.
            .process_group(0)
            .args(&self.arguments)
            .args(["--parent", &std::process::id().to_string()])
            .args(["--memory", &self.limits.memory.to_string()])
            .args(["--seconds", &self.limits.seconds().to_string()])
            .env_clear()
            .envs(self.variables.iter().cloned())
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr);
        let started = Command::from(command).kill_on_drop(true).spawn();
        started.map_err(|cause| CompileError::Start {
            program: self.program.clone(),
            cause,
        })
    }

    /// What went wrong, from how the child ended.
    fn verdict(&self, status: ExitStatus, said: String) -> CompileError {
        let signal = |signal: Signal| status.signal() == Some(signal.as_raw());
        let code = |code: u8| status.code() == Some(code.into());
        if code(REFUSED) {
            return Refusal(said).into();
        }
        let aborted = signal(Signal::ABORT) && said.contains(ALLOCATION_FAILED);
        let limit = if aborted || code(OUT_OF_MEMORY) {
            CompileLimit::Memory(self.limits.memory)
        } else if signal(Signal::XCPU) {
            CompileLimit::Time(self.limits.time)
        } else if signal(Signal::XFSZ) {
            CompileLimit::Code(MAX_CODE)
        } else {
            let said = match said.is_empty() {
                true => "it gave no reason; memory may have run out".to_owned(),
                false => said,
            };
            return CompileError::Ended { status, said };
        };
        CompileError::Limit(limit)
    }
}

impl Exchange {
    fn with(component: &[u8]) -> io::Result<Self> {
        let mut file = memory_file("component")?;
        file.write_all(component)?;
        // The child shares the position.
        file.rewind()?;
        Ok(Self {
            component: file,
            code: memory_file("code")?,
            said: memory_file("stderr")?,
        })
    }

    fn streams(&self) -> io::Result<[Stdio; 3]> {
        let stream = |file: &File| file.try_clone().map(Stdio::from);
        Ok([
            stream(&self.component)?,
            stream(&self.code)?,
            stream(&self.said)?,
        ])
    }

    /// What the child wrote on stderr.
    fn said(&self) -> io::Result<String> {
        let mut said = &self.said;
        said.rewind()?;
        let mut bytes = Vec::new();
        said.take(MAX_SAID).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    /// A compiler that is a shell script.
    fn script(script: &str) -> CompileProgram {
        CompileProgram {
            program: "/bin/sh".into(),
            arguments: ["-c", script, "compiler"].map(str::to_owned).into(),
            variables: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
            limits: CompileLimits {
                memory: 64 << 20,
                time: Duration::from_secs(2),
            },
        }
    }

    async fn compile(program: &CompileProgram) -> Result<Vec<u8>, CompileError> {
        let mut code = program.compile(Bytes::from_static(b"component")).await?;
        code.rewind().unwrap();
        let mut bytes = Vec::new();
        code.read_to_end(&mut bytes).unwrap();
        Ok(bytes)
    }

    async fn failure(text: &str) -> CompileError {
        compile(&script(text)).await.unwrap_err()
    }

    #[tokio::test]
    async fn a_component_goes_in_and_its_code_comes_out() {
        let done = compile(&script("cat; echo \" $*\"")).await.unwrap();
        let said = format!(
            "component --parent {} --memory 67108864 --seconds 2\n",
            std::process::id()
        );
        assert_eq!(String::from_utf8(done).unwrap(), said);
    }

    #[tokio::test]
    async fn nothing_of_the_environment_goes_to_the_child() {
        let done = compile(&script("unset PWD OLDPWD SHLVL _; env")).await;
        assert_eq!(done.unwrap(), b"PATH=/usr/bin:/bin\n");
    }

    #[tokio::test]
    async fn a_refusal_has_its_reason() {
        let error = failure("echo 'no component' >&2; exit 3").await;
        assert!(matches!(&error, CompileError::Refused(_)), "{error:?}");
        assert_eq!(error.to_string(), "no component");
    }

    #[tokio::test]
    async fn each_limit_is_named() {
        let limits = script("").limits;
        let memory = CompileLimit::Memory(limits.memory);
        for (ending, expected) in [
            (
                "echo 'memory allocation of 9 bytes failed' >&2; kill -ABRT $$",
                memory,
            ),
            ("exit 4", memory),
            ("kill -XCPU $$", CompileLimit::Time(limits.time)),
            ("kill -XFSZ $$", CompileLimit::Code(MAX_CODE)),
        ] {
            let error = failure(ending).await;
            assert!(error.is_limit(), "{ending}: {error:?}");
            assert!(
                error.to_string().starts_with(&expected.to_string()),
                "{error}"
            );
        }
    }

    #[tokio::test]
    async fn another_end_is_no_limit() {
        for ending in ["kill -ABRT $$", "kill -KILL $$", "exit 101"] {
            let error = failure(&format!("echo why >&2; {ending}")).await;
            assert!(!error.is_limit(), "{ending}: {error:?}");
            assert!(error.to_string().ends_with(": why"), "{error}");
        }
        let mut missing = script("");
        missing.program = "/no/compiler".into();
        let error = compile(&missing).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("/no/compiler (is /proc mounted?)"), "{text}");
    }

    #[tokio::test]
    async fn a_child_that_does_not_end_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let text = format!("echo $$ > {}; exec sleep 600", file.display());
        let mut program = script(&text);
        program.limits.time = Duration::from_millis(400);
        let ended = timeout(Duration::from_secs(20), compile(&program)).await;
        let error = ended.expect("it is killed").unwrap_err();
        assert!(error.to_string().contains("after 2 s"), "{error}");
        gone(&file).await;
    }

    #[tokio::test]
    async fn a_child_for_which_nobody_waits_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let program = script(&format!("echo $$ > {}; exec sleep 600", file.display()));
        let compiling = tokio::spawn(async move { compile(&program).await });
        let deadline = Instant::now() + Duration::from_secs(20);
        while std::fs::read_to_string(&file)
            .unwrap_or_default()
            .is_empty()
        {
            assert!(Instant::now() < deadline, "the child does not start");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        compiling.abort();
        gone(&file).await;
    }

    /// Waits until the process whose id is in the file has ended, and does not
    /// remain as a zombie.
    async fn gone(file: &std::path::Path) {
        let pid = std::fs::read_to_string(file).unwrap();
        let process = std::path::Path::new("/proc").join(pid.trim());
        let deadline = Instant::now() + Duration::from_secs(20);
        while process.exists() {
            assert!(Instant::now() < deadline, "the child is not gone");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
