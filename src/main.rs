//! The `kontor` program.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match kontor::cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kontor: {error}");
            ExitCode::FAILURE
        }
    }
}
