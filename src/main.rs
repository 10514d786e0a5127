//! The `stream-manager` program.

use std::fmt::Display;
use std::process::ExitCode;

use clap::Parser;
use stream_manager::Origin;
use stream_manager::cli::{
    self, BenchArgs, Cli, Command, ConfigCommand, KeysArgs, RenderArgs, RenderError, RunArgs,
    ScheduleCommand,
};
use stream_manager::config::{Config, Errors};
use stream_manager::internals::{Clock, bench, check_hardware, check_with, load, start_log};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The environment variable that stands above `[node] log`.
const LOG_VARIABLE: &str = "STREAM_MANAGER_LOG";

/// Exit code for a configuration that cannot be used.
const BAD_CONFIG: u8 = 2;

fn main() -> ExitCode {
    quieten_svt_av1();
    if let Ok(program) = std::env::current_exe() {
        check_with(program);
    }
    match Cli::parse().command {
        None => run(&RunArgs::default()),
        Some(Command::Run(args)) => run(&args),
        Some(Command::Load(command)) => report(load(&command)),
        Some(Command::Bench(BenchArgs::Machine(command))) => report(bench(&command)),
        Some(Command::Bench(BenchArgs::Keys(bench))) => report(cli::keys_bench(&bench)),
        Some(Command::Keys(args)) => keys(&args),
        Some(Command::Encoders(args)) => report(cli::encoders(&args)),
        Some(Command::Render(args)) => render(&args),
        Some(Command::Trace(command)) => report(cli::trace(&command)),
        Some(Command::Tune(args)) => report(cli::tune(&args)),
        Some(Command::CheckHardware { encoder }) => check(&encoder),
        Some(Command::Schedule(ScheduleCommand::Check(args))) => match cli::schedule_check(&args) {
            Ok(text) => say(&text),
            Err(errors) => refuse(&errors),
        },
        Some(Command::Config(ConfigCommand::PrintDefault)) => say(Config::default_text()),
        Some(Command::Config(ConfigCommand::Export(args))) => match args.resolve() {
            Ok(config) => cli::config_export(&args, &config),
            Err(errors) => refuse(&errors),
        },
        Some(Command::Config(ConfigCommand::Check { file, assets })) => {
            match cli::check(&file, assets) {
                Ok(text) => say(&format!("{text}\n")),
                Err(errors) => refuse(&errors),
            }
        }
    }
}

/// SVT-AV1 writes what it finds to standard error by itself, unless this variable says otherwise:
/// its errors only.
fn quieten_svt_av1() {
    if std::env::var_os("SVT_LOG").is_none() {
        // SAFETY: this is the first thing that the program does, so that there is no other thread.
        unsafe { std::env::set_var("SVT_LOG", "1") };
    }
}

/// Both outcomes go to whoever has run this process.
fn check(encoder: &str) -> ExitCode {
    match check_hardware(encoder) {
        Ok(text) => say(&text),
        Err(reason) => {
            say(&reason);
            ExitCode::FAILURE
        }
    }
}

fn keys(args: &KeysArgs) -> ExitCode {
    match args.place.resolve() {
        Ok(config) => cli::keys_command(args, &config),
        Err(errors) => refuse(&errors),
    }
}

fn run(args: &RunArgs) -> ExitCode {
    let config = match args.resolve() {
        Ok(config) => config,
        Err(errors) => return refuse(&errors),
    };
    let variable = std::env::var(LOG_VARIABLE);
    let filter = variable.as_ref().unwrap_or(&config.node.log);
    let clock = Clock::start();
    match start_log(filter, config.node.log_format, move || clock.now()) {
        Ok(log) => {
            let args = args.clone();
            let is_log_given = variable.is_ok();
            let load = Box::new(move || args.resolve());
            stream_manager::run(&config, Origin { load, log, is_log_given })
        }
        Err(error) => {
            complain(&format!("{LOG_VARIABLE}: {error}"));
            ExitCode::from(BAD_CONFIG)
        }
    }
}

/// What is said goes to standard error: frames may go to standard output.
#[expect(clippy::print_stderr, reason = "this is what the terminal shows")]
fn render(args: &RenderArgs) -> ExitCode {
    match cli::render(args, |text| eprintln!("warning: {text}")) {
        Ok(text) => {
            eprint!("{text}");
            ExitCode::SUCCESS
        }
        Err(RenderError::Config(errors)) => refuse(&errors),
        Err(error) => complain(&error),
    }
}

fn report(result: Result<String, impl Display>) -> ExitCode {
    match result {
        Ok(text) => say(&text),
        Err(error) => complain(&error),
    }
}

#[expect(clippy::print_stderr, reason = "this is what the terminal shows")]
fn complain(error: &impl Display) -> ExitCode {
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
