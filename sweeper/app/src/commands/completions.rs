//! `sweeper completions`: what a shell needs to complete commands and options.

use crate::{
    exit::{Exit, Failure},
    output,
};
use clap_complete::Shell;

#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "bash: source <(sweeper completions bash)    \
    zsh: sweeper completions zsh > \"${fpath[1]}/_sweeper\"    \
    fish: sweeper completions fish > ~/.config/fish/completions/sweeper.fish")]
pub struct Args {
    shell: Shell,
}

pub fn run(args: &Args, mut commands: clap::Command) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut commands, "sweeper", &mut script);
    output::to(None, |out| out.write_all(&script))?;
    Ok(Exit::Done)
}
