//! What stops a command, and the exit codes of the core.

pub use sweeper_core::exit::Exit;

/// What stops a command.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    /// Reads after "error: ".
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Problems of files, rendered with their places; shown before the message.
    pub problems: Vec<String>,
}

impl Failure {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), help: None, problems: Vec::new() }
    }

    /// Wrong arguments, config or policies.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    #[must_use]
    pub fn problems(mut self, problems: Vec<String>) -> Self {
        self.problems = problems;
        self
    }
}

/// Output that cannot be written.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::usage(format!("failed to write the output: {error}"))
    }
}
