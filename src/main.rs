//! The thin binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    capstan::cli::main(capstan::app::run)
}
