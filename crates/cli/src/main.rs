//! The entry of the `minutebook` program; everything else is in the library beside it.

fn main() -> std::process::ExitCode {
    minutebook_cli::main(std::env::args_os())
}
