//! The `stream-manager` program.

use std::process::ExitCode;

use clap::Parser;
use stream_manager::cli::{self, Cli, Command, ConfigCommand, KeysArgs, RunArgs};
use stream_manager::config::{Config, Errors};
use stream_manager::load;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Exit code for a configuration that cannot be used.
const BAD_CONFIG: u8 = 2;

fn main() -> ExitCode {
    match Cli::parse().command {
        None => run(&RunArgs::default()),
        Some(Command::Run(args)) => run(&args),
        Some(Command::Load(command)) => report(load::load(&command)),
        Some(Command::Bench(command)) => report(load::bench(&command)),
        Some(Command::Keys(args)) => keys(&args),
        Some(Command::Config(ConfigCommand::PrintDefault)) => say(Config::default_text()),
        Some(Command::Config(ConfigCommand::Check { file })) => match cli::check(&file) {
            Ok(text) => say(&format!("{text}\n")),
            Err(errors) => refuse(&errors),
        },
    }
}

fn keys(args: &KeysArgs) -> ExitCode {
    match args.place.resolve() {
        Ok(config) => stream_manager::keys_command(args, &config),
        Err(errors) => refuse(&errors),
    }
}

fn run(args: &RunArgs) -> ExitCode {
    let config = match args.resolve() {
        Ok(config) => config,
        Err(errors) => return refuse(&errors),
    };
    let filter = std::env::var("STREAM_MANAGER_LOG").unwrap_or_else(|_| config.node.log.clone());
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .init();
    stream_manager::run(&config)
}

fn report(result: Result<String, load::Failure>) -> ExitCode {
    match result {
        Ok(text) => say(&text),
        Err(error) => complain(&error),
    }
}

#[expect(clippy::print_stderr, reason = "this is what the terminal shows")]
fn complain(error: &load::Failure) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

#[expect(clippy::print_stdout, reason = "this is what was asked for")]
fn say(text: &str) -> ExitCode {
    print!("{text}");
    ExitCode::SUCCESS
}

#[expect(clippy::print_stderr, reason = "this is what the terminal shows")]
fn refuse(errors: &Errors) -> ExitCode {
    eprintln!("{errors}");
    ExitCode::from(BAD_CONFIG)
}
